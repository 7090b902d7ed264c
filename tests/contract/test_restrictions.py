"""Restrictions and their errors: each row of the contract's table, its type and what it must name.

And a refused call leaves everything as before: what it would have done can be done right afterwards.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import functools
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import liveproof as coco
from tests.contract.world import CELLS, Machine, World, at, declare, run, ticks

Main = Callable[[], Any]


def update(tmp_path: Path, main: Main, *, live: bool = False) -> World:
    """Run in a new world, in which nothing fails unnoticed."""
    failures: list[BaseException] = []
    machine = Machine(tmp_path / "s.db", World(), handler=lambda error, _context: failures.append(error))
    run(lambda: machine.update(main, live=live))
    machine.close()
    if failures:
        raise failures[0]
    return machine.world


@contextlib.contextmanager
def refused(kind: type[Exception], *named: str) -> Iterator[None]:
    """Exactly this type, and a message that names all of these."""
    with pytest.raises(kind) as caught:
        yield
    assert type(caught.value) is kind, repr(caught.value)
    for name in named:
        assert name in str(caught.value), f"{name!r} is not named in: {caught.value}"


async def leaf(key: str = "leaf", value: object = 1) -> None:
    declare(key, value)


class Live:
    """A live component made of two functions."""

    def __init__(
        self,
        live: Callable[[coco.LiveComponentOperator], Awaitable[None]] | None = None,
        process: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.live = live
        self.full = process

    async def process(self) -> None:
        if self.full is not None:
            await self.full()

    async def process_live(self, operator: coco.LiveComponentOperator) -> None:
        if self.live is None:
            await operator.update_full()
        else:
            await self.live(operator)


class Feed:
    async def watch(self, subscriber: coco.LiveMapSubscriber[str, str]) -> None:
        await (await subscriber.update("k", "fed")).ready()


# use_mount(LiveCls), mount_each(LiveCls) --------------------------------------------------------------------


def test_use_mount_of_a_live_component(tmp_path: Path) -> None:
    async def process() -> None:
        declare("live", 1)

    async def main() -> None:
        for args in ((Live,), (at("L"), Live)):
            with refused(TypeError, "cannot be used with use_mount", "Live", "mount()", "operator.update"):
                await coco.use_mount(*args)
        await coco.mount(Live, None, process)
        await coco.mount(at("L"), leaf)

    assert update(tmp_path, main).target == {"live": "1", "leaf": "1"}


def test_mount_each_of_a_live_component(tmp_path: Path) -> None:
    asked: list[str] = []

    def items() -> Iterator[tuple[str, str]]:
        asked.append("items")
        yield "a", "a"

    async def main() -> None:
        with refused(TypeError, "Live", "LiveMapFeed", "LiveMapView", "operator.update"):
            await coco.mount_each(Live, items())
        with refused(TypeError, "Live", "LiveMapFeed", "LiveMapView", "operator.update"):
            await coco.mount_each(at("each"), Live, Feed())
        assert asked == []
        await coco.mount_each(at("each"), leaf, [("a", "a")])

    assert update(tmp_path, main).target == {"a": "1"}


def test_mount_each_without_items_or_with_what_is_none(tmp_path: Path) -> None:
    async def main() -> None:
        with refused(TypeError, "items"):
            await coco.mount_each(leaf)
        with refused(TypeError, "iterable", "int"):
            await coco.mount_each(leaf, 5)
        with refused(TypeError, "(key, value)", "'abc'"):
            await coco.mount_each(at("bad"), leaf, ["abc"])
        with refused(TypeError, "(key, value)", "7"):
            await coco.mount_each(at("worse"), leaf, [7])

    update(tmp_path, main)


# inside a live component ------------------------------------------------------------------------------------


def test_use_mount_inside_process(tmp_path: Path) -> None:
    done: list[str] = []

    async def process() -> None:
        with refused(RuntimeError, "use_mount", "process()", "/L", "parent"):
            await coco.use_mount(at("c"), leaf)
        with refused(RuntimeError, "mount_target", "process()", "/L", "parent"):
            await coco.mount_target(CELLS.target_state("k", 1))
        await coco.mount(at("c"), leaf)
        done.append("process")

    async def main() -> None:
        await coco.mount(at("L"), Live, None, process)

    assert update(tmp_path, main).target == {"leaf": "1"}
    assert done == ["process"]


def test_use_mount_inside_a_child_of_process_is_fine(tmp_path: Path) -> None:
    async def child() -> None:
        await coco.use_mount(at("d"), leaf)

    async def process() -> None:
        await coco.mount(at("c"), child)

    async def main() -> None:
        await coco.mount(at("L"), Live, None, process)

    assert update(tmp_path, main).target == {"leaf": "1"}


@pytest.mark.parametrize("api", ["mount", "mount_each", "use_mount", "mount_target"])
def test_mounting_inside_process_live(tmp_path: Path, api: str) -> None:
    done: list[str] = []
    calls: dict[str, Callable[[], Awaitable[Any]]] = {
        "mount": lambda: coco.mount(at("c"), leaf),
        "mount_each": lambda: coco.mount_each(at("c"), leaf, [("a", "a")]),
        "use_mount": lambda: coco.use_mount(at("c"), leaf),
        "mount_target": lambda: coco.mount_target(CELLS.target_state("k", 1)),
    }

    async def live(operator: coco.LiveComponentOperator) -> None:
        with refused(RuntimeError, f"{api}()", "process_live()", "/L", "operator.update"):
            await calls[api]()
        await (await operator.update(at("c"), leaf)).ready()
        done.append(api)

    async def main() -> None:
        await coco.mount(at("L"), Live, live)

    assert update(tmp_path, main).target == {"leaf": "1"}
    assert done == [api]


def test_declaring_inside_process_live(tmp_path: Path) -> None:
    done: list[str] = []

    async def live(operator: coco.LiveComponentOperator) -> None:
        with refused(RuntimeError, "declare_target_state", "process_live()", "/L"):
            declare("k", 1)
        await operator.update_full()
        done.append("refused")

    async def process() -> None:
        declare("k", 2)

    async def main() -> None:
        await coco.mount(at("L"), Live, live, process)

    assert update(tmp_path, main).target == {"k": "2"}
    assert done == ["refused"]


@pytest.mark.parametrize("live_mode", [False, True])
@pytest.mark.parametrize("end", ["return", "raise", "catch up"])
def test_an_operator_after_its_process_live(tmp_path: Path, live_mode: bool, end: str) -> None:
    kept: list[coco.LiveComponentOperator] = []
    done: list[str] = []

    async def live(operator: coco.LiveComponentOperator) -> None:
        kept.append(operator)
        if end == "raise":
            raise KeyError("gone")
        if end == "catch up":
            try:
                await operator.mark_ready()
            finally:
                if not live_mode:
                    with refused(RuntimeError, "/L", "process_live() ended"):
                        await operator.update(at("c"), leaf)

    async def main() -> None:
        await (await coco.mount(at("L"), Live, live)).ready()
        await ticks(50)
        (operator,) = kept
        calls: list[Callable[[], Awaitable[Any]]] = [
            operator.update_full,
            operator.mark_ready,
            lambda: operator.update(at("c"), leaf),
            lambda: operator.delete(at("c")),
            operator.settled,
            lambda: operator.report_exception(KeyError("late")),
        ]
        for call in calls:
            with refused(RuntimeError, "/L", "process_live() ended"):
                await call()
        done.append("all")

    machine = Machine(tmp_path / "s.db", World(), handler=lambda _error, _context: None)
    run(lambda: machine.update(main, live=live_mode))
    machine.close()
    assert machine.world.target == {}
    assert done == ["all"]


def test_what_an_operator_takes(tmp_path: Path) -> None:
    done: list[str] = []

    async def live(operator: coco.LiveComponentOperator) -> None:
        wrong: Any = operator
        wrong_key: Any = 1.5
        with refused(TypeError, "component_subpath", "str"):
            await wrong.update("c", leaf)
        with refused(TypeError, "component_subpath", "str"):
            await wrong.delete("c")
        with refused(TypeError, "function", "'leaf'"):
            await wrong.update(at("c"), "leaf")
        with refused(TypeError, "float", "stable key"):
            await wrong.update(at("c", wrong_key), leaf)
        with refused(ValueError, "120"):
            await operator.update(coco.component_subpath(*range(130)), leaf)
        await (await operator.update(at("c"), leaf)).ready()
        done.append("all")

    async def main() -> None:
        await coco.mount(at("L"), Live, live)

    assert update(tmp_path, main).target == {"leaf": "1"}
    assert done == ["all"]


class Unkeyable(coco.NotMemoKeyable):
    """No memo may depend on it."""


@coco.fn(memo=True)
async def remembered(value: object) -> None:
    declare("remembered", value)


@pytest.mark.parametrize("queued", [False, True])
def test_an_update_of_a_memoized_function_without_a_key_ends(tmp_path: Path, queued: bool) -> None:
    """Refused or failed, but it ends, once, and what comes after it works."""
    failures: list[BaseException] = []

    async def slow(gate: asyncio.Event) -> None:
        await gate.wait()

    async def live(operator: coco.LiveComponentOperator) -> None:
        gate = asyncio.Event()
        if queued:
            await operator.update(at("c"), slow, gate)
            await ticks(5)
        try:
            handle = await operator.update(at("c"), remembered, Unkeyable())
        except TypeError as error:
            failures.append(error)
        gate.set()
        if not failures:
            await handle.ready()
        await (await operator.update(at("c"), leaf)).ready()

    async def main() -> None:
        await coco.mount(at("L"), Live, live)

    machine = Machine(tmp_path / "s.db", World(), handler=lambda error, _context: failures.append(error))
    run(lambda: machine.update(main))
    machine.close()
    assert len(failures) == 1
    assert isinstance(failures[0], TypeError)
    assert "Unkeyable" in str(failures[0])
    assert machine.world.target == {"leaf": "1"}


def test_a_mount_of_a_memoized_function_without_a_key_leaves_no_trace(tmp_path: Path) -> None:
    async def main() -> None:
        with pytest.raises(TypeError, match="Unkeyable"):
            await coco.mount(at("c"), remembered, Unkeyable())
        with pytest.raises(TypeError, match="Unkeyable"):
            await coco.use_mount(at("c"), remembered, Unkeyable())
        await coco.mount(at("c"), leaf)

    assert update(tmp_path, main).target == {"leaf": "1"}


# two siblings at one path -----------------------------------------------------------------------------------


def site(mark: str) -> str:
    """File and line that bear a mark, as a comment at their end."""
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    (number,) = (at for at, line in enumerate(lines, 1) if line.endswith(f"# here: {mark}"))
    return f"{__file__}:{number}"


@pytest.mark.parametrize("api", ["mount", "use_mount", "mount_each", "mount_target"])
def test_two_siblings_at_one_path(tmp_path: Path, api: str) -> None:
    async def main() -> None:
        if api == "mount":
            await coco.mount(at("a", "c"), leaf)  # here: mount 1
            with refused(ValueError, "/a/c ", site("mount 1"), site("mount 2")):
                await coco.mount(at("a", "c"), leaf, "other")  # here: mount 2
        elif api == "use_mount":
            await coco.use_mount(at("a", "c"), leaf)  # here: use_mount 1
            with refused(ValueError, "/a/c ", site("use_mount 1"), site("use_mount 2")):
                await coco.use_mount(at("a", "c"), leaf, "other")  # here: use_mount 2
        elif api == "mount_each":
            items = [("c", "leaf"), ("c", "other")]
            with refused(ValueError, "/a/c ", site("mount_each")):
                await coco.mount_each(at("a"), leaf, items)  # here: mount_each
        else:
            await coco.mount(at("a", "c"), leaf)
            with contextlib.suppress(RuntimeError):
                await coco.mount_target(CELLS.target_state("k", 1))  # here: mount_target 1
            with refused(ValueError, "/k ", site("mount_target 1"), site("mount_target 2")):
                await coco.mount_target(CELLS.target_state("k", 1))  # here: mount_target 2

    assert update(tmp_path, main).target["leaf"] == "1"


def test_two_siblings_at_one_path_from_a_derived_name(tmp_path: Path) -> None:
    async def main() -> None:
        await coco.mount(leaf)  # here: derived 1
        with refused(ValueError, "/@leaf ", site("derived 1"), site("derived 2"), "component_subpath"):
            await coco.mount(leaf, "other")  # here: derived 2
        await coco.mount(at("leaf"), leaf, "text")

    assert update(tmp_path, main).target == {"leaf": "1", "text": "1"}


def test_two_siblings_at_one_path_from_tasks(tmp_path: Path) -> None:
    """The call sites are the application's, not those of asyncio."""

    async def main() -> None:
        with refused(ValueError, "/c ", __file__):
            await asyncio.gather(
                coco.mount(at("c"), leaf),
                coco.mount(at("c"), leaf, "other"),
            )

    assert len(update(tmp_path, main).target) == 1


