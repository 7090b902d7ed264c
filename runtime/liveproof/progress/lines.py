"""Progress as lines: for people, where nothing can be redrawn, and as JSON for machines.

Format of JSON Lines, version 1. Every line is an object with a ``type``; unknown types and fields are to be
ignored, and what is named here stays. ``progress``, when something has changed, at most once an interval, but
at once when the phase has::

    {"type": "progress", "app": "docs", "phase": "catching up", "elapsed_s": 1.204,
     "total": {"num_execution_starts": 7, "num_unchanged": 1, "num_adds": 4, "num_deletes": 0,
               "num_reprocesses": 0, "num_errors": 1, "num_in_progress": 1},
     "components": {"process_file": {... the same fields ...}}}

``phase`` is one of starting, catching up, finishing, live, stopping. A command adds one last object, of type
``result`` (see ``liveproof/cli/endings.py``).
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any, TextIO

from liveproof.core.stats import ComponentStats, UpdateStats
from liveproof.progress.words import NS_PER_SECOND, PHASES, Progress, in_words, summary, took

__all__ = ["JsonLines", "Lines", "stats_as_data"]


class _Changes:
    """What has been shown, and so whether there is news."""

    def __init__(self, interval: timedelta) -> None:
        self.interval_ns = max(0, interval // timedelta(microseconds=1)) * 1000
        self._phase = ""
        self._stats: UpdateStats | None = None
        self._shown_ns = 0

    def worth_showing(self, progress: Progress, urgent: tuple[str, ...]) -> bool:
        """Whether to show this now. To come to an urgent phase is always worth it."""
        if progress.phase == self._phase or progress.phase not in urgent:
            if progress.elapsed_ns - self._shown_ns < self.interval_ns:
                return False
            if progress.phase == self._phase and progress.stats == self._stats:
                return False
        self._phase, self._stats, self._shown_ns = progress.phase, progress.stats, progress.elapsed_ns
        return True


class Lines:
    """A line when something has changed, at most once an interval, and a summary. What takes less than an
    interval is told in one line."""

    def __init__(self, out: TextIO, interval: timedelta) -> None:
        self._out = out
        self._changes = _Changes(interval)
        self.interval_ns = self._changes.interval_ns

    def show(self, progress: Progress, /) -> None:
        if progress.stats.by_component and self._changes.worth_showing(progress, ("live",)):
            counts = in_words(progress.stats.total, running=True)
            self._write(f"{progress.app}: {progress.phase}, {took(progress.elapsed_ns)}: {counts}")

    def end(self, progress: Progress, outcome: str, /) -> None:
        self._write(summary(progress, outcome))

    def _write(self, line: str) -> None:
        print(line, file=self._out, flush=True)


def stats_as_data(stats: UpdateStats) -> dict[str, Any]:
    """The counts as the JSON format has them."""

    def counts(of: ComponentStats) -> dict[str, int]:
        return {**of._asdict(), "num_in_progress": max(0, of.num_in_progress)}

    return {
        "total": counts(stats.total),
        "components": {name: counts(of) for name, of in stats.by_component.items()},
    }


class JsonLines:
    """The module's JSON format. The last line is somebody else's: only they know the result."""

    def __init__(self, out: TextIO, interval: timedelta) -> None:
        self._out = out
        self._changes = _Changes(interval)
        self.interval_ns = self._changes.interval_ns

    def show(self, progress: Progress, /) -> None:
        if not self._changes.worth_showing(progress, PHASES):
            return
        line = {
            "type": "progress",
            "app": progress.app,
            "phase": progress.phase,
            "elapsed_s": round(progress.elapsed_ns / NS_PER_SECOND, 3),
            **stats_as_data(progress.stats),
        }
        print(json.dumps(line), file=self._out, flush=True)

    def end(self, progress: Progress, outcome: str, /) -> None:
        """Nothing: the result has the last counts."""
