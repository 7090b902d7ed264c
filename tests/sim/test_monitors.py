"""Monitors: each kind has a program that must be found, and a twin in which nothing may be found."""

# ruff: noqa: ASYNC110 - on purpose, in a simulation
from __future__ import annotations

import asyncio
import pickle

import pytest

from liveproof_sim import DeadlockError, LivelockError, MonitorError, OptionError, Status, World, check, replay
from liveproof_sim.explore.execution import Scenario
from liveproof_sim.kernel.choices import Kind
from liveproof_sim.properties import points_of


def found(scenario: Scenario, words: str, **options: object) -> str:
    """The report, after checking that it fails so, shrinks and replays."""
    verdict = check(scenario, **{"executions": 300, **options})  # type: ignore[arg-type]
    assert verdict.failure is not None, verdict
    assert words in str(verdict.failure.exception), verdict.failure.report
    again = replay(scenario, verdict.failure.token)
    assert again.failure is not None
    assert again.failure.signature == verdict.failure.signature
    return verdict.failure.report


def clean(scenario: Scenario, **options: object) -> None:
    verdict = check(scenario, **{"executions": 300, **options})  # type: ignore[arg-type]
    assert verdict.status is Status.SAMPLED, verdict.failure and verdict.failure.report


def requests(*, drops: bool) -> Scenario:
    """A server that answers each request, or forgets one that comes while it works."""

    async def scenario(world: World) -> None:
        asked, answered = 0, 0
        wake = asyncio.Event()

        async def server() -> None:
            nonlocal answered
            while answered < 2:
                await wake.wait()
                wake.clear()
                batch = asked
                await asyncio.sleep(0)
                answered = batch
                if not drops and asked > answered:
                    wake.set()
                if drops:
                    wake.clear()

        async def client() -> None:
            nonlocal asked
            for _ in range(2):
                asked += 1
                wake.set()
                await asyncio.sleep(0)

        world.leads_to("an answer", lambda: asked > answered, lambda: asked == answered)
        task = asyncio.create_task(server())
        await client()
        await world.quiet()
        task.cancel()

    return scenario


def test_leads_to() -> None:
    report = found(requests(drops=True), "leads_to 'an answer', triggered at 0 s by a step of ")
    assert "the goal never held again" in report
    clean(requests(drops=False))


def test_leads_to_in_time_is_judged_from_each_trigger() -> None:
    def pulses(delay: float) -> Scenario:
        async def scenario(world: World) -> None:
            light = False
            world.leads_to("dark again", lambda: light, lambda: not light, within=2)
            for seconds in (0.5, delay):
                await asyncio.sleep(10)
                light = True
                await asyncio.sleep(seconds)
                light = False

        return scenario

    report = found(pulses(3), "the goal did not hold within 2 s")
    assert "triggered at 20.5 s by a step of main" in report
    clean(pulses(1))


def test_unreachable_is_found_even_if_it_is_swallowed() -> None:
    def scenario_of(*, fixed: bool) -> Scenario:
        async def scenario(world: World) -> None:
            free = True

            async def enter() -> None:
                nonlocal free
                if not free:
                    try:
                        world.unreachable("two inside")
                    except Exception:  # noqa: BLE001 - on purpose
                        pass
                    return
                if fixed:
                    free = False
                await asyncio.sleep(0)
                free = fixed
                await asyncio.sleep(0)
                free = True

            await enter()
            if not fixed:
                await asyncio.gather(enter(), enter())

        return scenario

    found(scenario_of(fixed=False), "unreachable 'two inside' was reached")
    clean(scenario_of(fixed=True))


def test_points_that_no_run_came_near_are_listed() -> None:
    async def scenario(world: World) -> None:
        if world.draw(3) == 2:
            world.reachable("drew two")
        if world.draw(2) == 5:
            world.reachable("never")
            world.sometimes("nor this", True)
        world.sometimes("drew", world.draw(2))

    assert points_of(scenario) == ["drew two", "never", "nor this", "drew"]
    verdict = check(scenario, executions=100)
    assert verdict.missed == ["never", "nor this"]
    assert "never reached: never, nor this" in str(verdict)


def test_heat_is_judged_at_the_end_and_by_fair_rounds() -> None:
    def drained(*, fixed: bool) -> Scenario:
        async def scenario(world: World) -> None:
            heat = world.heat("drained")
            full = asyncio.Event()

            async def put() -> None:
                full.set()
                heat.hot()
                await asyncio.sleep(0)

            async def take() -> None:
                if fixed:
                    await full.wait()
                if full.is_set():
                    heat.cold()

            await asyncio.gather(put(), take())

        return scenario

    found(drained(fixed=False), "heat 'drained', hot since 0 s, was not cold at the end")
    clean(drained(fixed=True))


