"""PCT: probabilistic concurrency testing (Burckhardt, Kothari, Musuvathi, Nagarakatte, ASPLOS 2010).

Tasks get random priorities, the highest runs; at d - 1 random choices out of the first k, the task that was
about to run first drops below all others. A bug of depth d among n tasks and k choices is hit with a chance
of at least 1 / (n k^(d-1)). Follows shuttle in measuring k (the ordinary execution, raised when one takes
longer) and in giving late tasks a random rank. Departs: only choices with two options or more count as steps,
while k is all steps (the ordinary order may have far fewer choices than the one that starves a task); the
clock is one more task; and a run that is much longer than k goes on as a random walk, because PCT is not fair
(a spinning task of high priority would run for ever). Does not find what needs many alternations, whatever d.
"""

from __future__ import annotations

from typing import Any

from liveproof_sim.errors import OptionError
from liveproof_sim.explore.strategies.priorities import Priorities
from liveproof_sim.kernel.choices import Choices

__all__ = ["Pct"]


class Pct(Priorities):
    """See the module. ``depth`` is d; ``horizon`` is k, measured if it is not given."""

    def __init__(self, depth: int = 3, horizon: int = 0) -> None:
        if depth < 1:
            raise OptionError(f"pct: depth must be at least 1, not {depth}")
        if horizon < 0:
            raise OptionError(f"pct: horizon must be at least 0, not {horizon}")
        self.name = f"pct:depth={depth}"
        self._depth = depth
        super().__init__(horizon)

    def begin(self, choices: Choices, /) -> None:
        super().begin(choices)
        self._ranks: dict[Any, float] = {}
        stream = choices.stream("changes")
        horizon = max(1, self._horizon)
        # Rank i for the i-th: below all tasks, and below each other in the order that was drawn.
        self._changes = {stream.randrange(horizon): float(-rank) for rank in range(1, self._depth)}

    def priority(self, key: Any) -> float:
        rank = self._ranks.get(key)
        if rank is None:
            rank = self._ranks[key] = self._random()
        return rank

    def demoted(self, key: Any) -> bool:
        change = self._changes.pop(len(self._choices.taken), None)
        if change is None:
            return False
        self._ranks[key] = change
        return True
