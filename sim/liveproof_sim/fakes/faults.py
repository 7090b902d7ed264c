"""What may go wrong, switched on by family, limited by a budget, and counted.

Nothing is on by default, and what is off is never asked for, so that spaces stay small. When a fake comes to
a place where something may go wrong it calls :meth:`Faults.strike`: one choice of kind *fault*, of which 0 is
that nothing happens.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from liveproof_sim.errors import OptionError
from liveproof_sim.kernel.choices import Choices, Kind

__all__ = ["FAMILIES", "Faults"]

FAMILIES: dict[str, str] = {
    "disk.eacces": "a file or directory may not be opened",
    "disk.eintr": "a call is interrupted",
    "disk.eio": "a read, a write or a change of names fails; a write may have done half of its work",
    "disk.emfile": "no file descriptor is left",
    "disk.enospc": "the disk is full; half of a write may have been done",
    "disk.latent": "a file can not be read until it is written again",
    "disk.slow": "a call takes a second",
    "disk.sync": "a sync fails, and drops the pages that it should have written",
    "feed.coalesce": "one event stands for several changes of a key",
    "feed.late": "changes are told 20 ms later",
    "feed.overflow": "changes are lost, and that is told; only of a view",
    "feed.reorder": "changes are told in another order than they happened, those of one key in theirs",
    "feed.repeat": "a change is told twice",
    "log.late": "a fetch, a partition that is given, or a commit comes 20 ms later",
    "log.rebalance": "a partition is taken away and given back; what was not committed comes again",
    "log.refuse": "a commit fails before it is applied",
    "log.short": "a fetch brings fewer records than there are",
    "log.silence": "a commit is applied, and the answer is lost",
    "log.turn": "a fetch begins with another partition",
    "target.break": "a target fails in the middle of a batch; what was applied stays",
    "target.fail": "a target fails after the last action of a batch",
    "target.refuse": "a target fails before the first action of a batch",
    "target.silence": "a target has applied a batch, and the answer is lost",
    "target.slow": "a target takes a while to answer",
    "store.eio": "a read, a write or a flush of the store fails",
    "store.enospc": "there is no room for a batch of the store",
    "watch.late": "changes are told up to a second later",
    "watch.overflow": "the queue of a watch overflows: changes are lost, and that is told",
    "watch.repeat": "a change is told twice",
    "watch.split": "changes are told one by one, in any order of their paths",
}
"""All families. The part before the point switches on all of its kind."""


@dataclass(slots=True)
class _Count:
    asked: int = 0
    struck: int = 0


@dataclass(slots=True)
class Faults:
    """The switchboard of one world."""

    choices: Choices
    budget: int | None = None
    """how many more may strike in this run; ``None``: any number"""
    counts: dict[tuple[str, str, str], _Count] = field(default_factory=dict)
    """by family, operation and phase"""
    on: dict[str, None] = field(default_factory=dict)
    """the families that may strike"""

    def enable(self, *families: str, budget: int | None = None) -> None:
        """Let these strike from now on: ``"disk.eio"``, or ``"disk"`` for all of the disk. ``budget``: at
        most so many times in all.

        Raises:
            OptionError: there is no such family.
        """
        for family in families:
            self.on |= dict.fromkeys(_families(family))
        if budget is not None:
            self.budget = budget

    def disable(self, *families: str) -> None:
        """Stop these; without arguments, all of them.

        Raises:
            OptionError: there is no such family.
        """
        for family in families or tuple(self.on):
            for each in _families(family):
                self.on.pop(each, None)

    def enabled(self, family: str) -> bool:
        """Whether it may strike now."""
        return family in self.on and self.budget != 0

    def strike(self, family: str, operation: str, phase: str = "", *, about: str = "") -> bool:
        """Whether it strikes here. ``about`` is what the choice is labelled with, a path for example."""
        return self.choose(family, operation, 2, phase, about=about) == 1

    def choose(self, family: str, operation: str, options: int, phase: str = "", *, about: str = "") -> int:
        """Which of the options strikes here; 0: none."""
        assert family in FAMILIES, f"no family is called {family!r}"
        if family not in self.on or self.budget == 0:
            return 0
        count = self.counts.setdefault((family, operation, phase), _Count())
        count.asked += 1
        label = " ".join(part for part in (family, operation, phase, about) if part)
        chosen = self.choices.draw(Kind.FAULT, label, options)
        if chosen:
            count.struck += 1
            if self.budget is not None:
                self.budget -= 1
        return chosen


def _families(name: str) -> list[str]:
    found = [each for each in FAMILIES if each == name or each.startswith(f"{name}.")]
    if not found:
        raise OptionError(f"no fault is called {name!r}: use one of {', '.join(FAMILIES)}")
    return found
