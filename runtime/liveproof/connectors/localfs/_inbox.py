"""What a watch has told and nobody has looked at yet.

A task of its own empties the watch all the time, so that the system's queue does not overflow while a long
scan is under way, and so that a thousand writes to one file become one look.
"""

from __future__ import annotations

from typing import NamedTuple

from liveproof.abc.filesystem import Watch
from liveproof.abc.scheduler import Scheduler, Task, Timer

__all__ = ["Inbox", "News"]


class News(NamedTuple):
    """What has happened since the last time."""

    paths: list[str]
    lost: bool
    """The watch is no longer whole: make a new one, and look at everything."""
    due: bool
    """It is time for a scan."""


class Inbox:
    """Collects the changes of one watch after another, for one reader."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._paths: dict[str, None] = {}
        self._lost = False
        self._due = False
        self.waiters: dict[Task, None] | None = None
        self._pump: Task | None = None
        self._watch: Watch | None = None
        self._timer: Timer | None = None
        self._deadline_ns = 0

    def connect(self, watch: Watch) -> None:
        """Take over ``watch``, and close it in the end."""
        assert self._watch is None, "connected already"
        self._watch = watch
        self._pump = self._scheduler.spawn(self._collect(watch), name="liveproof: watch")

    def disconnect(self) -> None:
        """Close the watch, and forget what it told: whoever does this is going to look at everything."""
        if self._watch is not None:
            assert self._pump is not None, "a watch without its task"
            self._scheduler.cancel(self._pump)
            self._watch.close()
        self._watch = self._pump = None
        self._paths.clear()
        self._lost = False

    async def _collect(self, watch: Watch) -> None:
        try:
            while True:
                paths, lost = await watch.changes()
                if watch is not self._watch:
                    return
                self._paths.update(dict.fromkeys(paths))
                self._lost = self._lost or lost
                self._scheduler.give(self)
        except OSError:
            # Whatever broke it: a new one will do, or say why not.
            if watch is self._watch:
                self._lost = True
                self._scheduler.give(self)

    def remind(self, after_ns: int | None) -> None:
        """Have :meth:`take` return after so long, or when an earlier reminder falls due. ``None``: never
        mind."""
        if after_ns is None:
            return
        deadline_ns = self._scheduler.now() + after_ns
        if self._timer is not None:
            if self._deadline_ns <= deadline_ns:
                return
            self._timer.cancel()
        self._deadline_ns = deadline_ns
        self._timer = self._scheduler.call_at(deadline_ns, self._is_due)

    def _is_due(self) -> None:
        self._timer = None
        self._due = True
        self._scheduler.give(self)

    @property
    def is_open(self) -> bool:
        """Whether there is something to look at."""
        return bool(self._paths or self._lost or self._due)

    async def take(self) -> News:
        """Wait for something to look at, and take it. For one reader at a time."""
        wait = self._scheduler.until(self, on=self)
        if wait is not None:
            await wait
        news = News(list(self._paths), self._lost, self._due)
        self._paths.clear()
        self._lost = self._due = False
        return news

    def close(self) -> None:
        """Disconnect, and forget the reminder."""
        self.disconnect()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def __repr__(self) -> str:
        return "<changes of the file system>"
