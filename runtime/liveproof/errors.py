"""Everything that liveproof raises on purpose.

::

    Exception
    └── LiveproofError                 never raised itself
        ├── StoreError                 never raised itself; names the file in ``path``
        │   ├── StoreBusyError         another process (or environment) has the store open
        │   ├── StoreCorruptError      the file is not a store, or is damaged
        │   ├── StoreFullError         no room left on the device
        │   ├── StoreUnavailableError  the file or its directory cannot be opened or written
        │   └── StoreVersionError      written by a newer liveproof
        ├── MemoError                  a value that cannot be fingerprinted or stored
        ├── StoppedError               the update was cancelled before this work was done
        ├── UnsettledError             what a target has applied may not survive a power cut
        └── AppLoadError               the command could not load the application it was given

Misuse of the API raises the built-in ``TypeError``, ``ValueError`` and ``RuntimeError``, as the
contract's table of restrictions says.
"""

from __future__ import annotations

import os

__all__ = [
    "AppLoadError",
    "LiveproofError",
    "MemoError",
    "StoppedError",
    "StoreBusyError",
    "StoreCorruptError",
    "StoreError",
    "StoreFullError",
    "StoreUnavailableError",
    "StoreVersionError",
    "UnsettledError",
]


class LiveproofError(Exception):
    """Root of the tree; catch it to catch everything of ours."""

    def __init__(self, *args: object) -> None:
        if type(self) is LiveproofError:
            raise TypeError("LiveproofError is a base class; raise one of its subclasses")
        super().__init__(*args)


class StoreError(LiveproofError):
    """The state store could not do what was asked. ``path`` is the file concerned."""

    def __init__(self, message: str, path: str | os.PathLike[str]) -> None:
        if type(self) is StoreError:
            raise TypeError("StoreError is a base class; raise one of its subclasses")
        self.path = os.fspath(path)
        super().__init__(message)

    def __reduce__(self) -> tuple[type[StoreError], tuple[str, str]]:
        return (type(self), (str(self), self.path))


class StoreBusyError(StoreError):
    """Somebody else has the store open (DUR-4)."""


class StoreCorruptError(StoreError):
    """The file is not a store or its contents are damaged. It was not changed."""


class StoreFullError(StoreError):
    """The device is full. What was recorded before is intact."""


class StoreUnavailableError(StoreError):
    """The file cannot be opened, created or written."""


class StoreVersionError(StoreError):
    """The file was written by a newer liveproof. It was not changed."""


class MemoError(LiveproofError, TypeError):
    """A value cannot take part in memoization: no stable fingerprint, or no stored form."""


class StoppedError(LiveproofError):
    """The update was cancelled, so this work was not started or not finished."""


class UnsettledError(LiveproofError):
    """What a target has applied could not be made durable: it is there, and may be gone after a power cut."""


class AppLoadError(LiveproofError):
    """The command line named an application that cannot be loaded."""
