"""A scheduler without a loop, for tests: virtual time, and any ready task may run next.

It runs one step at a time, so that a test can look between any two, and cancel. With no source of chance
it is first come, first served, as asyncio is, and keeps all rules of ``check_scheduler``.
"""

from __future__ import annotations

import contextlib
import heapq
import types
from collections.abc import Callable, Coroutine, Generator, Hashable
from contextvars import copy_context
from random import Random
from typing import Any, TypeVar

from liveproof.abc.scheduler import Scheduler

T = TypeVar("T")


class ShuffledCancelled(BaseException):
    """What cancelled tasks see here."""


class ShuffledTask:
    def __init__(self, coro: Coroutine[Any, Any, None], name: str) -> None:
        self.coro = coro
        self.name = name
        self.context = copy_context()
        self.parked_on: object = None
        self.is_parked = False  # Invariant: else it is ready, running or ended.
        self.is_cancelled = False  # asked for, and not yet seen
        self.ended = False

    def __repr__(self) -> str:
        return f"<{self.name}>"


class ShuffledTimer:
    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class ShuffledScheduler(Scheduler):
    cancelled: type[BaseException] = ShuffledCancelled

    def __init__(self, chance: Random | None = None) -> None:
        self.chance = chance
        self.ready: list[ShuffledTask] = []
        self.tasks: list[ShuffledTask] = []
        self.running: ShuffledTask | None = None
        self.timers: list[tuple[int, int, ShuffledTimer]] = []
        self.timers_made = 0
        self.time = 0

    # What a test drives it with

    def step(self) -> bool:
        """Run one ready task to its next wait; else move the clock. False if there is nothing to do."""
        if not self.ready:
            return self._advance()
        task = self.ready.pop(self.chance.randrange(len(self.ready)) if self.chance else 0)
        assert self.running is None
        assert not task.is_parked
        self.running = task
        try:
            task.context.run(self._resume, task)
        except (StopIteration, ShuffledCancelled):
            task.ended = True
        finally:
            self.running = None
        if not task.ended and not task.is_parked:
            self.ready.append(task)
        return True

    def run(self, main: Callable[[], Coroutine[Any, Any, None]]) -> None:
        task = self.spawn(main(), name="main")
        while not task.ended:
            assert self.step(), "the main task waits for ever"

    def discard(self) -> None:
        """Close what was left behind by a run that failed, in the tasks' own name."""
        for task in self.tasks:
            self.running = task
            with contextlib.suppress(Exception):
                task.coro.close()
        self.running = None

    def _resume(self, task: ShuffledTask) -> None:
        if task.is_cancelled:
            task.is_cancelled = False
            task.coro.throw(ShuffledCancelled())
        else:
            task.coro.send(None)
        if task.is_cancelled:  # asked for by the step itself: the park it ended in is over
            task.is_parked = False

    def _advance(self) -> bool:
        while self.timers:
            deadline, _, timer = heapq.heappop(self.timers)
            if timer.callback is not None:
                self.time = max(self.time, deadline)
                timer.callback()
                return True
        return False

    # Scheduler

    def now(self) -> int:
        return self.time

    def call_at(self, deadline_ns: int, callback: Callable[[], None], /) -> ShuffledTimer:
        timer = ShuffledTimer(callback)
        heapq.heappush(self.timers, (deadline_ns, self.timers_made, timer))
        self.timers_made += 1
        return timer

    def spawn(self, coro: Coroutine[Any, Any, None], /, *, name: str) -> ShuffledTask:
        task = ShuffledTask(coro, name)
        self.tasks.append(task)
        self.ready.append(task)
        return task

    def current(self) -> ShuffledTask:
        if self.running is None:
            raise RuntimeError("no task is running")
        return self.running

    @types.coroutine
    def park(self, on: object, /) -> Generator[None, None, None]:
        task = self.current()
        task.is_parked = True
        task.parked_on = on
        yield

    def unpark(self, task: Any, /) -> None:
        if task.is_parked:
            task.is_parked = False
            self.ready.append(task)

    def cancel(self, task: Any, /) -> None:
        if not task.ended:
            task.is_cancelled = True
            self.unpark(task)

    @types.coroutine
    def pause(self) -> Generator[None, None, None]:
        """Let others run."""
        yield

    async def run_blocking(self, fn: Callable[..., T], /, *args: Any) -> T:
        await self.pause()
        try:
            return copy_context().run(fn, *args)
        except StopIteration as error:
            raise RuntimeError(f"{fn!r} raised StopIteration") from error

    def touch(self, resource: Hashable, /, *, write: bool) -> None:
        hash(resource)
