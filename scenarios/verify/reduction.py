"""The part of the page that tells what proofs by reduction rest on: brute force, and published counts."""

from __future__ import annotations

from collections.abc import Iterator

from scenarios.verify.plan import PROGRAMS
from scenarios.verify.proofs import number
from scenarios.verify.run import Run, cell

__all__ = ["reduction"]


def reduction(run: Run) -> Iterator[str]:
    """The section."""
    yield from _programs(run)
    yield from _counts(run)


def _programs(run: Run) -> Iterator[str]:
    if not any(run.of(part) for part in PROGRAMS):
        return
    limits = dict.fromkeys(number(programs.interleavings_max) for programs in PROGRAMS.values())
    most = " or ".join(limits)
    yield from ("", "## Partial-order reduction against brute force", "")
    yield (
        "Random programs of two to four tasks. *Plain*: variables, locks, events, a queue, cancellation. "
        "*Structured*: task groups, gather, wait, shield, semaphores, conditions, barriers, bounded queues, "
        "decisions. *Timed*: sleeps, timeouts, the clock. Brute force runs every interleaving and collects the "
        "distinct partial orders and what the programs ended with. The reduction has to come to the same ones, with "
        "one execution for each, and so has that by source sets. A plain search on a loop that notes nothing has to "
        f"come to the same ends. *Given up*: those with more than {most} interleavings."
    )
    yield from (
        "",
        "| programs | merges of the tasks | compared | given up | interleavings | partial orders | executions of the "
        "reduction | seconds | |",
        "|---|--:|--:|--:|--:|--:|--:|--:|---|",
    )
    for programs in PROGRAMS.values():
        pieces, results = run.of(programs.name), run.done(programs.name)
        if not pieces:
            continue
        keys = ["programs", "given up", "interleavings", "classes", "reduced"]
        sums = [sum(each.counts.get(key, 0) for each in results) for key in keys]
        missing = len(pieces) - len(results) + sum(each.cut for each in results)
        word = "agree" if all(each.ok for each in results) else "**differ**"
        word += f"; {missing} of {len(pieces)} ranges of seeds not run to their end" if missing else ""
        seconds = sum(each.seconds for each in results)
        cells = " | ".join(number(each) for each in sums)
        label = f"{programs.title} | {programs.orders[0] + 1} to {programs.orders[1]}"
        yield f"| {label} | {cells} | {seconds:.0f} | {word} |"


def _counts(run: Run) -> Iterator[str]:
    if not run.of("count"):
        return
    yield from ("", "## Known counts", "")
    yield (
        "Programs of the literature on partial-order reduction (`tests/sim/dpor/classics.py`; smaller ones are among "
        "the tests). As many executions have to be run as there are partial orders, and none is to be given up."
    )
    yield from ("", "| program | partial orders | executions | seconds |", "|---|--:|--:|--:|")
    for piece, result in run.of("count"):
        if result is None:
            yield f"| {piece.name} | not run | | |"
            continue
        told = number(result.executions) if result.ok else f"**{cell(result.text)}**"
        yield f"| {piece.name} | {number(result.counts['known'])} | {told} | {result.seconds:.0f} |"
