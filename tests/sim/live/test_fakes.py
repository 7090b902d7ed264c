"""Targets and live maps in memory: what they do, what they may do wrong, and what they refuse."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

import liveproof as coco
from liveproof_sim import Status, World, check
from liveproof_sim.fakes.faults import FAMILIES
from liveproof_sim.fakes.targets import CONTAINER, Action

GONE = coco.NON_EXISTENCE


def holds(scenario: Callable[[World], Coroutine[Any, Any, None]], *, executions: int = 60) -> Any:
    verdict = check(scenario, executions=executions)
    assert verdict.status is not Status.FAILED, verdict.failure and verdict.failure.report
    return verdict


def test_a_target_applies_by_steps() -> None:
    seen: list[dict[Any, Any]] = []

    async def scenario(world: World) -> None:
        target = world.target("steps")
        applying = world.spawn(target.apply([Action(("a",), 1), Action(("b",), 2), Action(("a",), GONE)]))
        while not applying.done():
            seen.append(dict(target.entries))
            await asyncio.sleep(0)
        assert target.entries == {"b": 2}
        assert [(each.keys, each.value) for each in target.history] == [
            (("a",), 1),
            (("b",), 2),
            (("a",), GONE),
        ]
        assert target.of("a") == [1, GONE]

    holds(scenario)
    assert {"a": 1} in seen, "others run between two actions"
    assert {"a": 1, "b": 2} in seen


def test_containers() -> None:
    async def scenario(world: World) -> None:
        target = world.target("steps")
        await target.apply([Action(("c",), CONTAINER), Action(("c", "x"), 1), Action(("c",), CONTAINER)])
        assert target.entries == {"c": {"x": 1}}, "making it again empties nothing"
        assert target.at(("c",)) is CONTAINER
        assert target.at(("c", "y")) is GONE
        assert target.flat() == {("c",): CONTAINER, ("c", "x"): 1}
        await target.apply([Action(("d", "x"), GONE)])
        with pytest.raises(FileNotFoundError, match="no container for"):
            await target.apply([Action(("d", "x"), 1)])
        await target.apply([Action(("c",), GONE)])
        assert target.entries == {}

    holds(scenario, executions=1)


@pytest.mark.parametrize(
    ("family", "left"),
    [("refuse", []), ("break", ["a"]), ("fail", ["a", "b"]), ("silence", ["a", "b"]), ("slow", ["a", "b"])],
)
def test_a_fault_leaves_what_it_says(family: str, left: list[str]) -> None:
    struck: list[object] = []

    async def scenario(world: World) -> None:
        world.faults.enable(f"target.{family}", budget=1)
        target = world.target("steps")
        try:
            await target.apply([Action(("a",), 1), Action(("b",), 2)])
        except (OSError, TimeoutError) as error:
            struck.append((type(error) is TimeoutError) == (family == "silence") and list(target.entries) == left)
        else:
            assert list(target.entries) == ["a", "b"]
            struck.append(world.clock.now_ns > 0 or "not")

    holds(scenario)
    assert True in struck
    assert "not" in struck
    assert False not in struck


def test_lanes_are_the_same_in_every_world() -> None:
    async def two(world: World) -> None:
        world.target("lanes", lanes=2)

    async def three(world: World) -> None:
        with pytest.raises(ValueError, match="has 2 lanes elsewhere, and 3 here"):
            world.target("lanes", lanes=3)

    holds(two, executions=1)
    holds(three, executions=1)


class Listener:
    """A subscriber that keeps a dictionary as it is told."""

    def __init__(self, source: Any) -> None:
        self.source = source
        self.entries: dict[Any, Any] = {}
        self.told: list[tuple[Any, ...]] = []

    async def update_all(self) -> None:
        self.told.append(("all",))
        self.entries = {key: value async for key, value in self.source}

    async def mark_ready(self) -> None:
        self.told.append(("ready",))

    async def update(self, key: Any, value: Any, /) -> None:
        self.told.append((key, value))
        self.entries[key] = value

    async def delete(self, key: Any, /) -> None:
        self.told.append((key,))
        self.entries.pop(key, None)


@pytest.mark.parametrize("kind", ["view", "feed"])
@pytest.mark.parametrize("faults", [(), ("feed",)])
def test_a_map_tells_of_everything_in_the_end(kind: str, faults: tuple[str, ...]) -> None:
    stories: dict[str, None] = {}

    async def scenario(world: World) -> None:
        world.faults.enable(*faults)
        source = getattr(world, f"map_{kind}")({"a": 1, "b": 2})
        listener = Listener(source)
        watching = world.spawn(source.watch(listener))
        for key, value in (("a", 3), ("c", 4), ("a", 5)):
            await asyncio.sleep(0)
            source.set(key, value)
        source.remove("b")
        source.remove("never there")
        source.close()
        await watching
        assert source.watchers == 0
        assert listener.entries == source.entries == {"a": 5, "c": 4}
        assert listener.told.count(("ready",)) == 1
        stories[repr(listener.told)] = None

    holds(scenario, executions=200)
    assert len(stories) > (10 if faults else 1), "its events come in many ways"


def test_a_feed_is_ready_when_it_has_told_of_what_there_was() -> None:
    async def scenario(world: World) -> None:
        world.faults.enable("feed")
        source = world.map_feed({"a": 1, "b": 2})
        listener = Listener(source)
        watching = world.spawn(source.watch(listener))
        await world.quiet()
        before = listener.told[: listener.told.index(("ready",))]
        assert {each[0] for each in before} == {"a", "b"}
        source.close()
        await watching

    holds(scenario)


@pytest.mark.parametrize("kind", ["view", "feed"])
def test_one_watcher_at_a_time(kind: str) -> None:
    async def scenario(world: World) -> None:
        source = getattr(world, f"map_{kind}")({"a": 1})
        watching = world.spawn(source.watch(Listener(source)))
        await world.quiet()
        with pytest.raises(RuntimeError, match="is being watched already"):
            await source.watch(Listener(source))
        source.close()
        await watching
        await source.watch(Listener(source))

    holds(scenario, executions=20)


def test_the_families_are_all_known() -> None:
    families = [family for family in FAMILIES if family.startswith(("target.", "feed."))]
    assert len(families) == 10
