"""A background task fails, and nobody looks."""

from __future__ import annotations

import asyncio

PREEMPTIONS = 1
"""The least that the bug needs."""


async def program(*, fixed: bool) -> None:
    flag = False

    async def background() -> None:
        await asyncio.sleep(0)
        if not flag:
            raise LookupError("the flag was not set")

    task = asyncio.create_task(background())
    for _ in range(2):
        await asyncio.sleep(0)
    flag = True
    await asyncio.wait([task])
    if fixed and task.exception() is not None:
        return


async def buggy() -> None:
    await program(fixed=False)


async def repaired() -> None:
    await program(fixed=True)
