"""Restrictions and their errors: each row of the contract's table, its type and what it must name.

And a refused call leaves everything as before: what it would have done can be done right afterwards.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import functools
import re
import sys
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
        with refused(TypeError, "component_subpath", "str"):
            await wrong.update("c", leaf)
        with refused(TypeError, "component_subpath", "str"):
            await wrong.delete("c")
        with refused(TypeError, "function", "'leaf'"):
            await wrong.update(at("c"), "leaf")
        with refused(TypeError, "float", "stable key"):
            await wrong.update(at("c") / 1.5, leaf)
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


def here() -> int:
    """The line that calls this."""
    return sys._getframe(1).f_lineno


@pytest.mark.parametrize("api", ["mount", "use_mount", "mount_each"])
def test_two_siblings_at_one_path(tmp_path: Path, api: str) -> None:
    lines: list[int] = []

    async def main() -> None:
        lines.append(here() + 1)
        await coco.mount(at("a", "c"), leaf)
        lines.append(here() + 2)
        with refused(ValueError, "/a/c ", f"{__file__}:{lines[0]}", f"{__file__}:{lines[1] + 2}"):
            if api == "mount":
                await coco.mount(at("a", "c"), leaf, "other")
            elif api == "use_mount":
                lines.append(0)
                await coco.use_mount(at("a", "c"), leaf, "other")
            else:
                await coco.mount_each(at("a"), leaf, [("c", "other")])

    # The line of each call, relative to the ``with``, as written above.
    del lines[:]
    source = Path(__file__).read_text(encoding="utf-8").splitlines()
    first = next(at for at, line in enumerate(source, 1) if line.strip() == 'await coco.mount(at("a", "c"), leaf)')
    seconds = {
        "mount": 'await coco.mount(at("a", "c"), leaf, "other")',
        "use_mount": 'await coco.use_mount(at("a", "c"), leaf, "other")',
        "mount_each": 'await coco.mount_each(at("a"), leaf, [("c", "other")])',
    }
    second = next(at for at, line in enumerate(source, 1) if line.strip() == seconds[api])

    async def checked() -> None:
        await coco.mount(at("a", "c"), leaf)
        assert first
        assert second

    del checked, main