def test_two_siblings_under_a_prefix(tmp_path: Path) -> None:
    async def main() -> None:
        with coco.component_subpath("a"):
            await coco.mount(at("c"), leaf)  # here: prefix 1
        with refused(ValueError, "/a/c ", site("prefix 1"), site("prefix 2")):
            await coco.mount(at("a", "c"), leaf, "other")  # here: prefix 2

    assert update(tmp_path, main).target == {"leaf": "1"}


def test_two_siblings_in_one_scan_of_a_view(tmp_path: Path) -> None:
    class Double:
        async def __aiter__(self) -> AsyncIterator[tuple[str, str]]:
            yield "c", "leaf"
            yield "c", "other"

        async def watch(self, subscriber: coco.LiveMapSubscriber[str, str]) -> None:
            await subscriber.update_all()

    async def main() -> None:
        await coco.mount_each(leaf, Double())

    with refused(ValueError, "/@leaf/c ", "Double"):
        update(tmp_path, main)


def test_one_path_in_two_cycles_or_by_two_parents_is_fine(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "s.db", World())

    async def parent(key: str) -> None:
        await coco.mount(at("c"), leaf, key)

    async def main() -> None:
        await coco.mount(at("a"), parent, "a")
        await coco.mount(at("b"), parent, "b")

    for _ in range(2):
        run(lambda: machine.update(main))
    machine.close()
    assert machine.world.target == {"a": "1", "b": "1"}


