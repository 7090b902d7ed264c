"""Random asyncio programs, as values, and what they do on a loop: shared by the tests of the loop.

A program is a list of tasks; a task is a list of operations on a few shared events, locks, queues and logs.
``run(program)`` is a coroutine that returns a log of everything that can be seen.
"""

from __future__ import annotations

import asyncio
import random
from typing import Any


class Clock:
    """A selector that sleeps on a clock of its own, so that stock asyncio runs on virtual time."""

    now = 0.0

    def select(self, timeout: float | None) -> list[Any]:
        assert timeout is not None, "nothing to wait for"
        self.now += timeout
        return []


class StockLoop(asyncio.SelectorEventLoop):
    """Stock asyncio, unchanged but for the clock."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.real: Any = self._selector
        self._selector: Any = self.clock

    def time(self) -> float:
        return self.clock.now

    def close(self) -> None:
        self._selector = self.real
        super().close()


def run_stock(main: Any) -> Any:
    with asyncio.Runner(loop_factory=StockLoop) as runner:
        return runner.run(main)


Op = tuple[str, int]
Program = list[list[Op]]

OPS = (
    "yield", "yield", "yield2", "sleep", "set", "wait", "lock", "put", "get", "soon", "gather", "group",
    "timeout", "shield", "wait_for", "spawn", "done_cb", "cancel", "later0", "group_fail", "wait_any",
)  # fmt: skip


def generate(seed: int, tasks: int = 4, ops: int = 5) -> Program:
    chance = random.Random(seed)
    return [
        [(chance.choice(OPS), chance.randrange(3)) for _ in range(chance.randrange(1, ops + 1))]
        for _ in range(chance.randrange(1, tasks + 1))
    ]


class World:
    def __init__(self) -> None:
        self.log: list[str] = []
        self.events = [asyncio.Event() for _ in range(3)]
        self.locks = [asyncio.Lock() for _ in range(3)]
        self.queues: list[asyncio.Queue[str]] = [asyncio.Queue() for _ in range(3)]
        self.background: list[asyncio.Task[Any]] = []
        self.ticks = 0

    def tick(self) -> float:
        """A little more each time, so that no two timers are due at once: heapq leaves ties to chance."""
        self.ticks += 1
        return 0.0001 * self.ticks + 1e-7 * self.ticks**2


async def _child(world: World, name: str, yields: int) -> str:
    for number in range(yields):
        await asyncio.sleep(0)
        world.log.append(f"{name}.{number}")
    return name


async def _fail(world: World, name: str) -> None:
    await asyncio.sleep(0)
    world.log.append(f"{name} fails")
    raise LookupError(name)


async def _guarded(world: World, name: str, awaitable: Any) -> None:
    try:
        world.log.append(f"{name} -> {await asyncio.wait_for(awaitable, world.tick() + 0.5)}")
    except TimeoutError:
        world.log.append(f"{name} timed out")


async def _op(world: World, name: str, op: str, index: int) -> None:
    log, loop = world.log, asyncio.get_running_loop()
    if op == "yield":
        await asyncio.sleep(0)
    elif op == "yield2":
        await asyncio.sleep(0)
        log.append(f"{name} mid")
        await asyncio.sleep(0)
    elif op == "sleep":
        await asyncio.sleep(world.tick() + 0.02 * (index + 1))
    elif op == "set":
        world.events[index].set()
    elif op == "wait":
        await _guarded(world, name, world.events[index].wait())
    elif op == "lock":
        async with world.locks[index]:
            log.append(f"{name} in")
            await asyncio.sleep(0)
            log.append(f"{name} out")
    elif op == "put":
        world.queues[index].put_nowait(name)
    elif op == "get":
        await _guarded(world, name, world.queues[index].get())
    elif op == "soon":
        loop.call_soon(log.append, f"{name} soon")
        loop.call_soon(lambda: log.append(f"{name} soon 2"))
    elif op == "later0":
        loop.call_later(0, lambda: log.append(f"{name} later"))
        await asyncio.sleep(world.tick() + 0.02)
    elif op == "gather":
        got = await asyncio.gather(*(_child(world, f"{name}g{n}", n) for n in range(index + 1)))
        log.append(f"{name} gathered {got}")
    elif op == "group":
        async with asyncio.TaskGroup() as group:
            for n in range(index + 1):
                group.create_task(_child(world, f"{name}t{n}", n))
    elif op == "group_fail":
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_fail(world, f"{name}f"))
                group.create_task(_child(world, f"{name}u", index * 2))
        except* LookupError:
            log.append(f"{name} group failed")
    elif op == "timeout":
        try:
            async with asyncio.timeout(world.tick() + 0.03):
                await asyncio.sleep(world.tick() + 0.02 * (index + 1))
        except TimeoutError:
            log.append(f"{name} timeout")
    elif op == "shield":
        log.append(await asyncio.shield(_child(world, f"{name}s", index)))
    elif op == "wait_for":
        log.append(str(await asyncio.wait_for(_child(world, f"{name}w", index), 1)))
    elif op == "wait_any":
        made = [loop.create_task(_child(world, f"{name}a{n}", n)) for n in range(index + 1)]
        done, _ = await asyncio.wait(made, return_when=asyncio.FIRST_COMPLETED)
        log.append(f"{name} any {sorted(each.result() for each in done)}")
        await asyncio.wait(made)
    elif op == "spawn":
        world.background.append(loop.create_task(_child(world, f"{name}b", index)))
    elif op == "done_cb":
        task = loop.create_task(_child(world, f"{name}d", index))
        task.add_done_callback(lambda _: log.append(f"{name} done 1"))
        task.add_done_callback(lambda _: log.append(f"{name} done 2"))
        await task
    elif op == "cancel":
        task = loop.create_task(_child(world, f"{name}c", 5))
        for _ in range(index):
            await asyncio.sleep(0)
        task.cancel()
        log.append(str(await asyncio.gather(task, return_exceptions=True)))


async def _task(world: World, name: str, ops: list[Op]) -> None:
    for number, (op, index) in enumerate(ops):
        world.log.append(f"{name} {number} {op}")
        await _op(world, f"{name}.{number}", op, index)
    world.log.append(f"{name} ends")


async def run(program: Program) -> list[str]:
    world = World()
    tasks = (_task(world, f"t{n}", ops) for n, ops in enumerate(program))
    # A task may end cancelled: early releases of Python 3.11 let a timeout's own cancellation out at times.
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    world.log += [f"t{n} {type(end).__name__}" for n, end in enumerate(ends) if end is not None]
    return world.log
