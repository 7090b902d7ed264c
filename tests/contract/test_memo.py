"""Memos of components and of calls inside them: when they stand, what they keep, and what they hide not.

What counts as a key, as logic, and how values are stored is tested in tests/runtime; here it is the effect
on components and targets, from one process to the next.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import linecache
import shutil
import sqlite3
import types
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pytest

import liveproof as coco
from tests.contract.oracle import read_store
from tests.contract.targets_world import (
    ROOTS,
    Folder,
    Forest,
    Inside,
    copy_store,
    leaf,
    mounted_folder,
    rows_below,
)
from tests.contract.world import (
    WORLD,
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

Main = Callable[[], Awaitable[Any]]
Way = Literal["mounted", "called", "called in sync"]

WAYS: tuple[Way, ...] = ("mounted", "called", "called in sync")


class Failures:
    def __init__(self) -> None:
        self.texts: list[str] = []

    def __call__(self, error: BaseException, context: coco.ExceptionContext) -> None:
        self.texts.append(f"{context.stable_path}: {error}")


def machine_of(tmp_path: Path, world: World | None = None, **options: Any) -> Machine:
    return Machine(tmp_path / "s.db", world or World(), **options)


def update(machine: Machine, main: Main, *, full: bool = False) -> list[str]:
    """One run in a new process. Returns what ran, and clears the logs first."""
    machine.world.fresh()
    try:
        run(lambda: machine.update(main, full=full))
    finally:
        machine.close()
    return list(machine.world.ran)


def ran(name: str) -> None:
    """Note that the running component is here."""
    world().ran.append(name)


def using(way: Way, fn: Any, *args: Any) -> Main:
    """A main function that uses a memoized function in this way."""

    async def main() -> Any:
        if way == "mounted":
            return await coco.use_mount(at("c"), fn, *args)
        if way == "called":
            return await fn.as_async(*args)

        def body() -> Any:
            return fn(*args)

        return await coco.use_mount(at("sync"), body)

    return main


def memoized(way: Way, body: Callable[..., Any], **options: Any) -> Any:
    """``body``, memoized; async unless it is to be called from a sync component."""
    if way == "called in sync":
        return coco.fn(memo=True, **options)(body)
    return coco.fn.as_async(memo=True, **options)(body)


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Way:
    chosen: Way = request.param
    return chosen


# Hits and misses ----------------------------------------------------------------------------------------------


def test_a_hit_skips_the_body_and_keeps_its_effects(tmp_path: Path, way: Way) -> None:
    machine = machine_of(tmp_path)

    def body(key: str, value: int) -> tuple[str, int]:
        ran("body")
        declare(key, value)
        return key, value

    fn = memoized(way, body)
    results: list[Any] = []

    async def main() -> None:
        results.append(await using(way, fn, "k", 1)())

    assert update(machine, main) == ["body"]
    for _ in range(3):
        assert update(machine, main) == []
        assert machine.world.calls == 0, "DUR-3: no sink is called"
        assert machine.world.target == {"k": "1"}
    assert [tuple(result) for result in results] == [("k", 1)] * 4
    assert type(results[-1]) is tuple, "by the annotation"


@pytest.mark.parametrize("kind", ["positional", "keyword", "default", "nested", "object"])
def test_other_arguments_miss(tmp_path: Path, way: Way, kind: str) -> None:
    machine = machine_of(tmp_path)

    def body(*args: Any, **kwargs: Any) -> None:
        ran("body")

    @dataclasses.dataclass
    class Box:
        value: Any

    fn = memoized(way, body)

    def main_of(value: int) -> Main:
        def call() -> Any:
            match kind:
                case "positional":
                    return ((value,), {})
                case "keyword":
                    return ((), {"value": value})
                case "default":
                    return ((), {"value": value} if value else {})
                case "nested":
                    return (([{"a": (value,)}],), {})
                case _:
                    return ((Box(value),), {})

        args, kwargs = call()

        async def main() -> None:
            if way == "mounted":
                await coco.mount(at("c"), fn, *args, **kwargs)
            elif way == "called":
                await fn(*args, **kwargs)
            else:
                await coco.use_mount(at("sync"), lambda: fn(*args, **kwargs))

        return main

    assert update(machine, main_of(1)) == ["body"]
    assert update(machine, main_of(1)) == []
    assert update(machine, main_of(2)) == ["body"]
    assert update(machine, main_of(2)) == []


_sources = 0


def module_of(source: str) -> types.ModuleType:
    """A module of this source, as a new process would import it after an edit."""
    global _sources  # noqa: PLW0603 - numbers the files that are none
    _sources += 1
    module = types.ModuleType("tests.contract.edited")
    name = f"/nowhere/edited_{_sources}.py"
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    module.__dict__.update(coco=coco, ran=ran, declare=declare)
    exec(compile(source, name, "exec"), module.__dict__)
    return module


HELPER = """
@coco.fn
def helper(value):
    return value + {plus}
"""

EDITED = """
@coco.fn(memo=True, {options})
async def edited(value):
    ran("edited")
    declare("k", helper(value) + {plus})