def test_a_path_is_free_again_if_the_mount_was_refused(tmp_path: Path) -> None:
    async def main() -> None:
        for _ in range(2):
            with refused(TypeError, "'leaf'"):
                await coco.mount(at("c"), "leaf")
        await coco.mount(at("c"), leaf)

    assert update(tmp_path, main).target == {"leaf": "1"}


def test_a_path_that_is_too_deep(tmp_path: Path) -> None:
    async def main() -> None:
        await coco.mount(coco.component_subpath(*range(120)), leaf, "deep")
        with refused(ValueError, "120"):
            await coco.mount(coco.component_subpath(*range(121)), leaf)

    assert update(tmp_path, main).target == {"deep": "1"}


# one state declared twice (more of it: test_targets.py) -----------------------------------------------------


def test_one_state_declared_twice_names_key_and_component(tmp_path: Path) -> None:
    async def child() -> None:
        declare("k", 1)
        with refused(ValueError, "'tests.contract/cell'/k", "/c ", "declared twice"):
            declare("k", 2)
        with refused(ValueError, "'tests.contract/cell'/k", "/c ", "declared twice"):
            coco.declare_target_state_with_child(CELLS.target_state("k", 1))

    async def main() -> None:
        await coco.mount(at("c"), child)

    assert update(tmp_path, main).target == {"k": "1"}


