"""The oracle of partial-order reduction: every interleaving is run, and the distinct partial orders are counted.

It shares with the search what a step touches and how two steps are compared (``explore/history``), and nothing
of what the search decides.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

from liveproof_sim.explore.execution import Outcome, Settings, exploring
from liveproof_sim.explore.explorer import Explorer, quiet_collector
from liveproof_sim.explore.history import Follower, Watcher
from liveproof_sim.explore.strategies import Systematic
from liveproof_sim.explore.strategies.dpor import Dpor
from liveproof_sim.kernel.loop import SimLoop
from liveproof_sim.kernel.modes import Attached

Scenario = Callable[[], Coroutine[Any, Any, Any]]


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


def run(scenario: Scenario, search: Any, most: int, endings: dict[str, None]) -> None:
    """Run the search to its end, whatever fails on the way."""
    settings = Settings(timers=TIMERS, reduced=True, leaks=False)
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


from liveproof_sim.kernel.loop import Timers  # noqa: E402

TIMERS = Timers.DISCRETE


def brute(scenario: Scenario, outcomes: dict[str, None], most: int = 20_000) -> Found:
    """By running everything. ``outcomes``: what the scenario notes of itself; it is part of the result."""
    search = Brute()
    endings: dict[str, None] = {}
    outcomes.clear()
    run(scenario, search, most, endings)
    return Found(search.executions, frozenset(search.classes), frozenset([*endings, *outcomes]))


def reduced(scenario: Scenario, outcomes: dict[str, None], most: int = 20_000, *, source: bool = False) -> Found:
    """By partial-order reduction."""
    search = Dpor(source=source)
    search.keep_classes = True
    endings: dict[str, None] = {}
    outcomes.clear()
    run(scenario, search, most, endings)
    found = frozenset([*endings, *outcomes])
    return Found(search.executions, frozenset(search.classes), found, search.redundant, search.infeasible)
