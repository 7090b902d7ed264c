"""FAIL-1 … FAIL-3: failures harm nobody else, are reported once, and reach who waits for the result."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Literal, TypeAlias

import pytest

import liveproof as coco
from tests.contract.oracle import read_store
from tests.contract.targets_world import FaultyWorld
from tests.contract.world import Machine, World, at, declare, run, ticks, world


class BoomError(Exception):
    """What the components of these tests raise."""


class Seen:
    """What a handler was told, in order."""

    def __init__(self) -> None:
        self.calls: list[tuple[BaseException, coco.ExceptionContext]] = []

    def __call__(self, error: BaseException, context: coco.ExceptionContext) -> None:
        self.calls.append((error, context))

    @property
    def texts(self) -> list[str]:
        return [f"{context.stable_path}: {error}" for error, context in self.calls]


async def leaf(key: str, value: object = 1) -> None:
    declare(key, value)


async def failing(message: str = "boom") -> None:
    raise BoomError(message)


def failing_sync(message: str = "boom") -> None:
    raise BoomError(message)


def machine_of(tmp_path: Path, world: World | None = None, **options: Any) -> Machine:
    return Machine(tmp_path / "s.db", world or World(), **options)


# FAIL-1 ---------------------------------------------------------------------------------------------------


def test_FAIL_1_siblings_and_the_parent_go_on_and_former_states_stay(tmp_path: Path) -> None:
    seen = Seen()
    machine = machine_of(tmp_path, handler=seen)
    broken: list[int] = []

    async def middle(value: int) -> None:
        declare("m", value)
        await coco.mount(at("inner"), leaf, "inner", value)
        if broken:
            raise BoomError("m")

    def main_of(value: int) -> Callable[[], Awaitable[None]]:
        async def main() -> None:
            declare("parent", value)
            await coco.mount(at("a"), leaf, "a", value)
            await coco.mount(at("m"), middle, value)
            await coco.mount(at("z"), leaf, "z", value)

        return main

    run(lambda: machine.update(main_of(1)))
    broken.append(1)
    run(lambda: machine.update(main_of(2)))
    assert machine.world.target == {"parent": "2", "a": "2", "m": "1", "inner": "2", "z": "2"}
    assert seen.texts == ["/m: m"]
    broken.clear()
    run(lambda: machine.update(main_of(3)))
    assert set(machine.world.target.values()) == {"3"}
    machine.close()


def test_FAIL_1_a_failed_component_keeps_the_children_it_did_not_mount(tmp_path: Path) -> None:
    machine = machine_of(tmp_path, handler=Seen())
    broken: list[int] = []

    async def middle() -> None:
        if broken:
            raise BoomError("before the mounts")
        await coco.mount(at("inner"), leaf, "inner")

    async def main() -> None:
        await coco.mount(at("m"), middle)

    run(lambda: machine.update(main))
    broken.append(1)
    run(lambda: machine.update(main))
    assert machine.world.target == {"inner": "1"}
    machine.close()


@pytest.mark.parametrize("phase", ["before", "middle", "after"])
def test_FAIL_1_only_the_component_whose_actions_fail_in_a_shared_batch(
    tmp_path: Path, phase: Literal["before", "middle", "after"]
) -> None:
    seen = Seen()
    faulty = FaultyWorld(phase)
    machine = machine_of(tmp_path, faulty, handler=seen, durability="power")

    async def two(name: str, value: int) -> None:
        declare(f"{name}0", value)
        declare(f"{name}1", value)

    def main_of(value: int, *names: str) -> Callable[[], Awaitable[None]]:
        async def main() -> None:
            for name in names:
                await coco.mount(at(name), two, name, value)

        return main

    run(lambda: machine.update(main_of(1, "a", "b", "c")))
    faulty.bad["b1"] = None
    faulty.batches.clear()
    run(lambda: machine.update(main_of(2, "a", "b", "c")))
    assert any({"a0", "b0", "c0"} <= set(batch) for batch in faulty.batches), "they shared a batch"
    assert [(error.__class__, context.stable_path) for error, context in seen.calls] == [(OSError, "/b")]
    others = {key: value for key, value in faulty.target.items() if key[0] != "b"}
    assert others == {"a0": "2", "a1": "2", "c0": "2", "c1": "2"}
    done = {"before": ("1", "1"), "middle": ("2", "1"), "after": ("2", "2")}[phase]
    assert (faulty.target["b0"], faulty.target["b1"]) == done
    machine.close()
    doubt = read_store(machine.path).components["b",].targets
    assert doubt == {"b0": ["1", "2"], "b1": ["1", "2"]}, "the store knows of both"
    faulty.bad.clear()
    run(lambda: machine.update(main_of(1, "b")))
    machine.close()
    assert faulty.target == {"b0": "1", "b1": "1"}
    assert read_store(machine.path).components["b",].targets == {"b0": ["1"], "b1": ["1"]}


# FAIL-2 ---------------------------------------------------------------------------------------------------


Kind: TypeAlias = Literal["mount", "mount_each", "delete_background", "process_live"]


class Case:
    """One way to fail in the background: what to run, and what has to be reported."""

    def __init__(
        self,
        main: Callable[[], Awaitable[None]],
        path: str,
        processor: str,
        kind: Kind = "mount",
        parent: str = "/",
        before: Callable[[], Awaitable[None]] | None = None,
        refused: str | None = None,
    ) -> None:
        self.main = main
        self.path = path
        self.processor = processor
        self.kind = kind
        self.parent = parent
        self.before = before
        """What ran in an earlier update."""
        self.refused = refused
        """A cell that the target refuses."""


class Live:
    """A live component made of two functions."""

    def __init__(
        self,
        live: Callable[[coco.LiveComponentOperator], Awaitable[None]],
        process: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.live = live
        self.full = process

    async def process(self) -> None:
        if self.full is not None:
            await self.full()

    async def process_live(self, operator: coco.LiveComponentOperator) -> None:
        await self.live(operator)


async def full(operator: coco.LiveComponentOperator) -> None:
    await operator.update_full()


class Unborn:
    """Its constructor fails."""

    def __init__(self) -> None:
        raise BoomError("boom")

    async def process(self) -> None: ...

    async def process_live(self, operator: coco.LiveComponentOperator) -> None: ...


class Feed:
    """A feed made of one function."""

    def __init__(self, tell: Callable[[coco.LiveMapSubscriber[Any, Any]], Awaitable[None]]) -> None:
        self.tell = tell

    async def watch(self, subscriber: coco.LiveMapSubscriber[Any, Any]) -> None:
        await self.tell(subscriber)


class View(Feed):
    """It can also be scanned; the scan fails at an item, or ends."""

    def __init__(self, items: list[tuple[str, str]], error: Exception | None = None) -> None:
        super().__init__(self._scan)
        self.items = items
        self.error = error

    async def _scan(self, subscriber: coco.LiveMapSubscriber[Any, Any]) -> None:
        await subscriber.update_all()
        await subscriber.mark_ready()

    async def __aiter__(self) -> AsyncIterator[tuple[str, str]]:
        for item in self.items:
            yield item
        if self.error is not None:
            raise self.error


class BadState:
    """Its memo state can not be told."""

    def __coco_memo_key__(self) -> object:
        return "state"

    def __coco_memo_state__(self, previous: str | coco.NonExistenceType) -> coco.MemoStateOutcome:
        raise BoomError("boom")


@coco.fn(memo=True)
async def remembered(state: object) -> None:
    declare("never", state)


def _case_mount() -> Case:
    async def main() -> None:
        await coco.mount(at("c"), failing)

    return Case(main, "/c", "failing")


def _case_mount_sync() -> Case:
    async def main() -> None:
        await coco.mount(at("c"), failing_sync)

    return Case(main, "/c", "failing_sync")


def _case_derived_path() -> Case:
    async def main() -> None:
        await coco.mount(failing)

    return Case(main, "/@failing", "failing")


def _case_mount_each() -> Case:
    async def item(value: int) -> None:
        if value == 2:
            raise BoomError("boom")

    async def main() -> None:
        await coco.mount_each(item, [("one", 1), ("two", 2), ("three", 3)])

    return Case(main, "/@item/two", "item", "mount_each")


def _case_grandchild() -> Case:
    async def child() -> None:
        await coco.mount(at("d"), failing)

    async def main() -> None:
        await coco.mount(at("c"), child)

    return Case(main, "/c/d", "failing", parent="/c")


def _case_wrong_arguments() -> Case:
    async def main() -> None:
        await coco.mount(at("c"), leaf)

    return Case(main, "/c", "leaf")


def _case_use_mount_in_a_child() -> Case:
    async def child() -> None:
        await coco.use_mount(at("d"), failing)

    async def main() -> None:
        await coco.mount(at("c"), child)

    return Case(main, "/c", "child")


def _case_memo_state() -> Case:
    async def main() -> None:
        await coco.mount(at("c"), remembered, BadState())

    return Case(main, "/c", "remembered")


def _case_sink() -> Case:
    async def main() -> None:
        await coco.mount(at("c"), leaf, "x")

    return Case(main, "/c", "leaf", refused="x")


def _case_collection() -> Case:
    async def before() -> None:
        await coco.mount(at("c"), leaf, "x")

    async def main() -> None:
        await ticks(1)

    return Case(main, "/c", "leaf", "delete_background", before=before, refused="x")


def _case_collection_below() -> Case:
    async def child() -> None:
        await coco.mount(at("d"), leaf, "x")

    async def before() -> None:
        await coco.mount(at("c"), child)

    async def main() -> None:
        await ticks(1)

    return Case(main, "/c/d", "leaf", "delete_background", "/c", before=before, refused="x")


def _case_operator_update() -> Case:
    async def live(operator: coco.LiveComponentOperator) -> None:
        await (await operator.update(at("c"), failing)).ready()

    async def main() -> None:
        await coco.mount(at("L"), Live, live)

    return Case(main, "/L/c", "failing", parent="/L")


def _case_operator_delete() -> Case:
    async def live(operator: coco.LiveComponentOperator) -> None:
        await (await operator.update(at("c"), leaf, "y")).ready()
        world().broken["y"] = 1
        await (await operator.delete(at("c"))).ready()

    async def main() -> None:
        await coco.mount(at("L"), Live, live)

    return Case(main, "/L/c", "leaf", "delete_background", "/L")


def _case_process() -> Case:
    async def main() -> None:
        await coco.mount(at("L"), Live, full, failing)

    return Case(main, "/L", "Live")


def _case_child_of_process() -> Case:
    async def process() -> None:
        await coco.mount(at("c"), failing)

    async def main() -> None:
        await coco.mount(at("L"), Live, full, process)

    return Case(main, "/L/c", "failing", parent="/L")


def _case_process_live() -> Case:
    async def live(operator: coco.LiveComponentOperator) -> None:
        await operator.update_full()
        raise BoomError("boom")

    async def main() -> None:
        await coco.mount(at("L"), Live, live)

    return Case(main, "/L", "Live", "process_live")


def _case_constructor() -> Case:
    async def main() -> None:
        await coco.mount(at("L"), Unborn)

    return Case(main, "/L", "Unborn", "process_live")


def _case_constructor_by_operator() -> Case:
    async def live(operator: coco.LiveComponentOperator) -> None:
        await (await operator.update(at("M"), Unborn)).ready()

    async def main() -> None:
        await coco.mount(at("L"), Live, live)

    return Case(main, "/L/M", "Unborn", "process_live", "/L")


def _case_report_exception() -> Case:
    async def live(operator: coco.LiveComponentOperator) -> None:
        await operator.report_exception(BoomError("boom"))
        await (await operator.update(at("c"), leaf, "after")).ready()

    async def main() -> None:
        await coco.mount(at("L"), Live, live)

    return Case(main, "/L", "Live", "process_live")


def _case_feed() -> Case:
    async def tell(subscriber: coco.LiveMapSubscriber[Any, Any]) -> None:
        raise BoomError("boom")

    async def main() -> None:
        await coco.mount_each(leaf, Feed(tell))

    return Case(main, "/@leaf", "mount_each(leaf)", "process_live")


def _case_feed_item() -> Case:
    async def tell(subscriber: coco.LiveMapSubscriber[Any, Any]) -> None:
        await (await subscriber.update("k", "boom")).ready()

    async def main() -> None:
        await coco.mount_each(failing, Feed(tell))

    return Case(main, "/@failing/k", "failing", parent="/@failing")


def _case_subscriber_report() -> Case:
    async def tell(subscriber: coco.LiveMapSubscriber[Any, Any]) -> None:
        await subscriber.report_exception(BoomError("boom"))
        await subscriber.mark_ready()

    async def main() -> None:
        await coco.mount_each(leaf, Feed(tell))

    return Case(main, "/@leaf", "mount_each(leaf)", "process_live")


def _case_view_scan() -> Case:
    async def main() -> None:
        await coco.mount_each(leaf, View([("a", "a")], BoomError("boom")))

    return Case(main, "/@leaf", "mount_each(leaf)", "mount_each")


def _case_view_item() -> Case:
    async def main() -> None:
        await coco.mount_each(failing, View([("a", "boom")]))

    return Case(main, "/@failing/a", "failing", "mount_each", "/@failing")


def _case_declared_by_two() -> Case:
    async def main() -> None:
        await (await coco.mount(at("a"), leaf, "x")).ready()
        await coco.mount(at("b"), leaf, "x")

    return Case(main, "/b", "leaf")


def _case_cancelled_error() -> Case:
    async def gives_up() -> None:
        raise asyncio.CancelledError("its own")

    async def main() -> None:
        await coco.mount(at("c"), gives_up)

    return Case(main, "/c", "gives_up")


CASES = {
    name.removeprefix("_case_"): make for name, make in dict(globals()).items() if name.startswith("_case_")
}


@pytest.mark.parametrize("name", CASES)
def test_FAIL_2_every_failure_reaches_the_handler_once(tmp_path: Path, name: str) -> None:
    case: Case = CASES[name]()
    seen = Seen()
    machine = machine_of(tmp_path, handler=seen)
    if (before := case.before) is not None:
        run(lambda: machine.update(before))
    if case.refused is not None:
        machine.world.broken[case.refused] = 1
    run(lambda: machine.update(case.main))
    machine.close()
    assert len(seen.calls) == 1, seen.texts
    assert seen.calls[0][1] == coco.ExceptionContext(
        env_name="default",
        stable_path=case.path,
        processor_name=case.processor,
        mount_kind=case.kind,
        parent_stable_path=case.parent,
        is_background=True,
        source="component",
        original_exception=None,
    )


@pytest.mark.parametrize("name", CASES)
def test_FAIL_2_without_a_handler_it_is_logged_once(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    case: Case = CASES[name]()
    machine = machine_of(tmp_path)
    if (before := case.before) is not None:
        run(lambda: machine.update(before))
    if case.refused is not None:
        machine.world.broken[case.refused] = 1
    with caplog.at_level(logging.ERROR):
        run(lambda: machine.update(case.main))
    machine.close()
    assert len(caplog.records) == 1, caplog.text
    record = caplog.records[0]
    assert (record.name, record.levelname) == ("liveproof", "ERROR")
    assert f"{case.path} " in record.getMessage()
    assert case.processor in record.getMessage()
    assert record.exc_info is not None
    assert record.exc_info[1] is not None
    raised = not name.endswith(("report_exception", "report"))
    assert (record.exc_info[2] is not None) == raised, "with the traceback, where there is one"


def test_FAIL_2_several_failures_are_reported_each_on_its_own(tmp_path: Path) -> None:
    seen = Seen()
    machine = machine_of(tmp_path, handler=seen)

    async def child() -> None:
        await coco.mount(at("d"), failing, "d")
        raise BoomError("c")

    async def main() -> None:
        await coco.mount(at("c"), child)
        await coco.mount(at("e"), failing, "e")
        await coco.mount_each(failing, [(f"k{number}", f"k{number}") for number in range(3)])

    run(lambda: machine.update(main))
    machine.close()
    assert sorted(seen.texts) == [
        "/@failing/k0: k0", "/@failing/k1: k1", "/@failing/k2: k2", "/c/d: d", "/c: c", "/e: e",
    ]  # fmt: skip


def test_FAIL_2_the_innermost_handler_ends_it(tmp_path: Path) -> None:
    outermost, outer, inner = Seen(), Seen(), Seen()
    machine = machine_of(tmp_path, handler=outermost)

    async def child() -> None:
        await coco.mount(at("deep"), failing, "deep")

    async def nested() -> None:
        async with coco.exception_handler(inner):
            await coco.mount(at("c"), child)

    async def main() -> None:
        async with coco.exception_handler(outer):
            await nested()
            await coco.mount(at("x"), failing, "x")
        await coco.mount(at("y"), failing, "y")

    run(lambda: machine.update(main))
    machine.close()
    assert inner.texts == ["/c/deep: deep"]
    assert outer.texts == ["/x: x"]
    assert outermost.texts == ["/y: y"]


def test_FAIL_2_a_handler_is_in_force_where_the_mount_is_called_even_if_it_fails_later(
    tmp_path: Path,
) -> None:
    seen, env = Seen(), Seen()
    machine = machine_of(tmp_path, handler=env)

    async def late(gate: asyncio.Event) -> None:
        await gate.wait()
        raise BoomError("late")

    async def main() -> None:
        gate = asyncio.Event()
        async with coco.exception_handler(seen):
            await coco.mount(at("c"), late, gate)
        gate.set()

    run(lambda: machine.update(main))
    machine.close()
    assert (seen.texts, env.texts) == (["/c: late"], [])


def test_FAIL_2_handlers_in_a_live_component(tmp_path: Path) -> None:
    """In process() for what it mounts, in process_live() for what the operator does."""
    env, scan, feed = Seen(), Seen(), Seen()
    machine = machine_of(tmp_path, handler=env)

    async def process() -> None:
        async with coco.exception_handler(scan):
            await coco.mount(at("a"), failing, "a")

    async def live(operator: coco.LiveComponentOperator) -> None:
        await operator.update_full()
        async with coco.exception_handler(feed):
            await (await operator.update(at("b"), failing, "b")).ready()
            await operator.report_exception(BoomError("odd event"))
        await (await operator.update(at("c"), failing, "c")).ready()

    async def main() -> None:
        await coco.mount(at("L"), Live, live, process)

    run(lambda: machine.update(main))
    machine.close()
    assert scan.texts == ["/L/a: a"]
    assert feed.texts == ["/L/b: b", "/L: odd event"]
    assert env.texts == ["/L/c: c"]


@pytest.mark.parametrize("is_async", [False, True])
def test_FAIL_2_a_handler_that_raises_passes_its_exception_outward(tmp_path: Path, is_async: bool) -> None:
    original = BoomError("original")
    from_inner, from_middle = ValueError("inner"), KeyError("middle")
    seen: list[tuple[str, BaseException, str, BaseException | None]] = []

    def told(who: str, error: BaseException, context: coco.ExceptionContext) -> None:
        assert (context.stable_path, context.processor_name) == ("/c", "raises")
        seen.append((who, error, context.source, context.original_exception))

    def handler(who: str, answer: Exception | None) -> coco.ExceptionHandler:
        def sync_handler(error: BaseException, context: coco.ExceptionContext) -> None:
            told(who, error, context)
            if answer is not None:
                raise answer

        async def async_handler(error: BaseException, context: coco.ExceptionContext) -> None:
            await ticks(2)
            sync_handler(error, context)

        return async_handler if is_async else sync_handler

    async def raises() -> None:
        raise original

    machine = machine_of(tmp_path, handler=handler("env", None))

    async def main() -> None:
        async with (
            coco.exception_handler(handler("outer", from_middle)),
            coco.exception_handler(handler("inner", from_inner)),
        ):
            handle = await coco.mount(at("c"), raises)
        await handle.ready()

    run(lambda: machine.update(main))
    machine.close()
    assert seen == [
        ("inner", original, "component", None),
        ("outer", from_inner, "handler", original),
        ("env", from_middle, "handler", original),
    ]


def test_FAIL_2_a_handler_that_raises_what_it_was_given_is_a_handler_that_raised(tmp_path: Path) -> None:
    seen = Seen()
    machine = machine_of(tmp_path, handler=seen)

    def again(error: BaseException, context: coco.ExceptionContext) -> None:
        raise error

    async def main() -> None:
        async with coco.exception_handler(again):
            await coco.mount(at("c"), failing)

    run(lambda: machine.update(main))
    machine.close()
    assert [(context.source, context.original_exception) for _, context in seen.calls] == [
        ("handler", seen.calls[0][0])
    ]


def test_FAIL_2_when_all_handlers_raise_it_is_logged_once_and_ready_raises(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    last = KeyError("the last word")
    caught: list[BaseException] = []

    def outermost(error: BaseException, context: coco.ExceptionContext) -> None:
        raise last

    def inner(error: BaseException, context: coco.ExceptionContext) -> None:
        raise ValueError("inner")

    machine = machine_of(tmp_path, handler=outermost)

    async def main() -> None:
        declare("x", 1)
        async with coco.exception_handler(inner):
            handle = await coco.mount(at("c"), failing)
        for _ in range(2):
            try:
                await handle.ready()
            except KeyError as error:
                caught.append(error)

    with caplog.at_level(logging.ERROR, logger="liveproof"):
        run(lambda: machine.update(main))
    machine.close()
    assert caught == [last, last]
    assert machine.world.target == {"x": "1"}
    assert len(caplog.records) == 1
    assert "/c" in caplog.records[0].getMessage()
    assert "failing" in caplog.records[0].getMessage()


def test_FAIL_2_an_environment_handler_from_the_lifespan(tmp_path: Path) -> None:
    from liveproof.environment import LazyEnvironment  # noqa: PLC0415 - not public, but what "default" is

    seen = Seen()
    env = LazyEnvironment("other")

    def setup(builder: coco.EnvironmentBuilder) -> Any:
        builder.settings.db_path = tmp_path / "s.db"
        builder.set_exception_handler(seen)
        yield

    env.lifespan(setup)

    async def main() -> None:
        await coco.mount(at("c"), failing)

    app: coco.App[[], Any] = coco.App(coco.AppConfig("app", environment=env), main)

    async def once() -> None:
        await app.update()
        await env.stop()

    run(once)
    assert [context.env_name for _, context in seen.calls] == ["other"]


def test_FAIL_2_a_failing_collection_is_reported_in_every_run_until_it_succeeds(tmp_path: Path) -> None:
    seen = Seen()
    machine = machine_of(tmp_path, handler=seen)

    async def before() -> None:
        await coco.mount(at("c"), leaf, "x")

    async def main() -> None:
        await ticks(1)

    run(lambda: machine.update(before))
    machine.world.broken["x"] = 2
    for _ in range(3):
        run(lambda: machine.update(main))
        machine.close()
    assert seen.texts == ["/c: the target refuses x"] * 2
    assert machine.world.target == {}
    assert ("c",) not in read_store(machine.path).components


# FAIL-3 ---------------------------------------------------------------------------------------------------


def test_FAIL_3_use_mount_raises_the_very_exception_with_its_traceback(tmp_path: Path) -> None:
    seen = Seen()
    machine = machine_of(tmp_path, handler=seen)
    error = BoomError("mine")
    caught: list[BaseException] = []

    async def raises_deep_down() -> None:
        raise error

    async def main() -> str:
        try:
            await coco.use_mount(at("c"), raises_deep_down)
        except BoomError as exc:
            caught.append(exc)
        try:
            await coco.use_mount(at("s"), failing_sync)
        except BoomError as exc:
            caught.append(exc)
        return "went on"

    assert run(lambda: machine.update(main)) == "went on"
    machine.close()
    assert caught[0] is error
    assert "raises_deep_down" in "".join(traceback.format_exception(caught[0]))
    assert "failing_sync" in "".join(traceback.format_exception(caught[1]))
    assert seen.calls == [], "who waits for the result gets the failure, nobody else"


def test_FAIL_3_use_mount_raises_what_the_sink_raised(tmp_path: Path) -> None:
    machine = machine_of(tmp_path, handler=Seen())
    machine.world.broken["x"] = 1

    async def main() -> str:
        with pytest.raises(OSError, match="the target refuses x"):
            await coco.use_mount(at("c"), leaf, "x")
        return "went on"

    assert run(lambda: machine.update(main)) == "went on"
    assert machine.world.target == {}
    run(lambda: machine.update(lambda: coco.use_mount(at("c"), leaf, "x")))
    assert machine.world.target == {"x": "1"}
    machine.close()


def test_FAIL_3_use_mount_does_not_raise_what_background_children_of_the_child_raised(
    tmp_path: Path,
) -> None:
    seen = Seen()
    machine = machine_of(tmp_path, handler=seen)

    async def child() -> int:
        await coco.mount(at("d"), failing, "d")
        return 3

    async def main() -> int:
        got: int = await coco.use_mount(at("c"), child)
        return got

    assert run(lambda: machine.update(main)) == 3
    machine.close()
    assert seen.texts == ["/c/d: d"]


def test_FAIL_3_handles_do_not_raise_what_a_handler_has_dealt_with(tmp_path: Path) -> None:
    seen = Seen()
    machine = machine_of(tmp_path, handler=seen)
    done: list[str] = []

    async def live(operator: coco.LiveComponentOperator) -> None:
        await (await operator.update(at("c"), failing, "c")).ready()
        done.append("update")
        await (await operator.update(at("d"), leaf, "y")).ready()
        world().broken["y"] = 1
        await (await operator.delete(at("d"))).ready()
        done.append("delete")
        await operator.update_full()
        done.append("update_full")

    async def main() -> None:
        await (await coco.mount(at("m"), failing, "m")).ready()
        done.append("mount")
        await (await coco.mount_each(failing, [("a", "a"), ("b", "b")])).ready()
        done.append("mount_each")
        await (await coco.mount(at("L"), Live, live, failing_in_process)).ready()
        done.append("live")

    run(lambda: machine.update(main))
    machine.close()
    assert done == ["mount", "mount_each", "update", "delete", "update_full", "live"]
    assert seen.texts == [
        "/m: m", "/@failing/a: a", "/@failing/b: b", "/L/c: c", "/L/d: the target refuses y", "/L: process",
    ]  # fmt: skip


async def failing_in_process() -> None:
    raise BoomError("process")


def test_FAIL_3_handles_raise_what_a_handler_raised(tmp_path: Path) -> None:
    done: list[str] = []

    def handler(error: BaseException, context: coco.ExceptionContext) -> None:
        raise RuntimeError(f"as for {error}")

    machine = machine_of(tmp_path, handler=handler)

    async def expect(name: str, ready: Callable[[], Awaitable[None]], text: str) -> None:
        with pytest.raises(RuntimeError, match=f"^as for {text}$"):
            await ready()
        done.append(name)

    async def live(operator: coco.LiveComponentOperator) -> None:
        await expect("update", (await operator.update(at("c"), failing, "c")).ready, "c")
        await (await operator.update(at("d"), leaf, "y")).ready()
        world().broken["y"] = 1
        await expect("delete", (await operator.delete(at("d"))).ready, "the target refuses y")
        await expect("update_full", operator.update_full, "process")
        await expect("report", lambda: operator.report_exception(BoomError("event")), "event")

    async def main() -> None:
        await expect("mount", (await coco.mount(at("m"), failing, "m")).ready, "m")
        each = await coco.mount_each(failing, [("a", "a"), ("b", "b")])
        await expect("mount_each", each.ready, "a")
        await (await coco.mount(at("L"), Live, live, failing_in_process)).ready()

    run(lambda: machine.update(main))
    machine.close()
    assert done == ["mount", "mount_each", "update", "delete", "update_full", "report"]


def test_FAIL_3_ready_of_a_live_component_that_failed(tmp_path: Path) -> None:
    def handler(error: BaseException, context: coco.ExceptionContext) -> None:
        raise RuntimeError(f"as for {error}")

    async def live(operator: coco.LiveComponentOperator) -> None:
        raise BoomError("live")

    for handled in (True, False):
        machine = Machine(tmp_path / f"{handled}.db", World(), handler=Seen() if handled else handler)

        async def main() -> str:
            try:
                await (await coco.mount(at("L"), Live, live)).ready()
            except RuntimeError as error:
                return str(error)
            return "ready"

        assert run(lambda: machine.update(main)) == ("ready" if handled else "as for live")  # noqa: B023
        machine.close()


# The main function -----------------------------------------------------------------------------------------


def test_main_raising_update_raises_it_when_the_background_children_have_ended(tmp_path: Path) -> None:
    seen = Seen()
    machine = machine_of(tmp_path, handler=seen)
    error = BoomError("main")

    async def slow() -> None:
        await ticks(30)
        declare("slow", 1)

    async def main() -> None:
        declare("own", 1)
        await coco.mount(at("slow"), slow)
        raise error

    async def go() -> None:
        with pytest.raises(BoomError) as caught:
            await machine.update(main)
        assert caught.value is error
        assert machine.world.target == {"slow": "1"}

    run(go)
    machine.close()
    assert seen.calls == [], "who waits for the update gets it, nobody else"


def test_main_raising_collects_nothing(tmp_path: Path) -> None:
    machine = machine_of(tmp_path)

    async def first() -> None:
        declare("own", 1)
        await coco.mount(at("c"), leaf, "c")

    async def main() -> None:
        raise BoomError("main")

    async def go() -> None:
        await machine.update(first)
        with pytest.raises(BoomError):
            await machine.update(main)

    run(go)
    assert machine.world.target == {"own": "1", "c": "1"}
    machine.close()


def test_main_raising_ends_live_components(tmp_path: Path) -> None:
    machine = machine_of(tmp_path)
    ended: list[str] = []

    async def live(operator: coco.LiveComponentOperator) -> None:
        await operator.update_full()
        await operator.mark_ready()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("live")

    async def main() -> None:
        await (await coco.mount(at("L"), Live, live)).ready()
        raise BoomError("main")

    async def go() -> None:
        with pytest.raises(BoomError):
            await machine.app(main).update(live=True)
        assert ended == ["live"]

    run(go)
    machine.close()


def test_main_raising_from_its_sink(tmp_path: Path) -> None:
    machine = machine_of(tmp_path)
    machine.world.broken["x"] = 1

    async def main() -> None:
        declare("x", 1)

    async def go() -> None:
        with pytest.raises(OSError, match="refuses x"):
            await machine.update(main)
        await machine.update(main)

    run(go)
    assert machine.world.target == {"x": "1"}
    machine.close()


def test_a_failing_update_does_not_disturb_the_next(tmp_path: Path) -> None:
    """No task, no lock and no state is left over, however often."""
    machine = machine_of(tmp_path, handler=Seen())
    left = [3]

    async def main() -> str:
        await coco.mount(at("c"), failing)
        if left[0]:
            left[0] -= 1
            raise BoomError("again")
        return "done"

    async def go() -> None:
        for _ in range(3):
            with pytest.raises(BoomError):
                await machine.update(main)
        assert await machine.update(main) == "done"

    run(go)
    machine.close()


def test_a_handler_may_take_its_time_without_holding_others_up(tmp_path: Path) -> None:
    gate: list[asyncio.Event] = []

    async def handler(error: BaseException, context: coco.ExceptionContext) -> None:
        await gate[0].wait()

    machine = machine_of(tmp_path, handler=handler)

    async def main() -> None:
        gate.append(asyncio.Event())
        handle = await coco.mount(at("c"), failing)
        await (await coco.mount(at("d"), leaf, "d")).ready()
        assert machine.world.target == {"d": "1"}
        gate[0].set()
        await handle.ready()

    run(lambda: machine.update(main))
    machine.close()


def test_a_failed_item_of_a_feed_leaves_the_feed_running(tmp_path: Path) -> None:
    seen = Seen()
    machine = machine_of(tmp_path, handler=seen)

    async def item(value: str) -> None:
        if value == "bad":
            raise BoomError("item")
        declare(value, 1)

    async def tell(subscriber: coco.LiveMapSubscriber[Any, Any]) -> None:
        for key in ("a", "bad", "c"):
            await subscriber.update(key, key)
        await subscriber.mark_ready()

    async def main() -> None:
        await coco.mount_each(item, Feed(tell))

    run(lambda: machine.update(main))
    machine.close()
    assert machine.world.target == {"a": "1", "c": "1"}
    assert seen.texts == ["/@item/bad: item"]


