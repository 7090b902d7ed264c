"""The public model of the sequential meaning agrees with the one that the contract's tests have of their own."""

from __future__ import annotations

import random
from typing import Any

from liveproof_sim.properties.model import Call, Part, meaning, meanings
from tests.contract import programs
from tests.contract.oracle import target_of
from tests.contract.world import Chance

PROGRAMS = 1500


def part_of(sub: tuple[Any, ...], spec: programs.Spec) -> Part:
    name = ".".join(sub)
    cells = {} if spec.own is None else {name: str(spec.own)}
    below: dict[tuple[Any, ...], Part] = {}
    if spec.nested is not None and not spec.fails:
        below["n",] = Part(1000 + spec.number, {f"{name}.n": str(spec.nested)})
    return Part(spec.number, cells, below, spec.fails)


def call_of(call: programs.Call) -> Call:
    if call.kind == "delete":
        return Call("delete", call.sub)
    if call.kind == "update":
        assert call.spec is not None
        return Call("update", call.sub, part_of(call.sub, call.spec))
    children = {sub: part_of(sub, spec) for sub, spec in call.full.items()}
    return Call("full", (), Part(call.number, {"self": str(call.value)}, children, call.fails))


def theirs(state: programs.State) -> dict[str, str]:
    return target_of(programs.tree_of(state))


def test_programs_mean_the_same() -> None:
    different = []
    for seed in range(PROGRAMS):
        calls = programs.draw(Chance(seed), failing=seed % 2 == 1)
        mine = meaning([call_of(call) for call in calls])
        if mine != theirs(programs.meaning(calls)):
            different.append((seed, mine))
    assert different == []


def test_programs_that_fail_may_mean_the_same() -> None:
    more_than_one = 0
    for seed in range(PROGRAMS):
        calls = programs.draw(Chance(seed), failing=True)
        chance = random.Random(seed)
        ran = {call.number for call in calls if call.kind == "update" and chance.random() < 0.8}
        mine = meanings([call_of(call) for call in calls], ran)
        other = [theirs(state) for state in programs.meanings(calls, ran)]
        assert all(each in other for each in mine), seed
        assert all(each in mine for each in other), seed
        more_than_one += len(mine) > 1
    assert more_than_one > 10


def test_a_state_that_moves_goes_with_its_last_owner() -> None:
    takes = [
        Call("update", ("a",), Part(1, {"k": 1})),
        Call("update", ("b",), Part(2, {"k": 2})),
    ]
    assert meaning(takes) == {"k": 2}
    assert meaning([*takes, Call("delete", ("a",))]) == {"k": 2}
    assert meaning([*takes, Call("delete", ("b",))]) == {}


def test_what_was_replaced_has_taken_nothing() -> None:
    calls = [
        Call("update", ("a",), Part(1, {"k": 1})),
        Call("update", ("b",), Part(2, {"k": 2})),
        Call("delete", ("b",)),
    ]
    assert meanings(calls, {1, 2}, moves=True) == [{}]
    assert meanings(calls, {1}, moves=True) == [{"k": 1}]
