"""Each strategy hits with the chance that the paper, or plain enumeration, gives it. Seeds are fixed."""

# ruff: noqa: ASYNC110 - on purpose, in a simulation
from __future__ import annotations

import asyncio
import math
import statistics
from collections import Counter
from fractions import Fraction

import pytest

from liveproof_sim import OptionError, Status, check
from liveproof_sim.explore.execution import Outcome, Settings, exploring
from liveproof_sim.explore.explorer import Explorer
from liveproof_sim.explore.strategies import (
    NAMES,
    FifoSearch,
    Near,
    Pct,
    Pos,
    RandomWalk,
    Search,
    Surw,
    Systematic,
    Urw,
    make,
)
from liveproof_sim.kernel.loop import Timers
from races import RACES, deep
from tests.sim import small

RUNS = 1500
DISCRETE = Settings(timers=Timers.DISCRETE)


def rate(program: small.Program, search: Search, runs: int = RUNS) -> float:
    explorer = Explorer(program, search, DISCRETE)
    with exploring():
        search.measure(explorer.once(FifoSearch(), record=True))
        return sum(explorer.once(search, seed=seed).failed for seed in range(runs)) / runs


def near(measured: float, expected: float, runs: int = RUNS) -> bool:
    # Five standard deviations: by chance one in a million, and the seeds are fixed.
    return abs(measured - expected) <= 5 * math.sqrt(expected * (1 - expected) / runs)


def outcomes(program: small.Program, search: Search) -> list[Outcome]:
    """All executions of a systematic search."""
    explorer = Explorer(program, search, DISCRETE)
    found = []
    with exploring():
        while not search.exhausted():
            outcome = explorer.once(search)
            search.learn(outcome, new=True)
            found.append(outcome)
    return found


@pytest.mark.parametrize("program", [small.loser(4), small.alternating(2)])
def test_random_walk_hits_as_enumerated(program: small.Program) -> None:
    # The chance of a schedule is the product of one over the options at each choice.
    exact = sum(
        math.prod(1 / n for n in each.sizes) for each in outcomes(program, Systematic()) if each.failed
    )
    assert 0 < exact < 1
    assert near(rate(program, RandomWalk()), exact)


@pytest.mark.parametrize("steps", [1, 4, 9])
def test_pos_hits_a_late_loser_linearly(steps: int) -> None:
    # The quick task keeps its priority while the slow one draws `steps` fresh ones: it must be the least of
    # steps + 1 uniform ones. A random walk needs steps coins in a row: 2 ** -steps, far less at 9.
    assert near(rate(small.loser(steps), Pos()), 1 / (steps + 1))


def test_random_walk_misses_what_pos_finds() -> None:
    assert near(rate(small.loser(9), RandomWalk()), 2**-9)


@pytest.mark.parametrize("steps", [2, 9, 25])
def test_pct_of_depth_one_hits_a_late_loser_half_the_time(steps: int) -> None:
    assert near(
        rate(small.loser(steps), Pct(1)), 1 / 2
    )  # the one with the lower rank is last: 1 / n for n = 2


def test_pct_finds_a_late_loser_at_any_depth() -> None:
    # At least: the slow one ranks first (1/2), and neither change falls into its 9 of 14 steps. A horizon of
    # the choices of the ordinary order (2) would put both changes there: never.
    assert rate(small.loser(9), Pct(3)) > (5 / 14) ** 2 / 2


def test_pct_keeps_its_guarantee() -> None:
    async def lost_update() -> None:
        total = 0

        async def worker() -> None:
            nonlocal total
            seen = total
            await asyncio.sleep(0)
            total = seen + 1

        await asyncio.gather(worker(), worker())
        assert total == 2

    # A bug of depth 2: the first task must be left in the middle. n = 2 tasks, k steps.
    steps = max(each.steps for each in outcomes(lost_update, Systematic()))
    assert rate(lost_update, Pct(2)) >= 1 / (2 * steps)
    assert rate(lost_update, Pct(1)) == 0  # nobody who could go on is ever left


def test_urw_makes_all_interleavings_equally_likely() -> None:
    program, log = small.independent(3, 1, 2)
    search = Urw()
    explorer = Explorer(program, search, DISCRETE)
    seen: Counter[str] = Counter()
    with exploring():
        search.measure(explorer.once(FifoSearch(), record=True))
        # The estimate is by function: all workers share one, the largest. So name them apart.
        for seed in range(RUNS):
            explorer.once(search, seed=seed)
            seen["".join(log)] += 1
    assert len(seen) == 60  # 6! / (3! 1! 2!)
    assert near(rate(small.loser(4), Urw()), 1 / 5)  # uniform over the 5 orders of 4 + 1 steps


