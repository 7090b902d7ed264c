"""What is wrong without an exception: each kind has a program that must be found, and one that must not."""

# ruff: noqa: ASYNC110 - on purpose, in a simulation
from __future__ import annotations

import asyncio

import pytest

from liveproof_sim import (
    DeadlockError,
    LeakError,
    LivelockError,
    NondeterminismError,
    Status,
    UnretrievedError,
    check,
)
from liveproof_sim.explore.execution import Scenario

LONG = 1000


def failure(scenario: Scenario, kind: type[Exception], **options: object) -> str:
    verdict = check(scenario, **options)  # type: ignore[arg-type]
    assert verdict.failure is not None, verdict
    assert isinstance(verdict.failure.exception, kind), verdict.failure.report
    return str(verdict.failure.exception)


def clean(scenario: Scenario) -> None:
    verdict = check(scenario, executions=200)
    assert verdict.status is Status.SAMPLED, verdict.failure and verdict.failure.report


async def tick() -> None:
    while True:
        await asyncio.sleep(1)


def lost_notify(*, fixed: bool) -> Scenario:
    async def scenario() -> None:
        condition = asyncio.Condition()
        done = False

        async def waiter() -> None:
            async with condition:
                while fixed and not done:
                    await condition.wait()
                if not fixed:
                    await condition.wait()

        async def notifier() -> None:
            nonlocal done
            async with condition:
                done = True
                condition.notify_all()

        await asyncio.gather(waiter(), notifier())

    return scenario


def pulse(*, fixed: bool) -> Scenario:
    async def scenario() -> None:
        event = asyncio.Event()

        async def waiter() -> None:
            await event.wait()

        async def pulser() -> None:
            await asyncio.sleep(0)
            event.set()
            if not fixed:
                event.clear()

        await asyncio.gather(waiter(), pulser())

    return scenario


def test_a_lost_wake_up_is_named() -> None:
    text = failure(lost_notify(fixed=False), DeadlockError)
    assert "waiter#1 waits for Condition 'condition' (test_detection.py:" in text
    assert "; it was notified by notifier#1 (test_detection.py:" in text
    assert text.rstrip().endswith("when nobody waited")
    clean(lost_notify(fixed=True))
    text = failure(pulse(fixed=False), DeadlockError)
    assert "; it was set by pulser#1 (test_detection.py:" in text
    assert "when nobody waited, and cleared" in text
    clean(pulse(fixed=True))


def test_a_wake_up_that_woke_somebody_is_not_called_lost() -> None:
    async def scenario() -> None:
        condition = asyncio.Condition()

        async def waiter() -> None:
            async with condition:
                await condition.wait()
                await condition.wait()

        task = asyncio.create_task(waiter())
        await asyncio.sleep(1)
        async with condition:
            condition.notify_all()
        await task

    text = failure(scenario, DeadlockError)
    assert "waiter#1 waits for Condition 'condition'" in text
    assert "nobody waited" not in text


def test_a_lock_whose_holder_has_ended_is_told() -> None:
    async def scenario() -> None:
        lock = asyncio.Lock()

        async def takes() -> None:
            await lock.acquire()

        await takes()
        await asyncio.create_task(takes())

    async def other() -> None:
        lock = asyncio.Lock()

        async def takes() -> None:
            await lock.acquire()

        await asyncio.create_task(takes())
        await lock.acquire()

    assert "ring: takes#1 -> " not in failure(other, DeadlockError)
    assert "main waits for Lock 'lock' (" in failure(other, DeadlockError)
    assert "; takes#1 took it, and has ended" in failure(other, DeadlockError)
    assert "held by main" in failure(scenario, DeadlockError)


def ring(*, timeout: bool, ordered: bool = False) -> Scenario:
    async def scenario() -> None:
        left, right = asyncio.Lock(), asyncio.Lock()
        ticking = asyncio.create_task(tick())

        async def holder(first: asyncio.Lock, second: asyncio.Lock) -> None:
            try:
                async with asyncio.timeout(LONG if timeout else None), first:
                    await asyncio.sleep(1)
                    async with second:
                        pass
            except TimeoutError:
                pass

        await asyncio.gather(holder(left, right), holder(left, right) if ordered else holder(right, left))
        ticking.cancel()

    return scenario


