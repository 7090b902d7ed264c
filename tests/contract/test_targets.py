"""Target states: what handlers and sinks are told, containers, moves, drops; GC-4, DUR-1, DUR-2."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
from collections.abc import Awaitable, Callable, Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

import liveproof as coco
from tests.contract.targets_world import (
    ROOTS,
    STYLES,
    FaultyWorld,
    Folder,
    Forest,
    Inside,
    Plan,
    Style,
    build,
    draw_plans,
    folder,
    leaf,
    mounted_folder,
    nodes_of,
    rows_below,
    rows_of,
)
from tests.contract.world import Chance, Machine, World, at, declare, run, ticks

Main = Callable[[], Awaitable[Any]]


def machine_of(tmp_path: Path, world: World | None = None, **options: Any) -> Machine:
    return Machine(tmp_path / "s.db", world or World(), **options)


def update(machine: Machine, main: Main, *, full: bool = False) -> Any:
    """One run in a new process."""
    try:
        return run(lambda: machine.update(main, full=full))
    finally:
        machine.close()


class Failures:
    """A handler that keeps what it is told."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def __call__(self, error: BaseException, context: coco.ExceptionContext) -> None:
        self.texts.append(f"{context.stable_path}: {error}")


# Records --------------------------------------------------------------------------------------------------


class Pair(NamedTuple):
    text: str
    size: int


@dataclasses.dataclass(frozen=True)
class Print:
    digest: bytes
    tags: tuple[str, ...] = ()


class Row(msgspec.Struct, frozen=True):
    text: str
    inner: Pair


class Told(NamedTuple):
    """What a handler was asked."""

    key: coco.StableKey
    wanted: object
    before: list[Any]
    missing: bool


class Recorder:
    """A handler whose record is the value itself; it notes what it is asked, and always acts."""

    def __init__(self) -> None:
        self.told: list[Told] = []

    def asked(
        self, key: coco.StableKey, wanted: Any, before: Collection[Any], missing: bool
    ) -> coco.TargetReconcileOutput[Any, Any] | None:
        self.told.append(Told(key, wanted, list(before), missing))
        if coco.is_non_existence(wanted):
            return coco.TargetReconcileOutput((str(key), None), _SINK, coco.NON_EXISTENCE)
        if before and not missing and all(record == wanted for record in before):
            return None
        return coco.TargetReconcileOutput((str(key), repr(wanted)), _SINK, wanted)


class OfPairs(Recorder):
    def reconcile(
        self,
        key: coco.StableKey,
        desired_target_state: Pair | coco.NonExistenceType,
        prev_possible_records: Collection[Pair],
        prev_may_be_missing: bool,
        /,
    ) -> coco.TargetReconcileOutput[Any, Pair] | None:
        return self.asked(key, desired_target_state, prev_possible_records, prev_may_be_missing)


class OfPrints(Recorder):
    def reconcile(
        self,
        key: coco.StableKey,
        desired_target_state: Print | coco.NonExistenceType,
        prev_possible_records: Collection[Print],
        prev_may_be_missing: bool,
        /,
    ) -> coco.TargetReconcileOutput[Any, Print] | None:
        return self.asked(key, desired_target_state, prev_possible_records, prev_may_be_missing)


class OfRows(Recorder):
    def reconcile(
        self,
        key: coco.StableKey,
        desired_target_state: Row | coco.NonExistenceType,
        prev_possible_records: Sequence[Row],
        prev_may_be_missing: bool,
        /,
    ) -> coco.TargetReconcileOutput[Any, Row] | None:
        return self.asked(key, desired_target_state, prev_possible_records, prev_may_be_missing)


class OfTexts(Recorder):
    def reconcile(
        self,
        key: coco.StableKey,
        desired_target_state: str | coco.NonExistenceType,
        prev_possible_records: Collection[str],
        prev_may_be_missing: bool,
        /,
    ) -> coco.TargetReconcileOutput[Any, str] | None:
        return self.asked(key, desired_target_state, prev_possible_records, prev_may_be_missing)


class OfBytes(Recorder):
    def reconcile(
        self,
        key: coco.StableKey,
        desired_target_state: bytes | coco.NonExistenceType,
        prev_possible_records: Collection[bytes],
        prev_may_be_missing: bool,
        /,
    ) -> coco.TargetReconcileOutput[Any, bytes] | None:
        return self.asked(key, desired_target_state, prev_possible_records, prev_may_be_missing)


class OfNothing(Recorder):
    """That it is there is all there is to know."""

    def reconcile(
        self,
        key: coco.StableKey,
        desired_target_state: None | coco.NonExistenceType,
        prev_possible_records: Collection[None],
        prev_may_be_missing: bool,
        /,
    ) -> coco.TargetReconcileOutput[Any, None] | None:
        return self.asked(key, desired_target_state, prev_possible_records, prev_may_be_missing)


class Unannotated(Recorder):
    def reconcile(self, key, wanted, before, missing, /):  # type: ignore[no-untyped-def]
        return self.asked(key, wanted, before, missing)


class Static(Recorder):
    """Its method needs no instance."""

    @staticmethod
    def reconcile(
        key: coco.StableKey,
        desired_target_state: Pair | coco.NonExistenceType,
        prev_possible_records: Collection[Pair],
        prev_may_be_missing: bool,
        /,
    ) -> coco.TargetReconcileOutput[Any, Pair] | None:
        return HANDLERS["static"].asked(key, desired_target_state, prev_possible_records, prev_may_be_missing)


async def _note(context: coco.ContextProvider, actions: Sequence[tuple[str, str | None]]) -> None:
    from tests.contract.world import WORLD  # noqa: PLC0415 - beside its one use

    await context.get(WORLD).apply(actions)


_SINK = coco.TargetActionSink.from_async_fn(_note)

HANDLERS: dict[str, Recorder] = {
    "pairs": OfPairs(),
    "prints": OfPrints(),
    "rows": OfRows(),
    "texts": OfTexts(),
    "bytes": OfBytes(),
    "nothing": OfNothing(),
    "unannotated": Unannotated(),
    "static": Static(),
}
PROVIDERS: dict[str, coco.TargetStateProvider[Any, Any]] = {
    name: coco.register_root_target_states_provider(f"tests.contract/typed/{name}", handler)  # type: ignore[arg-type]
    for name, handler in HANDLERS.items()
}

VALUES: dict[str, tuple[Any, Any]] = {
    "pairs": (Pair("a", 1), Pair("b", 2)),
    "prints": (Print(b"\x00\xff", ("x", "y")), Print(b"", ())),
    "rows": (Row("a", Pair("i", 1)), Row("b", Pair("j", 2))),
    "texts": ("a", ""),
    "bytes": (b"a\x00", b""),
    "nothing": (None, None),
    "unannotated": ("a", "b"),
    "static": (Pair("a", 1), Pair("b", 2)),
}


