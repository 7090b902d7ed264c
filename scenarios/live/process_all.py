"""The page's ``ProcessAll``, plain and live, over a dictionary that changes between and during runs.

Contract: MODE-1 to MODE-3, GC-1, RDY-3, DUR-3, ORD-2.
"""

from __future__ import annotations

import asyncio
from typing import Any

import liveproof as coco
from liveproof_sim import World
from liveproof_sim.fakes.targets import Target
from scenarios.live.programs import at


@coco.fn(memo=True)
async def one(target_name: str, key: str, value: int) -> None:
    """An item of its own, remembered."""
    await asyncio.sleep(0)
    TARGETS[target_name].declare(key, value)


TARGETS: dict[str, Target] = {}


class ProcessAll:
    """As on the page; with an item that is a component, for memos."""

    def __init__(self, data: dict[str, int], target: Target) -> None:
        self.data = data
        self.target = target

    async def process(self) -> None:
        for key, value in self.data.items():
            if key.startswith("m"):
                await coco.mount(at(key), one, self.target.name, key, value)
            else:
                self.target.declare(key, value)

    async def process_live(self, operator: coco.LiveComponentOperator) -> None:
        await operator.update_full()


async def process_all(world: World) -> None:
    """Catch up, change, catch up again, live or not; an idle run does nothing."""
    contract = world.contract()
    target = TARGETS["process_all"] = world.target("process_all")
    data = {"a": 1, "b": 2, "m1": 3, "m2": 4}

    async def main() -> None:
        await coco.mount(at("all"), ProcessAll, data, target)

    app = coco.App("process_all", main)
    for number in range(3):
        await world.start(app, live=bool(world.draw(2, label="live")))
        assert target.entries == data
        with contract.idle():
            await world.start(app, live=bool(world.draw(2, label="live")))
        key = world.draw(["a", "m1", "n", "m3"], label="key")
        if world.draw(2, label="remove"):
            data.pop(key, None)
        else:
            data[key] = 10 + number
    await world.start(app, live=True)
    contract.agree(target.entries, (await world.afresh(app))["process_all"])


async def racing(world: World) -> None:
    """Several full updates and single ones at once: the last scan, and what came after it, is what counts."""
    contract = world.contract()
    target = TARGETS["racing"] = world.target("racing")
    data = {"a": 1, "b": 1, "m1": 1}
    log: list[Any] = []

    class Live(ProcessAll):
        async def process_live(self, operator: coco.LiveComponentOperator) -> None:
            async def scan(number: int) -> None:
                data["a"] = number
                log.append("full")
                await operator.update_full()

            async def single(number: int) -> None:
                await asyncio.sleep(0)
                log.append(number)
                handle = await operator.update(at("single"), one, target.name, "single", number)
                await handle.ready()

            async with asyncio.TaskGroup() as group:
                group.create_task(scan(2))
                group.create_task(single(2))
                group.create_task(scan(3))
                group.create_task(single(3))
            await operator.mark_ready()

    async def main() -> None:
        await coco.mount(at("all"), Live, data, target)

    await world.start(coco.App("racing", main), live=True)
    after = log[len(log) - log[::-1].index("full") :]
    expected = dict(data) | ({"single": after[-1]} if after else {})
    contract.means(log, expected, target.entries)
