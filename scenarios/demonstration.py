"""What ``make demo`` shows: the folder watcher live, then in the simulator, with a planted bug.

Leaves beside the folders what a reader may look at afterwards: the report of the failure as a page and as text,
and its trace, which replays it.
"""

from __future__ import annotations

import sys
import time

from rich.console import Console

from liveproof_sim import Status, Verdict, check, replay
from liveproof_sim.report import page
from liveproof_sim.trace import dump, load
from scenarios.folder_watcher import (
    LEFT,
    DemonstrationError,
    Place,
    ending,
    invite,
    place_of,
    said,
    show_live,
    shown,
)
from scenarios.live import folder_watcher_sim as scenarios

EXPLORING_S = 6.0
NAME = "scenarios/live/folder_watcher_sim.py::watches_too_late"


class Simulation:
    """Explores the watcher and its wrong twin, and says what came of it."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._console = Console(highlight=False, soft_wrap=True)
        self._trace, self._page, self._text = (place.base / name for name in LEFT)

    def say(self, what: str, details: str, since: float | None = None) -> None:
        self._console.print(said(what, details, since))

    def _explore(self) -> None:
        """The watcher as it is."""
        self.say("searching", "the orders of its steps, in the simulator")
        since = time.perf_counter()
        verdict = check(scenarios.the_page, executions=None, seconds=EXPLORING_S, progress=True)
        if verdict.status is not Status.SAMPLED:
            raise DemonstrationError(f"the watcher in the simulator: {verdict}")
        self.say("explored", f"{verdict.behaviours} orders of its steps; no edit was lost", since)

    def _find(self) -> Verdict:
        """The wrong twin."""
        self.say("planting", "a bug: the watch is armed after the scan")
        since = time.perf_counter()
        verdict = check(scenarios.watches_too_late, progress=True)
        failure = verdict.failure
        if failure is None or failure.trace is None:
            raise DemonstrationError(f"the planted bug was not found: {verdict}")
        count = f"{failure.switches} context switch{'es' * (failure.switches != 1)}"
        self.say("found", f"in execution {verdict.executions}: the target misses an edit")
        self.say("shrunk", f"to {count} that asyncio would not make", since)
        self._trace.write_text(dump(failure.trace), "utf-8")
        command = f"liveproof replay {shown(self._trace)}"
        self._page.write_text(page(verdict, NAME, command=command), "utf-8")
        text = failure.report.rpartition("\nagain: ")[0]
        self._text.write_text(f"{NAME}\n\n{text}\nagain: {command}\n", "utf-8")
        return verdict

    def run(self) -> None:
        """All of it. Raises :class:`DemonstrationError` if anything is not as it should be."""
        self._explore()
        found = self._find()
        since = time.perf_counter()
        again = replay(scenarios.watches_too_late, load(self._trace.read_text("utf-8")))
        if again.failure is None or found.failure is None or again.failure.signature != found.failure.signature:
            raise DemonstrationError(f"the failure was not the same when replayed: {again}")
        self.say("replayed", f"from {shown(self._trace)}: it fails in the same way", since)
        self.say("left", f"{shown(self._page)}, and the same as {self._text.name}")


def show(place: Place) -> None:
    """The live watcher, then the simulated ones."""
    show_live(place)
    Simulation(place).run()


def main() -> int:
    place = place_of(__doc__.splitlines()[0] if __doc__ else "")
    code = ending(show, place)
    if code == 0:
        invite(place)
    return code


if __name__ == "__main__":
    sys.exit(main())
