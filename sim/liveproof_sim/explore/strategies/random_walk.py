"""Uniform at every choice.

Fair, and a strong baseline (Thomson, Donaldson, Betts, TOPC 2016: finds as much as bounded search). Does not
find what needs one task to be starved for long: a window of k steps has the chance 2^-k.
"""

from __future__ import annotations

from liveproof_sim.explore.strategies.draws import Draws
from liveproof_sim.explore.strategies.search import Search
from liveproof_sim.kernel.choices import Choices, Entry, Kind

__all__ = ["RandomWalk"]


class RandomWalk(Search):
    """See the module."""

    name = "random"

    def begin(self, choices: Choices, /) -> None:
        self._random = choices.stream("schedule").random
        self._draws = Draws(choices)

    def pick(self, ready: list[Entry], clock: bool, /) -> int:
        return int(self._random() * (len(ready) + clock))

    def draw(self, kind: Kind, label: str, options: int, /) -> int:
        return self._draws.of(kind, label, options)
