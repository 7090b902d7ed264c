"""Runs all mutants, and writes ``reports/mutants.md``.

With words, only those whose description has one of them, and nothing is written::

    python -m tests.mutants [WORD …]
"""

from __future__ import annotations

import sys

from tests.mutants.catalogue import MUTANTS, Mutant, Scenario
from tests.mutants.tool import Result, explored, judge, mutated
from tests.tidy.source import ROOT

CLEAN_EXECUTIONS = 100
CLEAN_SECONDS = 10.0

HEAD = """# Mutants

Each row is one change of the runtime, made in a copy of it, and the scenario of `scenarios/recovery` that is to
notice it. Written by `python -m tests.mutants`; the catalogue is `tests/mutants/catalogue.py`. Executions are those
until the first failure, seconds include the start of a process. In **bold**: asked for by name.

"""


def page(results: list[tuple[Mutant, Result]], clean: dict[Scenario, Result]) -> str:
    """The report."""
    killed = sum(result.killed for _, result in results)
    lines = [HEAD + f"{killed} of {len(results)} killed.\n"]
    lines += ["| mutant | killed by | executions | seconds | how |", "|---|---|--:|--:|---|"]
    for mutant, result in results:
        what = f"**{mutant.what}**" if mutant.named else mutant.what
        how = result.how.replace("|", "\\|")
        by = f"`{mutant.scenario.name}`" if result.killed else f"**{result.status}** (`{mutant.scenario.name}`)"
        lines.append(f"| {what} | {by} | {result.executions} | {result.seconds:.1f} | {how} |")
    lines += ["", "The same scenarios with the runtime as it is:", ""]
    lines += ["| scenario | status | executions | seconds |", "|---|---|--:|--:|"]
    for scenario, result in clean.items():
        name = f"`{scenario.name}`"
        lines.append(f"| {name} | {result.status} | {result.executions} | {result.seconds:.1f} |")
    return "\n".join([*lines, ""])


def main(words: list[str]) -> int:
    chosen = [each for each in MUTANTS if not words or any(word in each.what for word in words)]
    results: list[tuple[Mutant, Result]] = []
    for mutant in chosen:
        result = judge(mutant)
        results.append((mutant, result))
        print(f"{result.status:9} {result.executions:5} {result.seconds:6.1f} s  {mutant.what}  {result.how}")
    clean: dict[Scenario, Result] = {}
    with mutated(None) as runtime:
        for scenario in dict.fromkeys(each.scenario for each in chosen) if not words else ():
            result = explored(runtime, scenario, executions=CLEAN_EXECUTIONS, seconds=CLEAN_SECONDS)
            clean[scenario] = result
            print(f"{result.status:9} {result.executions:5} {result.seconds:6.1f} s  {scenario.name} {result.how}")
    if not words:
        (ROOT / "reports" / "mutants.md").write_text(page(results, clean))
    good = all(result.killed for _, result in results)
    return 0 if good and all(result.status == "sampled" for result in clean.values()) else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
