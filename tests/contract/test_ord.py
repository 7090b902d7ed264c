"""ORD-1 … ORD-6: the order of operations."""



from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

import liveproof as coco
from tests.contract.oracle import Tree, check_store, read_store, target_of
from tests.contract.programs import Player, draw, fresh_world, meaning, meanings, scan, tree_of
from tests.contract.world import Chance, Machine, World, at, declare, run, ticks


def play(path: Path, seed: int, *, failing: bool) -> None:
    """One random program: run it, compare with its meaning, and scan the same state once more."""
    chance = Chance(seed)
    calls = draw(chance, failing=failing)
    player = Player(chance, calls, tasks=1 + chance.below(3))
    component = player.component()
    seen: list[str] = []

    def handler(error: BaseException, context: coco.ExceptionContext) -> None:
        seen.append(f"{context.stable_path}: {error!r}")

    world = fresh_world(seed)
    limit = chance.pick([None, None, 1, 2, 3])
    machine = Machine(path / f"{seed}.db", world, limit=limit, handler=handler)

    async def main() -> None:
        await coco.mount(at("L"), component)

    run(lambda: machine.update(main, live=chance.chance(50)))
    machine.close()
    assert player.watch.faults == []
    assert not player.plans, "every update_full ran"
    assert len(player.began) == len(calls)
    assert all("as it should" in text for text in seen), seen
    states = meanings(player.began, player.ran) if failing else [meaning(player.began)]
    expected = [target_of(tree_of(state)) for state in states]
    assert world.target in expected, (
        f"seed {seed}: {world.target}, not one of {expected}, after {player.began}; ran {sorted(player.ran)}"
    )
    # Several meanings may look alike in the target and differ in what is mounted without declaring anything.
    contents = read_store(machine.path)
    alike = [state for state in states if target_of(tree_of(state)) == world.target]
    mounted = [state for state in alike if set(tree_of(state)) == set(contents.components)]
    state = (mounted or alike)[0]
    check_store(contents, tree_of(state))

    # MODE-2: a catch-up run on the same source finds everything as it should be.
    world.fresh()
    again = scan(state)

    async def main_again() -> None:
        await coco.mount(at("L"), again)

    run(lambda: machine.update(main_again))
    machine.close()
    assert world.log == [], f"seed {seed}: the catch-up run had to write"
    check_store(read_store(machine.path), tree_of(state))
    machine.path.unlink()


@pytest.mark.parametrize("block", range(16))
def test_ORD_1_linear_random_programs(tmp_path: Path, block: int) -> None:
    for seed in range(block * 25, block * 25 + 25):
        play(tmp_path, seed, failing=False)


@pytest.mark.parametrize("block", range(8))
def test_ORD_1_linear_random_programs_with_failures(tmp_path: Path, block: int) -> None:
    for seed in range(10_000 + block * 25, 10_000 + block * 25 + 25):
        play(tmp_path, seed, failing=True)


FOUND = [(20702, False), (20526, True), (22041, True), (25257, True), (25497, True)]


@pytest.mark.parametrize(("seed", "failing"), FOUND)
def test_ORD_1_programs_that_found_something(tmp_path: Path, seed: int, failing: bool) -> None:
    play(tmp_path, seed, failing=failing)


# One by one -----------------------------------------------------------------------------------------------


async def note(name: str, log: list[str], wait: int = 3) -> None:
    """A component that says when it starts and ends."""
    log.append(f"+{name}")
    await ticks(wait)
    declare(name.partition("#")[0], name)
    log.append(f"-{name}")


def live(
    process: Callable[[], Awaitable[None]] | None,
    process_live: Callable[[coco.LiveComponentOperator], Awaitable[None]],
) -> Callable[[], Awaitable[None]]:
    """A main function with one live component, made of two functions."""

    class Live:
        async def process(self) -> None:
            if process is not None:
                await process()

        async def process_live(self, operator: coco.LiveComponentOperator) -> None:
            await process_live(operator)

    async def main() -> None:
        handle = await coco.mount(at("L"), Live)
        await handle.ready()

    return main


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "state.db", World())


