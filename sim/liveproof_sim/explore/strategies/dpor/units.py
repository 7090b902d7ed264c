"""A part of an exploration that somebody else can run: what begins with a given prefix.

The frames of the prefix belong to whoever handed the unit out. What a race asks for there is told to them; all
else is as if the search had only this part of its tree. A unit need not be run to its end at once: the report holds
the stack that is left, with which it goes on, there or elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from liveproof_sim.explore.history import Event
from liveproof_sim.explore.strategies.dpor.frames import Frame
from liveproof_sim.explore.strategies.dpor.search import Dpor
from liveproof_sim.explore.strategies.dpor.tree import Branch

__all__ = ["Ask", "Report", "Unit", "UnitSearch"]


class Ask(NamedTuple):
    """What is to be run from a frame of the prefix: what begins with a sequence; or a process; or some branches."""

    at: int
    sequence: list[Event]
    then: list[Event]
    process: str = ""
    branches: tuple[Branch, ...] = ()


@dataclass(slots=True)
class Unit:
    """Handed out."""

    number: int
    era: int
    """how often everything began anew before"""
    frames: list[Frame]
    floor: int
    """so many of them are the prefix"""
    fresh: int
    """from which step on races were not looked for yet"""
    hot: list[str]
    """what is known by now to change"""


Counts: TypeAlias = tuple[int, int, int]


@dataclass(slots=True)
class Report:
    """What came of a unit so far."""

    number: int
    era: int
    event: Event | None
    """the last step of the prefix, as it turned out; None: it could not be run, or need not"""
    frames: list[Frame]
    """what is left; empty: nothing"""
    fresh: int
    asks: list[Ask] = field(default_factory=list)
    hot: list[str] = field(default_factory=list)
    relied: list[str] = field(default_factory=list)
    cut: dict[str, int] = field(default_factory=dict)
    counts: Counts = (0, 0, 0)
    """executions, redundant, infeasible"""
    classes: list[bytes] = field(default_factory=list)


class UnitSearch(Dpor):
    """Runs one unit after the other."""

    def take(self, unit: Unit) -> None:
        """Begin with this."""
        self._unit = unit
        if unit.era != self.restarts:
            self._relied = {}
            self.restarts = unit.era
        self._frames, self._floor, self._fresh = unit.frames, unit.floor, unit.fresh
        self._begun = len(unit.frames) > unit.floor  # else its first step is yet to be run
        self._cut = {}
        self.classes = {}
        self.executions = self.redundant = self.infeasible = 0
        self._asks: list[Ask] = []
        self._known = dict(self._relied)

    def report(self, hot: dict[str, None]) -> Report:
        """What came of it. ``hot``: what is known here to change."""
        unit, floor = self._unit, self._floor
        known = dict.fromkeys(unit.hot)
        return Report(
            unit.number,
            unit.era,
            self._frames[floor - 1].event if floor else None,
            self._frames[floor:],
            self._fresh,
            self._asks,
            [word for word in hot if word not in known],
            [word for word in self._relied if word not in self._known],
            self._cut,
            (self.executions, self.redundant, self.infeasible),
            list(self.classes),
        )

    def begin_anew(self) -> None:
        """They will, who handed it out: the report says what was relied upon, and what changes."""
        self._frames = self._frames[: self._floor]

    def _ask(self, at: int, sequence: list[Event], then: list[Event]) -> None:
        if self.include(self._frames[at], sequence, then) and at < self._floor:
            self._asks.append(Ask(at, [_bare(each) for each in sequence], then))

    def _ask_one(self, at: int, process: str) -> None:
        if self.include_one(self._frames[at], process) and at < self._floor:
            self._asks.append(Ask(at, [], [], process))

    def _add_decisions(self, frame: Frame, event: Event) -> None:
        before = len(frame.tree)
        super()._add_decisions(frame, event)
        new = len(frame.tree) - before
        if self._at < self._floor and new:
            self._asks.append(Ask(self._at, [], [], "", tuple(frame.tree[:new])))


def _bare(event: Event) -> Event:
    """Without what only its execution knows."""
    return Event(event.process, event.draws, event.options, event.footprint, [], 0)
