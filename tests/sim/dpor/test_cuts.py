"""Deaths at every consistent cut: what is found is what brute force finds."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from liveproof_sim import OptionError, PowerCut, Status, World, check, replay
from liveproof_sim.explore.execution import Settings, exploring
from liveproof_sim.explore.explorer import Explorer, quiet_collector
from liveproof_sim.explore.strategies.dpor import CutSearch, cuts
from liveproof_sim.kernel.modes import Timers
from liveproof_sim.kernel.power import Outage, Outages, Points
from tests.sim.dpor.test_crashes import scenario_of as writers

Scenario = Callable[[World], Coroutine[Any, Any, None]]


class Cell:
    """What tasks share."""

    def __init__(self) -> None:
        self.value = 0


Op = tuple[str, str]
DYING = ("set", "get", "file", "file", "look", "pair", "guess")
LIVING = ("set", "get", "file", "look")


def program_of(seed: int) -> tuple[list[list[Op]], list[Op], int]:
    """What the tasks of the process do, and one that outlives it; and how often the power may fail."""
    chance = random.Random(seed)
    tasks = [
        [(chance.choice(DYING), chance.choice("ab")) for _ in range(chance.randint(1, 3))]
        for _ in range(chance.choice((1, 2, 2)))
    ]
    living = [(chance.choice(LIVING), chance.choice("ab")) for _ in range(chance.choice((0, 0, 1)))]
    crashes = chance.choice((1, 1, 2))
    while sum(map(len, [*tasks, living])) > 4 - crashes:
        max(tasks, key=len).pop()
    return tasks, living, crashes


def scenario_of(tasks: list[list[Op]], living: list[Op], found: dict[Any, None]) -> Scenario:
    """The process runs, and runs once more if the power failed. Noted is what each life has left, and what all have
    left that outlives it."""

    async def scenario(world: World) -> None:
        folder = world.fs.dir("/data")
        world.power.outage = Outage.PROCESS
        shared = {name: Cell() for name in "ab"}
        seen: list[Any] = []

        def make(name: str) -> None:
            """By a call of its own, before which the power may fail."""
            with contextlib.suppress(FileExistsError):
                world.fs.system.make_dir(str(folder / name))

        def left() -> list[Any]:
            return [*sorted(folder.tree().items()), *sorted(path.name for path in folder.iterdir())]

        async def work(own: dict[str, Cell], ops: list[Op], me: int) -> None:
            for op, name in ops:
                await asyncio.sleep(0)
                if op == "set":
                    own[name].value += me
                elif op == "get":
                    if own[name].value:
                        (folder / f"{name}={own[name].value}").write_text("x")
                elif op == "file":
                    (folder / f"{name}.{me}").write_text(str(own[name].value))
                elif op == "guess":
                    make(f"{name}{world.draw((1, 2), label='first')}")
                    make(f"{name}{world.draw((3, 4), label='then')}")
                elif op == "pair":
                    make(f"{name}{me}")
                    own[name].value += 1
                    make(f"{name}{own[name].value}{me}")
                else:
                    own[name].value += len(left())

        async def life() -> None:
            own = shared if living else {name: Cell() for name in "ab"}
            boot = world.power.on()
            running = [
                world.power.run(boot, asyncio.ensure_future, work(own, ops, me)) for me, ops in enumerate(tasks, 1)
            ]
            with contextlib.suppress(PowerCut):
                for task in running:
                    with boot.visited():
                        await task
            seen.append(left())

        async def lives() -> None:
            await life()
            if world.power.cuts:
                await life()

        await asyncio.gather(lives(), work(shared, living, 7))
        seen.append(left())
        seen.append([(name, cell.value) for name, cell in shared.items()])
        found[repr(seen), world.power.cuts] = None

    return scenario


def outcomes(program: Any, strategy: str, crashes: int, most: int) -> tuple[dict[Any, None], Any]:
    """What there is to see of it, and the verdict."""
    found: dict[Any, None] = {}
    tasks, living = program
    verdict = check(
        scenario_of(tasks, living, found),
        strategy=strategy,
        timers="discrete",
        crash_points="all",
        crashes=crashes,
        executions=most,
        instrument=(),
        shrinking=False,
    )
    return found, verdict


def compare(program: Any, reference: str, crashes: int, most: int) -> tuple[Any, Any]:
    """Both find the same: the reference's verdict, and that of cuts."""
    expected, known = outcomes(program, reference, crashes, most)
    assert known.status is Status.PROVED, "choose a smaller one"
    found, verdict = outcomes(program, "dpor-cuts", crashes, most)
    assert verdict.status is Status.PROVED
    assert sorted(found) == sorted(expected)
    return known, verdict


BY_BRUTE_FORCE = (2, 3, 4, 14, 18, 21, 28, 32, 39, 46)
BY_DECISIONS = (6, 10, 13, 38)


@pytest.mark.parametrize("seed", BY_BRUTE_FORCE)
def test_it_finds_what_every_interleaving_with_every_failure_finds(seed: int) -> None:
    *program, crashes = program_of(seed)
    brute, verdict = compare(program, "dfs", crashes, 2_000)
    assert verdict.executions < brute.executions


@pytest.mark.parametrize("seed", BY_DECISIONS)
def test_it_finds_what_failures_as_decisions_find(seed: int) -> None:
    *program, _ = program_of(seed)
    decided, verdict = compare(program, "dpor", 1, 4_000)
    assert verdict.executions < decided.executions


def test_what_a_second_failure_leaves_differs_from_what_the_first_one_leaves() -> None:
    # The step in which it failed first went by the name of the one in which it did not.
    *program, crashes = program_of(180)
    compare(program, "dpor", crashes, 1_000)