def test_one_state_declared_by_two_names_key_and_both(tmp_path: Path) -> None:
    async def main() -> None:
        await (await coco.mount(at("a"), leaf, "k")).ready()
        await coco.mount(at("b"), leaf, "k")

    with refused(ValueError, "'tests.contract/cell'/k", "/a ", "/b", "declared twice"):
        update(tmp_path, main)


# keys -------------------------------------------------------------------------------------------------------

BAD_KEYS: list[tuple[Any, str]] = [
    (1.5, "float"),
    ([1], "list"),
    ({}, "dict"),
    (object(), "object"),
    (Path("a"), type(Path("a")).__name__),
    (datetime.date(2020, 1, 1), "date"),
    ((1, (2, 3.5)), "float"),
    (bytearray(b"a"), "bytearray"),
    (leaf, "function"),
]


@pytest.mark.parametrize(("key", "name"), BAD_KEYS, ids=[name for _, name in BAD_KEYS])
def test_a_key_that_is_not_a_stable_key(tmp_path: Path, key: Any, name: str) -> None:
    with refused(TypeError, name, "not a stable key", "UUID"):
        coco.component_subpath("a", key)
    with refused(TypeError, name, "not a stable key"):
        coco.component_subpath("a") / key
    with refused(TypeError, name, "not a stable key"):
        CELLS.target_state(key, 1)
    with refused(TypeError, name, "not a stable key"):
        coco.StablePath((key,))
    with refused(TypeError, name, "not a stable key"):
        coco.ROOT_PATH.concat_part(key)

    async def main() -> None:
        with refused(TypeError, name, "not a stable key"):
            await coco.mount_each(leaf, [(key, "x")])
        await coco.mount_each(leaf, [("x", "x")])

    assert update(tmp_path, main).target == {"x": "1"}


