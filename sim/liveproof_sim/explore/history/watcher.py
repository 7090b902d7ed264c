"""Watches one execution: turns what the loop does into events, and asks the search who runs next."""

from __future__ import annotations

from typing import Protocol

from liveproof_sim.errors import NondeterminismError
from liveproof_sim.explore.history.events import Chance, Event, History
from liveproof_sim.explore.history.why import Placed, Why
from liveproof_sim.kernel.accesses import READ, WORLD, WRITE, Footprint
from liveproof_sim.kernel.causes import CLOCK, LANE, MAIN
from liveproof_sim.kernel.choices import Entry, Kind
from liveproof_sim.kernel.guards import Guard
from liveproof_sim.kernel.loop import Observer, SimLoop
from liveproof_sim.kernel.power import AFTER_STEP, BOOT, is_outage
from liveproof_sim.kernel.traced import TracedTask
from liveproof_sim.kernel.unknown import note_unknown

__all__ = ["Driver", "Follower", "Watcher"]


class Driver(Protocol):
    """Who decides."""

    cuts: bool
    """whether moments at which the power may fail are no decisions"""

    def choose(self, processes: list[str]) -> int:
        """Which of those that could run runs next. May raise ``Abandoned``."""

    def happened(self, event: Event) -> None:
        """A step is over. May raise ``Abandoned``."""

    def erased(self, process: str) -> None:
        """The step that was chosen turned out to be none. May raise ``Abandoned``."""

    def ticked(self) -> None:
        """Nothing could run, so time moves. May raise ``Abandoned``."""


class Follower:
    """A driver that decides nothing: the strategy does."""

    cuts = False

    def choose(self, processes: list[str]) -> int:
        return 0

    def happened(self, event: Event) -> None:
        pass

    def erased(self, process: str) -> None:
        pass

    def ticked(self) -> None:
        pass


