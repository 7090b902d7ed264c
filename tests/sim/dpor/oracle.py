"""The oracle of partial-order reduction: every interleaving is run, and the distinct partial orders are counted.

Two of them. :func:`brute` shares with the search what a step touches and how two steps are compared
(``explore/history``), and nothing of what the search decides. :func:`naive` shares not even that: it runs the
program on the plain loop, where nothing notes what is touched and who waits stands in asyncio's own queues, and
knows only how the program may end.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

from liveproof_sim.explore.execution import Outcome, Settings, exploring
from liveproof_sim.explore.explorer import Explorer, quiet_collector
from liveproof_sim.explore.history import Follower, Watcher
from liveproof_sim.explore.strategies import Systematic
from liveproof_sim.explore.strategies.dpor import Dpor
from liveproof_sim.kernel.loop import SimLoop, Timers
from liveproof_sim.kernel.modes import Attached

__all__ = ["TIMERS", "Brute", "Found", "Scenario", "TooManyError", "brute", "disagreement", "naive", "reduced", "run"]

Scenario = Callable[..., Coroutine[Any, Any, Any]]
TIMERS = Timers.DISCRETE


class Found(NamedTuple):
    """What a search came to."""

    executions: int
    classes: frozenset[bytes]
    endings: frozenset[str]
    redundant: int = 0
    infeasible: int = 0


class TooManyError(Exception):
    """More interleavings than the oracle is willing to run."""


class Brute(Systematic, Attached):
    """Every interleaving, once."""

    reduced = True

    def __init__(self) -> None:
        super().__init__("dfs")
        self.classes: dict[bytes, None] = {}
        self.relied: dict[str, None] = {}
        self.executions = 0
        self._watcher: Watcher | None = None

    def attach(self, loop: SimLoop) -> None:
        self._watcher = Watcher(loop, Follower(), loop.observer)

    def over(self, *, cut: bool) -> bool:
        assert self._watcher is not None
        self._watcher.finish()
        return cut

    def learn(self, outcome: Outcome, *, new: bool) -> None:
        assert self._watcher is not None
        if self._watcher.heat(self.relied):
            self.__init__()  # type: ignore[misc]
            return
        self.executions += 1
        super().learn(outcome, new=new)
        self.classes[self._watcher.history.digest()] = None


def run(
    scenario: Scenario,
    search: Any,
    most: int,
    endings: dict[str, None],
    *,
    timers: Timers = TIMERS,
    noting: bool = True,
) -> None:
    """Run the search to its end, whatever fails on the way; how executions ended, in a word, goes to ``endings``.
    ``noting``: on a loop that notes what is touched."""
    settings = Settings(timers=timers, reduced=noting, leaks=False)
    explorer = Explorer(scenario, search, settings)
    executions = 0
    with exploring(scenario, settings), quiet_collector():
        while not search.exhausted():
            if executions >= most:
                raise TooManyError
            outcome = explorer.once(search)
            executions += not outcome.cut
            if not outcome.cut:
                endings[outcome.signature.partition(":")[0] or "passed"] = None
            search.learn(outcome, new=True)


def brute(
    scenario: Scenario, outcomes: dict[str, None], most: int = 20_000, *, timers: Timers = TIMERS
) -> Found:
    """By running everything. ``outcomes``: what the scenario notes of itself; it is part of the result."""
    search = Brute()
    endings: dict[str, None] = {}
    outcomes.clear()
    run(scenario, search, most, endings, timers=timers)
    return Found(search.executions, frozenset(search.classes), frozenset([*endings, *outcomes]))


def reduced(
    scenario: Scenario,
    outcomes: dict[str, None],
    most: int = 20_000,
    *,
    source: bool = False,
    timers: Timers = TIMERS,
) -> Found:
    """By partial-order reduction."""
    search = Dpor(source=source)
    search.keep_classes = True
    endings: dict[str, None] = {}
    outcomes.clear()
    run(scenario, search, most, endings, timers=timers)
    found = frozenset([*endings, *outcomes])
    return Found(search.executions, frozenset(search.classes), found, search.redundant, search.infeasible)


class _Counting(Systematic):
    """Depth first, and how many it ran."""

    executions = 0

    def learn(self, outcome: Outcome, *, new: bool) -> None:
        self.executions += 1
        super().learn(outcome, new=new)


def naive(
    scenario: Scenario, outcomes: dict[str, None], most: int = 20_000, *, timers: Timers = TIMERS
) -> Found:
    """Every interleaving on the plain loop."""
    search = _Counting("dfs")
    endings: dict[str, None] = {}
    outcomes.clear()
    run(scenario, search, most, endings, timers=timers, noting=False)
    return Found(search.executions, frozenset(), frozenset([*endings, *outcomes]))


def disagreement(found: Found, every: Found) -> str:
    """In what a reduction differs from all interleavings together: each class that there is is to be run, once,
    to its end, and all endings are to be seen. Empty: in nothing. (It may have given executions up half-way:
    where what a step touches depends on what ran before.)"""
    if found.classes != every.classes:
        return f"{len(every.classes)} partial orders by brute force, {len(found.classes)} by reduction"
    if found.endings != every.endings:
        return f"endings differ: {sorted(every.endings ^ found.endings)!r}"
    if found.executions != len(found.classes):
        return f"{found.executions} executions for {len(found.classes)} partial orders"
    return ""
