"""DUR-1 … DUR-5, as far as one process can show: crashes are copies of the store's file and of the target."""



from __future__ import annotations

import asyncio
import itertools
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest

import liveproof as coco
from liveproof.backends.sqlite_store import SqliteStore
from tests.contract.oracle import Tree, check_store, read_store, target_of
from tests.contract.test_gc import grow, next_tree
from tests.contract.trees import Grower, Node
from tests.contract.world import Action, Chance, Machine, World, at, declare, run, ticks


def copy_store(machine: Machine, to: Path) -> None:
    """What a new process would find if this one died now."""
    for suffix in ("", "-wal", "-noted"):
        source = machine.path.with_name(machine.path.name + suffix)
        if source.exists():
            shutil.copyfile(source, to.with_name(to.name + suffix))


class Crashes:
    """Copies of the store and the target, taken at random moments."""

    def __init__(self, machine: Machine, folder: Path, chance: Chance, *, most: int) -> None:
        self.machine = machine
        self.folder = folder
        self.chance = chance
        self.most = most
        self.taken: list[tuple[Path, dict[str, Any]]] = []

    def take(self) -> None:
        if len(self.taken) < self.most and self.machine.path.exists():
            to = self.folder / f"crash{len(self.taken)}.db"
            copy_store(self.machine, to)
            self.taken.append((to, dict(self.machine.world.target)))

    def at_sink(self, actions: Sequence[Action]) -> None:
        """Before some of the sink's calls."""
        if self.chance.chance(40):
            self.take()

    async def beside(self) -> None:
        """At any other moment."""
        while True:
            await ticks(1 + self.chance.below(20))
            self.take()

    async def during(self, main: Callable[[], Any], *, live: bool) -> None:
        task = asyncio.create_task(self.beside())
        try:
            await self.machine.update(main, live=live)
        finally:
            task.cancel()
            await asyncio.wait({task})


def recover(path: Path, target: dict[str, Any], root: Node, tree: Tree, seed: int, what: str) -> None:
    """One catch-up run, and a second one that has nothing to do."""
    place = World()
    place.target = dict(target)
    machine = Machine(path, place)
    grow(machine, Chance(seed), root, live=False)
    assert place.target == target_of(tree), f"{what}: from {target}"
    check_store(read_store(path), tree)
    place.fresh()
    grow(machine, Chance(seed), root, live=False)
    assert place.log == [], what
    path.unlink()


@pytest.mark.parametrize("block", range(8))
def test_DUR_1_converges_after_a_crash_at_any_moment(tmp_path: Path, block: int) -> None:
    total = 0
    for seed in range(block * 6, block * 6 + 6):
        chance = Chance(seed)
        place = World(chance)
        folder = tmp_path / str(seed)
        folder.mkdir()
        machine = Machine(folder / "state.db", place, limit=chance.pick([None, 1, 2]))
        grow(machine, chance, next_tree(chance)[0], live=False)
        crashes = Crashes(machine, folder, chance, most=6)
        place.before = crashes.at_sink
        root, tree = next_tree(chance)
        main = Grower(chance, root).main
        run(lambda crashes=crashes, main=main: crashes.during(main, live=False))  # type: ignore[misc]
        machine.close()
        total += len(crashes.taken)
        for number, (path, target) in enumerate(crashes.taken):
            # The source may have changed again while nobody ran.
            after, wanted = (root, tree) if chance.chance(60) else next_tree(chance)
            recover(path, target, after, wanted, seed, f"seed {seed}, crash {number}")
    assert total > 3, "crashes happened"