"""


def edited(*, helper: int = 0, plus: int = 0, options: str = "") -> Any:
    module = module_of(HELPER.format(plus=helper) + EDITED.format(plus=plus, options=options))
    return module.edited


@pytest.mark.parametrize("how", ["mounted", "called"])
@pytest.mark.parametrize(
    ("before", "after", "again"),
    [
        ({}, {}, False),
        ({}, {"plus": 1}, True),
        ({}, {"helper": 1}, True),
        ({"options": "deps=1"}, {"options": "deps=1"}, False),
        ({"options": "deps=1"}, {"options": "deps=2"}, True),
        ({"options": "deps={'a': [1]}"}, {"options": "deps={'a': [2]}"}, True),
        ({"options": "version=1"}, {"options": "version=1", "plus": 1}, False),
        ({"options": "version=1"}, {"options": "version=2"}, True),
        ({"options": "logic_tracking='self'"}, {"options": "logic_tracking='self'", "helper": 1}, False),
        ({"options": "logic_tracking='self'"}, {"options": "logic_tracking='self'", "plus": 1}, True),
        ({"options": "logic_tracking=None"}, {"options": "logic_tracking=None", "plus": 1}, False),
        ({"options": "logic_tracking=None"}, {"options": "logic_tracking=None", "helper": 1}, True),
    ],
)
def test_edited_code(
    tmp_path: Path, how: Way, before: dict[str, Any], after: dict[str, Any], again: bool
) -> None:
    machine = machine_of(tmp_path)
    kept = [edited(**before)]
    assert update(machine, using(how, kept[0], 1)) == ["edited"]
    kept.clear()
    gc.collect()  # The old code is gone for good, as in a new process.
    kept.append(edited(**after))
    assert update(machine, using(how, kept[0], 1)) == (["edited"] if again else [])
    assert update(machine, using(how, kept[0], 1)) == []


def test_a_child_that_was_edited_below_a_memoized_parent(tmp_path: Path) -> None:
    machine = machine_of(tmp_path)
    source = """
@coco.fn{of_child}
async def child(value):
    ran("child")
    declare("k", value + {plus})

@coco.fn(memo=True)
async def parent(value):
    ran("parent")
    await coco.mount(coco.component_subpath("d"), child, value)
