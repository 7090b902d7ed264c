"""Measure one simulator of asyncio in this process, and print the result as JSON.

::

    python tests/benchmarks/contest.py "detangle, auto" [--seeds N] [--cap N] [--cell-seconds S]
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import io
import json
import statistics
import sys
import time
from typing import Any

from contestants import CONTESTANTS, Explore, missing
from races import RACES, heartbeats, with_lock, yields

SPEED_S = 0.5  # at least so long, so that the first execution and the imports do not count
ROUNDS = 3


def _rate(explore: Explore, main: Any, batch: int) -> float:
    """Executions per second of processor time: the median of some rounds."""
    explore(main, batch, 0)
    rates = []
    for number in range(ROUNDS):
        began, executions = time.process_time(), 0
        while time.process_time() - began < SPEED_S:
            explore(main, batch, number)
            executions += batch
        rates.append(executions / (time.process_time() - began))
    return statistics.median(rates)


def _each(explore: Explore, main: Any) -> float:
    """Seconds of one more execution, without what an exploration does once."""
    one, four = (_seconds(explore, main, executions) for executions in (1, 4))
    return (four - one) / 3


def _seconds(explore: Explore, main: Any, executions: int) -> float:
    began = time.process_time()
    explore(main, executions, 0)
    return time.process_time() - began


def _race(explore: Explore, main: Any, options: argparse.Namespace) -> dict[str, Any]:
    """How many executions it takes to find the bug, from several seeds."""
    began = time.perf_counter()
    found: list[int | None] = []
    while len(found) < options.seeds and (not found or time.perf_counter() - began < options.cell_seconds):
        found.append(explore(main, options.cap, len(found)))
    return {"found": found, "seconds": time.perf_counter() - began}


def measure(name: str, options: argparse.Namespace) -> dict[str, Any]:
    module, explore = CONTESTANTS[name]
    if reason := missing(module):
        return {"name": name, "missing": reason}
    steps = 10 * 101 + 2  # each task's, and the first and last of the main one
    try:
        version = importlib.metadata.version("liveproof" if module == "liveproof_sim" else module)
    except importlib.metadata.PackageNotFoundError:
        version = ""
    result: dict[str, Any] = {"name": name, "module": module, "version": version}
    result["executions_per_s"] = _rate(explore, with_lock, 200)
    result["steps_per_s"] = steps * _rate(explore, yields(10, 100), 50)
    if module == "asyncio":
        return result  # an hour of its heartbeats is an hour
    result["speed_up"] = 3600 / _each(explore, heartbeats(10, 3600))
    result["races"] = {race: _race(explore, main, options) for race, main in RACES.items()}
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("name", choices=list(CONTESTANTS))
    parser.add_argument("--seeds", type=int, default=11, help="explorations of each race (default 11)")
    parser.add_argument("--cap", type=int, default=1000, help="executions at most in each (default 1000)")
    parser.add_argument("--cell-seconds", type=float, default=10, help="seconds at most per race (default 10)")
    options = parser.parse_args()
    with contextlib.redirect_stdout(io.StringIO()):
        result = measure(options.name, options)
    result["python"] = sys.version.split()[0]
    print(json.dumps(result))


if __name__ == "__main__":
    main()
