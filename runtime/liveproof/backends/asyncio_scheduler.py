"""The scheduler of production: asyncio. The one module of the runtime that imports it.

- A parked task is a future in a dictionary, keyed by the task. So tasks that we did not spawn (the
  application's own) can park as well. The entry goes as the wait ends, however it ends.
- asyncio keeps timers in a heap ordered by their time alone, so that equal deadlines come in any
  order, and fires them up to a clock tick early. So we have our own heap of ``(deadline, number)``
  and ask asyncio for one timer only, the first. Each due call is then an ordinary loop callback: its
  context and its exceptions are asyncio's business.
- A blocking call that was handed over runs to its end, and its wait with it. Roads not taken:
  ``loop.run_in_executor`` (abandons the call when the waiter is cancelled, and hangs on
  ``StopIteration``) and withdrawing calls that are still queued (a cancelled waiter could not tell
  whether its call took effect).
"""

from __future__ import annotations

import asyncio
import heapq
import os
from collections.abc import Callable, Coroutine, Hashable
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Any, TypeVar

from liveproof.abc.scheduler import Scheduler, Task

__all__ = [
    "AsyncioScheduler",
    "current_task_or_none",
    "has_running_loop",
    "make_lock",
    "make_runner",
    "run",
    "running_loop",
    "sleep_ns",
]

T = TypeVar("T")

NS_PER_SECOND = 1_000_000_000
THREADS_MAX = 32  # what concurrent.futures itself settled on, for work that mostly waits for a disk
STALE_TIMERS_MIN = 64  # below this, cancelled timers are not worth a clean-up


class _Timer:
    """One pending call. After :meth:`cancel` it stays in the heap, empty, until its turn or a clean-up."""

    __slots__ = ("callback", "context", "scheduler")

    def __init__(self, scheduler: AsyncioScheduler, callback: Callable[[], None]) -> None:
        self.scheduler: AsyncioScheduler | None = scheduler  # Invariant: None once it has left the heap.
        self.callback: Callable[[], None] | None = callback
        self.context = copy_context()

    def cancel(self) -> None:
        if self.callback is not None:
            self.callback = None
            if self.scheduler is not None:
                self.scheduler._timer_cancelled()

    def fire(self) -> None:
        """Make the call, unless it was cancelled since it fell due."""
        callback, self.callback = self.callback, None
        if callback is not None:
            callback()


