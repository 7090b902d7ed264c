"""A live map view and a live map feed behind ``mount_each``, while their source changes.

Contract: FEED-1, FEED-2, FEED-4, MODE-1, MODE-2, GC-1, GC-2, ORD-5, RDY-2.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import liveproof as coco
from liveproof_sim import World
from liveproof_sim.fakes.feed import MapView, Source
from liveproof_sim.fakes.targets import Target

KEYS = ("a", "b", "c")


@coco.fn
async def shout(text: str, target: Target, source: Source) -> None:
    """One item: its text in capitals, under its own name."""
    await asyncio.sleep(0)
    name, _, body = text.partition(":")
    target.declare(name, body.upper())


def meant(source: Source) -> dict[str, str]:
    """The source function."""
    return {text.partition(":")[0]: text.partition(":")[2].upper() for text in source.entries.values()}


async def edit(world: World, source: Source, edits: int) -> None:
    """The outside world: changes, at moments that the strategy chooses."""
    for number in range(edits):
        key = world.draw(KEYS, label="key")
        if world.draw(3, label="edit") == 2:
            source.remove(key)
        else:
            source.set(key, f"{key}:text {number}")
        if world.draw(2, label="pause"):
            await world.clock.sleep(0.01)
        else:
            await asyncio.sleep(0)


def following(
    make: Callable[[World], Source], *faults: str, edits: int = 4, limit: tuple[int | None, ...] = (None, 1)
) -> Callable[[World], Any]:
    """A source is followed live until it is quiet; then the target is what it means."""

    async def scenario(world: World) -> None:
        contract = world.contract()
        world.faults.enable(*faults)
        target = world.target("maps")
        source = make(world)

        async def main() -> None:
            await coco.mount_each(coco.component_subpath("items"), shout, source, target, source)

        config = coco.AppConfig("maps", max_inflight_components=world.draw(limit, label="limit"))
        app = coco.App(config, main)
        run = world.start(app, live=True)
        editing = world.spawn(edit(world, source, edits), name="edit")
        await run.ready()
        await editing
        await world.quiet()
        contract.follows(meant(source), target.entries, overflowed=bool(source.overflows))
        source.close()
        await run
        contract.agree(target.entries, (await world.afresh(app))["maps"])

    return scenario


view = following(lambda world: world.map_view({"a": "a:one", "b": "b:two"}))
unruly_view = following(lambda world: world.map_view({"a": "a:one", "b": "b:two"}), "feed")
feed = following(lambda world: world.map_feed({"a": "a:one", "b": "b:two"}))
unruly_feed = following(lambda world: world.map_feed({"a": "a:one", "b": "b:two"}), "feed")


def _armed_late(world: World) -> MapView:
    source = world.map_view({"a": "a:one", "b": "b:two"})
    source.armed_late = True
    return source


def _deaf(world: World) -> MapView:
    source = world.map_view({"a": "a:one", "b": "b:two"})
    source.deaf_to_overflow = True
    return source


armed_late = following(_armed_late)
"""A planted bug: the watch is armed after the scan."""

deaf_to_overflow = following(_deaf, "feed.overflow")
"""A planted bug: what is lost is not scanned for."""


async def one_watcher(world: World) -> None:
    """A second ``mount_each`` on one feed fails, and harms nobody."""
    contract = world.contract()
    target = world.target("maps")
    source = world.map_view({"a": "a:one"})
    seen: list[BaseException] = []
    world.exception_handler = lambda error, _context: seen.append(error)

    async def main() -> None:
        await coco.mount_each(coco.component_subpath("one"), shout, source, target, source)
        await coco.mount_each(coco.component_subpath("two"), shout, source, target, source)

    run = world.start(coco.App("maps", main), live=True)
    await world.quiet()
    contract.watched(source.name, source.watchers)
    source.close()
    await run
    assert [type(each) for each in seen] == [RuntimeError], seen
    assert target.entries == meant(source)


async def catch_up_while_edited(world: World) -> None:
    """A run to catch up ends, with what was there when it scanned or later; the next run has all."""
    contract = world.contract()
    target = world.target("maps")
    world.faults.enable("feed")
    source = world.map_view({"a": "a:one", "b": "b:two"})

    async def main() -> None:
        await coco.mount_each(coco.component_subpath("items"), shout, source, target, source)

    app = coco.App("maps", main)
    editing = world.spawn(edit(world, source, 3), name="edit")
    await world.start(app)
    await editing
    await world.start(app)
    contract.follows(meant(source), target.entries)
    with contract.idle():
        await world.start(app)