async def one(name: str, gate: asyncio.Event | None = None, fails: bool = False) -> None:
    """A component that declares its name."""
    if gate is not None:
        await gate.wait()
    declare(name, 1)
    if fails:
        raise ValueError("as it should")


def test_ORD_1_below_an_absorbed_deletion_mounted_again(machine: Machine) -> None:
    async def body(operator: coco.LiveComponentOperator) -> None:
        gate = asyncio.Event()
        handle = await operator.update(at("a", "b"), one, "ab")
        await handle.ready()
        await operator.update(at("a"), one, "a", gate)
        await operator.delete(at("a"))
        await operator.update(at("a"), one, "a")  # Replaces the deletion, and includes it.
        gate.set()
        await operator.update(at("a", "b"), one, "ab")

    run(lambda: machine.update(live(None, body)))
    machine.close()
    tree: Tree = {(): (0, {}), ("L",): (0, {}), ("L", "a"): (1, {"a": 1}), ("L", "a", "b"): (1, {"ab": 1})}
    assert machine.world.target == target_of(tree)
    check_store(read_store(machine.path), tree)


@pytest.mark.parametrize("fails", [False, True])
def test_ORD_1_absorbed_deletion_spares_what_a_later_scan_mounted(tmp_path: Path, fails: bool) -> None:
    machine = Machine(tmp_path / "state.db", World(), handler=lambda *_: None)

    async def process() -> None:
        if fails:
            await coco.mount(at("a", "b"), one, "ab")
            raise ValueError("as it should")
        await coco.mount(at("a"), one, "a")
        await coco.mount(at("a", "b"), one, "ab")

    async def body(operator: coco.LiveComponentOperator) -> None:
        gate = asyncio.Event()
        await operator.update(at("a"), one, "a", gate)
        await operator.delete(at("a"))
        full = asyncio.create_task(operator.update_full())
        await ticks(1)
        await operator.update(at("a"), one, "a")
        gate.set()
        await full

    run(lambda: machine.update(live(process, body)))
    assert machine.world.target == {"a": "1", "ab": "1"}


def test_ORD_4_deletion_replaced_by_a_failing_update_is_not_half_done(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "state.db", World(), handler=lambda *_: None)

    async def process() -> None:
        await coco.mount(at("a"), one, "a")
        await coco.mount(at("a", "b"), one, "ab")

    async def body(operator: coco.LiveComponentOperator) -> None:
        await operator.update_full()
        gate = asyncio.Event()
        await operator.update(at("a"), one, "a", gate)
        await operator.delete(at("a"))
        await operator.update(at("a"), one, "a", None, True)
        gate.set()

    run(lambda: machine.update(live(process, body)))
    assert machine.world.target in ({}, {"a": "1", "ab": "1"}), "it ran, or it did not"


def test_ORD_2_update_full_is_a_barrier(machine: Machine) -> None:
    log: list[str] = []
    full = 0

    async def process() -> None:
        nonlocal full
        full += 1
        log.append(f"+full{full}")
        await coco.mount(at("m"), note, f"m#{full}", log, 10)
        await ticks(5)
        log.append(f"-full{full}")

    async def body(operator: coco.LiveComponentOperator) -> None:
        await operator.update(at("a"), note, "a#1", log, 20)
        await operator.update(at("b"), note, "b#1", log, 1)
        first = asyncio.create_task(operator.update_full())
        await ticks(1)
        await operator.update(at("m"), note, "m#late", log)
        second = asyncio.create_task(operator.update_full())
        await ticks(1)
        await operator.update(at("b"), note, "b#2", log)
        await first
        await second
        await operator.mark_ready()

    run(lambda: machine.update(live(process, body)))
    order = [log.index(entry) for entry in ("-a#1", "+full1", "-m#1", "+m#late", "-m#late", "+full2", "-m#2", "+b#2")]
    assert order == sorted(order), log
    assert machine.world.target == {"m": "m#2", "b": "b#2"}