@pytest.mark.parametrize("name", VALUES)
def test_records_come_back_as_annotated(tmp_path: Path, name: str) -> None:
    machine = machine_of(tmp_path)
    handler, provider, (one, two) = HANDLERS[name], PROVIDERS[name], VALUES[name]
    wanted: list[Any] = [one]

    async def main() -> None:
        for value in wanted:
            coco.declare_target_state(provider.target_state("k", value))

    def asked() -> list[Told]:
        handler.told.clear()
        update(machine, main)
        return list(handler.told)

    assert asked() == [Told("k", one, [], True)], "first: nothing is known"
    again = asked()
    assert again == [Told("k", one, [one], False)]
    assert type(again[0].before[0]) is type(one)
    wanted[0] = two
    assert asked() == [Told("k", two, [one], False)]
    wanted.clear()
    assert asked() == [Told("k", coco.NON_EXISTENCE, [two], False)]
    assert asked() == [], "it is forgotten"
    assert machine.world.target == {}


def test_a_record_that_no_longer_fits_its_annotation_is_a_clear_failure(tmp_path: Path) -> None:
    failures = Failures()
    machine = machine_of(tmp_path, handler=failures)

    async def child(value: object) -> None:
        coco.declare_target_state(PROVIDERS["unannotated"].target_state("k", value))

    async def main() -> None:
        await coco.mount(at("c"), child, "text")

    update(machine, main)
    handler = HANDLERS["unannotated"]

    class Changed(OfPairs):
        pass

    changed = Changed()
    level = PROVIDERS["unannotated"]._level
    before, level.handler, level.decode = level.handler, changed, None
    try:
        update(machine, main)
    finally:
        level.handler, level.decode = before, None
    assert len(failures.texts) == 1
    assert "does not fit" in failures.texts[0]
    assert "Pair" in failures.texts[0]
    handler.told.clear()
    update(machine, main)
    assert handler.told == [Told("k", "text", ["text"], False)], "nothing was lost"


def test_several_records_are_possible_after_interrupted_updates(tmp_path: Path) -> None:
    """Each failed run adds what it may have written; the first that succeeds settles it."""
    world = FaultyWorld("after")
    machine = machine_of(tmp_path, world, handler=Failures())
    provider, handler = PROVIDERS["pairs"], HANDLERS["pairs"]

    def told_of(value: Pair | None) -> Told:
        async def child() -> None:
            if value is not None:
                coco.declare_target_state(provider.target_state("k", value))

        handler.told.clear()
        update(machine, lambda: coco.mount(at("c"), child))
        (told,) = handler.told
        return told

    a, b, c = Pair("a", 1), Pair("b", 2), Pair("c", 3)
    world.bad["k"] = None
    assert told_of(a) == Told("k", a, [], True)
    assert told_of(b) == Told("k", b, [a], True), "a may or may not have come into being"
    assert told_of(a) == Told("k", a, [a, b], True)
    world.bad.clear()
    assert told_of(c) == Told("k", c, [a, b], True)
    assert told_of(c) == Told("k", c, [c], False)
    world.bad["k"] = None
    assert told_of(a) == Told("k", a, [c], False)
    assert told_of(None) == Told("k", coco.NON_EXISTENCE, [c, a], False)
    assert told_of(b) == Told("k", b, [c, a], True), "the removal may have happened"
    world.bad.clear()
    assert told_of(None) == Told("k", coco.NON_EXISTENCE, [c, a, b], True)
    assert world.target == {}
    machine.close()


def test_a_run_that_dies_in_the_sink_leaves_both_possibilities(tmp_path: Path) -> None:
    """DUR-2: what a sink may write is in the store before the sink is called."""
    forest = Forest()
    machine = machine_of(tmp_path, forest)
    root = ROOTS["method"]
    text = ["1"]

    async def main() -> None:
        leaf(root, "a", text[0])

    update(machine, main)
    crashed = Machine(tmp_path / "crashed.db", forest)
    forest.crash = (machine.path, crashed.path)
    text[0] = "2"
    update(machine, main)
    assert forest.crash is None, "the crash came to pass"
    text[0] = "1"
    forest.fresh()
    update(crashed, main)
    assert forest.texts() == {"a": "L:1"}, "the crashed store did not take the old record for certain"
    forest.fresh()
    update(crashed, main)
    assert forest.batches == []


def test_a_declared_state_may_be_recorded_as_absent(tmp_path: Path) -> None:
    """``tracking_record=NON_EXISTENCE`` for a wanted state: it is asked again in each run."""
    told: list[tuple[list[Any], bool]] = []

    class Refusing:
        def reconcile(
            self,
            key: coco.StableKey,
            desired_target_state: Any,
            prev_possible_records: Collection[str],
            prev_may_be_missing: bool,
            /,
        ) -> coco.TargetReconcileOutput[Any, str] | None:
            told.append((list(prev_possible_records), prev_may_be_missing))
            return coco.TargetReconcileOutput((str(key), None), _SINK, coco.NON_EXISTENCE)

    provider = coco.register_root_target_states_provider("tests.contract/refusing", Refusing())
    machine = machine_of(tmp_path)

    async def main() -> None:
        coco.declare_target_state(provider.target_state("k", "v"))

    for _ in range(2):
        update(machine, main)
    update(machine, ticks_main)
    assert told == [([], True)] * 3
    assert machine.world.target == {}


async def ticks_main() -> None:
    await ticks(1)


def test_full_reprocess_says_that_everything_may_be_missing(tmp_path: Path) -> None:
    machine = machine_of(tmp_path)
    handler, provider = HANDLERS["texts"], PROVIDERS["texts"]

    async def main() -> None:
        coco.declare_target_state(provider.target_state("k", "v"))

    update(machine, main)
    machine.world.fresh()
    handler.told.clear()
    update(machine, main, full=True)
    assert handler.told == [Told("k", "v", ["v"], True)]
    assert machine.world.log == [("k", "'v'")]


def test_no_action_is_needed_where_the_handler_says_so(tmp_path: Path) -> None:
    """``None`` for a removal: forgotten without a sink call."""

    class Kept:
        def reconcile(
            self,
            key: coco.StableKey,
            desired_target_state: Any,
            prev_possible_records: Collection[str],
            prev_may_be_missing: bool,
            /,
        ) -> coco.TargetReconcileOutput[Any, str] | None:
            if coco.is_non_existence(desired_target_state):
                return None
            return coco.TargetReconcileOutput((str(key), "v"), _SINK, "v")

    provider = coco.register_root_target_states_provider("tests.contract/kept", Kept())
    machine = machine_of(tmp_path)

    async def child() -> None:
        coco.declare_target_state(provider.target_state("k", "v"))

    update(machine, lambda: coco.mount(at("c"), child))
    machine.world.fresh()
    update(machine, ticks_main)
    assert machine.world.calls == 0
    assert machine.world.target == {"k": "v"}
    run(lambda: machine.app(ticks_main).drop().result())
    machine.close()
    assert rows_of(machine.path, "app") == []


# Keys -----------------------------------------------------------------------------------------------------


