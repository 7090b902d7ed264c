"""URW: uniform random walk (Zhao, Wolff, Mathur, Roychoudhury, ASPLOS 2025, the base of SURW).

Picks a task with a chance proportional to its remaining steps, which makes all interleavings equally likely
when nothing blocks. Remaining steps are estimated from one recorded ordinary execution, keyed by the task's
function, as shuttle does it, and never below 1. Departs: children's steps are not counted to the parent
before the spawn. Blocking breaks the uniformity (five philosophers: below 1e-5), so never use it alone.
"""

from __future__ import annotations

from typing import Any

from liveproof_sim.explore.execution import Outcome
from liveproof_sim.explore.strategies.draws import Draws
from liveproof_sim.explore.strategies.search import Search, function_of, key_of
from liveproof_sim.kernel.choices import Choices, Entry, Kind

__all__ = ["Urw"]


class Urw(Search):
    """See the module."""

    name = "urw"

    def __init__(self) -> None:
        self._estimates: dict[str, int] = {}

    def measure(self, outcome: Outcome) -> None:
        assert outcome.trace is not None
        counts: dict[str, int] = {}
        for event in outcome.trace.events:
            if event.kind == "step":
                counts[event.who] = counts.get(event.who, 0) + 1
        for who, count in counts.items():
            function = who.partition("#")[0]
            self._estimates[function] = max(count, self._estimates.get(function, 1))

    def begin(self, choices: Choices, /) -> None:
        self._random = choices.stream("schedule").random
        self._draws = Draws(choices)
        self._left: dict[Any, int] = {}

    def _weight(self, entry: Entry) -> int:
        key = key_of(entry)
        left = self._left.get(key)
        if left is None:
            left = self._left[key] = self._estimates.get(function_of(key), 1)
        return max(1, left)

    def pick(self, ready: list[Entry], clock: bool, /) -> int:
        weights = [self._weight(entry) for entry in ready]
        if clock:
            weights.append(1)
        point = self._random() * sum(weights)
        at = -1
        for weight in weights:
            at += 1
            point -= weight
            if point < 0:
                break
        if at < len(ready):
            key = key_of(ready[at])
            self._left[key] = self._left.get(key, 1) - 1
        return at

    def draw(self, kind: Kind, label: str, options: int, /) -> int:
        return self._draws.of(kind, label, options)
