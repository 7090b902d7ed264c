"""The asyncio scheduler keeps the rules, and the rules are seen to break."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context, ContextVar
from typing import Any, TypeVar

import pytest

from liveproof.abc.scheduler import Gate, Scheduler, Task, Timer
from liveproof.backends import asyncio_scheduler
from liveproof.backends.asyncio_scheduler import (
    AsyncioScheduler,
    current_task_or_none,
    has_running_loop,
    run,
    sleep_ns,
)
from liveproof.testing import check_scheduler

T = TypeVar("T")
MS = 1_000_000


# The rules ------------------------------------------------------------------------------------------


def test_conformance() -> None:
    check_scheduler(AsyncioScheduler, run)


class EarlyTimers(AsyncioScheduler):
    def call_at(self, deadline_ns: int, callback: Callable[[], None], /) -> Any:
        return super().call_at(deadline_ns - MS, callback)


class TimersOfPlainAsyncio(AsyncioScheduler):
    """Its heap knows only the time, so ties come as they fall."""

    def call_at(self, deadline_ns: int, callback: Callable[[], None], /) -> Any:
        def late() -> None:
            callback() if self.now() >= deadline_ns else self._loop.call_soon(late)

        return self._loop.call_at(deadline_ns / 1_000_000_000, late)


class TimersIgnoreCancel(AsyncioScheduler):
    def call_at(self, deadline_ns: int, callback: Callable[[], None], /) -> Any:
        super().call_at(deadline_ns, callback)
        return super().call_at(deadline_ns, lambda: None)


class SpawnWithoutContext(AsyncioScheduler):
    def spawn(self, coro: Coroutine[Any, Any, None], /, *, name: str) -> Any:
        return Context().run(super().spawn, coro, name=name)


class LastSpawnedFirst(AsyncioScheduler):
    """Starts tasks in the reverse order, if they were spawned in one step."""

    def __init__(self) -> None:
        super().__init__()
        self.fresh: list[Coroutine[Any, Any, None]] = []

    def spawn(self, coro: Coroutine[Any, Any, None], /, *, name: str) -> Any:
        self.fresh.append(coro)

        async def last() -> None:
            await self.fresh.pop()

        return super().spawn(last(), name=name)


class KeepsUnparks(AsyncioScheduler):
    """An unpark before the park is kept for it, as a thread's would be."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[Task, None] = {}

    def unpark(self, task: Task, /) -> None:
        if task not in self._parked:
            self.kept[task] = None
        super().unpark(task)

    async def park(self, on: object, /) -> None:
        if self.current() in self.kept:
            del self.kept[self.current()]
        else:
            await super().park(on)


class LateUnparks(AsyncioScheduler):
    """Looks whether the task is parked only in the next turn of the loop."""

    def unpark(self, task: Task, /) -> None:
        self._loop.call_soon(super().unpark, task)


class ForgetsToWake(AsyncioScheduler):
    def give(self, gate: Gate, /) -> None:
        pass


class LooksAtNoGate(AsyncioScheduler):
    """Whoever is woken goes on."""

    def through(self, gate: Gate, /, on: object) -> Awaitable[None] | None:
        if gate.is_open:
            return None
        gate.waiters = {**(gate.waiters or {}), self.current(): None}
        return self.park(on)


class HoldsAtOpenGates(AsyncioScheduler):
    def through(self, gate: Gate, /, on: object) -> Awaitable[None] | None:
        return self.park(on) if gate.is_open else super().through(gate, on)


class FetchesNothing(AsyncioScheduler):
    """Whoever is to wait until something has come goes on at once."""

    def until(self, gate: Gate, /, on: object) -> Awaitable[None] | None:
        return None


class KeepsWhoLeft(AsyncioScheduler):
    def through(self, gate: Gate, /, on: object) -> Awaitable[None] | None:
        async def wait() -> None:
            gate.waiters = {**(gate.waiters or {}), self.current(): None}
            while not gate.is_open:
                await self.park(on)

        return None if gate.is_open else wait()


class CancelsOnlyTheParked(AsyncioScheduler):
    def cancel(self, task: Task, /) -> None:
        if task in self._parked:
            super().cancel(task)


class CancelByUnpark(AsyncioScheduler):
    """The parked task goes on as if nothing had happened."""

    def cancel(self, task: Task, /) -> None:
        self.unpark(task)


