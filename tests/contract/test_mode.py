"""MODE-1 … MODE-3: catch-up, live, and their ends."""



from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

import liveproof as coco
from liveproof.errors import StoppedError
from tests.contract.oracle import Tree, check_store, read_store, target_of
from tests.contract.world import Chance, Machine, World, at, declare, ends, run, running_live, ticks, until

Body = Callable[[coco.LiveComponentOperator], Awaitable[None]]


def live_class(process: Callable[[], Awaitable[None]] | None, body: Body) -> type[Any]:
    """A live component made of two functions."""

    class Live:
        async def process(self) -> None:
            if process is not None:
                await process()

        async def process_live(self, operator: coco.LiveComponentOperator) -> None:
            await body(operator)

    return Live


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "state.db", World())


async def leaf(name: str, value: object = 1, wait: int = 0) -> None:
    await ticks(wait)
    declare(name, value)


# MODE-1 ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("live", [False, True])
def test_MODE_1_only_cleanup_runs_after_mark_ready(machine: Machine, live: bool) -> None:
    log: list[str] = []

    @contextlib.asynccontextmanager
    async def opened(name: str) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await ticks(10)
            log.append(f"left {name}")

    async def body(operator: coco.LiveComponentOperator) -> None:
        async with opened("outer"):
            try:
                async with opened("inner"):
                    await operator.mark_ready()
                    log.append("after")
            except Exception:  # noqa: BLE001 - must not see the end
                log.append("except")
            else:
                log.append("else")
            finally:
                await ticks(10)
                log.append("finally")
            log.append("after the block")

    async def main() -> None:
        await coco.mount(at("L"), live_class(None, body))

    run(lambda: machine.update(main, live=live))
    if live:
        assert log == ["after", "left inner", "else", "finally", "after the block", "left outer"]
    else:
        assert log == ["left inner", "finally", "left outer"]


def test_MODE_1_every_task_that_marks_ends_there(machine: Machine) -> None:
    log: list[str] = []

    async def body(operator: coco.LiveComponentOperator) -> None:
        async def one(number: int) -> None:
            await ticks(number)
            await operator.mark_ready()
            log.append(f"after {number}")

        tasks = [asyncio.create_task(one(number)) for number in range(4)]
        try:
            await asyncio.Event().wait()
        finally:
            await ticks(10)
            log.append("clean")
            for task in tasks:
                task.cancel()

    async def main() -> None:
        await coco.mount(at("L"), live_class(None, body))

    run(lambda: machine.update(main))
    assert log == ["clean"]


def test_MODE_1_a_watch_loop_in_another_task_ends_too(machine: Machine) -> None:
    log: list[str] = []

    async def body(operator: coco.LiveComponentOperator) -> None:
        async def scan() -> None:
            await operator.update_full()
            await operator.mark_ready()
            log.append("after")

        async def watch() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                log.append("watch ended")

        async with asyncio.TaskGroup() as group:
            group.create_task(watch())
            group.create_task(scan())
        log.append("after the group")

    async def main() -> None:
        await coco.mount(at("L"), live_class(None, body))

    run(lambda: machine.update(main))
    assert log == ["watch ended"]


@pytest.mark.parametrize("live", [False, True])
def test_MODE_1_cleanup_is_not_interrupted_by_a_deletion(machine: Machine, live: bool) -> None:
    log: list[str] = []

    async def inner(operator: coco.LiveComponentOperator) -> None:
        try:
            await operator.mark_ready()
            await asyncio.Event().wait()
        finally:
            await ticks(60)
            log.append("clean")

    async def outer(operator: coco.LiveComponentOperator) -> None:
        handle = await operator.update(at("i"), live_class(None, inner))
        await handle.ready()
        await ticks(10)
        handle = await operator.delete(at("i"))
        await handle.ready()

    async def main() -> None:
        await coco.mount(at("L"), live_class(None, outer))

    run(lambda: machine.update(main, live=live))
    assert log == ["clean"]


def test_MODE_1_cleanup_is_not_interrupted_by_a_cancellation(machine: Machine) -> None:
    log: list[str] = []

    async def body(operator: coco.LiveComponentOperator) -> None:
        try:
            await operator.mark_ready()
        finally:
            log.append("begun")
            await ticks(60)
            log.append("clean")

    async def main() -> None:
        await coco.mount(at("L"), live_class(None, body))

    async def go() -> None:
        task = asyncio.ensure_future(machine.update(main))
        await until(lambda: log == ["begun"])
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, StoppedError):
            await task

    run(go)
    assert log == ["begun", "clean"]


