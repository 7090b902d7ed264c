"""What a live component promises of its operations, without any loss of power: their order (ORD-1, ORD-2, ORD-3),
their handles (ORD-5), readiness (RDY-2), and the end of a live child that is deleted (ORD-6, GC-2)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import liveproof as coco
from liveproof_sim import World
from scenarios.recovery.ground import GROUND, NODES

KEYS = ("a", "b")


def at(*keys: str) -> coco.ComponentSubpath:
    return coco.component_subpath(*keys)


@coco.fn
async def put(key: str, text: str) -> None:
    """One leaf, after a while."""
    await asyncio.sleep(0)
    coco.declare_target_state(NODES.target_state(key, text))


def put_failing(fails: Callable[[str], bool]) -> Any:
    async def put_or_fail(key: str, text: str) -> None:
        await asyncio.sleep(0)
        if fails(text):
            raise ValueError(f"no {text}")
        coco.declare_target_state(NODES.target_state(key, text))

    return put_or_fail


class Log:
    """Operations in the order in which they were invoked, and what they mean one after the other."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, str, str]] = []
        self.running: dict[str, int] = {}

    def note(self, kind: str, key: str = "", text: str = "") -> int:
        self.entries.append((kind, key, text))
        return len(self.entries)

    def after(self, count: int) -> dict[str, str]:
        """The target after the first ``count`` of them."""
        state: dict[str, str] = {}
        for kind, key, text in self.entries[:count]:
            if kind == "full":
                state = dict.fromkeys(KEYS, text)
            elif kind == "update":
                state[key] = text
            else:
                state.pop(key, None)
        return state

    def may_hold(self, key: str, since: int) -> bool:
        """Whether the target holds what ``key`` has after the operation ``since``, or after a later one."""
        counts = range(since, len(self.entries) + 1)
        return any(GROUND.texts().get(key) == self.after(count).get(key) for count in counts)


async def _one(world: World, log: Log, operator: coco.LiveComponentOperator, source: list[str]) -> None:
    """Three operations, and their handles."""
    for _ in range(3):
        kind = world.draw(["update", "delete", "full", "update"], label="kind")
        key = world.draw(KEYS, label="key")
        if kind == "full":
            source[0] = f"full{len(log.entries)}"
            number = log.note("full", text=source[0])
            await operator.update_full()
            for each in KEYS:
                assert log.may_hold(each, number), f"update_full returned, and {each} is {GROUND.texts().get(each)}"
            continue
        if kind == "update":
            text = f"{key}{len(log.entries)}"
            number = log.note("update", key, text)
            handle = await operator.update(at(key), put, key, text)
        else:
            number = log.note("delete", key)
            handle = await operator.delete(at(key))
        if world.draw(2, label="wait for the handle"):
            await handle.ready()
            assert log.may_hold(key, number), f"{kind} of {key} is ready, and it holds {GROUND.texts().get(key)}"


