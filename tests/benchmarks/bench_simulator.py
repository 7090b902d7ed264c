"""What the simulator costs: an execution, a step, a trace, and what follows a failure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from liveproof_sim import Status, check, replay
from liveproof_sim.explore.execution import exploring
from liveproof_sim.explore.explorer import Explorer, quiet_collector
from liveproof_sim.explore.strategies import FifoSearch, make
from races import Main, deep, nothing, with_lock, yields

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

PROGRAMS: dict[str, Main] = {"empty": nothing, "lock": with_lock, "10x100": yields(10, 100)}


@pytest.mark.parametrize("record", [False, True], ids=["plain", "traced"])
@pytest.mark.parametrize("strategy", ["random", "pct", "pos", "portfolio"])
@pytest.mark.parametrize("program", list(PROGRAMS))
def test_execution(benchmark: BenchmarkFixture, program: str, strategy: str, record: bool) -> None:
    """One, as an exploration makes it."""
    search = make(strategy)
    explorer = Explorer(PROGRAMS[program], search)
    seeds = iter(range(10**9))
    with exploring(), quiet_collector():
        search.measure(explorer.once(FifoSearch(), record=True))
        outcome = benchmark(lambda: explorer.once(search, seed=next(seeds), record=record))
    assert not outcome.failed


def test_exploration_of_one_execution(benchmark: BenchmarkFixture) -> None:
    """What an exploration does once: the fence, the first execution twice, the comparison."""
    verdict = benchmark(check, nothing, executions=1)
    assert verdict.status is Status.SAMPLED


def test_shrinking(benchmark: BenchmarkFixture) -> None:
    """Finding and shrinking a failure that needs six orderings."""
    verdict = benchmark(check, deep(3), strategy="random")
    assert verdict.status is Status.FAILED


def test_replay(benchmark: BenchmarkFixture) -> None:
    program = deep(3)
    failure = check(program, strategy="random").failure
    assert failure is not None
    assert benchmark(replay, program, failure.token).status is Status.FAILED