def test_keys_come_back_as_they_were(tmp_path: Path) -> None:
    from uuid import UUID  # noqa: PLC0415 - beside its one use

    machine = machine_of(tmp_path)
    handler, provider = HANDLERS["texts"], PROVIDERS["texts"]
    keys: list[coco.StableKey] = [
        None, True, False, 0, 1, -1, 255, 256, -129, 2**70, -(2**70), "", "1", "é/\x00", "\udcff", b"", b"\x00)",
        UUID(int=5), coco.Symbol("1"), (), (1,), ("a", (None, b"x")), ((), ()),
    ]  # fmt: skip

    async def main() -> None:
        for key in keys:
            coco.declare_target_state(provider.target_state(key, "v"))

    update(machine, main)
    handler.told.clear()
    update(machine, ticks_main)
    gone = [told.key for told in handler.told]
    assert sorted(map(repr, gone)) == sorted(map(repr, keys))
    assert {type(key) for key in gone} == {type(key) for key in keys}


# Sinks ----------------------------------------------------------------------------------------------------


class Calls:
    """A sink that counts. Equal to others of its name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.sizes: list[int] = []

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Calls) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __call__(self, context: coco.ContextProvider, actions: Sequence[Any]) -> None:
        self.sizes.append(len(actions))

    async def asynchronous(self, context: coco.ContextProvider, actions: Sequence[Any]) -> None:
        self.sizes.append(len(actions))


class BySink:
    """A handler whose value is the sink to use."""

    def reconcile(
        self,
        key: coco.StableKey,
        desired_target_state: coco.TargetActionSink[Any] | coco.NonExistenceType,
        prev_possible_records: Collection[str],
        prev_may_be_missing: bool,
        /,
    ) -> coco.TargetReconcileOutput[Any, str] | None:
        if coco.is_non_existence(desired_target_state):
            return None
        return coco.TargetReconcileOutput(key, desired_target_state, "there")


BY_SINK = coco.register_root_target_states_provider("tests.contract/by_sink", BySink())


def declare_by(sink: coco.TargetActionSink[Any], *keys: coco.StableKey) -> None:
    for key in keys:
        coco.declare_target_state(BY_SINK.target_state(key, sink))


@pytest.mark.parametrize("is_async", [False, True])
def test_one_call_for_all_actions_of_a_component(tmp_path: Path, is_async: bool) -> None:
    calls = Calls("one")
    sink = (
        coco.TargetActionSink.from_async_fn(calls.asynchronous)
        if is_async
        else coco.TargetActionSink.from_fn(calls)
    )
    machine = machine_of(tmp_path)

    async def main() -> None:
        declare_by(sink, *range(10))

    update(machine, main)
    assert calls.sizes == [10]


def test_one_call_per_sink(tmp_path: Path) -> None:
    first, second = Calls("first"), Calls("second")
    machine = machine_of(tmp_path)

    async def main() -> None:
        declare_by(coco.TargetActionSink.from_fn(first), 1, 2)
        declare_by(coco.TargetActionSink.from_async_fn(second.asynchronous), 3, 4, 5)

    update(machine, main)
    assert (first.sizes, second.sizes) == ([2], [3])


@pytest.mark.parametrize("alike", ["the same", "equal"])
def test_components_share_batches_and_equal_functions_are_one_sink(tmp_path: Path, alike: str) -> None:
    machine = machine_of(tmp_path, durability="power")  # under "process" only a busy sink has more to share
    one = Calls("same")
    made = [one]

    async def child(number: int) -> None:
        if alike == "equal":
            made.append(Calls("same"))
            declare_by(coco.TargetActionSink.from_fn(made[-1]), number)
        else:
            declare_by(coco.TargetActionSink.from_async_fn(one.asynchronous), number)

    async def main() -> None:
        await coco.mount_each(child, [(number, number) for number in range(20)])

    update(machine, main)
    sizes = [size for calls in made for size in calls.sizes]
    assert sum(sizes) == 20
    assert len(sizes) < 20, "some shared a call"


def test_actions_for_one_sink_are_applied_one_batch_at_a_time(tmp_path: Path) -> None:
    machine = machine_of(tmp_path)
    inside: list[int] = []
    overlaps: list[int] = []

    async def slow(context: coco.ContextProvider, actions: Sequence[Any]) -> None:
        inside.append(1)
        overlaps.append(len(inside))
        await ticks(3)
        inside.pop()

    sink = coco.TargetActionSink.from_async_fn(slow)

    async def child(number: int) -> None:
        await ticks(number)
        declare_by(sink, number)

    async def main() -> None:
        await coco.mount_each(child, [(number, number) for number in range(20)])

    update(machine, main)
    assert max(overlaps) == 1


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_sink_that_returns_the_wrong_number_of_results(tmp_path: Path, count: int) -> None:
    failures = Failures()
    machine = machine_of(tmp_path, handler=failures)

    def wrong(context: coco.ContextProvider, actions: Sequence[Any]) -> list[None]:
        return [None] * count

    sink = coco.TargetActionSink.from_fn(wrong)

    async def child() -> None:
        declare_by(sink, "a", "b")

    async def main() -> None:
        await coco.mount(at("c"), child)

    update(machine, main)
    assert len(failures.texts) == 1
    assert f"returned {count} results for 2 actions" in failures.texts[0]


def test_what_is_no_sink_is_refused_at_once() -> None:
    async def asynchronous(context: coco.ContextProvider, actions: Sequence[Any]) -> None: ...

    def sync(context: coco.ContextProvider, actions: Sequence[Any]) -> None: ...

    with pytest.raises(TypeError, match="from_fn"):
        coco.TargetActionSink.from_async_fn(sync)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="from_async_fn"):
        coco.TargetActionSink.from_fn(asynchronous)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="function"):
        coco.TargetActionSink.from_fn("nothing")  # type: ignore[arg-type]


def test_a_root_name_is_registered_once() -> None:
    with pytest.raises(ValueError, match="contract/by_sink"):
        coco.register_root_target_states_provider("tests.contract/by_sink", BySink())
    with pytest.raises(TypeError, match="name"):
        coco.register_root_target_states_provider("", BySink())


# Containers -------------------------------------------------------------------------------------------------


@pytest.fixture(params=STYLES)
def style(request: pytest.FixtureRequest) -> Style:
    chosen: Style = request.param
    return chosen


def test_a_container_and_its_children_in_one_component(tmp_path: Path, style: Style) -> None:
    forest = Forest()
    machine = machine_of(tmp_path, forest)
    text = ["1"]

    async def child() -> None:
        inside = folder(ROOTS[style], "f")
        leaf(inside, "a", text[0])
        leaf(inside, "b", text[0])

    async def main() -> None:
        await coco.mount(at("c"), child)

    update(machine, main)
    assert forest.order() == ["+f", "+f/a", "+f/b"]
    assert forest.texts() == {"f": "F:1", "f/a": "L:1", "f/b": "L:1"}
    forest.fresh()
    update(machine, main)
    assert [act for act in forest.order() if act != "+f"] == []
    text[0] = "2"
    update(machine, main)
    assert forest.texts() == {"f": "F:1", "f/a": "L:2", "f/b": "L:2"}
    forest.fresh()
    update(machine, ticks_main)
    assert forest.texts() == {}
    order = forest.order()
    assert order[-1] == "-f", "the folder goes last"
    assert set(order[:-1]) <= {"-f/a", "-f/b"}
    assert rows_below(machine.path, "app") == []


def test_a_mounted_container_with_children_in_other_components(tmp_path: Path, style: Style) -> None:
    forest = Forest()
    machine = machine_of(tmp_path, forest)

    async def row(text: str, inside: Inside) -> None:
        leaf(inside, text, text)

    def main_of(*names: str) -> Main:
        async def main() -> None:
            inside = await mounted_folder(ROOTS[style], "f")
            await coco.mount_each(row, [(name, name) for name in names], inside)

        return main

    update(machine, main_of("a", "b"))
    assert forest.order()[0] == "+f"
    assert forest.texts() == {"f": "F:1", "f/a": "L:a", "f/b": "L:b"}
    forest.fresh()
    update(machine, main_of("b", "c"))
    assert sorted(act for act in forest.order() if act != "+f") == ["+f/c", "-f/a"]
    forest.fresh()
    update(machine, ticks_main)
    assert forest.texts() == {}
    assert forest.order()[-1] == "-f"


@pytest.mark.parametrize("mounted", [False, True])
def test_containers_three_deep(tmp_path: Path, style: Style, mounted: bool) -> None:
    forest = Forest()
    machine = machine_of(tmp_path, forest)

    async def inside_of(outer: Inside, key: str) -> Inside:
        return await mounted_folder(outer, key) if mounted else folder(outer, key)

    def main_of(depth: int) -> Main:
        async def child() -> None:
            inside = ROOTS[style]
            for level in range(depth):
                inside = await inside_of(inside, f"f{level}")
                leaf(inside, "x", level)

        async def main() -> None:
            await coco.mount(at("c"), child)

        return main

    update(machine, main_of(3))
    everything = {
        "f0": "F:1", "f0/x": "L:0", "f0/f1": "F:1", "f0/f1/x": "L:1", "f0/f1/f2": "F:1", "f0/f1/f2/x": "L:2",
    }  # fmt: skip
    assert forest.texts() == everything
    order = forest.order()
    assert order.index("+f0") < order.index("+f0/f1") < order.index("+f0/f1/f2") < order.index("+f0/f1/f2/x")
    forest.fresh()
    update(machine, main_of(1))
    assert forest.texts() == {"f0": "F:1", "f0/x": "L:0"}
    gone = [act for act in forest.order() if act[0] == "-"]
    # Without a handler for what is inside, that goes with its container, and no sink hears of it.
    inner = [gone.index(act) for act in gone if act.startswith("-f0/f1/")]
    assert bool(inner) == (style == "method")
    assert gone.index("-f0/f1") > max(inner, default=-1)
    update(machine, main_of(3))
    assert forest.texts() == everything
    forest.fresh()
    update(machine, ticks_main)
    assert forest.texts() == {}
    gone = forest.order()
    assert gone[-1] == "-f0"
    for outer in ("f0/f1", "f0/f1/f2"):
        inner = [at for at, act in enumerate(gone) if act.startswith(f"-{outer}/")]
        assert all(place < gone.index(f"-{outer}") for place in inner)
    update(machine, ticks_main)
    assert rows_below(machine.path, "app") == []


@pytest.mark.parametrize("change", ["destructive", "lossy"])
@pytest.mark.parametrize("arrangement", ["together", "mounted", "memoized", "called"])
def test_a_changed_container_has_its_children_written_again(
    tmp_path: Path, style: Style, change: Any, arrangement: str
) -> None:
    forest = Forest()
    machine = machine_of(tmp_path, forest)

    async def rows(inside: Inside) -> None:
        leaf(inside, "a", "1")
        leaf(inside, "b", "1")

    remembered = coco.fn(memo=True)(rows)

    def main_of(schema: str) -> Main:
        wanted = Folder(schema, change)

        async def child() -> None:
            if arrangement == "together":
                await rows(folder(ROOTS[style], "f", wanted))
            else:
                inside = await mounted_folder(ROOTS[style], "f", wanted)
                if arrangement == "called":
                    await remembered(inside)
                else:
                    await coco.mount(at("rows"), rows if arrangement == "mounted" else remembered, inside)

        async def main() -> None:
            await coco.mount(at("c"), child)

        return main

    update(machine, main_of("1"))
    update(machine, main_of("1"))
    forest.fresh()
    update(machine, main_of("2"))
    assert forest.texts() == {"f": "F:2", "f/a": "L:1", "f/b": "L:1"}
    assert forest.order() == ["+f", "+f/a", "+f/b"], "each once"
    forest.fresh()
    update(machine, main_of("2"))
    assert [act for act in forest.order() if act != "+f"] == []
    update(machine, ticks_main)
    assert forest.texts() == {}


def test_a_changed_container_and_a_memoized_function_that_gets_it_before_it_is_applied(
    tmp_path: Path, style: Style
) -> None:
    """The memo either refuses such an argument or does not hide the change."""
    forest = Forest()
    machine = machine_of(tmp_path, forest, handler=Failures())

    @coco.fn(memo=True)
    async def rows(inside: Inside) -> None:
        leaf(inside, "a", "1")

    def main_of(schema: str) -> Main:
        async def child() -> str:
            inside = folder(ROOTS[style], "f", Folder(schema, "destructive"))
            try:
                await rows(inside)
            except TypeError as error:
                assert "mount_target" in str(error)  # noqa: PT017 - either is right
                leaf(inside, "a", "1")
                return "refused"
            return "accepted"

        async def main() -> Any:
            return await coco.use_mount(at("c"), child)

        return main

    for schema in ("1", "1", "2", "2"):
        update(machine, main_of(schema))
        assert forest.texts() == {"f": f"F:{schema}", "f/a": "L:1"}


@pytest.mark.parametrize("change", ["destructive", "lossy"])
def test_a_process_that_dies_between_the_container_and_its_children(
    tmp_path: Path, style: Style, change: Any
) -> None:
    """The invalidation is durable before the container is touched; memoized children see it, too."""
    forest = Forest()
    machine = machine_of(tmp_path, forest)

    @coco.fn(memo=True)
    async def rows(inside: Inside) -> None:
        leaf(inside, "a", "1")

    def main_of(schema: str) -> Main:
        async def main() -> None:
            inside = await mounted_folder(ROOTS[style], "f", Folder(schema, change))
            await coco.mount(rows, inside)

        return main

    update(machine, main_of("1"))
    crashed = Machine(tmp_path / "crashed.db", forest)
    forest.crash = (machine.path, crashed.path)  # The next sink call is the container's.
    update(machine, main_of("2"))
    assert forest.crash is None
    # As the crash left it: the container has been changed, its children have not been written again.
    forest.nodes = {(style, "f"): "F:2"}
    if change == "lossy":
        forest.nodes[style, "f", "a"] = "?"
    update(crashed, main_of("2"))
    assert forest.texts() == {"f": "F:2", "f/a": "L:1"}
    forest.fresh()
    update(crashed, main_of("2"))
    assert [act for act in forest.order() if act != "+f"] == []


def test_children_that_fail_after_the_container_changed_are_written_by_the_next_run(
    tmp_path: Path, style: Style
) -> None:
    forest = Forest()
    failures = Failures()
    machine = machine_of(tmp_path, forest, handler=failures)

    @coco.fn(memo=True)
    async def row(text: str, inside: Inside) -> None:
        leaf(inside, text, text)

    def main_of(schema: str) -> Main:
        async def main() -> None:
            inside = await mounted_folder(ROOTS[style], "f", Folder(schema, "destructive"))
            await coco.mount_each(row, [("a", "a"), ("b", "b")], inside)

        return main

    update(machine, main_of("1"))
    forest.refused[style, "f", "b"] = 1
    update(machine, main_of("2"))
    assert len(failures.texts) == 1
    assert forest.texts() == {"f": "F:2", "f/a": "L:a"}
    update(machine, main_of("2"))
    assert forest.texts() == {"f": "F:2", "f/a": "L:a", "f/b": "L:b"}


def test_a_container_that_goes_and_comes_back_starts_empty(tmp_path: Path, style: Style) -> None:
    forest = Forest()
    machine = machine_of(tmp_path, forest)

    @coco.fn(memo=True)
    async def rows(inside: Inside) -> None:
        leaf(inside, "a", "1")

    async def main() -> None:
        inside = await mounted_folder(ROOTS[style], "f")
        await coco.mount(rows, inside)

    for _ in range(2):
        update(machine, main)
        assert forest.texts() == {"f": "F:1", "f/a": "L:1"}
        update(machine, ticks_main)
        assert forest.texts() == {}


def test_a_container_moves_to_another_component_with_what_is_inside(tmp_path: Path, style: Style) -> None:
    """GC-4 for containers: the folder is not removed, and what is in it stays."""
    forest = Forest()
    machine = machine_of(tmp_path, forest)

    async def both() -> None:
        inside = folder(ROOTS[style], "f")
        leaf(inside, "a", "1")

    async def main_one() -> None:
        await coco.mount(at("one"), both)

    async def main_two() -> None:
        await coco.mount(at("two"), both)

    update(machine, main_one)
    forest.fresh()
    update(machine, main_two)
    assert forest.texts() == {"f": "F:1", "f/a": "L:1"}
    assert [act for act in forest.order() if act != "+f"] == []
    update(machine, ticks_main)
    assert forest.texts() == {}


def test_a_container_that_could_not_be_made_fails_its_component(tmp_path: Path, style: Style) -> None:
    forest = Forest()
    failures = Failures()
    machine = machine_of(tmp_path, forest, handler=failures)

    async def child() -> None:
        inside = folder(ROOTS[style], "f")
        leaf(inside, "a", "1")

    async def main() -> None:
        await coco.mount(at("c"), child)

    forest.refused[style, "f"] = 1
    update(machine, main)
    assert len(failures.texts) == 1
    assert "refuses" in failures.texts[0], "the reason, not its consequence"
    assert forest.texts() == {}
    update(machine, main)
    assert forest.texts() == {"f": "F:1", "f/a": "L:1"}


def test_mount_target_raises_what_the_sink_raised(tmp_path: Path, style: Style) -> None:
    forest = Forest()
    machine = machine_of(tmp_path, forest)
    forest.refused[style, "f"] = 1

    async def main() -> str:
        with pytest.raises(OSError, match="refuses"):
            await mounted_folder(ROOTS[style], "f")
        return "went on"

    assert update(machine, main) == "went on"


def test_a_container_nobody_can_look_into_is_a_clear_error(tmp_path: Path) -> None:
    """A sink that defines nothing, on a handler that makes nothing."""
    failures = Failures()
    machine = machine_of(tmp_path, handler=failures)

    async def child() -> None:
        coco.declare_target_state_with_child(PROVIDERS["texts"].target_state("k", "v"))

    async def main() -> None:
        await coco.mount(at("c"), child)

    update(machine, main)
    assert len(failures.texts) == 1
    for word in ("'tests.contract/typed/texts'/k", "ChildTargetDef", "child_handler", "OfTexts"):
        assert word in failures.texts[0]


def test_states_inside_a_container_that_is_not_applied_belong_to_its_component(tmp_path: Path) -> None:
    failures = Failures()
    machine = machine_of(tmp_path, Forest(), handler=failures)

    async def row(inside: Inside) -> None:
        leaf(inside, "a", "1")

    async def child() -> None:
        inside = folder(ROOTS["method"], "f")
        await coco.mount(at("row"), row, inside)

    async def main() -> None:
        await coco.mount(at("c"), child)

    update(machine, main)
    assert len(failures.texts) == 1
    assert failures.texts[0].startswith("/c/row: ")
    assert "mount_target" in failures.texts[0]


def test_what_is_inside_an_undeclared_container_can_not_go_without_a_handler(tmp_path: Path) -> None:
    """The container stays, since its component fails; its rows go, and only its sink could say how."""
    forest = Forest()
    failures = Failures()
    machine = machine_of(tmp_path, forest, handler=failures)

    providers: list[Inside] = []

    async def row() -> None:
        leaf(providers[0], "a", "1")

    async def first() -> None:
        inside = folder(ROOTS["definition"], "f")
        await ticks(1)
        providers.append(inside)

    async def main() -> None:
        await coco.use_mount(at("container"), first)
        await coco.mount(at("row"), row)

    async def failing_container() -> None:
        raise RuntimeError("no folder today")

    async def main_without() -> None:
        await coco.mount(at("container"), failing_container)

    update(machine, main)
    assert forest.texts() == {"f": "F:1", "f/a": "L:1"}
    for _ in range(2):
        failures.texts.clear()
        update(machine, main_without)
        assert len(failures.texts) == 2
        assert "no folder today" in failures.texts[0]
        assert failures.texts[1].startswith("/row: ")
        assert "child_handler" in failures.texts[1]
        assert forest.texts() == {"f": "F:1", "f/a": "L:1"}
    providers.clear()
    failures.texts.clear()

    async def main_again() -> None:
        await coco.use_mount(at("container"), first)

    update(machine, main_again)
    assert failures.texts == []
    assert forest.texts() == {"f": "F:1"}


def test_a_handler_with_a_child_handler_removes_from_containers_of_former_runs(tmp_path: Path) -> None:
    forest = Forest()
    machine = machine_of(tmp_path, forest, handler=Failures())

    async def row(inside: Inside) -> None:
        leaf(inside, "a", "1")

    async def main() -> None:
        inside = await mounted_folder(ROOTS["method"], "f")
        deep = await mounted_folder(inside, "g")
        await coco.mount(at("row"), row, deep)

    async def failing_main() -> None:
        inside = await mounted_folder(ROOTS["method"], "f")
        await mounted_folder(inside, "g")

    update(machine, main)
    forest.fresh()
    update(machine, failing_main)
    assert forest.order() == ["-f/g/a"]


def test_a_root_whose_module_is_not_imported_is_a_clear_error_and_remembered(tmp_path: Path) -> None:
    from liveproof.core import targets  # noqa: PLC0415 - to unregister, as a new process would not register

    failures = Failures()
    machine = machine_of(tmp_path, handler=failures)
    provider = coco.register_root_target_states_provider("tests.contract/away", OfTexts())

    async def child() -> None:
        coco.declare_target_state(provider.target_state("k", "v"))

    update(machine, lambda: coco.mount(at("c"), child))
    del targets._roots["tests.contract/away"]
    update(machine, ticks_main)
    assert len(failures.texts) == 1
    assert "'tests.contract/away'" in failures.texts[0]
    assert "import" in failures.texts[0]
    assert machine.world.target == {"k": "'v'"}
    coco.register_root_target_states_provider("tests.contract/away", OfTexts())
    update(machine, ticks_main)
    assert len(failures.texts) == 1
    assert machine.world.target == {}


@pytest.mark.parametrize("change", ["destructive", "lossy"])
@pytest.mark.parametrize("mounted", [False, True])
def test_a_changed_container_has_everything_below_written_again(
    tmp_path: Path, style: Style, change: Any, mounted: bool
) -> None:
    """Also what is in containers inside it that did not change themselves."""
    forest = Forest()
    machine = machine_of(tmp_path, forest)

    def main_of(schema: str) -> Main:
        async def main() -> None:
            inside = await mounted_folder(ROOTS[style], "f", Folder(schema, change))
            for key in ("g", "h"):
                inside = await mounted_folder(inside, key) if mounted else folder(inside, key)
                leaf(inside, "a", 1)

        return main

    for schema in ("1", "1", "2", "2", "3"):
        update(machine, main_of(schema))
        assert forest.texts() == {
            "f": f"F:{schema}", "f/g": "F:1", "f/g/a": "L:1", "f/g/h": "F:1", "f/g/h/a": "L:1",
        }  # fmt: skip
    update(machine, ticks_main)
    assert forest.texts() == {}


@pytest.mark.parametrize("crash", [False, True])
def test_a_destructive_change_that_did_not_come_to_pass(tmp_path: Path, style: Style, crash: bool) -> None:
    """What was inside is still known of, and goes when it is no longer wanted."""
    forest = Forest()
    machine = machine_of(tmp_path, forest)

    def main_of(wanted: Folder, *names: str) -> Main:
        async def main() -> None:
            inside = await mounted_folder(ROOTS[style], "f", wanted)
            for name in names:
                leaf(inside, name, 1)

        return main

    async def failing() -> None:
        with pytest.raises(OSError, match="refuses"):
            await machine.update(main_of(Folder("2", "destructive"), "a", "b"))

    update(machine, main_of(Folder("1"), "a", "b"))
    forest.refused[style, "f"] = 1
    crashed = tmp_path / "crashed.db"
    if crash:
        forest.crash = (machine.path, crashed)
    run(failing)
    machine.close()
    if crash:
        machine = Machine(crashed, forest)
        forest.nodes = forest.left
    update(machine, main_of(Folder("1"), "b"))
    assert forest.texts() == {"f": "F:1", "f/b": "L:1"}
    update(machine, ticks_main)
    assert forest.texts() == {}


def play(path: Path, style: Style, seed: int) -> None:
    """Runs of random wishes, some with a target that fails, some ended by a crash; clean ones in between."""
    chance = Chance(seed)
    forest = Forest()
    failures = Failures()
    machine = Machine(path / "s.db", forest, handler=failures)

    def once(plans: dict[str, Plan]) -> None:
        update(machine, lambda: build(ROOTS[style], plans))

    def clean(plans: dict[str, Plan]) -> None:
        forest.refused.clear()
        failures.texts.clear()
        once(plans)
        assert failures.texts == []
        assert forest.nodes == nodes_of(plans, (style,)), f"seed {seed}"
        forest.fresh()
        once(plans)
        ensured = [text for _, text in forest.acts if text is not None and text[0] == "F" and style != "method"]
        assert len(forest.acts) == len(ensured), f"seed {seed}: not idle"

    for step in range(2 + chance.below(3)):
        plans = draw_plans(chance)
        places = sorted({*nodes_of(plans, (style,)), *forest.nodes})
        if places and chance.chance(60):
            forest.refused = {chance.pick(places): 1 + chance.below(3) for _ in range(1 + chance.below(3))}
        left = path / f"{step}.db"
        if chance.chance(30):
            forest.crash, forest.crash_after = (machine.path, left), chance.below(4)
        with contextlib.suppress(OSError, RuntimeError):
            once(plans)
        if left.exists():
            machine = Machine(left, forest, handler=failures)
            forest.nodes = forest.left
        forest.crash = None
        if chance.chance(40):
            clean(plans)
    clean(draw_plans(chance))
    clean({})
    assert rows_below(machine.path, "app") == []


@pytest.mark.parametrize("block", range(8))
def test_random_programs_of_folders(tmp_path: Path, style: Style, block: int) -> None:
    for seed in range(block * 8, block * 8 + 8):
        path = tmp_path / str(seed)
        path.mkdir()
        play(path, style, seed)
        shutil.rmtree(path)


# Attachments ------------------------------------------------------------------------------------------------


def test_attachments_live_beside_the_children(tmp_path: Path, style: Style) -> None:
    forest = Forest()
    machine = machine_of(tmp_path, forest)

    def main_of(*names: str) -> Main:
        async def main() -> None:
            inside = await mounted_folder(ROOTS[style], "f")
            leaf(inside, "a", "1")
            index = inside.attachment("index")
            assert inside.attachment("index") is index
            for name in names:
                leaf(index, name, "i")

        return main

    update(machine, main_of("x", "a"))
    assert forest.texts() == {"f": "F:1", "f/a": "L:1", "f/@index/a": "L:i", "f/@index/x": "L:i"}
    forest.fresh()
    update(machine, main_of("a"))
    assert [act for act in forest.order() if act != "+f"] == ["-f/@index/x"]
    forest.fresh()
    update(machine, ticks_main)
    assert forest.texts() == {}
    assert forest.order()[-1] == "-f"


def test_attachments_of_a_root(tmp_path: Path) -> None:
    forest = Forest()
    machine = machine_of(tmp_path, forest)

    async def main() -> None:
        leaf(ROOTS["method"].attachment("index"), "x", "i")

    update(machine, main)
    assert forest.texts() == {"@index/x": "L:i"}
    update(machine, ticks_main)
    assert forest.texts() == {}


def test_attachments_that_are_not_there(tmp_path: Path) -> None:
    machine = machine_of(tmp_path, Forest())

    async def main() -> None:
        inside = await mounted_folder(ROOTS["method"], "f")
        with pytest.raises(ValueError, match=r"'other'.*index"):
            inside.attachment("other")
        pending = folder(inside, "g")
        with pytest.raises(RuntimeError, match="mount_target"):
            pending.attachment("index")

    update(machine, main)


def test_attachments_after_a_destructive_change(tmp_path: Path) -> None:
    forest = Forest()
    machine = machine_of(tmp_path, forest)

    def main_of(schema: str) -> Main:
        async def main() -> None:
            inside = await mounted_folder(ROOTS["method"], "f", Folder(schema, "destructive"))
            leaf(inside.attachment("index"), "x", "i")

        return main

    for schema in ("1", "2"):
        update(machine, main_of(schema))
        assert forest.texts() == {"f": f"F:{schema}", "f/@index/x": "L:i"}


# Ownership (GC-4, declared twice) ---------------------------------------------------------------------------


def test_GC_4_a_moved_state_is_written_at_most_once_and_never_absent(tmp_path: Path) -> None:
    machine = machine_of(tmp_path)

    async def child(key: str, value: int) -> None:
        declare(key, value)

    def main_of(owner: str, value: int) -> Main:
        async def main() -> None:
            await coco.mount(at(owner), child, "k", value)

        return main

    update(machine, main_of("a", 1))
    machine.world.fresh()
    update(machine, main_of("b", 1))
    assert machine.world.log == [], "it moved without a change"
    update(machine, main_of("a", 2))
    assert machine.world.log == [("k", "2")]
    update(machine, ticks_main)
    assert machine.world.log == [("k", "2"), ("k", None)]


def test_GC_4_a_move_between_parent_and_child(tmp_path: Path) -> None:
    machine = machine_of(tmp_path)

    async def child(key: str) -> None:
        declare(key, 1)

    async def in_parent() -> None:
        declare("k", 1)

    async def in_child() -> None:
        await coco.mount(at("c"), child, "k")

    update(machine, in_parent)
    machine.world.fresh()
    for main in (in_child, in_parent, in_child, in_parent):
        update(machine, main)
        assert machine.world.log == []
    update(machine, ticks_main)
    assert machine.world.target == {}


@pytest.mark.parametrize("wait", [0, 5])
def test_GC_4_a_move_away_from_a_component_with_many_children(tmp_path: Path, wait: int) -> None:
    """Its former children are so many that they are read off the loop, while others go on."""
    failures = Failures()
    machine = machine_of(tmp_path, handler=failures)

    async def former(first: bool) -> None:
        if first:
            declare("k", 1)
            await coco.mount_each(one_cell, [(number, f"c{number}") for number in range(300)], 1)

    async def newcomer() -> None:
        await ticks(wait)
        declare("k", 2)

    async def before() -> None:
        await coco.mount(at("a"), former, True)

    async def main() -> None:
        await coco.mount(at("a"), former, False)
        await coco.mount(at("b"), newcomer)

    update(machine, before)
    update(machine, main)
    assert failures.texts == []
    assert machine.world.target == {"k": "2"}
    machine.world.fresh()
    update(machine, main)
    assert machine.world.log == []
    update(machine, ticks_main)
    assert machine.world.target == {}
    assert rows_below(machine.path, "app") == []


def test_GC_4_a_component_that_fails_to_take_a_state_over_leaves_it_with_its_owner(tmp_path: Path) -> None:
    """Nothing moves by halves: whoever fails in reconciling has taken nothing."""

    class Picky(Recorder):
        def reconcile(
            self,
            key: coco.StableKey,
            desired_target_state: str | coco.NonExistenceType,
            prev_possible_records: Collection[str],
            prev_may_be_missing: bool,
            /,
        ) -> coco.TargetReconcileOutput[Any, str] | None:
            if desired_target_state == "bad":
                raise ValueError("bad")
            return self.asked(key, desired_target_state, prev_possible_records, prev_may_be_missing)

    provider = coco.register_root_target_states_provider("tests.contract/picky", Picky())
    machine = machine_of(tmp_path, handler=Failures())

    async def child(**wanted: str) -> None:
        for key, value in wanted.items():
            coco.declare_target_state(provider.target_state(key, value))

    async def first() -> None:
        await coco.mount(at("a"), child, x="1")

    async def second() -> None:
        await coco.mount(at("b"), child, x="1", y="bad")

    update(machine, first)
    update(machine, second)
    update(machine, ticks_main)
    assert machine.world.target == {}


def declared_twice(failures: Failures, key: str, *paths: str) -> None:
    """Exactly one failure, and it names the key and the components."""
    assert len(failures.texts) == 1, failures.texts
    assert "declared twice" in failures.texts[0]
    assert f"'tests.contract/cell'/{key} " in failures.texts[0]
    for path in paths:
        assert f" {path}" in failures.texts[0]


async def one_cell(key: str, value: object) -> None:
    declare(key, value)


remembered_cell = coco.fn(memo=True)(one_cell)


@coco.fn(memo=True)
def call_for_cell(key: str, value: object) -> None:
    declare(key, value)


async def calls_for_cell(key: str, value: object) -> None:
    call_for_cell(key, value)


@pytest.mark.parametrize("first", ["a", "b"])
@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("fn", [one_cell, remembered_cell, calls_for_cell])
def test_declared_twice_by_a_former_owner_and_a_newcomer(
    tmp_path: Path, first: str, waits: bool, fn: Callable[[str, object], Awaitable[None]]
) -> None:
    """Whichever comes first, and whatever is remembered: the one that comes second fails, in this run."""
    failures = Failures()
    machine = machine_of(tmp_path, handler=failures)

    async def before() -> None:
        await coco.mount(at("a"), fn, "k", 1)

    async def main() -> None:
        for name in (first, "b" if first == "a" else "a"):
            handle = await coco.mount(at(name), *((fn, "k", 1) if name == "a" else (one_cell, "k", 2)))
            if waits:
                await handle.ready()

    update(machine, before)
    update(machine, main)
    declared_twice(failures, "k", "/a", "/b")
    if waits:
        assert failures.texts[0].startswith("/b: " if first == "a" else "/a: ")
        assert machine.world.target == {"k": "1" if first == "a" else "2"}
    failures.texts.clear()
    update(machine, before)
    assert failures.texts == []
    assert machine.world.target == {"k": "1"}
    update(machine, ticks_main)
    assert machine.world.target == {}


def test_declared_twice_below_a_component_that_was_carried_over(tmp_path: Path) -> None:
    failures = Failures()
    machine = machine_of(tmp_path, handler=failures)

    @coco.fn(memo=True)
    async def parent() -> None:
        await coco.mount(at("c"), one_cell, "k", 1)

    async def alone() -> None:
        await coco.mount(at("p"), parent)

    async def both() -> None:
        await coco.mount(at("p"), parent)
        await coco.mount(at("d"), one_cell, "k", 2)

    update(machine, alone)
    update(machine, both)
    declared_twice(failures, "k", "/d", "/p/c")
    assert machine.world.target == {"k": "1"}
    update(machine, alone)
    assert machine.world.target == {"k": "1"}


def test_declared_twice_in_one_component(tmp_path: Path) -> None:
    machine = machine_of(tmp_path)

    async def main() -> str:
        declare("k", 1)
        with pytest.raises(ValueError, match=r"'tests\.contract/cell'/k .*declared twice.*/"):
            declare("k", 2)
        return "went on"

    assert update(machine, main) == "went on"
    assert machine.world.target == {"k": "1"}, "the first stands"


@pytest.mark.parametrize("order", ["direct first", "call first"])
def test_declared_twice_in_one_component_by_a_memo_hit(tmp_path: Path, order: str) -> None:
    machine = machine_of(tmp_path)
    both: list[int] = []

    async def main() -> None:
        if both and order == "direct first":
            declare("k", 2)
        call_for_cell("k", 1)
        if both and order == "call first":
            declare("k", 2)

    update(machine, main)
    both.append(1)

    async def go() -> None:
        with pytest.raises(ValueError, match="declared twice"):
            await machine.update(main)

    run(go)
    machine.close()
    assert machine.world.target == {"k": "1"}


def test_declared_by_parent_and_child(tmp_path: Path) -> None:
    machine = machine_of(tmp_path)

    async def main() -> None:
        declare("k", 1)
        await coco.mount(at("c"), one_cell, "k", 2)

    async def go() -> None:
        with pytest.raises(ValueError, match=r"declared twice.*/c"):
            await machine.update(main)

    run(go)
    assert machine.world.target == {"k": "2"}
    machine.close()


def test_declared_twice_while_the_first_is_still_collecting(tmp_path: Path) -> None:
    """Its states are written, its former children are being removed: it owns what it declared."""
    failures = Failures()
    machine = machine_of(tmp_path, handler=failures)
    gone: list[int] = []

    async def first() -> None:
        declare("k", 2 if gone else 1)
        if not gone:
            await coco.mount_each(one_cell, [(f"c{n}", f"c{n}") for n in range(3)], 1)

    async def slow(actions: Sequence[tuple[str, Any]]) -> None:
        await ticks(20)

    async def main() -> None:
        await coco.mount(at("a"), first)
        if gone:
            await coco.mount(at("b"), one_cell, "k", 3)

    update(machine, main)
    gone.append(1)
    machine.world.before = slow
    update(machine, main)
    declared_twice(failures, "k", "/a", "/b")
    assert len(machine.world.target) == 1


# Dropping -------------------------------------------------------------------------------------------------


def drop(machine: Machine, main: Main, *, name: str = "app") -> None:
    """Drop in a new process."""
    try:
        run(lambda: machine.app(main, name=name).drop().result())
    finally:
        machine.close()


def test_drop_removes_everything_in_the_right_order(tmp_path: Path, style: Style) -> None:
    forest = Forest()
    machine = machine_of(tmp_path, forest)

    @coco.fn(memo=True)
    async def computed(text: str) -> str:
        return text * 2

    @coco.fn(memo=True)
    async def row(text: str, inside: Inside) -> None:
        leaf(inside, text, await computed(text))

    class Live:
        def __init__(self, inside: Inside) -> None:
            self.inside = inside

        async def process(self) -> None:
            await coco.mount_each(row, [("x", "x"), ("y", "y")], self.inside)

        async def process_live(self, operator: coco.LiveComponentOperator) -> None:
            await operator.update_full()

    async def main() -> None:
        declare("cell", 1)
        outer = await mounted_folder(ROOTS[style], "f")
        inner = await mounted_folder(outer, "g")
        await coco.mount(Live, inner)
        leaf(inner, "own", await computed("own"))

    update(machine, main)
    assert set(forest.texts()) == {"f", "f/g", "f/g/x", "f/g/y", "f/g/own"}
    forest.fresh()
    drop(machine, main)
    assert forest.texts() == {}
    assert forest.target == {}
    order = forest.order()
    assert order[-1] == "-f", "what is inside goes before what it is in"
    if style == "method":
        assert order[-2] == "-f/g"
        assert sorted(order[:-2]) == ["-f/g/own", "-f/g/x", "-f/g/y"]
    assert rows_of(machine.path, "app") == []
    drop(machine, main)
    update(machine, main)
    assert set(forest.texts()) == {"f", "f/g", "f/g/x", "f/g/y", "f/g/own"}


def test_a_drop_that_fails_is_remembered_and_can_be_repeated(tmp_path: Path) -> None:
    machine = machine_of(tmp_path)

    async def main() -> None:
        await coco.mount_each(one_cell, [(key, key) for key in "abc"], 1)

    update(machine, main)
    machine.world.broken["b"] = 2
    with pytest.raises(ExceptionGroup, match="'app'") as caught:
        drop(machine, main)
    assert [str(error) for error in caught.value.exceptions] == ["the target refuses b"]
    assert machine.world.target == {"b": "1"}
    drop(machine, main)
    assert machine.world.target == {}
    assert rows_of(machine.path, "app") == []


def test_a_drop_that_failed_can_be_followed_by_an_update(tmp_path: Path) -> None:
    machine = machine_of(tmp_path)

    async def main() -> None:
        await coco.mount_each(one_cell, [(key, key) for key in "abc"], 1)

    update(machine, main)
    machine.world.broken["b"] = 2
    with pytest.raises(ExceptionGroup):
        drop(machine, main)
    update(machine, main)
    assert machine.world.target == {"a": "1", "b": "1", "c": "1"}


def test_two_apps_in_one_store_do_not_disturb_each_other(tmp_path: Path) -> None:
    machine = machine_of(tmp_path)

    def main_of(*keys: str) -> Main:
        async def main() -> None:
            declare(f"{keys[0]}!", 1)
            await coco.mount_each(one_cell, [(key, key) for key in keys], 1)

        return main

    async def both() -> None:
        one, two = machine.app(main_of("a", "b"), name="one"), machine.app(main_of("c", "d"), name="two")
        first, second = one.update(), two.update()
        await first
        await second

    run(both)
    machine.close()
    assert set(machine.world.target) == {"a!", "a", "b", "c!", "c", "d"}

    async def less() -> None:
        await machine.app(main_of("a"), name="one").update()

    run(less)
    machine.close()
    assert set(machine.world.target) == {"a!", "a", "c!", "c", "d"}
    drop(machine, ticks_main, name="one")
    assert set(machine.world.target) == {"c!", "c", "d"}
    assert rows_of(machine.path, "one") == []
    assert rows_of(machine.path, "two") != []
    machine.world.fresh()

    async def again() -> None:
        await machine.app(main_of("c", "d"), name="two").update()

    run(again)
    assert machine.world.log == []
    machine.close()


def test_apps_whose_names_begin_alike(tmp_path: Path) -> None:
    machine = machine_of(tmp_path)
    for name in ("a", "ab", "abc"):
        run(lambda: machine.app(lambda: one_cell(name, 1), name=name).update().result())  # noqa: B023
    machine.close()
    drop(machine, ticks_main, name="a")
    assert set(machine.world.target) == {"ab", "abc"}


def test_drop_while_it_runs_live_is_refused(tmp_path: Path) -> None:
    machine = machine_of(tmp_path)

    class Live:
        async def process(self) -> None:
            await coco.mount(at("c"), one_cell, "k", 1)

        async def process_live(self, operator: coco.LiveComponentOperator) -> None:
            await operator.update_full()
            await operator.mark_ready()
            with pytest.raises(RuntimeError, match="live"):
                await machine.app(ticks_main).drop()

    async def main() -> None:
        await coco.mount(Live)

    run(lambda: machine.update(main, live=True))
    assert machine.world.target == {"k": "1"}
    machine.close()
