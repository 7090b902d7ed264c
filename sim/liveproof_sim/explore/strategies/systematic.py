"""Exhaustive search, whole or within an iterated bound; no schedule is run twice.

Each execution follows a prefix of choices and then the default. Every other option at every choice after the
prefix is a new prefix, kept in the bucket of its cost; the cheapest bucket is served first, deepest first. A
schedule has exactly one longest forced prefix, so it is made exactly once. Three costs:

- *dfs*: nothing costs; plain depth-first search.
- *preemptions* (Musuvathi, Qadeer, PLDI 2007: iterative context bounding): to switch away from a task that
  could go on costs 1; the default is to let it go on. Where a task has to wait, every switch is free. Fits
  cooperative code.
- *delays* (Emmi, Qadeer, Rakamarić, POPL 2011): option i of the queue costs i. Fits asyncio badly (a bug of
  one preemption may take seven delays); here for comparison.

A run that is very long goes on first in, first out, because to let one task go on for ever is not fair; that
cut is a bound like any other, and named in the verdict.

Departs from both: a decision that is no step (data, faults) costs nothing. No reduction: independent steps
are run in all orders.
"""

from __future__ import annotations

from typing import NamedTuple

from liveproof_sim.errors import NondeterminismError, OptionError
from liveproof_sim.explore.execution import Outcome
from liveproof_sim.explore.strategies.search import Search, key_of
from liveproof_sim.kernel.choices import Choices, Entry, Kind

__all__ = ["Systematic"]

CHOICES_MAX = 1000  # after so many, a run goes on first in, first out, and is not branched any more
UNASKED = -1  # a step in a calm world: it is recorded, but was no choice
COSTS = ("dfs", "preemptions", "delays")


class _Prefix(NamedTuple):
    """The first ``length`` choices of ``taken``, then ``last``."""

    taken: list[int]
    length: int
    last: int


class Systematic(Search):
    """See the module. ``bound``: the highest cost; None: until everything was run."""

    systematic = True

    def __init__(self, cost: str = "dfs", bound: int | None = None) -> None:
        if cost not in COSTS:
            raise OptionError(f"a systematic search counts one of {', '.join(COSTS)}, not {cost!r}")
        if bound is not None and bound < 0:
            raise OptionError(f"{cost}: bound must be at least 0, not {bound}")
        self.name = cost if bound is None else f"{cost}:bound={bound}"
        self._cost = cost
        self._bound = bound
        self._buckets: dict[int, list[_Prefix]] = {}
        self._begun = False
        self._forced: list[int] = []
        self._level = 0
        self._cut = False
        self._long = False

    def begin(self, choices: Choices, /) -> None:
        self._choices = choices
        self._keeps: list[int | None] = []  # per choice: the option that costs nothing; None: all of them
        if not self._begun:
            self._begun = True
            return
        self._level = min(self._buckets)
        bucket = self._buckets[self._level]
        prefix = bucket.pop()
        if not bucket:
            del self._buckets[self._level]
        self._forced = [*prefix.taken[: prefix.length], prefix.last]

    def _follow(self, options: int, keep: int | None) -> int:
        at = len(self._choices.taken)
        self._keeps += [UNASKED] * (at - len(self._keeps))
        self._keeps.append(keep)
        if at < len(self._forced):
            if self._forced[at] >= options:
                raise NondeterminismError(f"choice {at} had {options} options now, and more of them before")
            return self._forced[at]
        if at >= CHOICES_MAX:
            self._long = True
            return 0
        return keep or 0

    def pick(self, ready: list[Entry], clock: bool, /) -> int:
        keep: int | None = None
        if self._cost == "delays":
            keep = 0
        elif self._cost == "preemptions":
            owner = getattr(self._choices.last, "__self__", None)
            keep = next((at for at, entry in enumerate(ready) if key_of(entry) is owner), None)
        return self._follow(len(ready) + clock, keep)

    def draw(self, kind: Kind, label: str, options: int, /) -> int:
        return self._follow(options, None)

    def learn(self, outcome: Outcome, *, new: bool) -> None:
        taken = outcome.taken
        for at in range(len(self._forced), min(len(taken), len(self._keeps), CHOICES_MAX)):
            keep = self._keeps[at]
            if keep == UNASKED:
                continue
            for option in range(outcome.sizes[at] - 1, -1, -1):
                if option == taken[at]:
                    continue
                price = 0 if keep is None else option if self._cost == "delays" else 1
                level = self._level + price
                if self._bound is not None and level > self._bound:
                    self._cut = True
                else:
                    self._buckets.setdefault(level, []).append(_Prefix(taken, at, option))

    def exhausted(self) -> bool:
        return self._begun and not self._buckets

    def bounds(self) -> dict[str, int]:
        found = {self._cost: self._bound} if self._cut and self._bound is not None else {}
        return {**found, "choices": CHOICES_MAX} if self._long else found

    @property
    def level(self) -> int:
        """The cost that is being run; all cheaper schedules have been."""
        return self._level