def test_a_ring_is_told_at_the_step_that_closes_it() -> None:
    verdict = check(ring(timeout=False))
    assert verdict.failure is not None
    text = str(verdict.failure.exception)
    assert "while others still run: holder#1 -> holder#2 -> holder#1" in text
    assert "holder#1 waits for Lock 'second', held by holder#2" in text
    assert verdict.failure.trace is not None
    assert len(verdict.failure.trace.events) < 20  # and not when the ticks have reached some limit
    clean(ring(timeout=False, ordered=True))


def test_a_ring_that_somebody_gives_up_is_none() -> None:
    async def waited() -> None:
        lock = asyncio.Lock()
        ticking = asyncio.create_task(tick())

        async def twice() -> None:
            async with lock, lock:
                pass

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(twice(), 100)
        ticking.cancel()

    verdict = check(waited, executions=30)
    assert verdict.status is Status.SAMPLED, verdict.failure and verdict.failure.report
    assert check(ring(timeout=True), strategy="fifo").failure is None


def test_a_ring_beside_a_timeout_is_told_at_the_limit() -> None:
    async def scenario() -> None:
        lock = asyncio.Lock()

        async def busy() -> None:
            while True:
                await asyncio.wait_for(asyncio.sleep(1), 2)

        async def twice() -> None:
            async with lock, lock:
                pass

        await asyncio.gather(busy(), twice())

    text = failure(scenario, DeadlockError, steps=3000, shrinking=False)
    assert "twice#1 waits for Lock 'lock', held by twice#1" in text


def test_the_clean_up_after_a_run_is_not_stopped_by_a_ring() -> None:
    async def scenario() -> None:
        left, right = asyncio.Lock(), asyncio.Lock()

        async def one() -> None:
            async with left:
                try:
                    await asyncio.sleep(LONG)
                finally:
                    async with right:
                        pass

        async def two() -> None:
            async with right:
                try:
                    await asyncio.sleep(LONG)
                finally:
                    async with left:
                        pass

        tasks = [asyncio.create_task(each) for each in (one(), two())]
        await asyncio.sleep(1)
        assert not any(task.done() for task in tasks)

    assert "one#1" in failure(scenario, LeakError, executions=3, shrinking=False)


def test_who_swallows_a_cancellation_is_named() -> None:
    def stubborn(*, fixed: bool) -> Scenario:
        async def scenario() -> None:
            async def ignores() -> None:
                for _ in range(2):
                    try:
                        await asyncio.sleep(10)
                    except asyncio.CancelledError:
                        if fixed:
                            raise

            task = asyncio.create_task(ignores())
            await asyncio.sleep(1)
            task.cancel()
            await asyncio.sleep(1)

        return scenario

    text = failure(stubborn(fixed=False), LeakError)
    assert "ignores#1 (test_detection.py:" in text
    assert "although it was cancelled" in text
    clean(stubborn(fixed=True))

    async def spins() -> None:
        async def ignores() -> None:
            while True:
                try:
                    await asyncio.sleep(0)
                except asyncio.CancelledError:
                    pass

        task = asyncio.create_task(ignores())
        await asyncio.sleep(0)
        task.cancel()
        await task

    text = failure(spins, LivelockError, steps=3000, shrinking=False)
    assert "running: ignores#1 (cancelled, and went on)" in text


def test_an_exception_that_nobody_looks_at_is_told() -> None:
    def dropped(*, fixed: bool) -> Scenario:
        async def scenario() -> None:
            future = asyncio.get_running_loop().create_future()
            future.set_exception(LookupError("dropped"))
            if fixed:
                future.exception()

        return scenario

    assert "dropped" in failure(dropped(fixed=False), UnretrievedError)
    clean(dropped(fixed=True))


@pytest.mark.parametrize("pause", [0, 0.001, 0.5])
def test_a_livelock_is_told_whatever_its_pause(pause: float) -> None:
    async def retries() -> None:
        while True:
            await asyncio.sleep(pause)

    text = failure(retries, LivelockError, steps=20_000, shrinking=False)
    assert "no end after " in text


def test_a_livelock_that_begins_differently_is_no_livelock_but_chance() -> None:
    calls: list[int] = []

    async def retries() -> None:
        calls.append(1)
        for _ in calls:
            await asyncio.sleep(0)
        while True:
            await asyncio.sleep(1)

    with pytest.raises(NondeterminismError, match="two different runs"):
        check(retries, steps=20_000)