def near_orders(steps: tuple[int, ...], delays: int, horizon: int) -> dict[str, Fraction]:
    """The chance of each order under Near, in plain loops: shuffled beginnings, and ``delays`` places."""
    chances: dict[str, Fraction] = {}

    def go(queue: list[str], log: str, choices: int, late: set[int], chance: Fraction) -> None:
        if not queue:
            chances[log] = chances.get(log, Fraction()) + chance
            return
        options = [0]
        if len(queue) > 1:
            fresh = [at for at, name in enumerate(queue) if name not in log]
            options = [*range(1, len(queue))] if choices in late else fresh if 0 in fresh else [0]
        for at in options:
            name = queue[at]
            rest = [each for each in queue if each != name]
            more = log.count(name) + 1 < steps[ord(name) - 97]
            made = choices + (len(queue) > 1)
            go([*rest, name] if more else rest, log + name, made, late, chance / len(options))

    names = [chr(97 + at) for at in range(len(steps))]
    places = [{at} for at in range(horizon)] if delays else [set()]
    for late in places:
        go(names, "", 0, late, Fraction(1, len(places)))
    return chances


@pytest.mark.parametrize("steps", [(1, 1, 1), (3, 2), (2, 2, 2)])
@pytest.mark.parametrize("delays", [0, 1])
def test_near_gives_each_order_the_enumerated_chance(steps: tuple[int, ...], delays: int) -> None:
    program, log = small.independent(*steps)
    search = Near(delays)
    explorer = Explorer(program, search, DISCRETE)
    seen: Counter[str] = Counter()
    with exploring():
        ordinary = explorer.once(FifoSearch(), record=True)
        search.measure(ordinary)
        for seed in range(RUNS):
            explorer.once(search, seed=seed)
            seen["".join(log)] += 1
    expected = near_orders(steps, delays, len(ordinary.taken))
    assert sum(expected.values()) == 1
    assert set(seen) <= set(expected)
    assert all(near(seen[order] / RUNS, float(chance)) for order, chance in expected.items())


def test_near_finds_what_lockstep_hides() -> None:
    # The second one first, else in turn: 1 / 2 at any depth, where a walk needs 2 * depth - 1 coins.
    assert near(rate(deep(5), Near(0)), 1 / 2)
    assert rate(small.loser(9), Near(2), 200) == 0  # nobody is starved for long


def test_surw_makes_the_interesting_orders_equally_likely() -> None:
    log: list[str] = []

    async def main() -> None:
        log.clear()

        async def mark(name: str) -> None:
            await asyncio.sleep(0)
            log.append(name)

        async def busy() -> None:
            for _ in range(20):
                await asyncio.sleep(0)
            await mark("a")
            await mark("a")

        async def brief() -> None:
            await mark("b")

        await asyncio.gather(busy(), brief())

    def seen(search: Search, place: str = "") -> Counter[str]:
        explorer = Explorer(main, search, DISCRETE)
        found: Counter[str] = Counter()
        with exploring():
            search.measure(explorer.once(FifoSearch(), record=True))
            for seed in range(RUNS):
                explorer.once(search, seed=seed)
                if not place or (isinstance(search, Surw) and place in search.places):
                    found["".join(log)] += 1
        return found

    found = seen(Surw(1), "mark: await asyncio.sleep(0)")
    assert set(found) == {"aab", "aba", "baa"}
    assert all(near(found[order] / found.total(), 1 / 3, found.total()) for order in found)
    assert seen(RandomWalk())["aab"] / RUNS < 0.01  # 22 coins or so


SOON = {
    "lost2": 10, "order2": 3, "inversion": 10, "phil3": 80, "uneven10": 4, "uneven25": 4, "deep2": 15, "deep3": 30,
}  # fmt: skip
"""The most executions that the default may need for each race: the median over twenty seeds."""


@pytest.mark.parametrize("name", list(RACES))
def test_the_default_finds_the_races_soon(name: str) -> None:
    runs = []
    for seed in range(20):
        verdict = check(RACES[name], seed=seed, executions=400, shrinking=False)
        assert verdict.status is Status.FAILED
        runs.append(verdict.executions)
    assert statistics.median(runs) <= SOON[name]


