"""``python -m scenarios.verify``: run all of it, and write the page. Exit code 1: something failed; 3: not all
was run, because the time was up; 130: interrupted.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from pathlib import Path

from scenarios.verify import machine
from scenarios.verify.crew import crew
from scenarios.verify.ledger import Ledger, digest
from scenarios.verify.page import render
from scenarios.verify.plan import PROOF_SECONDS, Piece, pieces
from scenarios.verify.run import Run
from scenarios.verify.work import Result

ROOT = Path(__file__).parents[2]
FOLDER = Path("build/verify")
REPORT = Path("reports/verification.md")


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {text}")
    return number


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m scenarios.verify", description="Run the long verification, and write the page about it."
    )
    parser.add_argument("--executions", type=_count, metavar="N", help="of each scenario (default: its own number)")
    parser.add_argument(
        "--proof-seconds", type=_count, default=PROOF_SECONDS, metavar="S", help="for each program to be proved"
    )
    parser.add_argument("--only", metavar="NAME", help="what has this in its name; the page goes to build/")
    parser.add_argument("--minutes", type=float, metavar="M", help="what has not begun by then is not run")
    parser.add_argument("--jobs", type=_count, default=2, metavar="N", help="processes (default 2)")
    parser.add_argument("--resume", action="store_true", help="keep the results of the same code, run the rest")
    parser.add_argument("--report", type=Path, metavar="FILE", help=f"the page (default {REPORT})")
    return parser.parse_args()


def command(options: argparse.Namespace) -> str:
    """How to do this again."""
    values = [(name, getattr(options, name)) for name in ("executions", "proof_seconds", "minutes", "jobs")]
    words = [f"--{name.replace('_', '-')} {value}" for name, value in values if value]
    return " ".join(["python -m scenarios.verify", *words])


def verify(options: argparse.Namespace) -> int:
    """Run it; the exit code."""
    planned = [
        piece
        for piece in pieces(options.executions, options.proof_seconds)
        if not options.only or options.only in piece.key
    ]
    if not planned:
        sys.stderr.write(f"nothing has {options.only!r} in its name: try live, planted, zoo or large\n")
        return 2
    FOLDER.mkdir(parents=True, exist_ok=True)
    ledger = Ledger(FOLDER / "results.jsonl", digest(ROOT))
    results = ledger.begin(planned, resume=options.resume)
    load, began = machine.load(), time.monotonic()

    def told(result: Result) -> None:
        results[result.key] = result
        ledger.add(result)

    left = [piece for piece in planned if piece.key not in results]
    resumed = len(results)
    deadline = None if options.minutes is None else began + 60 * options.minutes
    crew(left, jobs=options.jobs, deadline=deadline, folder=FOLDER, told=told)
    made = Run(
        planned,
        results,
        command(options),
        machine.revision(ROOT),
        {**machine.facts(), "load average": f"{load} at the start, {machine.load()} at the end"},
        time.monotonic() - began,
        options.jobs,
        resumed,
    )
    report = options.report or (FOLDER / REPORT.name if options.only else REPORT)
    report.write_text(render(made), "utf-8")
    sys.stderr.write(f"written: {report}\n")
    return _exit_code(planned, results)


def _exit_code(planned: list[Piece], results: dict[str, Result]) -> int:
    """A proof that was not finished is told of, as one: it had the seconds that it was to have."""
    if not all(result.ok for result in results.values()):
        return 1
    cut = [key for key, result in results.items() if result.cut and not key.startswith("proof/")]
    return 0 if not cut and all(piece.key in results for piece in planned) else 3


def main() -> int:
    """The command. A run that is told to end is an interrupted one."""
    options = arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return verify(options)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; the same with --resume goes on from here\n")
        return 130


if __name__ == "__main__":
    sys.exit(main())
