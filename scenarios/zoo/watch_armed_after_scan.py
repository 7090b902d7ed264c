"""A watch is armed after the scan: a change in between is never seen."""

from __future__ import annotations

import asyncio

PREEMPTIONS = 1
"""The least that the bug needs."""


async def program(*, fixed: bool) -> None:
    source = {"a": 1}
    watchers: list[asyncio.Queue[str]] = []
    target: dict[str, int] = {}

    async def edit() -> None:
        await asyncio.sleep(0)
        source["b"] = 2
        for queue in watchers:
            queue.put_nowait("b")

    async def component() -> None:
        queue: asyncio.Queue[str] = asyncio.Queue()
        if fixed:
            watchers.append(queue)
        found = dict(source)
        await asyncio.sleep(0)  # the scan takes a while
        target.update(found)
        if not fixed:
            watchers.append(queue)
        while len(target) < 2:
            key = await queue.get()
            target[key] = source[key]

    editing = asyncio.create_task(edit())
    await component()
    await editing
    assert target == source


async def buggy() -> None:
    await program(fixed=False)


async def repaired() -> None:
    await program(fixed=True)
