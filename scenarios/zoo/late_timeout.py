"""A timeout that is as long as the work usually takes: a slow step makes it fire."""

from __future__ import annotations

import asyncio

PREEMPTIONS = 0
"""The least that the bug needs."""


async def program(*, fixed: bool) -> None:
    async def work() -> int:
        await asyncio.sleep(0.01)
        await asyncio.sleep(0)
        return 1

    try:
        result = await asyncio.wait_for(asyncio.create_task(work()), 0.011)
    except TimeoutError:
        result = 1 if fixed else 0
    assert result == 1


async def buggy() -> None:
    await program(fixed=False)


async def repaired() -> None:
    await program(fixed=True)
