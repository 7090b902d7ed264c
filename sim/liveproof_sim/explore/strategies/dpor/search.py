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
  in. So a branch may turn out to be asleep; it is given up then, and counted (``redundant``). Or its step touches
  more than it did there, and what was taken to commute with it does not: that is asked for again (``outgrown``).
  Executions that come to their end are one for each class all the same: the tests compare with every interleaving.
- A step in which something was decided (data, faults, crashes) is one event per decision; all of them are run.
  So it is not enough that a process could come first in a turned race: it has to be as the race's first step
  decided, for the same process that decided otherwise stands for other executions.
- A process that waits behind a guard or for a lock is disabled, and takes part: its step, had it run, races at
  the end of the execution (``pending``).
- What a step disables (it cancels a timer, or makes a guard false) is run before it, too.
- Time that moves when nothing is ready is no event: what follows comes after all before it.

Bounds, each of which makes the verdict one within it, if it cut something: an execution longer than ``depth``
steps goes on first in, first out, and is not turned round beyond that. No execution has more than ``faults`` faults
or more than ``crashes`` crashes. All members of a class have as many of these, and a turned race has no more than
the execution that showed it, so the classes within the bound are found, each once. With preemptions that is not
so: see ``preemptions.py``.

What steps of the prefix touch is known from the execution that ran them last, and so is what happened before what:
they are run *silently*, and the history goes on from there. Three quarters of all steps, in the runtime's proofs.

