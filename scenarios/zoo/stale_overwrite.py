"""An older answer that arrives later overwrites the newer one."""

from __future__ import annotations

import asyncio

PREEMPTIONS = 0
"""The least that the bug needs."""


async def program(*, fixed: bool) -> None:
    shown = ""
    newest = 0

    async def fetch(query: str, number: int) -> None:
        nonlocal shown
        await asyncio.to_thread(len, query)
        if not fixed or number == newest:
            shown = query

    tasks = []
    for number, query in enumerate(["a", "ab"]):
        newest = number
        tasks.append(asyncio.create_task(fetch(query, number)))
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    assert shown == "ab", shown


async def buggy() -> None:
    await program(fixed=False)


async def repaired() -> None:
    await program(fixed=True)