class AsyncioScheduler(Scheduler):
    """:class:`liveproof.abc.scheduler.Scheduler` on the running event loop."""

    __slots__ = (
        "_alarm",
        "_alarm_ns",
        "_closed",
        "_executor",
        "_loop",
        "_parked",
        "_pool",
        "_tasks",
        "_timers",
        "_timers_made",
        "_timers_stale",
    )

    def __init__(self, *, executor: Executor | None = None) -> None:
        """Bind to the running loop. Blocking calls run on ``executor``, which stays the caller's to shut
        down; without one, on a pool of threads of our own, made at the first call."""
        try:
            self._loop = asyncio.get_running_loop()
        except RuntimeError:
            raise RuntimeError(
                "AsyncioScheduler() needs a running event loop: make it inside a coroutine, or use run(main)"
            ) from None
        self._executor = executor
        self._pool: ThreadPoolExecutor | None = None
        self._closed = False
        self._tasks: dict[asyncio.Task[None], None] = {}  # asyncio itself keeps only weak references
        self._parked: dict[Task, asyncio.Future[None]] = {}  # Invariant: unless just cancelled, not done.
        self._timers: list[tuple[int, int, _Timer]] = []  # a heap; the number decides ties
        self._timers_made = 0
        self._timers_stale = 0  # Invariant: the number of cancelled timers in the heap.
        self._alarm: asyncio.TimerHandle | None = None  # Invariant: set if there are timers, for the first.
        self._alarm_ns = 0

    @property
    def cancelled(self) -> type[BaseException]:
        """What a cancelled task sees."""
        return asyncio.CancelledError

    def close(self) -> None:
        """Shut down our pool of threads, without waiting, and forget all timers. Calls that were handed
        over still run to their end; another one raises ``RuntimeError``. Repeating has no effect."""
        self._closed = True
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        self._timers.clear()
        self._timers_stale = 0
        if self._pool is not None:
            self._pool.shutdown(wait=False)
            self._pool = None

    # Time ---------------------------------------------------------------------------------------

    def now(self) -> int:
        """Nanoseconds of the loop's clock, which may be a virtual one."""
        return int(self._loop.time() * NS_PER_SECOND)

    def call_at(self, deadline_ns: int, callback: Callable[[], None], /) -> _Timer:
        """Call back once, in the caller's context, not before its time. Ties keep their order."""
        self._require_open()
        timer = _Timer(self, callback)
        heapq.heappush(self._timers, (deadline_ns, self._timers_made, timer))
        self._timers_made += 1
        if self._alarm is None or deadline_ns < self._alarm_ns:
            self._set_alarm()
        return timer

    def _set_alarm(self) -> None:
        """Have the loop wake us for the first timer."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if self._timers:
            self._alarm_ns = self._timers[0][0]
            self._alarm = self._loop.call_at(self._alarm_ns / NS_PER_SECOND, self._fire_due)

    def _fire_due(self) -> None:
        """Hand what is due to the loop, in order. Not before its time: asyncio may wake us a tick early."""
        self._alarm = None
        now = self.now()
        while self._timers and self._timers[0][0] <= now:
            timer = heapq.heappop(self._timers)[2]
            timer.scheduler = None
            if timer.callback is None:
                self._timers_stale -= 1
            else:
                self._loop.call_soon(timer.fire, context=timer.context)
        self._set_alarm()

    def _timer_cancelled(self) -> None:
        """Count it; once most of the heap is stale, rebuild it (amortised constant per cancel)."""
        self._timers_stale += 1
        if self._timers_stale > STALE_TIMERS_MIN and self._timers_stale * 2 > len(self._timers):
            self._timers = [entry for entry in self._timers if entry[2].callback is not None]
            heapq.heapify(self._timers)
            self._timers_stale = 0
            self._set_alarm()

    # Tasks --------------------------------------------------------------------------------------

    def spawn(self, coro: Coroutine[Any, Any, None], /, *, name: str) -> Task:
        """Start a task. It first runs after the caller has yielded, whatever the loop's task factory."""
        # Not loop.create_task: asyncio.eager_task_factory would start the task at once.
        task = asyncio.Task(coro, loop=self._loop, name=name)
        self._tasks[task] = None
        task.add_done_callback(self._task_ended)
        return task

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        """Let go of a task we spawned. An exception that left it is a bug, and is never lost."""
        del self._tasks[task]
        assert task not in self._parked
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            self._loop.call_exception_handler(
                {
                    "message": f"liveproof: an exception left the task {task.get_name()!r}",
                    "exception": error,
                    "task": task,
                }
            )

    def current(self) -> Task:
        """The running task, whoever spawned it."""
        task = asyncio.current_task()  # no loop given: in a foreign thread this raises, as it should
        if task is None:
            raise RuntimeError("no task is running here: this is a callback of the event loop")
        return task

    async def park(self, on: object, /) -> None:
        """Wait for :meth:`unpark`."""
        task = self.current()
        assert task not in self._parked
        self._parked[task] = future = self._loop.create_future()
        try:
            await future
        finally:
            # Still there if the wait was cancelled. After an unpark the entry is gone already.
            self._parked.pop(task, None)

    def unpark(self, task: Task, /) -> None:
        """Let a parked task go on; else nothing."""
        future = self._parked.pop(task, None)
        if future is not None and not future.done():  # done: cancelled, and not yet run
            future.set_result(None)

    def cancel(self, task: Task, /) -> None:
        """Cancel the task; one that has not begun never begins."""
        if not isinstance(task, asyncio.Task):
            raise TypeError(f"not a task of asyncio: {task!r}")
        task.cancel()

    def touch(self, resource: Hashable, /, *, write: bool) -> None:
        """Nothing: only the simulator wants to know."""

    def contribute(self, resource: Hashable, /) -> None:
        """Nothing, either."""

    # Blocking work ------------------------------------------------------------------------------

    async def run_blocking(self, fn: Callable[..., T], /, *args: Any) -> T:
        """As in the protocol; the call is handed over at the first ``await``. Of a processes' pool, ``fn``
        does not get the caller's context, which cannot leave its process."""
        job = self._submit(fn, args)
        ended = self._loop.create_future()
        job.add_done_callback(partial(_call_ended, self._loop, ended))
        cancelled: asyncio.CancelledError | None = None
        while not ended.done():
            try:
                await asyncio.shield(ended)
            except asyncio.CancelledError as error:
                cancelled = cancelled or error
        assert job.done()
        if cancelled is not None:
            self._report_unseen(fn, job, cancelled)
            raise cancelled
        try:
            return job.result()
        except StopIteration as error:  # it would look like the end of this coroutine
            raise RuntimeError(f"{fn!r} raised StopIteration") from error

    def _submit(self, fn: Callable[..., T], args: tuple[Any, ...]) -> Future[T]:
        self._require_open()
        executor = self._executor or self._pool
        if executor is None:
            threads = min(THREADS_MAX, (os.cpu_count() or 1) + 4)
            executor = self._pool = ThreadPoolExecutor(threads, thread_name_prefix="liveproof")
        if isinstance(executor, ProcessPoolExecutor):
            return executor.submit(fn, *args)
        return executor.submit(copy_context().run, fn, *args)

    def _report_unseen(self, fn: Callable[..., T], job: Future[T], cancelled: BaseException) -> None:
        """Nobody will see how the call of a cancelled task failed: chain it, and tell the loop."""
        error = None if job.cancelled() else job.exception()
        if error is not None:
            cancelled.__cause__ = error
            self._loop.call_exception_handler(
                {
                    "message": f"liveproof: {fn!r} failed after the task that waited for it was cancelled",
                    "exception": error,
                }
            )

    def _require_open(self) -> None:
        if self._closed:
            raise RuntimeError("this AsyncioScheduler is closed")

    def _check(self) -> None:
        """Raise ``AssertionError`` if an invariant is broken. Linear in timers and tasks."""
        assert self._timers_stale == sum(entry[2].callback is None for entry in self._timers)
        assert all(entry[2].scheduler is self for entry in self._timers)
        if self._timers:
            assert self._alarm is not None
            assert self._alarm_ns <= self._timers[0][0]
        for future in self._parked.values():
            assert future.cancelled() or not future.done()