def test_ORD_2_update_full_by_many_tasks_never_overlaps(machine: Machine) -> None:
    inside = 0
    runs = 0

    async def process() -> None:
        nonlocal inside, runs
        assert inside == 0
        inside += 1
        runs += 1
        await ticks(5)
        inside -= 1

    async def body(operator: coco.LiveComponentOperator) -> None:
        await asyncio.gather(*(operator.update_full() for _ in range(5)))

    run(lambda: machine.update(live(process, body)))
    assert runs == 5, "none is replaced by another"


@pytest.mark.parametrize("limit", [1, 3, 7])
def test_ORD_3_concurrent_up_to_the_limit(tmp_path: Path, limit: int) -> None:
    machine = Machine(tmp_path / "state.db", World(), limit=limit)
    now = most = 0

    async def child(number: int) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await ticks(10)
        now -= 1

    async def body(operator: coco.LiveComponentOperator) -> None:
        for number in range(20):
            await operator.update(at(number), child, number)

    run(lambda: machine.update(live(None, body)))
    assert most == limit

    most = 0

    async def main() -> None:
        for number in range(20):
            await coco.mount(at(number), child, number)

    run(lambda: machine.update(main))
    assert most == limit, "of a plain parent, too: it gives its place up while it waits"


def test_ORD_3_distinct_subpaths_run_side_by_side(machine: Machine) -> None:
    async def meet(mine: asyncio.Event, other: asyncio.Event) -> None:
        mine.set()
        await other.wait()

    async def body(operator: coco.LiveComponentOperator) -> None:
        one, two = asyncio.Event(), asyncio.Event()
        await operator.update(at("a", "x"), meet, one, two)
        await operator.update(at("a", "y"), meet, two, one)

    run(lambda: machine.update(live(None, body)))


@pytest.mark.parametrize("later", [("a",), ("a", "b"), ("a", "b", "c")])
def test_ORD_3_prefixes_do_not_overlap(machine: Machine, later: tuple[str, ...]) -> None:
    log: list[str] = []

    async def body(operator: coco.LiveComponentOperator) -> None:
        await operator.update(at("a", "b"), note, "first", log, 20)
        await operator.update(at(*later), note, "second", log, 20)

    run(lambda: machine.update(live(None, body)))
    assert log == ["+first", "-first", "+second", "-second"]


@pytest.mark.parametrize("catch_up", [True, False])
@pytest.mark.parametrize("limit", [1, 2])
def test_ORD_3_no_limit_deadlocks_nested_mounts(tmp_path: Path, limit: int, catch_up: bool) -> None:
    machine = Machine(tmp_path / "state.db", World(), limit=limit)

    async def node(depth: int, name: str) -> None:
        declare(name, depth)
        if not depth:
            return
        handles = [await coco.mount(at("m", i), node, depth - 1, f"{name}.m{i}") for i in range(2)]
        await coco.use_mount(at("u"), node, depth - 1, f"{name}.u")
        together = await coco.mount_each(at("e"), each, [(i, i) for i in range(3)], f"{name}.e")
        handles += [together, await coco.mount(at("l"), nested(depth - 1, f"{name}.l"))]
        await asyncio.gather(*(handle.ready() for handle in handles))

    async def each(item: int, name: str) -> None:
        declare(f"{name}{item}", 1)

    def nested(depth: int, name: str) -> type[Any]:
        class Nested:
            async def process(self) -> None:
                handle = await coco.mount(at("n"), node, depth, f"{name}.n")
                await handle.ready()

            async def process_live(self, operator: coco.LiveComponentOperator) -> None:
                await operator.update_full()
                handle = await operator.update(at("o"), node, 0, f"{name}.o")
                await handle.ready()
                handle = await operator.update(at("p"), leaf_class(f"{name}.p"))
                await handle.ready()
                await operator.mark_ready()

        return Nested

    def leaf_class(name: str) -> type[Any]:
        class Leaf:
            async def process(self) -> None:
                declare(name, 1)

            async def process_live(self, operator: coco.LiveComponentOperator) -> None:
                await operator.update_full()

        return Leaf

    async def main() -> None:
        await node(3, "top")

    run(lambda: machine.update(main, live=not catch_up), within_s=20)
    target = dict(machine.world.target)
    assert len(target) > 100
    run(lambda: machine.update(main, live=not catch_up), within_s=20)
    assert machine.world.target == target


