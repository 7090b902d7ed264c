"""A cancelled task leaves a shared record half-written."""

from __future__ import annotations

import asyncio

PREEMPTIONS = 2
"""The least that the bug needs."""


async def program(*, fixed: bool) -> None:
    record = [0, 0]

    async def write() -> None:
        record[0] += 1
        try:
            await asyncio.sleep(0)
        finally:
            if fixed:
                record[1] += 1
        if not fixed:
            record[1] += 1

    task = asyncio.create_task(write())
    for _ in range(2):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert record[0] == record[1], record


async def buggy() -> None:
    await program(fixed=False)


async def repaired() -> None:
    await program(fixed=True)
