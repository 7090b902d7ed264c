"""The common part of PCT and POS: run the ready entry of the highest priority, in O(log n).

Priorities are not fair: a task that spins may keep the one that it waits for from running, for ever (PCT) or
for very long (POS). So a run of far more choices than the ordinary one goes on as a random walk; what then
does not end is a livelock.
"""

from __future__ import annotations

from bisect import bisect_left
from heapq import heappop, heappush, heapreplace
from typing import Any

from liveproof_sim.explore.execution import Outcome
from liveproof_sim.explore.strategies.draws import Draws
from liveproof_sim.explore.strategies.search import CLOCK, Search, key_of
from liveproof_sim.kernel.choices import Choices, Entry, Kind

__all__ = ["Priorities"]


UNFAIR_FACTOR = 4  # a run of more choices than this times those of the ordinary run is led fairly ...
UNFAIR_MIN = 200  # ... but not before as many


class Priorities(Search):
    """A heap of ``(-priority, number)``. Entries that ran without being asked for are dropped when they come
    up."""

    def __init__(self, horizon: int = 0) -> None:
        self._horizon = horizon  # steps of the ordinary run: no fewer than choices in another order

    def measure(self, outcome: Outcome) -> None:
        self._horizon = max(self._horizon, outcome.steps)

    def learn(self, outcome: Outcome, *, new: bool) -> None:
        if len(outcome.taken) <= self._fair_from():
            self.measure(outcome)

    def _fair_from(self) -> int:
        return max(UNFAIR_MIN, UNFAIR_FACTOR * self._horizon)

    def begin(self, choices: Choices, /) -> None:
        self._choices = choices
        self._random = choices.stream("schedule").random
        self._draws = Draws(choices)
        self._heap: list[tuple[float, int]] = []
        self._fair_at = self._fair_from()
        self._seen = -1  # Invariant: all ready entries up to this number are, or were, in the heap.

    def priority(self, key: Any) -> float:
        """Of an entry that became ready just now, by whose it is."""
        raise NotImplementedError

    def demoted(self, key: Any) -> bool:
        """This owner is about to run: whether it was given another priority instead."""
        return False

    def offered(self, entry: Entry, /) -> None:
        heappush(self._heap, (-self.priority(key_of(entry)), entry[0]))

    def pick(self, ready: list[Entry], clock: bool, /) -> int:
        if len(self._choices.taken) >= self._fair_at:
            return int(self._random() * (len(ready) + clock))
        heap, seen = self._heap, self._seen
        at = len(ready) - 1
        newest = ready[-1][0] if ready else seen
        while at >= 0 and ready[at][0] > seen:
            entry = ready[at]
            if entry[3] is not None:  # callbacks were offered
                heappush(heap, (-self.priority(key_of(entry)), entry[0]))
            at -= 1
        self._seen = max(seen, newest)
        while True:
            if not heap:
                assert clock
                return len(ready)
            position = bisect_left(ready, heap[0][1], key=_number)
            if position == len(ready) or ready[position][0] != heap[0][1]:
                heappop(heap)  # it has run
            elif clock and self.priority(CLOCK) > -heap[0][0]:
                if not self.demoted(CLOCK):
                    return len(ready)
            else:
                key = key_of(ready[position])
                if not self.demoted(key):
                    heappop(heap)
                    return position
                heapreplace(heap, (-self.priority(key), heap[0][1]))

    def draw(self, kind: Kind, label: str, options: int, /) -> int:
        return self._draws.of(kind, label, options)


def _number(entry: Entry) -> int:
    return entry[0]
