"""Programs in which a live component mounts other children each time: what it did not mount is gone, and nothing
that it did.

Contract: GC-1, GC-2, GC-3, ORD-1; every other id is watched as well.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import liveproof as coco
from liveproof_sim import World
from liveproof_sim.properties.model import Call, Part
from scenarios.live.programs import Player, at

__all__ = ["Program", "programs", "scenario_of"]

KINDS = ("update", "delete", "full of it", "full of another", "full of nothing")
Program = tuple[tuple[str, ...], ...]
"""The calls of each task."""


def programs(calls_max: int = 3) -> Iterator[Program]:
    """All programs of so many calls on one sub-path, by one task; or by two, of one call and of the others."""
    for count in range(1, calls_max + 1):
        for kinds in itertools.product(KINDS, repeat=count):
            yield (kinds,)
            if count == 2 and kinds == tuple(sorted(kinds)):
                yield ((kinds[0],), (kinds[1],))


def _calls(program: Program) -> list[list[Call]]:
    numbers = itertools.count(1)

    def part(name: str) -> Part:
        number = next(numbers)
        return Part(number, {name: number})

    def call(kind: str) -> Call:
        if kind == "update":
            return Call("update", ("a",), part("a"))
        if kind == "delete":
            return Call("delete", ("a",))
        below = {"full of it": "a", "full of another": "b"}.get(kind)
        number = next(numbers)
        return Call("full", (), Part(number, {"self": number}, {(below,): part(below)} if below else {}))

    return [[call(kind) for kind in task] for task in program]


def scenario_of(program: Program) -> Callable[[World], Coroutine[Any, Any, None]]:
    """The scenario that runs it."""

    async def scenario(world: World) -> None:
        contract = world.contract()
        target = world.target("proofs")
        player = Player(target, _calls(program), {})

        async def main() -> None:
            await coco.mount(at("live"), player.component())

        await world.start(coco.App("proofs", main), live=True)
        player.judge(contract)

    return scenario
