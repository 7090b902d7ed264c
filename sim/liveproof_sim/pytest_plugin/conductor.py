"""One explored test: what failed before runs first, then the search; a failure is kept, written and raised.

Of a test with ``@given``, each example is explored with few executions. No tape is kept: Hypothesis repeats
the example, and the seed its schedule. The schedule is shrunk when the example is, for the last one.
"""

from __future__ import annotations

import asyncio
import shlex
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import liveproof_sim
from liveproof_sim.check import check, replay
from liveproof_sim.decorator import Exploration
from liveproof_sim.errors import OptionError, ReplayError, SimError, SimulatorBug, TapeError
from liveproof_sim.explore.real_world import run_really
from liveproof_sim.explore.scenario import Scenario
from liveproof_sim.explore.verdict import Failure, Verdict
from liveproof_sim.pytest_plugin.files import write_reports
from liveproof_sim.pytest_plugin.options import Options
from liveproof_sim.pytest_plugin.tapes import Tapes, slug
from liveproof_sim.trace import load

__all__ = ["EXAMPLE_EXECUTIONS", "Conducted", "own_frames"]

EXAMPLE_EXECUTIONS = 50
"""of each of Hypothesis' examples, unless somebody says otherwise"""

_HIDDEN = (str(Path(liveproof_sim.__file__).parent), str(Path(asyncio.__file__).parent))


def own_frames(traceback: TracebackType | None) -> TracebackType | None:
    """The traceback without frames of the simulator and of asyncio."""
    if traceback is None:
        return None
    rest = own_frames(traceback.tb_next)
    if traceback.tb_frame.f_code.co_filename.startswith(_HIDDEN):
        return rest
    return TracebackType(rest, traceback.tb_frame, traceback.tb_lasti, traceback.tb_lineno)


@dataclass(slots=True)
class Conducted:
    """A conductor for one test, and what it has to say afterwards."""

    test: str
    options: Options
    tapes: Tapes
    undecorated: bool = False
    """whether only --sim-all explores it"""
    verdict: str = ""
    status: str = ""
    report: str = ""
    """of the failure; empty: none"""
    missed: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __call__(self, exploration: Exploration, scenario: Scenario) -> Verdict | None:
        """As :data:`liveproof_sim.decorator.Conductor`."""
        __tracebackhide__ = True
        try:
            verdict = self._verdict(exploration, scenario)
        except SimulatorBug:
            raise
        except SimError as error:
            raise error.with_traceback(None) from None
        except BaseException as error:  # noqa: BLE001 - what a scenario raised on asyncio
            raise error.with_traceback(own_frames(error.__traceback__)) from error.__cause__
        if verdict is None:
            return None
        self.verdict, self.status, self.missed = str(verdict), verdict.status.value, verdict.missed
        failure = verdict.failure
        if failure is not None:
            self.report = self._told(failure)
        if self.options.report is not None:
            command = "" if failure is None else self._command(failure)
            write_reports(self.options.report, self.test, verdict, self.report, command)
        if failure is not None:
            raise failure.exception.with_traceback(own_frames(failure.exception.__traceback__))
        return verdict

    def as_data(self) -> dict[str, Any]:
        """For a report, which may travel between processes."""
        return {
            "verdict": self.verdict,
            "status": self.status,
            "missed": self.missed,
            "notes": list(dict.fromkeys(self.notes)),
        }

    def _verdict(self, exploration: Exploration, scenario: Scenario) -> Verdict | None:
        arguments = {**exploration.options, **self.options.overrides}
        if self.options.real:
            self.verdict, self.status = "failed on asyncio", "failed"
            asked = {name: arguments[name] for name in ("seed", "seconds", "leaks") if name in arguments}
            run_really(scenario, **asked)
            self.verdict, self.status = "passed on asyncio, once", "passed"
            return None
        final = _final_example()
        if final is not None:
            if self.options.replay:
                raise OptionError(
                    "a tape does not hold what @given gave: run the test without --sim-replay; "
                    "Hypothesis repeats the example, and its seed the schedule"
                )
            arguments.pop("workers", None)  # one example is too little to share
            return check(scenario, **{"executions": EXAMPLE_EXECUTIONS, **arguments, "shrinking": final})
        if self.options.replay:
            verdict = replay(scenario, self.options.replay)
            if verdict.failure is None:
                self.notes.append("the tape that was given passes now")
            return verdict
        if self.options.resume is not None:
            arguments["resume"] = self.options.resume / f"{slug(self.test)}.json"
        verdict = self._kept(scenario) or check(scenario, **arguments)
        if verdict.failure is not None and verdict.failure.trace is not None:
            path = self.tapes.keep(verdict.failure.trace)
            if path is None:
                self.notes.append("its tape could not be kept")
        return verdict

    def _kept(self, scenario: Scenario) -> Verdict | None:
        """What failed before, again; None: nothing does any more."""
        for path in self.tapes.paths():
            try:
                verdict = replay(scenario, load(path.read_text(encoding="utf-8")))
            except FileNotFoundError:
                continue  # another process found first that it passes
            except (ReplayError, TapeError) as error:
                self.notes.append(f"a kept tape was dropped: {error}")
            else:
                if verdict.failure is not None:
                    self.notes.append("a kept tape failed again")
                    return verdict
                self.notes.append("a kept tape was dropped: it passes now")
            self.tapes.drop(path)
        return None

    def _told(self, failure: Failure) -> str:
        """The report, with the command that replays it."""
        if _final_example() is not None:
            return failure.report.rpartition("\nagain: ")[0]
        return f"{failure.report.rpartition(chr(10) + 'again: ')[0]}\nagain: {self._command(failure)}"

    def _command(self, failure: Failure) -> str:
        more = "--sim-all " if self.undecorated else ""
        return f"pytest {shlex.quote(self.test)} {more}--sim-replay {failure.token}"


def _final_example() -> bool | None:
    """Whether Hypothesis runs its last, smallest example; None: it runs none."""
    if "hypothesis" not in sys.modules:
        return None
    from hypothesis.control import _current_build_context  # noqa: PLC0415 - only where it is in use

    context: Any = _current_build_context.value
    return None if context is None else bool(context.is_final)
