"""Every program of up to three operator calls, on two sub-paths, by one or two tasks, with children that fail:
under every order of ready tasks it means what it means when its calls are executed one after the other.

Contract: ORD-1 to ORD-6, GC-1 to GC-3, RDY-1, RDY-2, FAIL-1; every other id is watched as well.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import liveproof as coco
from liveproof_sim import World
from liveproof_sim.fakes.store import SimStore
from liveproof_sim.properties.model import Call, Part
from scenarios.live.programs import Player, at

__all__ = ["CALLS_MAX", "Program", "flushed", "programs", "scenario_of"]

CALLS_MAX = 3
KINDS = ("update a", "update b", "failing a", "failing b", "delete a", "delete b", "full")
SWAPPED = {"a": "b", "b": "a"}

Program = tuple[tuple[str, ...], ...]
"""The calls of each task."""


def _other_way_round(kind: str) -> str:
    what, _, sub = kind.partition(" ")
    return f"{what} {SWAPPED[sub]}" if sub else kind


def programs(calls_max: int = CALLS_MAX) -> Iterator[Program]:
    """All of them, but for those that are another one with the names of sub-paths, or of tasks, exchanged."""
    seen: dict[Program, None] = {}
    for count in range(1, calls_max + 1):
        for kinds in itertools.product(KINDS, repeat=count):
            for cut in range(count // 2 + 1):
                program = (kinds[cut:], kinds[:cut]) if cut else (kinds,)
                mirrored = tuple(tuple(map(_other_way_round, task)) for task in program)
                same = [program, mirrored, program[::-1], mirrored[::-1]]
                if not any(each in seen for each in same):
                    seen[program] = None
                    yield program


def _calls(program: Program) -> list[list[Call]]:
    numbers = itertools.count(1)

    def part(name: str, *, fails: bool = False) -> Part:
        number = next(numbers)
        return Part(number, {name: number}, {}, fails)

    def call(kind: str) -> Call:
        what, _, sub = kind.partition(" ")
        if what == "full":
            number = next(numbers)
            return Call("full", (), Part(number, {"self": number}, {("a",): part("a"), ("b",): part("b")}))
        if what == "delete":
            return Call("delete", (sub,))
        return Call("update", (sub,), part(sub, fails=what == "failing"))

    return [[call(kind) for kind in task] for task in program]


def scenario_of(program: Program) -> Callable[[World], Coroutine[Any, Any, None]]:
    """The scenario that runs it."""

    async def scenario(world: World) -> None:
        contract = world.contract()
        world.exception_handler = lambda _error, _context: None
        target = world.target("proofs")
        player = Player(target, _calls(program), {})

        async def main() -> None:
            await coco.mount(at("live"), player.component())

        await world.start(coco.App("proofs", main), live=True)
        player.judge(contract)

    return scenario


def flushed(program: Program) -> Callable[[World], Coroutine[Any, Any, None]]:
    """The same on a store that has to be flushed: what is recorded meanwhile shares the next batch."""
    plain = scenario_of(program)

    async def scenario(world: World) -> None:
        world.store = SimStore(durability="power", journal_bytes=0)
        await plain(world)

    return scenario
