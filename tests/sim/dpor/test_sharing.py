"""An exploration in parts, in whatever order they are run: the classes of one process."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from liveproof_sim import (
    NondeterminismError,
    OptionError,
    Status,
    StopReason,
    WorkerError,
    World,
    check,
    replay,
)
from liveproof_sim.explore.execution import Settings, exploring
from liveproof_sim.explore.explorer import Explorer, quiet_collector
from liveproof_sim.explore.strategies.dpor import Dpor
from liveproof_sim.explore.strategies.dpor.sharing import Sharing
from liveproof_sim.explore.strategies.dpor.units import Report, Unit, UnitSearch
from liveproof_sim.kernel.choices import Kind
from tests.sim.dpor import classics, drawn_programs, random_programs
from tests.sim.dpor.oracle import TIMERS, Found, reduced


class Hand:
    """One of several that run units; all in this process, with nothing in common."""

    def __init__(self, scenario: Callable[..., Any], *, source: bool) -> None:
        self.scenario = scenario
        self.settings = Settings(timers=TIMERS, reduced=True, leaks=False)
        self.search = UnitSearch(source=source)
        self.search.keep_classes = True
        self.unit: Unit | None = None

    def run(self, executions: int) -> Report:
        """Some of the unit."""
        assert self.unit is not None
        self.settings.hot.update(dict.fromkeys(self.unit.hot))
        self.search.take(self.unit)
        explorer = Explorer(self.scenario, self.search, self.settings)
        with exploring(self.scenario, self.settings), quiet_collector():
            while executions > 0 and not self.search.exhausted():
                self.search.learn(explorer.once(self.search), new=True)
                executions -= 1
        self.unit = None
        return self.search.report(self.settings.hot)


def together(scenario: Callable[..., Any], hands: int, chance: random.Random, *, source: bool = False) -> Found:
    """Explore with so many, who take as long as it happens."""
    search = Dpor(source=source)
    search.keep_classes = True
    settings = Settings(timers=TIMERS, reduced=True, leaks=False)
    explorer = Explorer(scenario, search, settings)
    with exploring(scenario, settings), quiet_collector():
        search.learn(explorer.once(search), new=True)
    sharing = Sharing(search, settings.hot)
    everyone = [Hand(scenario, source=source) for _ in range(hands)]
    most = 0
    while not sharing.over:
        for hand in everyone:
            if hand.unit is None:
                hand.unit = sharing.next()
        busy = [hand for hand in everyone if hand.unit is not None]
        most = max(most, len(busy))
        assert busy, "nobody has anything to do, and it is not over"
        report = chance.choice(busy).run(chance.choice([1, 1, 2, 5, 30]))
        sharing.back(report, wanted=any(hand.unit is None for hand in everyone))
    assert search.exhausted()
    return Found(search.executions, frozenset(search.classes), frozenset([str(most)]), search.redundant)


CLASSICS: dict[str, Any] = {
    "readers 4": classics.readers(4),
    "lastzero 4": classics.lastzero(4),
    "indexer 12": classics.indexer(12),
    "independent": classics.independent_locals(3, 3),
    "conflicting 3 x 1": classics.conflicting(3, 1),
    "philosophers 4": classics.philosophers(4),
    "guarded": classics.guarded_update({}),
    "cancelled 3": classics.cancelled(3),
    "overwritten": classics.overwritten,
    "chosen": classics.chosen,
}


@pytest.mark.parametrize("source", [False, True])
@pytest.mark.parametrize("name", CLASSICS)
def test_the_classics(name: str, source: bool) -> None:
    alone = reduced(CLASSICS[name], {}, source=source)
    for hands in (1, 2, 3, 3, 5):
        found = together(CLASSICS[name], hands, random.Random(f"{name} {hands}"), source=source)
        assert found.classes == alone.classes
        assert found.executions == alone.executions == len(alone.classes)


@pytest.mark.parametrize("group", range(4))
def test_random_programs(group: int) -> None:
    compared, seed = 0, group * 1000
    while compared < 12:
        seed += 1
        plain = random_programs.generate(seed)
        drawn = drawn_programs.generate(seed)
        if random_programs.interleavings_min(plain) > 500:
            continue
        for scenario in (random_programs.scenario_of(plain, {}), drawn_programs.scenario_of(drawn, {})):
            alone = reduced(scenario, {})
            if len(alone.classes) > 150:
                continue
            found = together(scenario, 3, random.Random(seed))
            assert found.classes == alone.classes, (seed, plain, drawn)
            assert found.executions == len(alone.classes), (seed, plain, drawn)
            compared += 1


def test_all_hands_have_something_to_do() -> None:
    assert together(classics.conflicting(3, 1), 3, random.Random(1)).endings == {"3"}


class Cell:
    value = 0


async def several() -> None:
    """90 classes."""
    cell = Cell()

    async def work() -> None:
        for _ in range(2):
            cell.value += 1
            await asyncio.sleep(0)

    await asyncio.gather(work(), work(), work())


async def waits() -> None:
    """What seems constant turns out not to be, and it begins anew."""
    event, seen = asyncio.Event(), Cell()

    async def wait() -> None:
        await event.wait()
        seen.value += 1

    async def fire() -> None:
        await asyncio.sleep(0)
        event.set()

    await asyncio.gather(wait(), wait(), fire(), fire())


async def fails_late() -> None:
    seen: list[int] = []

    async def work(me: int) -> None:
        await asyncio.sleep(0)
        seen.append(me)

    await asyncio.gather(*(work(me) for me in range(4)))
    assert seen != [3, 2, 1, 0]


async def dies() -> None:
    await several()
    if multiprocessing.parent_process() is not None:
        os._exit(7)


async def differs() -> None:
    await several()
    for _ in range(multiprocessing.parent_process() is not None):
        await asyncio.sleep(0)


async def bounded(world: World) -> None:
    world.sometimes("two", world.draw(3) == 2)
    world.sometimes("never", condition=False)
    drawn_programs.draw(Kind.FAULT, 2)
    await several()


@pytest.mark.parametrize("strategy", ["dpor", "dpor-source", "dpor:faults=0", "dpor:depth=8"])
@pytest.mark.parametrize("scenario", [several, waits, bounded])
def test_processes_come_to_what_one_does(scenario: Any, strategy: str) -> None:
    one, two = (
        check(scenario, strategy=strategy, timers="discrete", executions=None, workers=workers) for workers in (1, 2)
    )
    for name in ("status", "reason", "bounds", "assumptions", "missed", "opaque", "lost"):
        assert getattr(one, name) == getattr(two, name), name
    assert one.reduction["classes"] == two.reduction["classes"]


def test_processes_find_a_failure() -> None:
    verdict = check(fails_late, strategy="dpor", timers="discrete", workers=2)
    assert verdict.failure is not None
    assert replay(fails_late, verdict.failure.token).status is Status.FAILED


def test_processes_keep_to_a_budget() -> None:
    verdict = check(several, strategy="dpor", timers="discrete", executions=40, workers=2)
    assert (verdict.status, verdict.reason, verdict.executions) == (Status.INCONCLUSIVE, StopReason.EXECUTIONS, 40)
    verdict = check(several, strategy="dpor", timers="discrete", executions=None, seconds=1e-6, workers=2)
    assert verdict.reason is StopReason.SECONDS
    assert not multiprocessing.active_children()


def test_a_process_that_dies_or_differs_is_an_error() -> None:
    with pytest.raises(WorkerError, match="exit code 7"):
        check(dies, strategy="dpor", timers="discrete", workers=2)
    with pytest.raises(NondeterminismError, match="from process to process"):
        check(differs, strategy="dpor", timers="discrete", workers=2)


def test_what_several_do_is_not_written_down(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="use workers=1"):
        check(several, strategy="dpor", workers=2, resume=tmp_path / "file.json")
