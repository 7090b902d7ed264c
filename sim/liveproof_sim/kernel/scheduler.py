"""The scheduler of the simulator: the runtime's protocol on :class:`SimLoop`.

A parked task waits for a future of its own, so that to the loop it is a task like any other; ``touch`` tells
a search that reduces what the running step reads and writes. Blocking calls are jobs of the loop, waited for to their
end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from typing import Any, TypeVar

from liveproof.abc.scheduler import Gate, Scheduler, Task
from liveproof_sim.errors import PowerCut
from liveproof_sim.kernel.accesses import ADD, PART, READ, WRITE, Accesses
from liveproof_sim.kernel.guards import Guard
from liveproof_sim.kernel.jobs import Job
from liveproof_sim.kernel.loop import SimLoop, SimTimer
from liveproof_sim.kernel.plumbing import silent
from liveproof_sim.kernel.traced import TracedTask

__all__ = ["SimScheduler"]

T = TypeVar("T")


class SimScheduler(Scheduler):
    """:class:`liveproof.abc.scheduler.Scheduler` on the running :class:`SimLoop`."""

    __slots__ = ("_loop", "_parked")

    def __init__(self, loop: SimLoop | None = None) -> None:
        running = loop or asyncio.get_running_loop()
        if not isinstance(running, SimLoop):
            raise RuntimeError(
                f"SimScheduler() needs a SimLoop, not {type(running).__name__}: run it in a simulation"
            )
        self._loop = running
        self._parked: dict[Task, asyncio.Future[None]] = {}  # Invariant: unless just cancelled, not done.

    @property
    def cancelled(self) -> type[BaseException]:
        """What a cancelled task sees."""
        return asyncio.CancelledError

    def now(self) -> int:
        """Virtual nanoseconds."""
        return self._loop.now_ns

    def call_at(self, deadline_ns: int, callback: Callable[[], None], /) -> SimTimer:
        """Call back once, in the caller's context, not before its time. Ties keep their order."""
        return self._loop.call_at_ns(deadline_ns, callback)

    def spawn(self, coro: Coroutine[Any, Any, None], /, *, name: str) -> Task:
        """Start a task. It first runs after the caller has yielded."""
        try:
            kind = asyncio.Task if self._loop.accesses is None else TracedTask
        except PowerCut:  # of somebody who unwinds: it was never begun, and Python need not warn of that
            coro.close()
            raise
        task = kind(coro, loop=self._loop, name=name)  # not create_task: a factory may be eager
        self._loop.tasks.append(task)
        task.add_done_callback(self._task_ended)
        return task

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        """An exception that left a task is a bug, and is never lost."""
        assert task not in self._parked
        if not task.cancelled() and (error := task.exception()) is not None:
            message = f"liveproof: an exception left the task {task.get_name()!r}"
            self._loop.call_exception_handler({"message": message, "exception": error, "task": task})

    def current(self) -> Task:
        """The running task, whoever spawned it."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("no task is running here: this is a callback of the event loop")
        return task

    async def park(self, on: object, /) -> None:
        """Wait for :meth:`unpark`."""
        task = self.current()
        assert task not in self._parked
        self._note_parked(task)
        self._parked[task] = future = self._loop.create_future()
        try:
            await future
        finally:
            self._parked.pop(task, None)  # still there if the wait was cancelled

    def unpark(self, task: Task, /) -> None:
        """Let a parked task go on; else nothing."""
        self._note_parked(task)
        future = self._parked.pop(task, None)
        if future is not None and not future.done():  # done: cancelled, and not yet run
            future.set_result(None)

    def _note_parked(self, task: Task) -> None:
        if self._loop.accesses is not None and self._loop.causes is not None:
            self._loop.accesses.write(("parked", self._loop.causes.label(task)))

    def through(self, gate: Gate, /, on: object) -> Awaitable[None] | None:
        """To a search that reduces: going on is a step that comes after all that opened the gate, in whatever order
        they did, and without racing with them."""
        accesses = self._loop.accesses
        if accesses is None or not accesses.knows(gate):  # by another name it would come after too many
            return super().through(gate, on)
        return self._pass(accesses, gate, on)

    async def _pass(self, accesses: Accesses, gate: Gate, on: object) -> None:
        name = accesses.name(gate)
        with accesses.mute():
            at_once = gate.is_open
        if not accesses.alone() or not at_once:
            await Guard(self._loop, lambda: gate.is_open, asked=True)
        accesses.take(("passed", name, accesses.maker), ("given", name))

    def until(self, gate: Gate, /, on: object) -> Awaitable[None] | None:
        """To a search that reduces: going on is a step of its own, which races with those who give and with others
        who fetch."""
        accesses = self._loop.accesses
        if accesses is None or not accesses.knows(gate):
            return super().until(gate, on)
        return self._fetch(accesses, gate)

    async def _fetch(self, accesses: Accesses, gate: Gate) -> None:
        given = ("given", accesses.name(gate))

        def is_open() -> bool:
            with accesses.mute():
                return gate.is_open

        if not accesses.alone() or not is_open():
            await Guard(self._loop, is_open, {given: PART}, asked=True)
        accesses.fetch(given)

    def give(self, gate: Gate, /) -> None:
        """Those who wait behind a guard need not be woken."""
        accesses = self._loop.accesses
        if accesses is not None and accesses.knows(gate):
            accesses.add(("given", accesses.name(gate)))
        super().give(gate)

    def cancel(self, task: Task, /) -> None:
        """Cancel the task; one that has not begun never begins."""
        if not isinstance(task, asyncio.Task):
            raise TypeError(f"not a task of asyncio: {task!r}")
        task.cancel()

    def touch(self, resource: Hashable, /, *, write: bool) -> None:
        """Tell a search that reduces, if there is one."""
        self._note(resource, WRITE if write else READ)

    def contribute(self, resource: Hashable, /) -> None:
        """The same, of a change that commutes with others of its kind."""
        self._note(resource, ADD)

    def _note(self, resource: Hashable, modes: int) -> None:
        accesses = self._loop.accesses
        if accesses is not None:
            plain = isinstance(resource, (str, tuple))
            accesses.note(resource if plain else accesses.name(resource), modes)

    async def run_blocking(self, fn: Callable[..., T], /, *args: Any) -> T:
        """The call is a step of its own; the wait for it ends only after it, however often it is
        cancelled."""
        job = self._loop.jobs.start(fn, args)
        cancelled: asyncio.CancelledError | None = None
        while not job.future.done():
            try:
                await asyncio.shield(job.future)
            except asyncio.CancelledError as error:
                cancelled = cancelled or error
            except Exception:  # noqa: BLE001 - the call's own: raised below, unless the task was cancelled
                break
        if cancelled is not None:
            self._report_unseen(job, cancelled)
            raise cancelled
        result: T = job.future.result()
        return result

    def _report_unseen(self, job: Job, cancelled: BaseException) -> None:
        """Nobody will see how the call of a cancelled task failed: chain it, and tell the loop."""
        error = None if job.future.cancelled() else job.future.exception()
        if error is not None:
            cancelled.__cause__ = error
            self._loop.call_exception_handler(
                {
                    "message": f"liveproof: {job.name!r} failed after the task that waited was cancelled",
                    "exception": error,
                }
            )

    def _check(self) -> None:
        """Raise ``AssertionError`` if an invariant is broken. Linear in parked tasks."""
        for future in self._parked.values():
            assert future.cancelled() or not future.done()


silent(SimScheduler._task_ended)
