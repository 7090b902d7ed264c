"""The eight programs on which other testbeds were measured, in our own words: who finds what, and how soon.

``uneven(n)``: one single-step writer against a writer of n steps, wrong if the single one is last.
``deep(d)``: two tasks must alternate strictly, d times, the second one first; three more share nothing.
"""

from __future__ import annotations

import asyncio

from tests.sim.small import Program, loser


async def lost2() -> None:
    total = 0

    async def worker() -> None:
        nonlocal total
        seen = total
        await asyncio.sleep(0)
        total = seen + 1

    await asyncio.gather(worker(), worker())
    assert total == 2, total


async def order2() -> None:
    made: list[int] = []

    async def producer() -> None:
        await asyncio.sleep(0)
        made.append(1)

    async def consumer() -> None:
        await asyncio.sleep(0)
        assert made, "consumed before it was made"

    await asyncio.gather(producer(), consumer())


async def inversion() -> None:
    left, right = asyncio.Lock(), asyncio.Lock()

    async def one() -> None:
        async with left:
            await asyncio.sleep(0)
            async with right:
                pass

    async def two() -> None:
        for _ in range(3):
            await asyncio.sleep(0)
        async with right:
            await asyncio.sleep(0)
            async with left:
                pass

    await asyncio.gather(one(), two())


async def phil3() -> None:
    forks = [asyncio.Lock() for _ in range(3)]

    async def philosopher(number: int) -> None:
        async with forks[number]:
            await asyncio.sleep(0)
            async with forks[(number + 1) % 3]:
                pass

    await asyncio.gather(*(philosopher(number) for number in range(3)))


def deep(depth: int) -> Program:
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
        if log == ["b", "a"] * depth:
            raise LookupError("strictly alternating")

    return main


MEDIANS: dict[str, tuple[Program, int]] = {
    "lost2": (lost2, 1),
    "order2": (order2, 3),
    "inversion": (inversion, 10),
    "phil3": (phil3, 1),
    "uneven10": (loser(10), 4),
    "uneven25": (loser(25), 4),
    "deep2": (deep(2), 15),
    "deep3": (deep(3), 30),
}
"""Each program, and the most executions that the default may need: the median over twenty seeds."""
