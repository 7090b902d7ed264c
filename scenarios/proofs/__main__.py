"""Runs the proofs and writes ``reports/proofs.md``::

    python -m scenarios.proofs --calls 3 --minutes 15 --jobs 2

A program whose orders could not all be run in time is listed as not finished, and is not counted as proved.
"""

from __future__ import annotations

import argparse
import multiprocessing
import platform
import sys
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from liveproof_sim import Status, check
from scenarios.proofs.operators import CALLS_MAX, Program, programs, scenario_of

REPORT = Path(__file__).parents[2] / "reports/proofs.md"


class Result(NamedTuple):
    """What came of one program."""

    program: Program
    status: Status
    executions: int
    seconds: float
    text: str
    """the verdict, or the report of its failure"""

    @property
    def size(self) -> tuple[int, int]:
        return (sum(map(len, self.program)), len(self.program))


def prove(work: tuple[Program, float]) -> Result:
    """Run every order of one program, until a moment on the wall's clock."""
    program, until = work
    seconds = max(0.1, until - time.time())
    verdict = check(
        scenario_of(program), strategy="dpor", timers="discrete", executions=None, seconds=seconds
    )
    text = str(verdict) if verdict.failure is None else verdict.failure.report
    return Result(program, verdict.status, verdict.executions, verdict.seconds, text)


def words(program: Program) -> str:
    """A program for people."""
    return " ‖ ".join("; ".join(task) for task in program)


def page(results: list[Result], options: argparse.Namespace) -> str:
    """The report."""
    proved = [each for each in results if each.status is Status.PROVED]
    failed = [each for each in results if each.status is Status.FAILED]
    left = [each for each in results if each.status not in (Status.PROVED, Status.FAILED)]
    assumptions = proved[0].text.partition("assuming that ")[2].partition("; taken to")[0] if proved else ""
    lines = [
        "# Proofs",
        "",
        f"Run on {datetime.now(UTC):%Y-%m-%d}, CPython {platform.python_version()}. Written by "
        "`python -m scenarios.proofs`; do not edit.",
        "",
        "Programs of calls of one live component's operator: updates, updates that fail, deletions and full updates,",
        "on two sub-paths, by one task or by two at once; those that differ only in names are one. For each, every",
        "order of ready tasks was run, up to the order of steps that commute (the strategy `dpor`; the runtime is",
        "not instrumented, so its steps were taken to conflict with everything). After each, the target held what",
        "the calls mean one after the other (ORD-1), and no monitor of the contract objected.",
        "",
        f"Assumptions: {assumptions or 'none, since nothing was proved'}.",
        "",
        "| calls | tasks | programs | proved | executions, together | not finished | failed |",
        "|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for size in sorted(dict.fromkeys(each.size for each in results)):
        rows = [each for each in results if each.size == size]
        done = [each for each in rows if each.status is Status.PROVED]
        executions = f"{sum(each.executions for each in done):,}".replace(",", " ")
        others = f"{sum(each in left for each in rows)} | {sum(each in failed for each in rows)}"
        lines.append(f"| {size[0]} | {size[1]} | {len(rows)} | {len(done)} | {executions} | {others} |")
    if left:
        shown = sorted(left, key=lambda each: each.size)
        lines += ["", f"Not finished within {options.minutes:g} minutes, so not proved:", ""]
        lines += [f"- {words(each.program)}: {each.executions} executions held" for each in shown[:40]]
        lines += [f"- and {len(shown) - 40} more" for _ in shown[40:41]]
    for each in failed:
        lines += ["", f"**Failed:** {words(each.program)}", "", "```", each.text, "```"]
    return "\n".join(lines) + "\n"


def main(arguments: Iterable[str] | None = None) -> int:
    """Run them. Returns 1 if one failed, else 0."""
    parser = argparse.ArgumentParser(prog="python -m scenarios.proofs", description="Prove small programs.")
    parser.add_argument("--calls", type=int, default=CALLS_MAX, help="the largest programs")
    parser.add_argument("--minutes", type=float, default=10.0, help="for all of them together")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--report", type=Path, default=REPORT, help="where the page goes")
    options = parser.parse_args(None if arguments is None else list(arguments))
    until = time.time() + 60 * options.minutes
    work = [(program, until) for program in programs(options.calls)]
    with multiprocessing.get_context("spawn").Pool(options.jobs) as pool:
        results = list(pool.imap_unordered(prove, work))
    options.report.write_text(page(results, options), "utf-8")
    proved = sum(each.status is Status.PROVED for each in results)
    failed = sum(each.status is Status.FAILED for each in results)
    print(f"{proved} of {len(results)} programs proved, {failed} failed: {options.report}")
    return int(failed > 0)


if __name__ == "__main__":
    from scenarios.proofs.__main__ import main as importable  # what processes are sent has to be found by name

    sys.exit(importable())
