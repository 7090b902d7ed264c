"""Near: the ordinary order but for who begins first, and but for a few delays.

Tasks that are to begin are begun in a random order; all else goes first in, first out, except at ``delays``
random choices out of the first k, where another option runs. So whatever it finds is close to what stock
asyncio does. Random delay sampling (Desai, Qadeer, Seshia, FSE 2015: any schedule of d delays has a chance of
at least 1 / L^d), departing from it in the free order of beginnings: n tasks that run in lockstep are in the
wrong order from their first step on, which costs walks and priorities one coin per step. Does not find what
needs one task to be starved for long.
"""

from __future__ import annotations

import asyncio
from types import CoroutineType

from liveproof_sim.errors import OptionError
from liveproof_sim.explore.execution import Outcome
from liveproof_sim.explore.strategies.search import Search, key_of
from liveproof_sim.kernel.choices import Choices, Entry, Kind

__all__ = ["Near"]


class Near(Search):
    """See the module. k is measured: the choices of the ordinary run, raised when a run has more."""

    def __init__(self, delays: int = 1) -> None:
        if delays < 0:
            raise OptionError(f"near: delays must be at least 0, not {delays}")
        self.name = f"near:delays={delays}"
        self._delays = delays
        self._horizon = 1

    def measure(self, outcome: Outcome) -> None:
        self._horizon = max(self._horizon, len(outcome.taken))

    def learn(self, outcome: Outcome, *, new: bool) -> None:
        if len(outcome.taken) <= 4 * self._horizon:  # a run that spins says nothing about the others
            self.measure(outcome)

    def begin(self, choices: Choices, /) -> None:
        self._choices = choices
        self._random = choices.stream("schedule").random
        self._data = choices.stream("data").randrange
        places = choices.stream("delays").randrange
        self._late = dict.fromkeys(places(self._horizon) for _ in range(self._delays))

    def pick(self, ready: list[Entry], clock: bool, /) -> int:
        if len(self._choices.taken) in self._late:
            return 1 + int(self._random() * (len(ready) + clock - 1))
        if not ready or not _begins(ready[0]):
            return 0
        beginning = [at for at, entry in enumerate(ready) if _begins(entry)]
        return beginning[int(self._random() * len(beginning))]

    def draw(self, kind: Kind, label: str, options: int, /) -> int:
        return self._data(options)


def _begins(entry: Entry) -> bool:
    """Whether this is the first step of a task."""
    key = key_of(entry)
    coro = key.get_coro() if isinstance(key, asyncio.Task) else None
    return isinstance(coro, CoroutineType) and not coro.cr_suspended