def test_MODE_1_operator_is_of_no_use_afterwards(machine: Machine) -> None:
    kept: list[coco.LiveComponentOperator] = []

    async def body(operator: coco.LiveComponentOperator) -> None:
        kept.append(operator)
        try:
            await operator.mark_ready()
        finally:
            with pytest.raises(RuntimeError):
                await operator.update(at("x"), leaf, "x")

    async def main() -> None:
        handle = await coco.mount(at("L"), live_class(None, body))
        await handle.ready()
        await ticks(20)
        for call in (kept[0].update_full, lambda: kept[0].delete(at("x"))):
            with pytest.raises(RuntimeError):
                await call()

    run(lambda: machine.update(main))
    assert machine.world.target == {}


# MODE-2 ---------------------------------------------------------------------------------------------------


class Source:
    """A dictionary that changes, and tells of it in order."""

    def __init__(self) -> None:
        self.now: dict[str, int] = {}
        self.changes: asyncio.Queue[str] = asyncio.Queue()
        self.told = 0

    def change(self, key: str, value: int | None) -> None:
        if value is None:
            self.now.pop(key, None)
        else:
            self.now[key] = value
        self.changes.put_nowait(key)


class SourceView:
    """A live view of a source."""

    def __init__(self, source: Source) -> None:
        self.source = source

    async def __aiter__(self) -> AsyncIterator[tuple[str, int]]:
        for key, value in list(self.source.now.items()):
            await ticks(1)
            yield key, value

    async def watch(self, subscriber: Any) -> None:
        await subscriber.update_all()
        await subscriber.mark_ready()
        while True:
            key = await self.source.changes.get()
            value = self.source.now.get(key)
            handle = await (subscriber.delete(key) if value is None else subscriber.update(key, value))
            if self.source.changes.empty():
                await handle.ready()
            self.source.told += 1


def test_MODE_2_live_and_catch_up_agree(tmp_path: Path) -> None:
    for seed in range(40):
        chance = Chance(seed)
        place = World(chance)
        machine = Machine(tmp_path / f"{seed}.db", place, limit=chance.pick([None, 1, 2]))
        source = Source()
        for key in ("a", "b"):
            source.now[key] = 0

        async def item(value: int, name: str = "", chance: Chance = chance) -> None:
            await chance.ticks(3)
            key = coco.get_component_context().path[-1]
            declare(str(key), value)

        async def main(source: Source = source, item: Any = item) -> None:
            await coco.mount_each(at("m"), item, SourceView(source))

        async def go(
            source: Source = source, chance: Chance = chance, machine: Machine = machine, main: Any = main
        ) -> None:
            async with running_live(machine, main):
                for value in range(1, 16):
                    await chance.ticks(15)
                    source.change(chance.pick(["a", "b", "c"]), None if chance.chance(30) else value)
                await until(lambda: source.told == 15)

        run(go)
        machine.close()
        wanted: Tree = {
            (): (0, {}),
            ("m",): (0, {}),
            **{("m", key): (1, {key: value}) for key, value in source.now.items()},
        }
        assert place.target == target_of(wanted), f"seed {seed}"
        check_store(read_store(machine.path), wanted)
        place.fresh()
        run(lambda machine=machine, main=main: machine.update(main))  # type: ignore[misc]
        machine.close()
        assert place.log == [], f"seed {seed}"
        check_store(read_store(machine.path), wanted)


# MODE-3 ---------------------------------------------------------------------------------------------------


def test_MODE_3_live_ends_with_the_last_process_live(machine: Machine) -> None:
    gates = [asyncio.Event(), asyncio.Event()]
    ended: list[int] = []

    async def main() -> None:
        for number, gate in enumerate(gates):

            async def body(
                operator: coco.LiveComponentOperator, number: int = number, gate: asyncio.Event = gate
            ) -> None:
                await operator.mark_ready()
                await gate.wait()
                ended.append(number)

            await coco.mount(at(number), live_class(None, body))

    async def go() -> None:
        task = asyncio.ensure_future(machine.update(main, live=True))
        await ticks(100)
        assert not task.done()
        gates[1].set()
        await until(lambda: ended == [1])
        await ticks(100)
        assert not task.done()
        gates[0].set()
        await ends(task)

    run(go)
    assert ended == [1, 0]


def test_MODE_3_live_without_live_components_ends(machine: Machine) -> None:
    async def main() -> None:
        await coco.mount(at("a"), leaf, "a")

    run(lambda: machine.update(main, live=True))
    assert machine.world.target == {"a": "1"}


