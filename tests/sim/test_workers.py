"""Explorations that several processes share: the same executions, the same failure, nothing silent."""

from __future__ import annotations

import asyncio
import io
import multiprocessing
import os

import pytest
from rich.console import Console

from liveproof_sim import (
    NondeterminismError,
    OptionError,
    Status,
    StopReason,
    WorkerError,
    World,
    check,
    explore,
    replay,
)
from liveproof_sim.explore.explorer import Explorer
from liveproof_sim.explore.scenario import Bound
from liveproof_sim.explore.strategies import Standing, make
from liveproof_sim.report.progress import shown


async def safe() -> None:
    async def one() -> None:
        for _ in range(3):
            await asyncio.sleep(0)

    await asyncio.gather(one(), one(), one())


async def rare() -> None:
    """Fails where the first is overtaken again and again."""
    done = 0

    async def quick() -> None:
        assert done < 6, "the quick one was last"

    async def slow() -> None:
        nonlocal done
        for _ in range(6):
            done += 1
            await asyncio.sleep(0)

    await asyncio.gather(quick(), slow())


async def points(world: World) -> None:
    world.sometimes("two", world.draw(3) == 2)
    world.sometimes("never", condition=False)
    await asyncio.sleep(0)


async def dies() -> None:
    await asyncio.sleep(0)
    if multiprocessing.parent_process() is not None:
        os._exit(7)


async def differs() -> None:
    for _ in range(1 + (multiprocessing.parent_process() is not None)):
        await asyncio.sleep(0)


async def given(limit: int) -> None:
    seen: list[int] = []

    async def one(number: int) -> None:
        await asyncio.sleep(0)
        seen.append(number)

    await asyncio.gather(*(one(number) for number in range(limit)))
    assert seen != [2, 1, 0]


@explore(executions=30, workers=2)
async def decorated() -> None:
    await safe()


@pytest.mark.parametrize("strategy", ["random", "pos"])
def test_several_workers_run_what_one_process_runs(strategy: str) -> None:
    one, two, three = (check(safe, strategy=strategy, executions=200, seed=5, workers=n) for n in (1, 2, 3))
    assert one.status is Status.SAMPLED
    for other in (two, three):
        other.seconds = one.seconds
        assert other == one


@pytest.mark.parametrize("strategy", ["random", "pos"])
def test_the_failure_is_the_one_that_one_process_finds(strategy: str) -> None:
    one, two = (check(rare, strategy=strategy, executions=2000, seed=3, workers=n) for n in (1, 2))
    assert one.failure is not None
    assert two.failure is not None
    assert one.executions > 3
    assert (two.executions, two.behaviours, two.curve) == (one.executions, one.behaviours, one.curve)
    assert two.failure.token == one.failure.token
    assert two.failure.report == one.failure.report
    assert replay(rare, two.failure.token).status is Status.FAILED


def test_a_portfolio_gives_the_same_for_as_many_workers() -> None:
    one, other = (check(safe, executions=200, workers=2) for _ in range(2))
    other.seconds = one.seconds
    assert one == other
    assert sum(arm["executions"] for arm in one.arms.values()) == 199  # all but the ordinary run
    assert sum(arm["new"] for arm in one.arms.values()) == one.behaviours - 1
    assert len(one.arms) > 1


def test_points_that_any_worker_reached_are_reached() -> None:
    assert check(points, executions=40, workers=2).missed == ["never"]


def test_a_worker_that_dies_is_an_error() -> None:
    with pytest.raises(WorkerError) as raised:
        check(dies, executions=10, workers=2)
    assert "exit code 7" in str(raised.value)


def test_an_ordinary_run_that_differs_between_processes_is_nondeterminism() -> None:
    with pytest.raises(NondeterminismError) as raised:
        check(differs, executions=10, workers=2)
    assert "from process to process" in str(raised.value)


def test_what_cannot_be_imported_is_refused() -> None:
    async def inner() -> None:
        pass

    with pytest.raises(OptionError) as raised:
        check(inner, workers=2)
    assert "define it at the top of a module, or use workers=1" in str(raised.value)


def test_what_cannot_be_sent_is_refused() -> None:
    with pytest.raises(OptionError) as raised:
        check(Bound(given, {"limit": lambda: 3}), workers=2)
    assert "workers cannot be sent" in str(raised.value)


@pytest.mark.parametrize("strategy", ["dfs", "fifo", "preemptions"])
def test_a_systematic_search_is_not_shared(strategy: str) -> None:
    with pytest.raises(OptionError) as raised:
        check(safe, strategy=strategy, workers=2)
    assert "use workers=1" in str(raised.value)


def test_there_is_at_least_one_worker() -> None:
    with pytest.raises(OptionError) as raised:
        check(safe, workers=0)
    assert "at least 1, not 0" in str(raised.value)


def test_arguments_are_sent() -> None:
    verdict = check(Bound(given, {"limit": 3}), strategy="random", workers=2)
    assert verdict.status is Status.FAILED
    assert check(Bound(given, {"limit": 2}), executions=20, workers=2).status is Status.SAMPLED


def test_a_decorated_test_is_shared() -> None:
    verdict = decorated()
    assert verdict is not None
    assert verdict.executions == 30


def test_a_budget_of_time_ends_all_workers() -> None:
    verdict = check(safe, executions=None, seconds=0.5, workers=2)
    assert verdict.reason is StopReason.SECONDS
    assert verdict.status is Status.SAMPLED


def test_no_process_is_left() -> None:
    check(safe, executions=10, workers=2)
    assert not multiprocessing.active_children()


def test_progress_is_for_terminals() -> None:
    terminal = Console(file=io.StringIO(), force_terminal=True, width=100)
    with shown("safe", 2000, on=True, console=terminal) as told:
        assert told is not None
        told(1500, 12, None)
        told(1500, 12, Standing(1400, 9, 0.5))
    with shown("safe", None, on=True, console=Console(file=io.StringIO())) as told:
        assert told is None
    with shown("safe", None, on=False, console=terminal) as told:
        assert told is None


@pytest.mark.parametrize("workers", [1, 2])
def test_progress_counts_up(workers: int) -> None:
    seen: list[tuple[int, int]] = []  # of executions, of behaviours
    explorer = Explorer(safe, make("random"))
    verdict = explorer.run(executions=3000, workers=workers, told=lambda *counts: seen.append(counts[:2]))
    assert seen
    assert seen == sorted(seen)
    assert seen[-1][0] <= verdict.executions
    assert seen[-1][1] <= verdict.behaviours
