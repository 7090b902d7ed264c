"""A component is updated again, or deleted and updated, before what it applied is on the platter. A run that ends in
order leaves nothing for the next one to do (DUR-3); after a loss of power one catch-up run makes it good (DUR-1)."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

import liveproof as coco
from liveproof_sim import PowerCut, World
from scenarios.recovery.ground import GROUND, NODES, Source, judge

FIRST: Source = {"a": {"x": "1"}}
WANTED: tuple[Mapping[str, str] | None, ...] = ({"x": "2"}, {"x": "1", "y": "1"}, {}, None)
"""``None``: the component is deleted."""


@coco.fn(memo=True)
async def same(text: str) -> str:
    """A remembered call: a cycle that made one has something to write, even if nothing has changed."""
    return text


async def want(wanted: Mapping[str, str]) -> None:
    for name, text in wanted.items():
        coco.declare_target_state(NODES.target_state(name, await same(text)))


def app_of(source: dict[str, Mapping[str, str]], changes: int, world: World) -> coco.App[[], None]:
    """An app with one live component that makes so many changes of its source."""

    class Mirror:
        async def process(self) -> None:
            for name, wanted in source.items():
                await coco.mount(coco.component_subpath(name), want, dict(wanted))

        async def process_live(self, operator: coco.LiveComponentOperator) -> None:
            await operator.update_full()
            for number in range(changes):
                wanted = world.draw(WANTED, label=f"change {number}")
                sub = coco.component_subpath("a")
                if wanted is not None:
                    source["a"] = wanted
                    handle = await operator.update(sub, want, dict(wanted))
                else:
                    source.pop("a", None)
                    handle = await operator.delete(sub)
                await handle.ready()

    async def main() -> None:
        await coco.mount(coco.component_subpath("live"), Mirror)

    return coco.App("recovery", main)


async def again(world: World) -> None:
    """Three changes; the end, or a cut; and nothing to do for the next run, or the one after it."""
    GROUND.reset(world)
    source = dict(FIRST)
    with contextlib.suppress(PowerCut):
        await world.start(app_of(source, 3, world))
    world.power.stay()
    world.sometimes("it ended in order", not world.power.cuts)
    if world.power.cuts:
        await world.restart(app_of(source, 0, world))
    await judge(world, source, app_of(source, 0, world), ("recovery",), ("recovery", "live"))
