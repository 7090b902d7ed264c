"""The scheduler of production: what a task, a wait and a hand-over to a thread cost. A thousand a round."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from liveproof.backends.asyncio_scheduler import AsyncioScheduler

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

TIMES = 1_000

Main = Callable[[AsyncioScheduler], Coroutine[Any, Any, None]]


def _on_a_loop(benchmark: BenchmarkFixture, main: Main) -> None:
    """Benchmark ``main`` on one loop that stays open."""
    with asyncio.Runner() as runner:

        async def make() -> AsyncioScheduler:
            return AsyncioScheduler()

        scheduler = runner.run(make())
        benchmark(lambda: runner.run(main(scheduler)))
        scheduler.close()


def test_spawn(benchmark: BenchmarkFixture) -> None:
    """A task that ends at once: the floor of a component."""

    async def nothing() -> None:
        pass

    async def main(scheduler: AsyncioScheduler) -> None:
        for _ in range(TIMES):
            _ = scheduler.spawn(nothing(), name="nothing")
        await asyncio.sleep(0)

    _on_a_loop(benchmark, main)


def test_spawn_and_park(benchmark: BenchmarkFixture) -> None:
    """A task that waits once and is told to go on: the floor of a component that submits."""

    async def main(scheduler: AsyncioScheduler) -> None:
        parked = []

        async def wait() -> None:
            parked.append(scheduler.current())
            await scheduler.park("the benchmark")

        for _ in range(TIMES):
            _ = scheduler.spawn(wait(), name="wait")
        await asyncio.sleep(0)
        for task in parked:
            scheduler.unpark(task)
        await asyncio.sleep(0)

    _on_a_loop(benchmark, main)


def test_run_blocking(benchmark: BenchmarkFixture) -> None:
    """A hand-over to a thread and back, one after another: added to each durable write."""

    async def main(scheduler: AsyncioScheduler) -> None:
        for _ in range(TIMES):
            await scheduler.run_blocking(int)

    _on_a_loop(benchmark, main)
