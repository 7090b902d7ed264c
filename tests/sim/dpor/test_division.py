"""A proof that several processes share: the verdict and the classes of one process, and its failures."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
from collections.abc import Callable
from typing import Any

import pytest

import liveproof as coco
from liveproof_sim import (
    NondeterminismError,
    OptionError,
    PowerCut,
    Status,
    StopReason,
    WorkerError,
    World,
    check,
    replay,
)
from liveproof_sim.explore.division import Division, Ended, Job, Shift
from liveproof_sim.explore.execution import Settings
from liveproof_sim.explore.explorer import Explorer
from liveproof_sim.explore.strategies import Standing, make
from liveproof_sim.explore.strategies.dpor.frames import Frame
from liveproof_sim.kernel.choices import Kind
from liveproof_sim.kernel.power import Outage
from liveproof_sim.properties import Reached
from tests.sim.dpor.drawn_programs import draw
from tests.sim.small import Nameless


class Cell:
    """A shared variable."""

    def __init__(self) -> None:
        self.value = 0


async def quarrel() -> None:
    """90 orders."""
    cell = Cell()

    async def work() -> None:
        for _ in range(2):
            cell.value += 1
            await asyncio.sleep(0)

    await asyncio.gather(work(), work(), work())


async def guarded(world: World) -> None:
    cell = Cell()

    async def wait(least: int) -> None:
        await world.until(lambda: cell.value >= least)
        cell.value += 1

    async def work() -> None:
        await asyncio.sleep(0)
        cell.value += 1

    await asyncio.gather(wait(1), wait(2), work(), work())
    world.sometimes("four", cell.value == 4)
    world.sometimes("five", cell.value == 5)


async def troubled() -> None:
    cell = Cell()

    async def work() -> None:
        for _ in range(2):
            cell.value += draw(Kind.FAULT, 2)
            await asyncio.sleep(0)

    await asyncio.gather(work(), work())


async def seldom_changed() -> None:
    """Who looks at the flag and waits has done nothing, unless the flag changes; only one order changes it."""
    lock, flag, order = asyncio.Lock(), Cell(), Cell()

    async def hold() -> None:
        async with lock:
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    async def wait() -> None:
        _ = flag.value
        async with lock:
            pass

    async def count(me: int) -> None:
        await asyncio.sleep(0)
        order.value = order.value * 2 + me
        if order.value == 2:
            flag.value = 1

    await asyncio.gather(hold(), wait(), count(0), count(1))


async def dying(world: World) -> None:
    folder = world.fs.dir("/data")
    world.power.outage = Outage.PROCESS

    async def work(*names: str) -> None:
        for name in names:
            await asyncio.sleep(0)
            (folder / name).write_text("x")

    async def main() -> None:
        await asyncio.gather(work("a", "b"), work("c"))

    with contextlib.suppress(PowerCut):
        await world.start(coco.App("writers", main))
    world.power.stay()
    world.calm()


async def one_step() -> None:
    await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("scenario", "strategy"),
    [
        (quarrel, "dpor"),
        (quarrel, "dpor-source"),
        (quarrel, "dpor:depth=5"),
        (guarded, "dpor"),
        (troubled, "dpor"),
        (troubled, "dpor:faults=1"),
        (seldom_changed, "dpor"),
        (one_step, "dpor"),
    ],
)
def test_the_verdict_is_that_of_one_process(scenario: Callable[..., Any], strategy: str) -> None:
    one, two = (
        check(scenario, strategy=strategy, timers="discrete", executions=None, workers=workers) for workers in (1, 2)
    )
    assert two.status is one.status
    assert two.reason is one.reason
    assert two.bounds == one.bounds
    assert two.missed == one.missed
    if "depth" not in strategy:  # of what is longer there is one execution for each way to come to it
        assert two.reduction["classes"] == one.reduction["classes"]
    if not two.reduction["restarts"]:
        assert two.executions == two.reduction["classes"] + 1  # the first one is run by whoever has its part, too
    assert bool(two.reduction["restarts"]) == (scenario is seldom_changed)


async def in_order() -> None:
    """Fails in one order of many."""
    seen: list[int] = []

    async def work(me: int) -> None:
        for _ in range(3):
            await asyncio.sleep(0)
            seen.append(me)

    await asyncio.gather(work(1), work(2))
    assert seen != [2, 1, 2, 2, 1, 1], "in that order"


async def in_any_order() -> None:
    """The repaired twin."""
    seen: list[int] = []

    async def work(me: int) -> None:
        for _ in range(3):
            await asyncio.sleep(0)
            seen.append(me)

    await asyncio.gather(work(1), work(2))
    assert sorted(seen) == [1, 1, 1, 2, 2, 2]


def test_deaths_of_the_process_are_shared() -> None:
    one, source, two = (
        check(dying, strategy=strategy, timers="discrete", crash_points="all", executions=None, workers=workers)
        for strategy, workers in (("dpor", 1), ("dpor-source", 1), ("dpor", 2))
    )
    assert two.status is Status.PROVED
    assert two.reduction["classes"] == one.reduction["classes"] == source.reduction["classes"] > 10


def test_a_failure_is_found_and_runs_again() -> None:
    verdict = check(in_order, strategy="dpor", timers="discrete", executions=None, workers=2)
    assert verdict.status is Status.FAILED
    assert verdict.failure is not None
    assert "in that order" in str(verdict.failure.exception)
    again = replay(in_order, verdict.failure.token)
    assert again.failure is not None
    assert again.failure.signature == verdict.failure.signature
    repaired = check(in_any_order, strategy="dpor", timers="discrete", executions=None, workers=2)
    assert repaired.status is Status.PROVED


@pytest.mark.parametrize("executions", [1, 2, 30])
def test_a_budget_of_executions_is_kept(executions: int) -> None:
    verdict = check(quarrel, strategy="dpor", timers="discrete", executions=executions, workers=2)
    assert verdict.reason is StopReason.EXECUTIONS
    assert verdict.status is Status.INCONCLUSIVE
    assert verdict.executions == executions


async def endless() -> None:
    cell = Cell()

    async def work() -> None:
        for _ in range(12):
            cell.value += 1
            await asyncio.sleep(0)

    await asyncio.gather(work(), work(), work(), work())


def test_a_budget_of_time_ends_it() -> None:
    verdict = check(endless, strategy="dpor", timers="discrete", executions=None, seconds=0.7, workers=2)
    assert verdict.reason is StopReason.SECONDS
    assert verdict.status is Status.INCONCLUSIVE
    assert not multiprocessing.active_children()


def test_whoever_interrupts_leaves_no_process() -> None:
    told: list[Standing | None] = []

    def interrupt(executions: int, behaviours: int, standing: Standing | None) -> None:
        told.append(standing)
        if executions > 200:
            raise KeyboardInterrupt

    explorer = Explorer(endless, make("dpor"), Settings(reduced=True))
    with pytest.raises(KeyboardInterrupt):
        explorer.run(executions=None, workers=2, told=interrupt)
    assert told[-1] is not None
    assert 0 <= told[-1].share < 1
    assert not multiprocessing.active_children()


async def dies() -> None:
    await quarrel()
    if multiprocessing.parent_process() is not None:
        os._exit(7)


async def differs() -> None:
    for _ in range(1 + (multiprocessing.parent_process() is not None)):
        await asyncio.sleep(0)
    await quarrel()


def test_a_worker_that_dies_is_an_error() -> None:
    with pytest.raises(WorkerError, match="exit code 7"):
        check(dies, strategy="dpor", timers="discrete", workers=2)


def test_a_first_execution_that_differs_is_nondeterminism() -> None:
    with pytest.raises(NondeterminismError, match="from process to process"):
        check(differs, strategy="dpor", timers="discrete", workers=2)


NAMELESS = (Nameless(),)


async def keyed() -> None:
    table: dict[object, int] = {NAMELESS: 1}
    cell = Cell()

    async def work() -> None:
        for _ in range(2):
            _ = table[NAMELESS]
            await asyncio.sleep(0)
            cell.value += 1
            await asyncio.sleep(0)

    await asyncio.gather(work(), work(), work())


def test_what_no_worker_can_be_sent_is_named() -> None:
    with pytest.raises(OptionError) as raised:
        check(keyed, strategy="dpor", timers="discrete", workers=2)
    assert "its key is of type Nameless, which no worker can be sent: use keys of a plain type, or workers=1" in str(
        raised.value
    )


def test_refusals(tmp_path: Any) -> None:
    with pytest.raises(OptionError, match="dpor with preemptions is run by one process: use workers=1"):
        check(quarrel, strategy="dpor:preemptions=1", workers=2)
    with pytest.raises(OptionError, match="leave resume out"):
        check(quarrel, strategy="dpor", workers=2, resume=tmp_path / "file")


# ---- who runs what, with nobody who runs it


class Clerks:
    """In place of a crew: answers what it was told to, in that order."""

    def __init__(self, *answers: tuple[int, Shift]) -> None:
        self.answers = list(answers)
        self.sent: list[tuple[int, Job]] = []

    def send(self, worker: int, job: Job) -> None:
        self.sent.append((worker, job))

    def wait(self) -> tuple[int, Shift]:
        return self.answers.pop(0)


def shift(era: int, *, over: bool = True, hot: str = "", relied: str = "", ran: int = 1) -> Shift:
    return Shift(era, over, ran, (ran, 0, 0, {}), [*hot], [*relied], {}, Reached(), [], None)


def divided(*answers: tuple[int, Shift], parts: int) -> tuple[Division, Clerks, list[Shift]]:
    clerks: Any = Clerks(*answers)
    division = Division(clerks, 2, {})
    division.begin([[Frame({})] for _ in range(parts)])
    return division, clerks, []


def test_one_relies_on_what_another_has_seen_to_change() -> None:
    division, _, told = divided((0, shift(1, relied="x")), (1, shift(1, hot="x")), parts=3)
    assert division.run({}, executions=None, seconds=None, tell=told.append) is Ended.ANEW
    assert len(told) == 2


def test_what_was_begun_before_counts_no_more() -> None:
    division, clerks, told = divided((0, shift(1, hot="x", relied="x")), parts=2)
    assert division.run({}, executions=None, seconds=None, tell=told.append) is Ended.ANEW
    told.clear()
    clerks.answers = [(1, shift(1, ran=100)), (0, shift(2)), (1, shift(2))]
    division.begin([[Frame({})], [Frame({})]])
    assert division.run({}, executions=None, seconds=None, tell=told.append) is Ended.DONE
    assert [each.era for each in told] == [2, 2]
    assert [(worker, job.era) for worker, job in clerks.sent] == [(0, 1), (1, 1), (0, 2), (1, 2)]


def test_who_has_begun_a_part_goes_on_with_it() -> None:
    division, clerks, told = divided(
        (0, shift(1, over=False)), (0, shift(1)), (1, shift(1)), (0, shift(1)), parts=3
    )
    assert division.run({}, executions=None, seconds=None, tell=told.append) is Ended.DONE
    assert [(worker, job.part is None) for worker, job in clerks.sent] == [
        (0, False),
        (1, False),
        (0, True),
        (0, False),
    ]
    assert division.standing(4) == Standing(4, 1, 1.0)
