"""The default: several strategies, because each alone misses some bug for ever.

The ordinary order first (the explorer runs it), then arms in turn, each as often as its weight says: PCT, of
depth 1 every other time; *near*, the ordinary order but for who begins and a few delays; POS; random, uniform
and selectively uniform random walks; and the schedules with the fewest preemptions, one after the other.
Weight moves to arms whose executions still show new behaviours; no arm falls below its floor.

Taking turns (stride scheduling: Waldspurger, Weihl, 1995) instead of drawing arms: the first executions then
are one of each, whatever the seed, so what one arm is sure to find soon is found soon.
"""

from __future__ import annotations

from liveproof_sim.explore.execution import Outcome
from liveproof_sim.explore.strategies.near import Near
from liveproof_sim.explore.strategies.pct import Pct
from liveproof_sim.explore.strategies.pos import Pos
from liveproof_sim.explore.strategies.random_walk import RandomWalk
from liveproof_sim.explore.strategies.search import Search
from liveproof_sim.explore.strategies.surw import Surw
from liveproof_sim.explore.strategies.systematic import Systematic
from liveproof_sim.explore.strategies.urw import Urw
from liveproof_sim.kernel.choices import Choices, Entry, Kind

__all__ = ["Portfolio"]

FLOOR = 0.05
MEMORY = 0.95  # of an arm's rate of new behaviours, per execution
PREEMPTIONS = 2  # most bugs need no more (Thomson, Donaldson, Betts, TOPC 2016)


class _Arm:
    def __init__(self, name: str, share: float, searches: list[Search]) -> None:
        self.name = name
        self.share = share
        self.searches = searches
        self.rate = 1.0
        self.turn = 0.0
        self.executions = 0
        self.new = 0
        self.failures = 0

    def search(self) -> Search:
        """Whose turn it is inside the arm."""
        return self.searches[self.executions % len(self.searches)]


class Portfolio(Search):
    """See the module."""

    name = "portfolio"

    def __init__(self) -> None:
        self._arms = [
            _Arm("pct", 0.2, [Pct(1), Pct(2), Pct(1), Pct(3)]),
            _Arm("near", 0.15, [Near(0), Near(1), Near(0), Near(2)]),
            _Arm("pos", 0.25, [Pos()]),
            _Arm("urw", 0.1, [Urw()]),
            _Arm("random", 0.1, [RandomWalk()]),
            _Arm("preemptions", 0.1, [Systematic("preemptions", PREEMPTIONS)]),
            _Arm("surw", 0.1, [Surw()]),
        ]
        self._arm = self._arms[0]
        self._search: Search = self._arm.searches[0]

    def measure(self, outcome: Outcome) -> None:
        for arm in self._arms:
            for search in arm.searches:
                search.measure(outcome)

    def weights(self) -> list[float]:
        """The share of each arm in the executions to come; 0 of one that has nothing left to run."""
        raw = [0.0 if arm.search().exhausted() else arm.share * (0.1 + arm.rate) for arm in self._arms]
        total = sum(raw)
        spare = 1 - FLOOR * sum(weight > 0 for weight in raw)
        return [FLOOR + spare * weight / total if weight else 0.0 for weight in raw]

    def begin(self, choices: Choices, /) -> None:
        # The turns of an arm are 1 / weight apart; the one that is due first runs.
        due = [
            (arm.turn + 1 / weight, at)
            for at, (arm, weight) in enumerate(zip(self._arms, self.weights(), strict=True))
            if weight
        ]
        turn, at = min(due)
        self._arm = self._arms[at]
        self._arm.turn = turn
        self._search = self._arm.search()
        self._search.begin(choices)
        self.pick = self._search.pick  # type: ignore[method-assign]  # one call less per choice
        self.offered = self._search.offered  # type: ignore[method-assign]

    def draw(self, kind: Kind, label: str, options: int, /) -> int:
        return self._search.draw(kind, label, options)

    def pick(self, ready: list[Entry], clock: bool, /) -> int:
        return self._search.pick(ready, clock)

    def learn(self, outcome: Outcome, *, new: bool) -> None:
        arm = self._arm
        arm.executions += 1
        arm.new += new
        arm.failures += outcome.failed
        arm.rate = MEMORY * arm.rate + (1 - MEMORY) * new
        self._search.learn(outcome, new=new)

    def arms(self) -> dict[str, dict[str, float]]:
        return {
            arm.name: {"executions": arm.executions, "new": arm.new, "failures": arm.failures}
            for arm in self._arms
        }
