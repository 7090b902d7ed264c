"""How many components are in flight at once, without ever stopping a parent that waits for children.

A component holds a place while it works and gives it up while it waits for other components: for a
handle's ``ready()``, for a ``use_mount`` or for its children at its end. A parent that comes back has
precedence over a child that has not started. So every place is held by somebody who can go on without
another place, and whatever the limit, somebody always can.

What is shared here is told of to the scheduler, and by nothing else (``TOUCHES``). As long as no more places were
taken in all than there are, nobody can have had to wait, in whatever order: taking one and giving one up make no
difference to anybody else.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from liveproof.abc.scheduler import Scheduler, Task

__all__ = ["Limiter", "Startable"]


TOUCHES = True
"""To whoever watches what is read and written: not what the lines of this module say, but what they ``touch``."""
QUEUE_MIN = 16
"""Components that may wait to start, at least, before whoever mounts more is held back."""


class Startable(Protocol):
    """Something that needs a place to run."""

    def start(self) -> None:
        """Begin; a place is held. Must not block."""

    def refuse(self) -> None:
        """The run is over; it will never start."""


class Limiter:
    """``capacity`` places for components in flight."""

    __slots__ = (
        "_closed",
        "_full",
        "_queue_max",
        "_returning",
        "_scheduler",
        "_starting",
        "_taken",
        "_used",
        "capacity",
    )

    def __init__(self, scheduler: Scheduler, capacity: int) -> None:
        if capacity < 1:
            raise ValueError(f"max_inflight_components must be at least 1, not {capacity}")
        self._scheduler = scheduler
        self.capacity = capacity
        self._queue_max = max(QUEUE_MIN, capacity // 8)
        self._used = 0
        self._taken = 0
        """How often a place was asked for."""
        self._closed = False
        self._starting: deque[Startable] = deque()
        self._returning: dict[Task, bool] = {}
        """Tasks that want their place back, in order; True once they have been given it."""
        self._full: dict[Task, None] = {}
        """Mounting tasks held back because too much is waiting to start."""

    def _touch(self) -> None:
        if self._taken > self.capacity:
            self._scheduler.touch(self, write=True)
        else:
            self._scheduler.contribute(self)

    @property
    def crowded(self) -> bool:
        """Whether so much waits to start that whoever mounts more should pause (memory, not safety)."""
        self._touch()
        return len(self._starting) >= self._queue_max

    def start(self, child: Startable) -> None:
        """Start ``child`` now, or as soon as there is a place."""
        self._taken += 1
        self._touch()
        if self._closed:
            child.refuse()
        elif self._used < self.capacity and not self._starting:
            self._used += 1
            child.start()
        else:
            self._starting.append(child)

    def release(self) -> None:
        """Give a place up."""
        self._touch()
        assert self._used > 0, "a place was given up twice"
        self._used -= 1
        self._hand_out()

    def _hand_out(self) -> None:
        while self._used < self.capacity:
            for task, given in self._returning.items():
                if not given:
                    self._returning[task] = True
                    self._used += 1
                    self._scheduler.unpark(task)
                    break
            else:
                if not self._starting:
                    break
                self._used += 1
                self._starting.popleft().start()
        if self._full and not self.crowded:
            waiting, self._full = self._full, {}
            for task in waiting:
                self._scheduler.unpark(task)

    async def reacquire(self) -> None:
        """Wait for a place again. Cancelled, it holds none."""
        self._taken += 1
        self._touch()
        if self._used < self.capacity and not self._returning:
            self._used += 1
            return
        task = self._scheduler.current()
        assert task not in self._returning, "one task can't wait for two places"
        self._returning[task] = False
        try:
            while not self._returning[task]:
                await self._scheduler.park(self)
        except BaseException:
            if self._returning.pop(task):
                self.release()
            raise
        del self._returning[task]

    async def room(self) -> None:
        """Wait until it is not crowded (the caller holds no place meanwhile)."""
        task = self._scheduler.current()
        while self.crowded:
            self._full[task] = None
            try:
                await self._scheduler.park(self)
            finally:
                self._full.pop(task, None)

    def refuse_all(self) -> None:
        """Refuse everything that has not started, and whatever comes."""
        self._scheduler.touch(self, write=True)
        self._closed = True
        starting, self._starting = self._starting, deque()
        for child in starting:
            child.refuse()
        self._hand_out()

    def __repr__(self) -> str:
        return f"<a free place in flight ({self._used} of {self.capacity} taken)>"

    def _check(self) -> None:
        """Invariants; O(waiting)."""
        assert 0 <= self._used <= self.capacity
        if self._used < self.capacity:
            assert not self._starting
            assert all(self._returning.values())
