"""Two tasks read, yield, and write back: one update is lost."""

from __future__ import annotations

import asyncio
import contextlib

PREEMPTIONS = 1
"""The least that the bug needs."""


async def program(*, fixed: bool) -> None:
    lock = asyncio.Lock()
    total = 0

    async def worker() -> None:
        nonlocal total
        async with lock if fixed else contextlib.nullcontext():
            seen = total
            await asyncio.sleep(0)
            total = seen + 1

    await asyncio.gather(worker(), worker())
    assert total == 2, total


async def buggy() -> None:
    await program(fixed=False)


async def repaired() -> None:
    await program(fixed=True)
