"""Runs a scenario many times, and says what that showed.

The first execution runs again and again and is compared event by event (DET-1). A failure is run again, recorded, and
must fail in the same way. The garbage collector is frozen once and off during executions, so that it can
neither slow them down nor run finalizers where a schedule did not ask for them. It is run between them, each
time for what is young: that is faster than now and then (measured: a quarter, with an app as the scenario),
because the garbage is still in the processor's cache, and its memory is used again.
"""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeAlias

from liveproof_sim.errors import NondeterminismError, OptionError
from liveproof_sim.explore.determinism import SUSPECTS, compare, reruns, scattered, shortened
from liveproof_sim.explore.elsewhere import compare_elsewhere
from liveproof_sim.explore.execution import Outcome, Scenario, Settings, execute, exploring, takes_world
from liveproof_sim.explore.statistics import excluded_above, unseen_estimate, unseen_max
from liveproof_sim.explore.strategies import FifoSearch, Positions, Search
from liveproof_sim.explore.verdict import Failure, Status, StopReason, Verdict
from liveproof_sim.explore.workers import Found, Pace, Record, Turn, explore_together, send_for
from liveproof_sim.kernel.choices import Choices, Strategy, derive_seed
from liveproof_sim.kernel.loop import Timers
from liveproof_sim.properties import Reached, points_of

__all__ = ["Explorer", "Told", "quiet_collector"]

Told: TypeAlias = Callable[[int, int], None]
"""Told now and then of how many executions there were, and how many behaviours they showed."""

COLLECT_MORE_EVERY = 200  # executions: also what outlived one


@contextlib.contextmanager
def quiet_collector() -> Iterator[None]:
    """Freeze what is there; no collection inside but our own."""
    enabled = gc.isenabled()
    gc.disable()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        if enabled:
            gc.enable()


class _Options(NamedTuple):
    """What workers need besides the scenario."""

    search: Search
    settings: Settings
    seed: int
    ordinary: str
    """the digest of the ordinary run's trace: a worker's has to be the same"""


def _work(
    scenario: Scenario, options: _Options, turn: Turn, limit: Callable[[], int], tell: Callable[[Found], None]
) -> None:
    """A worker's share of an exploration."""
    explorer = Explorer(scenario, options.search, options.settings, seed=options.seed)
    with exploring(scenario, options.settings), quiet_collector():
        explorer.share(options.ordinary, turn, limit, tell)


