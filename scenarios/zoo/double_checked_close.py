"""Two users close a shared connection: both see it open."""

from __future__ import annotations

import asyncio
import contextlib

PREEMPTIONS = 1
"""The least that the bug needs."""


async def program(*, fixed: bool) -> None:
    is_open, closed = True, 0
    lock = asyncio.Lock()

    async def close() -> None:
        nonlocal is_open, closed
        async with lock if fixed else contextlib.nullcontext():
            if is_open:
                await asyncio.sleep(0)
                closed += 1
                is_open = False

    await asyncio.gather(close(), close())
    assert closed == 1, closed


async def buggy() -> None:
    await program(fixed=False)


async def repaired() -> None:
    await program(fixed=True)
