"""Verdicts, detection, the world, and what people get to read."""

# ruff: noqa: ASYNC110 - on purpose, in a simulation
from __future__ import annotations

import asyncio
import time

import pytest

import liveproof as coco
from liveproof_sim import (
    DeadlockError,
    LeakError,
    LivelockError,
    MonitorError,
    OptionError,
    ScenarioError,
    Status,
    StopReason,
    UnretrievedError,
    World,
    check,
    explore,
)
from liveproof_sim.explore import statistics
from tests.sim import small


async def harmless() -> None:
    await asyncio.sleep(0)


def test_the_lattice() -> None:
    program, _ = small.independent(3, 3)
    proved = check(program, strategy="dfs")
    assert (proved.status, proved.executions, proved.exit_code) == (Status.PROVED, 20, 0)
    assert proved.unseen == 0
    assert "tasks switch only where they await" in str(proved)
    within = check(program, strategy="preemptions:bound=1")
    assert within.status is Status.PROVED_WITHIN
    assert "preemptions <= 1" in str(within)
    cut = check(program, strategy="dfs", executions=19)
    assert (cut.status, cut.reason, cut.exit_code) == (Status.INCONCLUSIVE, StopReason.EXECUTIONS, 3)
    sampled = check(program, executions=50)
    assert (sampled.status, sampled.exit_code) == (Status.SAMPLED, 0)
    assert 0 < sampled.unseen <= 1
    assert "proved" not in str(sampled)
    failed = check(small.loser(2))
    assert (failed.status, failed.exit_code) == (Status.FAILED, 1)
    assert check(program, seconds=0.0, executions=None).reason is StopReason.SECONDS


def test_statistics() -> None:
    assert statistics.unseen_estimate([1, 1, 2]) == 0.5
    assert statistics.unseen_estimate([]) == statistics.unseen_max([]) == 1.0
    # 5000 + 5000: nothing seen once; the slack is 4.56 * sqrt(ln 60 / 10000) = 0.0923.
    assert statistics.unseen_max([5000, 5000]) == pytest.approx(0.0923, abs=1e-3)
    assert statistics.excluded_above(299) == pytest.approx(0.01, abs=1e-4)


def test_a_deadlock_names_holders_and_the_ring() -> None:
    async def scenario() -> None:
        left, right = asyncio.Lock(), asyncio.Lock()

        async def one() -> None:
            async with left:
                await asyncio.sleep(1)
                async with right:
                    pass

        async def two() -> None:
            async with right:
                await asyncio.sleep(1)
                async with left:
                    pass

        await asyncio.gather(one(), two())

    verdict = check(scenario)
    assert verdict.failure is not None
    text = str(verdict.failure.exception)
    assert isinstance(verdict.failure.exception, DeadlockError)
    assert "one#1 waits for Lock 'right', held by two#1 (test_check.py:" in text
    assert "ring: one#1 -> two#1 -> one#1" in text


def test_a_ring_is_told_beside_a_ticking_timer() -> None:
    async def scenario() -> None:
        lock = asyncio.Lock()

        async def tick() -> None:
            while True:
                await asyncio.sleep(1)

        async def twice() -> None:
            async with lock, lock:
                pass

        await asyncio.gather(tick(), twice())

    began = time.monotonic()
    verdict = check(scenario, steps=3_000)
    assert verdict.failure is not None
    assert isinstance(verdict.failure.exception, DeadlockError)
    assert "twice#1 waits for Lock 'lock', held by twice#1" in str(verdict.failure.exception)
    assert time.monotonic() - began < 30


