"""Three philosophers each take the left fork first; repaired: the last one takes the right one."""

from __future__ import annotations

import asyncio

PREEMPTIONS = 1
"""The least that the bug needs."""


async def program(*, fixed: bool) -> None:
    forks = [asyncio.Lock() for _ in range(3)]

    async def philosopher(number: int) -> None:
        left, right = forks[number], forks[(number + 1) % 3]
        if fixed and number == 2:
            left, right = right, left
        async with left:
            await asyncio.sleep(0)
            async with right:
                await asyncio.sleep(0)

    await asyncio.gather(*(philosopher(number) for number in range(3)))


async def buggy() -> None:
    await program(fixed=False)


async def repaired() -> None:
    await program(fixed=True)
