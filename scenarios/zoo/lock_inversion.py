"""Two locks are taken in opposite orders, the second task some steps later."""

from __future__ import annotations

import asyncio

PREEMPTIONS = 1
"""The least that the bug needs."""


async def program(*, fixed: bool) -> None:
    one, other = asyncio.Lock(), asyncio.Lock()

    async def forth() -> None:
        async with one:
            await asyncio.sleep(0)
            async with other:
                pass

    async def back() -> None:
        for _ in range(3):
            await asyncio.sleep(0)
        first, second = (one, other) if fixed else (other, one)
        async with first:
            await asyncio.sleep(0)
            async with second:
                pass

    await asyncio.gather(forth(), back())


async def buggy() -> None:
    await program(fixed=False)


async def repaired() -> None:
    await program(fixed=True)
