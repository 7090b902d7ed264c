"""Writes reports/zoo.md: how many executions each strategy needs for each planted bug.

``PYTHONPATH=tests/benchmarks python -m tests.sim.zoo_table`` (from the root, three minutes of one core; seeds are
fixed, so the numbers are the same each time). ``--shrink`` adds how many of twenty failures were shrunk to the known
minimum.
"""

from __future__ import annotations

import argparse
import importlib
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from liveproof_sim import check
from liveproof_sim.explore.execution import Scenario
from races import RACES

ROOT = Path(__file__).parents[2]
SEEDS = 20
EXECUTIONS = 200
STRATEGIES = {
    "portfolio": "the default",
    "random": "random",
    "pct:depth=1": "pct 1",
    "pct:depth=2": "pct 2",
    "pct:depth=3": "pct 3",
    "pos": "pos",
    "urw": "urw",
    "surw": "surw",
    "near": "near",
    "preemptions": "preemptions",
    "delays": "delays",
}
ONCE = ("preemptions", "delays")  # they have one order, whatever the seed

HEAD = """\
# The zoo

How many executions each strategy needs for each planted bug: the median over {seeds} seeds, of at most
{executions} each. A number in parentheses is of those seeds that found it, and how many did; "–": none did. "Least"
is the smallest number of preemptions that shows the bug, as plain loops in the tests enumerate it.
{shrinking}
`preemptions` and `delays` have one order and no seed. The first execution is always the ordinary order.
Regenerate with `PYTHONPATH=tests/benchmarks python -m tests.sim.zoo_table{option}`.
"""
SHRUNK = '"Shrunk" is how many of the default\'s failures were reported with that number.\n'


class Row(NamedTuple):
    name: str
    scenario: Scenario
    least: int | None


def rows() -> Iterator[Row]:
    """The planted bugs, then the races that simulators are compared on."""
    for path in sorted((ROOT / "scenarios/zoo").glob("*.py")):
        module = importlib.import_module(f"scenarios.zoo.{path.stem}")
        yield Row(path.stem.replace("_", " "), module.buggy, module.PREEMPTIONS)
    for name, program in RACES.items():
        yield Row(name, program, None)


def cell(scenario: Scenario, strategy: str) -> str:
    """The median, or what there is of it."""
    found = []
    seeds = 1 if strategy in ONCE else SEEDS
    for seed in range(seeds):
        verdict = check(scenario, strategy=strategy, seed=seed, executions=EXECUTIONS, shrinking=False)
        if verdict.failure is not None:
            found.append(verdict.executions)
    if not found:
        return "–"
    median = f"{statistics.median(found):g}"
    return median if len(found) == seeds else f"({median}, {len(found)}/{seeds})"


def shrunk(row: Row) -> str:
    """How many failures were shrunk to the least."""
    if row.least is None:
        return ""
    failures = [check(row.scenario, seed=seed, executions=EXECUTIONS).failure for seed in range(SEEDS)]
    hits = sum(failure is not None and failure.switches == row.least for failure in failures)
    return f"{hits}/{SEEDS}"


def table(*, shrinking: bool) -> Iterator[str]:
    """Line by line, because it takes its time."""
    head = ["bug", "least", *(["shrunk"] if shrinking else []), *STRATEGIES.values()]
    yield f"| {' | '.join(head)} |"
    yield f"|---|{'---:|' * (len(head) - 1)}"
    for row in rows():
        least = "" if row.least is None else str(row.least)
        extra = [shrunk(row)] if shrinking else []
        cells = [cell(row.scenario, strategy) for strategy in STRATEGIES]
        yield f"| {' | '.join([row.name, least, *extra, *cells])} |"


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shrink", action="store_true", help="also shrink twenty failures of each bug")
    parser.add_argument("--report", type=Path, default=ROOT / "reports/zoo.md")
    options = parser.parse_args()
    lines = []
    for line in table(shrinking=options.shrink):
        lines.append(line)
        sys.stderr.write(f"{line}\n")
    head = HEAD.format(
        seeds=SEEDS,
        executions=EXECUTIONS,
        shrinking=SHRUNK if options.shrink else "",
        option=" --shrink" if options.shrink else "",
    )
    options.report.write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
