"""How many executions it takes until the programs of ``races.py`` are exhausted, by those that can tell.

::

    python tests/benchmarks/spaces.py "liveproof, dpor" [--cap N] [--cell-seconds S]

Prints JSON. A failed assertion is swallowed, so that nobody stops at it; a deadlock is none of our doing, and
who stops there is told to have stopped.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.metadata
import io
import json
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from contestants import missing
from races import RACES, Main

__all__ = ["SEARCHES", "Space"]

UNBOUNDED = 10**6
"""delays, of those who count them: more than there can be"""


class Space(NamedTuple):
    """What came of one program."""

    executions: int
    ended: str
    """"exhausted", "cut" at the most executions or seconds, or "stopped" at a failure"""


Exhaust = Callable[[Main, int, float], Space]


def calm(main: Main) -> Main:
    """The program, without its assertion."""

    async def program() -> None:
        with contextlib.suppress(AssertionError):
            await main()

    return program


def liveproof_with(strategy: str) -> Exhaust:
    """On through failures, which ``check`` would stop at."""

    def exhaust(main: Main, most: int, seconds: float) -> Space:
        execution = importlib.import_module("liveproof_sim.explore.execution")
        explorer = importlib.import_module("liveproof_sim.explore.explorer")
        modes = importlib.import_module("liveproof_sim.kernel.modes")
        search = importlib.import_module("liveproof_sim.explore.strategies").make(strategy)
        settings = execution.Settings(timers=modes.Timers.DISCRETE, reduced=search.reduced, instrument=("races",))
        run, executions, began = explorer.Explorer(main, search, settings), 0, time.perf_counter()
        with execution.exploring(main, settings), explorer.quiet_collector():
            while not search.exhausted():
                if executions >= most or time.perf_counter() - began > seconds:
                    return Space(executions, "cut")
                outcome = run.once(search)
                executions += not outcome.cut
                search.learn(outcome, new=True)
        return Space(executions, "exhausted")

    return exhaust


def detangle_dfs(main: Main, most: int, seconds: float) -> Space:
    detangle: Any = importlib.import_module("detangle")
    search = detangle.DFS(UNBOUNDED, UNBOUNDED)
    try:
        found = detangle.explore(
            main, runs=most, strategy=search, max_duration=seconds, shrink=False, database=False
        )
    except detangle.BugFound as bug:
        return Space(int(bug.report.runs), "stopped")
    return Space(int(found.runs), "exhausted" if found.exhausted else "cut")


def simloom_systematic(main: Main, most: int, seconds: float) -> Space:
    simloom: Any = importlib.import_module("simloom")
    found = simloom.explore_systematic(main, max_delays=UNBOUNDED, max_schedules=most, stop_on_failure=False)
    return Space(int(found.schedules), "exhausted" if found.exhaustive else "cut")


SEARCHES: dict[str, tuple[str, Exhaust]] = {
    "liveproof, dpor": ("liveproof_sim", liveproof_with("dpor")),
    "liveproof, dfs": ("liveproof_sim", liveproof_with("dfs")),
    "detangle, dfs": ("detangle", detangle_dfs),
    "simloom, systematic": ("simloom", simloom_systematic),
}


def measure(name: str, most: int, seconds: float) -> dict[str, Any]:
    module, exhaust = SEARCHES[name]
    if reason := missing(module):
        return {"name": name, "missing": reason}
    version = importlib.metadata.version("liveproof" if module == "liveproof_sim" else module)
    spaces = {race: exhaust(calm(main), most, seconds) for race, main in RACES.items()}
    return {"name": name, "version": version, "spaces": spaces}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("name", choices=list(SEARCHES))
    parser.add_argument("--cap", type=int, default=1000, help="executions at most of each program (default 1000)")
    parser.add_argument("--cell-seconds", type=float, default=10, help="about so many at most (default 10)")
    options = parser.parse_args()
    with contextlib.redirect_stdout(io.StringIO()):
        result = measure(options.name, options.cap, options.cell_seconds)
    result["python"] = sys.version.split()[0]
    print(json.dumps(result))


if __name__ == "__main__":
    main()
