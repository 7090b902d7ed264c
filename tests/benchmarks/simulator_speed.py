"""Measure the simulator beside stock asyncio and beside other simulators, and write the page about it.

::

    python tests/benchmarks/simulator_speed.py [--rounds N] [--peers PYTHON] [--report FILE] [--check]

The first table is measured in this process: in each round stock asyncio, as it comes, and the simulator in
turn; "checked" is through all of an exploration's machinery (fence, monitors, judgement), the rest is a loop
and a strategy. The others are measured by ``contest.py``, one process for each simulator, with the
interpreter that ``--peers`` names, or this one.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import machine
import reduction
import simulator_page
from compare import commit
from contestants import CONTESTANTS
from liveproof_sim.explore.execution import exploring
from liveproof_sim.explore.explorer import Explorer, quiet_collector
from liveproof_sim.explore.strategies import FifoSearch, make
from liveproof_sim.kernel.choices import Choices
from liveproof_sim.kernel.loop import SimLoop, Timers, run_in
from liveproof_sim.kernel.recorder import Recorder
from races import Main, heartbeats, nothing, with_lock, yields
from spaces import SEARCHES

HERE = Path(__file__).resolve().parent
TREE = HERE.parent.parent
CONTEST_MAX_S = 900


class Row(NamedTuple):
    """A program, and what the simulator is to be worth beside stock asyncio."""

    title: str
    main: Main
    simulated: Callable[[], object]
    times: int
    wanted: float


def seconds(run: Callable[[], object], times: int = 1) -> float:
    """Processor time of one call. None of them waits for anything, so on an idle machine it is the wall's."""
    began = time.process_time()
    for _ in range(times):
        run()
    return (time.process_time() - began) / times


def stock(main: Main) -> Callable[[], object]:
    return lambda: asyncio.run(main())


def bare(main: Main, strategy: str, *, record: bool = False) -> Callable[[], object]:
    """A loop and a strategy, no more."""
    search = make(strategy)
    with exploring():
        search.measure(Explorer(main, search).once(FifoSearch(), record=True))

    def run() -> None:
        loop = SimLoop(Choices(search, seed=1), timers=Timers.LATE)
        if record:
            Recorder(loop)
        run_in(loop, main())

    return run


def checked(main: Main, strategy: str) -> Callable[[], object]:
    """An execution as an exploration makes it. Call inside ``exploring()``."""
    search = make(strategy)
    explorer = Explorer(main, search)
    with exploring():
        search.measure(explorer.once(FifoSearch(), record=True))
    seeds = iter(range(10**9))
    return lambda: explorer.once(search, seed=next(seeds))


def rows() -> Iterator[Row]:
    many, crowd, small = yields(10, 100), yields(100, 50), yields(3, 5)
    yield Row("10 tasks × 100 yields, random", many, bare(many, "random"), 3, 0.40)
    yield Row("10 tasks × 100 yields, POS", many, bare(many, "pos"), 3, 0.40)
    yield Row("10 tasks × 100 yields, random, traced", many, bare(many, "random", record=True), 3, 0.2)
    yield Row("100 ready tasks, random", crowd, bare(crowd, "random"), 1, 1 / 2.5)
    yield Row("100 ready tasks, PCT", crowd, bare(crowd, "pct"), 1, 1 / 4)
    yield Row("100 ready tasks, POS", crowd, bare(crowd, "pos"), 1, 1 / 4)
    yield Row("two tasks and a lock, random, checked", with_lock, checked(with_lock, "random"), 200, 1.0)
    yield Row("two tasks and a lock, portfolio, checked", with_lock, checked(with_lock, "portfolio"), 200, 1.0)
    yield Row("3 tasks × 5 awaits, random, checked", small, checked(small, "random"), 200, 1.4)
    yield Row("3 tasks × 5 awaits, portfolio, checked", small, checked(small, "portfolio"), 200, 1.4)


def ratios(rounds: int) -> list[dict[str, Any]]:
    """Both sides of each row, in turn, in each round."""
    found = []
    for title, main, simulated, times, wanted in rows():
        pairs = []
        for _ in range(rounds):
            one = seconds(stock(main), times)
            with exploring(), quiet_collector():
                pairs.append((one, seconds(simulated, times)))
        stocks, others = zip(*pairs, strict=True)
        found.append(
            {
                "title": title,
                "wanted": wanted,
                "stock_s": statistics.median(stocks),
                "simulated_s": statistics.median(others),
                "ratios": [one / other for one, other in pairs],
            }
        )
        print(f"{title:<42} {statistics.median(found[-1]['ratios']):6.2f}  ({wanted:.2f})", flush=True)
    return found


def absolutes(rounds: int) -> dict[str, float]:
    """What has no counterpart in stock asyncio."""
    beats, empty = bare(heartbeats(10, 3600), "random"), checked(nothing, "random")
    with exploring(), quiet_collector():
        return {
            "speed_up": 3600 / statistics.median(seconds(beats) for _ in range(rounds)),
            "set_up_s": statistics.median(seconds(empty, 500) for _ in range(rounds)),
        }


def contest(python: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """What ``contest.py`` found of each simulator."""
    results = []
    # Of an interpreter with its own packages only the sources of ours are missing.
    paths = [str(TREE / "runtime"), str(TREE / "sim")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    for name in CONTESTANTS:
        words = [python, str(HERE / "contest.py"), name, "--seeds", str(options.seeds)]
        words += ["--cell-seconds", str(options.cell_seconds)]
        try:
            done = subprocess.run(
                words, capture_output=True, text=True, check=False, timeout=CONTEST_MAX_S, env=environment
            )
            error = (done.stderr.strip().splitlines() or ["no output"])[-1][:200]
        except subprocess.TimeoutExpired:
            done, error = None, f"no end after {CONTEST_MAX_S} s"
        ended = done is not None and done.returncode == 0
        result = json.loads(done.stdout) if done is not None and ended else {"name": name, "missing": error}
        print(f"{name:<22} {result.get('missing') or format(result['executions_per_s'], ',.0f')}", flush=True)
        results.append(result)
    return results


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="rounds of each row (default 7)")
    parser.add_argument("--peers", default=sys.executable, metavar="PYTHON", help="an interpreter that has them")
    parser.add_argument("--seeds", type=int, default=11, help="explorations of each race (default 11)")
    parser.add_argument("--cell-seconds", type=float, default=10, help="seconds at most per race (default 10)")
    parser.add_argument("--alone", action="store_true", help="leave the other simulators out")
    parser.add_argument("--report", type=Path, help="write the page here")
    parser.add_argument("--check", action="store_true", help="exit with 1 unless every demand is met")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    load = os.getloadavg()[0]
    directory = TREE / ".benchmarks"
    directory.mkdir(exist_ok=True)
    report = {
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        "revision": commit("sim"),
        "python": sys.version.split()[0],
        "rounds": options.rounds,
        "ratios": ratios(options.rounds),
        "absolutes": absolutes(options.rounds),
        "reduction": {
            **reduction.demands(options.rounds),
            **({} if options.alone else reduction.others(options.peers, list(SEARCHES), options.rounds)),
        },
        "contest": [] if options.alone else contest(options.peers, options),
        "machine": machine.processor_facts(),
    }
    report["load"] = [load, os.getloadavg()[0]]
    text = simulator_page.render(report)
    if options.report:
        options.report.write_text(text, encoding="utf-8")
    else:
        print("\n" + text)
    if options.check and simulator_page.missed(report):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