@pytest.mark.parametrize("block", range(4))
def test_DUR_1_converges_after_a_crash_of_operations(tmp_path: Path, block: int) -> None:
    for seed in range(block * 6, block * 6 + 6):
        chance = Chance(seed)
        place = World(chance)
        folder = tmp_path / str(seed)
        folder.mkdir()
        machine = Machine(folder / "state.db", place)
        crashes = Crashes(machine, folder, chance, most=6)
        place.before = crashes.at_sink
        source = {"a": 0, "b": 0}

        async def item(key: str, value: int, chance: Chance = chance) -> None:
            await chance.ticks(2)
            declare(key, value)
            await coco.mount(at("in"), inner, f"{key}.in", value)

        async def inner(name: str, value: int) -> None:
            declare(name, value)

        class Live:
            changes = 8

            async def process(self, source: dict[str, int] = source, item: Any = item) -> None:
                for key, value in source.items():
                    await coco.mount(at(key), item, key, value)

            async def process_live(
                self,
                operator: coco.LiveComponentOperator,
                source: dict[str, int] = source,
                item: Any = item,
                chance: Chance = chance,
            ) -> None:
                await operator.update_full()
                for value in range(self.changes):
                    key = chance.pick(["a", "b", "c"])
                    if chance.chance(35):
                        source.pop(key, None)
                        await operator.delete(at(key))
                    else:
                        source[key] = value
                        await operator.update(at(key), item, key, value)
                    await chance.ticks(10)

        async def main(live: type[Any] = Live) -> None:
            await coco.mount(at("L"), live)

        run(lambda crashes=crashes, main=main: crashes.during(main, live=True))  # type: ignore[misc]
        machine.close()
        wanted: dict[tuple[str, ...], tuple[int, dict[str, object]]] = {(): (0, {}), ("L",): (0, {})}
        for key, value in source.items():
            wanted["L", key] = (1, {key: value})
            wanted["L", key, "in"] = (2, {f"{key}.in": value})
        assert place.target == target_of(wanted)
        check_store(read_store(machine.path), wanted)
        Live.changes = 0
        for number, (path, target) in enumerate(crashes.taken):
            again = World()
            again.target = dict(target)
            new = Machine(path, again)
            run(lambda new=new, main=main: new.update(main))  # type: ignore[misc]
            new.close()
            assert again.target == target_of(wanted), f"seed {seed}, crash {number}: from {target}"
            check_store(read_store(path), wanted)


@pytest.mark.parametrize("durability", ["process", "power"])
def test_DUR_2_recorded_before_the_sink_is_called(tmp_path: Path, durability: Literal["process", "power"]) -> None:
    for seed in range(12 if durability == "process" else 3):
        chance = Chance(seed)
        place = World(chance)
        folder = tmp_path / str(seed)
        folder.mkdir()
        machine = Machine(folder / "state.db", place, durability=durability)
        numbers = itertools.count()

        def looks(
            actions: Sequence[Action], machine: Machine = machine, folder: Path = folder, numbers: Any = numbers
        ) -> None:
            path = folder / f"look{next(numbers)}.db"
            copy_store(machine, path)
            SqliteStore(path).close()  # What was only noted is written by whoever opens the store next.
            contents = read_store(path)
            for name, value in actions:
                assert name in contents.owners, f"{name} belongs to nobody"
                held = contents.components[contents.owners[name]].targets[name]
                assert ("" if value is None else value) in held, f"{name} = {value}, on record {held}"
                there = machine.world.target.get(name)
                assert ("" if there is None else there) in held, f"{name} was {there}, on record {held}"
            path.unlink()

        place.before = looks
        for _ in range(3):
            root, tree = next_tree(chance)
            grow(machine, chance, root, live=chance.chance(50))
            assert place.target == target_of(tree)