"""
    kept: list[Any] = []
    for of_child in ("", "(memo=True)"):
        for plus, expected in ((0, ["parent", "child"]), (0, []), (1, ["parent", "child"])):
            kept.clear()
            gc.collect()
            kept.append(module_of(source.format(plus=plus, of_child=of_child)))
            assert update(machine, using("mounted", kept[0].parent, 1)) == expected
        assert machine.world.target == {"k": "2"}
        update(machine, nothing)


async def nothing() -> None:
    await ticks(1)


TRACKED: coco.ContextKey[int] = coco.ContextKey("tests.contract/tracked", detect_change=True)
UNTRACKED: coco.ContextKey[int] = coco.ContextKey("tests.contract/untracked")


@pytest.mark.parametrize("depth", ["directly", "in a helper", "in a child", "in a nested memo"])
def test_a_context_value_that_changes(tmp_path: Path, depth: str) -> None:
    world = World()

    @coco.fn
    def helper() -> int:
        return coco.use_context(TRACKED) + coco.use_context(UNTRACKED)

    @coco.fn(memo=True)
    def remembered() -> int:
        return helper()

    async def child() -> None:
        declare("child", helper())

    @coco.fn(memo=True)
    async def fn() -> None:
        ran("fn")
        if depth == "directly":
            coco.use_context(TRACKED)
            coco.use_context(UNTRACKED)
        elif depth == "in a helper":
            helper()
        elif depth == "in a child":
            await coco.mount(at("d"), child)
        else:
            remembered()

    async def main() -> None:
        await coco.mount(at("c"), fn)

    def once(tracked: int, untracked: int) -> list[str]:
        provider = coco.ContextProvider()
        provider.provide(WORLD, world)
        provider.provide(TRACKED, tracked)
        provider.provide(UNTRACKED, untracked)
        env = coco.Environment(coco.Settings(tmp_path / "s.db", "process"), context_provider=provider)
        app: coco.App[[], Any] = coco.App(coco.AppConfig("app", environment=env), main)
        world.fresh()
        run(lambda: app.update().result())
        env.close()
        return list(world.ran)

    assert once(1, 1) == ["fn"]
    assert once(1, 1) == []
    assert once(1, 2) == [], "nobody asked to track that"
    assert once(2, 2) == ["fn"]
    assert once(2, 2) == []
    assert once(1, 2) == ["fn"]


def test_full_reprocess_runs_everything_and_applies_everything_again(tmp_path: Path, way: Way) -> None:
    machine = machine_of(tmp_path)

    def body(key: str) -> str:
        ran("body")
        declare(key, 1)
        return key

    fn = memoized(way, body)
    update(machine, using(way, fn, "k"))
    assert update(machine, using(way, fn, "k")) == []
    assert update(machine, using(way, fn, "k"), full=True) == ["body"]
    assert machine.world.log == [("k", "1")]
    assert update(machine, using(way, fn, "k")) == []


def test_full_reprocess_calls_an_equal_call_once_too(tmp_path: Path) -> None:
    """As an ordinary run does: memos of *earlier* runs are not used."""
    machine = machine_of(tmp_path)

    @coco.fn(memo=True)
    async def fn(key: str) -> str:
        ran(key)
        declare(key, 1)
        return key

    async def main() -> None:
        assert [await fn("k"), await fn("k"), await fn("l")] == ["k", "k", "l"]

    assert update(machine, main) == ["k", "l"]
    assert update(machine, main, full=True) == ["k", "l"]


def test_a_component_that_is_no_longer_memoized_runs(tmp_path: Path) -> None:
    machine = machine_of(tmp_path)

    async def body() -> None:
        ran("body")
        declare("k", 1)

    remembered = coco.fn(memo=True)(body)
    assert update(machine, using("mounted", remembered)) == ["body"]
    assert update(machine, using("mounted", body)) == ["body"]
    assert update(machine, using("mounted", remembered)) == ["body"], "that run left no memo"
    assert update(machine, using("mounted", remembered)) == []


# Results ------------------------------------------------------------------------------------------------------


class Pair(NamedTuple):
    name: str
    size: int


@dataclasses.dataclass
class Tree:
    pair: Pair
    inner: list[Tree]


class Method:
    """An object with a memoized method."""

    def __coco_memo_key__(self) -> object:
        return "method"

    @coco.fn(memo=True)
    async def tree(self) -> Tree:
        ran("tree")
        return Tree(Pair("method", 1), [])


@coco.fn(memo=True)
async def a_tree() -> Tree:
    ran("tree")
    return Tree(Pair("a", 1), [Tree(Pair("b", 2), [])])


@coco.fn.as_async(memo=True)
def an_adapted_tree() -> Tree:
    ran("tree")
    return Tree(Pair("adapted", 1), [])


@coco.fn(memo=True)
def a_sync_tree() -> Tree:
    ran("tree")
    return Tree(Pair("sync", 1), [])


@coco.fn(memo=True)
async def texts() -> list[str | None]:
    ran("tree")
    return ["a", None]


@coco.fn(memo=True)
async def no_annotation():  # type: ignore[no-untyped-def]
    ran("tree")
    return {"a": [1, b"\x00", None]}


@coco.fn(memo=True)
async def no_result() -> None:
    ran("tree")


@pytest.mark.parametrize("how", ["mounted", "called"])
@pytest.mark.parametrize(
    "fn",
    [a_tree, an_adapted_tree, a_sync_tree, Method().tree, texts, no_annotation, no_result],
    ids=["async", "adapted", "sync", "method", "list", "plain", "none"],
)
def test_the_result_of_a_hit_is_the_result(tmp_path: Path, fn: Any, how: Way) -> None:
    machine = machine_of(tmp_path)
    results: list[Any] = []

    async def main() -> None:
        results.append(await using(how, fn)())

    assert update(machine, main) == ["tree"]
    assert update(machine, main) == []
    assert results[0] == results[1]
    assert type(results[0]) is type(results[1])


def test_a_result_that_can_not_be_stored_is_a_clear_error(tmp_path: Path) -> None:
    failures = Failures()
    machine = machine_of(tmp_path, handler=failures)

    @coco.fn(memo=True)
    async def fn() -> object:
        declare("k", 1)
        return object()

    async def main() -> None:
        await coco.mount(at("c"), fn)

    for _ in range(2):
        update(machine, main)
        assert len(failures.texts) == 1
        assert "builtins.object" in failures.texts[0]
        assert "cannot be stored" in failures.texts[0]
        failures.texts.clear()
    update(machine, nothing)
    assert machine.world.target == {}


# Memo states ----------------------------------------------------------------------------------------------------


class File:
    """Validated by time first, and by contents if that has changed."""

    def __init__(self, name: str, mtime: int, text: str) -> None:
        self.name = name
        self.mtime = mtime
        self.text = text
        self.asked: list[Any] = []
        self.read = 0

    def __coco_memo_key__(self) -> object:
        return self.name

    def __coco_memo_state__(self, previous: tuple[int, str] | coco.NonExistenceType) -> coco.MemoStateOutcome:
        self.asked.append(previous)
        if not coco.is_non_existence(previous) and previous[0] == self.mtime:
            return coco.MemoStateOutcome(previous, memo_valid=True)
        self.read += 1
        valid = not coco.is_non_existence(previous) and previous[1] == self.text
        return coco.MemoStateOutcome((self.mtime, self.text), memo_valid=valid)


class AsyncFile(File):
    async def __coco_memo_state__(  # type: ignore[override]
        self, previous: tuple[int, str] | coco.NonExistenceType
    ) -> coco.MemoStateOutcome:
        await ticks(2)
        return super().__coco_memo_state__(previous)


@pytest.mark.parametrize(
    ("way", "kind"), [*((way, File) for way in WAYS), ("mounted", AsyncFile), ("called", AsyncFile)]
)
def test_memo_states(tmp_path: Path, way: Way, kind: type[File]) -> None:
    machine = machine_of(tmp_path)

    def body(file: File) -> str:
        ran("body")
        declare(file.name, file.text)
        return file.text

    fn = memoized(way, body)

    def once(mtime: int, text: str) -> tuple[list[str], File]:
        file = kind("f", mtime, text)
        return update(machine, using(way, fn, file)), file

    runs, file = once(1, "a")
    assert (runs, file.asked) == (["body"], [coco.NON_EXISTENCE])
    runs, file = once(1, "a")
    assert (runs, file.asked, file.read) == ([], [(1, "a")], 0)
    assert type(file.asked[0]) is tuple
    runs, file = once(2, "a")
    assert (runs, file.asked, file.read) == ([], [(1, "a")], 1)
    runs, file = once(2, "a")
    assert (runs, file.asked, file.read) == ([], [(2, "a")], 0), "the new time was kept"
    runs, file = once(3, "b")
    assert (runs, file.asked) == (["body"], [(2, "a")])
    assert machine.world.target == {"f": "b"}
    runs, file = once(3, "b")
    assert (runs, file.asked) == ([], [(3, "b")])


def test_an_async_state_in_a_sync_call_is_a_clear_error(tmp_path: Path) -> None:
    machine = machine_of(tmp_path)

    @coco.fn(memo=True)
    def fn(file: File) -> None: ...

    async def main() -> None:
        with pytest.raises(RuntimeError, match=r"async.*as_async"):
            fn(AsyncFile("f", 1, "a"))

    update(machine, main)


def test_a_change_while_the_function_runs_is_seen_by_the_next_run(tmp_path: Path) -> None:
    machine = machine_of(tmp_path)
    file = File("f", 1, "a")

    @coco.fn(memo=True)
    async def fn(file: File) -> None:
        ran("body")
        declare("f", file.text)
        if file.mtime == 1:
            file.mtime, file.text = 2, "b"

    async def main() -> None:
        await coco.mount(at("c"), fn, file)

    assert update(machine, main) == ["body"]
    assert machine.world.target == {"f": "a"}
    assert update(machine, main) == ["body"]
    assert machine.world.target == {"f": "b"}
    assert update(machine, main) == []


def test_states_of_several_arguments_each_have_a_say(tmp_path: Path) -> None:
    machine = machine_of(tmp_path)

    @coco.fn(memo=True)
    async def fn(*files: File) -> None:
        ran("body")

    def main_of(*files: File) -> Main:
        return using("mounted", fn, *files)

    assert update(machine, main_of(File("a", 1, "a"), File("b", 1, "b"))) == ["body"]
    assert update(machine, main_of(File("a", 1, "a"), File("b", 1, "b"))) == []
    assert update(machine, main_of(File("a", 1, "a"), File("b", 2, "c"))) == ["body"]
    assert update(machine, main_of(File("a", 1, "a"), File("b", 3, "c"))) == []


def test_a_state_that_is_not_asked_is_a_state_that_is_not_needed(tmp_path: Path) -> None:
    """With full_reprocess or another key there is nothing to compare with."""
    machine = machine_of(tmp_path)

    @coco.fn(memo=True)
    async def fn(file: File) -> None:
        ran("body")

    update(machine, using("mounted", fn, File("f", 1, "a")))
    file = File("f", 1, "a")
    assert update(machine, using("mounted", fn, file), full=True) == ["body"]
    assert file.asked == [coco.NON_EXISTENCE]
    assert update(machine, using("mounted", fn, File("f", 1, "a"))) == []


def test_many_components_with_states(tmp_path: Path) -> None:
    machine = machine_of(tmp_path)

    @coco.fn(memo=True)
    async def fn(file: File) -> None:
        ran(file.name)
        declare(file.name, file.text)

    def main_of(changed: int | None) -> Main:
        async def main() -> None:
            files = [(n, AsyncFile(f"f{n}", 1, "b" if n == changed else "a")) for n in range(30)]
            for n, file in files:
                file.mtime += n == changed
            await coco.mount_each(fn, files)

        return main

    assert len(update(machine, main_of(None))) == 30
    assert update(machine, main_of(None)) == []
    assert update(machine, main_of(7)) == ["f7"]
    assert machine.world.log == [("f7", "b")]


# Calls inside a component ---------------------------------------------------------------------------------------


def test_calls_keep_what_they_declared(tmp_path: Path) -> None:
    """Also when others in the component miss, and what a dropped call declared goes."""
    machine = machine_of(tmp_path)

    @coco.fn(memo=True)
    async def call(key: str, value: int) -> int:
        ran(key)
        declare(key, value)
        return value

    def main_of(**calls: int) -> Main:
        async def main() -> None:
            declare("own", len(calls))
            assert await coco.map(lambda item: call(*item), list(calls.items())) == list(calls.values())

        return main

    assert update(machine, main_of(a=1, b=1)) == ["a", "b"]
    assert update(machine, main_of(a=1, b=1)) == []
    assert machine.world.calls == 0
    assert update(machine, main_of(a=1, b=2, c=1)) == ["b", "c"]
    assert machine.world.target == {"own": "3", "a": "1", "b": "2", "c": "1"}
    assert sorted(machine.world.log) == [("b", "2"), ("c", "1"), ("own", "3")]
    assert update(machine, main_of(c=1)) == []
    assert machine.world.target == {"own": "1", "c": "1"}
    assert update(machine, main_of(a=1, c=1)) == ["a"], "its memo went with its last use"
    assert machine.world.target == {"own": "2", "a": "1", "c": "1"}


def test_nested_calls(tmp_path: Path) -> None:
    machine = machine_of(tmp_path)

    @coco.fn(memo=True)
    async def inner(key: str) -> str:
        ran(f"inner {key}")
        declare(key, 1)
        return key

    @coco.fn(memo=True)
    async def outer(number: int, *keys: str) -> str:
        ran(f"outer {number}")
        return "".join([await inner(key) for key in keys])

    def main_of(number: int, *keys: str) -> Main:
        async def main() -> None:
            assert await outer(number, *keys) == "".join(keys)

        return main

    assert update(machine, main_of(1, "a", "b")) == ["outer 1", "inner a", "inner b"]
    for _ in range(2):
        assert update(machine, main_of(1, "a", "b")) == []
        assert machine.world.target == {"a": "1", "b": "1"}
    assert update(machine, main_of(2, "a", "b")) == ["outer 2"], "the inner memos outlived the outer hits"
    assert update(machine, main_of(2, "a", "b")) == []
    assert update(machine, main_of(2, "b", "c")) == ["outer 2", "inner c"]
    assert machine.world.target == {"b": "1", "c": "1"}
    assert update(machine, main_of(2, "b", "c")) == []


def test_a_call_that_raised_is_not_remembered(tmp_path: Path) -> None:
    machine = machine_of(tmp_path)
    broken = [1]

    @coco.fn(memo=True)
    async def call() -> None:
        ran("call")
        declare("k", 1)
        if broken:
            raise ValueError("broken")

    async def main() -> None:
        try:
            await call()
        except ValueError:
            ran("caught")

    assert update(machine, main) == ["call", "caught"]
    broken.clear()
    assert update(machine, main) == ["call"]
    assert update(machine, main) == []
    assert machine.world.target == {"k": "1"}


def test_calls_of_a_component_that_failed_are_not_remembered_nor_forgotten(tmp_path: Path) -> None:
    """What was remembered before the failure still is; what the failed cycle called is not."""
    failures = Failures()
    machine = machine_of(tmp_path, handler=failures)
    broken: list[int] = []

    @coco.fn(memo=True)
    async def call(key: str) -> None:
        ran(key)
        declare(key, 1)

    async def child(*keys: str) -> None:
        for key in keys:
            await call(key)
        if broken:
            raise ValueError("broken")

    def main_of(*keys: str) -> Main:
        async def main() -> None:
            await coco.mount(at("c"), child, *keys)

        return main

    assert update(machine, main_of("a")) == ["a"]
    broken.append(1)
    assert update(machine, main_of("a", "b")) == ["b"]
    assert machine.world.target == {"a": "1"}
    broken.clear()
    assert update(machine, main_of("a", "b")) == ["b"]
    assert machine.world.target == {"a": "1", "b": "1"}
    assert len(failures.texts) == 1


@pytest.mark.parametrize("phase", ["sink", "removed by hand"])
def test_a_remembered_call_whose_states_are_in_doubt_runs_again(tmp_path: Path, phase: str) -> None:
    failures = Failures()
    machine = machine_of(tmp_path, handler=failures)

    @coco.fn(memo=True)
    async def call(key: str) -> None:
        ran(key)
        declare(key, 1)

    async def child(extra: bool) -> None:
        await call("a")
        if extra:
            await call("b")

    def main_of(extra: bool) -> Main:
        async def main() -> None:
            await coco.mount(at("c"), child, extra)

        return main

    update(machine, main_of(False))
    machine.world.broken["b"] = 1
    update(machine, main_of(True))
    assert len(failures.texts) == 1
    assert update(machine, main_of(True)) == ["b"]
    assert machine.world.target == {"a": "1", "b": "1"}
    if phase == "removed by hand":
        machine.world.target.clear()
        update(machine, main_of(True), full=True)
        assert machine.world.target == {"a": "1", "b": "1"}


# Providers as arguments -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [None, "lossy", "destructive"])
def test_the_generation_of_a_container_is_part_of_the_key(tmp_path: Path, way: Way, change: Any) -> None:
    forest = Forest()
    machine = machine_of(tmp_path, forest)

    def body(inside: Inside) -> None:
        ran("body")
        leaf(inside, "a", 1)

    fn = memoized(way, body)

    def main_of(schema: str) -> Main:
        async def main() -> None:
            inside = await mounted_folder(ROOTS["method"], "f", Folder(schema, change))
            await using(way, fn, inside)()

        return main

    assert update(machine, main_of("1")) == ["body"]
    assert update(machine, main_of("1")) == []
    assert update(machine, main_of("2")) == ([] if change is None else ["body"])
    assert forest.texts() == {"f": "F:2", "f/a": "L:1"}
    assert update(machine, main_of("2")) == []


# What a memo must not hide --------------------------------------------------------------------------------------


async def failing() -> None:
    ran("failing")
    raise ValueError("broken")


@pytest.mark.parametrize("deep", [False, True])
def test_a_failed_child_below_a_memoized_parent_is_tried_again(tmp_path: Path, deep: bool) -> None:
    failures = Failures()
    machine = machine_of(tmp_path, handler=failures)
    broken = [1]

    async def child() -> None:
        ran("child")
        if broken:
            raise ValueError("broken")
        declare("k", 1)

    @coco.fn(memo=True)
    async def middle() -> None:
        ran("middle")
        await coco.mount(at("d"), child)

    @coco.fn(memo=True)
    async def parent() -> None:
        ran("parent")
        await coco.mount(at("m"), middle if deep else child)

    async def main() -> None:
        await coco.mount(at("p"), parent)

    names = ["parent", "middle", "child"] if deep else ["parent", "child"]
    for _ in range(2):
        assert update(machine, main) == names
    broken.clear()
    assert update(machine, main) == names
    assert update(machine, main) == []
    assert machine.world.target == {"k": "1"}


@pytest.mark.parametrize("by", ["use_mount", "sink", "collection"])
def test_other_failures_below_a_memoized_parent_are_tried_again(tmp_path: Path, by: str) -> None:
    machine = machine_of(tmp_path, handler=Failures())
    first = [1]

    async def child(key: str) -> None:
        declare(key, 1)

    @coco.fn(memo=True)
    async def parent(number: int) -> None:
        ran("parent")
        if by == "use_mount":
            try:
                await coco.use_mount(at("d"), failing if first else child, *([] if first else ["k"]))
            except ValueError:
                ran("caught")
        elif by == "sink" or number == 1:
            await coco.mount(at("d"), child, "k")

    def main_of(number: int) -> Main:
        async def main() -> None:
            await coco.mount(at("p"), parent, number)

        return main

    if by == "use_mount":
        assert update(machine, main_of(1)) == ["parent", "failing", "caught"]
        first.clear()
        assert update(machine, main_of(1)) == ["parent"]
    elif by == "sink":
        machine.world.broken["k"] = 1
        assert update(machine, main_of(1)) == ["parent"]
        assert machine.world.target == {}
        assert update(machine, main_of(1)) == ["parent"]
    else:
        update(machine, main_of(1))
        machine.world.broken["k"] = 1
        assert update(machine, main_of(2)) == ["parent"]
        assert machine.world.target == {"k": "1"}
        assert update(machine, main_of(2)) == ["parent"], "the collection failed"
        assert machine.world.target == {}
        assert update(machine, main_of(2)) == []
        return
    assert machine.world.target == {"k": "1"}
    assert update(machine, main_of(1)) == []


@pytest.mark.parametrize("levels", [1, 2])
def test_a_live_component_below_a_memoized_parent_starts_in_every_process(tmp_path: Path, levels: int) -> None:
    machine = machine_of(tmp_path)

    class Live:
        async def process(self) -> None:
            declare("k", 1)

        async def process_live(self, operator: coco.LiveComponentOperator) -> None:
            ran("live")
            await operator.update_full()
            await operator.mark_ready()

    @coco.fn(memo=True)
    async def parent(level: int) -> None:
        if level == 1:
            await coco.mount(Live)
        else:
            await coco.mount(at("p"), parent, level - 1)

    async def main() -> None:
        await coco.mount(at("p"), parent, levels)

    for _ in range(3):
        assert update(machine, main) == ["live"]
        assert machine.world.target == {"k": "1"}


def test_a_memoized_component_in_live_mode(tmp_path: Path) -> None:
    """The operator's updates are remembered as well, within a process and beyond."""
    machine = machine_of(tmp_path)

    @coco.fn(memo=True)
    async def child(value: int) -> None:
        ran(f"child {value}")
        declare("k", value)

    class Live:
        async def process(self) -> None:
            await coco.mount(at("c"), child, 1)

        async def process_live(self, operator: coco.LiveComponentOperator) -> None:
            await operator.update_full()
            for value in (1, 2, 2, 1):
                await (await operator.update(at("c"), child, value)).ready()
            await operator.update_full()
            await operator.mark_ready()
            ran("watching")

    async def main() -> None:
        await coco.mount(Live)

    async def go() -> None:
        async with running_live(machine, main):
            await until(lambda: "watching" in machine.world.ran)

    run(go)
    assert machine.world.ran == ["child 1", "child 2", "child 1", "watching"]
    machine.close()
    machine.world.fresh()

    class Scan(Live):
        async def process_live(self, operator: coco.LiveComponentOperator) -> None:
            await operator.update_full()

    async def scan() -> None:
        await coco.mount(coco.component_subpath(coco.Symbol("Live")), Scan)

    run(lambda: ends(machine.update(scan)))
    machine.close()
    assert machine.world.ran == []
    assert machine.world.target == {"k": "1"}


