"""Small programs whose spaces can be counted: shared by the tests of strategies."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

Program = Callable[[], Coroutine[Any, Any, None]]


def independent(*steps: int) -> tuple[Program, list[str]]:
    """Tasks of so many steps each, nothing shared; and the log of the last run, a letter per step."""
    log: list[str] = []

    async def main() -> None:
        log.clear()

        async def worker(name: str, count: int) -> None:
            for number in range(count):
                log.append(name)
                if number < count - 1:
                    await asyncio.sleep(0)

        await asyncio.gather(*(worker(chr(97 + n), count) for n, count in enumerate(steps)))

    return main, log


def loser(steps: int) -> Program:
    """Fails if and only if a task of one step runs after all steps of another one."""

    async def main() -> None:
        done = False

        async def quick() -> None:
            if done:
                raise LookupError("the quick one was last")

        async def slow() -> None:
            nonlocal done
            for _ in range(steps - 1):
                await asyncio.sleep(0)
            done = True

        await asyncio.gather(quick(), slow())

    return main


def alternating(depth: int) -> Program:
    """Fails if and only if two tasks alternate strictly, so often."""

    async def main() -> None:
        log: list[str] = []

        async def worker(name: str) -> None:
            for _ in range(depth):
                log.append(name)
                await asyncio.sleep(0)

        await asyncio.gather(worker("a"), worker("b"), worker("c"))
        if [each for each in log if each != "c"] == ["b", "a"] * depth and log[-1] == "c":
            raise LookupError("".join(log))

    return main


def interleavings(steps: tuple[int, ...]) -> Iterator[tuple[str, list[tuple[int, list[str], str | None]]]]:
    """All orders in plain loops: the log, and per choice the position, the queue and who ran last."""

    def go(
        queue: list[str], left: dict[str, int], log: str, choices: list[tuple[int, list[str], str | None]]
    ) -> Iterator[tuple[str, list[tuple[int, list[str], str | None]]]]:
        if not queue:
            yield log, choices
        for at, name in enumerate(queue):
            rest = [each for each in queue if each != name]
            more = left[name] > 1
            last = log[-1] if log else None
            made = [*choices, (at, queue, last)] if len(queue) > 1 else choices
            yield from go([*rest, name] if more else rest, {**left, name: left[name] - 1}, log + name, made)

    names = [chr(97 + n) for n in range(len(steps))]
    yield from go(names, dict(zip(names, steps, strict=True)), "", [])


class Nameless:
    """A key that has no name outside of its process. Equal to all others."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Nameless)

    def __hash__(self) -> int:
        return 1
