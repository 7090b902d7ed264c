"""The tree of a reduced search, cut into parts that can be run in any order, by anybody.

**Full expansion above, source-DPOR below.** Down to where there are enough nodes, every process that could run is
run, and every decision of its step; what was run from a node sleeps in the nodes that come after it. A node at the
cut is a part: the steps that lead there, and what sleeps there. Below it source-DPOR goes on (``search.py``). A
race whose first step is above the cut asks for nothing, because whatever could have been run there is run.

Why no class is lost. Sleep sets with every process run keep an execution of each class (Godefroid, "Partial-Order
Methods for the Verification of Concurrent Systems", 1996). A race of source-DPOR asks for one step, at one node above
it, and for nothing else. So all parts together, in whatever order, are one source-DPOR in one process that asked
for more above the cut than it had to; and a search may ask for more than it has to. What sleeps in a part belongs to
one that comes before it, which need not have been run yet.

What it costs: executions that are given up half-way, because all that begins so belongs to another part
(``redundant``), those that only find where the parts begin, and an uneven end: a part is not divided again. Measured
with 16 parts or more: none given up for 2 118 classes of two operator calls, nor for 1 680 of three counters; but
1 266 for the 320 of lastzero(7), where source-DPOR alone gives up 573 and optimal DPOR none. There one process is
faster. Sleep sets let no class be run twice, neither in one part nor in two, and the tests have seen none that was.

Roads not taken. *Optimal DPOR below*: its race asks for a sequence of steps, and leaves what a sleeping step does
not touch to the races of those that sleep; these would ask for it above the cut, where a step is all that is run
(two of the 16 classes of readers(4) were lost). *Handing out what races have asked for*: a branch can be handed out
before its siblings have told all that they ask of it, and then a class falls between the two (1 of 168 random
explorations found that).
"""

from __future__ import annotations

from typing import TypeAlias

from liveproof_sim.explore.history import Event, History, Watcher
from liveproof_sim.explore.strategies.dpor.frames import Frame, undecided
from liveproof_sim.explore.strategies.dpor.search import Dpor
from liveproof_sim.explore.strategies.dpor.tree import Branch
from liveproof_sim.kernel.modes import Abandoned

__all__ = ["Expansion", "Part", "PartSearch", "expansion_of", "part_search_of"]

LEVELS_MAX = 32

Part: TypeAlias = list[Frame]
"""Frames of the steps that lead there, and one more, in which nothing was run yet."""


def part_search_of(search: Dpor) -> PartSearch:
    """What runs parts of it."""
    return PartSearch(**search.options(), source=True)


def expansion_of(search: Dpor, wanted: int) -> Expansion:
    """What divides it."""
    expansion = Expansion(**search.options(), source=True)
    expansion.wanted = wanted
    expansion.hand_over()
    return expansion


class PartSearch(Dpor):
    """Runs one part after the other."""

    def take(self, part: Part) -> None:
        """Begin with this."""
        self._frames = part
        self._floor = self._fresh = len(part) - 1
        self._begun = True
        self._bare = part[-1].copied()
        self._before = (self.executions, self.redundant, self.infeasible)

    @property
    def relied(self) -> dict[str, None]:
        """What was taken for constant, in all parts so far."""
        return self._relied

    def forget(self) -> None:
        """The exploration began anew."""
        self._relied = {}

    def begin_anew(self) -> None:
        """They will, who handed it out."""
        self._frames = self._frames[: self._floor]

    def _begin_with_other_names(self) -> None:
        """The part is run anew."""
        self._count_shift()
        self.executions, self.redundant, self.infeasible = self._before
        self._history = History()
        self.take([*self._frames[: self._floor], self._bare.copied()])

    def settle(self) -> tuple[int, int, int, dict[str, int]]:
        """What was run since this was asked last, as for ``Dpor.credit``."""
        found = (self.executions, self.redundant, self.infeasible, self._cut)
        self.executions = self.redundant = self.infeasible = 0
        self._cut = {}
        return found

    def _ask(self, at: int, sequence: list[Event], then: list[Event]) -> None:
        if at >= self._floor:
            super()._ask(at, sequence, then)

    def _ask_one(self, at: int, process: str) -> None:
        if at >= self._floor:
            super()._ask_one(at, process)


class Expansion(PartSearch):
    """Divides the tree: exhausted once it is, with ``parts`` as the result. Executions that are over before they
    come to a part are run to their end."""

    wanted = 1
    """so many parts, if the tree is large enough"""
    parts: list[Part]

    def begin_anew(self) -> None:
        Dpor.begin_anew(self)

    def hand_over(self) -> None:
        super().hand_over()
        self.parts = []
        self._level: list[Part] = []
        self._levels = 0
        self.take([Frame({})])

    def choose(self, processes: list[str]) -> int:
        if self._floor <= self._at < self._depth:
            frame = self._frames[self._at]
            if self._at > self._floor and len(processes) > 1 and _untouched(frame):
                self._begin_a_part(frame, processes)
            if frame.event is None:
                self._ask_all(frame, processes)
        return super().choose(processes)

    def _begin_a_part(self, frame: Frame, processes: list[str]) -> None:
        """Here, unless all that could run is asleep. Where only one could run there would be nothing to divide."""
        if not any(_awake(frame, process) for process in processes):
            self.redundant += 1
            raise Abandoned("all that could run is asleep")
        above = [_passed(each.event) for each in self._frames[: self._at] if each.event is not None]
        assert len(above) == self._at
        self.parts.append([*above, Frame(frame.sleep, spent=frame.spent)])
        raise Abandoned("a part begins here")

    def _ask_all(self, frame: Frame, processes: list[str]) -> None:
        """Have all of them run from there. More may turn up once some have turned out to wait, and time has moved."""
        there = [*frame.explored, *(branch.label for branch in frame.tree)]
        if frame.branch is not None:
            there.append(frame.branch.label)
        known = [*frame.waiting, *(label[0] for label in there)]
        for process in processes:
            if process not in known and _awake(frame, process):
                frame.tree.append(Branch((process, ()), None))

    def _turn(self, watcher: Watcher, event: Event, end: int | None = None) -> None:
        """Whatever a race could ask for is run."""

    def _ask_one(self, at: int, process: str) -> None:
        pass

    def _backtrack(self) -> None:
        super()._backtrack()
        while len(self._frames) <= self._floor:  # all of that part
            if not self._level:
                if not self.parts or len(self.parts) >= self.wanted or self._levels >= LEVELS_MAX:
                    return
                self._level, self.parts = self.parts, []
                self._levels += 1
            self.take(self._level.pop(0))


def _untouched(frame: Frame) -> bool:
    return not (frame.tree or frame.branch or frame.explored or frame.waiting)


def _awake(frame: Frame, process: str) -> bool:
    """Whether some decision of its step is yet to be run."""
    return undecided((), [each for each in frame.sleep.values() if each.process == process]) is not None


def _passed(event: Event) -> Frame:
    """A step that leads to a part."""
    bare = Event(event.process, event.draws, event.options, {}, [], 0)
    return Frame({}, branch=Branch(bare.label, None), event=bare)
