"""DUR-1 and DUR-3 while a target is not durable yet: what follows an update before its writes are settled.

The physics of the device: a cell is written at once and survives a power cut when it has been settled, which
waits for a gate. Settling may fail; then nothing of it is durable.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pytest

import liveproof as coco
from liveproof.errors import UnsettledError
from tests.contract.oracle import check_store, read_store, target_of
from tests.contract.test_dur import copy_store
from tests.contract.world import HANG_S, Action, Machine, World, at, declare, run, ticks, until

Cells: TypeAlias = Mapping[str, object]


class Device(World):
    """A target that may lose what is not settled."""

    def __init__(self) -> None:
        super().__init__()
        self.durable: dict[str, Any] = {}
        """What a power cut leaves."""
        self.gate = threading.Event()
        self.gate.set()
        self.settling = 0
        """Calls so far."""
        self.lost = 0
        """How many more settlements fail."""

    def settle(self, actions: Sequence[Action]) -> None:
        self.settling += 1
        assert self.gate.wait(HANG_S), "nobody opened the gate"
        if self.lost:
            self.lost -= 1
            raise OSError("the device has lost writes")
        for key, _ in actions:
            if key in self.target:
                self.durable[key] = self.target[key]
            else:
                self.durable.pop(key, None)


@coco.fn(memo=True)
async def same(value: object) -> object:
    return value


async def item(cells: Cells) -> None:
    for name, value in cells.items():
        declare(name, await same(value))


async def fails_below(cells: Cells) -> None:
    """Mounts a child, and fails."""
    await coco.mount(at("below"), item, {})
    raise LookupError("as it was told to")


class Inner:
    """A live component without anything in it."""

    async def process(self) -> None: ...

    async def process_live(self, operator: coco.LiveComponentOperator) -> None:
        await operator.update_full()


class Scene:
    """A live component with an item for each name of a source, and what is done to them."""

    def __init__(self, tmp_path: Path) -> None:
        self.device = Device()
        self.failures: list[BaseException] = []
        self.machine = Machine(
            tmp_path / "state.db",
            self.device,
            durability="power",
            handler=lambda error, _: self.failures.append(error),
        )
        self.source: dict[str, Cells] = {}
        self.operator: coco.LiveComponentOperator
        self.cut: tuple[Path, dict[str, Any]] | None = None
        """Store and target after a power cut."""

    async def update(self, name: str, cells: Cells) -> None:
        self.source[name] = cells
        handle = await self.operator.update(at(name), item, cells)
        await handle.ready()

    async def try_update(self, name: str, fn: Callable[[Cells], Awaitable[None]], cells: Cells) -> None:
        """An update that fails; the source does not keep it."""
        seen = len(self.failures)
        handle = await self.operator.update(at(name), fn, cells)
        await handle.ready()
        assert len(self.failures) == seen + 1

    async def delete(self, name: str) -> None:
        del self.source[name]
        handle = await self.operator.delete(at(name))
        await handle.ready()

    async def cut_power(self) -> None:
        """Now, when all that waits for nothing has reached the store."""
        await self.update("marker", {"marker": 1})
        path = self.machine.path.with_name("cut.db")
        copy_store(self.machine, path)
        self.cut = path, dict(self.device.durable)

    def run(self, steps: Callable[[Scene], Awaitable[None]] | None = None) -> None:
        """An update of the app, in which these steps are taken while nothing can be settled."""
        scene = self

        class Live:
            async def process(self) -> None:
                for name, cells in scene.source.items():
                    await coco.mount(at(name), item, cells)

            async def process_live(self, operator: coco.LiveComponentOperator) -> None:
                scene.operator = operator
                await operator.update_full()
                if steps is not None:
                    scene.device.gate.clear()
                    try:
                        await steps(scene)
                    finally:
                        scene.device.gate.set()

        async def main() -> None:
            await coco.mount(at("L"), Live)

        run(lambda: self.machine.update(main))
        self.machine.close()

    def check(self) -> None:
        """Target and store are what the source asks for."""
        tree: dict[tuple[str, ...], tuple[int, Cells]] = {(): (0, {}), ("L",): (0, {})}
        for name, cells in self.source.items():
            tree["L", name] = (1, cells)
        assert self.device.target == target_of(tree)
        check_store(read_store(self.machine.path), tree)

    def check_idle(self) -> None:
        """Another run has nothing to do, and leaves the store as it is."""
        self.device.fresh()
        before = read_store(self.machine.path)
        self.run()
        assert (self.device.log, self.device.calls) == ([], 0)
        assert read_store(self.machine.path) == before
        self.check()

    def after_the_cut(self) -> Scene:
        """What starts when the power is back."""
        assert self.cut is not None, "there was one"
        path, durable = self.cut
        other = Scene(path.parent)
        other.machine.path = path
        other.device.target = dict(durable)
        other.device.durable = dict(durable)
        other.source = dict(self.source)
        return other


async def again(scene: Scene) -> None:
    await scene.update("a", {"x": 2})
    await scene.update("a", {"x": 2})


async def thrice(scene: Scene) -> None:
    for _ in range(3):
        await scene.update("a", {"x": 2, "y": 2})


async def fails_to_write_more(scene: Scene) -> None:
    await scene.update("a", {"x": 2})
    scene.device.broken["z"] = 1
    await scene.try_update("a", item, {"x": 2, "z": 2})
    await scene.update("a", {"x": 2})


async def fails_above_a_child(scene: Scene) -> None:
    await scene.update("a", {"x": 2})
    await scene.try_update("a", fails_below, {})


async def taken_over(scene: Scene) -> None:
    await scene.update("a", {"x": 2, "y": 2})
    scene.source["a"] = {"x": 2}
    await scene.update("b", {"y": 2})


async def comes_again_without(scene: Scene) -> None:
    await scene.delete("a")
    await scene.update("a", {})


async def two_turns(scene: Scene) -> None:
    await scene.update("a", {"x": 2})
    await scene.update("a", {"x": 3})
    await scene.update("a", {"x": 3})


FOLLOW_UPS = [
    again,
    thrice,
    fails_to_write_more,
    fails_above_a_child,
    taken_over,
    comes_again_without,
    two_turns,
]


@pytest.mark.parametrize("steps", FOLLOW_UPS)
def test_DUR_3_idle_whatever_followed_before_it_was_settled(
    tmp_path: Path, steps: Callable[[Scene], Awaitable[None]]
) -> None:
    scene = Scene(tmp_path)
    scene.source = {"a": {"x": 1}}
    scene.run()
    scene.run(steps)
    if steps is fails_above_a_child:
        # Of the child, which the failed cycle began, the next run has to know.
        scene.device.fresh()
        scene.run()
        assert scene.device.log == []
    scene.check_idle()


async def removed_then_deleted(scene: Scene) -> None:
    await scene.update("a", {})
    await scene.delete("a")


async def deleted_then_live(scene: Scene) -> None:
    await scene.delete("a")
    handle = await scene.operator.update(at("a"), Inner)
    await handle.ready()


@pytest.mark.parametrize("steps", [*FOLLOW_UPS, removed_then_deleted, deleted_then_live])
def test_DUR_1_converges_after_a_power_cut_before_it_was_settled(
    tmp_path: Path, steps: Callable[[Scene], Awaitable[None]]
) -> None:
    async def cut_short(scene: Scene) -> None:
        await steps(scene)
        await scene.cut_power()

    scene = Scene(tmp_path)
    scene.source = {"a": {"x": 1}}
    scene.run()
    assert scene.device.durable == {"x": "1"}
    scene.run(cut_short)
    assert scene.cut is not None
    assert scene.cut[1] == {"x": "1"}, "nothing was settled"
    after = scene.after_the_cut()
    after.run()
    after.check()
    after.check_idle()
    after.source = {}
    after.run()
    after.check()


@pytest.mark.parametrize("more", [0, 1, 2])
def test_DUR_1_what_failed_to_settle_stays_in_doubt(tmp_path: Path, more: int) -> None:
    """Whatever is settled after it: the store goes on listing what may be there instead."""

    async def steps(scene: Scene) -> None:
        scene.device.lost = 1
        await scene.update("a", {"x": 2})
        await until(lambda: scene.device.settling == before + 1)
        for _ in range(more):
            await scene.update("a", {"x": 2, "y": 2})

    scene = Scene(tmp_path)
    scene.source = {"a": {"x": 1}}
    scene.run()
    before = scene.device.settling
    scene.run(steps)
    row = read_store(scene.machine.path).components["L", "a"]
    assert set(row.targets["x"]) == {"1", "2"}
    scene.device.fresh()
    scene.run()
    assert ("x", "2") in scene.device.log, "written again"
    scene.check_idle()


# ---- FEED-3: who waits for it


def test_settled_waits_for_the_device_and_no_longer(tmp_path: Path) -> None:
    done: list[str] = []

    async def steps(scene: Scene) -> None:
        await scene.operator.settled()
        await scene.update("a", {"x": 2})
        await scene.delete("b")
        waiting = asyncio.create_task(scene.operator.settled())
        await until(lambda: scene.device.settling > before)
        await ticks(20)
        assert not waiting.done()
        assert scene.device.durable == {"x": "1", "y": "1"}
        scene.device.gate.set()
        await waiting
        assert scene.device.durable == {"x": "2"}
        scene.device.gate.clear()
        await scene.operator.settled()
        done.append("all")

    scene = Scene(tmp_path)
    scene.source = {"a": {"x": 1}, "b": {"y": 1}}
    scene.run()
    before = scene.device.settling
    scene.run(steps)
    assert scene.failures == []
    assert done == ["all"]


def test_settled_says_that_something_is_not_durable(tmp_path: Path) -> None:
    done: list[str] = []

    async def steps(scene: Scene) -> None:
        scene.device.gate.set()
        scene.device.lost = 1
        await scene.update("a", {"x": 2})
        with pytest.raises(UnsettledError, match="do not let the source forget it"):
            await scene.operator.settled()
        await scene.update("a", {"x": 3})
        with pytest.raises(UnsettledError):
            await scene.operator.settled()  # what was lost stays lost in this run
        done.append("all")

    scene = Scene(tmp_path)
    scene.source = {"a": {"x": 1}}
    scene.run()
    scene.run(steps)
    assert scene.failures == []
    assert done == ["all"]


def test_settled_waits_for_nothing_that_need_not_survive_a_power_cut(tmp_path: Path) -> None:
    done: list[str] = []

    async def live(operator: coco.LiveComponentOperator) -> None:
        await (await operator.update(at("a"), item, {"x": 1})).ready()
        await operator.settled()
        done.append("all")

    class Live:
        async def process(self) -> None: ...

        async def process_live(self, operator: coco.LiveComponentOperator) -> None:
            await live(operator)

    async def main() -> None:
        await coco.mount(at("L"), Live)

    device = Device()
    device.gate.clear()
    machine = Machine(tmp_path / "state.db", device)
    run(lambda: machine.update(main))
    machine.close()
    assert device.settling == 0
    assert done == ["all"]