class PlainRunInExecutor(AsyncioScheduler):
    """No context, hangs on StopIteration, abandons the call of a cancelled task."""

    async def run_blocking(self, fn: Callable[..., T], /, *args: Any) -> T:
        return await self._loop.run_in_executor(None, fn, *args)


class BlockingWithoutContext(AsyncioScheduler):
    async def run_blocking(self, fn: Callable[..., T], /, *args: Any) -> T:
        return await super().run_blocking(lambda: Context().run(fn, *args))


class BlockingInterrupted(AsyncioScheduler):
    """The wait of a cancelled task ends at once; the call goes on behind its back."""

    async def run_blocking(self, fn: Callable[..., T], /, *args: Any) -> T:
        waiting: Awaitable[T] = super().run_blocking(fn, *args)
        return await asyncio.shield(waiting)


class BlockingInterruptedTwice(AsyncioScheduler):
    """Shields the call from the first cancel only."""

    async def run_blocking(self, fn: Callable[..., T], /, *args: Any) -> T:
        waiting = asyncio.ensure_future(super().run_blocking(fn, *args))
        try:
            return await asyncio.shield(waiting)
        except asyncio.CancelledError:
            await asyncio.wait([waiting])
            raise


class FloatingTime(AsyncioScheduler):
    def now(self) -> Any:
        return self._loop.time() * 1e9


PLANTED = {
    EarlyTimers: "timers_are_never_early",
    TimersOfPlainAsyncio: "timers_call_in_order",
    TimersIgnoreCancel: "cancelled_timers_never_call",
    SpawnWithoutContext: "spawn_copies_context",
    LastSpawnedFirst: "spawn_is_deferred",
    KeepsUnparks: "unpark_twice_wakes_once",
    LateUnparks: "unpark_is_not_kept",
    ForgetsToWake: "gates_hold_until_they_are_open",
    LooksAtNoGate: "gates_hold_until_they_are_open",
    HoldsAtOpenGates: "open_gates_hold_nobody",
    FetchesNothing: "what_has_come_is_fetched",
    KeepsWhoLeft: "gates_can_be_left",
    CancelsOnlyTheParked: "cancel_before_the_first_step",
    CancelByUnpark: "cancel_ends_a_park",
    PlainRunInExecutor: "blocking_calls_raise",
    BlockingWithoutContext: "blocking_calls_copy_context",
    BlockingInterrupted: "blocking_calls_are_never_interrupted",
    BlockingInterruptedTwice: "blocking_calls_are_never_interrupted",
    FloatingTime: "time_never_goes_back",
}


