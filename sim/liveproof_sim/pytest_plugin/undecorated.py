"""``--sim-all``: async tests without a decorator are explored, with their async fixtures.

Such a test is collected as pytest-asyncio would have it, and made a plain one again. Its async fixtures of
function scope are made anew in each execution, on the simulator's loop, and finished there: pytest itself
never sets them up. All other fixtures are pytest's, are made once, and serve all executions.

What cannot be explored so stays as it is, runs on asyncio, and is listed with the reason: a test on a loop of
a wider scope than its own, and one whose async fixture is of a wider scope, uses ``request``, is a method, is
parametrized, or is used by a fixture that is not async.

pytest-asyncio's own hook for other loops (``pytest_asyncio_loop_factories``) would run each test once, on a
loop that outlives it: an exploration is many runs on many loops.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Generator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from _pytest.fixtures import FixtureDef, FuncFixtureInfo
from _pytest.nodes import Node

from liveproof_sim.decorator import explore, explored

__all__ = ["LEFT", "ExploredFunction", "Undecorated"]

LEFT = pytest.StashKey[str]()
"""Why a test was left as it is."""


class ExploredFunction(pytest.Function):
    """A test that the simulator runs. To pytest-asyncio it is none of its own, whatever its module says."""

    def iter_markers_with_node(self, name: str | None = None) -> Iterator[tuple[Node, pytest.Mark]]:
        """As in pytest, without the mark ``asyncio``."""
        return (pair for pair in super().iter_markers_with_node(name) if pair[1].name != "asyncio")

    @classmethod
    def instead_of(
        cls, function: pytest.Function, *, obj: Callable[..., Any], fixtures: FuncFixtureInfo
    ) -> ExploredFunction:
        """The same test with another body."""
        made = cls.from_parent(
            function.parent,
            name=function.name,
            callspec=getattr(function, "callspec", None),
            callobj=obj,
            fixtureinfo=fixtures,
            keywords=function.keywords,
            originalname=function.originalname,
        )
        made.own_markers = function.own_markers
        return made


class Undecorated:
    """Of one run of pytest."""

    def __init__(self, *, everything: bool) -> None:
        self._everything = everything

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_pycollect_makeitem(self, name: str) -> Generator[None, Any, Any]:
        """After pytest-asyncio has made what is async its own."""
        found = yield
        if isinstance(found, list):
            return [self._instead_of(each) for each in found]
        return self._instead_of(found)

    def _instead_of(self, node: Any) -> Any:
        if not isinstance(node, pytest.Function):
            return node
        if explored(node.obj):
            if node.get_closest_marker("asyncio") is None:
                return node
            return ExploredFunction.instead_of(node, obj=node.obj, fixtures=node._fixtureinfo)
        if not self._everything or not inspect.iscoroutinefunction(node.obj) or node.get_closest_marker("anyio"):
            return node
        remade = _async_fixtures(node)
        reason = _obstacle(node, remade)
        if reason:
            node.stash[LEFT] = reason
            return node
        fixtures = _without(node._fixtureinfo, remade)
        return ExploredFunction.instead_of(node, obj=_exploring(node, remade), fixtures=fixtures)


def _async_fixtures(node: pytest.Function) -> dict[str, FixtureDef[Any]]:
    info = node._fixtureinfo
    last = {name: found[-1] for name, found in info.name2fixturedefs.items() if name in info.names_closure}
    return {name: each for name, each in last.items() if _is_async(each.func)}


def _is_async(function: object) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


def _obstacle(node: pytest.Function, remade: dict[str, FixtureDef[Any]]) -> str:
    """Why this test cannot be explored; empty: it can."""
    marker = node.get_closest_marker("asyncio")
    scope = marker.kwargs.get("loop_scope") if marker is not None else None
    if scope not in (None, "function"):
        return f"its loop is its {scope}'s"
    for name, each in remade.items():
        if each.scope != "function":
            return f"its async fixture {name!r} is its {each.scope}'s"
        if each.params is not None:
            return f"its async fixture {name!r} is parametrized"
        if "request" in each.argnames or name in each.argnames:
            return f"its async fixture {name!r} asks pytest for more"
        if inspect.ismethod(each.func) or "self" in inspect.signature(each.func).parameters:
            return f"its async fixture {name!r} is a method"
    for name, found in node._fixtureinfo.name2fixturedefs.items():
        if name not in remade and any(argument in remade for argument in found[-1].argnames):
            return f"its fixture {name!r} is not async, and uses one that is"
    return ""


def _without(info: FuncFixtureInfo, remade: dict[str, FixtureDef[Any]]) -> FuncFixtureInfo:
    """What pytest still sets up, and hands over: also what the async fixtures need."""
    wanted = [*info.argnames, *(argument for each in remade.values() for argument in each.argnames)]
    return FuncFixtureInfo(
        argnames=tuple(dict.fromkeys(name for name in wanted if name not in remade)),
        initialnames=tuple(name for name in info.initialnames if name not in remade),
        names_closure=[name for name in info.names_closure if name not in remade],
        name2fixturedefs=info.name2fixturedefs,
    )


def _exploring(node: pytest.Function, remade: dict[str, FixtureDef[Any]]) -> Callable[..., None]:
    """A test that explores this one."""
    test, own = node.obj, node._fixtureinfo.argnames

    @functools.wraps(test)
    def run(**given: Any) -> None:
        __tracebackhide__ = True

        @functools.wraps(test)
        async def scenario() -> None:
            async with AsyncExitStack() as stack:
                made = dict(given)
                for name in remade:
                    await _make(name, remade, made, stack)
                await test(**{name: made[name] for name in own})

        scenario.__signature__ = inspect.Signature()  # type: ignore[attr-defined]
        explore()(scenario)()

    run.exploration = explore()(test).exploration  # type: ignore[attr-defined]
    run.undecorated = True  # type: ignore[attr-defined]
    return run


async def _make(
    name: str, remade: dict[str, FixtureDef[Any]], made: dict[str, Any], stack: AsyncExitStack
) -> Any:
    if name not in made:
        each = remade[name]
        arguments = {argument: await _make(argument, remade, made, stack) for argument in each.argnames}
        if inspect.isasyncgenfunction(each.func):
            made[name] = await stack.enter_async_context(asynccontextmanager(each.func)(**arguments))
        else:
            function: Any = each.func
            made[name] = await function(**arguments)
    return made[name]
