"""The part of the page that tells of the runtime's proofs."""

from __future__ import annotations

from collections.abc import Iterator

from scenarios.proofs import FAMILIES, PROOFS, Family
from scenarios.verify.work import Result

__all__ = ["number", "proofs", "proved_of", "summary"]

SHOWN = 20
"""programs that were not finished, at most, by name"""


def number(value: float) -> str:
    """With spaces between thousands."""
    return f"{value:,.0f}".replace(",", " ")


def family_of(result: Result) -> Family:
    """Whose program it is."""
    return PROOFS[result.key.partition("/")[2]][0]


def summary(results: list[Result]) -> str:
    """In a line."""
    proved = [each for each in results if each.ok and not each.cut]
    executions = number(sum(each.executions for each in proved))
    return (
        f"- **Proved:** {number(len(proved))} of {number(len(PROOFS))} small programs of the runtime, in "
        f"{executions} executions: every order of steps, up to the order of those that commute."
    )


def proved_of(code: str, results: list[Result]) -> str:
    """How many programs that an id stands with are proved; nothing if there are none."""
    planned = sum(code in family.ids for family, _ in PROOFS.values())
    done = sum(code in family_of(each).ids and each.ok and not each.cut for each in results)
    return f"proved for {number(done)} of {number(planned)} small programs" if planned and results else ""


def proofs(results: list[Result]) -> Iterator[str]:
    """The section."""
    if not results:
        return
    yield from ("", "## Small programs of the runtime, proved", "")
    yield (
        "For each program, every order of ready tasks was run, up to the order of steps that commute (strategy "
        "`dpor`, the runtime instrumented), with every monitor of the contract. A program that was not finished in "
        "time is not proved."
    )
    yield from (
        "",
        "| family | programs | proved | in executions, the longest | together | seconds | not finished | failed |",
    )
    yield "|---|--:|--:|--:|--:|--:|--:|--:|"
    for family in FAMILIES:
        planned = sum(each is family for each, _ in PROOFS.values())
        mine = [each for each in results if family_of(each) is family]
        done = [each for each in mine if each.ok and not each.cut]
        failed = sum(not each.ok for each in mine)
        longest = max((each.executions for each in done), default=0)
        yield (
            f"| {family.name} | {planned} | {len(done)} | {number(longest)} "
            f"| {number(sum(each.executions for each in done))} | {sum(each.seconds for each in mine):.0f} "
            f"| {planned - len(done) - failed} | {failed} |"
        )
    yield ""
    for family in FAMILIES:
        yield f"- *{family.name}* ({', '.join(family.ids)}): {family.says}"
    said = dict.fromkeys(word for each in results for word in each.counts.get("assumptions", ()))
    if said:
        yield from ("", f"Assumed: {'; '.join(said)}.")
    opaque = dict.fromkeys(word for each in results for word in each.counts.get("opaque", ()))
    if opaque:
        yield from ("", f"Taken to conflict with everything, which is safe: {'; '.join(opaque)}.")
    yield from _unfinished(results)


def _unfinished(results: list[Result]) -> Iterator[str]:
    cut = [each for each in results if each.ok and each.cut]
    if cut:
        yield from ("", "Not finished, with what held until then:", "")
        yield from (f"- {each.key.partition('/')[2]}: {number(each.executions)} executions" for each in cut[:SHOWN])
        yield from (f"- and {len(cut) - SHOWN} more" for _ in cut[SHOWN : SHOWN + 1])
