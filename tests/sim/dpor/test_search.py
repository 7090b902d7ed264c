"""The strategy as users meet it: verdicts, bounds, failures, replays."""

from __future__ import annotations

import asyncio
import importlib
from pathlib import Path

import pytest

from liveproof_sim import OptionError, Status, World, check, replay

ZOO = sorted(path.stem for path in Path(__file__).parents[3].joinpath("scenarios/zoo").glob("*.py"))
ENDLESS = ["consumer_starves"]
BY_LATENESS = ["late_timeout"]


@pytest.mark.parametrize("name", ZOO)
@pytest.mark.parametrize("timers", ["discrete", "late"])
def test_the_zoo(name: str, timers: str) -> None:
    if name in ENDLESS:
        return
    module = importlib.import_module(f"scenarios.zoo.{name}")
    verdict = check(module.buggy, strategy="dpor", timers=timers, executions=2000)
    if name in BY_LATENESS and timers == "discrete":
        assert verdict.status is Status.PROVED
    else:
        assert verdict.status is Status.FAILED
        assert verdict.failure is not None
        again = replay(module.buggy, verdict.failure.token)
        assert again.failure is not None
        assert again.failure.signature == verdict.failure.signature
    verdict = check(module.repaired, strategy="dpor", timers=timers, executions=2000)
    assert verdict.status is Status.PROVED, str(verdict)
    again_from_the_start = verdict.reduction["restarts"] > 0
    assert verdict.reduction["classes"] == verdict.executions or again_from_the_start


async def spinning() -> None:
    stop = asyncio.Event()

    async def poll() -> None:
        while not stop.is_set():  # noqa: ASYNC110 - on purpose
            await asyncio.sleep(0)

    async def end() -> None:
        stop.set()

    await asyncio.gather(poll(), end())


def test_a_depth_that_cut_something_is_a_bound() -> None:
    verdict = check(spinning, strategy="dpor:depth=12", timers="discrete")
    assert verdict.status is Status.PROVED_WITHIN
    assert verdict.bounds == {"depth": 12}
    assert "depth <= 12" in str(verdict)


def test_a_budget_that_cut_the_search_is_no_proof() -> None:
    verdict = check(spinning, strategy="dpor", timers="discrete", executions=3)
    assert verdict.status is Status.INCONCLUSIVE
    assert verdict.exit_code == 3


async def guarded(world: World) -> None:
    state = {"ready": False}

    async def prepare() -> None:
        await asyncio.sleep(0)
        state["ready"] = True

    async def use() -> None:
        await world.until(lambda: state["ready"])
        assert state["ready"]

    await asyncio.gather(use(), prepare(), use())


@pytest.mark.parametrize("strategy", ["dpor", "dpor-source", "dfs", "portfolio"])
def test_until_goes_on_in_a_step_in_which_it_holds(strategy: str) -> None:
    verdict = check(guarded, strategy=strategy, timers="discrete", executions=300)
    assert verdict.status in (Status.PROVED, Status.SAMPLED), str(verdict)


async def cancelled_behind_a_guard(world: World) -> None:
    task = asyncio.create_task(world.until(lambda: False))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()


def test_a_guard_can_be_cancelled() -> None:
    assert check(cancelled_behind_a_guard, strategy="dpor", timers="discrete").status is Status.PROVED


async def decided(world: World) -> None:
    first = world.draw(3)
    if first == 2:
        assert world.draw(["fine", "bad"]) == "fine"


def test_decisions_are_branches() -> None:
    verdict = check(decided, strategy="dpor", timers="discrete")
    assert verdict.status is Status.FAILED
    assert verdict.executions <= 4


async def a_leak() -> None:
    async def work() -> None:
        for _ in range(3):
            await asyncio.sleep(0)

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    assert not task.done()


def test_a_leak_is_found() -> None:
    verdict = check(a_leak, strategy="dpor", timers="discrete")
    assert verdict.failure is not None
    assert verdict.failure.signature.startswith("LeakError")


def test_options() -> None:
    with pytest.raises(OptionError, match="depth"):
        check(spinning, strategy="dpor:depth=0")
    with pytest.raises(OptionError, match="fifo"):
        check(spinning, strategy="dpor", fidelity="fifo")
