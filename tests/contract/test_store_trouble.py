"""RDY-1, FAIL-1, FAIL-2, GC-5 and DUR-1 on a store that fails once: at each of its reads, writes and flushes in turn.

What fails is told, everybody who waits is answered, and the next run, on a store that works, makes it good.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

import liveproof as coco
from liveproof.errors import StoreError
from liveproof_sim import Status, World, check
from liveproof_sim.fakes.store import SimStore
from scenarios.recovery.ground import GROUND, Source, app_of, components, judge, recover, want

CALLS_MAX = 200
FIRST: Source = {"a": {"x": "1"}, "b": {"y": "1"}}
SECOND: Source = {"b": {"y": "2"}, "c": {"x": "1"}}


class Once:
    """Fails the call of one kind with this number, counted from 1, and no other."""

    def __init__(self, operation: str, number: int) -> None:
        self.operation = operation
        self.number = number
        self.calls = 0

    def __call__(self, family: str, operation: str, _phase: str) -> bool:
        if family != "store.eio" or operation != self.operation:
            return False
        self.calls += 1
        return self.calls == self.number


def at(*keys: str) -> coco.ComponentSubpath:
    return coco.component_subpath(*keys)


class Inner:
    """A live child."""

    async def process(self) -> None:
        await coco.mount(at("leaf"), want, {"z": "1"})

    async def process_live(self, operator: coco.LiveComponentOperator) -> None:
        await operator.update_full()


class Outer:
    """Calls of every kind, one after the other, each waited for."""

    def __init__(self, source: Source) -> None:
        self.source = source

    async def process(self) -> None:
        for name, wanted in self.source.items():
            await coco.mount(at(name), want, dict(wanted))

    async def process_live(self, operator: coco.LiveComponentOperator) -> None:
        await operator.update_full()
        await (await operator.update(at("live"), Inner)).ready()
        await (await operator.delete(at("live"))).ready()
        await (await operator.update(at("live"), Inner)).ready()
        await (await operator.update(at("live", "more"), want, {"w": "1"})).ready()
        await (await operator.update(at("a"), want, {"w": "2"})).ready()
        await operator.mark_ready()
        await operator.update_full()


def live_app(source: Source) -> coco.App[[], None]:
    async def main() -> None:
        await coco.mount(at("outer"), Outer, source)

    return coco.App("recovery", main)


async def attempt(world: World, app: coco.App[[], None], once: Once, *, live: bool) -> int:
    """A run in which one call of the store fails; how many failures were told."""
    told: list[BaseException] = []
    world.exception_handler = lambda error, _context: told.append(error)
    run = world.start(app, live=live)
    store = world.store
    assert isinstance(store, SimStore)
    store.strike = once
    try:
        await run
    except StoreError as error:
        told.append(error)
    assert all(isinstance(error, StoreError) for error in told), told
    return len(told)


def each(operation: str, scenario_of: Callable[[Once], Callable[[World], object]]) -> int:
    """Explore what happens if the first such call fails, the second, and so on; how many there are."""
    for number in range(1, CALLS_MAX):
        once = Once(operation, number)
        verdict = check(scenario_of(once), executions=1, strategy="fifo", shrinking=False)
        report = verdict.failure and verdict.failure.report
        assert verdict.status is not Status.FAILED, f"{operation} {number}: {report}"
        if once.calls < number:
            return number - 1
    raise AssertionError(f"{CALLS_MAX} calls, and more")


@pytest.mark.parametrize("durability", ["power", "process"])
@pytest.mark.parametrize("operation", ["read", "write", "flush"])
def test_DUR_1_a_catch_up_run_in_which_one_call_of_the_store_fails(operation: str, durability: str) -> None:
    """Components come, change, and are collected."""

    def scenario_of(once: Once) -> Callable[[World], object]:
        async def scenario(world: World) -> None:
            once.calls = 0
            GROUND.reset(world)
            world.store = SimStore(durability="power" if durability == "power" else "process")
            await world.start(app_of(FIRST))
            told = await attempt(world, app_of(SECOND), once, live=False)
            assert told == 0 or once.calls >= once.number
            if once.calls >= once.number and operation != "read":
                assert told, "a write that failed was told to nobody"
            await recover(world, SECOND)

        return scenario

    calls = each(operation, scenario_of)
    assert calls > 0 or (operation == "flush" and durability == "process")


@pytest.mark.parametrize("operation", ["read", "write", "flush"])
def test_RDY_1_a_live_run_in_which_one_call_of_the_store_fails(operation: str) -> None:
    """A live component with a live child, updated and deleted: everybody who waits is answered."""

    def scenario_of(once: Once) -> Callable[[World], object]:
        async def scenario(world: World) -> None:
            once.calls = 0
            GROUND.reset(world)
            world.store = SimStore(durability="power")
            await world.start(app_of(FIRST))
            await attempt(world, live_app(SECOND), once, live=True)
            await world.restart(app_of(FIRST))
            await judge(world, FIRST, app_of(FIRST), ("recovery",))

        return scenario

    assert each(operation, scenario_of) > 3


def test_GC_5_a_child_that_can_not_be_read_is_remembered() -> None:
    """The store can not tell what is below a component that is to go: it goes in the next run."""

    async def scenario(world: World) -> None:
        GROUND.reset(world)
        told: list[coco.ExceptionContext] = []
        world.exception_handler = lambda _error, context: told.append(context)
        await world.start(app_of(FIRST))
        run = world.start(app_of({"b": FIRST["b"]}))
        store = world.store
        assert isinstance(store, SimStore)
        scan = store.scan

        def failing(table: object, prefix: bytes, /, *, limit: int | None = None) -> object:
            if prefix.endswith(b"a"):
                raise OSError("a bad block")
            return scan(table, prefix, limit=limit)  # type: ignore[arg-type]

        store.scan = failing  # type: ignore[method-assign, assignment]
        await run
        store.scan = scan  # type: ignore[method-assign]
        assert [context.mount_kind for context in told] == ["delete_background"]
        assert ("recovery", "a") in components(store)
        assert GROUND.texts() == {"x": "1", "y": "1"}
        await recover(world, {"b": FIRST["b"]})

    verdict = check(scenario, executions=5, shrinking=False)
    assert verdict.status is Status.SAMPLED, verdict.failure and verdict.failure.report