def forest(chance: Chance, log: list[str], handles: list[coco.ComponentMountHandle]) -> Callable[[], Any]:
    """An app with everything in it; it never ends in live mode."""

    async def node(name: str, depth: int) -> None:
        log.append(f"start {name}")
        await chance.ticks(3)
        declare(name, 1)
        for number in range(2 if depth else 0):
            handles.append(await coco.mount(at(number), node, f"{name}.{number}", depth - 1))
        if depth == 1:
            await coco.use_mount(at("u"), node, f"{name}.u", 0)
        await chance.ticks(3)

    async def process() -> None:
        declare("full", 1)
        handles.append(await coco.mount(at("in"), node, "full.in", 1))
        await chance.ticks(3)

    async def body(operator: coco.LiveComponentOperator) -> None:
        try:
            await operator.update_full()
            handles.append(await operator.update(at("one"), node, "one", 1))
            await operator.mark_ready()
            while True:
                handles.append(await operator.update(at("one"), node, "one", 1))
                handles.append(await operator.delete(at("two")))
                handles.append(await operator.update(at("two"), node, "two", 0))
                await chance.ticks(20)
                if chance.chance(30):
                    await operator.update_full()
        finally:
            await ticks(3)
            log.append("left process_live")

    async def main() -> None:
        handles.append(await coco.mount(at("L"), live_class(process, body)))
        handles.append(await coco.mount(at("P"), node, "plain", 2))
        await handles[0].ready()
        await chance.ticks(5)

    return main


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("limit", [None, 1, 3])
def test_MODE_3_cancelled_at_any_moment(tmp_path: Path, live: bool, limit: int | None) -> None:
    for seed in range(25):
        chance = Chance(seed)
        place = World(chance)
        machine = Machine(tmp_path / f"{seed}.db", place, limit=limit)
        log: list[str] = []
        handles: list[coco.ComponentMountHandle] = []
        main = forest(chance, log, handles)

        async def go(
            machine: Machine = machine,
            main: Any = main,
            chance: Chance = chance,
            log: list[str] = log,
            handles: list[coco.ComponentMountHandle] = handles,
            seed: int = seed,
        ) -> None:
            before = asyncio.all_tasks()
            task = asyncio.ensure_future(machine.update(main, live=live))
            await ticks(chance.below(160))
            task.cancel()
            await ticks(1)
            started = len(log)
            with contextlib.suppress(asyncio.CancelledError):
                await ends(task)
            new = [entry for entry in log[started:] if entry.startswith("start")]
            assert new == [], f"seed {seed}: {new} started after the cancellation"
            await ticks(3)
            assert asyncio.all_tasks() == before, f"seed {seed}: tasks left over"
            for handle in handles:
                with contextlib.suppress(StoppedError):
                    await ends(handle.ready())

        run(go)
        machine.close()
        # What was submitted is on record; a catch-up run on the same source converges.
        contents = read_store(machine.path)
        for name in place.target:
            assert name in contents.owners, f"seed {seed}: {name} is in the target and nobody knows"
        quiet = Chance(seed)
        calm = forest(quiet, [], [])
        run(lambda machine=machine, calm=calm: machine.update(calm))  # type: ignore[misc]
        machine.close()
        names = {row_name for row in read_store(machine.path).components.values() for row_name in row.targets}
        assert set(place.target) == names
        assert {"full", "one", "plain", "plain.0.1", "full.in.u"} <= names
        for row in read_store(machine.path).components.values():
            assert all(held == ["1"] for held in row.targets.values()), "nothing is in doubt"


def test_MODE_3_a_running_submission_finishes(machine: Machine) -> None:
    begun = asyncio.Event()
    gate = asyncio.Event()

    async def slowly(actions: Any) -> None:
        begun.set()
        await gate.wait()

    machine.world.before = slowly

    async def main() -> None:
        await coco.mount(at("a"), leaf, "a")
        await asyncio.Event().wait()

    async def go() -> None:
        task = asyncio.ensure_future(machine.update(main))
        await begun.wait()
        task.cancel()
        await ticks(50)
        assert not task.done(), "it waits for the submission"
        gate.set()
        with pytest.raises(asyncio.CancelledError):
            await ends(task)

    run(go)
    machine.close()
    assert machine.world.target == {"a": "1"}
    row = read_store(machine.path).components["a",]
    assert row.targets == {"a": ["1"]}, "committed, not in doubt"


def test_MODE_3_cancelled_while_it_waits_for_its_turn(machine: Machine) -> None:
    gate = asyncio.Event()

    async def main() -> None:
        await gate.wait()

    async def go() -> None:
        app = machine.app(main)
        first = asyncio.ensure_future(app.update().result())
        await ticks(10)
        second = asyncio.ensure_future(app.update().result())
        await ticks(10)
        second.cancel()
        try:
            with pytest.raises(asyncio.CancelledError):
                await ends(second)
        finally:
            gate.set()
            await first

    run(go)


def test_MODE_3_cancelled_before_it_began(machine: Machine) -> None:
    async def main() -> None:
        declare("never", 1)

    async def go() -> None:
        handle = machine.app(main).update()
        handle.stop()
        with pytest.raises(StoppedError):
            await ends(handle.result())

    run(go)
    assert machine.world.target == {}
