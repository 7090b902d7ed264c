"""Monitors see every order of what they look at, and make no difference to the rest. Against every interleaving."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from liveproof_sim import Status, World, check

State = list[int]
PREDICATES: dict[str, Callable[[State], object]] = {
    "first before second": lambda state: not state[1] or state[0],
    "not only the ends": lambda state: not (state[0] and state[2]) or state[1],
    "never all but one": lambda state: state[0] + state[1] + state[2] != 2,
    "the first, or nothing": lambda state: state[0] or not (state[1] or state[2]),
}
PROGRAMS = [
    [[0], [1], [2]],
    [[0, 1], [2]],
    [[1, 0], [2]],
    [[0], [2, 1]],
    [[0, 1, 2], [3, 3]],
    [[1], [3], [0]],
]


def scenario_of(program: list[list[int]], predicate: Callable[[State], object]) -> Callable[..., Any]:
    async def scenario(world: World) -> None:
        state = [0, 0, 0, 0]
        world.always("it", lambda: predicate(state))

        async def work(slots: list[int]) -> None:
            for slot in slots:
                await asyncio.sleep(0)
                state[slot] = 1

        await asyncio.gather(*map(work, program))

    return scenario


@pytest.mark.parametrize("name", PREDICATES)
@pytest.mark.parametrize("program", PROGRAMS, ids=str)
def test_it_is_broken_in_some_order_or_in_none(name: str, program: list[list[int]]) -> None:
    scenario = scenario_of(program, PREDICATES[name])
    every = check(scenario, strategy="dfs", timers="discrete", executions=20_000, shrinking=False)
    reduced = check(scenario, strategy="dpor", timers="discrete", executions=20_000, shrinking=False)
    assert every.status in (Status.PROVED, Status.FAILED)
    assert reduced.status is every.status


def test_what_no_monitor_looks_at_stays_independent() -> None:
    scenario = scenario_of([[0], [1], [3], [3]], lambda state: state[0] >= 0 and state[1] >= 0)
    verdict = check(scenario, strategy="dpor", timers="discrete")
    assert verdict.status is Status.PROVED
    assert verdict.executions == 4  # of 24: two orders of what is looked at, times two of the slot that both write


def foreign(state: State) -> object:
    """As if from a module that is not instrumented."""
    raise NotImplementedError


exec(compile("def foreign(state): return not state[1] or state[0]", "<elsewhere>", "exec"), globals())


def test_a_monitor_that_is_not_instrumented_looks_at_everything() -> None:
    async def scenario(world: World) -> None:
        state = [0, 0]
        world.always("it", lambda: foreign(state))

        async def work(slot: int) -> None:
            await asyncio.sleep(0)
            state[slot] = 1

        await asyncio.gather(work(0), work(1))

    assert check(scenario, strategy="dpor", shrinking=False).status is Status.FAILED


@pytest.mark.parametrize("kind", ["eventually", "leads_to"])
def test_what_comes_and_goes_is_seen(kind: str) -> None:
    """The goal holds only between two steps of others, in some orders only."""

    def scenario_for(worlds: list[World]) -> Callable[[World], Coroutine[Any, Any, None]]:
        async def scenario(world: World) -> None:
            state = [0, 0]
            if kind == "eventually":
                world.eventually("it", lambda: state[0] and not state[1])
            else:
                world.leads_to("it", lambda: state[1], lambda: state[0] and not state[1])

            async def work(slot: int) -> None:
                await asyncio.sleep(0)
                state[slot] = 1

            await asyncio.gather(work(0), work(1))
            worlds.append(world)

        return scenario

    for strategy in ("dfs", "dpor"):
        verdict = check(scenario_for([]), strategy=strategy, timers="discrete", executions=1000, shrinking=False)
        assert verdict.status is Status.FAILED, strategy


def test_programs_differ() -> None:
    """Some are broken, some hold: else this file says nothing."""
    found = [
        check(scenario_of(program, predicate), strategy="dpor", timers="discrete", shrinking=False).status
        for program, predicate in itertools.product(PROGRAMS, PREDICATES.values())
    ]
    assert found.count(Status.PROVED) >= 3
    assert found.count(Status.FAILED) >= 3