@pytest.mark.parametrize("durability", ["process", "power"])
def test_DUR_3_idle_second_run(tmp_path: Path, durability: Literal["process", "power"]) -> None:
    place = World()
    machine = Machine(tmp_path / "state.db", place, durability=durability)
    ran: list[str] = []

    @coco.fn(memo=True)
    async def compute(number: int) -> int:
        ran.append(f"compute {number}")
        return number * 2

    @coco.fn(memo=True)
    async def remembered(name: str, number: int) -> None:
        ran.append(f"remembered {name}")
        declare(name, await compute(number))
        await coco.mount(at("in"), inner, f"{name}.in")

    @coco.fn(memo=True)
    async def inner(name: str) -> None:
        ran.append(f"inner {name}")
        declare(name, 1)

    async def plain(name: str, number: int) -> None:
        declare(name, await compute(number))

    class View:
        async def __aiter__(self) -> AsyncIterator[tuple[str, int]]:
            for entry in (("x", 7), ("y", 8)):
                yield entry

        async def watch(self, subscriber: Any) -> None:
            await subscriber.update_all()
            await subscriber.mark_ready()

    @coco.fn(memo=True)
    async def seen(number: int) -> None:
        ran.append(f"seen {number}")
        declare(f"s{number}", number)

    class Live:
        async def process(self) -> None:
            for number in (5, 6):
                await coco.mount(at(number), remembered, f"l{number}", number)

        async def process_live(self, operator: coco.LiveComponentOperator) -> None:
            await operator.update_full()
            await operator.mark_ready()

    async def main() -> None:
        await coco.mount(at("r"), remembered, "r", 1)
        await coco.mount(at("p"), plain, "p", 2)
        await coco.use_mount(at("u"), remembered, "u", 3)
        await coco.mount_each(at("e"), seen, [(1, 1), (2, 2)])
        await coco.mount_each(at("v"), seen, View())
        await coco.mount(at("L"), Live)

    run(lambda: machine.update(main))
    machine.close()
    target = dict(place.target)
    assert len(ran) == 17
    assert len(target) == 13
    before = read_store(machine.path)
    for live in (False, True, False):
        ran.clear()
        place.fresh()
        run(lambda live=live: machine.update(main, live=live))  # type: ignore[misc]
        machine.close()
        assert (ran, place.calls, place.target) == ([], 0, target)
        assert read_store(machine.path) == before
    run(lambda: machine.update(main, full=True))
    assert len(ran) == 17, "unless all is to be reprocessed"
    assert {name for name, _ in place.log} == set(target)


def test_DUR_1_a_sink_that_dies_half_way(tmp_path: Path) -> None:
    place = World()
    reports: list[BaseException] = []
    machine = Machine(tmp_path / "state.db", place, handler=lambda error, _: reports.append(error))

    async def child(names: Sequence[str], value: int) -> None:
        for name in names:
            declare(name, value)

    def main(names: str, value: int) -> Callable[[], Any]:
        async def run_main() -> None:
            await coco.mount(at("c"), child, list(names), value)

        return run_main

    run(lambda: machine.update(main("abc", 1)))
    place.broken["b"] = 1
    run(lambda: machine.update(main("abd", 2)))
    assert len(reports) == 1
    assert place.target["a"] == "2", "what was done stays done"
    run(lambda: machine.update(main("ad", 1)))
    assert place.target == {"a": "1", "d": "1"}
    machine.close()
    check_store(read_store(machine.path), {(): (0, {}), ("c",): (0, {"a": 1, "d": 1})})


def test_DUR_5_concurrent_updates_share_flushes(tmp_path: Path) -> None:
    place = World()
    machine = Machine(tmp_path / "state.db", place, durability="power")
    store = machine.env.store
    write = store.write
    flushes: list[int] = []

    def counted(batch: Any, /, *, durable: bool) -> None:
        if durable:
            flushes.append(len(batch))
        write(batch, durable=durable)

    async def child(name: str) -> None:
        declare(name, 1)

    marks: list[int] = []

    class Live:
        async def process(self) -> None: ...

        async def process_live(self, operator: coco.LiveComponentOperator) -> None:
            handle = await operator.update(at("first"), child, "first")
            await handle.ready()
            marks.append(len(flushes))
            handle = await operator.update(at("one"), child, "one")
            await handle.ready()
            marks.append(len(flushes))
            handles = [await operator.update(at(number), child, f"n{number}") for number in range(50)]
            for handle in handles:
                await handle.ready()
            marks.append(len(flushes))

    async def main() -> None:
        handle = await coco.mount(at("L"), Live)
        await handle.ready()

    store.write = counted  # type: ignore[method-assign]
    run(lambda: machine.update(main))
    assert marks[1] - marks[0] <= 1, "one update, one flush"
    assert marks[2] - marks[1] <= 3, "fifty updates share"
