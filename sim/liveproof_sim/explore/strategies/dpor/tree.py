"""Wakeup trees: which sequences of steps have to be run from a prefix, in order (Abdulla, Aronis, Jonsson,
Sagonas, "Source Sets", J. ACM 2017, section 6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from liveproof_sim.explore.history.events import Event, Label
from liveproof_sim.kernel.accesses import Footprint, conflict

__all__ = ["Asked", "Branch", "insert", "weak_initial"]

Asked: TypeAlias = tuple[Sequence[Event], Sequence[Event]]
"""A sequence of steps, and what it has to be able to go on with."""


@dataclass(slots=True)
class Branch:
    """A step, and what comes after it. The footprint is that of the execution in which it was seen."""

    label: Label
    footprint: Footprint | None
    """None: this step was not seen yet; it is taken to conflict with everything"""
    children: list[Branch] = field(default_factory=list)
    passed: list[Asked] = field(default_factory=list)
    """what was taken to be explored after this step though it begins with others, because of the footprint"""

    def copied(self) -> Branch:
        """With all that comes after it."""
        return Branch(self.label, self.footprint, [child.copied() for child in self.children], self.passed[:])

    def outgrown(self, label: Label, footprint: Footprint) -> list[Asked]:
        """What has to be asked for again, now that the step has happened, and touched this."""
        return [
            (sequence, then)
            for sequence, then in self.passed
            if weak_initial(label, footprint, [*sequence, *then]) is None
        ]

    def chain(self) -> list[Label]:
        """For people."""
        return [self.label, *(label for child in self.children[:1] for label in child.chain())]


def weak_initial(label: Label, footprint: Footprint | None, sequence: Sequence[Event]) -> int | None:
    """Where the process occurs first in the sequence, if it may come first there; ``len(sequence)`` if it does
    not occur and could come first all the same; None if neither."""
    process = label[0]
    for at, event in enumerate(sequence):
        if event.process == process:
            return at if event.label == label else None
        if footprint is None or conflict(footprint, event.footprint):
            return None
    return len(sequence)


def insert(children: list[Branch], sequence: Sequence[Event], then: Sequence[Event] = ()) -> None:
    """Have some leaf of the tree lead to an execution that begins with the sequence, up to the order of what
    commutes, and can go on with ``then``.

    Departs from the paper, where a leaf that can begin the sequence stands for all that may follow it, and is left
    alone: a leaf may be there because of a footprint that its step turns out not to have, and then what follows it
    is only explored as far as the sleep set lets it. So the leaf is made longer. For the same reason a branch
    remembers what it was found to stand for: see ``outgrown``."""
    while True:
        for child in children:
            at = weak_initial(child.label, child.footprint, [*sequence, *then])
            if at is None:
                continue
            if at > 0:
                child.passed.append((sequence, then))
            if at < len(sequence):
                sequence = [*sequence[:at], *sequence[at + 1 :]]
            else:
                then = then[:0] if at == len(sequence) else then
            children = child.children
            break
        else:
            break
        if not sequence:
            return
    for event in sequence:
        branch = Branch(event.label, event.footprint)
        children.append(branch)
        children = branch.children
