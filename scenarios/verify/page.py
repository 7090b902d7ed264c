"""The page: what is proved, what is only sampled, what was not run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from liveproof_sim.report.coverage import Coverage
from scenarios.verify import machine
from scenarios.verify.plan import ENDLESS, ENTRIES, PARTS, PROGRAMS, Part, Piece
from scenarios.verify.proofs import number, proofs, proved_of, summary
from scenarios.verify.reduction import reduction
from scenarios.verify.run import Run, cell, plural
from scenarios.verify.work import FOUND_WITHIN, PROVED_WITHIN, REACHED_WITHIN, Result
from tests.mutants.catalogue import BY_NAME

__all__ = ["render"]

IDS = {"ORD": 6, "GC": 5, "RDY": 5, "MODE": 3, "FEED": 4, "FAIL": 3, "DUR": 5, "DET": 2}
"""of the contract: how many there are of each"""
ELSEWHERE = {
    "DET-1": "the first execution of every scenario here was run again and compared event by event",
    "DET-2": "`tests/sim/test_fence.py`",
    "DUR-5": "`tests/contract/test_dur.py`",
    "RDY-4": "`tests/contract/test_rdy.py`",
}
"""what checks an id that no scenario is made for"""


def render(run: Run) -> str:
    """All of it."""
    head = [
        "# Verification",
        "",
        f"Run on {machine.today()} with liveproof {run.revision}. Written by `make verify`; do not edit.",
        "",
        *_summary(run),
    ]
    body = [*_failures(run), *_contract(run)]
    body += proofs(run.done("proof"))
    for part in PARTS:
        body += _planted(run, part) if part.planted else _scenarios(run, part)
    body += [*_coverage(run), *_mutants(run)]
    return "\n".join([*head, *body, *_zoo(run), *reduction(run), *_unrun(run), *_meaning(), *_how(run)]) + "\n"


def _summary(run: Run) -> Iterator[str]:
    """The result in a few lines."""
    failed = [result for result in run.results.values() if not result.ok]
    unrun = [piece for piece in run.planned if piece.key not in run.results]
    cut = [result for result in run.results.values() if result.cut and not result.key.startswith("proof/")]
    live = [result for part in PARTS if not part.planted for result in run.done(part.name) if result.ok]
    proved = [result for result in live if result.status.startswith("proved")]
    yield f"- **{'Failed' if failed else 'Nothing failed'}.**" + (
        f" {len(failed)} of {len(run.results)} did: see below." if failed else ""
    )
    if live:
        total, behaviours = (sum(getattr(each, of) for each in live) for of in ("executions", "behaviours"))
        yield (
            f"- **Sampled, not proved:** the runtime. {plural(len(live) - len(proved), 'scenario')} held in "
            f"{number(total)} executions, {number(behaviours)} of them different orders, faults or inputs."
        )
    if run.done("proof"):
        yield summary(run.done("proof"))
    twins = [result for result in run.done("zoo") if result.status == "proved"]
    unsound = [result.key for result in run.done("zoo") if result.counts.get("unsound")]
    if unsound:
        yield (
            "- **In doubt:** what partial-order reduction proves with late timers. It says 'proved' of "
            f"{', '.join(unsound)}, which has a bug."
        )
    if twins:
        yield (
            f"- **Proved:** {plural(len(twins), 'small program')}, repaired twins of the zoo: every order of each "
            "was run."
        )
    programs = [result.counts for part in PROGRAMS for result in run.done(part) if result.counts]
    if programs:
        agreed = sum(each["programs"] for each in programs)
        ok = all(result.ok for part in PROGRAMS for result in run.done(part))
        word = "agreed" if ok else "**differed**"
        yield (
            f"- **Compared:** the reduction that such proofs rest on, with brute force on "
            f"{plural(agreed, 'random program')}: it {word}."
        )
    planted = [result for result in [*run.done("planted"), *run.done("zoo")] if result.ok]
    if planted:
        yield f"- **Found:** {plural(len(planted), 'planted bug')}."
    killed = [result for result in run.done("mutant") if result.ok]
    if run.of("mutant"):
        yield f"- **Killed:** {number(len(killed))} of {plural(len(run.of('mutant')), 'mutant')} of the runtime."
    yield f"- **Not run:** {plural(len(unrun), 'piece') if unrun else 'nothing'}" + (
        f"; {plural(len(cut), 'piece')} cut by the time." if cut else "."
    )


def _failures(run: Run) -> Iterator[str]:
    failed = [result for result in run.results.values() if not result.ok]
    if not failed:
        return
    yield from ("", "## Failures")
    for result in failed:
        yield from ("", f"**{result.key}**, after {plural(result.executions, 'execution')}:", "", "```")
        yield from (result.text, "```")
        if result.token:
            yield from ("", "To see it again:", "", "```", f"liveproof replay {result.token}", "```")
        if result.left:
            yield from ("", f"Left: {', '.join(f'`{path}`' for path in result.left)}")


def _contract(run: Run) -> Iterator[str]:
    yield from ("", "## The contract, id by id", "")
    yield (
        "Each scenario is made to break the ids that it stands with; the monitors of all other ids watch it as well. "
        "*Excluded* is said of the least sampled one: a failure that strikes more often than once in so many "
        "executions would have been seen there with a chance of 95 %, if it is the strategies' draws that decide."
    )
    yield from ("", "| id | verdict | scenarios | executions | seconds | excluded: one in |")
    yield "|---|---|---|--:|--:|--:|"
    for family, count in IDS.items():
        for place in range(1, count + 1):
            yield _id(run, f"{family}-{place}")


def _id(run: Run, code: str) -> str:
    """The row of an id."""
    pieces = [
        piece
        for piece in run.planned
        if (entry := ENTRIES.get((piece.part, piece.name))) and code in entry.ids and not _is_planted(piece)
    ]
    if not pieces:
        return f"| {code} | no scenario | {ELSEWHERE.get(code, 'left out of this run')} | | | |"
    results = [run.results[piece.key] for piece in pieces if piece.key in run.results]
    words = [result.status if result.ok else "**failed**" for result in results]
    words += ["not run"] * (len(pieces) - len(results))
    told = ", ".join(
        word if len(dict.fromkeys(words)) == 1 else f"{word} ({words.count(word)})" for word in dict.fromkeys(words)
    )
    executions, seconds = sum(each.executions for each in results), sum(each.seconds for each in results)
    names = "; ".join(piece.name for piece in pieces)
    told = "; ".join(filter(None, [proved_of(code, run.done("proof")), told]))
    return f"| {code} | {told} | {names} | {number(executions)} | {seconds:.0f} | {_excluded(results)} |"


def _excluded(results: list[Result]) -> str:
    """The bound of the least sampled; none if one failed, or was not run."""
    if not results or not all(result.ok for result in results):
        return "–"
    worst = max(result.excluded_above for result in results)
    return "all were run" if worst == 0 else number(1 / worst)


def _is_planted(piece: Piece) -> bool:
    return any(part.planted and part.name == piece.part for part in PARTS)


def _scenarios(run: Run, part: Part) -> Iterator[str]:
    if not run.of(part.name):
        return
    yield from ("", f"## {part.title}", "")
    yield (
        "*Next new*: at most this is the chance (95 %) that one more execution shows another order, fault or input. "
        "Near 1 says that the space is far larger than the sample."
    )
    yield from (
        "",
        "| scenario | verdict | executions | behaviours | next new | seconds | never reached |",
        "|---|---|--:|--:|--:|--:|---|",
    )
    for piece, result in run.of(part.name):
        if result is None:
            yield f"| {piece.name} | not run | 0 | | | | |"
            continue
        verdict = result.status if result.ok else f"**failed**: {cell(result.text)}"
        verdict += ", cut" if result.cut else ""
        yield (
            f"| {piece.name} | {verdict} | {number(result.executions)} | {number(result.behaviours)} "
            f"| {f'{result.unseen:.2g}' if result.ok else '–'} | {result.seconds:.0f} | {'; '.join(result.missed)} |"
        )


def _planted(run: Run, part: Part) -> Iterator[str]:
    if not run.of(part.name):
        return
    yield from ("", f"## {part.title}", "")
    yield "The same scenarios with a bug, which has to be found, and to be seen again by its token."
    yield from ("", "| bug | found in execution | of at most | as |", "|---|--:|--:|---|")
    for piece, result in run.of(part.name):
        if result is None:
            yield f"| {piece.name} | not run | | |"
        else:
            found = number(result.executions) if result.ok else "**not found**"
            yield f"| {piece.name} | {found} | {number(piece.executions)} | {cell(result.text)} |"


def _mutants(run: Run) -> Iterator[str]:
    if not run.of("mutant"):
        return
    yield from ("", "## Mutants", "")
    yield (
        "Changes of the runtime, one at a time, in a copy of it: what must not be left out, or done in another way. "
        "The scenario of `scenarios/recovery` that stands with each has to fail. In **bold**: asked for by the "
        "project's plan."
    )
    yield from ("", "| without, or with | killed by | executions | seconds |", "|---|---|--:|--:|")
    for piece, result in run.of("mutant"):
        mutant = BY_NAME[piece.name]
        what = f"**{cell(piece.name)}**" if mutant.named else cell(piece.name)
        if result is None:
            yield f"| {what} | not run | | |"
            continue
        by = f"`{mutant.scenario.name}`" if result.ok else f"**{result.status}** by `{mutant.scenario.name}`"
        yield f"| {what} | {by} | {number(result.executions)} | {result.seconds:.0f} |"


def _coverage(run: Run) -> Iterator[str]:
    """What faults and crashes have led to."""
    results = [result for part in PARTS if not part.planted for result in run.done(part.name)]
    coverage = Coverage()
    for each in results:
        faults = {(family, on, phase): (asked, struck) for family, on, phase, asked, struck in each.faults}
        coverage.add(each.executions, each.points, faults)
    if not coverage.executions:
        return
    yield from ("", "## Faults, and where they led", "")
    yield (
        "All scenarios above together. *Points* stand in the runtime's seldom paths; after "
        f"{REACHED_WITHIN} executions a scenario fails if it has not led to those that it is to lead to, as often as "
        "it has to."
    )
    yield from ("", *coverage.markdown().rstrip().split("\n"))
    wanted = [
        (entry.name, point, share, result)
        for result in results
        if (entry := ENTRIES.get(_names(result.key))) is not None
        for point, share in entry.reaches.items()
    ]
    if wanted:
        yield from ("", "| scenario | has to lead to | of its executions, at least | did |", "|---|---|--:|--:|")
    for name, point, share, result in wanted:
        got = result.points.get(point, 0) / max(result.executions, 1)
        yield f"| {name} | {point} | {share:.1%} | {got:.1%} |"


def _names(key: str) -> tuple[str, str]:
    part, _, name = key.partition("/")
    return part, name


def _zoo(run: Run) -> Iterator[str]:
    if not run.of("zoo"):
        return
    yield from ("", "## The zoo", "")
    yield (
        "Small programs with a bug, and the same repaired. The bug has to be found by the default portfolio within "
        f"{number(FOUND_WITHIN)} executions, and by partial-order reduction (late timers). The repaired twin has to "
        f"be proved within {number(PROVED_WITHIN)}: by reduction, under both assumptions about timers, and by "
        "running every order (late timers), which does not rest on the reduction."
    )
    yield from (
        "",
        "| program | found by portfolio in | by reduction in | twin, by reduction: steps take no time "
        "| by reduction: late timers | by running every order |",
        "|---|--:|--:|---|---|---|",
    )
    for piece, result in run.of("zoo"):
        yield _zoo_row(piece, result)
    yield from _assumptions(run.done("zoo"))


def _zoo_row(piece: Piece, result: Result | None) -> str:
    name = piece.name.replace("_", " ")
    if result is None:
        return f"| {name} | not run | | | | |"
    if not result.ok:
        return f"| {name} | **{cell(result.text)}** | | | | |"
    found, twins = result.counts["found"], result.counts["twins"]
    if piece.name in ENDLESS:
        words = f"sampled {plural(twins['portfolio'][1], 'execution')}: no end to its orders"
        return f"| {name} | {found['portfolio']} | – | – | – | {words} |"
    proofs = " | ".join(f"{status} in {number(runs)}" for status, runs in twins.values())
    return f"| {name} | {found['portfolio']} | {found['dpor']} | {proofs} |"


def _assumptions(results: Iterable[Result]) -> Iterator[str]:
    """What the proofs stand on."""
    said: dict[str, None] = {}
    opaque: dict[str, None] = {}
    for result in results:
        if result.status == "proved":
            opaque |= dict.fromkeys(result.counts["opaque"])
            for assumptions in result.counts["assumptions"].values():
                said |= dict.fromkeys(assumptions)
    if said:
        yield from ("", "Assumed by these proofs (each column has its own word about timers):", "")
        yield from (f"- {each}" for each in said)
    if opaque:
        yield from ("", f"Taken to conflict with everything, which is safe: {'; '.join(opaque)}.")


def _unrun(run: Run) -> Iterator[str]:
    unrun = [piece for piece in run.planned if piece.key not in run.results]
    cut = [result for result in run.results.values() if result.cut and not result.key.startswith("proof/")]
    if unrun or cut:
        yield from ("", "## Not run", "")
        yield from (f"- {piece.key}" for piece in unrun)
        yield from (f"- {result.key}: cut after {plural(result.executions, 'execution')}" for result in cut)


def _meaning() -> list[str]:
    return [
        "",
        "## What this is worth",
        "",
        "- **Sampled** means that so many executions were drawn by the default portfolio and none failed. It is no "
        "proof: an order that the strategies do not draw is not covered. Bounds are for draws like those that were "
        "made.",
        "- **Proved** means that every order was run (by reduction: up to the order of steps that do not touch the "
        "same things), under the assumptions that stand with it. It is said of the zoo's repaired twins and of the "
        "small programs of the runtime, and of nothing else.",
        "- The runtime runs unmodified, but on fakes of time, files, feeds, targets and store. That a fake is like "
        "the real thing is tested elsewhere (`liveproof.testing`, `tests/sim/fakes`, `tests/durability`).",
        "- Orders are all those of ready tasks, not only those that stock asyncio makes today.",
    ]


def _how(run: Run) -> list[str]:
    spent = sum(result.seconds for result in run.results.values())
    told = f"{run.seconds / 60:.1f} minutes with {plural(run.jobs, 'process')}".replace("processs", "processes")
    kept = f"; {plural(run.resumed, 'result')} of the same code kept from an interrupted run" if run.resumed else ""
    return [
        "",
        "## How",
        "",
        "```console",
        f"$ {run.command}",
        "```",
        "",
        f"It took {told}, {spent / 60:.1f} minutes of all processes together{kept}. `--resume` goes on after an "
        "interruption, `--executions N` runs more or less of each scenario, `--only NAME` runs some.",
        "",
        "| machine | |",
        "|---|---|",
        *(f"| {fact} | {text} |" for fact, text in run.machine.items()),
    ]
