"""A background task is forgotten when the work ends early."""

from __future__ import annotations

import asyncio

PREEMPTIONS = 0
"""The least that the bug needs."""


async def program(*, fixed: bool) -> None:
    async def background() -> None:
        for _ in range(3):
            await asyncio.sleep(0)

    task = asyncio.create_task(background())
    for _ in range(5):
        await asyncio.sleep(0)
    if fixed:
        await task


async def buggy() -> None:
    await program(fixed=False)


async def repaired() -> None:
    await program(fixed=True)