def test_ORD_3_two_waiting_tasks_of_one_component_take_one_place(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "state.db", World(), limit=2)

    async def leaf(gate: asyncio.Event) -> None:
        await gate.wait()

    async def main() -> None:
        last = asyncio.Event()
        busy = await coco.mount(at("busy"), leaf, last)
        for turn in range(3):
            gates = asyncio.Event(), asyncio.Event()
            first = await coco.mount(at("first", turn), leaf, gates[0])
            seen = asyncio.Event()

            async def one(
                first: coco.ComponentMountHandle = first, seen: asyncio.Event = seen
            ) -> None:
                await first.ready()
                seen.set()

            async def two(
                turn: int = turn,
                gates: tuple[asyncio.Event, asyncio.Event] = gates,
                first: coco.ComponentMountHandle = first,
            ) -> None:
                await ticks(2)
                second = await coco.mount(at("second", turn), leaf, gates[1])
                gates[0].set()
                await asyncio.sleep(0)
                await ticks(4)
                waiting = asyncio.create_task(second.ready())
                await ticks(2)
                gates[1].set()
                await waiting
                await first.ready()

            await asyncio.gather(one(), two())
        last.set()
        await busy.ready()

    run(lambda: machine.update(main))


def test_ORD_4_the_latest_wins(machine: Machine) -> None:
    log: list[str] = []

    async def body(operator: coco.LiveComponentOperator) -> None:
        gate = await operator.update(at("a"), note, "a#0", log, 20)
        for number in range(1, 6):
            await operator.update(at("a"), note, f"a#{number}", log)
        await gate.ready()

    run(lambda: machine.update(live(None, body)))
    assert log == ["+a#0", "-a#0", "+a#5", "-a#5"]
    assert machine.world.writes("a") == ["a#0", "a#5"]


@pytest.mark.parametrize("outcome", ["good", "fails", "handler raises"])
def test_ORD_5_a_replaced_handle_takes_the_outcome_of_its_replacement(tmp_path: Path, outcome: str) -> None:
    seen: list[str] = []

    def handler(error: BaseException, context: coco.ExceptionContext) -> None:
        seen.append(str(error))
        if outcome == "handler raises":
            raise LookupError("escaped")

    machine = Machine(tmp_path / "state.db", World(), handler=handler)
    gate = asyncio.Event()

    async def child(number: int) -> None:
        await ticks(5)
        if number == 3 and outcome != "good":
            raise ValueError(f"number {number}")
        declare("it", number)

    async def wait() -> None:
        await gate.wait()
        declare("it", 0)

    async def body(operator: coco.LiveComponentOperator) -> None:
        handles = [await operator.update(at("a"), wait)]
        handles += [await operator.update(at("a"), child, number) for number in (1, 2)]
        handles.append(await operator.delete(at("a")))
        handles.append(await operator.update(at("a"), child, 3))
        target = machine.world.target
        states: list[Any] = []

        async def look(handle: coco.ComponentMountHandle) -> str:
            try:
                await handle.ready()
            except LookupError as error:
                return str(error)
            finally:
                states.append(target.get("it"))
            return "ready"

        looking = [asyncio.create_task(look(handle)) for handle in handles]
        await ticks(20)
        assert states == [], "nothing has been applied"
        gate.set()
        results = [await task for task in looking]
        last = "escaped" if outcome == "handler raises" else "ready"
        assert results == ["ready", last, last, last, last]
        assert states == (["0", "3", "3", "3", "3"] if outcome == "good" else ["0"] * 5)

    run(lambda: machine.update(live(None, body)))
    assert seen == ([] if outcome == "good" else ["number 3"]), "reported once"