@pytest.mark.parametrize(
    ("scheduler", "rule"), PLANTED.items(), ids=lambda item: getattr(item, "__name__", item)
)
def test_conformance_goes_red(
    scheduler: type[AsyncioScheduler], rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("liveproof.testing.scheduler.LIMIT_NS", 400 * MS)
    with pytest.raises(AssertionError, match=rf"breaks the rule {rule}: ") as caught:
        check_scheduler(scheduler, _run_quietly)
    assert "Here: " in str(caught.value)


def _run_quietly(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def quiet() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
        await main()

    run(quiet)


# What is asyncio's own -------------------------------------------------------------------------------


def test_needs_a_running_loop() -> None:
    with pytest.raises(RuntimeError, match=r"needs a running event loop: make it inside a coroutine"):
        AsyncioScheduler()


def with_scheduler(main: Callable[[AsyncioScheduler, list[dict[str, Any]]], Coroutine[Any, Any, T]]) -> T:
    """Run a test's body; the list gathers what reaches the loop's exception handler."""

    async def body() -> T:
        reports: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reports.append(context))
        scheduler = AsyncioScheduler()
        try:
            return await main(scheduler, reports)
        finally:
            scheduler._check()
            scheduler.close()

    return run(body)


def test_is_a_scheduler() -> None:
    async def main(s: AsyncioScheduler, _: list[dict[str, Any]]) -> None:
        as_protocol: Scheduler = s
        timer: Timer = as_protocol.call_at(s.now(), lambda: None)
        timer.cancel()

    with_scheduler(main)


def test_spawned_tasks_are_kept_alive() -> None:
    async def main(s: AsyncioScheduler, _: list[dict[str, Any]]) -> None:
        done: list[int] = []

        async def child(number: int) -> None:
            await s.park("nothing else refers to me")
            done.append(number)

        for number in range(50):
            s.spawn(child(number), name="child")
        await sleep_ns(0)
        gc.collect()
        for task in list(s._parked):
            s.unpark(task)
        await sleep_ns(MS)
        assert done == list(range(50))
        assert not s._tasks
        assert not s._parked

    with_scheduler(main)


def test_exception_of_a_task_is_reported() -> None:
    async def main(s: AsyncioScheduler, reports: list[dict[str, Any]]) -> None:
        error = LookupError("lost?")

        async def fail() -> None:
            raise error

        s.spawn(fail(), name="the culprit")
        s.cancel(s.spawn(s.park("for ever"), name="cancelled"))
        await sleep_ns(MS)
        assert [report["exception"] for report in reports] == [error]
        assert "'the culprit'" in reports[0]["message"]

    with_scheduler(main)


def test_task_factory_is_not_asked() -> None:
    async def main(s: AsyncioScheduler, _: list[dict[str, Any]]) -> None:
        ran: list[bool] = []

        async def child() -> None:
            ran.append(True)

        def refuse(*_: object, **__: object) -> Any:
            raise AssertionError

        asyncio.get_running_loop().set_task_factory(refuse)
        s.spawn(child(), name="child")
        asyncio.get_running_loop().set_task_factory(None)
        assert not ran
        await sleep_ns(0)
        assert ran

    with_scheduler(main)


def test_tasks_of_the_application_can_park() -> None:
    async def main(s: AsyncioScheduler, _: list[dict[str, Any]]) -> None:
        async def own() -> str:
            try:
                async with asyncio.timeout(0.01):
                    await s.park("cut short")
            except TimeoutError:
                await s.park("woken")
            return "woken"

        task = asyncio.create_task(own())
        await sleep_ns(30 * MS)
        s.unpark(task)
        assert await task == "woken"
        assert not s._parked

    with_scheduler(main)


def test_current_in_a_foreign_thread_is_refused() -> None:
    async def main(s: AsyncioScheduler, _: list[dict[str, Any]]) -> None:
        with pytest.raises(RuntimeError):
            await s.run_blocking(s.current)

    with_scheduler(main)


def test_cancel_wants_a_task() -> None:
    async def main(s: AsyncioScheduler, _: list[dict[str, Any]]) -> None:
        with pytest.raises(TypeError, match="not a task of asyncio: 'x'"):
            s.cancel("x")

    with_scheduler(main)


# Timers


def test_failing_callback_stops_no_other() -> None:
    async def main(s: AsyncioScheduler, reports: list[dict[str, Any]]) -> None:
        log: list[str] = []
        deadline = s.now() + MS
        s.call_at(deadline, lambda: log.append("before"))
        s.call_at(deadline, lambda: log.remove("not there"))
        s.call_at(deadline, lambda: log.append("after"))
        await sleep_ns(5 * MS)
        assert log == ["before", "after"]
        assert isinstance(reports[0]["exception"], ValueError)

    with_scheduler(main)


def test_callback_has_the_callers_context() -> None:
    async def main(s: AsyncioScheduler, _: list[dict[str, Any]]) -> None:
        var: ContextVar[str] = ContextVar("var")
        seen: list[str] = []
        var.set("first")
        s.call_at(s.now(), lambda: seen.append(var.get()))
        var.set("second")
        s.call_at(s.now() - MS, lambda: seen.append(var.get()))
        await sleep_ns(MS)
        assert seen == ["second", "first"]

    with_scheduler(main)


def test_cancelled_timers_are_cleaned_up() -> None:
    async def main(s: AsyncioScheduler, _: list[dict[str, Any]]) -> None:
        kept = [s.call_at(s.now() + 10**15 + number, lambda: None) for number in range(10)]
        for _number in range(10_000):
            s.call_at(s.now() + 10**12, lambda: None).cancel()
            assert len(s._timers) < 2 * asyncio_scheduler.STALE_TIMERS_MIN
        s._check()
        assert len([entry for entry in s._timers if entry[2] in kept]) == 10

    with_scheduler(main)


# Blocking work


def test_failure_nobody_waits_for_is_reported() -> None:
    async def main(s: AsyncioScheduler, reports: list[dict[str, Any]]) -> None:
        gate = threading.Event()
        error = LookupError("unseen?")

        def fail() -> None:
            gate.wait()
            raise error

        seen: list[BaseException] = []

        async def child() -> None:
            try:
                await s.run_blocking(fail)
            except asyncio.CancelledError as cancelled:
                seen.append(cancelled)
                raise

        task = s.spawn(child(), name="child")
        for _ in range(5):
            await sleep_ns(MS)
            s.cancel(task)
        assert not seen
        gate.set()
        while not seen:
            await sleep_ns(MS)
        assert seen[0].__cause__ is error
        assert [report["exception"] for report in reports] == [error]

    with_scheduler(main)


def test_queued_call_runs_although_cancelled() -> None:
    async def main() -> None:
        with concurrent.futures.ThreadPoolExecutor(1) as executor:
            s = AsyncioScheduler(executor=executor)
            gate = threading.Event()
            ran: list[bool] = []

            async def call(fn: Callable[[], object]) -> None:
                await s.run_blocking(fn)

            s.spawn(call(gate.wait), name="first")
            second = asyncio.create_task(call(lambda: ran.append(True)))
            await sleep_ns(MS)
            s.cancel(second)
            await sleep_ns(MS)
            assert not second.done()
            gate.set()
            await asyncio.wait([second])
            assert second.cancelled()
            assert ran
            s.close()
            executor.submit(int)  # close() leaves the application's executor alone

    run(main)


def test_pool_of_processes() -> None:
    async def main() -> None:
        spawning = multiprocessing.get_context("spawn")
        with concurrent.futures.ProcessPoolExecutor(1, mp_context=spawning) as executor:
            s = AsyncioScheduler(executor=executor)
            assert await s.run_blocking(os.getpid) != os.getpid()
            with pytest.raises(ValueError, match="invalid literal"):
                await s.run_blocking(int, "x")
            with pytest.raises(RuntimeError, match="raised StopIteration"):
                await s.run_blocking(next, iter(()))

    run(main)


def test_close() -> None:
    async def main() -> None:
        s = AsyncioScheduler()
        called: list[bool] = []
        slow = asyncio.create_task(s.run_blocking(time.sleep, 0.02))
        s.call_at(s.now() + MS, lambda: called.append(True))
        await sleep_ns(0)
        s.close()
        s.close()
        await slow  # handed over before: it runs to its end
        assert not called
        with pytest.raises(RuntimeError, match="closed"):
            await s.run_blocking(int)
        with pytest.raises(RuntimeError, match="closed"):
            s.call_at(0, lambda: None)

    run(main)


# For the application's layer --------------------------------------------------------------------------


def test_run_inside_a_loop_is_refused() -> None:
    async def main() -> None:
        with pytest.raises(RuntimeError, match="await the asynchronous form instead"):
            run(main)

    run(main)


def test_run_returns_and_raises() -> None:
    async def give() -> int:
        return 7

    async def fail() -> None:
        raise LookupError("out")

    assert run(give) == 7
    with pytest.raises(LookupError, match="out"):
        run(fail)


def test_ctrl_c_cancels_the_main_task() -> None:
    seen: list[str] = []

    async def main() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
            await AsyncioScheduler().park("for ever")
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    # A shell that starts a program in the background has it ignore the signal.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            run(main)
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == ["cancelled"]


def test_where_am_i() -> None:
    assert not has_running_loop()
    assert current_task_or_none() is None

    async def main(s: AsyncioScheduler, _: list[dict[str, Any]]) -> None:
        seen: list[object] = []
        assert has_running_loop()
        assert current_task_or_none() is s.current()
        s.call_at(0, lambda: seen.extend((has_running_loop(), current_task_or_none())))
        await sleep_ns(MS)
        assert seen == [True, None]

    with_scheduler(main)


def test_sleep_is_never_short() -> None:
    async def main(s: AsyncioScheduler, _: list[dict[str, Any]]) -> None:
        for ns in (0, -5, 1, 1000, MS, 3 * MS + 1):
            start = s.now()
            await sleep_ns(ns)
            assert s.now() - start >= ns

    with_scheduler(main)
