"""GC-1 … GC-5: what is not mounted any more goes, and nothing else."""



from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest

import liveproof as coco
from tests.contract.oracle import Tree, check_store, read_store, target_of
from tests.contract.programs import fresh_world
from tests.contract.trees import Grower, Node, draw_tree, flat
from tests.contract.world import (
    Action,
    Chance,
    Machine,
    World,
    at,
    declare,
    ends,
    run,
    running_live,
    ticks,
    until,
    world,
)

Main = Callable[[], Coroutine[Any, Any, None]]
NAMES = ["k1", "k2", "k3", "k4", "k5", "k6"]


def next_tree(chance: Chance) -> tuple[Node, Tree]:
    """A tree in which every component has a path of its own."""
    while True:
        root = draw_tree(chance, 3, list(NAMES))
        tree = flat(root)
        if tree is not None:
            return root, tree


def grow(machine: Machine, chance: Chance, root: Node, *, live: bool) -> None:
    run(lambda: machine.update(Grower(chance, root).main, live=live))
    machine.close()


# Random trees ---------------------------------------------------------------------------------------------


def play(path: Path, seed: int) -> None:
    """Four random trees, one after the other."""
    chance = Chance(seed)
    place = fresh_world(seed)
    machine = Machine(path / f"{seed}.db", place, limit=chance.pick([None, 1, 2]))
    for turn in range(4):
        before = dict(place.target)
        root, tree = next_tree(chance)
        place.fresh()
        grow(machine, chance, root, live=chance.chance(50))
        wanted = target_of(tree)
        assert place.target == wanted, f"seed {seed}, turn {turn}"
        check_store(read_store(machine.path), tree)
        for name, value in wanted.items():
            writes = [written for written in place.writes(name) if written is not None]
            assert len(writes) <= 1, f"seed {seed}, turn {turn}: {name} was written {writes} (GC-4)"
            if before.get(name) != value:
                assert writes == [value]


@pytest.mark.parametrize("block", range(10))
def test_GC_1_and_2_random_trees_leave_exactly_what_was_mounted(tmp_path: Path, block: int) -> None:
    for seed in range(block * 12, block * 12 + 12):
        play(tmp_path, seed)


@pytest.mark.parametrize("seed", [2869, 4754, 7354])
def test_GC_1_and_2_trees_that_found_something(tmp_path: Path, seed: int) -> None:
    play(tmp_path, seed)


@pytest.mark.parametrize("block", range(6))
def test_GC_5_random_trees_converge_after_failing_sinks(tmp_path: Path, block: int) -> None:
    for seed in range(500 + block * 10, 510 + block * 10):
        chance = Chance(seed)
        place = fresh_world(seed)
        reports: list[BaseException] = []

        def handler(error: BaseException, _: object, reports: list[BaseException] = reports) -> None:
            reports.append(error)

        machine = Machine(tmp_path / f"{seed}.db", place, handler=handler, limit=chance.pick([None, 2]))
        root, tree = next_tree(chance)
        root_fails = False
        for _ in range(4):
            root, tree = next_tree(chance)
            place.broken = {name: 3 for name in NAMES if chance.chance(35)}
            try:
                grow(machine, chance, root, live=chance.chance(50))
            except OSError:
                root_fails = True  # The root is on the critical path: its failure is the update's.
                machine.close()
        place.broken = {}
        grow(machine, chance, root, live=False)
        assert place.target == target_of(tree), f"seed {seed} (root failed: {root_fails})"
        check_store(read_store(machine.path), tree)
        assert all(isinstance(error, OSError) for error in reports), reports
        place.fresh()
        grow(machine, chance, root, live=False)
        assert place.log == [], f"seed {seed}: idle"


# One by one -----------------------------------------------------------------------------------------------


async def leaf(*cells: str, value: object = 1) -> None:
    """A component that declares cells."""
    world().ran.append(",".join(cells))
    for name in cells:
        declare(name, value)


def children(**cells: str) -> Main:
    """A main function that mounts a leaf for each name, in order; the value is its cells."""

    async def main() -> None:
        for name, value in cells.items():
            await coco.mount(at(name), leaf, *value.split())

    return main


@pytest.fixture
def place() -> World:
    return World()


