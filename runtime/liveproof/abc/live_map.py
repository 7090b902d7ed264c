"""Live keyed collections: what ``mount_each`` consumes beyond a plain iterable.

::

    LiveMapFeed     only changes          watch(subscriber)
    └── LiveMapView state and changes     watch(subscriber), async iteration over (key, value)
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from types import TracebackType
from typing import Any, Protocol, TypeVar, runtime_checkable

__all__ = ["LiveMapFeed", "LiveMapSubscriber", "LiveMapView", "SingleWatcherGuard"]

K_co = TypeVar("K_co", covariant=True)
V_co = TypeVar("V_co", covariant=True)
K_contra = TypeVar("K_contra", contravariant=True)
V_contra = TypeVar("V_contra", contravariant=True)


class LiveMapSubscriber(Protocol[K_contra, V_contra]):
    """Whom a feed tells. Each call returns when the change has been taken, in the order of the calls; the
    handles of ``update`` and ``delete`` are ready when it has been applied."""

    def update_all(self) -> Awaitable[None]:
        """Scan everything again, and wait until that has been applied."""

    def mark_ready(self) -> Awaitable[None]:
        """Say that everything up to the start of the watch has been told. In catch-up mode it does not
        return."""

    def update(self, key: K_contra, value: V_contra, /) -> Awaitable[Any]:
        """The entry is new, or its value has changed."""

    def delete(self, key: K_contra, /) -> Awaitable[Any]:
        """The entry is gone. Harmless for one that never was."""


@runtime_checkable
class LiveMapFeed(Protocol[K_co, V_co]):
    """A source of changes without a state to scan."""

    async def watch(self, subscriber: LiveMapSubscriber[K_co, V_co], /) -> None:
        """Tell ``subscriber`` of changes until cancelled, or until there can be no more. A second
        concurrent call raises ``RuntimeError``."""


@runtime_checkable
class LiveMapView(LiveMapFeed[K_co, V_co], Protocol[K_co, V_co]):
    """A source of changes whose present state can be scanned."""

    def __aiter__(self) -> AsyncIterator[tuple[K_co, V_co]]:
        """All entries, as of now."""


class SingleWatcherGuard:
    """Lets one watcher in at a time: ``with self._guard: ...`` round the body of ``watch()``."""

    __slots__ = ("_busy", "_what")

    def __init__(self, what: str) -> None:
        self._what = what
        self._busy = False

    def __enter__(self) -> None:
        if self._busy:
            raise RuntimeError(
                f"{self._what} is being watched already: a feed serves one watch() at a time; "
                "make one feed per mount_each()"
            )
        self._busy = True

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._busy, "left a guard that was not entered"
        self._busy = False
