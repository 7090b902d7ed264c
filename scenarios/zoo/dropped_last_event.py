"""Coalescing: an event that comes while the last one is handled is dropped."""

from __future__ import annotations

import asyncio

PREEMPTIONS = 1
"""The least that the bug needs."""


async def program(*, fixed: bool) -> None:
    pending, busy, source, target = False, False, 0, 0

    async def handle() -> None:
        nonlocal pending, busy, target
        busy = True
        while True:
            pending = False
            seen = source
            await asyncio.sleep(0)
            target = seen
            if not pending:
                break
        busy = False

    async def notify() -> None:
        nonlocal pending, source
        for _ in range(2):
            source += 1
            if busy:
                pending = fixed
            else:
                await handle()

    await asyncio.gather(notify(), notify())
    assert target == source, (target, source)


async def buggy() -> None:
    await program(fixed=False)


async def repaired() -> None:
    await program(fixed=True)