def test_livelocks_leaks_and_lost_exceptions() -> None:
    async def spin() -> None:
        flag = False
        while not flag:
            await asyncio.sleep(0)

    async def leak() -> None:
        _ = asyncio.get_running_loop().create_task(asyncio.sleep(5))

    async def stubborn() -> None:
        async def ignores() -> None:
            while True:
                try:
                    await asyncio.sleep(1)
                except asyncio.CancelledError:
                    pass

        task = asyncio.create_task(ignores())
        await asyncio.sleep(0.5)
        task.cancel()
        await task

    async def lost() -> None:
        async def fails() -> None:
            raise LookupError("lost")

        task = asyncio.create_task(fails())
        await asyncio.sleep(1)
        assert task.done()

    async def callback() -> None:
        asyncio.get_running_loop().call_soon(lambda: 1 / 0)
        await asyncio.sleep(1)

    for scenario, kind, words in (
        (spin, LivelockError, "no end after 3000 steps"),
        (leak, LeakError, "still running when the scenario returned: sleep#1"),
        (stubborn, LivelockError, "although it was cancelled|running: "),
        (lost, UnretrievedError, "fails#1 failed, and nobody looked: LookupError"),
        (callback, UnretrievedError, "ZeroDivisionError"),
    ):
        verdict = check(scenario, executions=3, steps=3_000, shrinking=False)
        assert verdict.failure is not None, scenario
        assert isinstance(verdict.failure.exception, kind), verdict.failure.report
        assert any(each in str(verdict.failure.exception) for each in words.split("|")), (
            verdict.failure.report
        )
    assert check(leak, executions=3, leaks=False).status is Status.SAMPLED


def test_a_livelock_is_told_in_under_a_second() -> None:
    async def spin() -> None:
        while True:
            await asyncio.sleep(0)

    began = time.process_time()
    assert check(spin, shrinking=False).status is Status.FAILED
    assert time.process_time() - began < 1


def test_monitors() -> None:
    async def never_three(world: World) -> None:
        count = 0
        world.always("never three", lambda: count != 3)
        for _ in range(4):
            await asyncio.sleep(0)
            count += 1

    async def in_time(world: World) -> None:
        done = False
        world.eventually("done", lambda: done, within=1)
        await world.clock.sleep(0.5 if world.draw(2) == 0 else 1.5)
        done = True

    async def at_all(world: World) -> None:
        world.eventually("done", lambda: False)

    async def reaches(world: World) -> None:
        world.sometimes("drew five", world.draw(6) == 5)
        world.sometimes("drew six", False)

    for scenario, words in ((never_three, "never three"), (in_time, "within 1 s"), (at_all, "never held")):
        verdict = check(scenario, executions=100)
        assert verdict.failure is not None, scenario
        assert isinstance(verdict.failure.exception, MonitorError)
        assert words in str(verdict.failure.exception)
    verdict = check(reaches, executions=200)
    assert verdict.missed == ["drew six"]
    assert check(reaches, strategy="dfs").executions == 6


def test_data_and_schedule_shrink_together() -> None:
    async def scenario(world: World) -> None:
        size = world.draw([1, 2, 3, 4], label="size")
        speed = world.draw(5, label="speed")
        if size >= 3 and speed >= 0:
            raise LookupError(f"size {size}, speed {speed}")

    verdict = check(scenario, seed=3)
    assert verdict.failure is not None
    assert str(verdict.failure.exception).endswith("size 3, speed 0")
    assert "drawn: size 2, speed 0" in verdict.failure.report


def test_quiet_waits_for_everything() -> None:
    async def scenario(world: World) -> None:
        log: list[str] = []

        async def later() -> None:
            await asyncio.sleep(10)
            log.append("later")

        task = world.spawn(later(), name="later")
        await world.quiet()
        assert log == ["later"]
        assert world.clock.now_ns == 10_000_000_000
        await task

    assert check(scenario, executions=20).status is Status.SAMPLED


def test_an_app_runs_in_the_world() -> None:
    built: list[str] = []

    @coco.fn
    async def leaf(name: str) -> None:
        built.append(name)

    @coco.fn
    async def main(names: list[str]) -> None:
        for name in names:
            await coco.mount(coco.component_subpath(name), leaf, name)

    async def scenario(world: World) -> None:
        built.clear()
        run = world.start(coco.App("small", main, ["a", "b"]))
        await run
        assert sorted(built) == ["a", "b"]

    verdict = check(scenario, executions=100)
    assert verdict.status is Status.SAMPLED, verdict.failure and verdict.failure.report
    assert verdict.behaviours > 1