@pytest.fixture
def machine(tmp_path: Path, place: World) -> Machine:
    return Machine(tmp_path / "state.db", place)


def update(machine: Machine, main: Main, *, live: bool = False) -> None:
    run(lambda: machine.update(main, live=live))


def check(machine: Machine, tree: Tree) -> None:
    """Target and store are what this tree makes."""
    assert machine.world.target == target_of(tree)
    machine.close()
    check_store(read_store(machine.path), tree)


def test_GC_1_deep_tree_goes_with_its_root(machine: Machine) -> None:
    async def nest(depth: int) -> None:
        declare(f"d{depth}", depth)
        if depth:
            await coco.mount(at("in"), nest, depth - 1)
            await coco.mount(at("in", "beside"), leaf, f"b{depth}")

    def main(on: bool) -> Main:
        async def run_main() -> None:
            if on:
                await coco.mount(at("top"), nest, 12)

        return run_main

    update(machine, main(True))
    assert len(machine.world.target) == 25
    update(machine, main(False))
    check(machine, {(): (0, {})})


def test_GC_1_mounted_below_a_siblings_path(machine: Machine) -> None:
    async def a(inner: bool) -> None:
        if inner:
            await coco.mount(at("b", "c"), leaf, "x")

    def main(inner: bool) -> Main:
        async def run_main() -> None:
            await coco.mount(at("a"), a, inner)
            await coco.mount(at("a", "b"), leaf, "y")

        return run_main

    update(machine, main(True))
    assert machine.world.target == {"x": "1", "y": "1"}
    update(machine, main(False))
    check(machine, {(): (0, {}), ("a",): (0, {}), ("a", "b"): (0, {"y": 1})})


def test_GC_2_prefix_siblings_survive_each_others_collection(machine: Machine) -> None:
    def main(*subs: tuple[str, ...]) -> Main:
        async def run_main() -> None:
            for sub in subs:
                await coco.mount(at(*sub), leaf, "/".join(sub))

        return run_main

    update(machine, main(("a",), ("a", "b"), ("a", "b", "c")))
    update(machine, main(("a", "b")))
    check(machine, {(): (0, {}), ("a", "b"): (0, {"a/b": 1})})
    update(machine, main(("a",), ("a", "b", "c")))
    check(machine, {(): (0, {}), ("a",): (0, {"a": 1}), ("a", "b", "c"): (0, {"a/b/c": 1})})


@pytest.mark.parametrize("keeps_a", [True, False])
@pytest.mark.parametrize("slow", [0, 30])
def test_GC_1_a_path_that_changes_its_parent(machine: Machine, keeps_a: bool, slow: int) -> None:
    async def late(name: str) -> None:
        await ticks(slow)
        declare(name, 1)

    async def a(mounts: bool) -> None:
        if mounts:
            await coco.mount(at("b"), leaf, "x", "same")

    async def first() -> None:
        await coco.mount(at("a"), a, True)

    async def second() -> None:
        if keeps_a:
            await coco.mount(at("a"), a, False)
        await coco.mount(at("a", "b"), late, "same")

    update(machine, first)
    update(machine, second)
    kept: Tree = {("a",): (0, {})} if keeps_a else {}
    check(machine, {(): (0, {}), **kept, ("a", "b"): (0, {"same": 1})})
    machine.world.fresh()
    update(machine, second)
    assert machine.world.log == []


def test_GC_1_a_path_taken_from_a_sibling(machine: Machine) -> None:
    async def a(inner: bool) -> None:
        if inner:
            await coco.mount(at("b"), leaf)

    def main(second: bool) -> Main:
        async def p() -> None:
            await coco.mount(at("a"), a, second)
            if not second:
                await coco.mount(at("a", "b"), leaf, "k")

        async def run_main() -> None:
            await coco.mount(at("p"), p)

        return run_main

    for second in (False, True, False, True):
        update(machine, main(second))
        owner = 2 if second else 1
        inner: dict[str, object] = {} if second else {"k": 1}
        check(machine, {(): (0, {}), ("p",): (0, {}), ("p", "a"): (1, {}), ("p", "a", "b"): (owner, inner)})


