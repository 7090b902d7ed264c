"""One live component with two children: whatever fails or is cancelled at whatever await, everything that waits
comes to its end.

Contract: RDY-1, RDY-3, RDY-5, FAIL-1, FAIL-2, MODE-3; every other id is watched as well.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, NamedTuple

import liveproof as coco
from liveproof.errors import StoppedError
from liveproof_sim import World
from scenarios.live.programs import Failed, at

__all__ = ["PLACES", "Trouble", "scenario_of", "troubles"]

PLACES = (
    "nowhere",
    "first child",
    "second child",
    "process",
    "before the scan",
    "after the scan",
    "after mark_ready",
)


class Trouble(NamedTuple):
    """What goes wrong."""

    place: str
    how: str
    """"raises" or "is cancelled"; and of the whole run: "stops" at any moment"""
    live: bool
    """in live mode; else it catches up"""

    def __str__(self) -> str:
        return f"{self.place} {self.how}, {'live' if self.live else 'catching up'}"


def troubles() -> Iterator[Trouble]:
    """All of them."""
    for live in (True, False):
        for place in PLACES[1:]:
            yield Trouble(place, "raises", live)
            yield Trouble(place, "is cancelled", live)
        yield Trouble("nowhere", "is wrong", live)
        yield Trouble("the run", "stops", live)


def scenario_of(trouble: Trouble) -> Callable[[World], Coroutine[Any, Any, None]]:
    """The scenario in which it goes wrong."""

    async def here(place: str) -> None:
        await asyncio.sleep(0)
        if place == trouble.place:
            if trouble.how == "is cancelled":
                raise asyncio.CancelledError
            raise Failed(place)

    async def scenario(world: World) -> None:
        world.contract()
        world.exception_handler = lambda _error, _context: None
        target = world.target("proofs")
        handles: list[coco.ComponentMountHandle] = []

        async def child(place: str) -> None:
            target.declare(place, 1)
            await here(place)

        class Live:
            async def process(self) -> None:
                await coco.mount(at("a"), child, "first child")
                await coco.mount(at("b"), child, "second child")
                await here("process")

            async def process_live(self, operator: coco.LiveComponentOperator) -> None:
                await here("before the scan")
                await operator.update_full()
                await here("after the scan")
                await operator.mark_ready()
                await here("after mark_ready")

        async def main() -> None:
            handles.append(await coco.mount(at("live"), Live))

        run = world.start(coco.App("proofs", main), live=trouble.live)
        if trouble.how == "stops":
            await asyncio.sleep(0)
            await run.stop()
        else:
            await run
        for handle in handles:
            with contextlib.suppress(StoppedError):  # it ends; that it was not finished is what it says
                await handle.ready()
        if trouble.place == "nowhere":
            assert target.entries == {"first child": 1, "second child": 1}

    return scenario
