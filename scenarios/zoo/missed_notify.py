"""A condition is notified before anybody waits; repaired: what is waited for is looked at first."""

from __future__ import annotations

import asyncio

PREEMPTIONS = 0
"""The least that the bug needs."""


async def program(*, fixed: bool) -> None:
    condition = asyncio.Condition()
    done = False

    async def waiter() -> None:
        for _ in range(2):
            await asyncio.sleep(0)
        async with condition:
            if fixed:
                await condition.wait_for(lambda: done)
            else:
                await condition.wait()

    async def notifier() -> None:
        nonlocal done
        for _ in range(4):
            await asyncio.sleep(0)
        async with condition:
            done = True
            condition.notify_all()

    await asyncio.gather(waiter(), notifier())


async def buggy() -> None:
    await program(fixed=False)


async def repaired() -> None:
    await program(fixed=True)
