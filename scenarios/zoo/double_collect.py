"""Two sweeps collect the same garbage: each looks, waits, and removes."""

from __future__ import annotations

import asyncio
import contextlib

PREEMPTIONS = 1
"""The least that the bug needs."""


async def program(*, fixed: bool) -> None:
    garbage = {"x": 1}
    lock = asyncio.Lock()

    async def sweep() -> None:
        async with lock if fixed else contextlib.nullcontext():
            for key in list(garbage):
                await asyncio.sleep(0)
                del garbage[key]

    await asyncio.gather(sweep(), sweep())


async def buggy() -> None:
    await program(fixed=False)


async def repaired() -> None:
    await program(fixed=True)
