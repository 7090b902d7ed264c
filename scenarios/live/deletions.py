"""Deletions that race with everything else: full updates, re-creation, moves, failing sinks, what is live.

Contract: GC-1 to GC-5, ORD-5, FAIL-2, DUR-2, DUR-3.
"""

from __future__ import annotations

import asyncio
from typing import Any

import liveproof as coco
from liveproof_sim import World
from liveproof_sim.fakes.targets import Target
from scenarios.live.programs import at


async def leaf(target: Target, name: str, value: Any) -> None:
    await asyncio.sleep(0)
    target.declare(name, value)


async def branch(target: Target, name: str, leaves: dict[str, Any]) -> None:
    target.declare(name, sorted(leaves))
    for key, value in leaves.items():
        await coco.mount(at(key), leaf, target, f"{name}.{key}", value)


async def retried(world: World) -> None:
    """Sinks fail; a failed deletion is tried again; when the faults are over, one run puts all right."""
    world.contract()
    world.faults.enable("target", budget=3)
    target = world.target("retried", lanes=2)
    world.exception_handler = lambda _error, _context: None
    wanted: dict[str, dict[str, Any]] = {"a": {"x": 1, "y": 1}, "b": {"x": 1}, "c": {}}

    async def main() -> None:
        for name, leaves in wanted.items():
            await coco.mount(at(name), branch, target, name, leaves)

    app = coco.App("retried", main)
    await world.start(app)
    wanted["a"] = {"y": 2}
    del wanted["b"]
    await world.start(app)
    wanted["b"] = {"z": 3}
    del wanted["c"]
    await world.start(app)
    world.faults.disable()
    await world.start(app)
    expected: dict[str, Any] = {}
    for name, leaves in wanted.items():
        expected[name] = sorted(leaves)
        expected.update({f"{name}.{key}": value for key, value in leaves.items()})
    assert target.entries == expected, target.entries
    with world.contract().idle():
        await world.start(app)


class Nest:
    """A live component inside: it lingers until it is drained, or ends."""

    def __init__(self, target: Target, name: str, value: Any, lingers: bool) -> None:
        self.target = target
        self.name = name
        self.value = value
        self.lingers = lingers

    async def process(self) -> None:
        self.target.declare(self.name, self.value)
        await coco.mount(at("x"), leaf, self.target, f"{self.name}.x", self.value)

    async def process_live(self, operator: coco.LiveComponentOperator) -> None:
        await operator.update_full()
        await operator.mark_ready()
        await operator.update(at("y"), leaf, self.target, f"{self.name}.y", self.value)
        if self.lingers:
            await asyncio.Event().wait()


async def recreated(world: World) -> None:
    """A child, plain or live, is deleted and made again at once, while full updates race with it."""
    contract = world.contract()
    target = world.target("recreated")
    scanned = world.draw(["plain", "live"], label="scanned")
    remade = world.draw(["plain", "live"], label="remade")
    capacity = world.draw([None, 1, 2], label="limit")
    full = world.draw(["none", "before", "beside"], label="full")

    def child(how: str, value: int) -> tuple[Any, ...]:
        if how == "plain":
            return branch, target, "c", {"x": value}
        return Nest, target, "c", value, True

    class Live:
        async def process(self) -> None:
            await coco.mount(at("d"), leaf, target, "d", 1)
            if scanned == "live":
                await coco.mount(at("c"), Nest, target, "c", 1, True)
            else:
                await coco.mount(at("c"), branch, target, "c", {"x": 1})

        async def process_live(self, operator: coco.LiveComponentOperator) -> None:
            await operator.update_full()
            await operator.mark_ready()
            beside = asyncio.create_task(operator.update_full()) if full == "beside" else None
            if full == "before":
                await operator.update_full()
            gone = await operator.delete(at("c"))
            made = await operator.update(at("c"), *child(remade, 2))
            await gone.ready()
            await made.ready()
            if beside is None:
                value = target.entries["c"]
                assert value == (2 if remade == "live" else ["x"]), value
                assert target.entries["c.x"] == 2
            else:
                await beside
            gone = await operator.delete(at("c"))
            await gone.ready()
            assert "c" not in target.entries
            assert not [key for key in target.entries if key.startswith("c.")], target.entries

    async def main() -> None:
        await coco.mount(at("live"), Live)

    config = coco.AppConfig("recreated", max_inflight_components=capacity)
    await world.start(coco.App(config, main), live=True)
    contract.means([scanned, remade, full], {"d": 1}, target.entries)


async def moved(world: World) -> None:
    """Target states move between components, in one run or from run to run; each is written once, and is
    never absent at the end."""
    world.contract()
    target = world.target("moved")
    homes = ("a", "b", "c")
    keys = ("k", "l", "m")
    at_home: dict[str, str] = {}

    async def home(name: str) -> None:
        await asyncio.sleep(0)
        for key, where in at_home.items():
            if where == name:
                target.declare(key, f"{key}!")

    async def main() -> None:
        for name in homes:
            if name in at_home.values() or world.draw(2, label="empty home"):
                await coco.mount(at(name), home, name)

    app = coco.App("moved", main)
    for number in range(3):
        for key in keys:
            at_home[key] = world.draw(homes, label="home")
        before = len(target.history)
        await world.start(app)
        assert target.entries == {key: f"{key}!" for key in keys}
        written = [each.keys[0] for each in target.history[before:] if not each.removed]
        assert len(written) == len(dict.fromkeys(written)), f"GC-4: run {number} wrote {written}"
    with world.contract().idle():
        await world.start(app)


async def containers(world: World) -> None:
    """Containers are made, filled, emptied and removed, their contents by other components than they."""
    world.contract()
    target = world.target("containers")
    wanted: dict[str, list[str]] = {"p": ["x", "y"], "q": ["x"]}

    async def filled(provider: coco.TargetStateProvider[Any, Any], key: str) -> None:
        await asyncio.sleep(0)
        coco.declare_target_state(provider.target_state(key, f"{key}!"))

    async def main() -> None:
        for name, inside in wanted.items():
            provider = await coco.mount_target(target.container(name))
            for key in inside:
                await coco.mount(at(name, key), filled, provider, key)

    app = coco.App("containers", main)
    for _ in range(3):
        await world.start(app)
        assert target.entries == {name: {key: f"{key}!" for key in inside} for name, inside in wanted.items()}
        match world.draw(4, label="change"):
            case 0:
                wanted.pop("q", None)
            case 1:
                wanted["q"] = ["y", "z"]
            case 2:
                wanted["p"] = ["x"]
            case _:
                wanted.pop("p", None)
    await world.start(app)
    with world.contract().idle():
        await world.start(app)