@pytest.mark.parametrize("end", ["delete", "update"])
def test_ORD_1_a_late_claim_of_what_a_later_operation_took_and_let_go(machine: Machine, end: str) -> None:
    gate = asyncio.Event()

    async def slow() -> None:
        await gate.wait()
        declare("it", 1)

    async def quick(wants: bool) -> None:
        if wants:
            declare("it", 2)

    async def body(operator: coco.LiveComponentOperator) -> None:
        first = await operator.update(at("a"), slow)
        await (await operator.update(at("b"), quick, True)).ready()
        if end == "delete":
            await (await operator.delete(at("b"))).ready()
        else:
            await (await operator.update(at("b"), quick, False)).ready()
        gate.set()
        await first.ready()

    run(lambda: machine.update(live(None, body)))
    assert machine.world.target == {}, "one after the other, the second takes it from the first"


def test_ORD_1_a_late_claim_of_what_was_taken_below_a_nested_live_component(machine: Machine) -> None:
    gate = asyncio.Event()

    async def slow() -> None:
        await gate.wait()
        declare("it", 1)

    async def quick() -> None:
        declare("it", 2)

    async def inner(operator: coco.LiveComponentOperator) -> None:
        await (await operator.update(at("c"), quick)).ready()

    async def body(operator: coco.LiveComponentOperator) -> None:
        first = await operator.update(at("a"), slow)
        await (await operator.update(at("b"), live(None, inner))).ready()
        gate.set()
        await first.ready()

    run(lambda: machine.update(live(None, body)))
    assert machine.world.target == {"it": "2"}, "one after the other, the second takes it from the first"


def test_ORD_1_a_later_operation_that_never_had_it_takes_nothing(machine: Machine) -> None:
    gate = asyncio.Event()

    async def claims(number: int, *, late: bool) -> None:
        if late:
            await gate.wait()
        declare("it", number)

    async def nothing() -> None:
        await ticks(1)

    async def body(operator: coco.LiveComponentOperator) -> None:
        await (await operator.update(at("b"), claims, 1, late=False)).ready()
        first = await operator.update(at("a"), claims, 2, late=True)
        second = await operator.update(at("b"), nothing)
        await second.ready()
        gate.set()
        await first.ready()

    run(lambda: machine.update(live(None, body)))
    assert machine.world.target == {"it": "2"}


@pytest.mark.parametrize("how", ["plain", "live", "full fails"])
def test_ORD_1_an_absorbed_deletion_is_not_done_by_a_scan_that_failed_there(tmp_path: Path, how: str) -> None:
    gate = asyncio.Event()

    async def child(name: str, *, slow: bool = False) -> None:
        if slow:
            await gate.wait()
        declare(name, 1)

    async def failing() -> None:
        raise ValueError("as it should")

    class Failing:
        async def process(self) -> None:
            raise AssertionError("never called")

        async def process_live(self, operator: coco.LiveComponentOperator) -> None:
            raise ValueError("as it should")

    async def process() -> None:
        await coco.mount(at("a", "b"), Failing if how == "live" else failing)
        await coco.mount(at("a", "c"), child, "c")
        if how == "full fails":
            raise ValueError("as it should")

    async def body(operator: coco.LiveComponentOperator) -> None:
        await (await operator.update(at("a", "b"), child, "b")).ready()
        await operator.update(at("a", "b"), child, "b", slow=True)
        await operator.delete(at("a"))
        full = asyncio.create_task(operator.update_full())
        await ticks(1)
        await operator.update(at("a"), child, "a")
        gate.set()
        await full

    machine = Machine(tmp_path / "state.db", World(), handler=lambda _error, _context: None)
    run(lambda: machine.update(live(process, body)))
    assert machine.world.target == {"a": "1", "c": "1"}


