"""RDY-1 … RDY-5: when a live component is ready."""



from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

import liveproof as coco
from tests.contract.world import Chance, Machine, World, at, declare, ends, run, running_live, ticks, until

Body = Callable[["Scene", coco.LiveComponentOperator], Awaitable[None]]


class Scene:
    """One live component in an app, and what is seen of it."""

    def __init__(self, path: Path, body: Body, *, raising: bool = False, limit: int | None = None) -> None:
        self.body = body
        self.raising = raising
        self.log: list[str] = []
        self.reports: list[BaseException] = []
        self.outcome: str = "nobody looked"
        self.target_at_ready: dict[str, Any] | None = None
        self.world = World()
        self.machine = Machine(path / "state.db", self.world, handler=self.handler, limit=limit)
        self.process: Callable[[], Awaitable[None]] | None = None
        self.refuses_to_begin = False
        self.spare: asyncio.Task[None] | None = None

    def handler(self, error: BaseException, context: coco.ExceptionContext) -> None:
        self.reports.append(error)
        if self.raising:
            raise LookupError("from the handler")

    def component(self) -> type[Any]:
        scene = self

        class Live:
            def __init__(self) -> None:
                if scene.refuses_to_begin:
                    raise ValueError("from __init__")

            async def process(self) -> None:
                scene.log.append("process")
                if scene.process is not None:
                    await scene.process()

            async def process_live(self, operator: coco.LiveComponentOperator) -> None:
                await scene.body(scene, operator)

        return Live

    async def main(self) -> None:
        handle = await coco.mount(at("L"), self.component())
        looking = [asyncio.create_task(self.look(handle)) for _ in range(3)]
        await ticks(2)
        looking.append(asyncio.create_task(self.look(handle)))
        outcomes = [await task for task in looking]
        outcomes.append(await self.look(handle))  # And once it is all over.
        assert len(set(outcomes)) == 1, outcomes
        self.outcome = outcomes[0]
        self.log.append("ready")

    async def look(self, handle: coco.ComponentMountHandle) -> str:
        try:
            await handle.ready()
        except Exception as error:  # noqa: BLE001 - what is asked for
            return repr(error)
        finally:
            if self.target_at_ready is None:
                self.target_at_ready = dict(self.world.target)
        return "ready"

    def play(self, *, live: bool) -> None:
        """Run it; live, until it has ended by itself."""
        run(lambda: self.machine.update(self.main, live=live))


async def leaf(name: str, wait: int = 0) -> None:
    await ticks(wait)
    declare(name, 1)


# Ways to behave -----------------------------------------------------------------------------------------


async def returns_at_once(scene: Scene, operator: coco.LiveComponentOperator) -> None:
    pass


async def returns_after_work(scene: Scene, operator: coco.LiveComponentOperator) -> None:
    await operator.update(at("x"), leaf, "x", 20)


async def marks_twice(scene: Scene, operator: coco.LiveComponentOperator) -> None:
    with contextlib.suppress(Exception):
        await operator.mark_ready()
    await operator.mark_ready()


async def marks_in_finally(scene: Scene, operator: coco.LiveComponentOperator) -> None:
    try:
        await operator.update_full()
    finally:
        await operator.mark_ready()


async def marks_in_a_group(scene: Scene, operator: coco.LiveComponentOperator) -> None:
    async def child() -> None:
        await operator.update_full()
        await operator.mark_ready()

    async with asyncio.TaskGroup() as group:
        group.create_task(child())


async def marks_in_two_tasks(scene: Scene, operator: coco.LiveComponentOperator) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(operator.mark_ready())
        group.create_task(operator.mark_ready())


async def marks_in_a_detached_task(scene: Scene, operator: coco.LiveComponentOperator) -> None:
    async def child() -> None:
        await operator.mark_ready()

    scene.spare = asyncio.create_task(child())
    with contextlib.suppress(Exception):
        await scene.spare


async def waits_for_the_marking_task_in_finally(scene: Scene, operator: coco.LiveComponentOperator) -> None:
    async def child() -> None:
        await operator.update_full()
        await operator.mark_ready()

    task = asyncio.create_task(child())
    try:
        await asyncio.shield(task)
    finally:
        await asyncio.gather(task, return_exceptions=True)


async def marks_under_a_timeout(scene: Scene, operator: coco.LiveComponentOperator) -> None:
    async with asyncio.timeout(60):
        await operator.mark_ready()


async def marks_by_wait_for(scene: Scene, operator: coco.LiveComponentOperator) -> None:
    await asyncio.wait_for(operator.mark_ready(), 60)


async def marks_under_a_shield(scene: Scene, operator: coco.LiveComponentOperator) -> None:
    await asyncio.shield(operator.mark_ready())