@pytest.mark.parametrize("limit", [None, 1, 2])
def test_GC_2_a_path_re_owned_while_its_former_parent_collects(tmp_path: Path, limit: int | None) -> None:
    same = ("a", "b", "a", "b", "a")
    first = Node(children={same[:2]: Node(children={same[2:]: Node(cells={"k": 1})})})
    below = {("b",): Node(), ("b", "a"): Node(children={("b", "a"): Node(cells={"k": 2})})}
    second = Node(children={("a",): Node(children=below)})
    for seed in range(40):
        chance = Chance(seed)
        machine = Machine(tmp_path / f"{seed}.db", World(chance), limit=limit)
        for root in (first, second):
            grow(machine, chance, root, live=False)
            tree = flat(root)
            assert tree is not None
            assert machine.world.target == target_of(tree), f"seed {seed}"
            check_store(read_store(machine.path), tree)


@pytest.mark.parametrize("first", ["plain", "live"])
def test_GC_1_plain_and_live_at_one_path(machine: Machine, first: str) -> None:
    async def plain(cells: list[str]) -> None:
        declare("own", 1)
        for name in cells:
            await coco.mount(at(name), leaf, name)

    class Live:
        def __init__(self, cells: list[str]) -> None:
            self.cells = cells

        async def process(self) -> None:
            for name in self.cells:
                await coco.mount(at(name), leaf, name)

        async def process_live(self, operator: coco.LiveComponentOperator) -> None:
            await operator.update_full()

    def main(kind: str, cells: list[str]) -> Main:
        async def run_main() -> None:
            await coco.mount(at("p"), plain if kind == "plain" else Live, cells)

        return run_main

    def tree(kind: str, cells: list[str]) -> Tree:
        inner = {("p", name): (1, {name: 1}) for name in cells}
        return {(): (0, {}), ("p",): (0, {"own": 1} if kind == "plain" else {}), **inner}

    other = "live" if first == "plain" else "plain"
    for kind, cells in ((first, ["a", "b"]), (other, ["b", "c"]), (first, ["a"]), (other, [])):
        update(machine, main(kind, cells))
        check(machine, tree(kind, cells))


class _Map:
    """A view of a dictionary."""

    def __init__(self, entries: dict[str, str]) -> None:
        self.entries = entries

    async def __aiter__(self) -> Any:
        for entry in self.entries.items():
            yield entry

    async def watch(self, subscriber: Any) -> None:
        await subscriber.update_all()
        await subscriber.mark_ready()


def test_GC_1_mount_each_plain_and_view_over_the_same_keys(machine: Machine) -> None:
    def main(entries: dict[str, str], view: bool) -> Main:
        async def run_main() -> None:
            await coco.mount_each(at("m"), leaf, _Map(entries) if view else entries.items())

        return run_main

    steps = [({"a": "ka", "b": "kb"}, False), ({"b": "kb", "c": "kc"}, True), ({"b": "kb"}, False), ({}, True)]
    for entries, view in steps:
        machine.world.fresh()
        update(machine, main(entries, view))
        owner = 1 if view else 0
        inner = {("m", key): (owner, {cell: 1}) for key, cell in entries.items()}
        check(machine, {(): (0, {}), **({("m",): (0, {})} if view else {}), **inner})
        assert machine.world.writes("kb") in ([], ["1"], [None]), "an entry that stays is not touched"


def test_GC_2_deleted_and_mounted_again_by_operations(tmp_path: Path) -> None:
    for seed in range(60):
        chance = Chance(seed)
        place = fresh_world(seed)
        machine = Machine(tmp_path / f"{seed}.db", place, limit=chance.pick([None, 1, 2]))
        last = {"exists": False, "value": 0}

        async def inner(value: int) -> None:
            declare("below", value)

        async def child(value: int, chance: Chance = chance) -> None:
            await chance.ticks(3)
            declare("it", value)
            await coco.mount(at("in"), inner, value)

        class Live:
            async def process(self) -> None:
                await coco.mount(at("c"), child, 0)

            async def process_live(
                self, operator: coco.LiveComponentOperator, chance: Chance = chance, last: dict[str, Any] = last
            ) -> None:
                await operator.update_full()
                last.update(exists=True, value=0)
                for value in range(1, 8):
                    handle = (
                        await operator.delete(at("c"))
                        if chance.chance(50)
                        else await operator.update(at("c"), child, value)
                    )
                    last.update(exists=handle is not None, value=value)
                    last["deleted"] = False
                    await chance.ticks(6)
                    if chance.chance(30):
                        await handle.ready()
                await operator.delete(at("c"))
                await operator.update(at("c"), child, 99)

        async def main(live: type[Any] = Live) -> None:
            await coco.mount(at("L"), live)

        update(machine, main)
        check(
            machine,
            {
                (): (0, {}),
                ("L",): (0, {}),
                ("L", "c"): (1, {"it": 99}),
                ("L", "c", "in"): (2, {"below": 99}),
            },
        )