def test_a_key_from_a_feed_that_is_not_a_stable_key(tmp_path: Path) -> None:
    done: list[str] = []

    class Odd:
        async def watch(self, subscriber: coco.LiveMapSubscriber[Any, str]) -> None:
            wrong_key: Any = 1.5
            with refused(TypeError, "float", "not a stable key"):
                await subscriber.update(wrong_key, "x")
            with refused(TypeError, "float", "not a stable key"):
                await subscriber.delete(wrong_key)
            await (await subscriber.update("x", "x")).ready()
            done.append("all")

    async def main() -> None:
        await coco.mount_each(leaf, Odd())

    assert update(tmp_path, main).target == {"x": "1"}
    assert done == ["all"]


def test_a_subpath_without_keys() -> None:
    with refused(TypeError, "at least one key"):
        coco.component_subpath()


def test_a_symbol_of_what_is_no_text() -> None:
    with refused(TypeError, "int"):
        coco.Symbol(1)  # type: ignore[arg-type]


# outside a component ----------------------------------------------------------------------------------------

KEY: coco.ContextKey[int] = coco.ContextKey("tests.contract/restrictions")

SYNC_CALLS: dict[str, Callable[[], Any]] = {
    "declare_target_state()": lambda: declare("k", 1),
    "declare_target_state_with_child()": lambda: coco.declare_target_state_with_child(CELLS.target_state("k", 1)),
    "use_context()": lambda: coco.use_context(KEY),
    "get_component_context()": coco.get_component_context,
    "component_subpath()": lambda: at("a").__enter__(),
}

ASYNC_CALLS: dict[str, Callable[[], Awaitable[Any]]] = {
    "mount()": lambda: coco.mount(at("c"), leaf),
    "use_mount()": lambda: coco.use_mount(at("c"), leaf),
    "mount_each()": lambda: coco.mount_each(leaf, [("a", "a")]),
    "mount_target()": lambda: coco.mount_target(CELLS.target_state("k", 1)),
    "map()": lambda: coco.map(leaf, ["a"]),
    "exception_handler()": lambda: coco.exception_handler(lambda _e, _c: None).__aenter__(),
}


