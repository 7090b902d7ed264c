"""The default: several strategies, because each alone misses some bug for ever.

The ordinary order first (the explorer runs it), then POS about half of the executions, PCT with d = 1, 2, 3
in turn a quarter, random and uniform random walk an eighth each. Weight moves to arms whose executions still
show new behaviours; no arm falls below a tenth.
"""

from __future__ import annotations

from liveproof_sim.explore.execution import Outcome
from liveproof_sim.explore.strategies.pct import Pct
from liveproof_sim.explore.strategies.pos import Pos
from liveproof_sim.explore.strategies.random_walk import RandomWalk
from liveproof_sim.explore.strategies.search import Search
from liveproof_sim.explore.strategies.urw import Urw
from liveproof_sim.kernel.choices import Choices, Entry, Kind

__all__ = ["Portfolio"]

FLOOR = 0.1
MEMORY = 0.95  # of an arm's rate of new behaviours, per execution


class _Arm:
    def __init__(self, name: str, share: float, searches: list[Search]) -> None:
        self.name = name
        self.share = share
        self.searches = searches
        self.rate = 1.0
        self.executions = 0
        self.new = 0
        self.failures = 0


class Portfolio(Search):
    """See the module."""

    name = "portfolio"

    def __init__(self) -> None:
        self._arms = [
            _Arm("pos", 0.5, [Pos()]),
            _Arm("pct", 0.25, [Pct(1), Pct(2), Pct(3)]),
            _Arm("random", 0.125, [RandomWalk()]),
            _Arm("urw", 0.125, [Urw()]),
        ]
        self._arm = self._arms[0]
        self._search: Search = self._arm.searches[0]

    @property
    def arm(self) -> str:
        return self._arm.name

    def measure(self, outcome: Outcome) -> None:
        for arm in self._arms:
            for search in arm.searches:
                search.measure(outcome)

    def weights(self) -> list[float]:
        """The chance of each arm to run next."""
        raw = [arm.share * (0.1 + arm.rate) for arm in self._arms]
        total = sum(raw)
        spare = 1 - FLOOR * len(raw)
        return [FLOOR + spare * weight / total for weight in raw]

    def begin(self, choices: Choices, /) -> None:
        point = choices.stream("portfolio").random()
        for arm, weight in zip(self._arms, self.weights(), strict=True):
            self._arm = arm
            point -= weight
            if point < 0:
                break
        self._search = self._arm.searches[self._arm.executions % len(self._arm.searches)]
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