@pytest.mark.parametrize("inner", ["plain", "live"])
@pytest.mark.parametrize("scan", ["before", "after", "after, where it fails, too"])
def test_ORD_1_an_absorbed_deletion_takes_what_then_fails(tmp_path: Path, scan: str, inner: str) -> None:
    """What fails below the update that replaced a deletion is gone, as if that had run; unless a scan after the
    deletion has made it."""
    fails = {"n": False}

    async def below() -> None:
        if fails["n"]:
            raise ValueError("as it should")
        declare("n", 1)

    async def middle() -> None:
        await coco.mount(at("n"), below)

    async def plain(gate: asyncio.Event | None = None) -> None:
        if gate is not None:
            await gate.wait()
        await coco.mount(at("m"), middle)
        declare("a", 1)

    class Inner:
        def __init__(self, gate: asyncio.Event | None = None) -> None:
            self.gate = gate

        async def process(self) -> None:
            await plain(self.gate)

        async def process_live(self, operator: coco.LiveComponentOperator) -> None:
            await operator.update_full()

    child: Any = plain if inner == "plain" else Inner

    async def process() -> None:
        await coco.mount(at("a"), child)

    async def body(operator: coco.LiveComponentOperator) -> None:
        gate = asyncio.Event()
        await operator.update_full()
        await operator.update(at("a"), child, gate)
        await operator.delete(at("a"))
        full = None
        if scan != "before":
            full = asyncio.create_task(operator.update_full())
            await ticks(1)
        update = await operator.update(at("a"), child)  # Replaces the deletion, and includes it.
        if scan != "after":
            fails["n"] = True
        gate.set()
        if full is not None:
            await full
        fails["n"] = True
        await update.ready()

    machine = Machine(tmp_path / "state.db", World(), handler=lambda _error, _context: None)
    run(lambda: machine.update(live(process, body)))
    assert machine.world.target == ({"a": "1", "n": "1"} if scan == "after" else {"a": "1"})


def test_ORD_5_replaced_across_a_barrier(machine: Machine) -> None:
    async def child(number: int) -> None:
        await ticks(3)
        declare("it", number)

    async def other() -> None:
        declare("other", 7)

    async def process() -> None:
        await coco.mount(at("other"), other)

    async def body(operator: coco.LiveComponentOperator) -> None:
        await operator.update(at("a"), child, 1)
        replaced = await operator.update(at("a"), child, 2)
        full = asyncio.create_task(operator.update_full())
        await ticks(1)
        await operator.update(at("a"), child, 3)
        await replaced.ready()
        assert machine.world.target["it"] == "3"
        await full

    run(lambda: machine.update(live(process, body)))
    assert machine.world.target == {"other": "7", "it": "3"}


@pytest.mark.parametrize("limit", [None, 1])
def test_ORD_6_cycles_of_one_path_never_overlap(tmp_path: Path, limit: int | None) -> None:
    for seed in range(30):
        chance = Chance(seed)
        machine = Machine(tmp_path / f"{seed}.db", World(chance), limit=limit)
        inside: list[str] = []

        def enter(name: str, inside: list[str] = inside) -> None:
            assert inside == [], f"{name} while {inside}"
            inside.append(name)

        async def plain(
            number: int, chance: Chance = chance, inside: list[str] = inside, enter: Any = enter
        ) -> None:
            enter(f"plain {number}")
            await chance.ticks(4)
            inside.clear()

        class Child:
            def __init__(self, number: int) -> None:
                self.number = number

            async def process(
                self, chance: Chance = chance, inside: list[str] = inside, enter: Any = enter
            ) -> None:
                enter(f"process {self.number}")
                await chance.ticks(4)
                inside.clear()

            async def process_live(
                self, operator: coco.LiveComponentOperator, chance: Chance = chance
            ) -> None:
                await operator.update_full()
                await operator.mark_ready()
                if chance.chance(50):
                    while True:
                        await operator.update_full()
                        await chance.ticks(4)

        async def body(
            operator: coco.LiveComponentOperator, chance: Chance = chance, child: Any = Child, plain: Any = plain
        ) -> None:
            for number in range(6):
                await operator.update(at("c"), chance.pick([child, plain]), number)
                await chance.ticks(12)
            await operator.delete(at("c"))

        main = live(None, body)
        mode = chance.chance(70)
        run(lambda machine=machine, main=main, mode=mode: machine.update(main, live=mode))  # type: ignore[misc]


def test_ORD_6_two_updates_of_one_app(machine: Machine) -> None:
    inside = 0
    turns = 0

    async def main() -> None:
        nonlocal inside, turns
        assert inside == 0
        inside += 1
        await ticks(10)
        inside -= 1
        turns += 1

    async def go() -> None:
        app = machine.app(main)
        await asyncio.gather(*(app.update().result() for _ in range(3)))

    run(go)
    assert turns == 3
