"""Random programs in whose steps something is decided: data, faults, crashes. What a step touches depends on it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

from liveproof_sim.kernel.choices import Kind


class Op(NamedTuple):
    """One step: what is drawn, each with so many options, and what each value does then."""

    draws: tuple[tuple[str, int], ...]
    acts: tuple[str, ...]
    at: int


ACTS = ("nothing", "read", "write", "add", "lock")


def generate(seed: int) -> list[list[Op]]:
    """A program of two or three tasks of one or two steps each."""
    chance = random.Random(f"drawn {seed}")
    tasks = chance.choice([2, 2, 3])
    return [[_op(chance) for _ in range(chance.randrange(1, 3 if tasks == 2 else 2))] for _ in range(tasks)]


def _op(chance: random.Random) -> Op:
    kinds = [chance.choice(["fault", "crash", "data"]) for _ in range(chance.choice([0, 1, 1, 1, 2]))]
    draws = tuple((kind, chance.choice([2, 2, 3])) for kind in kinds)
    return Op(draws, tuple(chance.choice(ACTS) for _ in range(6)), chance.randrange(2))


def scenario_of(program: list[list[Op]], outcomes: dict[str, None]) -> Callable[[], Coroutine[Any, Any, None]]:
    """The scenario; each execution that comes to its end notes what its tasks saw."""

    async def main() -> None:
        values, locks = [0, 0], [asyncio.Lock(), asyncio.Lock()]
        logs: list[list[int]] = [[] for _ in program]

        async def run(me: int) -> None:
            for op in program[me]:
                drawn = sum(draw(Kind(kind), options) for kind, options in op.draws)
                act = op.acts[drawn]
                if act == "read":
                    logs[me].append(values[op.at])
                elif act == "write":
                    values[op.at] = me + 1
                elif act == "add":
                    values[op.at] += drawn
                elif act == "lock":
                    async with locks[op.at]:
                        await asyncio.sleep(0)
                        values[1 - op.at] += 1
                await asyncio.sleep(0)

        await asyncio.gather(*(run(me) for me in range(len(program))))
        outcomes[repr((values, logs))] = None

    return main


def draw(kind: Kind, options: int) -> int:
    """Decide, in the simulation that is running."""
    loop: Any = asyncio.get_running_loop()
    chosen: int = loop.choices.draw(kind, kind.value, options)
    return chosen
