"""Files, as the runtime sees them.

Paths are ``str``; the bytes of a name that is no UTF-8 stand in it as surrogates (PEP 383), so that every
name there is can be written down, compared and handed back. All calls but :meth:`Watch.changes` block:
callers run them through :meth:`Scheduler.run_blocking`. They raise what Python raises: ``OSError`` with
``errno`` and ``filename`` set.

Roads not taken. *A recursive watch*: between the moment a new directory is seen and the moment it is watched,
files appear in it unseen, and whether that happens differs between kernels. Here the walker names each
directory it is about to scan (:meth:`Watch.add`), so "watched before scanned" holds for every one of them.
*Event kinds*: created, modified and removed arrive late, merged and out of order, so a change names a path
and nothing else, and whoever is told goes and looks.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import NamedTuple, Protocol

__all__ = ["Changes", "Entry", "FileKind", "FileStat", "FileSystem", "Watch"]


class FileKind(enum.Enum):
    """What a name stands for."""

    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symlink"
    """only in :meth:`FileSystem.scan`, and in ``stat(follow=False)``"""
    OTHER = "other"
    """a pipe, a socket, a device: reading one may wait for ever"""


class FileStat(NamedTuple):
    """What is known of a file without opening it."""

    kind: FileKind
    size: int
    mtime_ns: int
    ctime_ns: int
    """When contents or metadata last changed; unlike ``mtime_ns`` it cannot be set back."""
    device: int
    inode: int
    mode: int
    """Permission bits."""

    @property
    def identity(self) -> tuple[int, int]:
        """Equal for two names of one file or directory."""
        return (self.device, self.inode)


class Entry(NamedTuple):
    """One name in a directory, with the stat of the name itself (symbolic links are not followed)."""

    name: str
    stat: FileStat


class Changes(NamedTuple):
    """One batch of changes: look at ``paths``, or, if ``lost``, at everything."""

    paths: tuple[str, ...]
    """Each once, in the order of their first change."""
    lost: bool = False
    """Some changes are unknown (a full queue, or the root itself was removed, moved or replaced). The
    watch may be dead: make a new one, then scan all."""


class Watch(Protocol):
    """An armed watch: what happens after it was made is reported, whenever it is asked for."""

    def add(self, directory: str, /) -> None:
        """Watch ``directory``, not what is below it. To be called before scanning it. Costs nothing
        when it is watched already; the same directory under a second name is reported under both.
        Raises ``OSError``, ``FileNotFoundError`` among them. No effect after :meth:`close`."""

    def discard(self, directory: str, /) -> None:
        """Stop watching under this name. No effect when it is not watched."""

    async def changes(self) -> Changes:
        """Wait for the next batch. One caller at a time; may be cancelled, and then loses nothing."""

    def close(self) -> None:
        """Release the watch; a waiting :meth:`changes` ends. Call it on the loop; twice is fine."""


class FileSystem(Protocol):
    """One tree of files."""

    def clock_ns(self) -> int:
        """The clock that stamps ``mtime_ns``."""

    def absolute(self, path: str, /) -> str:
        """The path from the root, by the current directory. Nothing is looked up."""

    def real(self, path: str, /) -> str:
        """The absolute path with all symbolic links followed, as far as the names exist."""

    def scan(self, directory: str, /) -> Sequence[Entry]:
        """The entries, sorted by name; one that vanishes meanwhile may be left out."""

    def stat(self, path: str, /, *, follow: bool = True) -> FileStat:
        """What ``path`` stands for; with ``follow``, what its symbolic links lead to."""

    def read(self, path: str, size: int = -1, offset: int = 0, /) -> bytes:
        """At most ``size`` bytes (-1: all) from ``offset`` on. Raises ``OSError`` for anything that is
        not a regular file, and never waits for a writer."""

    def write(self, path: str, data: bytes, /, *, mode: int | None = None) -> None:
        """Create the file, or empty it, and write ``data``. Neither atomic nor durable. ``mode``: its
        permission bits afterwards; by default those of any new file."""

    def replace(self, source: str, destination: str, /) -> None:
        """Rename, atomically, over a file if there is one."""

    def remove(self, path: str, /) -> None:
        """Remove a file, or a symbolic link itself."""

    def make_dir(self, path: str, /) -> None:
        """Make one directory."""

    def remove_dir(self, path: str, /) -> None:
        """Remove an empty directory."""

    def sync(self, path: str, /) -> None:
        """Return when the contents of this file would survive a power cut."""

    def sync_dir(self, directory: str, /) -> None:
        """Return when the names in this directory would survive a power cut."""

    def sync_all(self, path: str, /) -> None:
        """Return when everything on the device that holds ``path`` would survive a power cut."""

    def watch(self, root: str, /, *, recursive: bool) -> Watch:
        """Arm a watch of ``root``, and of the name ``root`` itself. ``recursive`` only says that
        directories below it will be added. Raises ``OSError`` unless ``root`` is a directory."""
