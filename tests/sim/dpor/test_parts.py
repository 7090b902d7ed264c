"""A tree cut into parts: together they come to what all interleavings come to, each class once."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import pytest

from liveproof_sim.explore.execution import Settings, exploring
from liveproof_sim.explore.explorer import quiet_collector
from liveproof_sim.explore.runner import Runner
from liveproof_sim.explore.strategies.dpor import Dpor
from liveproof_sim.explore.strategies.dpor.frontier import frames_of, stack
from liveproof_sim.explore.strategies.dpor.parts import PartSearch, expansion_of, part_search_of
from liveproof_sim.kernel.loop import Timers
from tests.sim.dpor import classics, drawn_programs, random_programs
from tests.sim.dpor.costs import cheapest
from tests.sim.dpor.oracle import TIMERS, Found, Scenario, TooManyError, brute, disagreement, reduced
from tests.sim.dpor.test_bounds import troubled
from tests.sim.dpor.test_random import FOUND

WANTED = [0, 1, 2, 4, 8, 30, 10**9]
"""Parts: only the whole tree, one level, more levels, and as many as there are."""


class InParts:
    """One exploration; each part is run by somebody who knows of no other."""

    def __init__(
        self, scenario: Scenario, wanted: int, *, timers: Timers = TIMERS, whole: Dpor | None = None
    ) -> None:
        self.scenario = scenario
        self.wanted = wanted
        self.timers = timers
        self.whole = whole or Dpor()
        self.hot: dict[str, None] = {}
        self.endings: dict[str, None] = {}
        self.classes: list[bytes] = []
        self.bounds: dict[str, int] = {}
        self.parts = self.restarts = self.restarts_above = 0

    def run(self, search: PartSearch, hot: dict[str, None]) -> None:
        """To its end."""
        search.keep_classes = True
        settings = Settings(timers=self.timers, reduced=True, leaks=False, hot=hot)
        runner = Runner(self.scenario, settings)
        with exploring(self.scenario, settings), quiet_collector():
            while not search.exhausted():
                outcome = runner.once(search)
                if not outcome.cut:
                    self.endings[outcome.signature.partition(":")[0] or "passed"] = None
                search.learn(outcome, new=True)

    def once(self) -> bool:
        """Divide, and run the parts in any order; whether no step relied on what others have seen to change."""
        self.classes = []
        expansion = expansion_of(self.whole, self.wanted)
        if self.wanted:
            self.run(expansion, self.hot)
        else:
            expansion.parts = [expansion._frames]
        self.classes += expansion.classes
        self.bounds = expansion.bounds()
        self.restarts_above += expansion.restarts
        relied, hot = dict(expansion.relied), dict(self.hot)
        parts = [json.dumps(stack(part)) for part in expansion.parts]
        random.Random(len(parts)).shuffle(parts)
        self.parts = len(parts)
        for part in parts:
            search, own = part_search_of(self.whole), dict(hot)
            search.take(frames_of(json.loads(part)))
            self.run(search, own)
            self.classes += search.classes
            self.bounds |= search.bounds()
            self.hot.update(own)
            relied.update(search.relied)
        return not any(word in self.hot for word in relied)

    def found(self, outcomes: dict[str, None]) -> Found:
        """What it came to."""
        outcomes.clear()
        while not self.once():
            self.restarts += 1
        endings = frozenset([*self.endings, *outcomes])
        return Found(len(self.classes), frozenset(self.classes), endings)


def compare(
    scenario: Scenario,
    outcomes: dict[str, None],
    wanted: list[int],
    most: int,
    timers: Timers = TIMERS,
    what: Any = "",
) -> None:
    """With every interleaving.

    Raises:
        TooManyError: there are more.
    """
    every = brute(scenario, outcomes, most, timers=timers)
    for number in wanted:
        found = InParts(scenario, number, timers=timers).found(outcomes)
        assert disagreement(found, every) == "", f"{what}, {number} parts, {timers.value}"


CLASSICS: dict[str, Any] = {
    "readers 4": classics.readers(4),
    "lastzero 4": classics.lastzero(4),
    "indexer 12": classics.indexer(12),
    "independent": classics.independent_locals(3, 3),
    "conflicting 3 x 1": classics.conflicting(3, 1),
    "philosophers 3": classics.philosophers(3),
    "guarded": classics.guarded_update({}),
    "cancelled 3": classics.cancelled(3),
    "overwritten": classics.overwritten,
    "chosen": classics.chosen,
}


@pytest.mark.parametrize("name", CLASSICS)
def test_the_classics(name: str) -> None:
    alone = reduced(CLASSICS[name], {})
    for wanted in (0, 1, 6, 20):
        found = InParts(CLASSICS[name], wanted).found({})
        assert disagreement(found, alone) == "", f"{wanted} parts"


@pytest.mark.parametrize("group", range(2))
@pytest.mark.parametrize(
    ("family", "timers"),
    [("plain", Timers.DISCRETE), ("structured", Timers.DISCRETE), ("timed", Timers.DISCRETE), ("timed", Timers.LATE)],
)
def test_random_programs(family: str, timers: Timers, group: int) -> None:
    compared, seed = 0, 50_000 + group * 1000
    while compared < 4:
        seed += 1
        program = random_programs.generate(seed, family)
        if random_programs.interleavings_min(program) > 80:
            continue
        outcomes: dict[str, None] = {}
        try:
            compare(random_programs.scenario_of(program, outcomes), outcomes, WANTED, 80, timers, program)
        except TooManyError:
            continue
        compared += 1


@pytest.mark.parametrize("group", range(2))
def test_random_decisions(group: int) -> None:
    compared, seed = 0, 50_000 + group * 1000
    while compared < 6:
        seed += 1
        program = drawn_programs.generate(seed)
        outcomes: dict[str, None] = {}
        try:
            compare(drawn_programs.scenario_of(program, outcomes), outcomes, WANTED, 200, what=program)
        except TooManyError:
            continue
        compared += 1


@pytest.mark.parametrize("name", FOUND)
def test_what_was_wrong_once(name: str) -> None:
    program, timers = FOUND[name]
    outcomes: dict[str, None] = {}
    compare(random_programs.scenario_of(program, outcomes), outcomes, WANTED, 500, timers, program)


def test_there_are_as_many_parts_as_are_wanted() -> None:
    many = InParts(classics.conflicting(3, 1), 16)
    many.found({})
    assert many.parts >= 16


@pytest.mark.parametrize("wanted", WANTED)
def test_bounds(wanted: int) -> None:
    scenario = troubled(2, 2)
    costs = cheapest(scenario)
    for faults, crashes in ((0, 0), (1, 0), (0, 1), (2, 1), (9, 9)):
        expected = {
            digest for digest, cost in costs.items() if cost["faults"] <= faults and cost["crashes"] <= crashes
        }
        parts = InParts(scenario, wanted, whole=Dpor(faults=faults, crashes=crashes))
        found = parts.found({})
        assert found.classes == expected
        assert found.executions == len(expected)
        assert bool(parts.bounds) == (len(expected) < len(costs))


@pytest.mark.parametrize("wanted", WANTED)
def test_a_depth_is_noted_by_whoever_comes_to_it(wanted: int) -> None:
    parts = InParts(classics.conflicting(2, 3), wanted, whole=Dpor(6))
    parts.found({})
    assert parts.bounds == {"depth": 6}


def seldom_changed(steps: int) -> Scenario:
    """Who looks at a flag before it waits has done nothing, unless the flag changes; only one order changes it."""

    async def main() -> None:
        lock, flag, order = asyncio.Lock(), classics.Cell(), classics.Cell()

        async def hold() -> None:
            async with lock:
                await asyncio.sleep(0)
                await asyncio.sleep(0)

        async def wait() -> None:
            _ = flag.value
            async with lock:
                pass

        async def count(me: int) -> None:
            for _ in range(steps):
                await asyncio.sleep(0)
                order.value = order.value * 2 + me
            if order.value == 2 ** (2 * steps) - 2**steps:  # the second task was always ahead
                flag.value = 1

        await asyncio.gather(hold(), wait(), count(0), count(1))

    return main


@pytest.mark.parametrize("wanted", WANTED)
def test_what_a_part_finds_out_may_begin_everything_anew(wanted: int) -> None:
    scenario = seldom_changed(1)
    every = brute(scenario, {}, 50_000)
    parts = InParts(scenario, wanted)
    assert disagreement(parts.found({}), every) == ""
    assert parts.restarts + parts.restarts_above > 0


def test_optimal_reduction_below_the_cut_would_lose_classes() -> None:
    parts = InParts(classics.readers(4), 6)
    found = parts.found({})
    expansion = expansion_of(parts.whole, 6)
    parts.run(expansion, {})
    classes = dict(expansion.classes)
    for part in expansion.parts:
        search = PartSearch(source=False)
        search.take(part)
        parts.run(search, {})
        classes |= search.classes
    assert len(found.classes) == 16
    assert len(classes) < 16
