"""The simulator's speed as ratios to stock asyncio, measured side by side in one run.

    python tests/benchmarks/simulator_speed.py

Each figure is the best of several rounds, stock and simulated in turn, stock as it comes: without the fence
and with its collector. "Checked": through all of an exploration's machinery (fence, monitors, judgement).
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any

from liveproof_sim.explore.execution import exploring
from liveproof_sim.explore.explorer import Explorer, quiet_collector
from liveproof_sim.explore.strategies import FifoSearch, make
from liveproof_sim.kernel.choices import Choices
from liveproof_sim.kernel.loop import SimLoop, Timers, run_in
from liveproof_sim.kernel.recorder import Recorder

Main = Callable[[], Coroutine[Any, Any, None]]
ROUNDS = 5


def yields(tasks: int, count: int) -> Main:
    async def one() -> None:
        for _ in range(count):
            await asyncio.sleep(0)

    async def main() -> None:
        await asyncio.gather(*(one() for _ in range(tasks)))

    return main


def heartbeats(tasks: int, count: int) -> Main:
    async def one() -> None:
        for _ in range(count):
            await asyncio.sleep(1)

    async def main() -> None:
        await asyncio.gather(*(one() for _ in range(tasks)))

    return main


async def with_lock() -> None:
    lock = asyncio.Lock()
    total = 0

    async def worker() -> None:
        nonlocal total
        async with lock:
            seen = total
            await asyncio.sleep(0)
            total = seen + 1

    await asyncio.gather(worker(), worker())
    assert total == 2


async def nothing() -> None:
    pass


def seconds(run: Callable[[], object], times: int = 1) -> float:
    began = time.perf_counter()
    for _ in range(times):
        run()
    return (time.perf_counter() - began) / times


def stock(main: Main) -> Callable[[], object]:
    return lambda: asyncio.run(main())


def bare(main: Main, strategy: str, *, record: bool = False) -> Callable[[], object]:
    """A loop and a strategy, no more."""
    search = make(strategy)
    measured = Explorer(main, search)
    with exploring():
        search.measure(measured.once(FifoSearch(), record=True))

    def run() -> None:
        loop = SimLoop(Choices(search, seed=1), timers=Timers.LATE)
        if record:
            Recorder(loop)
        run_in(loop, main())

    return run


def checked(main: Main, strategy: str) -> Callable[[], object]:
    """An execution as an exploration makes it."""
    search = make(strategy)
    explorer = Explorer(main, search)
    search.measure(explorer.once(FifoSearch(), record=True))
    seeds = iter(range(10**9))
    return lambda: explorer.once(search, seed=next(seeds))


def ratio(main: Main, simulated: Callable[[], object], times: int = 1) -> tuple[float, float, float]:
    """Best stock time, best simulated time, and how many times faster the simulator is."""
    stocks, others = [], []
    for _ in range(ROUNDS):
        stocks.append(seconds(stock(main), times))
        with exploring(), quiet_collector():
            others.append(seconds(simulated, times))
    one, other = min(stocks), min(others)
    return one, other, one / other


def report() -> None:
    many, crowd = yields(10, 100), yields(100, 50)
    small = yields(3, 5)
    rows: list[tuple[str, Main, Callable[[], object], int, float]] = [
        ("10 x 100 yields, random", many, bare(many, "random"), 1, 0.40),
        ("10 x 100 yields, random, traced", many, bare(many, "random", record=True), 1, 0.2),
        ("10 x 100 yields, pos", many, bare(many, "pos"), 1, 0.40),
        ("100 ready tasks, random", crowd, bare(crowd, "random"), 1, 1 / 2.5),
        ("100 ready tasks, pct", crowd, bare(crowd, "pct"), 1, 1 / 4),
        ("100 ready tasks, pos", crowd, bare(crowd, "pos"), 1, 1 / 4),
    ]
    with exploring():
        rows += [
            ("two tasks and a lock, checked", with_lock, checked(with_lock, "random"), 200, 1.0),
            ("3 x 5 awaits, checked", small, checked(small, "random"), 200, 1.4),
            ("3 x 5 awaits, portfolio", small, checked(small, "portfolio"), 200, 1.4),
        ]
    print(f"{'row':<34} {'stock':>10} {'simulated':>10} {'ratio':>7} {'wanted':>7}")
    for title, main, simulated, times, wanted in rows:
        one, other, times_faster = ratio(main, simulated, times)
        print(f"{title:<34} {one * 1e6:>8.1f}us {other * 1e6:>8.1f}us {times_faster:>7.2f} {wanted:>7.2f}")
    with exploring(), quiet_collector():
        beats = bare(heartbeats(10, 3600), "random")
        print(
            f"virtual/wall, 10 x 3600 heartbeats: {3600 / min(seconds(beats) for _ in range(2)):,.0f} (8,000)"
        )
        setup = min(seconds(checked(nothing, "random"), 500) for _ in range(ROUNDS))
        print(f"one empty execution, all included: {setup * 1e6:.0f} us (100)")


if __name__ == "__main__":
    print(f"CPython {sys.version.split()[0]}")
    report()