class Watcher(Observer):
    """Made for one execution; attaches itself to the loop."""

    def __init__(
        self,
        loop: SimLoop,
        driver: Driver,
        also: Observer | None = None,
        *,
        relating: bool = True,
        why: Why | None = None,
        history: History | None = None,
    ) -> None:
        assert loop.causes is not None
        assert loop.accesses is not None
        self._loop = loop
        self._causes = loop.causes
        self.accesses = loop.accesses
        self._driver = driver
        self._also = also
        self._entry: Entry | None = None
        self._process = ""
        self._chances: list[Chance] = []
        self._enabled_by = 0
        self._guards = 0
        self._why = why
        if why is not None:
            self.accesses.fresh = Placed
        self._relating = relating  # whether somebody wants to know what happened before what
        self._count = 0
        self.history = History() if history is None else history
        self._passed = len(self.history)  # steps that ran before, and do again what is known of them
        self._same: Event | None = None
        self._resumed = False
        self.pending: list[tuple[Event, int | None]] = []
        """what would happen next to those that wait, if they could go on; and how many events there were when that
        ended, if it did"""
        self.shifted = False
        """whether a step has made more objects than before, or fewer, so that their names are not the same: a cache
        that one execution leaves to the next, say"""
        self._over = False
        self.decided = False
        loop.observer = self
        loop.choices.noted = self.drew

    def processes(self, ready: list[Entry], clock: bool) -> list[str]:
        """Of what could run."""
        found = [self._causes.of(entry)[0] for entry in ready]
        return [*found, CLOCK] if clock else found

    def pick(self, ready: list[Entry], clock: bool) -> int:
        """Ask, unless there is only one, of which :meth:`before` tells."""
        if self._over:
            return 0
        self.close()
        self.decided = True
        return self._driver.choose(self.processes(ready, clock))

    def before(self, entry: Entry | None, chosen: int, options: int) -> None:
        if self._over:
            if self._also is not None:
                self._also.before(entry, chosen, options)
            return
        if not self.decided:
            self.close()
            process = CLOCK if entry is None else self._causes.of(entry)[0]
            self._driver.choose([process])
        self.decided = False
        if self._also is not None:
            self._also.before(entry, chosen, options)
        if self._why is not None:
            self._why.stepped(entry)
        causes = self._causes
        self._entry = entry
        process, enabled_by = (CLOCK, causes.barrier) if entry is None else causes.of(entry)
        if self._loop.choices.calm:  # nobody chooses any more: all that was is before it
            enabled_by |= (1 << self._count) - 1
        self._process, self._enabled_by = process, enabled_by
        self._chances = []
        causes.running, causes.step = process, self._count if self._relating else -1
        self._guards = len(self._loop.guards)
        guard = entry[2][0] if entry is not None and entry[2] else None
        self._resumed = isinstance(guard, Guard) and guard.asked
        self._same = self._event_of(process)
        if self._same is not None:
            self.accesses.begin(process, self._answers(self._same))
            return
        self.accesses.begin(process)
        if entry is None:
            self.accesses.write("timers")
            self.accesses.write("clock")
        else:
            note_unknown(entry, self.accesses)

    def _event_of(self, process: str) -> Event | None:
        """What the step that begins is known to be, because it ran before, after the same steps."""
        if self._count < self._passed and self.history.events[self._count].process == process:
            return self.history.events[self._count]
        return None

    def _answers(self, same: Event) -> tuple[bool, ...]:
        """To what will be asked in the step now: an attempt that was a part of it then may have been made before, and
        turned out to be none, or the other way round. Who is cancelled before its attempt does not ask."""
        if self._resumed and not same.resumed:
            return same.answers[1:]
        if same.resumed and not self._resumed:
            return (True, *same.answers)
        return same.answers

    def _note_task(self, process: str) -> None:
        """Each step of a task reads whether it was cancelled; the last one ends the task."""
        task = getattr(self._entry[1], "__self__", None) if self._entry is not None else None
        if not isinstance(task, TracedTask):
            return
        accesses = self.accesses
        accesses.read(task.control)
        with accesses.mute():
            over = task.done()
        if over:
            accesses.write(task.ending)
            if process == MAIN:  # who has not ended by now is leaked: all that others do is before it or not
                accesses.write(WORLD)

    def _outlives(self) -> bool:
        """Whether who runs is none of those who die with the power."""
        if self._entry is None:
            return False
        context = self._entry[3] or self._entry[1]._context
        return context.get(BOOT) is None

    def drew(self, kind: Kind, label: str, chosen: int, options: int) -> None:
        """A decision of the running step."""
        accesses = self.accesses
        if self._driver.cuts and kind is Kind.CRASH and is_outage(label):
            self._chances.append(Chance(label == AFTER_STEP, len(accesses.step), len(accesses.draws)))
            return
        accesses.draws.append((label, chosen, options))

    def tick(self) -> None:
        self.close()
        if not self._over:
            self._driver.ticked()
        if self._relating:
            self._causes.tick(self._count)
        if self._also is not None:
            self._also.tick()

    def ended(self) -> None:
        self.close()
        self._over = True

    def close(self) -> None:
        """The step that ran last is over, if there is one that was not closed."""
        if not self._process:
            return
        process, self._process = self._process, ""
        accesses = self.accesses
        same, self._same = self._same, None
        if same is None and self._was_none():
            self._driver.erased(process)
            return
        draws = tuple(chosen for _, chosen, _ in accesses.draws)
        options = tuple(number for _, _, number in accesses.draws)
        if same is not None:
            accesses.silent = False
            if (draws, options) != (same.draws, same.options):
                raise NondeterminismError(f"step {self._count}, of {process}, was decided otherwise before")
            event = same
            self.shifted = self.shifted or accesses.made_here != same.made
        else:
            muted, accesses.muted = accesses.muted, 0  # the last step is closed when the loop runs no more
            self._note_task(process)
            accesses.muted = muted
            answers = tuple(accesses.answers)
            event = Event(
                process, draws, options, accesses.step, accesses.joins, self._enabled_by, answers, self._resumed,
                accesses.made_here, self._causes.barrier.bit_length(),
            )  # fmt: skip
            if self._driver.cuts:
                event.outlives, event.chances = self._outlives(), tuple(self._chances)
                event.blind = accesses.blind
        accesses.step = {}
        accesses.joins = []
        accesses.draws = []
        lost, accesses.lost = accesses.lost, []
        if same is None and self._relating:
            with accesses.mute():  # keys of dicts are compared, which may be anybody's code
                for guard in lost:
                    self._might_go_on(guard)
                self.history.relate(event)
                self.history.append(event)
        self._count += 1
        self._driver.happened(event)

    def finish(self) -> None:
        """The execution is over. Whoever waits behind a guard would have gone on if that held."""
        if self._over and self._loop.tasks and not self._loop.tasks[0].done():
            return  # given up noting half-way
        self.close()
        for guard in self._loop.guards:
            if guard.over or guard.entry is not None:
                continue
            self._might_go_on(guard)

    def _might_go_on(self, guard: Guard) -> None:
        """Whoever waits there, instead of what happened: that has not, or not yet."""
        process = self._causes.label(guard.callback.__self__)
        footprint, joins = guard.would_touch()
        pending = Event(process, (), (), footprint, joins, guard.since)
        self.history.relate(pending)
        self.pending.append((pending, len(self.history)))

    def clock_stopped(self) -> None:
        """Time could move on before the last step, and can not any more, because that step cancelled the last timer.
        What this would have done is not known; it would have come before or after any callback's turn."""
        if self._count <= self._passed:  # that step ran before, and this was said then
            return
        turns = [
            resource
            for event in self.history.events
            if event.process == LANE
            for resource in event.footprint
            if isinstance(resource, tuple) and resource[0] == "turn"
        ]
        footprint: Footprint = {"timers": WRITE, "clock": WRITE, "lane": READ, **dict.fromkeys(turns, READ)}
        pending = Event(CLOCK, (), (), footprint, [], self._causes.barrier)
        self.history.relate(pending)
        self.pending.append((pending, None))

    def heat(self, relied: dict[str, None]) -> bool:
        """Note which resources change, and which monitors look at; whether some step, of this execution or of those
        that ``relied`` comes from, was taken for none, or for invisible, because that was not known."""
        hot = self.accesses.hot
        relied.update(self.accesses.relied)
        words = [*self.history.written_again(self._passed), *self.accesses.looked]
        new = [word for word in words if word not in hot]
        hot.update(dict.fromkeys(new))
        return any(word in relied for word in new)

    def _was_none(self) -> bool:
        """Whether the step did nothing but begin to wait behind a guard."""
        if self._entry is None or len(self._loop.guards) <= self._guards or not self.accesses.is_alone():
            return False
        waiter = getattr(getattr(self._entry[1], "__self__", None), "_fut_waiter", None)
        return isinstance(waiter, Guard)