async def programs(world: World) -> None:
    """Random operations by two tasks: their sequential meaning, their handles, and readiness."""
    GROUND.reset(world)
    log = Log()
    source = ["full"]
    overlap: list[str] = []
    marked: list[int] = []

    class Driven:
        async def process(self) -> None:
            overlap.append("begin")
            wanted = source[0]
            for key in KEYS:
                await coco.mount(at(key), put, key, wanted)
            overlap.append("end")

        async def process_live(self, operator: coco.LiveComponentOperator) -> None:
            tasks = [asyncio.create_task(_one(world, log, operator, source)) for _ in range(2)]
            if world.draw(2, label="ready in the midst"):
                await asyncio.sleep(0)
            else:
                await asyncio.gather(*tasks)
            marked.append(len(log.entries))
            await operator.mark_ready()
            await asyncio.gather(*tasks)

    failures: list[BaseException] = []

    async def main() -> None:
        async with coco.exception_handler(lambda error, _context: failures.append(error)):
            handle = await coco.mount(at("live"), Driven)
        await handle.ready()
        if not failures:
            keys = [key for key in KEYS if not log.may_hold(key, marked[0])]
            assert keys == [], f"ready, and {keys} are {GROUND.texts()}"

    await world.start(coco.App("programs", main), live=True)
    assert failures == [], failures
    assert GROUND.texts() == log.after(len(log.entries)), log.entries
    assert overlap == ["begin", "end"] * (len(overlap) // 2), "two full updates overlap"


async def full_is_a_barrier(world: World) -> None:
    """No update runs while ``process()`` does; those invoked before it have ended when it starts (ORD-2)."""
    GROUND.reset(world)
    running: dict[str, None] = {}
    begun = asyncio.Event()

    async def slow(key: str) -> None:
        running[key] = None
        await asyncio.sleep(0.1)
        await asyncio.sleep(0)
        del running[key]
        coco.declare_target_state(NODES.target_state(key, "updated"))

    class Driven:
        async def process(self) -> None:
            assert not running, f"process() runs, and so does {list(running)}"
            running["process"] = None
            begun.set()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert list(running) == ["process"], f"beside process(): {list(running)}"
            del running["process"]

        async def process_live(self, operator: coco.LiveComponentOperator) -> None:
            first = await operator.update(at("a"), slow, "a")
            full = asyncio.create_task(operator.update_full())
            await (asyncio.sleep(0) if world.draw(2, label="invoked") == 0 else begun.wait())
            second = await operator.update(at("b"), slow, "b")
            await full
            await first.ready()
            await second.ready()

    failures: list[BaseException] = []

    async def main() -> None:
        async with coco.exception_handler(lambda error, _context: failures.append(error)):
            await coco.mount(at("live"), Driven)

    await world.start(coco.App("barrier", main), live=True)
    assert failures == [], failures
    assert GROUND.texts() in ({"b": "updated"}, {}), GROUND.texts()


async def deleted_child(world: World) -> None:
    """A live child is deleted while it works: it ends first, nothing of it is written afterwards, and one that is
    mounted at its place then is not harmed."""
    GROUND.reset(world)
    life: list[str] = []

    class Child:
        def __init__(self, name: str) -> None:
            self.name = name

        async def process(self) -> None:
            pass

        async def process_live(self, operator: coco.LiveComponentOperator) -> None:
            life.append(f"{self.name} begins")
            try:
                await operator.mark_ready()
                for number in range(3):
                    await operator.update(at("leaf"), put, "leaf", f"{self.name}{number}")
                    await asyncio.sleep(0)
                await asyncio.sleep(1)
            finally:
                await asyncio.sleep(0)
                life.append(f"{self.name} ends")

    class Parent:
        async def process(self) -> None:
            pass

        async def process_live(self, operator: coco.LiveComponentOperator) -> None:
            handle = await operator.update(at("child"), Child, "x")
            await handle.ready()
            for _ in range(world.draw(4, label="later")):
                await asyncio.sleep(0)
            handle = await operator.delete(at("child"))
            again = world.draw(2, label="mounted again")
            if again:
                other = await operator.update(at("child"), Child, "y")
                await handle.ready()
                await other.ready()
                await asyncio.sleep(0.5)
                assert GROUND.texts() == {"leaf": "y2"}, GROUND.texts()
            else:
                await handle.ready()
                assert life == ["x begins", "x ends"], life
                assert GROUND.texts() == {}, GROUND.texts()
            acts = len(GROUND.acts)
            await asyncio.sleep(0.1)
            assert len(GROUND.acts) == acts, "written by nobody"

    failures: list[BaseException] = []

    async def main() -> None:
        async with coco.exception_handler(lambda error, _context: failures.append(error)):
            await coco.mount(at("parent"), Parent)

    run = world.start(coco.App("children", main), live=True)
    await run
    assert failures == [], failures
    begun = [each.partition(" ")[0] for each in life if each.endswith("begins")]
    assert life == [f"{name} {what}" for name in begun for what in ("begins", "ends")], life


async def replaced_handles(world: World) -> None:
    """Updates of one sub-path in a row, some of which fail: the handle of one that was replaced tells what became
    of its replacement."""
    GROUND.reset(world)
    fails = put_failing(lambda text: text == "bad")
    last = world.draw(["good", "bad"], label="last")
    outcomes: dict[str, str] = {}

    class Driven:
        async def process(self) -> None:
            pass

        async def process_live(self, operator: coco.LiveComponentOperator) -> None:
            async def wait(name: str, handle: Any) -> None:
                try:
                    await handle.ready()
                except ValueError:
                    outcomes[name] = "failed"
                else:
                    outcomes[name] = GROUND.texts().get("a", "nothing")

            waiting = []
            for name, text in (("first", "1"), ("second", "2"), ("third", last)):
                handle = await operator.update(at("a"), fails, "a", text)
                waiting.append(asyncio.create_task(wait(name, handle)))
            await asyncio.gather(*waiting)

    def outward(error: BaseException, _context: coco.ExceptionContext) -> None:
        raise error

    async def main() -> None:
        async with coco.exception_handler(outward):
            await coco.mount(at("live"), Driven)

    await world.start(coco.App("handles", main), live=True)
    assert outcomes["third"] == ("failed" if last == "bad" else "good"), outcomes
    assert outcomes["second"] in (outcomes["third"], "2"), outcomes
    assert outcomes["first"] in ("1", "2", outcomes["third"]), outcomes
