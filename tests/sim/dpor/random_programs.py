"""Random programs, as values and as ordinary asyncio code: two to four tasks, a few shared things."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable, Coroutine
from typing import Any

Op = tuple[str, int]
Program = list[list[Op]]

KINDS = ["get", "set", "add", "branch", "yield", "lock", "await", "fire", "clear", "put", "take", "cancel", "slot",
         "both", "gather", "size"]


def generate(seed: int, kinds: list[str] | None = None) -> Program:
    """A program of two to four tasks and at most seven operations."""
    chance = random.Random(seed)
    some = chance.sample(kinds or KINDS, min(5, len(kinds or KINDS)))
    tasks = chance.choice([2, 2, 3, 3, 4])
    most = {2: 4, 3: 3, 4: 2}[tasks]
    return [
        [(chance.choice([*some, "set", "get"]), chance.randrange(2)) for _ in range(chance.randrange(1, most + 1))]
        for _ in range(tasks)
    ]


def interleavings_min(program: Program) -> int:
    """At least so many orders of its steps there are, had nobody to wait: to pass over what is too large."""
    steps = [1 + sum(MORE_STEPS.get(op, 1) for op, _ in ops) for ops in program]
    orders = math.factorial(sum(steps))
    for count in steps:
        orders //= math.factorial(count)
    return orders


MORE_STEPS = {"both": 0, "lock": 2, "gather": 3}


class Shared:
    """What the tasks share."""

    def __init__(self) -> None:
        self.values = [0, 0]
        self.total = 0
        self.table: dict[int, int] = {}
        self.locks = [asyncio.Lock(), asyncio.Lock()]
        self.events = [asyncio.Event(), asyncio.Event()]
        self.queue: asyncio.Queue[int] = asyncio.Queue()
        self.tasks: list[asyncio.Task[Any]] = []


async def step(shared: Shared, me: int, op: str, index: int, seen: list[Any]) -> None:
    """One operation of a task; it begins a step of its own, but for those that say otherwise."""
    if op != "both":
        await asyncio.sleep(0)
    if op == "get":
        seen.append(shared.values[index])
    elif op == "set":
        shared.values[index] = me + 1
    elif op == "add":
        shared.total += me + 1
    elif op == "branch":
        if shared.values[index]:
            shared.total = me + 10
        else:
            shared.values[1 - index] = me + 20
    elif op == "lock":
        async with shared.locks[index]:
            shared.total = shared.total * 2 + me
            await asyncio.sleep(0)
            seen.append(shared.total)
    elif op == "await":
        await shared.events[index].wait()
        seen.append("awaited")
    elif op == "fire":
        shared.events[index].set()
    elif op == "clear":
        shared.events[index].clear()
    elif op == "put":
        shared.queue.put_nowait(me)
    elif op == "take":
        seen.append(await shared.queue.get())
    elif op == "cancel":
        shared.tasks[index % len(shared.tasks)].cancel()
    elif op == "slot":
        shared.table[me] = shared.table.get(me, 0) + 1
    elif op == "size":
        seen.append(len(shared.table))
    elif op == "both":
        shared.values[index] = shared.values[1 - index] + me + 1
    elif op == "gather":
        await asyncio.gather(bump(shared, me), bump(shared, me))


async def bump(shared: Shared, me: int) -> None:
    await asyncio.sleep(0)
    shared.table[me] = 7


def scenario_of(program: Program, outcomes: dict[str, None]) -> Callable[[], Coroutine[Any, Any, None]]:
    """The scenario; each execution that comes to its end notes what its tasks saw."""

    async def main() -> None:
        shared = Shared()
        logs: list[list[Any]] = [[] for _ in program]

        async def run(me: int) -> None:
            for op, index in program[me]:
                await step(shared, me, op, index, logs[me])

        shared.tasks = [asyncio.create_task(run(me)) for me in range(len(program))]
        ends = await asyncio.gather(*shared.tasks, return_exceptions=True)
        names = [type(end).__name__ for end in ends]
        seen = (logs, shared.values, shared.total, sorted(shared.table.items()), names)
        outcomes[repr(seen)] = None

    return main
