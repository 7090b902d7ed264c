"""Runs a scenario many times, and says what that showed.

The first execution runs again and again and is compared event by event (DET-1). A failure is run again, recorded, and
must fail in the same way.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

from liveproof_sim.errors import NondeterminismError, OptionError, ResumeError
from liveproof_sim.explore.bookmark import Bookmark, made_with
from liveproof_sim.explore.conclusion import conclude
from liveproof_sim.explore.crew import Crew
from liveproof_sim.explore.determinism import SUSPECTS, compare, reruns, scattered, shortened
from liveproof_sim.explore.division import PARTS_PER_WORKER, Division, Ended, Shift
from liveproof_sim.explore.elsewhere import compare_elsewhere
from liveproof_sim.explore.execution import Outcome, Scenario, Settings, exploring
from liveproof_sim.explore.labour import Parts, Share, run_parts, run_share
from liveproof_sim.explore.runner import Runner, behaviour_of, quiet_collector
from liveproof_sim.explore.strategies import FifoSearch, Positions, Search, Standing
from liveproof_sim.explore.strategies.dpor import Dpor
from liveproof_sim.explore.strategies.dpor.parts import expansion_of, part_search_of
from liveproof_sim.explore.tally import Tally
from liveproof_sim.explore.verdict import Failure, StopReason, Verdict
from liveproof_sim.explore.workers import Found, Pace, explore_together, send_for
from liveproof_sim.kernel.choices import derive_seed

__all__ = ["Explorer", "Told", "quiet_collector"]

Told: TypeAlias = Callable[[int, int, Standing | None], None]
"""Told now and then of how many executions there were, how many behaviours they showed, and how far that is."""


class Explorer(Runner):
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
        super().__init__(scenario, settings or Settings(seed=seed))
        self.search = search
        self.seed = seed
        self.processes = processes
        self._tally = Tally(repeats=not search.systematic)
        self._ordinary = ""
        self._ordinary_taken: list[int] = []
        self._clock = time.perf_counter
        self._told: Told | None = None
        self._pace = Pace(self._clock)
        self._bookmark: Bookmark | None = None
        self._learning = False
        self._began = self._clock()

    def run(
        self,
        *,
        executions: int | None = 1000,
        seconds: float | None = None,
        workers: int = 1,
        told: Told | None = None,
        resume: str | Path | None = None,
    ) -> Verdict:
        """Explore until something fails, everything was run, or the budget is spent. With ``resume``, from where
        the file says that it was stopped, and the file says where in the end; the budget is this run's own.

        Raises:
            NondeterminismError: one tape gave two different runs.
            OptionError: no budget at all for a search without an end, or no way to share the work.
            ResumeError: the file does not fit, or cannot be read or written.
            WorkerError: a worker died.
        """
        self._told = told
        if workers < 1:
            raise OptionError(f"workers must be at least 1, not {workers}")
        if workers > 1:
            self._sendable()
        if workers > 1 and resume is not None:
            raise OptionError("what several workers do is not written to a file: leave resume out, or use workers=1")
        if executions is not None and executions < 1:
            raise OptionError(f"executions must be at least 1, not {executions}")
        if executions is None and seconds is None and not self.search.systematic:
            raise OptionError(f"{self.search.name} has no end of its own: give executions or seconds")
        self._began = self._clock()
        if resume is not None:
            self._resume(Path(resume))
        with exploring(self.scenario, self.settings), quiet_collector(), self._interruptible():
            failed = None if self.search.exhausted() else self._first()
            if failed:
                reason: StopReason | None = StopReason.FAILURE
            elif workers > 1 and executions != 1 and isinstance(self.search, Dpor):
                reason = self._by_parts(self.search, workers, executions, seconds)
            elif workers > 1 and executions != 1:
                reason = self._together(workers, executions, seconds)
            else:
                reason = self._rest(self.search, executions, seconds)
            if reason is None:
                failed, reason = self._failed, StopReason.FAILURE
            self._keep(reason)
            failure = self.confirm(failed) if failed else None
        verdict = conclude(self.search, self.settings, self._tally, self.reached, reason, failure)
        verdict.seconds = self._tally.seconds + self._clock() - self._began
        return verdict

    def _resume(self, path: Path) -> None:
        search, settings = self.search, self.settings
        if not search.resumable:
            raise OptionError(f"{search.name} keeps nothing to go on from: use strategy='dpor', or leave resume out")
        search.keep_begin = True
        options = settings.as_options()
        del options["hot"]
        made = made_with(self.scenario, options, strategy=[search.name, search.options()])
        self._bookmark = Bookmark(path, made)
        state = self._bookmark.load()
        if state is None:
            return
        try:
            search.restore(state["search"])
            settings.hot.update(dict.fromkeys(state["hot"]))
            settings.opaque.update(dict.fromkeys(state["opaque"]))
            self._tally.restore(state["tally"])
            self.reached.restore(state["reached"])
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise ResumeError(f"{path} is damaged: {error!r}; delete it to start anew") from error

    @contextlib.contextmanager
    def _interruptible(self) -> Iterator[None]:
        """Whoever interrupts finds in the file what was done."""
        try:
            yield
        except KeyboardInterrupt:
            if not self._learning:  # else the search is between two states, and the file has an earlier one
                self._keep(StopReason.SECONDS)
            raise

    def _keep(self, reason: StopReason | None) -> None:
        """In the file, if there is one; a failure is to be found again."""
        if self._bookmark is None or reason is StopReason.FAILURE:
            return
        self._bookmark.save({
            "search": self.search.as_data(),
            "hot": list(self.settings.hot),
            "opaque": list(self.settings.opaque),
            "tally": self._tally.as_data(self._clock() - self._began),
            "reached": self.reached.as_data(),
        })

    def _first(self) -> Outcome | None:
        """The first execution, recorded, and again. Of a search that has its own order, it is its first, or, where it
        goes on, its next; if that is given up half-way, there is nothing to compare."""
        search = self.search if self.search.systematic else FifoSearch()
        if self.settings.reduced:  # fills the caches that executions share, so that all make the same objects
            self.once(FifoSearch(), counted=False)
        outcome = self.once(search, record=True)
        whole, self.settings = self.settings, shortened(self.settings, outcome)
        try:
            for number in range(0 if outcome.cut else reruns(outcome.steps)):
                kept = scattered(number)
                compare(outcome, self.once(Positions(outcome.taken), record=True, counted=False))
                del kept
        finally:
            self.settings = whole
        if self.processes and not outcome.cut:
            compare_elsewhere(self.scenario, self.settings, outcome)
        assert outcome.trace is not None
        self._ordinary, self._ordinary_taken = outcome.trace.digest(), outcome.taken
        if not self.search.systematic:
            self.search.measure(outcome)
        self._note(outcome, self.search if self.search.systematic else None)
        return outcome if outcome.failed else None

    def _rest(self, search: Search, executions: int | None, seconds: float | None) -> StopReason | None:
        """All further executions of a search. None: the last one failed."""
        while True:
            if search.exhausted():
                return StopReason.EXHAUSTED_WITHIN if search.bounds() else StopReason.EXHAUSTED
            if executions is not None and self._tally.ran >= executions:
                return StopReason.EXECUTIONS
            if seconds is not None and self._clock() - self._began >= seconds:
                return StopReason.SECONDS
            outcome = self.once(search, seed=derive_seed(self.seed, f"execution {self._tally.executions}"))
            self._note(outcome, search)
            if outcome.failed:
                self._failed = outcome
                return None
            if self._bookmark is not None and self._bookmark.due():
                self._keep(None)
            self.collect()

    def _note(self, outcome: Outcome, search: Search | None) -> None:
        """``search``: whose it was."""
        self._learning = True
        new = not outcome.cut and self._tally.count(behaviour_of(outcome) if self._tally.repeats else b"")
        if outcome.lost and not outcome.cut:
            self._tally.lose({outcome.lost: 1})
        if search is not None:
            search.learn(outcome, new=new)
        self._learning = False
        if self._told is not None and self._pace.due():
            self._told(self._tally.ran, self._tally.behaviours, (search or self.search).standing())

    def _sendable(self) -> bytes:
        """What workers are sent.

        Raises:
            OptionError: it cannot be sent, or the search cannot be shared.
        """
        search = self.search
        if isinstance(search, Dpor):
            if not search.shareable:
                raise OptionError(f"{search.title} is run by one process: use workers=1")
            first = (self._ordinary_taken, self._ordinary)
            return send_for(self.scenario, Parts(part_search_of(search), self.settings, *first))
        if search.systematic:
            raise OptionError(f"{search.name} runs one schedule after the other: use workers=1")
        return send_for(self.scenario, Share(self.search, self.settings, self.seed, self._ordinary))

    def _together(self, workers: int, executions: int | None, seconds: float | None) -> StopReason | None:
        """All further executions, by workers. None: one failed."""
        tally, behaviours = self._tally, self._tally.seen()
        ran = 1

        def tell(part: Found) -> None:
            nonlocal ran
            behaviours.update((record.behaviour, None) for record in part.records)
            ran += len(part.records)
            if self._told is not None:
                self._told(ran, len(behaviours), None)

        left = None if seconds is None else seconds - (self._clock() - self._began)
        found = explore_together(run_share, self._sendable(), workers, executions, left, tell)
        self.reached.add(found.reached, found.points, found.faults)
        tally.lose(found.lost)
        for record in found.records:
            failed = found.failure is not None and found.failure[0] == record.number
            tally.note_arm(record.arm, new=tally.count(record.behaviour), failed=failed)
        if found.failure is not None:
            _, signature, taken = found.failure
            self._failed = Outcome(None, signature, 0, taken, [])
            return None
        spent = executions is not None and tally.executions >= executions
        return StopReason.EXECUTIONS if spent else StopReason.SECONDS

    def _by_parts(
        self, search: Dpor, workers: int, executions: int | None, seconds: float | None
    ) -> StopReason | None:
        """All further executions, by workers that run parts of the tree. None: one failed."""
        search.hand_over()
        with Crew(run_parts, self._sendable(), workers) as crew:
            division = Division(crew, workers, self.settings.hot)
            while True:
                expansion = expansion_of(search, PARTS_PER_WORKER * workers)
                reason = self._rest(expansion, executions, seconds)
                search.credit(*expansion.settle(), restarts=expansion.restarts)
                if reason not in (StopReason.EXHAUSTED, StopReason.EXHAUSTED_WITHIN):
                    return reason
                division.begin(expansion.parts)
                ended = division.run(
                    expansion.relied,
                    executions=None if executions is None else executions - self._tally.ran,
                    seconds=None if seconds is None else seconds - (self._clock() - self._began),
                    tell=lambda shift: self._tell(search, division, shift),
                )
                if ended is Ended.DONE:
                    search.finish()
                    return StopReason.EXHAUSTED_WITHIN if search.bounds() else StopReason.EXHAUSTED
                if ended is Ended.ANEW:
                    search.begin_anew()
                    continue
                if ended is Ended.FAILED:
                    return None
                spent = executions is not None and self._tally.ran >= executions
                return StopReason.EXECUTIONS if spent else StopReason.SECONDS

    def _tell(self, search: Dpor, division: Division, shift: Shift) -> None:
        """What a worker did."""
        tally, settings = self._tally, self.settings
        for _ in range(shift.ran):
            tally.count(b"")
        tally.lose(shift.lost)
        search.credit(*shift.counts)
        self.reached.add(shift.reached.counts, shift.reached.points, shift.reached.faults)
        settings.opaque.update(dict.fromkeys(shift.opaque))
        if shift.failure is not None:
            signature, taken = shift.failure
            self._failed = Outcome(None, signature, 0, taken, [])
            settings.hot.clear()  # it is to be run again as it was run
            settings.hot.update(dict.fromkeys(shift.hot))
        if self._told is not None and self._pace.due():
            self._told(tally.ran, tally.behaviours, division.standing(search.executions))

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