@pytest.mark.parametrize("steps", [(2, 2), (3, 3), (2, 2, 2), (1, 4), (3, 2, 1)])
def test_dfs_runs_what_plain_loops_enumerate_once_each(steps: tuple[int, ...]) -> None:
    program, log = small.independent(*steps)
    search = Systematic()
    explorer = Explorer(program, search, DISCRETE)
    ran = []
    with exploring():
        while not search.exhausted():
            search.learn(explorer.once(search), new=True)
            ran.append("".join(log))
    assert sorted(ran) == sorted(order for order, _ in small.interleavings(steps))
    assert len(set(ran)) == len(ran) == math.factorial(sum(steps)) // math.prod(map(math.factorial, steps))


@pytest.mark.parametrize("bound", [0, 1, 2, 3])
@pytest.mark.parametrize("steps", [(3, 3), (2, 2, 2), (3, 2, 1)])
def test_bounded_search_runs_all_within_the_bound_once(steps: tuple[int, ...], bound: int) -> None:
    def preemptions(choices: list[tuple[int, list[str], str | None]]) -> int:
        return sum(last in queue and queue[at] != last for at, queue, last in choices)

    def delays(choices: list[tuple[int, list[str], str | None]]) -> int:
        return sum(at for at, _, _ in choices)

    program, log = small.independent(*steps)
    for name, cost in (("preemptions", preemptions), ("delays", delays)):
        search = Systematic(name, bound)
        explorer = Explorer(program, search, DISCRETE)
        ran = []
        levels = []
        with exploring():
            while not search.exhausted():
                search.learn(explorer.once(search), new=True)
                ran.append("".join(log))
                levels.append(search.level)
        expected = [order for order, choices in small.interleavings(steps) if cost(choices) <= bound]
        assert sorted(ran) == sorted(expected), name
        assert levels == sorted(levels)  # the cheapest first
        assert len(set(ran)) == len(ran)


def test_one_preemption_is_enough_where_delays_need_many() -> None:
    assert check(small.loser(9), strategy="preemptions:bound=0").status is Status.FAILED
    assert check(small.loser(9), strategy="delays:bound=7").status is Status.PROVED_WITHIN


def failing(name: str) -> str:
    """Where the power may fail, for this strategy to be content; there is none in these scenarios."""
    return "all" if name == "dpor-cuts" else "none"


@pytest.mark.parametrize("name", [name for name in NAMES if name != "fifo"])
def test_every_strategy_finds_a_shallow_race(name: str) -> None:
    verdict = check(small.loser(2), strategy=name, executions=200, seed=1, crash_points=failing(name))
    assert verdict.status is Status.FAILED


def test_fifo_runs_once_and_proves_only_that() -> None:
    verdict = check(small.loser(2), strategy="fifo")
    assert verdict.status is Status.PROVED_WITHIN
    assert verdict.executions == 1
    assert verdict.bounds == {"orders": 1}


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("fifo", "delays")])
def test_a_task_that_spins_is_no_livelock(name: str) -> None:
    # Without the fair end, POS fails when the stopper's one priority is below 10 000 draws of the spinner's
    # (once in 10 000 executions), and PCT of depth 1 every other time.
    async def spin() -> None:
        stop = False

        async def spinner() -> None:
            while not stop:
                await asyncio.sleep(0)

        async def stopper() -> None:
            nonlocal stop
            stop = True

        await asyncio.gather(spinner(), stopper())

    most = 10 if "dpor" in name else 60  # of those all are as long
    verdict = check(spin, strategy=name, executions=most, crash_points=failing(name))
    assert verdict.status in (Status.SAMPLED, Status.INCONCLUSIVE), verdict


def test_the_portfolio_reports_its_arms_and_keeps_each_alive() -> None:
    program, _ = small.independent(3, 3, 3)
    verdict = check(program, executions=400)
    assert verdict.status is Status.SAMPLED
    assert sorted(verdict.arms) == ["near", "pct", "pos", "preemptions", "random", "surw", "urw"]
    assert sum(arm["executions"] for arm in verdict.arms.values()) == 399  # and the ordinary order first
    # They take turns, and none gets less than a twentieth.
    assert all(arm["executions"] >= 399 // 20 for arm in verdict.arms.values())


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("dporx", "no strategy is called 'dporx': there are"),
        ("pct:dept=3", "strategy 'pct' has no option 'dept': it has depth, horizon"),
        ("pos:depth=3", "strategy 'pos' has no option 'depth': it has none"),
        ("pct:depth=x", "depth is a number, not 'x'"),
        ("near:delays=x", "delays is a number, not 'x'"),
        ("surw:sites=2", "strategy 'surw' has no option 'sites': it has places"),
        ("pct:depth=0", "depth must be at least 1"),
        ("preemptions:bound=-1", "bound is a number"),
    ],
)
def test_options_are_validated(spec: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        make(spec)
