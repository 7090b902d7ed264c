"""Small programs that simulators of asyncio are compared on: ordinary asyncio, nothing of any simulator.

Each race is wrong in some orders of its tasks, and right in stock asyncio's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

__all__ = ["RACES", "Main", "deep", "heartbeats", "nothing", "with_lock", "yields"]

Main = Callable[[], Coroutine[Any, Any, None]]


# ---- what costs time


async def nothing() -> None:
    """No await at all: what remains is set-up."""


async def with_lock() -> None:
    """Two tasks that add under a lock."""
    lock = asyncio.Lock()
    total = 0

    async def worker() -> None:
        nonlocal total
        async with lock:
            seen = total
            await asyncio.sleep(0)
            total = seen + 1

    await asyncio.gather(worker(), worker())
    assert total == 2


def yields(tasks: int, count: int) -> Main:
    """So many tasks that let the others run so often."""

    async def one() -> None:
        for _ in range(count):
            await asyncio.sleep(0)

    async def main() -> None:
        await asyncio.gather(*(one() for _ in range(tasks)))

    return main


def heartbeats(tasks: int, count: int) -> Main:
    """So many tasks that sleep a second so often."""

    async def one() -> None:
        for _ in range(count):
            await asyncio.sleep(1)

    async def main() -> None:
        await asyncio.gather(*(one() for _ in range(tasks)))

    return main


# ---- what is wrong in some orders


async def lost2() -> None:
    """Two tasks read, yield and write; the second one begins two yields later."""
    total = 0

    async def add(wait: int) -> None:
        nonlocal total
        for _ in range(wait):
            await asyncio.sleep(0)
        seen = total
        await asyncio.sleep(0)
        total = seen + 1

    await asyncio.gather(add(0), add(2))
    assert total == 2


async def order2() -> None:
    """A consumer that has to follow its producer, and does not wait for it."""
    made: list[int] = []

    async def producer() -> None:
        await asyncio.sleep(0)
        made.append(1)

    async def consumer() -> None:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert made

    await asyncio.gather(producer(), consumer())


async def inversion() -> None:
    """Two locks in opposite orders; the second task begins three yields later."""
    first, second = asyncio.Lock(), asyncio.Lock()

    async def one() -> None:
        async with first:
            await asyncio.sleep(0)
            async with second:
                pass

    async def other() -> None:
        for _ in range(3):
            await asyncio.sleep(0)
        async with second:
            await asyncio.sleep(0)
            async with first:
                pass

    await asyncio.gather(one(), other())


async def phil3() -> None:
    """Three philosophers, who take the left fork first, and begin one after the other."""
    forks = [asyncio.Lock() for _ in range(3)]

    async def dine(seat: int) -> None:
        for _ in range(3 * seat):
            await asyncio.sleep(0)
        async with forks[seat]:
            await asyncio.sleep(0)
            async with forks[(seat + 1) % 3]:
                pass

    await asyncio.gather(*(dine(seat) for seat in range(3)))


def uneven(steps: int) -> Main:
    """One writer of a single step, one of so many: wrong if the single step is the last of all."""

    async def main() -> None:
        wrote = ""

        async def short() -> None:
            nonlocal wrote
            wrote = "short"

        async def long() -> None:
            nonlocal wrote
            for _ in range(steps - 1):
                await asyncio.sleep(0)
            wrote = "long"

        await asyncio.gather(short(), long())
        assert wrote == "long"

    return main


def deep(depth: int) -> Main:
    """Wrong if two tasks alternate strictly, so often, the second one first; three others make noise."""

    async def main() -> None:
        log: list[str] = []

        async def worker(name: str) -> None:
            for _ in range(depth):
                log.append(name)
                await asyncio.sleep(0)

        async def noise() -> None:
            for _ in range(depth):
                await asyncio.sleep(0)

        await asyncio.gather(worker("a"), worker("b"), noise(), noise(), noise())
        assert log != ["b", "a"] * depth, "strictly alternating"

    return main


RACES: dict[str, Main] = {
    "lost2": lost2,
    "order2": order2,
    "inversion": inversion,
    "phil3": phil3,
    "uneven10": uneven(10),
    "uneven25": uneven(25),
    "deep2": deep(2),
    "deep3": deep(3),
}