@pytest.mark.parametrize("living", [[], [("get", "a")]])
def test_decisions_before_and_after_a_failure_are_all_taken(living: list[Op]) -> None:
    compare(([[("guess", "a")]], living), "dfs", 1, 4_000)


@pytest.mark.parametrize("calm", [False, True])
def test_all_states_that_a_death_can_leave_are_found(calm: bool) -> None:
    found: dict[Any, None] = {}
    verdict = check(
        writers(found, calm=calm), strategy="dpor-cuts", timers="discrete", crash_points="all", shrinking=False
    )
    assert verdict.status is Status.PROVED
    states = [there for there, cuts in found if cuts]
    # b comes after a; c comes whenever it likes.
    assert sorted(states) == [(), ("a",), ("a", "b"), ("a", "b", "c"), ("a", "c"), ("c",)]


def busy(steps: int) -> Scenario:
    """Two tasks of one process: they do something of their own, and then one writes a file."""

    async def scenario(world: World) -> None:
        folder = world.fs.dir("/data")
        boot = world.power.on()

        async def work(name: str) -> None:
            cell = Cell()
            for _ in range(steps):
                await asyncio.sleep(0)
                cell.value += 1
            (folder / name).write_text("x")

        with contextlib.suppress(PowerCut):
            for task in [world.power.run(boot, asyncio.ensure_future, work(name)) for name in "ab"]:
                with boot.visited():
                    await task

    return scenario


def test_steps_that_nothing_is_left_of_cost_nothing() -> None:
    numbers = []
    for steps in (1, 4):
        verdict = check(busy(steps), strategy="dpor-cuts", timers="discrete", crash_points="all")
        assert verdict.status is Status.PROVED
        numbers.append(verdict.reduction["cuts"])
    assert numbers[0] == numbers[1]


# ---- testing the tester


def lost(program: Any, crashes: int = 1) -> int:
    """How many outcomes are not found."""
    expected, _ = outcomes(program, "dpor", crashes, 4_000)
    found, _ = outcomes(program, "dpor-cuts", crashes, 4_000)
    return len(expected.keys() - found.keys())


def test_what_outlives_a_failure_in_memory_is_missed_by_who_looks_at_calls_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    program: Any = ([[("set", "a")], [("set", "b")]], [("get", "a")])
    assert lost(program) == 0
    monkeypatch.setattr(CutSearch, "_risky", lambda *_: False)
    assert lost(program) > 0


def test_failures_in_the_middle_of_a_step_are_missed_by_who_leaves_them_out(monkeypatch: pytest.MonkeyPatch) -> None:
    program: Any = ([[("pair", "a")]], [])
    assert lost(program) == 0
    between = cuts.cuts_of

    def only_after_steps(events: list[Any], *rest: Any) -> Any:
        return (cut for cut in between(events, *rest) if events[cut.steps[-1]].chances[cut.chance].after)

    monkeypatch.setattr(cuts, "cuts_of", only_after_steps)
    assert lost(program) > 0


# ---- what a user sees


def two_directories(*, both: bool) -> Scenario:
    """A process that makes two directories in one step, which somebody takes for one."""

    async def scenario(world: World) -> None:
        folder = world.fs.dir("/data")
        boot = world.power.on()

        async def work() -> None:
            await asyncio.sleep(0)
            for name in ("one", "two"):
                world.fs.system.make_dir(str(folder / name))

        with contextlib.suppress(PowerCut), boot.visited():
            await world.power.run(boot, asyncio.ensure_future, work())
        there = len(list(folder.iterdir()))
        assert not both or there != 1, "half of it is there"

    return scenario


def test_a_failure_is_found_and_runs_again() -> None:
    options: dict[str, Any] = {"strategy": "dpor-cuts", "timers": "discrete", "crash_points": "all"}
    verdict = check(two_directories(both=True), **options)
    assert verdict.failure is not None
    assert "half of it" in str(verdict.failure.exception)
    again = replay(two_directories(both=True), verdict.failure.token)
    assert again.failure is not None
    assert again.failure.signature == verdict.failure.signature
    assert check(two_directories(both=False), **options).status is Status.PROVED


def test_a_bound_of_failures_makes_the_verdict_one_within_it() -> None:
    verdict = check(two_directories(both=True), strategy="dpor-cuts:crashes=0", timers="discrete", crash_points="all")
    assert verdict.status is Status.PROVED_WITHIN
    assert verdict.bounds == {"crashes": 0}


def test_how_far_it_is_is_how_far_the_first_life_is() -> None:
    settings = Settings(timers=Timers.DISCRETE, reduced=True, cuts=True, outages=Outages(Points.ALL))
    search = CutSearch()
    explorer = Explorer(two_directories(both=False), search, settings)
    shares = []
    with exploring(explorer.scenario, settings), quiet_collector():
        while not search.exhausted():
            search.learn(explorer.once(search), new=True)
            shares.append(search.standing().share)
    assert all(0 < share <= 1 for share in shares)
    assert shares[-1] == 1


def test_what_it_cannot_do_is_said() -> None:
    scenario = two_directories(both=False)
    with pytest.raises(OptionError, match="give crash_points='all' as well"):
        check(scenario, strategy="dpor-cuts", timers="discrete", crash_points="calls")
    with pytest.raises(OptionError, match="run by one process: use workers=1"):
        check(scenario, strategy="dpor-cuts", timers="discrete", crash_points="all", workers=2)
    with pytest.raises(OptionError, match="nothing to go on from"):
        check(scenario, strategy="dpor-cuts", timers="discrete", crash_points="all", resume=Path("somewhere"))