@pytest.mark.parametrize("api", SYNC_CALLS)
def test_outside_a_component(api: str) -> None:
    with refused(RuntimeError, "no component is running here", api):
        SYNC_CALLS[api]()


@pytest.mark.parametrize("api", ASYNC_CALLS)
def test_outside_a_component_async(api: str) -> None:
    async def main() -> None:
        with refused(RuntimeError, "no component is running here", api):
            await ASYNC_CALLS[api]()

    run(main)


@pytest.mark.parametrize("api", SYNC_CALLS)
def test_in_a_thread_of_ones_own_without_attach(tmp_path: Path, api: str) -> None:
    def work() -> None:
        with refused(RuntimeError, "no component is running here", api, "attach()"):
            SYNC_CALLS[api]()

    async def main() -> None:
        with ThreadPoolExecutor(1) as pool:
            await asyncio.wrap_future(pool.submit(work))

    assert update(tmp_path, main).target == {}


def test_in_a_thread_with_attach(tmp_path: Path) -> None:
    """The same restrictions hold there."""

    def work(context: coco.ComponentContext) -> None:
        with context.attach():
            declare("k", 1)
            with refused(ValueError, "'tests.contract/cell'/k", "/c "):
                declare("k", 2)
            with refused(TypeError, "float"):
                declare(1.5, 2)  # type: ignore[arg-type]
            with refused(KeyError, KEY.key):
                coco.use_context(KEY)
            assert str(coco.get_component_context()) == "/c"
        with refused(RuntimeError, "no component is running here"):
            declare("k2", 2)

    async def child() -> None:
        with ThreadPoolExecutor(1) as pool:
            await asyncio.wrap_future(pool.submit(work, coco.get_component_context()))

    async def main() -> None:
        await coco.mount(at("c"), child)

    assert update(tmp_path, main).target == {"k": "1"}


def test_in_a_sync_component(tmp_path: Path) -> None:
    def child() -> None:
        assert threading.current_thread() is not threading.main_thread()
        declare("k", 1)
        with refused(ValueError, "'tests.contract/cell'/k", "/c "):
            declare("k", 2)
        with refused(TypeError, "float"):
            declare(1.5, 2)  # type: ignore[arg-type]
        with refused(KeyError, KEY.key):
            coco.use_context(KEY)
        with coco.component_subpath("deeper"):
            assert str(coco.get_component_context()) == "/c/deeper"

    async def main() -> None:
        await coco.mount(at("c"), child)

    assert update(tmp_path, main).target == {"k": "1"}


@pytest.mark.parametrize("api", [*SYNC_CALLS, *ASYNC_CALLS])
def test_after_the_component_has_ended(tmp_path: Path, api: str) -> None:
    """A task that it left behind may neither declare nor mount. What only reads may go on."""
    late: list[asyncio.Task[None]] = []
    gate: list[asyncio.Event] = []

    async def straggler() -> None:
        await gate[0].wait()
        if api in ("declare_target_state()", "declare_target_state_with_child()"):
            with refused(RuntimeError, "/c ", "has ended"):
                SYNC_CALLS[api]()
        elif api in ("mount()", "use_mount()", "mount_each()", "mount_target()"):
            with refused(RuntimeError, "/c ", "has ended"):
                await ASYNC_CALLS[api]()

    async def child() -> None:
        declare("c", 1)
        late.append(asyncio.ensure_future(straggler()))

    async def main() -> None:
        gate.append(asyncio.Event())
        await (await coco.mount(at("c"), child)).ready()
        gate[0].set()
        await late[0]

    assert update(tmp_path, main).target == {"c": "1"}


def test_a_context_key_without_a_value(tmp_path: Path) -> None:
    async def main() -> None:
        with refused(KeyError, KEY.key, "provide"):
            coco.use_context(KEY)

    update(tmp_path, main)