def test_children_of_a_carried_over_component_are_not_collected(tmp_path: Path) -> None:
    machine = machine_of(tmp_path)

    async def child(key: str) -> None:
        declare(key, 1)

    @coco.fn(memo=True)
    async def parent(*keys: str) -> None:
        await coco.mount_each(child, [(key, key) for key in keys])

    def main_of(*keys: str) -> Main:
        async def main() -> None:
            await coco.mount(at("p"), parent, *keys)

        return main

    update(machine, main_of("a", "b"))
    update(machine, main_of("a", "b"))
    assert machine.world.log == []
    update(machine, main_of("b"))
    assert machine.world.target == {"b": "1"}
    update(machine, nothing)
    assert machine.world.target == {}


@pytest.mark.parametrize("end", ["raise", "sink", "crash"])
def test_a_run_that_came_to_nothing_leaves_no_memo_behind(tmp_path: Path, end: str) -> None:
    """Its children have changed already, so what was remembered before no longer tells how things are."""
    machine = machine_of(tmp_path, handler=Failures())
    crashed = tmp_path / "crashed.db"

    async def child(key: str, value: int) -> None:
        declare(key, value)

    @coco.fn(memo=True)
    async def parent(value: int) -> None:
        ran(f"parent {value}")
        await coco.mount(at("c"), child, "k", value)
        if value == 2:
            await (await coco.mount(at("extra"), child, "x", value)).ready()
            if end == "sink":
                declare("refused", 1)
            elif end == "crash":
                copy_store(machine.path, crashed)
            if end != "sink":
                raise ValueError("after the children")

    def main_of(value: int) -> Main:
        async def main() -> None:
            await coco.mount(at("p"), parent, value)

        return main

    update(machine, main_of(1))
    machine.world.broken["refused"] = 9
    update(machine, main_of(2))
    machine.world.broken.clear()
    if end == "crash":
        machine = Machine(crashed, machine.world)
    assert update(machine, main_of(1)) == ["parent 1"]
    assert machine.world.target == {"k": "1"}
    assert update(machine, main_of(1)) == []


