"""What the members of a class cost: every interleaving is run, and what each has of what may be bounded is counted.

Nothing of it is the search's: it looks at who could have run, and at what was drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from liveproof_sim.explore.execution import Outcome
from liveproof_sim.explore.history import Event, Follower, Watcher
from liveproof_sim.kernel.causes import CLOCK, LANE
from liveproof_sim.kernel.choices import Entry, Kind
from liveproof_sim.kernel.loop import SimLoop
from tests.sim.dpor.oracle import Brute, run

COSTS = ("preemptions", "faults", "crashes")
KINDS = {Kind.FAULT: "faults", Kind.CRASH: "crashes"}


class _Counter(Follower):
    """Of one execution."""

    def __init__(self) -> None:
        self.spent = dict.fromkeys(COSTS, 0)
        self.could: list[str] = []
        self.last = LANE

    def happened(self, event: Event) -> None:
        preempted = self.last in self.could and event.process != self.last and self.last not in (LANE, CLOCK)
        self.spent["preemptions"] += preempted
        self.last, self.could = event.process, []

    def erased(self, process: str) -> None:
        self.could = [each for each in self.could if each != process]


class Costing(Brute):
    """Every interleaving, once."""

    def __init__(self) -> None:
        super().__init__()
        self.cheapest: dict[bytes, dict[str, int]] = {}
        """of each class, the least of each cost that a member has"""
        self.counter = _Counter()

    def attach(self, loop: SimLoop) -> None:
        self.counter = _Counter()
        self._watcher = Watcher(loop, self.counter, loop.observer)

    def pick(self, ready: list[Entry], clock: bool, /) -> int:
        assert self._watcher is not None
        self._watcher.close()
        self.counter.could += self._watcher.processes(ready, clock)
        return super().pick(ready, clock)

    def draw(self, kind: Kind, label: str, options: int, /) -> int:
        chosen = super().draw(kind, label, options)
        if kind in KINDS:
            self.counter.spent[KINDS[kind]] += chosen > 0
        return chosen

    def learn(self, outcome: Outcome, *, new: bool) -> None:
        super().learn(outcome, new=new)
        assert self._watcher is not None
        if self.executions == 0:  # it has begun anew
            return
        least = self.cheapest.setdefault(self._watcher.history.digest(), dict(self.counter.spent))
        for name, cost in self.counter.spent.items():
            least[name] = min(least[name], cost)


def cheapest(scenario: Callable[..., Any], most: int = 20_000) -> dict[bytes, dict[str, int]]:
    """Each class, with the least that a member of it costs."""
    search = Costing()
    run(scenario, search, most, {})
    return search.cheapest