``source=True`` is source-DPOR (algorithm 1): only the first step of a turned race is remembered, which is
cheaper per execution and may run into the sleep set.
"""

from __future__ import annotations

from typing import Any

from liveproof_sim.errors import NondeterminismError, OptionError
from liveproof_sim.explore.execution import Outcome
from liveproof_sim.explore.history import Event, History, Watcher, Why
from liveproof_sim.explore.strategies.dpor.frames import Frame, Sleep, share_of, undecided
from liveproof_sim.explore.strategies.dpor.frontier import frames_of, stack
from liveproof_sim.explore.strategies.dpor.tree import Asked, Branch, insert, weak_initial
from liveproof_sim.explore.strategies.search import Search, Standing
from liveproof_sim.kernel.accesses import conflict
from liveproof_sim.kernel.causes import CLOCK
from liveproof_sim.kernel.choices import Choices, Entry, Kind
from liveproof_sim.kernel.loop import SimLoop
from liveproof_sim.kernel.modes import Abandoned, Attached

__all__ = ["Dpor"]

SHIFTS_MAX = 5
"""Executions that leave something to the next, before that is an error"""
BOUNDED = {Kind.FAULT: "faults", Kind.CRASH: "crashes"}


class Dpor(Search, Attached):
    """See the module."""

    systematic = True
    reduced = True
    resumable = True
    shareable = True
    """whether several processes can run parts of it: see parts.py"""

    def __init__(
        self, depth: int = 2000, *, source: bool = False, faults: int | None = None, crashes: int | None = None
    ) -> None:
        if depth < 1:
            raise OptionError(f"dpor: depth must be at least 1, not {depth}")
        self._most = {name: most for name, most in (("faults", faults), ("crashes", crashes)) if most is not None}
        for name, most in self._most.items():
            if most < 0:
                raise OptionError(f"dpor: {name} must be at least 0, not {most}")
        self.name = "dpor-source" if source else "dpor"
        self._depth = depth
        self._cut: dict[str, int] = {}
        """bounds that cut something"""
        self._source = source
        self._frames: list[Frame] = []
        self._begun = False
        self._watcher: Watcher | None = None
        self._history = History()
        """of the execution that ran last"""
        self._drawn: list[int] = []
        self._drawn_for: list[str] = []
        self._forced: tuple[int, ...] = ()
        self._at = 0
        self._fresh = 0
        self._floor = 0  # so many frames are left as they are: see parts.py
        self._running = False
        self.redundant = 0
        """executions that were given up because all that could run was asleep"""
        self.infeasible = 0
        """executions that were given up because a step that was to run could not"""
        self._relied: dict[str, None] = {}
        self.executions = 0
        """since the exploration began, the last time it did"""
        self._shifts = 0
        self.restarts = 0
        """how often the exploration began anew, because something changed that had seemed constant"""
        self.classes: dict[bytes, None] = {}
        self.keep_classes = False
        self.why: Why | None = None
        """if somebody wants to know: what made it run what it ran"""
        self._began: tuple[int, list[Frame], tuple[int, int]] = (0, [], (0, 0))

    @property
    def title(self) -> str:
        """What it is, in messages."""
        return self.name

    # ---- one execution

    def begin(self, choices: Choices, /) -> None:
        self._begun = True
        self._at = 0
        self._watcher = None
        if self.keep_begin:
            self._running = True
            top = [frame.copied() for frame in self._frames[-1:]]
            self._began = (len(self._frames), top, (self.redundant, self.infeasible))

    def attach(self, loop: SimLoop) -> None:
        """The loop of the execution that begins."""
        known = next((at for at, frame in enumerate(self._frames) if frame.event is None), len(self._frames))
        events = self._history.events
        same = len(events) >= known and all(self._frames[at].event is events[at] for at in range(known))
        if same and self.why is None:  # which is told of every step
            self._history.truncate(known)
        else:
            self._history = History()
        self._watcher = Watcher(loop, self, loop.observer, why=self.why, history=self._history)

    def pick(self, ready: list[Entry], clock: bool, /) -> int:
        assert self._watcher is not None
        return self._watcher.pick(ready, clock)

    def choose(self, processes: list[str]) -> int:
        """Who runs: as the frame says, or else whoever ran last, or the first that is not asleep."""
        self._drawn, self._drawn_for = [], []
        if self._at >= self._depth:
            self._cut["depth"] = self._depth
            self._forced = ()
            assert self._watcher is not None
            if self._at >= 2 * self._depth:  # what has had its turn by now can still come before
                self._watcher.ended()
            return 0
        if self._at == len(self._frames):
            self._frames.append(Frame(self._sleep_here()))
        self._note_disabled(processes)
        frame = self._frames[self._at]
        frame.enabled = processes
        if frame.branch is None and frame.tree:
            frame.branch = frame.tree.pop(0)
        if frame.branch is not None:
            process, self._forced = frame.branch.label
            if frame.event is None:
                forced = undecided(self._forced, [e for e in frame.sleep.values() if e.process == process])
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
        elif frame.explored and not frame.again:
            self._give_up(frame)
        else:
            frame.again = False
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
                    assert self._watcher is not None
                    self._watcher.clock_stopped()
                self._ask_one(self._at - 1, process)

    def ticked(self) -> None:
        self._note_disabled([])

    def _ask_one(self, at: int, process: str) -> None:
        """Have the process run at a step, however it decides, unless it is run there anyway."""
        frame = self._frames[at]
        asleep = [each for each in frame.sleep.values() if each.process == process]
        if undecided((), asleep) is not None and not any(branch.label[0] == process for branch in frame.tree):
            frame.tree.append(Branch((process, ()), None))

    def _awake(self, sleep: Sleep, processes: list[str]) -> tuple[int, tuple[int, ...]]:
        """Whoever ran last, or else the first, that is not asleep; and what has to be decided in its step."""
        last = self._frames[self._at - 1].event if self._at else None
        order = list(range(len(processes)))
        if last is not None and last.process in processes:
            order.insert(0, processes.index(last.process))
        for at in order:
            asleep = [each for each in sleep.values() if each.process == processes[at]]
            forced = undecided((), asleep)
            if forced is not None:
                return at, forced
        self.redundant += 1
        raise Abandoned("all that could run is asleep")

    def _sleep_here(self) -> Sleep:
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

    def _instead(self, frame: Frame, event: Event) -> None:
        """What was to run could not, and another step ran. Where nothing else was or is to be run, that will do: a
        leaf stands for whatever may follow it."""
        assert frame.branch is not None
        if frame.event is not None:
            raise NondeterminismError(
                f"step {self._at} was one of {frame.branch.label[0]} before, and now one of {event.process}"
            )
        self._skip(frame)
        if frame.tree or frame.explored:
            self._give_up(frame)

    def _give_up(self, frame: Frame) -> None:
        """Nothing new begins with the step that was to run from here."""
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

    def _skip(self, frame: Frame) -> None:
        """There is no such step here; what was to come after it may have come below it only because the two
        commute."""
        skipped = frame.branch
        assert skipped is not None
        frame.tree[:0] = skipped.children
        frame.branch = None
        self._ask_again(skipped.passed)

    def draw(self, kind: Kind, label: str, options: int, /) -> int:
        at = len(self._drawn)
        chosen = self._forced[at] if at < len(self._forced) else 0
        if chosen >= options:
            raise NondeterminismError(f"{label} had more than {chosen} options before, and now {options}")
        self._drawn.append(chosen)
        self._drawn_for.append(BOUNDED.get(kind, ""))
        return chosen

    def _spent(self, frame: Frame, process: str, draws: tuple[int, ...]) -> dict[str, int]:
        """What of the bounds is used, once the step that ran last, from here, has been decided like this."""
        spent = dict(frame.spent)
        for chosen, name in zip(draws, self._drawn_for, strict=False):
            if chosen and name in self._most:
                spent[name] = spent.get(name, 0) + 1
        return spent

    def _beyond(self, spent: dict[str, int]) -> bool:
        """Whether that is too much; if so, it is noted."""
        over = {name: self._most[name] for name, used in spent.items() if used > self._most[name]}
        self._cut.update(over)
        return bool(over)

    def happened(self, event: Event) -> None:
        if self._at >= self._depth:
            self._at += 1
            return
        frame = self._frames[self._at]
        if frame.branch is not None and frame.branch.label[0] != event.process:
            self._instead(frame, event)
        if frame.event is not None and frame.event.label != event.label:
            raise NondeterminismError(f"step {self._at} was {frame.event.label} before, and now {event.label}")
        spent = self._spent(frame, event.process, event.draws)
        if self._beyond(spent):
            frame.sleep[event.label] = event
            frame.again, frame.branch = frame.branch is None, None
            raise Abandoned("beyond a bound")
        first = frame.event is None
        frame.event = event
        if frame.branch is None:
            frame.branch = Branch(event.label, event.footprint)
        if first:
            self._ask_again(frame.branch.outgrown(event.label, event.footprint))
            self._add_decisions(frame, event)
        frame.branch.label = event.label
        frame.branch.footprint = event.footprint
        self._at += 1
        if self._at == len(self._frames) and self._at < self._depth:
            below = Frame(self._sleep_here(), frame.branch.children, spent=spent)
            frame.branch.children = []
            self._frames.append(below)

    def _add_decisions(self, frame: Frame, event: Event) -> None:
        """The other values of what was decided here for the first time."""
        asleep = [each for each in frame.sleep.values() if each.process == event.process]
        there = [branch.label for branch in frame.tree if branch.label[0] == event.process]
        for at in range(len(event.draws) - 1, -1, -1):
            for value in range(event.options[at] - 1, -1, -1):
                prefix = (*event.draws[:at], value)
                draws = undecided(prefix, asleep)
                if value == event.draws[at] or draws is None:
                    continue
                if any(label[1][: at + 1] == prefix for label in there):
                    continue
                if not self._beyond(self._spent(frame, event.process, draws)):
                    frame.tree.insert(0, Branch((event.process, draws), None))

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
        self._running = False
        watcher = self._watcher
        assert watcher is not None
        history = watcher.history
        if watcher.heat(self._relied):  # what was taken for constant is not: with that known, once more
            self.begin_anew()
            return
        if watcher.shifted:
            self._begin_with_other_names()
            return
        if not outcome.cut and not self._ended(watcher):
            self.begin_anew()
            return
        self.executions += not outcome.cut
        if self.keep_classes and not outcome.cut:
            self.classes[history.digest()] = None
        for later in range(self._fresh, self._at):  # none that was beyond a bound
            self._turn(watcher, history.events[later])
        for pending, end in watcher.pending:
            self._turn(watcher, pending, end)
        self._backtrack()

    def _ended(self, watcher: Watcher) -> bool:
        """An execution came to its end. False: it shows that the exploration has to begin anew."""
        return True

    def begin_anew(self) -> None:
        """With what is known by now."""
        self.hand_over()
        self._fresh = 0
        self._relied = {}
        self.restarts += 1

    def _begin_with_other_names(self) -> None:
        """What is known of objects is known by the names of executions before this one."""
        self._count_shift()
        self.begin_anew()

    def _count_shift(self) -> None:
        self._shifts += 1
        if self._shifts > SHIFTS_MAX:
            raise NondeterminismError(
                "a step makes more objects in one execution than in the next, again and again: look for a cache that "
                "the scenario leaves to the next execution, and fill it before, or make it in the scenario"
            )

    def _turn(self, watcher: Watcher, event: Event, end: int | None = None) -> None:
        for earlier in event.races:
            if self.why is not None:
                self.why.raced(watcher.history.events[earlier], event)
            if earlier >= self._depth:
                continue
            sequence = [*watcher.history.not_after(earlier, end), event]
            self._ask(earlier, sequence, _then(watcher.history.events[earlier]))

    def _ask(self, at: int, sequence: list[Event], then: list[Event]) -> None:
        """Have an execution begin so at a step, and go on so, unless one does anyway."""
        frame = self._frames[at]
        if self._source:
            self._add_initial(frame, sequence)
        elif not self._covered(frame, [*sequence, *then]):
            insert(frame.tree, sequence, then)

    def _ask_again(self, asked: list[Asked]) -> None:
        """At the step that is next: what was taken to be explored by one that has turned out not to do it."""
        for sequence, then in asked:
            self._ask(self._at, list(sequence), list(then))

    def _covered(self, frame: Frame, sequence: list[Event]) -> bool:
        """Whether executions that begin so from here were explored."""
        asleep = frame.sleep.items()
        return any(weak_initial(label, each.footprint, sequence) is not None for label, each in asleep)

    def _add_initial(self, frame: Frame, sequence: list[Event]) -> None:
        """Of source-DPOR: unless a step that can begin the sequence is run from here anyway, one is to be."""
        possible = [
            each
            for at, each in enumerate(sequence)
            if weak_initial(each.label, each.footprint, sequence) == at
        ]
        there = [*frame.explored, *(branch.label for branch in frame.tree)]
        if any(each.label in there for each in possible):
            return
        awake = [each for each in possible if each.label not in frame.sleep] or possible
        frame.tree.append(Branch(awake[0].label, awake[0].footprint))

    def _backtrack(self) -> None:
        """To the deepest prefix from which something is left to run."""
        while len(self._frames) > self._floor:
            frame = self._frames[-1]
            if frame.event is not None:
                frame.sleep[frame.event.label] = frame.event
                frame.explored.append(frame.event.label)
            frame.branch = None
            frame.event = None
            if self._source:
                frame.tree = [branch for branch in frame.tree if branch.label not in frame.sleep]
            if frame.tree or frame.again:
                break
            self._frames.pop()
        self._fresh = max(0, len(self._frames) - 1)

    def standing(self) -> Standing:
        """The share is that of Kilby, Slaney, Thiébaux and Walsh ("Estimating search tree size", AAAI 2006), for the
        whole stack: what is known to be run from a prefix is taken to have equal parts. What races are yet to show
        is not known, so the share is too high at first."""
        trunk = self._trunk()
        share = share_of(trunk) if trunk else float(self._begun)
        return Standing(self.executions, len(self._frames), share)

    def _trunk(self) -> list[Frame]:
        """The frames that tell how far it is."""
        return self._frames

    def options(self) -> dict[str, Any]:
        return {"depth": self._depth, **self._most}

    def as_data(self) -> dict[str, Any]:
        self._undo()
        return {
            **stack(self._frames),
            "begun": self._begun,
            "fresh": self._fresh,
            "relied": list(self._relied),
            "cut": self._cut,
            "counts": [self.executions, self.redundant, self.infeasible, self.restarts],
        }

    def restore(self, data: dict[str, Any]) -> None:
        self._frames = frames_of(data)
        self._begun, self._fresh, self._cut = data["begun"], data["fresh"], dict(data["cut"])
        self._relied = dict.fromkeys(data["relied"])
        self.executions, self.redundant, self.infeasible, self.restarts = data["counts"]

    def _undo(self) -> None:
        """Forget the execution that is running."""
        if not self._running:
            return
        self._running = False
        size, top, (self.redundant, self.infeasible) = self._began
        self._frames = [*self._frames[: size - 1], *top] if size else []
        self._begun = bool(size)

    # ---- if others run it: see parts.py

    def hand_over(self) -> None:
        """Others run all of it, what was run included."""
        self._frames = [Frame({})]
        self.executions = self.redundant = self.infeasible = 0
        self._cut = {}
        self.classes.clear()

    def credit(
        self, executions: int, redundant: int, infeasible: int, cut: dict[str, int], *, restarts: int = 0
    ) -> None:
        """Others have run some of it, and had begun it anew."""
        self.executions += executions
        self.redundant += redundant
        self.infeasible += infeasible
        self._cut.update(cut)
        self.restarts += restarts

    def finish(self) -> None:
        """Others have run everything."""
        self._frames = []

    def exhausted(self) -> bool:
        return self._begun and len(self._frames) <= self._floor

    def bounds(self) -> dict[str, int]:
        return dict(self._cut)

    def counts(self) -> dict[str, int]:
        return {
            "classes": self.executions,
            "redundant": self.redundant,
            "infeasible": self.infeasible,
            "restarts": self.restarts,
        }


def _then(first: Event) -> list[Event]:
    """What is to come after a turned race: its first step, decided as it was. Where nothing is decided there is
    only one such step, and it need not be said. What it will touch then is not known, and says nothing."""
    return [Event(first.process, first.draws, first.options, {}, [], 0)] if first.draws else []
