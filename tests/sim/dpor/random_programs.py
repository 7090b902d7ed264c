"""Random programs, as values and as ordinary asyncio code: two to four tasks, a few shared things.

They come in families, so that a program meets what it shares with others often enough: plain data with the
first primitives, structured concurrency and the other primitives, timers.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeAlias

from liveproof_sim import World

__all__ = [
    "FAMILIES",
    "STEPS",
    "STRAIGHT",
    "Op",
    "Program",
    "Shared",
    "generate",
    "interleavings_min",
    "orders",
    "scenario_of",
]

Op: TypeAlias = tuple[str, int]
"""An operation, and which of two things it is about."""
Program: TypeAlias = list[list[Op]]

STRAIGHT = ["get", "set", "add", "branch", "yield", "fire", "clear", "slot", "both", "size"]
"""Nobody waits, and each but ``both`` is one step: so many orders there are, exactly."""

FAMILIES = {
    "plain": ["get", "set", "add", "branch", "yield", "lock", "await", "fire", "clear", "put", "take", "cancel",
              "slot", "both", "gather", "size"],
    "structured": ["group", "torn", "gather", "broken", "first", "semaphore", "grab", "expect", "notify", "draw",
                   "chance", "offer", "accept", "meet", "until", "join", "cancel", "fire", "await", "shield", "both"],
    "timed": ["sleep", "nap", "now", "timeout", "deadline", "hasty", "wait_for", "fire", "put", "grab", "semaphore",
              "chance", "cancel", "group", "both"],
}  # fmt: skip

STEPS = {
    "both": 0, "lock": 2, "gather": 3, "group": 3, "torn": 3, "broken": 3, "first": 3, "semaphore": 2, "grab": 1,
    "expect": 2, "meet": 2, "shield": 3, "nap": 1, "deadline": 1, "hasty": 1, "timeout": 1, "wait_for": 1,
}  # fmt: skip
"""Steps of an operation, about: those of the tasks that it starts included. One, if it is not here."""


def generate(seed: int, family: str = "plain", *, kinds: list[str] | None = None) -> Program:
    """A program of two to four tasks and at most nine operations, of a family, or of these kinds."""
    chance = random.Random(seed)
    kinds = kinds or FAMILIES[family]
    some = chance.sample(kinds, min(5, len(kinds)))
    tasks = chance.choice([2, 2, 3, 3, 4])
    most = {2: 4, 3: 3, 4: 2}[tasks]
    return [
        [(chance.choice([*some, "set", "get"]), chance.randrange(2)) for _ in range(chance.randrange(1, most + 1))]
        for _ in range(tasks)
    ]


def orders(steps: list[int]) -> int:
    """How many ways there are to merge sequences of these lengths."""
    found = math.factorial(sum(steps))
    for count in steps:
        found //= math.factorial(count)
    return found


def interleavings_min(program: Program) -> int:
    """About so many orders of its steps there are, had nobody to wait: to pass over what is too large."""
    return orders([1 + sum(STEPS.get(op, 1) for op, _ in ops) for ops in program])


class Shared:
    """What the tasks share."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.values = [0, 0]
        self.total = 0
        self.table: dict[int, int] = {}
        self.locks = [asyncio.Lock(), asyncio.Lock()]
        self.events = [asyncio.Event(), asyncio.Event()]
        self.semaphores = [asyncio.Semaphore(1), asyncio.Semaphore(2)]
        self.condition = asyncio.Condition()
        self.barrier = asyncio.Barrier(2)
        self.queue: asyncio.Queue[int] = asyncio.Queue()
        self.narrow: asyncio.Queue[int] = asyncio.Queue(1)
        self.tasks: list[asyncio.Task[Any]] = []


@dataclass(frozen=True, slots=True)
class Turn:
    """Who is at it, and what about."""

    shared: Shared
    me: int
    index: int
    seen: list[Any]


async def step(turn: Turn, op: str) -> None:
    """One operation of a task; it begins a step of its own, but for those that say otherwise."""
    if op in DATA:
        if op != "both":
            await asyncio.sleep(0)
        data(turn, op)
    elif op in TIMED:
        await timed(turn, op)
    elif op in STARTING:
        await asyncio.sleep(0)
        await starting(turn, op)
    else:
        if op != "grab":
            await asyncio.sleep(0)
        await waiting(turn, op)


DATA = ("get", "set", "add", "branch", "yield", "slot", "size", "both", "draw", "chance", "fire", "clear", "put",
        "cancel")  # fmt: skip
STARTING = ("gather", "broken", "group", "torn", "first", "shield")
TIMED = ("sleep", "nap", "now", "timeout", "deadline", "hasty", "wait_for")


def data(turn: Turn, op: str) -> None:
    """What waits for nobody."""
    shared, me, index = turn.shared, turn.me, turn.index
    if op == "get":
        turn.seen.append(shared.values[index])
    elif op == "set":
        shared.values[index] = me + 1
    elif op == "add":
        shared.total += me + 1
    elif op == "branch":
        if shared.values[index]:
            shared.total = me + 10
        else:
            shared.values[1 - index] = me + 20
    elif op == "slot":
        shared.table[me] = shared.table.get(me, 0) + 1
    elif op == "size":
        turn.seen.append(len(shared.table))
    elif op == "both":
        shared.values[index] = shared.values[1 - index] + me + 1
    elif op == "draw":
        turn.seen.append(shared.world.draw(2))
    elif op == "chance":
        shared.values[index] = shared.world.draw(2)
    elif op == "fire":
        shared.events[index].set()
    elif op == "clear":
        shared.events[index].clear()
    elif op == "put":
        shared.queue.put_nowait(me)
    elif op == "cancel":
        shared.tasks[index % len(shared.tasks)].cancel()


