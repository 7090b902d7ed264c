"""The one source of time, tasks, waiting and blocking work.

The protocol is narrow on purpose: tasks *park* and are *unparked*, and every event, lock and queue
is written once above that (``core/sync.py``), so that all backends share their semantics and every
wait passes one point where an observer can say who waits for what.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Hashable
from typing import Any, Protocol, TypeVar

__all__ = ["Gate", "Scheduler", "Task", "Timer"]

T = TypeVar("T")


class Task(Protocol):
    """A running coroutine. Opaque: compared by identity, hashable, never inspected."""

    def __hash__(self) -> int: ...


class Timer(Protocol):
    """A pending call, as returned by :meth:`Scheduler.call_at`."""

    def cancel(self) -> None:
        """Forget the call. No effect once it has been made."""


class Gate(Protocol):
    """What tasks wait at until others have opened it. Once they have, it stays open for whoever waits; but see
    :meth:`Scheduler.until`."""

    waiters: dict[Task, None] | None
    """the scheduler's: who waits, if anybody ever did"""

    @property
    def is_open(self) -> bool:
        """Whether a task may pass."""


class Scheduler(Protocol):
    """What runs tasks. All methods but :meth:`run_blocking`'s work belong to the loop's own thread.

    A scheduler derives from this class, and has :meth:`through`, :meth:`until` and :meth:`give` from it.
    """

    __slots__ = ()

    @property
    def cancelled(self) -> type[BaseException]:
        """The exception that a cancelled task sees; not a subclass of ``Exception``."""

    def now(self) -> int:
        """Monotonic time in nanoseconds."""

    def call_at(self, deadline_ns: int, callback: Callable[[], None], /) -> Timer:
        """Call back once, not before ``now() >= deadline_ns``. Calls of one deadline keep their order."""

    def spawn(self, coro: Coroutine[Any, Any, None], /, *, name: str) -> Task:
        """Start a task in a copy of the caller's context variables. It first runs after the caller
        has yielded. An exception that leaves the coroutine is the spawner's bug, not a result."""

    def current(self) -> Task:
        """The task that is running. Raises ``RuntimeError`` outside one."""

    def park(self, on: object, /) -> Awaitable[None]:
        """Suspend the running task until :meth:`unpark`. ``on`` says what for, to people and to the
        simulator. May raise :attr:`cancelled`, and then the task is no longer parked."""

    def unpark(self, task: Task, /) -> None:
        """Let a parked task go on. No effect if it is not parked, or was unparked already."""

    def through(self, gate: Gate, /, on: object) -> Awaitable[None] | None:
        """What the running task has to await before it may pass the gate; None if nothing. ``on``: as of
        :meth:`park`. The simulator may say that there is something to await though the gate is open: so that
        what comes after is a step of its own, and it need not be known in which order others opened it."""
        return None if gate.is_open else _wait_at(self, gate, on)

    def until(self, gate: Gate, /, on: object) -> Awaitable[None] | None:
        """As :meth:`through`, of a gate that whoever passes may shut behind itself, such as one to things that have
        come and are fetched: what comes before it passes is fetched with the rest, and what comes after is not."""
        return None if gate.is_open else _wait_at(self, gate, on)

    def give(self, gate: Gate, /) -> None:
        """The running step has done its part of opening the gate, perhaps the last one."""
        if gate.waiters and gate.is_open:
            for task in gate.waiters:
                self.unpark(task)

    def cancel(self, task: Task, /) -> None:
        """Raise :attr:`cancelled` in the task at its current or next wait. No effect when it has ended."""

    def run_blocking(self, fn: Callable[..., T], /, *args: Any) -> Awaitable[T]:
        """Run ``fn(*args)`` off the loop, in a copy of the caller's context variables, and wait for
        its result. A started call is never interrupted: if the waiting task is cancelled, the wait ends
        (with :attr:`cancelled`) only after the call has ended."""

    def touch(self, resource: Hashable, /, *, write: bool) -> None:
        """Note that the running step reads or writes ``resource``. Free in production; the simulator
        derives from it which steps commute."""

    def contribute(self, resource: Hashable, /) -> None:
        """Note that the running step changes ``resource`` in a way that makes no difference to others who do: one
        more of a count, say. It does make one to whoever reads it."""
        self.touch(resource, write=True)


async def _wait_at(scheduler: Scheduler, gate: Gate, on: object) -> None:
    task = scheduler.current()
    if gate.waiters is None:
        gate.waiters = {}
    while not gate.is_open:
        gate.waiters[task] = None
        try:
            await scheduler.park(on)
        finally:
            gate.waiters.pop(task, None)
