"""Waiting until a predicate holds, with what follows in the same step.

To a scheduler, a task behind a guard is ready while the predicate holds, and only then: whether it holds is
looked at after every step, and not again once the task has been chosen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Hashable
from contextvars import Context
from typing import Any, Protocol

from liveproof_sim.kernel.accesses import Accesses, Footprint, entered
from liveproof_sim.kernel.choices import Entry

__all__ = ["Guard", "GuardedLoop", "until"]


class GuardedLoop(Protocol):
    """What guards need of the loop, which looks at them."""

    accesses: Accesses | None
    _ready: list[Entry]

    def guard(self, guard: Guard) -> None: ...

    def let_go(self, guard: Guard) -> None: ...


class Guard:
    """What such a task awaits: as much of a future as a task needs. Make one, and await it."""

    _asyncio_future_blocking = False

    def __init__(
        self,
        loop: GuardedLoop,
        predicate: Callable[[], object],
        needs: Footprint | None = None,
        *,
        asked: bool = False,
    ) -> None:
        self._loop = loop
        self.asked = asked
        """whether it was asked before if the step had done nothing else"""
        self._needs = needs or {}  # what going on touches, besides what the predicate reads
        self._predicate = predicate
        self._error: BaseException | None = None
        self.callback: Any = None
        self.context: Context | None = None
        self.entry: Entry | None = None  # Invariant: in the loop's ready list, or None.
        self.since = 0
        """steps before the last step of time, when the wait began"""
        self.over = False

    def holds(self) -> bool:
        """Whether the task could go on now. Not an access of whoever ran last."""
        accesses = self._loop.accesses
        if accesses is None:
            return bool(self._predicate())
        with accesses.mute():
            return bool(self._predicate())

    def would_touch(self) -> tuple[Footprint, list[tuple[Hashable, Hashable]]]:
        """The footprint with which the task would go on, and what it would take."""
        accesses = self._loop.accesses
        assert accesses is not None
        before, joins = accesses.step, accesses.joins
        accesses.step, accesses.joins = dict(self._needs), []
        with entered(accesses):
            self._predicate()
        found = accesses.step, accesses.joins
        accesses.step, accesses.joins = before, joins
        return found

    # ---- what a task asks of a future

    def get_loop(self) -> Any:
        return self._loop

    def add_done_callback(self, callback: Any, *, context: Context | None = None) -> None:
        assert self.callback is None, "one task, one guard"
        self.callback, self.context = callback, context
        self._loop.guard(self)

    def cancel(self, msg: Any = None) -> bool:
        if self.over:
            return False
        self.set_exception(asyncio.CancelledError() if msg is None else asyncio.CancelledError(msg))
        return True

    def done(self) -> bool:
        """Whether nobody waits any more."""
        return self.over

    def set_exception(self, error: BaseException) -> None:
        """Have the task go on with this."""
        if self._loop.accesses is not None:
            self._loop.accesses.lost.append(self)
        self.over = True
        self._error = error
        if self.entry is None:
            self._loop.let_go(self)

    def result(self) -> None:
        if self._error is not None:
            raise self._error
        self.over = True
        self.entry = None

    def __await__(self) -> Generator[Any, None, None]:
        self._asyncio_future_blocking = True
        yield self
        return self.result()


async def until(loop: GuardedLoop, predicate: Callable[[], object]) -> None:
    """Return in a step in which ``predicate()`` is true, at once if it is now."""
    accesses = loop.accesses
    if accesses is None:
        if not predicate():
            await Guard(loop, predicate)
        return
    with accesses.mute():
        there = predicate()
    if not there:
        await Guard(loop, predicate)
    predicate()  # once more, for what it reads
