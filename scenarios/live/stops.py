"""Failure, cancellation and stop at any moment.

Contract: RDY-1 to RDY-5, MODE-3, FAIL-1 to FAIL-3, GC-3.
"""

from __future__ import annotations

import asyncio
from typing import Any

import liveproof as coco
from liveproof_sim import World
from liveproof_sim.fakes.targets import Target
from scenarios.live.programs import Failed, at

UNREADY = ("process", "before the scan", "after the scan")
"""Places at which the live component itself fails before it is ready."""


async def leaf(target: Target, name: str, value: int) -> None:
    await asyncio.sleep(0)
    target.declare(name, value)


class Troubled:
    """A component tree in which something goes wrong at a place that is drawn."""

    PLACES = (
        "nowhere",
        "process",
        "before the scan",
        "after the scan",
        "after mark_ready",
        "in a child",
        "in a helper",
        "in the root",
    )

    def __init__(self, world: World) -> None:
        self.world = world
        self.target = world.target("stops")
        self.place = world.draw(self.PLACES, label="place")
        self.cancelled = bool(world.draw(2, label="cancelled"))
        self.handles: list[coco.ComponentMountHandle] = []

    async def here(self, place: str) -> None:
        await asyncio.sleep(0)
        if place == self.place:
            if self.cancelled:
                raise asyncio.CancelledError
            raise Failed(place)

    async def child(self, name: str) -> None:
        self.target.declare(name, 1)
        await self.here("in a child" if name == "a" else "")

    def component(self) -> type[Any]:
        trouble = self

        class Live:
            async def process(self) -> None:
                trouble.target.declare("self", 1)
                await coco.mount(at("a"), trouble.child, "a")
                await trouble.here("process")
                await coco.mount(at("b"), trouble.child, "b")

            async def process_live(self, operator: coco.LiveComponentOperator) -> None:
                await trouble.here("before the scan")
                await operator.update_full()
                await trouble.here("after the scan")
                helper = asyncio.create_task(trouble.helper(operator))
                try:
                    await operator.mark_ready()
                    await trouble.here("after mark_ready")
                    await operator.delete(at("b"))
                finally:
                    helper.cancel()
                    await asyncio.wait([helper])

        return Live

    async def helper(self, operator: coco.LiveComponentOperator) -> None:
        try:
            await operator.update(at("c"), leaf, self.target, "c", 1)
            await self.here("in a helper")
        except (Failed, RuntimeError):
            pass

    async def main(self) -> None:
        handle = await coco.mount(at("live"), self.component())
        self.handles.append(handle)
        await self.here("in the root")
        if self.world.draw(2, label="wait"):
            await handle.ready()
        await coco.use_mount(at("plain"), leaf, self.target, "plain", 1)


class HandlerError(Exception):
    """Raised by a handler that was told of something else."""


def quiet(_error: BaseException, _context: coco.ExceptionContext) -> None:
    """A handler that has seen worse."""


def raising(_error: BaseException, _context: coco.ExceptionContext) -> None:
    """One that passes it on, as something of its own."""
    raise HandlerError


async def trouble(world: World) -> None:
    """Whatever goes wrong wherever, everything that waits comes to its end, and the next run repairs it. The handle
    of a component that failed before it was ready raises what a handler raised, and only then (FAIL-3)."""
    world.contract()
    troubled = Troubled(world)
    world.exception_handler = world.draw([None, quiet, raising], label="handler")
    raises = world.exception_handler is raising and troubled.place in UNREADY
    app = coco.App("stops", troubled.main)
    live = bool(world.draw(2, label="live"))
    try:
        await world.start(app, live=live)
    except HandlerError:
        assert raises, "a handle raised in the root what no handler had raised"
    except (Failed, asyncio.CancelledError):
        assert troubled.place == "in the root"
    for handle in troubled.handles:
        try:
            await handle.ready()
        except HandlerError:
            assert raises, "a handle raised what no handler had raised"
            world.sometimes("a handle raised")
        else:
            assert not raises, "a handle did not raise what a handler had raised"
            world.sometimes("a handler raised elsewhere", world.exception_handler is raising)
    troubled.place = "nowhere"
    world.exception_handler = None
    await world.start(app, live=live)
    expected = {"self": 1, "a": 1, "b": 1, "c": 1, "plain": 1}
    found = dict(troubled.target.entries)
    if live:
        del expected["b"]
    found.setdefault("c", 1)  # the helper may come too late
    assert found == expected


async def stopped(world: World) -> None:
    """A stop at any moment ends everything in order, and the next run completes the work."""
    world.contract()
    troubled = Troubled(world)
    troubled.place = "nowhere"
    capacity = world.draw([None, 1, 2], label="limit")
    app = coco.App(coco.AppConfig("stops", max_inflight_components=capacity), troubled.main)
    run = world.start(app, live=bool(world.draw(2, label="live")))
    for _ in range(world.draw(40, label="steps")):
        await asyncio.sleep(0)
    if world.draw(2, label="late"):
        await world.clock.sleep(0.006)
    await run.stop()
    for handle in troubled.handles:
        try:
            await handle.ready()
        except Exception as error:  # noqa: BLE001 - that it ends counts
            world.sometimes("a handle raised", error)
    await world.start(app)
    found = dict(troubled.target.entries)
    found.setdefault("c", 1)
    assert found == {"self": 1, "a": 1, "b": 1, "c": 1, "plain": 1}
    with world.contract().idle():
        await world.start(app)