class Explorer:
    """One exploration of one scenario."""

    def __init__(
        self,
        scenario: Scenario,
        search: Search,
        settings: Settings | None = None,
        *,
        seed: int = 0,
        processes: bool = False,
    ) -> None:
        self.scenario = scenario
        self.search = search
        self.settings = settings or Settings(seed=seed)
        self.seed = seed
        self.processes = processes
        self.reached = Reached(points_of(scenario))
        self.with_world = takes_world(scenario)
        self._counts: dict[bytes, int] = {}
        self._lost: dict[str, int] = {}
        self._executions = 0
        self._curve: list[tuple[int, int]] = []
        self._arms: dict[str, dict[str, float]] = {}
        self._ordinary = ""
        self._clock = time.perf_counter
        self._told: Told | None = None
        self._pace = Pace(self._clock)

    def run(
        self,
        *,
        executions: int | None = 1000,
        seconds: float | None = None,
        workers: int = 1,
        told: Told | None = None,
    ) -> Verdict:
        """Explore until something fails, everything was run, or the budget is spent.

        Raises:
            NondeterminismError: one tape gave two different runs.
            OptionError: no budget at all for a search without an end, or no way to share the work.
            WorkerError: a worker died.
        """
        self._told = told
        if workers < 1:
            raise OptionError(f"workers must be at least 1, not {workers}")
        if workers > 1:
            self._sendable()
        if executions is not None and executions < 1:
            raise OptionError(f"executions must be at least 1, not {executions}")
        if executions is None and seconds is None and not self.search.systematic:
            raise OptionError(f"{self.search.name} has no end of its own: give executions or seconds")
        began = self._clock()
        with exploring(self.scenario, self.settings), quiet_collector():
            failed = self._first()
            if failed:
                reason: StopReason | None = StopReason.FAILURE
            elif workers > 1 and executions != 1:
                reason = self._together(workers, executions, seconds, began)
            else:
                reason = self._rest(executions, seconds, began)
            if reason is None:
                failed, reason = self._failed, StopReason.FAILURE
            failure = self.confirm(failed) if failed else None
        return self._verdict(reason, failure, self._clock() - began)

    def once(
        self, search: Strategy, *, record: bool = False, seed: int = 0, counted: bool = True
    ) -> Outcome:
        """One execution. Call inside :func:`exploring`. ``counted``: whether what it reaches is noted."""
        return execute(
            self.scenario,
            Choices(search, seed=seed),
            self.settings,
            with_world=self.with_world,
            reached=self.reached if counted else None,
            record=record,
        )

    def _first(self) -> Outcome | None:
        """The first execution, recorded, and again. Of a search that has its own order, it is its first."""
        search = self.search if self.search.systematic else FifoSearch()
        outcome = self.once(search, record=True)
        whole, self.settings = self.settings, shortened(self.settings, outcome)
        try:
            for number in range(reruns(outcome.steps)):
                kept = scattered(number)
                compare(outcome, self.once(Positions(outcome.taken), record=True, counted=False))
                del kept
        finally:
            self.settings = whole
        if self.processes:
            compare_elsewhere(self.scenario, self.settings, outcome)
        assert outcome.trace is not None
        self._ordinary = outcome.trace.digest()
        if not self.search.systematic:
            self.search.measure(outcome)
        self._note(outcome, own=self.search.systematic)
        return outcome if outcome.failed else None

    def _rest(self, executions: int | None, seconds: float | None, began: float) -> StopReason | None:
        """All further executions. None: the last one failed."""
        search = self.search
        while True:
            if search.exhausted():
                return StopReason.EXHAUSTED_WITHIN if search.bounds() else StopReason.EXHAUSTED
            if executions is not None and self._executions >= executions:
                return StopReason.EXECUTIONS
            if seconds is not None and self._clock() - began >= seconds:
                return StopReason.SECONDS
            outcome = self.once(search, seed=derive_seed(self.seed, f"execution {self._executions}"))
            self._note(outcome, own=True)
            if outcome.failed:
                self._failed = outcome
                return None
            self._collect()

    def _collect(self) -> None:
        gc.collect(self._executions % COLLECT_MORE_EVERY == 0)

    def _note(self, outcome: Outcome, *, own: bool) -> None:
        if outcome.cut:
            self.search.learn(outcome, new=False)
            return
        new = self._count(_behaviour(outcome.taken))
        if outcome.lost:
            self._lost[outcome.lost] = self._lost.get(outcome.lost, 0) + 1
        if own:
            self.search.learn(outcome, new=new)
        if self._told is not None and self._pace.due():
            self._told(self._executions, len(self._counts))

    def _count(self, behaviour: bytes) -> bool:
        """One more execution; whether it showed something new."""
        self._executions += 1
        count = self._counts[behaviour] = self._counts.get(behaviour, 0) + 1
        if self._executions & (self._executions - 1) == 0:
            self._curve.append((self._executions, len(self._counts)))
        return count == 1

    def _sendable(self) -> bytes:
        """What workers are sent.

        Raises:
            OptionError: it cannot be sent, or the search cannot be shared.
        """
        if self.search.systematic:
            raise OptionError(f"{self.search.name} runs one schedule after the other: use workers=1")
        return send_for(self.scenario, _Options(self.search, self.settings, self.seed, self._ordinary))

    def _together(
        self, workers: int, executions: int | None, seconds: float | None, began: float
    ) -> StopReason | None:
        """All further executions, by workers. None: one failed."""
        behaviours = dict.fromkeys(self._counts)
        ran = 1

        def tell(part: Found) -> None:
            nonlocal ran
            behaviours.update((record.behaviour, None) for record in part.records)
            ran += len(part.records)
            if self._told is not None:
                self._told(ran, len(behaviours))

        left = None if seconds is None else seconds - (self._clock() - began)
        found = explore_together(_work, self._sendable(), workers, executions, left, tell)
        for name, count in found.reached.items():
            self.reached.counts[name] = self.reached.counts.get(name, 0) + count
        for name, count in found.points.items():
            self.reached.points[name] = self.reached.points.get(name, 0) + count
        for cell, (asked, struck) in found.faults.items():
            self.reached.note_fault(cell, asked, struck)
        for name, count in found.lost.items():
            self._lost[name] = self._lost.get(name, 0) + count
        for record in found.records:
            new = self._count(record.behaviour)
            if record.arm:
                arm = self._arms.setdefault(record.arm, {"executions": 0, "new": 0, "failures": 0})
                arm["executions"] += 1
                arm["new"] += new
                arm["failures"] += found.failure is not None and found.failure[0] == record.number
        if found.failure is not None:
            _, signature, taken = found.failure
            self._failed = Outcome(None, signature, 0, taken, [])
            return None
        spent = executions is not None and self._executions >= executions
        return StopReason.EXECUTIONS if spent else StopReason.SECONDS

    def share(
        self, ordinary: str, turn: Turn, limit: Callable[[], int], tell: Callable[[Found], None]
    ) -> None:
        """What a worker does: run its executions, and tell of them. Call inside :func:`exploring`.

        Raises:
            NondeterminismError: the ordinary run is not the same here.
        """
        began, search = self._clock(), self.search
        measuring = self.once(FifoSearch(), record=True)
        if measuring.trace is None or measuring.trace.digest() != ordinary:
            raise NondeterminismError(f"the ordinary run differs from process to process; {SUSPECTS}")
        search.measure(measuring)
        part = Found()
        number = turn.first
        while number <= limit() and not search.exhausted():
            if turn.seconds is not None and self._clock() - began >= turn.seconds:
                break
            outcome = self.once(search, seed=derive_seed(self.seed, f"execution {number}"))
            behaviour = _behaviour(outcome.taken)
            search.learn(outcome, new=self._count(behaviour))
            part.records.append(Record(number, behaviour, search.arm))
            if outcome.lost:
                part.lost[outcome.lost] = part.lost.get(outcome.lost, 0) + 1
            if outcome.failed:
                part.failure = (number, outcome.signature, outcome.taken)
                break
            if self._pace.due():
                tell(part)
                part = Found()
            self._collect()
            number += turn.step
        part.reached = dict(self.reached.counts)
        part.points, part.faults = dict(self.reached.points), dict(self.reached.faults)
        tell(part)

    def confirm(self, outcome: Outcome) -> Failure:
        """Run a failure again, recorded.

        Raises:
            NondeterminismError: it did not fail in the same way.
        """
        if outcome.trace is not None and outcome.error is not None:  # the first one: it ran twice already
            return Failure(outcome.error, outcome.signature, outcome.taken, trace=outcome.trace)
        again = self.once(Positions(outcome.taken), record=True)
        if again.signature != outcome.signature or again.error is None:
            raise NondeterminismError(
                f"a failure did not repeat: {outcome.signature!r} became {again.signature or 'a pass'!r}; "
                f"{SUSPECTS}"
            )
        return Failure(again.error, again.signature, outcome.taken, trace=again.trace)

    def _verdict(self, reason: StopReason, failure: Failure | None, seconds: float) -> Verdict:
        counts = list(self._counts.values())
        verdict = Verdict(Status.SAMPLED, reason, self._executions, self.search.name, len(counts))
        verdict.seconds = seconds
        verdict.arms = self._arms or self.search.arms()
        verdict.reduction = self.search.counts()
        verdict.opaque = list(self.settings.opaque)
        verdict.missed = self.reached.missed()
        verdict.failure = failure
        verdict.lost = dict(self._lost)
        verdict.points = dict(self.reached.points)
        verdict.faults = dict(self.reached.faults)
        verdict.curve = [*self._curve, (self._executions, len(counts))]
        if failure is not None:
            verdict.status = Status.FAILED
        elif reason is StopReason.EXHAUSTED:
            verdict.status = Status.PROVED
        elif reason is StopReason.EXHAUSTED_WITHIN:
            verdict.status = Status.PROVED_WITHIN
            verdict.bounds = self.search.bounds()
        elif self.search.systematic:
            verdict.status = Status.INCONCLUSIVE
        if verdict.status in (Status.PROVED, Status.PROVED_WITHIN):
            verdict.unseen = verdict.unseen_estimate = verdict.excluded_above = 0.0
            verdict.assumptions = self._assumptions()
        else:
            verdict.unseen = unseen_max(counts)
            verdict.unseen_estimate = unseen_estimate(counts)
            verdict.excluded_above = excluded_above(self._executions)
        return verdict

    def _assumptions(self) -> list[str]:
        """What a proof stands on."""
        late = self.settings.limits.lateness_ns / 1e9
        timers = (
            f"timers are late by at most {late:g} s"
            if self.settings.timers is Timers.LATE
            else "steps take no time"
        )
        return [
            "tasks switch only where they await",
            *(
                ["operators and properties of classes that are not instrumented touch nothing"]
                if self.settings.reduced
                else []
            ),
            timers,
            f"random values are those of seed {self.settings.seed}",
            "threads run in one go"
            if self.settings.fidelity.value == "any-order"
            else "ready tasks run first in, first out",
        ]


def _behaviour(taken: list[int]) -> bytes:
    """What tells two schedules apart: all positions taken, or a digest of many."""
    text = repr(taken)
    return text.encode() if len(taken) < 64 else derive_seed(0, text).to_bytes(8, "big")
