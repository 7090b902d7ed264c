"""A power cut: nothing of the app runs any more, no ``finally`` runs, and the scenario goes on."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import time
from collections.abc import AsyncIterator, Collection, Sequence
from typing import Any

import pytest

import liveproof as coco
from liveproof.backends import collector
from liveproof_sim import PowerCut, Status, World, check, replay
from liveproof_sim.fakes.store import SimStore
from scenarios.recovery.catch_up import upgraded


class Target:
    """A dictionary in another house: it has power of its own."""

    def __init__(self) -> None:
        self.entries: dict[str, str] = {}
        self.calls = 0
        self.world: World | None = None
        self.sink = coco.TargetActionSink.from_async_fn(self.apply)

    def reset(self, world: World) -> None:
        self.entries.clear()
        self.calls = 0
        self.world = world

    async def apply(self, _context: object, actions: Sequence[tuple[str, str | None]], /) -> None:
        assert self.world is not None
        self.calls += 1
        for key, value in actions:
            await asyncio.sleep(0)
            self.world.power.before_call("put", key)
            if value is None:
                self.entries.pop(key, None)
            else:
                self.entries[key] = value

    def reconcile(self, key: Any, desired: Any, prev: Collection[str], may_be_missing: bool, /) -> Any:
        if coco.is_non_existence(desired):
            return coco.TargetReconcileOutput((key, None), self.sink, coco.NON_EXISTENCE)
        if not may_be_missing and all(each == desired for each in prev):
            return None
        return coco.TargetReconcileOutput((key, desired), self.sink, desired)


target = Target()
provider = coco.register_root_target_states_provider("tests/sim/power", target)


def declare(key: str, text: str) -> None:
    coco.declare_target_state(provider.target_state(key, text))


def app_of(source: dict[str, str]) -> coco.App[[], None]:
    async def item(key: str) -> None:
        await asyncio.sleep(0)
        declare(key, source[key])

    async def main() -> None:
        for key in list(source):
            await coco.mount(coco.component_subpath(key), item, key)

    return coco.App("power", main)


# ---- the dead


async def until_cut(world: World, main: Any, *, steps: int = 3) -> None:
    """Run ``main`` as an app, and cut the power after some time."""
    run = world.start(coco.App("doomed", main), live=True)
    waiting = world.spawn(run.result(), name="waiting")
    for _ in range(steps):
        await world.clock.sleep(1)
    world.crash()
    with pytest.raises(PowerCut):
        await waiting
    with pytest.raises(PowerCut):
        await run.ready()


def test_no_finally_runs() -> None:
    log: list[str] = []

    async def main() -> None:
        try:
            log.append("began")
            await asyncio.sleep(1000)
        finally:
            log.append("finally")

    async def scenario(world: World) -> None:
        log.clear()
        await until_cut(world, main)
        await world.quiet()
        assert log == ["began"]
        assert world.clock.now_ns < 10e9, "a timer of the dead has let time pass"

    verdict = check(scenario, executions=20)
    assert verdict.status is Status.SAMPLED, verdict.failure and verdict.failure.report


def test_tasks_threads_timers_and_generators_vanish() -> None:
    log: list[str] = []

    async def ticks() -> AsyncIterator[int]:
        try:
            while True:
                await asyncio.sleep(0.3)
                yield 1
        finally:
            log.append("generator")

    async def consume() -> None:
        async for _ in ticks():
            log.append("tick")

    def body() -> None:
        time.sleep(2.5)
        log.append("body")

    async def thread() -> None:
        await asyncio.to_thread(body)
        log.append("thread")

    async def main() -> None:
        asyncio.get_running_loop().call_later(3.5, log.append, "timer")
        async with asyncio.TaskGroup() as group:
            group.create_task(consume())
            group.create_task(thread())
            group.create_task(asyncio.Event().wait())

    async def scenario(world: World) -> None:
        log.clear()
        await until_cut(world, main, steps=2)
        seen = list(log)
        await world.clock.sleep(100)
        assert log == seen
        assert "thread" not in log
        assert "tick" in log

    verdict = check(scenario, executions=50)
    assert verdict.status is Status.SAMPLED, verdict.failure and verdict.failure.report


def test_who_waits_for_readiness_sees_the_cut_and_no_timer_of_theirs_is_left() -> None:
    async def main() -> None:
        await asyncio.sleep(1000)

    async def scenario(world: World) -> None:
        run = world.start(coco.App("doomed", main), live=True)
        waiting = world.spawn(run.ready(), name="waiting")
        await world.clock.sleep(0.1)  # as long as it looks away between two looks
        world.crash()
        await world.quiet()
        with pytest.raises(PowerCut):
            await waiting

    verdict = check(scenario, executions=200)
    assert verdict.status is Status.SAMPLED, verdict.failure and verdict.failure.report


def test_the_scenario_s_own_tasks_survive() -> None:
    async def main() -> None:
        await asyncio.sleep(1000)

    async def scenario(world: World) -> None:
        seen: list[int] = []

        async def own() -> None:
            for number in range(6):
                await asyncio.sleep(1)
                seen.append(number)

        task = world.spawn(own())
        await until_cut(world, main)
        await task
        assert seen == list(range(6))

    verdict = check(scenario, executions=20)
    assert verdict.status is Status.SAMPLED, verdict.failure and verdict.failure.report


def test_what_wakes_the_dead_does_not_wake_them() -> None:
    """A future and a queue that the scenario shares with the app."""
    log: list[object] = []

    async def scenario(world: World) -> None:
        log.clear()
        queue: asyncio.Queue[int] = asyncio.Queue()
        event = asyncio.Event()

        async def main() -> None:
            async def other() -> None:
                await event.wait()
                log.append("woken")

            task = asyncio.create_task(other())
            log.append(await queue.get())
            await task

        await until_cut(world, main)
        event.set()
        queue.put_nowait(1)
        await world.quiet()
        assert log == []

    verdict = check(scenario, executions=20)
    assert verdict.status is Status.SAMPLED, verdict.failure and verdict.failure.report


def test_nothing_is_left_behind(caplog: pytest.LogCaptureFixture) -> None:
    """Not in the log, not in the collector's settings, and no coroutine for a later run to close."""

    async def main() -> None:
        try:
            await asyncio.sleep(1000)
        except BaseException:
            logging.getLogger("app").exception("I was closed")
            raise

    async def scenario(world: World) -> None:
        await until_cut(world, main)

    users = collector._users
    with caplog.at_level(logging.DEBUG):
        check(scenario, executions=20)
    gc.collect()
    assert caplog.records == []
    assert collector._users == users


