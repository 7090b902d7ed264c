"""Deaths of a process, at every consistent cut of every order (strategy ``dpor-cuts``).

A *consistent cut* of an execution is a set of its steps that holds, with each step, all that happened before it
(Cooper and Marzullo, "Consistent Detection of Global Predicates", 1991): just these have happened at some moment of
some execution of the same class. The power may fail at each. Optimal DPOR (``search.py``) runs every order of a life
that ends well; each such execution then says where it could have been cut; for each cut that was not seen before, its
steps are run, the power fails, and what comes after that is searched by DPOR again, with its own cuts if there may be
more than one failure.

Most steps of a process change nothing that outlives it. Of two cuts that differ in such steps alone, what is left is
the same, so a cut is named by its last *lasting* steps, and what happened before them. Lasting is

- a step of the scenario itself, or of anything else that does not die;
- one that calls for a change of something durable, or may have: it is cut before each of these calls, too;
- one that writes what any step after a cut, or of the scenario, has touched in any execution. What these touch is
  learnt; whoever was taken not to last and turns out to have written it has the exploration begin anew;
- the first one after time has moved, and time itself.

``dpor`` with ``crash_points="all"`` finds the same outcomes, as decisions of all steps. There, each step of each
order can be the last, whether it lasts or not, and all who were about to run have to run before it as well.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import NamedTuple, TypeAlias

from liveproof_sim.errors import OptionError, SimulatorBug
from liveproof_sim.explore.history import Event, History, Watcher
from liveproof_sim.explore.strategies.dpor.frames import Frame
from liveproof_sim.explore.strategies.dpor.search import Dpor
from liveproof_sim.explore.strategies.dpor.tree import Branch
from liveproof_sim.kernel.accesses import ADD, PART, READ, WORLD, WRITE, Accesses
from liveproof_sim.kernel.causes import CLOCK
from liveproof_sim.kernel.choices import Kind
from liveproof_sim.kernel.power import is_outage

__all__ = ["Cut", "CutSearch", "cuts_of"]


Failures: TypeAlias = dict[int, tuple[str, int]]
"""By step: who ran when the power failed, and at which of the moments of that step."""


class Cut(NamedTuple):
    """Where the power fails."""

    name: bytes
    """the same for equal cuts of all executions"""
    steps: tuple[int, ...]
    """of an execution, in its order but for the last one, in or after which it fails"""
    chance: int
    """which of the moments of the last step at which it could"""
    draws: int
    """how many decisions the last step had taken by then"""


@dataclass
class Life:
    """What is searched after a failure of power, or from the beginning."""

    floor: int = -1
    """the step in which it failed: what comes before is not searched"""
    draws: int = 0
    """what that step had decided by then"""
    failures: Failures = field(default_factory=dict)
    """all so far"""
    cuts: list[tuple[Cut, list[Event]]] = field(default_factory=list)
    """to be made"""
    frames: list[Frame] = field(default_factory=list)
    """these three, while another life is searched: as in ``Dpor``"""
    history: History = field(default_factory=History)
    fresh: int = 0


class CutSearch(Dpor):
    """See the module. Needs ``crash_points="all"``."""

    resumable = False
    shareable = False
    cuts = True

    def __init__(self, depth: int = 2000, *, faults: int | None = None, crashes: int | None = None) -> None:
        super().__init__(depth, faults=faults)
        if crashes is not None and crashes < 0:
            raise OptionError(f"dpor-cuts: crashes must be at least 0, not {crashes}")
        self.name = "dpor-cuts"
        self._crashes = crashes
        self._outer: list[Life] = []
        self._life = Life()
        self._process = ""
        self._chance = 0
        """how many moments there were in its step"""
        self._known: dict[bytes, None] = {}
        """cuts that were seen"""
        self._touched: dict[Hashable, None] = {}
        """by steps that do not die, or come after a cut"""
        self._ignored: dict[Hashable, None] = {}
        """written by steps that were taken not to last"""
        self._anything = False
        """whether somebody who does not die did something of which nothing is known"""

    # ---- one execution

    def choose(self, processes: list[str]) -> int:
        chosen = super().choose(processes)
        self._process, self._chance = processes[chosen], 0
        return chosen

    def draw(self, kind: Kind, label: str, options: int, /) -> int:
        if kind is not Kind.CRASH or not is_outage(label):
            return super().draw(kind, label, options)
        chance, self._chance = self._chance, self._chance + 1
        # Who turns out to wait, before the step in which it fails, is not meant.
        return int(self._life.failures.get(self._at) == (self._process, chance))

    def _instead(self, frame: Frame, event: Event) -> None:
        self._must_reach()
        super()._instead(frame, event)

    def _skip(self, frame: Frame) -> None:
        self._must_reach()
        super()._skip(frame)

    def _must_reach(self) -> None:
        if self._at <= self._life.floor:
            raise SimulatorBug(f"step {self._at} of a cut could not be run again")

    def _add_decisions(self, frame: Frame, event: Event) -> None:
        """What was decided before the power failed is decided otherwise before other cuts."""
        if self._at >= self._life.floor:
            super()._add_decisions(frame, event)
        if self._at == self._life.floor:
            known = event.draws[: self._life.draws]
            frame.tree = [each for each in frame.tree if each.label[1][: len(known)] == known]

    # ---- between executions

    def _ended(self, watcher: Watcher) -> bool:
        events, life = watcher.history.events, self._life
        if self._learn_what_is_touched(events, watcher.accesses):
            return False
        if not any(event.chances for event in events[life.floor + 1 :]):
            return True
        if self._crashes is not None and len(self._outer) >= self._crashes:
            self._cut["crashes"] = self._crashes
            return True
        lasting = [at for at in range(life.floor + 1, len(events)) if self._lasts(events, at)]
        kept = list(events)
        names = watcher.history.names(life.failures)
        for cut in cuts_of(kept, names, lasting, life.floor + 1, self._risky):
            if cut.name not in self._known:
                self._known[cut.name] = None
                life.cuts.append((cut, kept))
        return True

    def _learn_what_is_touched(self, events: list[Event], accesses: Accesses) -> bool:
        """By steps of this execution that do not die, or come after a cut; whether some step was ignored because
        that was not known."""
        life = self._life
        of_the_living = [
            event
            for at, event in enumerate(events)
            if at not in life.failures and (event.outlives or at > life.floor >= 0)
        ]
        seen = dict.fromkeys(
            resource
            for event in of_the_living
            for resource, modes in event.footprint.items()
            if modes & (READ | PART) or not _is_part(resource)
        )
        new = [each for each in seen if each not in self._touched and not accesses.is_late(each)]
        self._touched.update(dict.fromkeys(new))
        if any(event.blind for event in of_the_living) and not self._anything:
            self._anything = True
            return bool(self._ignored)
        return any(resource in self._ignored for resource in new)

    def _risky(self, resource: Hashable, modes: int) -> bool:
        """Whether such an access may be seen after a cut."""
        return bool(modes & (ADD | WRITE)) and (self._anything or resource == WORLD or resource in self._touched)

    def _lasts(self, events: list[Event], at: int) -> bool:
        event = events[at]
        if event.outlives or event.process == CLOCK or any(not chance.after for chance in event.chances):
            return True
        if event.since and event.before >> event.since == 1 << at - event.since:
            return True
        if any(self._risky(resource, modes) for resource, modes in event.footprint.items()):
            return True
        written = (resource for resource, modes in event.footprint.items() if modes & (ADD | WRITE))
        self._ignored.update(dict.fromkeys(written))
        return False

    def begin_anew(self) -> None:
        self._outer, self._life = [], Life()
        self._floor = 0
        self._known.clear()
        self._ignored.clear()
        super().begin_anew()

    def _ask(self, at: int, sequence: list[Event], then: list[Event]) -> None:
        if at > self._life.floor:
            super()._ask(at, sequence, then)

    def _ask_one(self, at: int, process: str) -> None:
        if at > self._life.floor:
            super()._ask_one(at, process)

    def _backtrack(self) -> None:
        super()._backtrack()
        while True:
            if self._life.cuts:
                self._die(*self._life.cuts.pop(0))
                return
            if len(self._frames) > self._floor or not self._outer:
                return
            self._live_on()

    def _die(self, cut: Cut, events: list[Event]) -> None:
        """What comes after the cut is searched next."""
        outer = self._life
        outer.frames, outer.history, outer.fresh = self._frames, self._history, self._fresh
        self._outer.append(outer)
        floor = len(cut.steps) - 1
        *before, last = _moved(events, cut.steps)
        frames = [Frame({}, branch=Branch(each.label, each.footprint), event=each) for each in before]
        frames.append(Frame({}, tree=[Branch((last.process, last.draws[: cut.draws]), None)]))
        history = History()
        for each in before:
            history.append(each)
        self._life = Life(floor, cut.draws, {**outer.failures, floor: (last.process, cut.chance)})
        self._frames, self._history, self._floor, self._fresh = frames, history, floor, floor

    def _live_on(self) -> None:
        """Everything after the cut was searched."""
        life = self._life = self._outer.pop()
        self._frames, self._history, self._fresh = life.frames, life.history, life.fresh
        self._floor = max(0, life.floor)

    def _trunk(self) -> list[Frame]:
        """Those of the first life: what comes after its cuts is a part of the execution that has them."""
        return self._outer[0].frames if self._outer else self._frames

    def counts(self) -> dict[str, int]:
        return {**super().counts(), "cuts": len(self._known)}


def _is_part(resource: Hashable) -> bool:
    """Whether it is a part of an object: an attribute, an item. To write it lets nobody wait."""
    return isinstance(resource, tuple) and isinstance(resource[0], tuple)


def _moved(events: list[Event], steps: tuple[int, ...]) -> list[Event]:
    """These steps, as those of an execution of their own."""
    place = {old: new for new, old in enumerate(steps)}

    def there(bits: int) -> int:
        found = 0
        while bits:
            at = bits.bit_length() - 1
            bits ^= 1 << at
            found |= 1 << place[at]
        return found

    return [
        replace(event, before=there(event.before), enabled_by=there(event.enabled_by), races=[])
        for event in (events[at] for at in steps)
    ]


def cuts_of(
    events: list[Event],
    names: list[str],
    lasting: list[int],
    first: int,
    risky: Callable[[Hashable, int], bool],
) -> Iterator[Cut]:
    """All cuts from the ``first`` step on that end with lasting steps: after each set of these, and before each call
    of a step that could come next. ``names``: of the events. ``risky`` tells whether an access before the first call
    of a step can be seen after a cut: if none can, to fail there is to fail before the step."""
    born = next((at for at in range(first, len(events)) if any(each.after for each in events[at].chances)), None)
    if born is None:
        return
    before = [event.before for event in events]
    mask = sum(1 << at for at in lasting)
    begun = (1 << first) - 1

    def name_of(last: list[int], *more: object) -> bytes:
        return blake2b(repr((sorted(names[at] for at in last), *more)).encode(), digest_size=12).digest()

    seen = {0: None}
    left: list[tuple[int, int, list[int]]] = [(0, begun, [])]  # lasting steps, all steps, the last of those that last
    while left:
        chosen, all_of_them, last = left.pop()
        for at in lasting:
            if chosen >> at & 1 or before[at] & mask & ~chosen & ~(1 << at):
                continue
            together = all_of_them | before[at]
            beside = [each for each in last if not before[at] >> each & 1]
            event = events[at]
            for chance, moment in enumerate(event.chances):
                if moment.after or not (together >> born & 1):
                    continue
                noted = list(event.footprint.items())[: moment.touched]
                if chance == 0 and not any(risky(resource, modes) for resource, modes in noted):
                    continue
                steps = (*_bits(together & ~(1 << at)), at)
                yield Cut(name_of(beside, names[at], chance), steps, chance, moment.draws)
            grown = chosen | 1 << at
            if grown in seen:
                continue
            seen[grown] = None
            ends = [*beside, at]
            left.append((grown, together, ends))
            steps = tuple(_bits(together))
            moments = events[steps[-1]].chances
            if together >> born & 1 and moments and moments[-1].after:  # there is none after the very last step
                yield Cut(name_of(ends), steps, len(moments) - 1, moments[-1].draws)


def _bits(these: int) -> Iterator[int]:
    """From the lowest on."""
    while these:
        low = these & -these
        yield low.bit_length() - 1
        these ^= low