def test_a_remembered_call_looks_at_what_its_states_hold(tmp_path: Path) -> None:
    """A state that went away and came back with another value is not what the call left."""
    machine = machine_of(tmp_path, handler=Failures())

    @coco.fn(memo=True)
    async def call(value: int) -> None:
        ran("call")
        declare("k", value)

    async def child() -> None:
        declare("k", 1)

    async def calls() -> None:
        await call(2)

    async def gives_away() -> None:
        await (await coco.mount(at("p"), child)).ready()
        raise ValueError("so that its memos stay")

    async def takes_back() -> None:
        declare("k", 1)
        declare("refused", 1)

    def main_of(owner: Callable[[], Awaitable[None]]) -> Main:
        async def main() -> None:
            await coco.mount(at("c"), owner)

        return main

    assert update(machine, main_of(calls)) == ["call"]
    update(machine, main_of(gives_away))
    machine.world.broken["refused"] = 1
    update(machine, main_of(takes_back))
    update(machine, main_of(calls))
    assert machine.world.target == {"k": "2"}
    assert update(machine, main_of(calls)) == []


# Random programs ------------------------------------------------------------------------------------------------


class Wish(NamedTuple):
    """What a component of a random program wants: cells, cells by a memoized call, and children."""

    cells: tuple[tuple[str, str], ...] = ()
    calls: tuple[tuple[str, str], ...] = ()
    inner: tuple[tuple[str, bool, Any], ...] = ()
    """Name, whether it is memoized, and its wish."""
    ticks: int = 0


