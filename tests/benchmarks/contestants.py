"""The simulators that are compared, each through its own public function, with its own defaults.

Run under any interpreter that has them: those that cannot be imported are not there.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.metadata
from collections.abc import Callable
from typing import Any

from races import Main

__all__ = ["CONTESTANTS", "Explore", "missing"]

Explore = Callable[[Main, int, int], int | None]
"""Run the program so many times, beginning with a seed: how many executions it took to find a bug, or None if
none was found."""


def stock(main: Main, executions: int, seed: int) -> int | None:
    for number in range(executions):
        try:
            asyncio.run(main())
        except AssertionError:
            return number + 1
    return None


def liveproof_with(strategy: str) -> Explore:
    def explore(main: Main, executions: int, seed: int) -> int | None:
        sim = importlib.import_module("liveproof_sim")
        how = {"executions": executions, "strategy": strategy, "seed": seed, "steps": 50_000}
        verdict = sim.check(main, shrinking=False, **how)
        return None if verdict.failure is None else int(verdict.executions)

    return explore


def detangle_with(strategy: str) -> Explore:
    def explore(main: Main, executions: int, seed: int) -> int | None:
        detangle: Any = importlib.import_module("detangle")
        try:
            detangle.explore(main, runs=executions, strategy=strategy, seed=seed, shrink=False, database=False)
        except detangle.BugFound as found:
            return int(found.report.runs)
        return None

    return explore


def simloop_with(policy: str) -> Explore:
    def explore(main: Main, executions: int, seed: int) -> int | None:
        simloop: Any = importlib.import_module("simloop")
        first = seed * executions
        found = simloop.explore(main, range(first, first + executions), policy=policy)
        return None if found is None else int(found.seeds_passed) + 1

    return explore


def simloom_with(scheduler: str) -> Explore:
    def explore(main: Main, executions: int, seed: int) -> int | None:
        simloom: Any = importlib.import_module("simloom")
        first = seed * executions
        found = simloom.explore(main, runs=executions, start_seed=first, scheduler=scheduler)
        return int(found.failures[0].seed) - first + 1 if found.failures else None

    return explore


CONTESTANTS: dict[str, tuple[str, Explore]] = {
    "asyncio.run": ("asyncio", stock),
    "liveproof, portfolio": ("liveproof_sim", liveproof_with("portfolio")),
    "liveproof, random": ("liveproof_sim", liveproof_with("random")),
    "detangle, auto": ("detangle", detangle_with("auto")),
    "detangle, random": ("detangle", detangle_with("random")),
    "simloop, random": ("simloop", simloop_with("random")),
    "simloop, pct": ("simloop", simloop_with("pct")),
    "simloom, random": ("simloom", simloom_with("random")),
    "simloom, pct:auto": ("simloom", simloom_with("pct:auto")),
}
"""The module that each needs, and how it is used. The first named strategy of each is its default."""


def missing(module: str) -> str:
    """Why a module is not there; empty if it is."""
    try:
        importlib.import_module(module)
    except ImportError as error:
        return str(error)
    return ""
