"""SURW: selectively uniform random walk (Zhao, Wolff, Mathur, Roychoudhury, ASPLOS 2025).

Of all steps, few matter to one bug. Each execution draws a small set of *places* (await sites, known from the
ordinary run); only steps that go on at one of them are interesting. The next task to make an interesting step
is drawn with a chance proportional to its remaining ones, and until it has made it, the interesting steps of
all others wait; what is not interesting is ordered at random. So the order of the interesting steps is
uniform, however many other steps lie between them.

Departs from the paper: an event is a step at a place, because what a step of plain Python touches is not
known before it ran; counts are kept by the task's function, as in :mod:`urw`; and where the drawn task waits
for one of those held back, it is drawn anew from those that could run. Blocking breaks the uniformity.
"""

from __future__ import annotations

import asyncio
from typing import Any

from liveproof_sim.errors import OptionError
from liveproof_sim.explore.execution import Outcome
from liveproof_sim.explore.strategies.search import Search, function_of, key_of
from liveproof_sim.kernel.choices import Choices, Entry, Kind
from liveproof_sim.kernel.naming import site_of

__all__ = ["Surw"]

PLACES_MAX = 3  # more of them, and the order of the few that matter is diluted


class Surw(Search):
    """See the module. ``places``: how many are drawn per execution; 0: one to three."""

    def __init__(self, places: int = 0) -> None:
        if places < 0:
            raise OptionError(f"surw: places must be at least 0, not {places}")
        self.name = f"surw:places={places}" if places else "surw"
        self._size = places
        self._counts: dict[tuple[str, str], int] = {}  # function and place -> most steps of one such task
        self._places: list[str] = []

    def measure(self, outcome: Outcome) -> None:
        assert outcome.trace is not None
        seen: dict[tuple[str, str], int] = {}
        for event in outcome.trace.events:
            if event.kind == "step":
                seen[event.who, event.place] = seen.get((event.who, event.place), 0) + 1
        for (who, place), count in seen.items():
            key = (who.partition("#")[0], place)
            self._counts[key] = max(count, self._counts.get(key, 0))
        self._places = list(dict.fromkeys(place for _, place in self._counts))

    def begin(self, choices: Choices, /) -> None:
        self._random = choices.stream("schedule").random
        self._data = choices.stream("data").randrange
        stream = choices.stream("places")
        size = self._size or 1 + stream.randrange(PLACES_MAX)
        self.places = dict.fromkeys(stream.sample(self._places, min(size, len(self._places))))
        self._left: dict[Any, int] = {}  # interesting steps to come, of each task that was ready once
        self._next: Any = None  # Invariant: None, or a task that has not ended.

    def _interesting(self, key: Any) -> bool:
        return isinstance(key, asyncio.Task) and site_of(key).key in self.places

    def _draw_next(self, keys: list[Any]) -> None:
        weights = [max(1, self._left.get(key, 1)) for key in keys]
        point = self._random() * sum(weights)
        for key, weight in zip(keys, weights, strict=True):
            self._next = key
            point -= weight
            if point < 0:
                break

    def pick(self, ready: list[Entry], clock: bool, /) -> int:
        keys = [key_of(entry) for entry in ready]
        interesting = [self._interesting(key) for key in keys]
        for key in keys:
            if key not in self._left and isinstance(key, asyncio.Task):
                function = function_of(key)
                self._left[key] = sum(self._counts.get((function, place), 0) for place in self.places)
        if self._next is None or self._next.done():
            self._next = None
            if rivals := [key for key, left in self._left.items() if left > 0 and not key.done()]:
                self._draw_next(rivals)
        free = [at for at, key in enumerate(keys) if not interesting[at] or key is self._next]
        if not free and not clock:
            self._draw_next(keys)
            free = [keys.index(self._next)]
        at = int(self._random() * (len(free) + clock))
        if at == len(free):
            return len(ready)
        chosen = free[at]
        if interesting[chosen]:
            self._left[keys[chosen]] -= 1
            self._next = None
        return chosen

    def draw(self, kind: Kind, label: str, options: int, /) -> int:
        return self._data(options)
