"""The stack of a search: for each step of the execution that was run last, what was and what is to be run there."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TypeAlias

from liveproof_sim.explore.history import Event, Label
from liveproof_sim.explore.strategies.dpor.tree import Branch

__all__ = ["Frame", "Sleep", "share_of", "undecided"]

Sleep: TypeAlias = dict[Label, Event]


@dataclass(slots=True)
class Frame:
    """A prefix: the events before it are those of the frames above."""

    sleep: Sleep
    """steps that need not be run from here: executions that begin with them were explored"""
    tree: list[Branch] = field(default_factory=list)
    branch: Branch | None = None
    """what is being explored; no longer in the tree"""
    event: Event | None = None
    enabled: list[str] = field(default_factory=list)
    """who could run, the last time that it was reached"""
    waiting: list[str] = field(default_factory=list)
    """who turned out to wait, though nobody could tell before"""
    explored: list[Label] = field(default_factory=list)
    """steps that were run from here"""
    spent: dict[str, int] = field(default_factory=dict)
    """of what is bounded, how much the events before it have used"""
    again: bool = False
    """whether it is to be reached again though its tree is empty: what ran from it was beyond a bound"""

    def copied(self) -> Frame:
        """As it is now, whatever an execution does to it."""
        return replace(
            self,
            sleep=dict(self.sleep),
            tree=[branch.copied() for branch in self.tree],
            waiting=self.waiting[:],
            explored=self.explored[:],
        )


def share_of(frames: list[Frame]) -> float:
    """About how much of what begins like these was run: see ``Dpor.standing``."""
    share, weight = 0.0, 1.0
    for frame in frames:
        done = len(frame.explored)
        known = max(1, done + (frame.event is not None) + len(frame.tree))
        share += weight * done / known
        weight /= known
    return share


def undecided(prefix: tuple[int, ...], asleep: list[Event]) -> tuple[int, ...] | None:
    """The first decisions of a step, from ``prefix`` on, that are not all asleep; None if all are."""
    size = len(prefix)
    options = None
    for each in asleep:
        if each.draws[:size] == prefix:
            if len(each.draws) == size:
                return None
            options = each.options[size]
    if options is None:
        return prefix
    for value in range(options):
        found = undecided((*prefix, value), asleep)
        if found is not None:
            return found
    return None
