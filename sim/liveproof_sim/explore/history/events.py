"""Events, and which of them happened before which.

An event is a step of a process with the decisions that were taken in it. One happens before another if it is
an earlier step of the same process, made it ready, or conflicts with it and came first; and what follows from
these. Sets of events are bits of an integer.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import NamedTuple, TypeAlias

from liveproof_sim.kernel.accesses import ADD, WORLD, WRITE, Footprint, modes_conflict

__all__ = ["Chance", "Event", "History", "Label"]

Label: TypeAlias = tuple[str, tuple[int, ...]]
"""The process, and what was decided in the step."""


class Chance(NamedTuple):
    """A moment in a step at which the power could have failed."""

    after: bool
    """at its end; or else before something durable is changed"""
    touched: int
    """how many resources the step had touched by then"""
    draws: int
    """how many decisions it had taken"""


@dataclass(slots=True)
class Event:
    """One step."""

    process: str
    draws: tuple[int, ...]
    options: tuple[int, ...]
    """of the decisions, how many there were"""
    footprint: Footprint
    joins: list[tuple[Hashable, Hashable]]
    """what it took, and what had to be given for that"""
    enabled_by: int
    """events that made it ready, and those before the last step of time"""
    answers: tuple[bool, ...] = ()
    """whether it had done nothing else, where that was asked in it"""
    resumed: bool = False
    """whether it began behind a guard: then that was asked when its attempt turned out to be none"""
    made: int = 0
    """how many objects it made"""
    since: int = 0
    """how many events there were at the last step of time that is none"""
    outlives: bool = False
    """whether it is a step of somebody whom no failure of power concerns"""
    blind: bool = False
    """whether it did something unknown"""
    chances: tuple[Chance, ...] = ()
    """if these are no decisions, but moments: see ``dpor/cuts.py``"""
    before: int = 0
    """all events that happened before it, itself included"""
    races: list[int] = field(default_factory=list)
    """earlier events that conflict with it, with nothing between that orders the two"""

    @property
    def label(self) -> Label:
        return (self.process, self.draws)


class History:
    """The events of one execution, in order, with their relation."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._of: dict[str, list[int]] = {}
        """the events of each process"""
        self._touched: dict[Hashable, list[tuple[int, int]]] = {}
        self._changed: dict[Hashable, list[tuple[int, int]]] = {}  # of those, ADD and WRITE: most only look
        self._known: int = 0  # events with a footprint: they conflict with whatever is opaque
        self._opaque: int = 0

    def __len__(self) -> int:
        return len(self.events)

    def relate(self, event: Event) -> None:
        """Work out what happened before an event that comes next, and what it races with."""
        before = event.enabled_by
        earlier = self._of.get(event.process)
        if earlier:
            before |= 1 << earlier[-1]
        before = self._closed(before)
        for taken, given in event.joins:
            if given is None:
                before |= self._first_given(taken)
                continue
            before |= self._race(event, {taken: WRITE}, before)
            for at, modes in self._touched.get(given, ()):
                if modes & (ADD | WRITE):
                    before |= self.events[at].before
        before |= self._race(event, event.footprint, before)
        event.before = before

    def _first_given(self, resource: Hashable) -> int:
        """What happened before whoever gave first since it was fetched last, if all others gave after that."""
        gave = []
        for at, modes in reversed(self._touched.get(resource, ())):
            if modes & WRITE:
                break
            gave.append(at)
        if gave and all(self.events[at].before >> gave[-1] & 1 for at in gave):
            return self.events[gave[-1]].before
        return 0

    def _closed(self, direct: int) -> int:
        """With all that happened before those."""
        before = 0
        while direct:
            at = direct.bit_length() - 1
            known = self.events[at].before
            before |= known
            direct &= ~known
        return before

    def _race(self, event: Event, footprint: Footprint, before: int) -> int:
        """Note what the event races with in this footprint, and return what that adds to ``before``."""
        for at in self._conflicting(footprint):
            if not before >> at & 1:
                event.races.append(at)
                before |= self.events[at].before
        return before

    def _conflicting(self, footprint: Footprint) -> list[int]:
        """Earlier events that conflict with it, the latest first."""
        found = 0
        for resource, modes in footprint.items():
            if resource == WORLD:
                found |= self._known
                continue
            earlier = self._changed.get(resource)
            if modes & (ADD | WRITE):
                earlier = self._touched.get(resource)
            if earlier is None:
                continue
            for at, others in reversed(earlier):
                if modes_conflict(modes, others):
                    found |= 1 << at
                if others & WRITE:
                    break  # it comes after all that touched the resource before it
        if footprint:
            found |= self._opaque
        order = []
        while found:
            at = found.bit_length() - 1
            order.append(at)
            found ^= 1 << at
        return order

    def append(self, event: Event) -> None:
        """The event has happened."""
        at = len(self.events)
        event.before |= 1 << at
        self.events.append(event)
        self._of.setdefault(event.process, []).append(at)
        for resource, modes in event.footprint.items():
            touch = (at, modes)
            touches = self._touched.get(resource)
            if touches is None:
                self._touched[resource] = [touch]
            else:
                touches.append(touch)
            if modes & (ADD | WRITE):
                self._changed.setdefault(resource, []).append(touch)
        if event.footprint:
            self._known |= 1 << at
        if WORLD in event.footprint:
            self._opaque |= 1 << at

    def truncate(self, size: int) -> None:
        """Only the first ``size`` events have happened."""
        while len(self.events) > size:
            event = self.events.pop()
            self._of[event.process].pop()
            for resource, modes in event.footprint.items():
                self._touched[resource].pop()
                if modes & (ADD | WRITE):
                    self._changed[resource].pop()
        self._known &= (1 << size) - 1
        self._opaque &= (1 << size) - 1

    def written_again(self, size: int) -> list[str]:
        """Resources, in words, that are written after the step that touched them first, and not only by the first
        ``size`` events."""
        found: dict[Hashable, None] = {}
        for at in range(size, len(self.events)):
            for resource, modes in self.events[at].footprint.items():
                if modes & (ADD | WRITE) and self._touched[resource][0][0] < at:
                    found[resource] = None
        return [repr(resource) for resource in found]

    def not_after(self, at: int, end: int | None = None) -> list[Event]:
        """What comes after the event at ``at``, up to ``end``, and does not depend on it."""
        return [each for each in self.events[at + 1 : end] if not each.before >> at & 1]

    def digest(self) -> bytes:
        """Equal for two executions if and only if they have the same events in the same relation: each event is
        named by its label and the names of those right before it."""
        return blake2b(",".join(sorted(self.names({}))).encode(), digest_size=12).digest()

    def names(self, more: Mapping[int, object]) -> list[str]:
        """Of each event: by its label, by what ``more`` there is to say of it, and by the names of those right before
        it."""
        names: list[str] = []
        for at, event in enumerate(self.events):
            parents = sorted(names[each] for each in self.parents(at))
            text = f"{event.process}{event.draws}{more.get(at, '')}<{','.join(parents)}>"
            names.append(blake2b(text.encode(), digest_size=9).hexdigest())
        return names

    def parents(self, at: int) -> list[int]:
        """The events right before this one, with none between."""
        earlier = self.events[at].before & ~(1 << at)
        found: list[int] = []
        while earlier:
            last = earlier.bit_length() - 1
            found.append(last)
            earlier &= ~self.events[last].before
        return found

    def foata(self) -> list[list[Label]]:
        """The Foata normal form (Cartier and Foata, 1969): each event on the level after the last of those
        before it, the events of a level in the order of their names."""
        level: list[int] = []
        for at in range(len(self.events)):
            level.append(1 + max((level[each] for each in self.parents(at)), default=-1))
        rows: list[list[Label]] = [[] for _ in range(1 + max(level, default=-1))]
        for at, event in enumerate(self.events):
            rows[level[at]].append(event.label)
        return [sorted(row) for row in rows]