async def swallows_everything(scene: Scene, operator: coco.LiveComponentOperator) -> None:
    try:
        await operator.mark_ready()
    except BaseException:  # noqa: BLE001 - the point
        scene.log.append("swallowed")


async def returns_with_a_detached_mark(scene: Scene, operator: coco.LiveComponentOperator) -> None:
    async def child() -> None:
        with contextlib.suppress(RuntimeError):
            await operator.mark_ready()

    await operator.update(at("x"), leaf, "x", 20)
    scene.spare = asyncio.create_task(child())
    await ticks(1)


GOOD: list[Body] = [
    returns_at_once,
    returns_after_work,
    marks_twice,
    marks_in_finally,
    marks_in_a_group,
    marks_in_two_tasks,
    marks_in_a_detached_task,
    waits_for_the_marking_task_in_finally,
    marks_under_a_timeout,
    marks_by_wait_for,
    marks_under_a_shield,
    swallows_everything,
    returns_with_a_detached_mark,
]


async def raises(scene: Scene, operator: coco.LiveComponentOperator) -> None:
    raise ValueError("from process_live")


async def raises_with_work_under_way(scene: Scene, operator: coco.LiveComponentOperator) -> None:
    await operator.update(at("x"), leaf, "x", 20)
    raise ValueError("from process_live")


async def raises_in_a_group(scene: Scene, operator: coco.LiveComponentOperator) -> None:
    async def child() -> None:
        raise ValueError("from a child")

    async with asyncio.TaskGroup() as group:
        group.create_task(child())
        group.create_task(asyncio.Event().wait())


async def raises_and_marks_in_finally(scene: Scene, operator: coco.LiveComponentOperator) -> None:
    try:
        raise ValueError("from process_live")
    finally:
        await operator.mark_ready()


async def is_cancelled_from_inside(scene: Scene, operator: coco.LiveComponentOperator) -> None:
    raise asyncio.CancelledError


async def cancels_itself(scene: Scene, operator: coco.LiveComponentOperator) -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await operator.update_full()


async def is_cancelled_with_work_under_way(scene: Scene, operator: coco.LiveComponentOperator) -> None:
    await operator.update(at("x"), leaf, "x", 20)
    raise asyncio.CancelledError


BAD: list[Body] = [
    raises,
    raises_with_work_under_way,
    raises_in_a_group,
    raises_and_marks_in_finally,
    is_cancelled_from_inside,
    cancels_itself,
    is_cancelled_with_work_under_way,
]


def name_of(body: object) -> str:
    return getattr(body, "__name__", str(body))


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("limit", [None, 1])
@pytest.mark.parametrize("body", GOOD, ids=name_of)
def test_RDY_1_and_3_good_ends(tmp_path: Path, body: Body, live: bool, limit: int | None) -> None:
    scene = Scene(tmp_path, body, limit=limit)
    scene.play(live=live)
    assert scene.outcome == "ready"
    assert scene.reports == []


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("raising", [False, True])
@pytest.mark.parametrize("body", BAD, ids=name_of)
def test_RDY_1_and_3_bad_ends(tmp_path: Path, body: Body, live: bool, raising: bool) -> None:
    scene = Scene(tmp_path, body, raising=raising)
    scene.play(live=live)
    assert len(scene.reports) == 1, scene.reports
    if body is raises_and_marks_in_finally:
        assert scene.outcome == "ready", "it said so itself, before the failure was known"
    else:
        assert scene.outcome == ("LookupError('from the handler')" if raising else "ready")


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("raising", [False, True])
@pytest.mark.parametrize("where", ["__init__", "process"])
def test_RDY_1_failures_before_the_scan_is_over(tmp_path: Path, where: str, live: bool, raising: bool) -> None:
    async def scan(scene: Scene, operator: coco.LiveComponentOperator) -> None:
        await operator.update_full()
        await operator.mark_ready()

    async def process() -> None:
        raise ValueError("from process")

    scene = Scene(tmp_path, scan, raising=raising)
    if where == "process":
        scene.process = process
    else:
        scene.refuses_to_begin = True
    scene.play(live=live)
    assert scene.reports[0].args == (f"from {where}",)
    assert scene.outcome == ("LookupError('from the handler')" if raising else "ready")


@pytest.mark.parametrize("live", [False, True])
def test_RDY_1_raising_after_mark_ready(tmp_path: Path, live: bool) -> None:
    async def body(scene: Scene, operator: coco.LiveComponentOperator) -> None:
        try:
            await operator.mark_ready()
        finally:
            raise ValueError("after")

    scene = Scene(tmp_path, body)
    scene.play(live=live)
    assert scene.outcome == "ready"
    assert [repr(error) for error in scene.reports] == ["ValueError('after')"]