async def waiting(turn: Turn, op: str) -> None:
    """What may have to wait for others."""
    shared, me, index, seen = turn.shared, turn.me, turn.index, turn.seen
    if op == "lock":
        async with shared.locks[index]:
            await doubled(turn)
    elif op == "grab":  # an attempt in the middle of a step
        shared.total += 1
        async with shared.locks[index]:
            shared.total = shared.total * 2 + me
    elif op == "semaphore":
        async with shared.semaphores[index]:
            await doubled(turn)
    elif op == "await":
        await shared.events[index].wait()
        seen.append("awaited")
    elif op == "expect":
        async with shared.condition:
            await shared.condition.wait()
            seen.append(shared.total)
    elif op == "notify":
        async with shared.condition:
            shared.total += 1
            shared.condition.notify()
    elif op == "take":
        seen.append(await shared.queue.get())
    elif op == "offer":
        await shared.narrow.put(me)
    elif op == "accept":
        seen.append(await shared.narrow.get())
    elif op == "meet":
        await shared.barrier.wait()
        seen.append(shared.total)
    elif op == "until":
        await shared.world.until(lambda: shared.values[index] == 1)
        seen.append("it holds")
    elif op == "join":
        other = shared.tasks[(me + 1 + index) % len(shared.tasks)]
        if other is not asyncio.current_task():
            await asyncio.wait([other])
            seen.append(shared.total)


async def doubled(turn: Turn) -> None:
    shared = turn.shared
    shared.total = shared.total * 2 + turn.me
    await asyncio.sleep(0)
    turn.seen.append(shared.total)


async def starting(turn: Turn, op: str) -> None:
    """What starts tasks and waits for them."""
    shared, me, seen = turn.shared, turn.me, turn.seen
    if op == "gather":
        await asyncio.gather(bump(shared, me), bump(shared, me))
    elif op == "broken":
        try:
            await asyncio.gather(bump(shared, me), fail(shared, me))
        except ValueError:
            seen.append(shared.table.get(me))
    elif op == "group":
        async with asyncio.TaskGroup() as group:
            group.create_task(bump(shared, me))
            group.create_task(write(shared, turn.index, me))
    elif op == "torn":
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(bump(shared, me))
                group.create_task(fail(shared, me))
        except* ValueError as errors:
            seen.append(len(errors.exceptions))
    elif op == "first":
        children = [asyncio.create_task(bump(shared, me)), asyncio.create_task(write(shared, turn.index, me))]
        await asyncio.wait(children, return_when=asyncio.FIRST_COMPLETED)
        seen.append([child.done() for child in children])
        await asyncio.wait(children)
    elif op == "shield":
        child = asyncio.create_task(bump(shared, me))
        try:
            await asyncio.shield(child)
        finally:
            seen.append(child.done())


async def bump(shared: Shared, me: int) -> None:
    await asyncio.sleep(0)
    shared.table[me] = 7


async def write(shared: Shared, index: int, me: int) -> None:
    shared.values[index] = me + 30


async def fail(shared: Shared, me: int) -> None:
    shared.total += me
    raise ValueError("as planned")


async def timed(turn: Turn, op: str) -> None:
    """What waits for the clock, or asks it."""
    shared, me, index, seen = turn.shared, turn.me, turn.index, turn.seen
    loop = asyncio.get_running_loop()
    if op == "sleep":
        await asyncio.sleep(1 + index)
        shared.total = shared.total * 2 + me
    elif op == "nap":  # short enough to come late
        await asyncio.sleep(0.01 * (1 + index))
        shared.total = shared.total * 2 + me
    elif op == "now":
        await asyncio.sleep(0)
        seen.append(round(loop.time(), 3))
    elif op == "timeout":
        try:
            async with asyncio.timeout(0.02):
                await shared.events[index].wait()
            seen.append("in time")
        except TimeoutError:
            seen.append("too late")
    elif op in ("deadline", "hasty"):
        try:
            async with asyncio.timeout(0.02 if op == "deadline" else 0.01):
                await asyncio.sleep(0.01 * (1 + index))
                shared.total += 1
            seen.append("in time")
        except TimeoutError:
            seen.append("too late")
    elif op == "wait_for":
        try:
            seen.append(await asyncio.wait_for(shared.queue.get(), 0.01))
        except TimeoutError:
            seen.append("nothing")


def scenario_of(program: Program, outcomes: dict[str, None]) -> Callable[[World], Coroutine[Any, Any, None]]:
    """The scenario; each execution that comes to its end notes what its tasks saw."""

    async def main(world: World) -> None:
        shared = Shared(world)
        logs: list[list[Any]] = [[] for _ in program]

        async def run(me: int) -> None:
            for op, index in program[me]:
                await step(Turn(shared, me, index, logs[me]), op)

        shared.tasks = [asyncio.create_task(run(me)) for me in range(len(program))]
        ends = await asyncio.gather(*shared.tasks, return_exceptions=True)
        names = [type(end).__name__ for end in ends]
        seen = (logs, shared.values, shared.total, sorted(shared.table.items()), names)
        outcomes[repr(seen)] = None

    return main
