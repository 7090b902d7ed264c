"""Runs a scenario many times, and says what that showed.

The first execution runs again and again and is compared event by event (DET-1). A failure is run again, recorded, and
must fail in the same way. The garbage collector is frozen once and off during executions, so that it can
neither slow them down nor run finalizers where a schedule did not ask for them; it is run between them, now
and then.
"""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Iterator

from liveproof_sim.errors import NondeterminismError, OptionError
from liveproof_sim.explore.determinism import SUSPECTS, compare, reruns, scattered, shortened
from liveproof_sim.explore.elsewhere import compare_elsewhere
from liveproof_sim.explore.execution import Outcome, Scenario, Settings, execute, exploring, takes_world
from liveproof_sim.explore.statistics import excluded_above, unseen_estimate, unseen_max
from liveproof_sim.explore.strategies import FifoSearch, Positions, Search
from liveproof_sim.explore.verdict import Failure, Status, StopReason, Verdict
from liveproof_sim.kernel.choices import Choices, Strategy, derive_seed
from liveproof_sim.kernel.loop import Timers
from liveproof_sim.properties import Reached, points_of

__all__ = ["Explorer", "quiet_collector"]

COLLECT_EVERY = 200  # executions


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
        self._clock = time.perf_counter

    def run(self, *, executions: int | None = 1000, seconds: float | None = None) -> Verdict:
        """Explore until something fails, everything was run, or the budget is spent.

        Raises:
            NondeterminismError: one tape gave two different runs.
            OptionError: no budget at all for a search without an end.
        """
        if executions is not None and executions < 1:
            raise OptionError(f"executions must be at least 1, not {executions}")
        if executions is None and seconds is None and not self.search.systematic:
            raise OptionError(f"{self.search.name} has no end of its own: give executions or seconds")
        began = self._clock()
        with exploring(), quiet_collector():
            failed = self._first()
            reason = StopReason.FAILURE if failed else self._rest(executions, seconds, began)
            if reason is None:
                failed, reason = self._failed, StopReason.FAILURE
            failure = self.confirm(failed) if failed else None
        return self._verdict(reason, failure, self._clock() - began)

    def once(self, search: Strategy, *, record: bool = False, seed: int = 0) -> Outcome:
        """One execution. Call inside :func:`exploring`."""
        return execute(
            self.scenario,
            Choices(search, seed=seed),
            self.settings,
            with_world=self.with_world,
            reached=self.reached,
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
                compare(outcome, self.once(Positions(outcome.taken), record=True))
                del kept
        finally:
            self.settings = whole
        if self.processes:
            compare_elsewhere(self.scenario, self.settings, outcome)
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
            if self._executions % COLLECT_EVERY == 0:
                gc.collect(0)

    def _note(self, outcome: Outcome, *, own: bool) -> None:
        self._executions += 1
        key = repr(outcome.taken).encode() if len(outcome.taken) < 64 else _digest(outcome.taken)
        count = self._counts[key] = self._counts.get(key, 0) + 1
        if self._executions & (self._executions - 1) == 0:
            self._curve.append((self._executions, len(self._counts)))
        if outcome.lost:
            self._lost[outcome.lost] = self._lost.get(outcome.lost, 0) + 1
        if own:
            self.search.learn(outcome, new=count == 1)

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
        verdict.arms = self.search.arms()
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
            timers,
            f"random values are those of seed {self.settings.seed}",
            "threads run in one go"
            if self.settings.fidelity.value == "any-order"
            else "ready tasks run first in, first out",
        ]


def _digest(taken: list[int]) -> bytes:
    return derive_seed(0, repr(taken)).to_bytes(8, "big")
