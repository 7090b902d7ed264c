"""Partial-order reduction within a bound on preemptions (Coons, Musuvathi, McKinley, "Bounded Partial-Order
Reduction", OOPSLA 2013).

A preemption is a switch away from a task or blocking call that could have gone on. Members of one class differ in
how many they have, so what is cut depends on the order in which a class was run, and a search that merely cuts
misses classes that have a cheaper member. Therefore, with the paper:

- a task that goes on is run first, so the default costs nothing;
- a race asks for its second step not only right before its first step, but also where the run of steps of one
  task that the first belongs to began: there a switch costs no more than the one that was made;
- all earlier steps that conflict count, not only those with nothing between: an execution in which the nearer race
  is turned may be beyond the bound;
- what cannot run there is stood for by all that can.

Departs from the paper: what a step touches is known once it has run, so races are looked for when an execution has
ended. There are no sleep sets, because a step that is moved to the front may add a preemption, there or where
it lets another task go on that had to wait. So one class may be run more than once: ``redundant`` counts that, and
what tells classes apart is kept, 12 bytes for each. It pays where the bound cuts much. Where it cuts little, the
search without it is far cheaper: of six readers and a writer, 64 executions against 1 957.

What comes of it, tested with every interleaving: each class that has a member with no more than ``preemptions``
preemptions is found.
"""

from __future__ import annotations

from typing import Any

from liveproof_sim.errors import OptionError
from liveproof_sim.explore.execution import Outcome
from liveproof_sim.explore.history import Event, Watcher
from liveproof_sim.explore.strategies.dpor.frames import Frame, Sleep
from liveproof_sim.explore.strategies.dpor.search import Dpor
from liveproof_sim.explore.strategies.dpor.tree import Branch
from liveproof_sim.kernel.accesses import conflict
from liveproof_sim.kernel.causes import CLOCK, LANE

__all__ = ["FewPreemptions"]

NAME = "preemptions"
FREE = (CLOCK, LANE)
"""processes that nobody preempts"""


class FewPreemptions(Dpor):
    """See the module."""

    shareable = False  # without sleep sets every part would run most of the others

    def __init__(
        self, preemptions: int, depth: int = 2000, *, faults: int | None = None, crashes: int | None = None
    ) -> None:
        super().__init__(depth, faults=faults, crashes=crashes)
        if preemptions < 0:
            raise OptionError(f"dpor: {NAME} must be at least 0, not {preemptions}")
        self._most[NAME] = preemptions
        self._runs: dict[bytes, None] = {}

    @property
    def title(self) -> str:
        return f"{self.name} with preemptions"

    def _sleep_here(self) -> Sleep:
        return {}

    def _give_up(self, frame: Frame) -> None:
        for each in frame.enabled:
            self._ask_one(self._at, each)
        super()._give_up(frame)

    def learn(self, outcome: Outcome, *, new: bool) -> None:
        watcher = self._watcher
        assert watcher is not None
        restarts = self.restarts
        if not outcome.cut:
            digest = watcher.history.digest()
            if digest in self._runs:
                self.redundant += 1
                self.executions -= 1
            self._runs[digest] = None
        super().learn(outcome, new=new)
        if self.restarts > restarts:
            self._runs.clear()

    def as_data(self) -> dict[str, Any]:
        return {**super().as_data(), "runs": [digest.hex() for digest in self._runs]}

    def restore(self, data: dict[str, Any]) -> None:
        super().restore(data)
        self._runs = dict.fromkeys(bytes.fromhex(each) for each in data["runs"])

    def _turn(self, watcher: Watcher, event: Event, end: int | None = None) -> None:
        """Ask for the event before each earlier one that conflicts with it."""
        events = watcher.history.events
        there = (at for at in range(len(events) - 1, -1, -1) if events[at] is event)
        at = next(there, len(events) if end is None else end)
        last = next((each for each in reversed(events[:at]) if each.process == event.process), None)
        known = 0 if last is None else last.before
        for cause in range(event.enabled_by.bit_length()):
            if event.enabled_by >> cause & 1:
                known |= events[cause].before
        for earlier in range(min(at, self._depth) - 1, -1, -1):
            first = events[earlier]
            if first.process == event.process or known >> earlier & 1:
                continue
            if earlier in event.races or conflict(first.footprint, event.footprint):
                self._ask_somehow(earlier, event.process)
                self._ask_somehow(self._beginning(events, earlier), event.process)

    def _beginning(self, events: list[Event], at: int) -> int:
        """Where the run of steps of one process began."""
        while at and events[at - 1].process == events[at].process:
            at -= 1
        return at

    def _ask_somehow(self, at: int, process: str) -> None:
        """Have the process run there, or, if it cannot, all that can."""
        frame = self._frames[at]
        if process in frame.enabled and process not in frame.waiting:
            self._ask_one(at, process)
            return
        for each in frame.enabled:
            self._ask_one(at, each)

    def _spent(self, frame: Frame, process: str, draws: tuple[int, ...]) -> dict[str, int]:
        spent = super()._spent(frame, process, draws)
        spent[NAME] = spent.get(NAME, 0) + self._price(self._at, process)
        return spent

    def _ask_one(self, at: int, process: str) -> None:
        frame = self._frames[at]
        there = [*frame.explored, *(branch.label for branch in frame.tree)]
        if frame.event is not None:
            there.append(frame.event.label)
        if process in frame.waiting or any(label[0] == process for label in there):
            return
        if self._beyond({NAME: frame.spent.get(NAME, 0) + self._price(at, process)}):
            return
        frame.tree.append(Branch((process, ()), None))

    def _price(self, at: int, process: str) -> int:
        """What it costs to run it there."""
        last = self._frames[at - 1].event if at else None
        if last is None or last.process == process or last.process in FREE:
            return 0
        frame = self._frames[at]
        return int(last.process in frame.enabled and last.process not in frame.waiting)
