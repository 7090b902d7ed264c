"""Measure liveproof side by side with cocoindex, whose API it follows, and write the page about it.

::

    python tests/benchmarks/compare.py [--rounds N] [--rows ROW ...] [--only MODULE]
                                       [--json FILE] [--report reports/benchmarks.md] [--check]

Each measurement is a fresh process (``measure.py``) with a fresh store, under ``.benchmarks/`` in the
tree, so that it is on a real disk: ``/tmp`` may be memory.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import machine
import page
import programs

HERE = Path(__file__).resolve().parent
TREE = HERE.parent.parent
MODULES = (page.REFERENCE, page.OURS)
MEASUREMENT_MAX_S = 600
SIZES = (1_000, 10_000, 30_000, 100_000)


def measure(module: str, row: str, directory: Path, n: int | None = None) -> dict[str, Any]:
    """One measurement in a process of its own; on failure, ``error`` says how it failed."""
    with tempfile.TemporaryDirectory(dir=directory, ignore_cleanup_errors=True) as scratch:
        words = [sys.executable, str(HERE / "measure.py"), module, row]
        words += ["--store", str(Path(scratch) / "store")]
        words += [] if n is None else ["--n", str(n)]
        # What an earlier measurement left in the page cache must not be written back during this one.
        os.sync()
        failed = {"module": module, "row": row}
        try:
            done = subprocess.run(
                words, capture_output=True, text=True, check=False,
                timeout=MEASUREMENT_MAX_S,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return {**failed, "error": f"no end after {MEASUREMENT_MAX_S} s"}
    if done.returncode != 0 or not done.stdout.strip():
        print(done.stderr, file=sys.stderr)
        reason = (done.stderr.strip().splitlines() or ["no output"])[-1]
        return {**failed, "error": f"exit {done.returncode}: {reason[:200]}"}
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def note(result: dict[str, Any]) -> None:
    """One line of progress."""
    where = f"{result['module']:10} {result['row']:19}"
    if "ns" not in result:
        print(f"{where} {result['error']}", flush=True)
        return
    each = result["ns"] / result["operations"] / 1000
    wrong = "".join(f"  {k} {result[k]}" for k in ("late", "lost") if result[k])
    print(
        f"{where} {result['operations']:7} x {each:8.1f} µs  {result['peak_bytes'] / 1e6:5.0f} MB{wrong}",
        flush=True,
    )


def take_turns(rows: list[str], modules: list[str], rounds: int, directory: Path) -> list[dict[str, Any]]:
    """All rounds of all rows, the modules in turn: A, B, A, B, …"""
    results = []
    for number in range(1, rounds + 1):
        for row in rows:
            for module in modules:
                result = {**measure(module, row, directory), "round": number}
                note(result)
                results.append(result)
    return results


def scale(modules: list[str], sizes: list[int], directory: Path) -> list[dict[str, Any]]:
    """One measurement for each size."""
    results = []
    for module in modules:
        for n in sizes:
            result = {**measure(module, "scale", directory, n), "round": 1}
            note(result)
            results.append(result)
    return results


def installed(module: str) -> str | None:
    """Its version, or ``None`` when it can not be imported."""
    if importlib.util.find_spec(module) is None:
        return None
    try:
        return importlib.metadata.version(module)
    except importlib.metadata.PackageNotFoundError:
        return ""  # a source tree


def commit(part: str = "runtime") -> str:
    """The measured revision of the tree, marked when the measured part has changes on top of it; empty
    outside a checkout."""

    def git(*args: str) -> str:
        done = subprocess.run(["git", "-C", str(TREE), *args], capture_output=True, text=True, check=False)
        return done.stdout.strip()

    try:
        changed = "+changes" if git("status", "--porcelain", "--", part) else ""
        return git("rev-parse", "--short", "HEAD") + changed
    except OSError:
        return ""


def command() -> str:
    """How to repeat this, without where the results were put."""
    words = iter(sys.argv[1:])
    kept = ["python", "tests/benchmarks/compare.py"]
    for word in words:
        if word in ("--json", "--report"):
            next(words, None)
        else:
            kept.append(word)
    return " ".join([*kept, "--report", "reports/benchmarks.md"])


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    rows = [row for row in programs.ROWS if row != "scale"]
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each row (default 3)")
    parser.add_argument("--rows", nargs="*", choices=rows, default=rows, metavar="ROW", help=", ".join(rows))
    parser.add_argument("--sizes", nargs="*", type=int, default=list(SIZES), metavar="N",
                        help="numbers of components for the scale table (none: --sizes)")  # fmt: skip
    parser.add_argument("--scale-both", action="store_true", help="the scale table for cocoindex too")
    parser.add_argument("--only", choices=MODULES, help="measure one of the two")
    parser.add_argument("--json", type=Path, help="keep the raw measurements")
    parser.add_argument("--render", type=Path, metavar="JSON", help="write the page from kept measurements")
    parser.add_argument("--report", type=Path, help="write the page here")
    parser.add_argument("--check", action="store_true", help="exit with 1 unless every demand was measured and met")
    return parser.parse_args()


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure everything that was asked for."""
    versions = {module: installed(module) for module in MODULES if options.only in (None, module)}
    for module, version in versions.items():
        if version is None:
            print(f'{module} can not be imported here: pip install -e ".[bench]"', file=sys.stderr)
    modules = [module for module, version in versions.items() if version is not None]
    if not modules:
        raise SystemExit(2)
    # In the tree, and ignored by git.
    directory = TREE / ".benchmarks"
    directory.mkdir(exist_ok=True)
    report: dict[str, Any] = {
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        "command": command(),
        "rounds": options.rounds,
        "versions": {module: versions[module] for module in modules},
        "machine": machine.facts(directory),
        "flushes": {m: machine.flushes_per_operation(m, "sequential", directory) for m in modules},
    }
    if page.OURS in modules and (revision := commit()):
        report["versions"][page.OURS] = f"{versions[page.OURS]} ({revision})".strip()
    load = os.getloadavg()[0]
    report["measurements"] = take_turns(options.rows, modules, options.rounds, directory)
    measured = modules if options.scale_both else [m for m in modules if m == page.OURS]
    report["measurements"] += scale(measured, options.sizes, directory)
    report["load"] = [load, os.getloadavg()[0]]
    return report


def main() -> None:
    options = arguments()
    report = json.loads(options.render.read_text()) if options.render else run(options)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    text = page.render(report)
    if options.report:
        options.report.parent.mkdir(parents=True, exist_ok=True)
        options.report.write_text(text, encoding="utf-8")
    else:
        print("\n" + text)
    if options.check and (page.missed(report) or page.unmeasured(report)):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
