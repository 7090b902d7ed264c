"""``--sim-report DIR``: each test's report as ``.html``, ``.txt`` and ``.jsonl``, and an index."""

from __future__ import annotations

from pathlib import Path

from liveproof_sim.explore.verdict import Verdict
from liveproof_sim.pytest_plugin.tapes import slug
from liveproof_sim.trace import dump

__all__ = ["write_reports"]


def write_reports(folder: Path, test: str, verdict: Verdict, report: str) -> None:
    """Write those of one test."""
    folder.mkdir(parents=True, exist_ok=True)
    base = folder / slug(test)
    base.with_suffix(".txt").write_text(f"{test}: {verdict}\n\n{report}".rstrip() + "\n", encoding="utf-8")
    if verdict.failure is not None and verdict.failure.trace is not None:
        base.with_suffix(".jsonl").write_text(dump(verdict.failure.trace), encoding="utf-8")
