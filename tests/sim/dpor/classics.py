"""The classic programs of the literature on partial-order reduction, as ordinary asyncio code.

One suspension before each operation that others can see, so that steps are what the literature counts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from liveproof_sim import World

Program = Callable[[], Coroutine[Any, Any, None]]


class Cell:
    """A shared variable."""

    def __init__(self) -> None:
        self.value = 0


def readers(n: int) -> Program:
    """One writer, n readers of one variable: 2^n."""

    async def main() -> None:
        cell = Cell()

        async def read() -> None:
            _ = cell.value

        async def write() -> None:
            cell.value = 1

        await asyncio.gather(write(), *(read() for _ in range(n)))

    return main


def lastzero(n: int) -> Program:
    """A searcher from the end of an array that n others fill: (n + 3) 2^(n - 2)."""

    async def main() -> None:
        array = [0] * (n + 1)

        async def search() -> None:
            at = n
            while array[at] != 0:
                await asyncio.sleep(0)
                at -= 1

        async def fill(at: int) -> None:
            below = array[at - 1]
            await asyncio.sleep(0)
            array[at] = below + 1

        await asyncio.gather(search(), *(fill(at) for at in range(1, n + 1)))

    return main


def indexer(n: int) -> Program:
    """N tasks put four words each into a hash table of 128: they begin to collide with twelve tasks."""

    async def main() -> None:
        table = [0] * 128

        async def index(me: int) -> None:
            for number in range(1, 5):
                word = number * 11 + me
                place = word * 7 % 128
                await asyncio.sleep(0)
                while table[place] != 0:
                    place = (place + 1) % 128
                    await asyncio.sleep(0)
                table[place] = word

        await asyncio.gather(*(index(me) for me in range(n)))

    return main


def file_system(n: int) -> Program:
    """N tasks take a block for an inode each, of 26 blocks and 32 inodes: 2^(n - 13) from n = 13 on."""

    async def main() -> None:
        inode, busy = [0] * 32, [False] * 26
        inode_locks = [asyncio.Lock() for _ in range(32)]
        block_locks = [asyncio.Lock() for _ in range(26)]

        async def create(me: int) -> None:
            i = me % 32
            await asyncio.sleep(0)
            async with inode_locks[i]:
                if inode[i] == 0:
                    b = i * 2 % 26
                    while True:
                        await asyncio.sleep(0)
                        async with block_locks[b]:
                            if not busy[b]:
                                busy[b] = True
                                inode[i] = b + 1
                                break
                        b = (b + 1) % 26

        await asyncio.gather(*(create(me) for me in range(n)))

    return main


def independent_locals(tasks: int, awaits: int) -> Program:
    """Nothing shared: 1."""

    async def main() -> None:
        async def work() -> None:
            count = 1
            for _ in range(awaits):
                count *= 2
                await asyncio.sleep(0)

        await asyncio.gather(*(work() for _ in range(tasks)))

    return main


def independent_objects(tasks: int, awaits: int) -> Program:
    """An object for each: 1."""

    async def main() -> None:
        cells = [Cell() for _ in range(tasks)]

        async def work(cell: Cell) -> None:
            for _ in range(awaits):
                cell.value += 1
                await asyncio.sleep(0)

        await asyncio.gather(*(work(cell) for cell in cells))

    return main


def independent_slots(tasks: int, awaits: int) -> Program:
    """A slot for each, in one list: 1."""

    async def main() -> None:
        slots = [0] * tasks

        async def work(me: int) -> None:
            for _ in range(awaits):
                slots[me] += 1
                await asyncio.sleep(0)

        await asyncio.gather(*(work(me) for me in range(tasks)))

    return main


def conflicting(tasks: int, awaits: int) -> Program:
    """All steps write one variable: every interleaving of ``awaits + 1`` steps each."""

    async def main() -> None:
        cell = Cell()

        async def work() -> None:
            cell.value += 1
            for _ in range(awaits):
                await asyncio.sleep(0)
                cell.value += 1

        await asyncio.gather(*(work() for _ in range(tasks)))

    return main


def lost_update(outcomes: dict[str, None]) -> Program:
    """Two read, wait, and write."""

    async def main() -> None:
        cell = Cell()

        async def add() -> None:
            seen = cell.value
            await asyncio.sleep(0)
            cell.value = seen + 1

        await asyncio.gather(add(), add())
        outcomes[str(cell.value)] = None

    return main


def guarded_update(outcomes: dict[str, None]) -> Program:
    """The same under a lock."""

    async def main() -> None:
        cell = Cell()
        lock = asyncio.Lock()

        async def add() -> None:
            async with lock:
                seen = cell.value
                await asyncio.sleep(0)
                cell.value = seen + 1

        await asyncio.gather(add(), add())
        outcomes[str(cell.value)] = None

    return main


def philosophers(n: int) -> Program:
    """Each takes the left fork, then the right one: 2^n - 1, of which one is a deadlock."""

    async def main() -> None:
        forks = [asyncio.Lock() for _ in range(n)]

        async def dine(me: int) -> None:
            await asyncio.sleep(0)
            async with forks[me]:
                await asyncio.sleep(0)
                async with forks[(me + 1) % n]:
                    await asyncio.sleep(0)

        await asyncio.gather(*(dine(me) for me in range(n)))

    return main


def buffer(items: int, size: int) -> Program:
    """A producer and a consumer of a bounded queue: they meet item by item, in one order."""

    async def main() -> None:
        queue: asyncio.Queue[int] = asyncio.Queue(size)

        async def produce() -> None:
            for item in range(items):
                await asyncio.sleep(0)
                await queue.put(item)

        async def consume() -> None:
            for _ in range(items):
                await asyncio.sleep(0)
                await queue.get()

        await asyncio.gather(produce(), consume())

    return main


def cache(outcomes: dict[str, None]) -> Program:
    """Check, load, store: two may load the same."""

    async def main() -> None:
        loaded: dict[str, int] = {}
        loads = Cell()

        async def get() -> None:
            if "key" not in loaded:
                await asyncio.sleep(0)
                loads.value += 1
                loaded["key"] = loads.value

        await asyncio.gather(get(), get())
        outcomes[f"{loads.value} loads"] = None

    return main


def cancelled(steps: int) -> Program:
    """A task of k steps is cancelled: before each of them, or after all."""

    async def main() -> None:
        async def work() -> None:
            for _ in range(steps - 1):
                await asyncio.sleep(0)

        async def stop() -> None:
            task.cancel()

        task = asyncio.create_task(work())
        await asyncio.gather(task, stop(), return_exceptions=True)

    return main


async def overwritten(world: World) -> None:
    """Who waits for a value that another one overwrites: 3, of which one is a deadlock."""
    cell = Cell()

    async def wait() -> None:
        await world.until(lambda: cell.value == 1)

    async def write(value: int) -> None:
        cell.value = value

    await asyncio.gather(wait(), write(1), write(2))


async def chosen(world: World) -> None:
    """Two tasks write one of three values each; who writes last matters, and what was drawn: 3 * 3 * 2."""
    cell = Cell()

    async def write() -> None:
        cell.value = world.draw(3)

    await asyncio.gather(write(), write())
