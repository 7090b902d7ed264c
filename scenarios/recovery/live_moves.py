"""States move between components by operations of a live component, one after the other and before what was applied
is on the platter; the power fails anywhere, and one catch-up run makes it good (DUR-1, GC-4)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

import liveproof as coco
from liveproof_sim import PowerCut, World
from scenarios.recovery.catch_up import VERSIONS, A
from scenarios.recovery.ground import GROUND, Source, judge, want


def app_of(source: list[Source], versions: Sequence[Source]) -> coco.App[[], None]:
    """An app with one live component, that goes through the versions; ``source`` says where it has got to."""

    class Mirror:
        async def process(self) -> None:
            for name, wanted in source[0].items():
                await coco.mount(coco.component_subpath(name), want, dict(wanted))

        async def process_live(self, operator: coco.LiveComponentOperator) -> None:
            await operator.update_full()
            await operator.mark_ready()
            for version in versions:
                before, source[0] = source[0], version
                handles = []
                for name, wanted in version.items():
                    if wanted != before.get(name):
                        sub = coco.component_subpath(name)
                        handles.append(await operator.update(sub, want, dict(wanted)))
                handles += [
                    await operator.delete(coco.component_subpath(name)) for name in before if name not in version
                ]
                for handle in handles:
                    await handle.ready()

    async def main() -> None:
        await coco.mount(coco.component_subpath("live"), Mirror)

    return coco.App("recovery", main)


async def moves(world: World) -> None:
    """Three versions, a loss of power, and one catch-up run."""
    GROUND.reset(world)
    source: list[Source] = [A]
    versions = [world.draw(VERSIONS, label=f"version {number}") for number in range(3)]
    with contextlib.suppress(PowerCut):
        await world.start(app_of(source, versions), live=True)
    await asyncio.sleep(0)
    if world.draw(2, label="another version"):
        source[0] = world.draw(VERSIONS, label="version")
    world.power.stay()
    await world.restart(app_of(source, ()))
    await judge(world, source[0], app_of(source, ()), ("recovery",), ("recovery", "live"))