def test_GC_3_failing_process_collects_and_submits_nothing(tmp_path: Path, place: World) -> None:
    seen: list[BaseException] = []
    machine = Machine(tmp_path / "state.db", place, handler=lambda error, _: seen.append(error))

    class Live:
        turn = 0

        async def process(self) -> None:
            Live.turn += 1
            if Live.turn == 1:
                declare("own", 1)
                await coco.mount(at("a"), leaf, "a")
                await coco.mount(at("b"), leaf, "b")
                return
            declare("other", 2)
            await coco.mount(at("a"), leaf, "a", value=2)
            raise ValueError("half-way")

        async def process_live(self, operator: coco.LiveComponentOperator) -> None:
            await operator.update_full()
            await operator.update_full()

    async def main() -> None:
        await coco.mount(at("L"), Live)

    update(machine, main)
    assert [str(error) for error in seen] == ["half-way"]
    check(
        machine,
        {(): (0, {}), ("L",): (0, {"own": 1}), ("L", "a"): (1, {"a": 2}), ("L", "b"): (1, {"b": 1})},
    )


def test_GC_3_failing_child_keeps_its_own_while_a_sibling_is_collected(tmp_path: Path, place: World) -> None:
    seen: list[BaseException] = []
    machine = Machine(tmp_path / "state.db", place, handler=lambda error, _: seen.append(error))

    async def fails() -> None:
        declare("f", 2)
        raise ValueError("no")

    async def second() -> None:
        await coco.mount(at("f"), fails)

    update(machine, children(f="f", gone="gone"))
    update(machine, second)
    assert len(seen) == 1
    check(machine, {(): (0, {}), ("f",): (0, {"f": 1})})


# Moves ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("new_first", [True, False])
@pytest.mark.parametrize("gap", [0, 40])
@pytest.mark.parametrize("changed", [True, False])
def test_GC_4_move_between_mounted_components(machine: Machine, new_first: bool, gap: int, changed: bool) -> None:
    value = 2 if changed else 1

    async def later(*cells: str) -> None:
        await ticks(gap)
        await leaf(*cells, value=value)

    async def second() -> None:
        order = ["new", "old"] if new_first else ["old", "new"]
        for name in order:
            fn = leaf if name == order[0] else later
            cells = ["k"] if name == "new" else []
            await coco.mount(at(name), fn, *cells, **({"value": value} if fn is leaf else {}))

    update(machine, children(old="k", new=""))
    machine.world.fresh()
    update(machine, second)
    written = [item for item in machine.world.writes("k") if item is not None]
    assert len(written) <= 1
    if new_first:
        assert machine.world.writes("k") == ([str(value)] if changed else [])
    check(machine, {(): (0, {}), ("old",): (0, {}), ("new",): (0, {"k": value})})
    machine.world.fresh()
    update(machine, second)
    assert machine.world.log == []
    update(machine, children(old="", new=""))
    check(machine, {(): (0, {}), ("old",): (0, {}), ("new",): (0, {})})


@pytest.mark.parametrize("changed", [True, False])
def test_GC_4_move_from_a_component_that_goes(machine: Machine, changed: bool) -> None:
    value = 2 if changed else 1

    async def second() -> None:
        await coco.mount(at("new"), leaf, "k", value=value)

    update(machine, children(old="k j", new="i"))
    machine.world.fresh()
    update(machine, second)
    assert machine.world.writes("k") == (["2"] if changed else []), "one write if changed, else none"
    check(machine, {(): (0, {}), ("new",): (0, {"k": value})})
    update(machine, children())
    check(machine, {(): (0, {})})


