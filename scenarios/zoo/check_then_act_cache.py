"""A cache is looked up, then filled after an await: the value is computed twice."""

from __future__ import annotations

import asyncio

PREEMPTIONS = 1
"""The least that the bug needs."""


async def program(*, fixed: bool) -> None:
    cache: dict[str, asyncio.Future[int]] = {}
    computed = 0

    async def compute() -> int:
        nonlocal computed
        computed += 1
        await asyncio.sleep(0)
        return 42

    async def get(key: str) -> int:
        if key not in cache:
            if fixed:
                cache[key] = asyncio.ensure_future(compute())
            else:
                value = await compute()
                cache[key] = asyncio.get_running_loop().create_future()
                cache[key].set_result(value)
        return await cache[key]

    await asyncio.gather(get("a"), get("a"))
    assert computed == 1, computed


async def buggy() -> None:
    await program(fixed=False)


async def repaired() -> None:
    await program(fixed=True)