# ---- restart


async def recovering(world: World) -> None:
    """Two versions of a source, a cut anywhere, one catch-up run, one idle run."""
    target.reset(world)
    source = {"a": "1", "b": "1"}
    with contextlib.suppress(PowerCut):
        await world.start(app_of(source))
    source.pop("a")
    source |= {"b": "2", "c": "2"}
    with contextlib.suppress(PowerCut):
        await world.start(app_of(source))
    await world.restart(app_of(source))
    world.power.stay()
    await world.restart(app_of(source))
    assert target.entries == source
    calls = target.calls
    await world.restart(app_of(source))
    assert target.calls == calls, "an idle run called a sink"
    world.sometimes("the power failed", world.power.cuts)


@pytest.mark.parametrize("points", ["calls", "all"])
def test_restart_recovers(points: str) -> None:
    verdict = check(suppressing(recovering), executions=200, crash_points=points, crashes=2)
    assert verdict.status is Status.SAMPLED, verdict.failure and verdict.failure.report
    assert verdict.missed == []


def suppressing(scenario: Any) -> Any:
    """The last cut may come during what the scenario calls a recovery: then it has not recovered."""

    async def run(world: World) -> None:
        try:
            await scenario(world)
        except PowerCut:
            world.sometimes("the recovery was cut short")

    return run


def test_a_store_that_forgets_is_noticed() -> None:
    """The twin: a disk that loses what was flushed."""

    async def scenario(world: World) -> None:
        target.reset(world)
        with contextlib.suppress(PowerCut):
            await world.start(app_of({"a": "1"}))
        assert isinstance(world.store, SimStore)
        world.store.disk.base.clear()
        await world.restart(app_of({"b": "1"}))
        assert target.entries == {"b": "1"}

    verdict = check(scenario, executions=100, crash_points="calls")
    assert verdict.status is Status.FAILED
    assert verdict.failure is not None
    again = replay(scenario, verdict.failure.token)
    assert again.status is Status.FAILED, "a token carries the cut"


# ---- a store of an older format


class TornUpgrade(SimStore):
    """Brings its disk to this format in two batches, between which there is half of it."""

    def _bring_up(self) -> None:
        whole = dict(self.disk.base)
        self.disk.base = dict(list(whole.items())[::2])
        self._about_to("write")
        self.disk.base = whole
        super()._bring_up()


def test_an_upgrade_in_two_parts_is_noticed() -> None:
    async def torn(world: World) -> None:
        world.store = TornUpgrade()
        await upgraded(world)

    verdict = check(torn, executions=300, crash_points="calls", shrinking=False)
    assert verdict.status is Status.FAILED
    assert verdict.failure is not None
    assert "and more with it" in str(verdict.failure.exception)
