"""Why a proof took so many executions: the lines that conflicted, and where nobody ever waited."""

from __future__ import annotations

import asyncio

import pytest

from liveproof_sim import OptionError, World, check
from scenarios.proofs import INSTRUMENTED, PROOFS


async def two_writers(world: World) -> None:
    box = {"shared": 0, "own": 0}

    async def first() -> None:
        await asyncio.sleep(0)
        box["shared"] = 1

    async def second() -> None:
        await asyncio.sleep(0)
        box["shared"] = 2
        box["own"] = 1

    await asyncio.gather(first(), second())
    if box["own"] == 5:
        await world.quiet()


def test_it_names_the_lines_that_conflict() -> None:
    verdict = check(two_writers, strategy="dpor", timers="discrete", why=True)
    assert verdict.executions == 2
    conflicts = verdict.why.partition("orders differ because of")[2]
    assert "dict['shared']" in conflicts
    assert ":18 " in conflicts, "where first() writes"
    assert ":22 " in conflicts, "where second() does"
    assert "own" not in conflicts.partition("nobody")[0]


def test_it_names_where_nobody_waited() -> None:
    verdict = check(two_writers, strategy="dpor", timers="discrete", why=True)
    points, _, unvisited = verdict.why.partition("nobody ever waited at")
    assert "first: await asyncio.sleep(0)" in points
    assert "await world.quiet()" in unvisited
    assert "gather" not in unvisited


def test_it_costs_nothing_unless_asked_for() -> None:
    assert check(two_writers, strategy="dpor", timers="discrete").why == ""


@pytest.mark.parametrize("options", [{"strategy": "dfs"}, {"strategy": "dpor", "workers": 2}])
def test_only_a_search_that_reduces_has_reasons(options: dict[str, object]) -> None:
    with pytest.raises(OptionError, match="why"):
        check(two_writers, why=True, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name",
    [
        "operators: update a ‖ update a",
        "collection: full of another ‖ full of it",
        "operators: full ‖ failing a",
    ],
)
def test_whoever_asks_for_reasons_gets_the_same_proof(name: str) -> None:
    # Else steps that ran before are not told of once more; those who ask are told of every one.
    family, program = PROOFS[name]
    found = [
        check(
            family.scenario_of(program),
            strategy="dpor",
            timers="discrete",
            why=why,
            executions=60,
            instrument=INSTRUMENTED,
        ).reduction
        for why in (False, True)
    ]
    assert found[0] == found[1]
    assert found[0]["classes"] > 1
