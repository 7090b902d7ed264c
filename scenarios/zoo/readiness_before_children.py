"""A parent reports ready when its children were started, not when they are."""

from __future__ import annotations

import asyncio

PREEMPTIONS = 0
"""The least that the bug needs."""


async def program(*, fixed: bool) -> None:
    ready = asyncio.Event()
    applied: list[int] = []

    async def child(number: int) -> None:
        await asyncio.sleep(0)
        applied.append(number)

    async def parent() -> None:
        children = [asyncio.create_task(child(number)) for number in range(2)]
        if not fixed:
            ready.set()
        await asyncio.gather(*children)
        ready.set()

    running = asyncio.create_task(parent())
    await ready.wait()
    seen = len(applied)
    await running
    assert seen == 2, seen


async def buggy() -> None:
    await program(fixed=False)


async def repaired() -> None:
    await program(fixed=True)
