"""The section "liveproof" at the end of a run: counts, or with ``-v`` a verdict per test; and what to know."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

import pytest

from liveproof_sim.pytest_plugin.files import write_index
from liveproof_sim.pytest_plugin.options import Options

__all__ = ["Summary", "left_alone"]


class _Row(NamedTuple):
    test: str
    status: str
    verdict: str
    missed: list[str]
    notes: list[str]


def left_alone(reason: str) -> dict[str, Any]:
    """The data of a test that could not be explored."""
    return {"verdict": "", "status": "not explored", "missed": [], "notes": [f"not explored: {reason}"]}


class Summary:
    """Of one run."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._rows: list[_Row] = []

    def add(self, report: pytest.TestReport) -> None:
        """What a report carries, if it is one of an explored test."""
        data: dict[str, Any] | None = getattr(report, "liveproof", None)
        if data is not None:
            row = _Row(report.nodeid, data["status"], data["verdict"], data["missed"], data["notes"])
            self._rows.append(row)

    def write(self, terminal: pytest.TerminalReporter) -> None:
        """Nothing, if nothing was explored."""
        if not self._rows:
            return
        terminal.section("liveproof")
        counts = Counter(row.status or "refused" for row in self._rows)
        told = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
        explored = len(self._rows) - counts.get("not explored", 0)
        kind = "explored" if not self._options.real else "run on asyncio"
        terminal.line(f"{explored} {kind} (seed {self._options.seed}): {told}")
        for row in sorted(self._rows):
            lines = [row.verdict] if terminal.verbosity > 0 and row.verdict else []
            if row.missed and not lines:
                lines.append(f"never reached: {', '.join(row.missed)}")
            for line in [*lines, *row.notes]:
                terminal.line(f"{row.test}: {line}")
        if self._options.report is not None and self._options.report.is_dir():
            terminal.line(f"reports: {write_index(self._options.report)}")