def test_GC_4_move_to_a_parent_and_back(machine: Machine) -> None:
    def main(where: str) -> Main:
        async def parent() -> None:
            if where == "parent":
                declare("k", 1)
            await coco.mount(at("child"), leaf, *(["k"] if where == "child" else []))

        async def run_main() -> None:
            if where == "root":
                declare("k", 1)
            await coco.mount(at("p"), parent)

        return run_main

    for where in ("child", "parent", "root", "child", "root", "parent", "child"):
        update(machine, main(where))
        tree: Tree = {
            (): (0, {"k": 1} if where == "root" else {}),
            ("p",): (0, {"k": 1} if where == "parent" else {}),
            ("p", "child"): (1, {"k": 1} if where == "child" else {}),
        }
        check(machine, tree)


def test_GC_4_move_by_operations_is_never_lost(machine: Machine) -> None:
    async def gated(gate: asyncio.Event | None, *cells: str) -> None:
        if gate is not None:
            await gate.wait()
        for name in cells:
            declare(name, 1)

    class Live:
        async def process(self) -> None:
            await coco.mount(at("a"), gated, None, "k")

        async def process_live(self, operator: coco.LiveComponentOperator) -> None:
            await operator.update_full()
            gate = asyncio.Event()
            handles = [
                await operator.update(at("a"), gated, None),
                await operator.update(at("b"), gated, gate, "k"),  # From a to b,
            ]
            await handles[0].ready()
            handles.append(await operator.update(at("b"), gated, None))
            handles.append(await operator.update(at("a"), gated, None, "k"))  # and back.
            await ticks(200)
            gate.set()
            for handle in handles:
                await handle.ready()

    async def main() -> None:
        await coco.mount(at("L"), Live)

    update(machine, main)
    check(machine, {(): (0, {}), ("L",): (0, {}), ("L", "a"): (1, {"k": 1}), ("L", "b"): (1, {})})


def test_GC_4_move_while_the_former_owner_collects(machine: Machine) -> None:
    place = machine.world

    async def old(first: bool) -> None:
        if first:
            declare("k", 1)
            await coco.mount(at("child"), leaf, "child")

    async def new() -> None:
        await until(lambda: "k" not in place.target)
        declare("k", 1)

    async def slowly(actions: Sequence[Action]) -> None:
        if ("child", None) in actions:
            await ticks(100)  # Meanwhile the new owner records its intent.

    def main(first: bool) -> Main:
        async def run_main() -> None:
            await coco.mount(at("old"), old, first)
            if not first:
                await coco.mount(at("new"), new)

        return run_main

    update(machine, main(True))
    place.before = slowly
    update(machine, main(False))
    check(machine, {(): (0, {}), ("old",): (0, {}), ("new",): (0, {"k": 1})})


def test_GC_1_below_a_stranger_inside_the_family(machine: Machine) -> None:
    async def x() -> None:
        await coco.mount(at("b"), leaf)

    async def a() -> None:
        await coco.mount(at("a", "b", "c"), x)

    async def first() -> None:
        await coco.mount(at("a"), a)

    async def second() -> None:
        await coco.mount(at("a", "a"), leaf)

    update(machine, first)
    update(machine, second)
    check(machine, {(): (0, {}), ("a", "a"): (0, {})})


# Failed deletions -----------------------------------------------------------------------------------------


def test_GC_5_failed_delete_is_remembered_and_retried(tmp_path: Path, place: World) -> None:
    seen: list[BaseException] = []
    machine = Machine(tmp_path / "state.db", place, handler=lambda error, _: seen.append(error))
    update(machine, children(a="ka", b="kb"))
    place.broken["kb"] = 2
    for turn in (1, 2):
        update(machine, children(a="ka"))
        assert place.target == {"ka": "1", "kb": "1"}
        assert len(seen) == turn, "each attempt is reported once"
        machine.close()
        contents = read_store(machine.path)
        assert ("b",) in contents.components, "remembered"
    update(machine, children(a="ka"))
    check(machine, {(): (0, {}), ("a",): (0, {"ka": 1})})
    assert len(seen) == 2


