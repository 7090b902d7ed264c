"""An exploration in parts, in whatever order they are run: the classes of one process.

Not in use: a longer search of this kind found one that lost a class."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from liveproof_sim.explore.execution import Settings, exploring
from liveproof_sim.explore.explorer import Explorer, quiet_collector
from liveproof_sim.explore.strategies.dpor import Dpor
from liveproof_sim.explore.strategies.dpor.sharing import Sharing
from liveproof_sim.explore.strategies.dpor.units import Report, Unit, UnitSearch
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