def draw_wish(chance: Chance, keys: list[str], depth: int = 0) -> Wish:
    cells: list[tuple[str, str]] = []
    calls: list[tuple[str, str]] = []
    inner: dict[str, list[str]] = {}
    for key in keys:
        place = chance.below(100) if depth < 3 else 0
        if place < 25:
            cells.append((key, chance.pick("12")))
        elif place < 45:
            calls.append((key, chance.pick("12")))
        else:
            inner.setdefault(chance.pick("pqr"), []).append(key)
    if depth < 2 and chance.chance(30):
        inner.setdefault(chance.pick("pqr"), [])
    children = [(name, chance.chance(50), draw_wish(chance, inner[name], depth + 1)) for name in sorted(inner)]
    chance.rng.shuffle(children)
    return Wish(tuple(cells), tuple(calls), tuple(children), chance.below(4))


def cells_of(wish: Wish) -> dict[str, str]:
    cells = dict([*wish.cells, *wish.calls])
    for _name, _memo, inner in wish.inner:
        cells |= cells_of(inner)
    return cells


@coco.fn(memo=True)
async def wish_by_call(key: str, value: str) -> None:
    declare(key, value)


async def be(wish: Wish) -> None:
    for key, value in wish.cells:
        declare(key, value)
    for key, value in wish.calls:
        await wish_by_call(key, value)
    await ticks(wish.ticks)
    for name, memo, inner in wish.inner:
        await coco.mount(at(name), be_remembered if memo else be, inner)