# names ------------------------------------------------------------------------------------------------------


class Nameless:
    async def __call__(self) -> None:
        declare("called", 1)


NAMELESS: dict[str, Any] = {
    "lambda": lambda: leaf("lambda"),
    "partial": functools.partial(leaf, "partial"),
    "instance": Nameless(),
}


@pytest.mark.parametrize("name", NAMELESS)
@pytest.mark.parametrize("api", ["mount", "use_mount", "mount_each"])
def test_no_name_to_derive_a_subpath_from(tmp_path: Path, name: str, api: str) -> None:
    fn = NAMELESS[name]

    async def main() -> None:
        if api == "mount":
            with refused(TypeError, "mount(", "__name__", "explicit component_subpath"):
                await coco.mount(fn)
        elif api == "use_mount":
            with refused(TypeError, "use_mount(", "__name__", "explicit component_subpath"):
                await coco.use_mount(fn)
        else:
            with refused(TypeError, "mount_each(", "__name__", "explicit component_subpath"):
                await coco.mount_each(fn, [("a", "a")])
        await coco.mount(at("c"), fn)

    assert len(update(tmp_path, main).target) == 1


def test_no_name_below_auto_refresh(tmp_path: Path) -> None:
    second = datetime.timedelta(seconds=1)

    async def main() -> None:
        nameless = coco.auto_refresh(functools.partial(leaf, "k"), interval=second)
        with refused(TypeError, "__name__", "explicit component_subpath"):
            await coco.mount(nameless)
        await coco.mount(at("c"), nameless)

    assert update(tmp_path, main).target == {"k": "1"}


@pytest.mark.parametrize("api", ["mount", "use_mount", "mount_each"])
def test_no_function(tmp_path: Path, api: str) -> None:
    call: Callable[..., Awaitable[Any]] = getattr(coco, api)

    async def main() -> None:
        with refused(TypeError, f"{api}()", "function"):
            await call()
        with refused(TypeError, f"{api}()", "function"):
            await call(at("c"))
        with refused(TypeError, f"{api}()", "'c'"):
            await call("c", leaf)
        with refused(TypeError, f"{api}()", "5"):
            await call(at("c"), 5)

    update(tmp_path, main)


def test_mounting_inside_a_memoized_function(tmp_path: Path) -> None:
    @coco.fn(memo=True)
    async def memoized() -> None:
        for api in ("mount()", "use_mount()", "mount_each()", "mount_target()"):
            with refused(RuntimeError, api, "memoized", "mount the function"):
                await ASYNC_CALLS[api]()

    async def main() -> None:
        await memoized()
        await coco.mount(at("c"), leaf)

    assert update(tmp_path, main).target == {"leaf": "1"}


# feeds (FEED-4: test_feed.py) -------------------------------------------------------------------------------


def test_a_feed_that_can_not_be_scanned(tmp_path: Path) -> None:
    done: list[str] = []

    class Stream:
        async def watch(self, subscriber: coco.LiveMapSubscriber[str, str]) -> None:
            await (await subscriber.update("a", "a")).ready()
            with refused(RuntimeError, "LiveMapView", "__aiter__"):
                await subscriber.update_all()
            done.append("refused")

    async def main() -> None:
        await coco.mount_each(leaf, Stream())

    assert update(tmp_path, main).target == {"a": "1"}
    assert done == ["refused"]


def test_auto_refresh_takes_a_function_and_an_interval() -> None:
    wrong: Any = coco.auto_refresh
    with refused(TypeError, "function"):
        wrong("leaf", interval=datetime.timedelta(seconds=1))
    with refused(TypeError, "timedelta", "int"):
        wrong(leaf, interval=1)
    with refused(ValueError, "positive"):
        wrong(leaf, interval=datetime.timedelta(0))


def test_a_subscriber_is_annotated_as_on_the_page() -> None:
    assert coco.LiveMapSubscriber[str, int] is not None