@pytest.mark.parametrize("levels", [1, 3])
def test_GC_5_retried_when_the_parent_is_memoized(tmp_path: Path, place: World, levels: int) -> None:
    machine = Machine(tmp_path / "state.db", place, handler=lambda *_: None)

    @coco.fn(memo=True)
    async def parent(level: int, cells: tuple[str, ...]) -> None:
        if level > 1:
            await coco.mount(at("p"), parent, level - 1, cells)
            return
        for name in cells:
            await coco.mount(at(name), leaf, name)

    def main(cells: tuple[str, ...]) -> Main:
        async def run_main() -> None:
            await coco.mount(at("p"), parent, levels, cells)

        return run_main

    update(machine, main(("x", "y")))
    place.broken["y"] = 1
    update(machine, main(("x",)))
    assert place.target == {"x": "1", "y": "1"}
    update(machine, main(("x",)))
    assert place.target == {"x": "1"}
    place.fresh()
    update(machine, main(("x",)))
    assert (place.calls, place.ran) == (0, []), "idle, and remembered again"
    path = ("p",) * levels
    inner: Tree = {path[:depth]: (depth - 1, {}) for depth in range(1, levels + 1)}
    check(machine, {(): (0, {}), **inner, (*path, "x"): (levels, {"x": 1})})


@pytest.mark.parametrize("again", ["full", "delete"])
def test_GC_5_failed_delete_operation_is_retried(
    tmp_path: Path, place: World, again: Literal["full", "delete"]
) -> None:
    machine = Machine(tmp_path / "state.db", place, handler=lambda *_: None)

    class Live:
        full = 0

        async def process(self) -> None:
            Live.full += 1
            await coco.mount(at("a"), leaf, "a")
            if Live.full == 1:
                await coco.mount(at("b"), leaf, "b")

        async def process_live(self, operator: coco.LiveComponentOperator) -> None:
            await operator.update_full()
            world().broken["b"] = 1
            handle = await operator.delete(at("b"))
            await handle.ready()
            assert world().target == {"a": "1", "b": "1"}
            if again == "full":
                await operator.update_full()
            else:
                handle = await operator.delete(at("b"))
                await handle.ready()

    async def main() -> None:
        await coco.mount(at("L"), Live)

    update(machine, main)
    check(machine, {(): (0, {}), ("L",): (0, {}), ("L", "a"): (1, {"a": 1})})


def test_GC_5_mounted_again_after_a_failed_delete(tmp_path: Path, place: World) -> None:
    machine = Machine(tmp_path / "state.db", place, handler=lambda *_: None)
    update(machine, children(a="ka", b="kb"))
    place.broken["kb"] = 1
    update(machine, children(a="ka"))
    update(machine, children(a="ka", b="kb"))
    check(machine, {(): (0, {}), ("a",): (0, {"ka": 1}), ("b",): (0, {"kb": 1})})
    update(machine, children())
    check(machine, {(): (0, {})})


# Live components in the way -------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [None, 1])
def test_GC_1_collecting_a_running_live_component_ends_it_first(
    tmp_path: Path, place: World, limit: int | None
) -> None:
    machine = Machine(tmp_path / "state.db", place, limit=limit)
    ended: list[str] = []
    gate = asyncio.Event()

    class Inner:
        async def process(self) -> None:
            await coco.mount(at("leaf"), leaf, "in")

        async def process_live(self, operator: coco.LiveComponentOperator) -> None:
            try:
                await operator.update_full()
                await operator.mark_ready()
                await asyncio.Event().wait()
            finally:
                await ticks(5)
                ended.append("inner")

    class Outer:
        turn = 0

        async def process(self) -> None:
            Outer.turn += 1
            if Outer.turn == 1:
                await coco.mount(at("inner"), Inner)

        async def process_live(self, operator: coco.LiveComponentOperator) -> None:
            await operator.update_full()
            await operator.mark_ready()
            await gate.wait()
            await operator.update_full()
            ended.append("collected")

    async def main() -> None:
        await coco.mount(at("o"), Outer)

    async def go() -> None:
        async with running_live(machine, main) as task:
            await until(lambda: place.target == {"in": "1"})
            gate.set()
            await ends(task)

    run(go)
    assert ended == ["inner", "collected"]
    check(machine, {(): (0, {}), ("o",): (0, {})})
