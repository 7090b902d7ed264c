"""A busy wait that only ends if another task runs: a livelock when that one has ended early."""

from __future__ import annotations

import asyncio

PREEMPTIONS = 0
"""The least that the bug needs."""


async def program(*, fixed: bool) -> None:
    stop = asyncio.Event()
    begun = False

    async def poller() -> None:
        nonlocal begun
        begun = True
        while not stop.is_set():  # noqa: ASYNC110 - the bug
            await asyncio.sleep(0)

    async def stopper() -> None:
        for _ in range(2):
            await asyncio.sleep(0)
        if begun or fixed:
            stop.set()

    await asyncio.gather(stopper(), poller())


async def buggy() -> None:
    await program(fixed=False)


async def repaired() -> None:
    await program(fixed=True)
