"""Bounds within the reduction, against what each class costs at least."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from liveproof_sim import OptionError, Status, check
from liveproof_sim.explore.strategies import make
from liveproof_sim.kernel.choices import Kind
from tests.sim.dpor import classics
from tests.sim.dpor.costs import cheapest
from tests.sim.dpor.drawn_programs import draw
from tests.sim.dpor.oracle import TooManyError, run
from tests.sim.dpor.random_programs import generate, interleavings_min, scenario_of

EACH = 10
INTERLEAVINGS_MAX = 150


def within(scenario: Callable[..., Any], spec: str, most: int = 20_000) -> Any:
    """The search, at its end."""
    search: Any = make(spec)
    search.keep_classes = True
    run(scenario, search, most, {})
    return search


def troubled(tasks: int, steps: int) -> Callable[[], Coroutine[Any, Any, None]]:
    """Steps that may meet with a fault or a crash, and write down what happened."""

    async def main() -> None:
        cell = classics.Cell()

        async def work(me: int) -> None:
            for number in range(steps):
                struck = draw(Kind.FAULT if (me + number) % 2 else Kind.CRASH, 2 + (me == 0))
                if struck or me == 0:
                    cell.value += struck
                await asyncio.sleep(0)

        await asyncio.gather(*(work(me) for me in range(tasks)))

    return main


CLASSICS: dict[str, Any] = {
    "readers 3": classics.readers(3),
    "lastzero 2": classics.lastzero(2),
    "conflicting 3 x 1": classics.conflicting(3, 1),
    "conflicting 2 x 3": classics.conflicting(2, 3),
    "philosophers 2": classics.philosophers(2),
    "cancelled 3": classics.cancelled(3),
    "overwritten": classics.overwritten,
    "guarded update": classics.guarded_update({}),
}


@pytest.mark.parametrize("name", CLASSICS)
def test_each_class_with_a_member_of_few_preemptions_is_found(name: str) -> None:
    few_preemptions(CLASSICS[name])


def few_preemptions(scenario: Any, most: int = 20_000) -> None:
    costs = cheapest(scenario, most)
    for bound in (0, 1, 2, 100):
        expected = {digest for digest, cost in costs.items() if cost["preemptions"] <= bound}
        search = within(scenario, f"dpor:preemptions={bound}", 20 * most)
        assert set(search.classes) == expected, (bound, len(search.classes), len(expected), len(costs))
        assert search.executions == len(expected)
        assert "preemptions" in search.bounds() or len(expected) == len(costs)
        assert not search.bounds() or bound < 100


@pytest.mark.parametrize("group", range(4))
def test_random_programs_within_few_preemptions(group: int) -> None:
    compared, seed = 0, group * 1000
    while compared < EACH:
        seed += 1
        program = generate(seed)
        if interleavings_min(program) > INTERLEAVINGS_MAX:
            continue
        try:
            few_preemptions(scenario_of(program, {}), INTERLEAVINGS_MAX)
        except TooManyError:
            continue
        except AssertionError as error:
            error.add_note(f"seed {seed}: {program}")
            raise
        compared += 1


@pytest.mark.parametrize(("tasks", "steps"), [(2, 1), (2, 2), (3, 1)])
def test_no_more_faults_and_crashes_than_allowed(tasks: int, steps: int) -> None:
    scenario = troubled(tasks, steps)
    costs = cheapest(scenario)
    for faults, crashes in ((0, 0), (1, 0), (0, 1), (1, 1), (2, 1), (9, 9)):
        expected = {
            digest for digest, cost in costs.items() if cost["faults"] <= faults and cost["crashes"] <= crashes
        }
        search = within(scenario, f"dpor:faults={faults},crashes={crashes}")
        assert set(search.classes) == expected
        assert search.executions == len(expected)
        assert bool(search.bounds()) == (len(expected) < len(costs))


def test_all_bounds_together() -> None:
    scenario = troubled(2, 2)
    costs = cheapest(scenario)
    search = within(scenario, "dpor:preemptions=1,faults=1,crashes=0,depth=500")
    assert set(search.classes) <= set(costs)
    for digest in search.classes:
        assert costs[digest]["preemptions"] <= 1
        assert costs[digest]["faults"] <= 1
        assert costs[digest]["crashes"] == 0


def test_what_a_bound_cut_is_in_the_verdict() -> None:
    verdict = check(classics.conflicting(2, 2), strategy="dpor:preemptions=1", timers="discrete")
    assert verdict.status is Status.PROVED_WITHIN
    assert verdict.bounds == {"preemptions": 1}
    verdict = check(troubled(2, 1), strategy="dpor:faults=0,crashes=0", timers="discrete")
    assert verdict.bounds == {"faults": 0, "crashes": 0}
    assert "faults <= 0" in str(verdict)


def test_a_bound_that_cut_nothing_is_none() -> None:
    verdict = check(classics.conflicting(2, 2), strategy="dpor:preemptions=9,faults=1,crashes=0", timers="discrete")
    assert verdict.status is Status.PROVED
    assert verdict.bounds == {}


async def needs_two() -> None:
    """Fails only where the first task is left twice while it could go on."""
    seen: list[str] = []

    async def one() -> None:
        for _ in range(3):
            seen.append("one")
            await asyncio.sleep(0)

    async def other() -> None:
        for _ in range(2):
            seen.append("other")
            await asyncio.sleep(0)

    await asyncio.gather(one(), other())
    assert "".join(seen) != "oneotheroneotherone"


def test_a_failure_is_found_from_its_bound_on() -> None:
    found = [check(needs_two, strategy=f"dpor:preemptions={bound}", timers="discrete").status for bound in range(5)]
    cheapest_bound = found.index(Status.FAILED)
    assert cheapest_bound == 3
    assert found[cheapest_bound:] == [Status.FAILED] * (5 - cheapest_bound)


@pytest.mark.parametrize("bound", ["preemptions", "faults", "crashes"])
def test_a_bound_is_a_number(bound: str) -> None:
    with pytest.raises(OptionError, match=f"{bound} is a number"):
        make(f"dpor:{bound}=some")
    if bound != "preemptions":
        make(f"dpor-source:{bound}=1")
    assert make(f"dpor:{bound}=0").name == "dpor"
