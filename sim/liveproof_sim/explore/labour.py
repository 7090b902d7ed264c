"""What workers do of an exploration: a share of the executions of a search that learns little, or parts of the
tree of one that reduces."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from liveproof_sim.explore.division import Job, Shift
from liveproof_sim.explore.execution import Scenario, Settings, exploring
from liveproof_sim.explore.runner import Runner, behaviour_of, quiet_collector
from liveproof_sim.explore.strategies import FifoSearch, Positions, Search
from liveproof_sim.explore.strategies.dpor.frontier import frames_of
from liveproof_sim.explore.strategies.dpor.parts import PartSearch
from liveproof_sim.explore.tally import Tally
from liveproof_sim.explore.workers import Found, Pace, Record, Turn
from liveproof_sim.kernel.choices import derive_seed
from liveproof_sim.properties import Reached

__all__ = ["Parts", "Share", "run_parts", "run_share"]


class Share(NamedTuple):
    """What a worker needs besides the scenario that runs every n-th execution."""

    search: Search
    settings: Settings
    seed: int
    ordinary: str
    """the digest of the ordinary run's trace: a worker's has to be the same"""


def run_share(
    scenario: Scenario, options: Share, turn: Turn, limit: Callable[[], int], tell: Callable[[Found], None]
) -> None:
    """Run executions, and tell of them.

    Raises:
        NondeterminismError: the ordinary run is not the same here.
    """
    runner = Runner(scenario, options.settings)
    with exploring(scenario, options.settings), quiet_collector():
        options.search.measure(runner.require_same(FifoSearch(), options.ordinary))
        _share(runner, options, turn, limit, tell)


def _share(
    runner: Runner, options: Share, turn: Turn, limit: Callable[[], int], tell: Callable[[Found], None]
) -> None:
    began, search = time.perf_counter(), options.search
    tally, pace = Tally(repeats=True), Pace(time.perf_counter)
    part = Found()
    number = turn.first
    while number <= limit() and not search.exhausted():
        if turn.seconds is not None and time.perf_counter() - began >= turn.seconds:
            break
        outcome = runner.once(search, seed=derive_seed(options.seed, f"execution {number}"))
        behaviour = behaviour_of(outcome)
        search.learn(outcome, new=tally.count(behaviour))
        part.records.append(Record(number, behaviour, search.arm))
        if outcome.lost:
            part.lost[outcome.lost] = part.lost.get(outcome.lost, 0) + 1
        if outcome.failed:
            part.failure = (number, outcome.signature, outcome.taken)
            break
        if pace.due():
            tell(part)
            part = Found()
        runner.collect()
        number += turn.step
    part.reached = dict(runner.reached.counts)
    part.points, part.faults = dict(runner.reached.points), dict(runner.reached.faults)
    tell(part)


class Parts(NamedTuple):
    """What workers need that run parts of a tree."""

    search: PartSearch
    settings: Settings
    taken: list[int]
    ordinary: str
    """the first execution: positions taken, and the digest of its trace"""


def run_parts(
    scenario: Scenario, options: Parts, receive: Callable[[], Job | None], tell: Callable[[Shift], None]
) -> None:
    """Run what is received, and tell of it.

    Raises:
        NondeterminismError: the first execution is not the same here.
    """
    runner = Runner(scenario, replace(options.settings, hot={}))
    with exploring(scenario, options.settings), quiet_collector():
        runner.require_same(Positions(options.taken), options.ordinary)
        runner.settings = options.settings
        era = 0
        while (job := receive()) is not None:
            if job.era != era:
                options.search.forget()
                era = job.era
            tell(_shift(runner, options.search, job))


def _shift(runner: Runner, search: PartSearch, job: Job) -> Shift:
    """Run a part for a while, or the one that was begun."""
    began, ran, settings = time.perf_counter(), 0, runner.settings
    settings.hot.update(dict.fromkeys(job.hot))
    if job.part is not None:
        search.take(frames_of(job.part))
    runner.reached = Reached()
    lost: dict[str, int] = {}
    failure = None
    while failure is None and ran < job.executions and not search.exhausted():
        outcome = runner.once(search)
        search.learn(outcome, new=True)
        ran += not outcome.cut
        if outcome.lost and not outcome.cut:
            lost[outcome.lost] = lost.get(outcome.lost, 0) + 1
        if outcome.failed and not outcome.cut:
            failure = (outcome.signature, outcome.taken)
        runner.collect()
        if time.perf_counter() - began >= job.seconds:
            break
    return Shift(
        job.era,
        search.exhausted(),
        ran,
        search.settle(),
        list(settings.hot),
        list(search.relied),
        lost,
        runner.reached,
        list(settings.opaque),
        failure,
    )