def _call_ended(loop: asyncio.AbstractEventLoop, ended: asyncio.Future[None], _: Future[Any]) -> None:
    """In the thread of the call: wake the task that waits for it."""
    try:
        loop.call_soon_threadsafe(ended.set_result, None)
    except RuntimeError:
        if not loop.is_closed():  # closed: nobody waits any more
            raise


# For the application's layer, so that asyncio stays in this module ----------------------------------


def run(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run ``main()`` on a new event loop, to its end, as :func:`asyncio.run` does (Ctrl-C cancels it)."""
    if has_running_loop():
        raise RuntimeError("an event loop is running in this thread: await the asynchronous form instead")
    return asyncio.run(main())


def has_running_loop() -> bool:
    """Whether this thread is inside an event loop."""
    return running_loop() is not None


def current_task_or_none() -> Task | None:
    """The running task; None outside of one, or of any loop."""
    return None if running_loop() is None else asyncio.current_task()


def running_loop() -> asyncio.AbstractEventLoop | None:
    """The loop that this thread is inside of, if any."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


async def sleep_ns(ns: int) -> None:
    """Wait at least that long, by the running loop's clock. Zero or less: let the others run once."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + ns / NS_PER_SECOND
    await asyncio.sleep(ns / NS_PER_SECOND)
    while (remaining := deadline - loop.time()) > 0:  # noqa: ASYNC110 - asyncio may wake us a tick early
        await asyncio.sleep(remaining)


def make_lock() -> asyncio.Lock:
    """A lock of the running loop, for what happens before there is a scheduler."""
    return asyncio.Lock()


def make_runner() -> asyncio.Runner:
    """An event loop that is kept between several runs, for blocking callers."""
    return asyncio.Runner()