be_remembered = coco.fn(memo=True)(be)

CELL_NAMES = [f"k{number}" for number in range(5)]


class CrashingWorld(World):
    """Its store is copied at a sink call, as a crash would leave it; the call may have done a part."""

    def __init__(self, chance: Chance) -> None:
        super().__init__(chance)
        self.left: dict[str, Any] | None = None

    def crash_at(self, call: int, source: Path, to: Path) -> None:
        calls = [call]

        def before(actions: Sequence[Action]) -> None:
            calls[0] -= 1
            if calls[0] == -1:
                copy_store(source, to)
                self.left = dict(self.target)
                done = self.chance.below(len(actions) + 1) if self.chance is not None else 0
                self.left.update(actions[:done])
                self.left = {key: value for key, value in self.left.items() if value is not None}

        self.left = None
        self.before = before


def play(path: Path, seed: int) -> None:
    """Runs of random wishes, some of them contradictory, refused, or ended by a crash; clean ones between."""
    chance = Chance(seed)
    world = CrashingWorld(Chance(seed))
    failures = Failures()
    machine = Machine(path / "s.db", world, handler=failures, limit=chance.pick([None, None, 1, 2]))

    def some_keys() -> list[str]:
        return [key for key in CELL_NAMES if chance.chance(80)]

    def clean(wish: Wish) -> None:
        world.broken.clear()
        world.before = None
        failures.texts.clear()
        update(machine, lambda: be(wish))
        assert (failures.texts, world.target) == ([], cells_of(wish)), f"seed {seed}"
        update(machine, lambda: be(wish))
        assert (failures.texts, world.log) == ([], []), f"seed {seed}: not idle"

    for step in range(2 + chance.below(4)):
        keys = some_keys()
        if chance.chance(35):
            keys += [key for key in keys if chance.chance(40)]
        wish = draw_wish(chance, keys)
        if chance.chance(40):
            world.broken = {chance.pick(CELL_NAMES): 1 + chance.below(3) for _ in range(2)}
        left = path / f"{step}.db"
        if chance.chance(25):
            world.crash_at(chance.below(3), machine.path, left)
        with contextlib.suppress(OSError, ValueError, RuntimeError):
            update(machine, lambda: be(wish), full=chance.chance(10))  # noqa: B023 - it runs now
        world.before = None
        if world.left is not None:
            machine.path = left
            world.target, world.left = world.left, None
        if chance.chance(35):
            clean(draw_wish(chance, some_keys()))
    clean(draw_wish(chance, some_keys()))
    clean(Wish())
    assert rows_below(machine.path, "app") == []