def test_bad_input_is_refused_in_one_line() -> None:
    async def two(world: World, other: int) -> None:
        pass

    async def generator() -> object:
        yield 1

    for scenario, words in (
        (lambda: None, "async function"),
        (two, "takes world, other"),
        (generator, "async generator"),
    ):
        with pytest.raises(ScenarioError, match=words):
            check(scenario)
    for options, words in (
        ({"fidelity": "loose"}, "fidelity is one of 'any-order', 'fifo', not 'loose'"),
        ({"timers": "early"}, "timers is one of"),
        ({"executions": 0}, "at least 1"),
        ({"executions": None}, "has no end of its own"),
        ({"strategy": 3}, "a strategy is a name"),
    ):
        with pytest.raises(OptionError, match=words):
            check(harmless, **options)


def test_exploring_inside_a_running_loop_is_refused() -> None:
    async def main() -> None:
        check(harmless)

    with pytest.raises(ScenarioError, match="an event loop is running"):
        asyncio.run(main())


def test_fifo_fidelity_leaves_open_only_what_asyncio_does() -> None:
    async def tasks() -> None:
        await small.loser(2)()

    async def threads() -> None:
        log: list[str] = []
        await asyncio.gather(asyncio.to_thread(log.append, "a"), asyncio.to_thread(log.append, "b"))
        assert log == ["a", "b"]

    proved = check(tasks, strategy="dfs", fidelity="fifo")
    assert (proved.status, proved.executions) == (Status.PROVED, 1)
    assert "ready tasks run first in, first out" in str(proved)
    assert check(tasks, strategy="dfs").status is Status.FAILED
    found = check(threads, strategy="dfs", fidelity="fifo")
    assert found.failure is not None
    assert "if a timer or a thread is late" in found.failure.stock


def test_a_timer_may_be_late_by_so_much() -> None:
    async def scenario() -> None:
        async with asyncio.timeout(0.05):
            for _ in range(3):
                await asyncio.sleep(0)

    assert check(scenario, strategy="dfs").status is Status.FAILED
    assert check(scenario, strategy="dfs", lateness=0.04).status is Status.PROVED
    assert check(scenario, strategy="dfs", timers="discrete").status is Status.PROVED


def test_explore_makes_a_test() -> None:
    @explore(executions=20)
    async def test_harmless() -> None:
        await asyncio.sleep(0)

    assert test_harmless().status is Status.SAMPLED

    @explore()
    async def test_harmful() -> None:
        await small.loser(2)()

    with pytest.raises(LookupError) as caught:
        test_harmful()
    assert "replay(scenario, 'lp1-" in "".join(caught.value.__notes__)


def test_a_report_has_at_most_fifteen_rows_and_says_whether_stock_could() -> None:
    program = small.loser(30)
    verdict = check(program, executions=500)
    assert verdict.failure is not None
    report = verdict.failure.report.splitlines()
    assert len([line for line in report if line[:8].strip().replace(".", "").isdigit()]) <= 15
    assert "Possible only under another scheduler" in verdict.failure.report
    assert verdict.failure.minimal

    async def ordinary() -> None:
        await asyncio.sleep(0)
        raise LookupError("always")

    assert "Possible on the stock loop" in check(ordinary).failure.report  # type: ignore[union-attr]


def test_same_seed_same_search_other_seed_another() -> None:
    program = small.alternating(2)
    found = [check(program, seed=seed, shrinking=False) for seed in (1, 1, 2, 3, 4)]
    assert found[0].executions == found[1].executions
    assert found[0].failure is not None
    assert found[1].failure is not None
    assert found[0].failure.taken == found[1].failure.taken
    assert len({each.executions for each in found}) > 1