def test_a_starved_task_does_not_heat_but_a_fair_loop_does() -> None:
    def spin(*, ends: bool) -> Scenario:
        async def scenario(world: World) -> None:
            heat = world.heat("stopped", rounds=40)
            stop = False

            async def spinner() -> None:
                heat.hot()
                while not stop:
                    await asyncio.sleep(0)
                heat.cold()

            async def stopper() -> None:
                nonlocal stop
                for _ in range(20):
                    await asyncio.sleep(0)
                stop = ends
                if not ends:
                    await asyncio.sleep(0)

            await asyncio.gather(spinner(), stopper())

        return scenario

    found(spin(ends=False), "was still hot after 40 rounds of all ready tasks")
    # PCT lets the spinner run for hundreds of steps before the stopper: steps, but no rounds.
    clean(spin(ends=True), strategy="pct:depth=1", executions=60)


def test_what_is_owed_is_told_in_deadlocks_and_livelocks() -> None:
    async def deadlock(world: World) -> None:
        world.heat("open").hot()
        world.eventually("done", lambda: False)
        await asyncio.Event().wait()

    async def livelock(world: World) -> None:
        world.heat("open").hot()
        while True:
            await asyncio.sleep(0)

    report = found(deadlock, "still owed: heat 'open', hot since 0 s")
    assert "still owed: eventually 'done'" in report
    verdict = check(deadlock)
    assert verdict.failure is not None
    assert isinstance(verdict.failure.exception, DeadlockError)
    verdict = check(livelock, steps=2000, shrinking=False)
    assert verdict.failure is not None
    assert isinstance(verdict.failure.exception, LivelockError)
    assert "still owed: heat 'open'" in str(verdict.failure.exception)


def retries(*, gives_up: bool) -> Scenario:
    """A sender that meets faults until the world is calm, and must deliver then."""

    async def scenario(world: World) -> None:
        delivered = False

        async def sender() -> None:
            nonlocal delivered
            for _ in range(3 if gives_up else 1000):
                await asyncio.sleep(1)
                if world._loop.choices.draw(Kind.FAULT, "network", 2) == 0:
                    delivered = True
                    return
            await asyncio.sleep(60)

        task = asyncio.create_task(sender())
        await asyncio.sleep(5)
        world.calm()
        await world.converges("delivered", lambda: delivered, within=2)
        await task

    return scenario


def test_after_calm_no_fault_strikes_and_it_must_converge() -> None:
    report = found(retries(gives_up=True), "converges 'delivered' did not hold within 2 s")
    assert "drawn: network 1, network 1, network 1" in report
    clean(retries(gives_up=False))


def test_a_calm_world_is_fair_and_has_one_order() -> None:
    async def scenario(world: World) -> None:
        log: list[str] = []

        async def worker(name: str) -> None:
            for _ in range(3):
                log.append(name)
                await asyncio.sleep(0)

        world.calm()
        async with asyncio.timeout(0.01):  # which would fire, were it late
            await asyncio.gather(worker("a"), worker("b"), worker("c"))
        assert "".join(log) == "abcabcabc"
        assert world.draw(2) in (0, 1)

    clean(scenario)
    proved = check(scenario, strategy="dfs")
    assert (proved.status, proved.executions) == (Status.PROVED, 2)  # the draw of data is still a choice


def test_convergence_that_nothing_can_bring_about_is_told_at_once() -> None:
    async def scenario(world: World) -> None:
        world.calm()
        await world.converges("a miracle", lambda: False)

    async def troubled(world: World) -> None:
        await world.converges("peace", lambda: True)

    found(scenario, "converges 'a miracle' never held, and nothing is left to do")
    verdict = check(troubled)
    assert verdict.failure is not None
    assert isinstance(verdict.failure.exception, OptionError)
    assert "stop the trouble first, with world.calm()" in str(verdict.failure.exception)


def test_bad_limits_and_pickles() -> None:
    async def scenario(world: World) -> None:
        world.heat("x", rounds=0)

    verdict = check(scenario)
    assert verdict.failure is not None
    assert isinstance(verdict.failure.exception, OptionError)
    copy = pickle.loads(pickle.dumps(MonitorError("always 'x' does not hold", "always x")))
    assert (str(copy), copy.monitor) == ("always 'x' does not hold", "always x")


@pytest.mark.parametrize("within", [None, 1])
def test_a_goal_that_holds_at_once_is_not_owed(within: float | None) -> None:
    async def scenario(world: World) -> None:
        world.leads_to("both", lambda: True, lambda: True, within=within)
        world.calm()
        await world.converges("now", lambda: True, within=within)
        await asyncio.sleep(3)

    clean(scenario, executions=20)