def test_RDY_1_a_cancelled_waiter_harms_nobody(tmp_path: Path) -> None:
    async def body(scene: Scene, operator: coco.LiveComponentOperator) -> None:
        await operator.update(at("x"), leaf, "x", 30)
        await operator.mark_ready()

    scene = Scene(tmp_path, body, limit=1)

    async def main() -> None:
        handle = await coco.mount(at("L"), scene.component())
        impatient = asyncio.create_task(handle.ready())
        await ticks(3)
        impatient.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await impatient
        await handle.ready()
        assert scene.world.target == {"x": "1"}

    run(lambda: scene.machine.update(main))


@pytest.mark.parametrize("live", [False, True])
def test_RDY_2_what_was_invoked_before_is_applied(tmp_path: Path, live: bool) -> None:
    for seed in range(40):
        chance = Chance(seed)
        folder = tmp_path / str(seed)
        folder.mkdir()

        async def body(scene: Scene, operator: coco.LiveComponentOperator, chance: Chance = chance) -> None:
            async def process() -> None:
                await coco.mount(at("full"), leaf, "full", chance.below(8))

            scene.process = process
            full = asyncio.create_task(operator.update_full())
            await ticks(1)
            for name in ("p", "q", "r"):
                await operator.update(at(name), leaf, name, chance.below(8))
                await chance.ticks(5)
            await operator.delete(at("q"))
            await operator.mark_ready()
            await full

        scene = Scene(folder, body, limit=chance.pick([None, 1, 2]))
        scene.world.chance = chance
        scene.play(live=live)
        assert scene.outcome == "ready"
        assert scene.target_at_ready == {"full": "1", "p": "1", "r": "1"}, f"seed {seed}"


def test_RDY_2_process_live_that_only_returns(tmp_path: Path) -> None:
    scene = Scene(tmp_path, returns_after_work)
    scene.play(live=True)
    assert scene.target_at_ready == {"x": "1"}


@pytest.mark.parametrize("live", [False, True])
def test_RDY_4_once(tmp_path: Path, live: bool) -> None:
    async def body(scene: Scene, operator: coco.LiveComponentOperator) -> None:
        await operator.mark_ready()
        for turn in range(3):
            await operator.update(at("x"), leaf, "x", 3)
            await operator.mark_ready()
            scene.log.append(f"turn {turn}")
        raise ValueError("too late for ready()")

    scene = Scene(tmp_path, body, raising=True)
    scene.play(live=live)
    assert scene.outcome == "ready"
    assert [entry for entry in scene.log if entry != "ready"] == (["turn 0", "turn 1", "turn 2"] if live else [])


def test_RDY_5_not_before_mark_ready(tmp_path: Path) -> None:
    gate = asyncio.Event()

    async def body(scene: Scene, operator: coco.LiveComponentOperator) -> None:
        await operator.update_full()
        await operator.update(at("x"), leaf, "x")
        await gate.wait()
        scene.log.append("marking")
        await operator.mark_ready()
        await asyncio.Event().wait()

    scene = Scene(tmp_path, body)

    async def go() -> None:
        async with running_live(scene.machine, scene.main):
            await until(lambda: scene.world.target == {"x": "1"})
            await ticks(50)
            assert "ready" not in scene.log
            gate.set()
            await until(lambda: "ready" in scene.log)
            assert scene.log == ["process", "marking", "ready"]

    run(go)


def test_RDY_5_not_before_a_raising_process_live_has_seen_its_operations_end(tmp_path: Path) -> None:
    scene = Scene(tmp_path, raises_with_work_under_way)
    scene.play(live=True)
    assert scene.target_at_ready == {"x": "1"}


@pytest.mark.parametrize("limit", [1, 2])
def test_RDY_1_handles_awaited_everywhere(tmp_path: Path, limit: int) -> None:
    for seed in range(30):
        chance = Chance(seed)
        place = World(chance)
        machine = Machine(tmp_path / f"{seed}.db", place, limit=limit)
        handles: list[coco.ComponentMountHandle] = []

        async def node(depth: int, chance: Chance = chance, handles: Any = handles) -> None:
            await chance.ticks(2)
            declare(f"n{depth}.{len(handles)}", 1)
            if depth:
                mine = [await coco.mount(at(i), node, depth - 1) for i in range(2)]
                handles += mine
                waiting = [asyncio.create_task(handle.ready()) for handle in mine]
                if chance.chance(50):
                    await coco.use_mount(at("u"), node, 0)
                if chance.chance(70):
                    await asyncio.gather(*waiting)
                else:
                    for task in waiting:
                        task.cancel()
                    await asyncio.gather(*waiting, return_exceptions=True)

        async def main() -> None:
            await node(3)

        run(lambda machine=machine, main=main: machine.update(main))  # type: ignore[misc]

        async def after(handles: Any = handles) -> None:
            for handle in handles:
                await ends(handle.ready())

        run(after)
