"""Programs that a search has to exhaust, in the form that frontrun takes: a state, workers that share it, and what
holds at the end. :meth:`Duel.main` is the same program as a coroutine, which is what the others take.

What is said of the state holds in every order: so nobody may stop early, and all run the same space to its end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

__all__ = ["DUELS", "Duel", "guarded_increments", "independent"]

Worker = Callable[[Any], Coroutine[Any, Any, None]]


class Counter:
    def __init__(self) -> None:
        self.value = 0
        self.lock = asyncio.Lock()


async def lose(state: Counter) -> None:
    """Read, let others run, write."""
    seen = state.value
    await asyncio.sleep(0)
    state.value = seen + 1


async def guard(state: Counter) -> None:
    """The same under a lock."""
    async with state.lock:
        seen = state.value
        await asyncio.sleep(0)
        state.value = seen + 1


async def write(state: Counter) -> None:
    """Five steps that all conflict with those of others: nothing to reduce."""
    state.value = state.value * 2
    for _ in range(4):
        await asyncio.sleep(0)
        state.value = state.value * 2


class Cache:
    def __init__(self) -> None:
        self.loaded: dict[str, int] = {}
        self.loads = 0


async def look_up(state: Cache) -> None:
    """Check, load, store."""
    if "key" not in state.loaded:
        await asyncio.sleep(0)
        state.loads += 1
        state.loaded["key"] = state.loads


class Bank:
    def __init__(self) -> None:
        self.first = 100
        self.second = 100


async def transfer(state: Bank) -> None:
    """From the first account to the second, with a wait between balance and booking."""
    first, second = state.first, state.second
    await asyncio.sleep(0)
    state.first = first - 10
    await asyncio.sleep(0)
    state.second = second + 10


class Cells:
    def __init__(self) -> None:
        self.a = 0
        self.b = 0
        self.c = 0


async def add_a(state: Cells) -> None:
    for _ in range(3):
        state.a += 1
        await asyncio.sleep(0)


async def add_b(state: Cells) -> None:
    for _ in range(3):
        state.b += 1
        await asyncio.sleep(0)


async def add_c(state: Cells) -> None:
    for _ in range(3):
        state.c += 1
        await asyncio.sleep(0)


@dataclass(frozen=True, slots=True)
class Duel:
    """A program, in both forms."""

    setup: Callable[[], Any]
    workers: tuple[Worker, ...]
    invariant: Callable[[Any], bool]

    async def main(self) -> None:
        """The program as one coroutine."""
        state = self.setup()
        await asyncio.gather(*(worker(state) for worker in self.workers))
        assert self.invariant(state)


DUELS = {
    "lost update": Duel(Counter, (lose, lose), lambda state: state.value in (1, 2)),
    "lost update, three": Duel(Counter, (lose, lose, lose), lambda state: state.value in (1, 2, 3)),
    "lost update, four": Duel(Counter, (lose,) * 4, lambda state: 1 <= state.value <= 4),
    "guarded increments": Duel(Counter, (guard, guard), lambda state: bool(state.value == 2)),
    "guarded increments, four": Duel(Counter, (guard,) * 4, lambda state: bool(state.value == 4)),
    "check, then act": Duel(Cache, (look_up, look_up), lambda state: state.loads in (1, 2)),
    "check, then act, four": Duel(Cache, (look_up,) * 4, lambda state: 1 <= state.loads <= 4),
    "bank transfer": Duel(Bank, (transfer, transfer), lambda state: state.first < 100 < state.second),
    "bank transfer, three": Duel(Bank, (transfer,) * 3, lambda state: state.first < 100 < state.second),
    "two writers of five steps": Duel(Counter, (write, write), lambda state: bool(state.value == 0)),
    "independent 3 x 3": Duel(Cells, (add_a, add_b, add_c), lambda state: bool(state.a == state.b == state.c)),
}


async def independent() -> None:
    """Three tasks of three steps that share nothing."""
    await DUELS["independent 3 x 3"].main()


async def guarded_increments() -> None:
    """Two tasks that add under one lock."""
    await DUELS["guarded increments"].main()
