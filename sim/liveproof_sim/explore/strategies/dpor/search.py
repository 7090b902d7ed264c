"""Optimal dynamic partial-order reduction (Abdulla, Aronis, Jonsson, Sagonas, "Source Sets: A Foundation for
Optimal Dynamic Partial Order Reduction", J. ACM 64(4), 2017, algorithm 2), stateless: every execution starts
anew and follows a prefix.

When an execution has ended, each pair of steps that race (they conflict, and nothing between orders them)
is turned round: what does not depend on the first, and then the second, goes into the wakeup tree of the
prefix before the first, unless an execution that was explored from there begins so, up to the order of what
commutes (the sleep set knows). Then the deepest prefix with something left in its tree is taken up.

Departs from the paper:

- A step is a block of accesses, and what a step would touch in another place is not known before it ran. Where
  the paper asks whether two steps commute, the footprint of the execution in which the step was seen stands
  in. So a branch may turn out to be asleep; it is given up then, and counted (``redundant``). Executions that come
  to their end are one for each class all the same: the tests compare with every interleaving.
- A step in which something was decided (data, faults, crashes) is one event per decision; all of them are run.
- A process that waits behind a guard or for a lock is disabled, and takes part: its step, had it run, races at
  the end of the execution (``pending``).
- What a step disables (it cancels a timer, or makes a guard false) is run before it, too.
- Time that moves when nothing is ready is no event: what follows comes after all before it.

An execution longer than ``depth`` steps goes on first in, first out, and is not turned round beyond that; the
verdict then is within that bound.

``source=True`` is source-DPOR (algorithm 1): only the first step of a turned race is remembered, which is
cheaper per execution and may run into the sleep set.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from liveproof_sim.errors import NondeterminismError, OptionError
from liveproof_sim.explore.execution import Outcome
from liveproof_sim.explore.history import Event, Label, Watcher
from liveproof_sim.explore.strategies.dpor.tree import Branch, insert, weak_initial
from liveproof_sim.explore.strategies.search import Search
from liveproof_sim.kernel.accesses import WRITE, Footprint, conflict
from liveproof_sim.kernel.causes import CLOCK
from liveproof_sim.kernel.choices import Choices, Entry, Kind
from liveproof_sim.kernel.loop import SimLoop
from liveproof_sim.kernel.modes import Abandoned, Attached

__all__ = ["Dpor"]

OF_CLOCK: Footprint = {"timers": WRITE, "clock": WRITE}
"""what a step of late time touches, whichever timer it is that fires"""

_Sleep: TypeAlias = dict[Label, Event]


@dataclass(slots=True)
class _Frame:
    """A prefix: the events before it are those of the frames above."""

    sleep: _Sleep
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
    given: int = 0
    """how many decisions of its step the branch came with"""


class Dpor(Search, Attached):
    """See the module."""

    systematic = True
    reduced = True

    def __init__(self, depth: int = 2000, *, source: bool = False) -> None:
        if depth < 1:
            raise OptionError(f"dpor: depth must be at least 1, not {depth}")
        self.name = "dpor-source" if source else "dpor"
        self._depth = depth
        self._deeper = False
        self._source = source
        self._frames: list[_Frame] = []
        self._begun = False
        self._watcher: Watcher | None = None
        self._drawn: list[int] = []
        self._forced: tuple[int, ...] = ()
        self._at = 0
        self._fresh = 0
        self._slept = False
        self._stopped: list[int] = []
        """steps that cancelled the last timer: it might have fired after all that does not depend on them"""
        self.redundant = 0
        """executions that were given up because all that could run was asleep"""
        self.infeasible = 0
        """executions that were given up because a step that was to run could not"""
        self._relied: dict[str, None] = {}
        self.executions = 0
        """since the exploration began, the last time it did"""
        self.restarts = 0
        """how often the exploration began anew, because something changed that had seemed constant"""
        self.classes: dict[bytes, None] = {}
        self.keep_classes = False

    # ---- one execution

    def begin(self, choices: Choices, /) -> None:
        self._begun = True
        self._at = 0
        self._slept = False
        self._stopped = []
        self._watcher = None

    def attach(self, loop: SimLoop) -> None:
        """The loop of the execution that begins."""
        self._watcher = Watcher(loop, self, loop.observer)

    def pick(self, ready: list[Entry], clock: bool, /) -> int:
        assert self._watcher is not None
        return self._watcher.pick(ready, clock)

    def choose(self, processes: list[str]) -> int:
        """Who runs: as the frame says, or else whoever ran last, or the first that is not asleep."""
        self._drawn = []
        if self._at >= self._depth:
            self._deeper = True
            self._forced = ()
            assert self._watcher is not None
            if self._at >= 2 * self._depth:  # what has had its turn by now can still come before
                self._watcher.ended()
            return 0
        if self._at == len(self._frames):
            self._frames.append(_Frame(self._sleep_here()))
        self._note_disabled(processes)
        frame = self._frames[self._at]
        frame.enabled = processes
        if frame.branch is None and frame.tree:
            frame.branch = frame.tree.pop(0)
        if frame.branch is not None:
            process, self._forced = frame.branch.label
            if frame.event is None:
                frame.given = len(self._forced)
                forced = _undecided(self._forced, [e for e in frame.sleep.values() if e.process == process])
                if forced is None:  # by a footprint that it did not have elsewhere, or it decides less here
                    frame.branch = None
                    self.redundant += 1
                    raise Abandoned("what was to run is asleep")
                self._forced = forced
            if process in processes:
                return processes.index(process)
            if frame.event is not None:  # time moved then, once all others had turned out to wait
                self._forced = ()
                return 0
        elif frame.explored:
            self.infeasible += 1
            raise Abandoned("a step that was to run is waiting")
        at, self._forced = self._awake(frame.sleep, processes)
        return at

    def _note_disabled(self, processes: list[str]) -> None:
        """Who could run before the last step and, without having run, can not any more, has to run before it: a
        timer that was cancelled, say. No race shows that, because there is no such step."""
        if self._at == 0 or self._at > self._depth:
            return
        above = self._frames[self._at - 1]
        assert above.event is not None
        waiting = self._frames[self._at].waiting if self._at < len(self._frames) else []
        there = (above.event.process, *processes, *waiting)
        for process in above.enabled:
            if process not in there:
                if process == CLOCK:
                    self._stopped.append(self._at - 1)
                known = [*above.sleep, *(branch.label for branch in above.tree)]
                if not any(label[0] == process for label in known):
                    above.tree.append(Branch((process, ()), None))

    def _awake(self, sleep: _Sleep, processes: list[str]) -> tuple[int, tuple[int, ...]]:
        """Whoever ran last, or else the first, that is not asleep; and what has to be decided in its step."""
        last = self._frames[self._at - 1].event if self._at else None
        order = list(range(len(processes)))
        if last is not None and last.process in processes:
            order.insert(0, processes.index(last.process))
        for at in order:
            asleep = [each for each in sleep.values() if each.process == processes[at]]
            forced = _undecided((), asleep)
            if forced is not None:
                return at, forced
        self.redundant += 1
        raise Abandoned("all that could run is asleep")

    def _sleep_here(self) -> _Sleep:
        if self._at == 0:
            return {}
        above = self._frames[self._at - 1]
        assert above.event is not None
        footprint, process = above.event.footprint, above.event.process
        return {
            label: each
            for label, each in above.sleep.items()
            if each.process != process and not conflict(each.footprint, footprint)
        }

    def _instead(self, frame: _Frame, event: Event) -> None:
        """What was to run could not, and another step ran. Where nothing else was or is to be run, that will do: a
        leaf stands for whatever may follow it."""
        assert frame.branch is not None
        if frame.event is not None:
            raise NondeterminismError(
                f"step {self._at} was one of {frame.branch.label[0]} before, and now one of {event.process}"
            )
        self._skip(frame)
        if frame.tree or frame.explored:
            self.infeasible += 1
            raise Abandoned("a step that was to run is waiting")

    def erased(self, process: str) -> None:
        if self._at >= self._depth:
            return
        frame = self._frames[self._at]
        frame.waiting.append(process)
        if frame.branch is not None and frame.branch.label[0] == process:
            if frame.event is not None:
                raise NondeterminismError(f"step {self._at} was one of {process} before, which now waits")
            self._skip(frame)

    def _skip(self, frame: _Frame) -> None:
        """There is no such step here; what was to come after it may have come below it only because the two
        commute."""
        assert frame.branch is not None
        frame.tree[:0] = frame.branch.children
        frame.branch = None
        frame.given = 0

    def draw(self, kind: Kind, label: str, options: int, /) -> int:
        at = len(self._drawn)
        chosen = self._forced[at] if at < len(self._forced) else 0
        if chosen >= options:
            raise NondeterminismError(f"{label} had more than {chosen} options before, and now {options}")
        self._drawn.append(chosen)
        return chosen

    def happened(self, event: Event) -> None:
        if self._at >= self._depth:
            self._at += 1
            return
        frame = self._frames[self._at]
        if frame.branch is not None and frame.branch.label[0] != event.process:
            self._instead(frame, event)
        if frame.event is not None and frame.event.label != event.label:
            raise NondeterminismError(f"step {self._at} was {frame.event.label} before, and now {event.label}")
        first = frame.event is None
        frame.event = event
        if frame.branch is None:
            frame.branch = Branch(event.label, event.footprint)
        if first:
            self._add_decisions(frame, event)
        frame.branch.label = event.label
        frame.branch.footprint = event.footprint
        self._at += 1
        if self._at == len(self._frames) and self._at < self._depth:
            below = _Frame(self._sleep_here(), frame.branch.children)
            frame.branch.children = []
            self._frames.append(below)

    def _add_decisions(self, frame: _Frame, event: Event) -> None:
        """The other values of what was decided here for the first time."""
        for at in range(len(event.draws) - 1, frame.given - 1, -1):
            for value in range(event.options[at] - 1, -1, -1):
                label = (event.process, (*event.draws[:at], value))
                asleep = [e for e in frame.sleep.values() if e.process == event.process]
                if value != event.draws[at] and _undecided(label[1], asleep) is not None:
                    frame.tree.insert(0, Branch(label, None))

    def over(self, *, cut: bool) -> bool:
        assert self._watcher is not None
        try:
            if not cut:
                self._watcher.finish()
                self._note_disabled([])
        except Abandoned:
            return True
        return cut

    # ---- between executions

    def learn(self, outcome: Outcome, *, new: bool) -> None:
        watcher = self._watcher
        assert watcher is not None
        history = watcher.history
        if watcher.heat(self._relied):  # what was taken for constant is not: with that known, once more
            self._begin_anew()
            return
        self.executions += not outcome.cut
        if self.keep_classes and not outcome.cut:
            self.classes[history.digest()] = None
        for later in range(self._fresh, len(history)):
            self._turn(watcher, history.events[later])
        for pending in watcher.pending:
            self._turn(watcher, pending)
        for at in self._stopped:
            self._turn(watcher, Event(CLOCK, (), (), dict(OF_CLOCK), [], 0, races=[at]))
        self._backtrack()

    def _begin_anew(self) -> None:
        self._frames = [_Frame({})]
        self._fresh = 0
        self._relied = {}
        self.executions = 0
        self.redundant = self.infeasible = 0
        self.restarts += 1
        self.classes.clear()

    def _turn(self, watcher: Watcher, event: Event) -> None:
        for earlier in event.races:
            if earlier >= self._depth:
                continue
            frame = self._frames[earlier]
            sequence = [*watcher.history.not_after(earlier), event]
            if self._source:
                self._add_initial(frame, sequence)
                continue
            asleep = frame.sleep.items()
            if any(weak_initial(label, each.footprint, sequence) is not None for label, each in asleep):
                continue
            insert(frame.tree, sequence)

    def _add_initial(self, frame: _Frame, sequence: list[Event]) -> None:
        """Of source-DPOR: unless a step that can begin the sequence is run from here anyway, one is to be."""
        possible = [
            each
            for at, each in enumerate(sequence)
            if weak_initial(each.label, each.footprint, sequence) == at
        ]
        there = [*frame.explored, *(branch.label for branch in frame.tree)]
        if not any(each.label in there for each in possible):
            awake = [each for each in possible if each.label not in frame.sleep] or possible
            frame.tree.append(Branch(awake[0].label, awake[0].footprint))

    def _backtrack(self) -> None:
        """To the deepest prefix from which something is left to run."""
        while self._frames:
            frame = self._frames[-1]
            if frame.event is not None:
                frame.sleep[frame.event.label] = frame.event
                frame.explored.append(frame.event.label)
            frame.given = 0
            frame.branch = None
            frame.event = None
            if self._source:
                frame.tree = [branch for branch in frame.tree if branch.label not in frame.sleep]
            if frame.tree:
                break
            self._frames.pop()
        self._fresh = max(0, len(self._frames) - 1)

    def exhausted(self) -> bool:
        return self._begun and not self._frames

    def bounds(self) -> dict[str, int]:
        return {"depth": self._depth} if self._deeper else {}

    def counts(self) -> dict[str, int]:
        return {
            "classes": self.executions,
            "redundant": self.redundant,
            "infeasible": self.infeasible,
            "restarts": self.restarts,
        }


def _undecided(prefix: tuple[int, ...], asleep: list[Event]) -> tuple[int, ...] | None:
    """The first decisions of a step, from ``prefix`` on, that are not all asleep; None if all are. Who decides less
    than the prefix says stands for all that begins so."""
    size = len(prefix)
    options = None
    for each in asleep:
        if each.draws == prefix[: len(each.draws)]:
            return None
        if each.draws[:size] == prefix:
            options = each.options[size]
    if options is None:
        return prefix
    for value in range(options):
        found = _undecided((*prefix, value), asleep)
        if found is not None:
            return found
    return None