@pytest.mark.parametrize("block", range(10))
def test_random_programs_of_remembered_components(tmp_path: Path, block: int) -> None:
    for seed in range(block * 12, block * 12 + 12):
        path = tmp_path / str(seed)
        path.mkdir()
        play(path, seed)
        shutil.rmtree(path)


# What is left in the store ----------------------------------------------------------------------------------------


def test_memos_are_collected(tmp_path: Path) -> None:
    machine = machine_of(tmp_path)

    @coco.fn(memo=True)
    async def call(number: int) -> int:
        return number

    async def child(*numbers: int) -> None:
        for number in numbers:
            await call(number)

    def main_of(**children: tuple[int, ...]) -> Main:
        async def main() -> None:
            for name, numbers in children.items():
                await coco.mount(at(name), child, *numbers)

        return main

    def memos() -> list[tuple[Any, ...]]:
        return sorted(read_store(machine.path).memos)

    update(machine, main_of(a=(1, 2), b=(1,)))
    assert memos() == [("a",), ("a",), ("b",)]
    update(machine, main_of(a=(2, 3), b=(1,)))
    assert memos() == [("a",), ("a",), ("b",)]
    update(machine, main_of(a=(), b=(1,)))
    assert memos() == [("b",)]
    update(machine, main_of(a=(4,)))
    assert memos() == [("a",)]
    update(machine, nothing)
    assert memos() == []
    assert rows_below(machine.path, "app") == []


def test_DUR_3_an_idle_run_writes_nothing_but_its_number(tmp_path: Path) -> None:
    forest = Forest()
    machine = machine_of(tmp_path, forest)

    @coco.fn(memo=True)
    def computed(text: str) -> str:
        ran("computed")
        return text * 2

    @coco.fn(memo=True)
    async def row(text: str, inside: Inside) -> None:
        ran("row")
        leaf(inside, text, computed(text))

    async def plain(text: str) -> None:
        declare(text, computed(text))

    async def main() -> None:
        inside = await mounted_folder(ROOTS["method"], "f")
        await coco.mount_each(row, [(key, key) for key in "abc"], inside)
        await coco.mount_each(plain, [(key, key) for key in "def"])

    assert len(update(machine, main)) == 9
    before = stored(machine.path)
    for _ in range(2):
        assert update(machine, main) == []
        assert (forest.calls, forest.batches) == (0, [])
        assert stored(machine.path) == before


def stored(path: Path) -> dict[tuple[int, bytes], bytes]:
    """Everything in a store but the apps' own rows."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT t, k, v FROM entry WHERE t != 5").fetchall()
    return {(table, key): value for table, key, value in rows}
