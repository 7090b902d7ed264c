"""The same failure with the fewest context switches.

Cost of a run: preemptions (switches away from a task that could go on), then timers that were late, then
faults, then inputs, then all switches, then steps. First greedily: follow the run as blocks of steps per task;
remove a block, merge two blocks of one task, make a fault or an input smaller; keep what still fails with the
same signature and costs less, until no single removal does (local minimality). Then, within a budget, every
schedule with fewer preemptions is run: if that search ends without the failure, the number is the least there
is. At last, what does not matter is moved out of the way (``slicing.py``), and the nearest passing order is
looked for (``parting.py``).

Departs from Hypothesis and simloom: the unit is a context switch by name, not an index in a list; removing
"task y starts four steps early" is one removal, not four.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from liveproof_sim.errors import LivelockError
from liveproof_sim.explore.execution import Outcome
from liveproof_sim.explore.explorer import Explorer
from liveproof_sim.explore.strategies import Systematic
from liveproof_sim.explore.verdict import Failure
from liveproof_sim.shrink.guided import Block, Guided, blocks_of, draws_of
from liveproof_sim.shrink.parting import parting_of
from liveproof_sim.shrink.slicing import without_noise

__all__ = ["Shrunk", "shrink"]

Cost = tuple[int, int, int, int, int, int]

FAULTS = ("fault", "crash")

STEPS_MAX = 100_000  # of all runs together
LIVELOCK_STEPS_MAX = 20_000  # the same: each of these runs is as long as a run may be


@dataclass(slots=True)
class Shrunk:
    """The smallest run found."""

    outcome: Outcome
    preemptions: int
    minimal: bool
    """no single removal gives a cheaper run that fails in the same way"""
    fewest: bool
    """every schedule with fewer preemptions was run, and none fails in this way"""
    runs: int
    noise: list[str] = field(default_factory=list)
    """tasks that do not matter; they run last"""
    parting: str = ""
    """where the nearest passing order parts from it"""


class _Shrinker:
    def __init__(self, explorer: Explorer, failure: Failure, runs_max: int) -> None:
        self.explorer = explorer
        self.signature = failure.signature
        self.runs = 0
        self.runs_max = runs_max
        self.steps = 0
        self.steps_max = LIVELOCK_STEPS_MAX if isinstance(failure.exception, LivelockError) else STEPS_MAX
        assert failure.trace is not None
        self.blocks = blocks_of(failure.trace)
        self.draws = draws_of(failure.trace)
        self.best: Outcome | None = None
        self.cost: Cost | None = None

    def attempt(self, blocks: list[Block], draws: list[int]) -> bool:
        """Run it; keep it if it is the same failure and costs less."""
        self.runs += 1
        guided = Guided(blocks, draws)
        outcome = self.explorer.once(guided, record=True)
        self.steps += outcome.steps
        if outcome.signature != self.signature:
            return False
        assert outcome.trace is not None
        made = blocks_of(outcome.trace)
        drawn = [event for event in outcome.trace.events if event.kind == "draw"]
        faults = sum(event.chosen for event in drawn if event.place in FAULTS)
        inputs = sum(event.chosen for event in drawn) - faults
        cost = (guided.preemptions, guided.late, faults, inputs, len(made), outcome.steps)
        if self.cost is not None and cost >= self.cost:
            return False
        self.best, self.cost, self.blocks, self.draws = outcome, cost, made, draws_of(outcome.trace)
        return True

    def greedy(self) -> bool:
        """Until nothing helps any more, or the budget is spent (then False)."""
        if self.best is None and not self.attempt(self.blocks, self.draws):
            return False  # the failure depends on more than names say, such as a callback's exact place
        progress = True
        while progress:
            progress = False
            for blocks, draws in self._smaller():
                if self.runs >= self.runs_max or self.steps >= self.steps_max:
                    return False
                if self.attempt(blocks, draws):
                    progress = True
                    break
        return True

    def _smaller(self) -> Iterator[tuple[list[Block], list[int]]]:
        """What to try, one after the other: all of it at once would be quadratic in the length of the run."""
        blocks, draws = self.blocks, self.draws
        yield from ((blocks[:cut], draws) for cut in (0, len(blocks) // 2) if cut < len(blocks))
        for at, drawn in enumerate(draws):
            smaller = dict.fromkeys((0, drawn // 2, drawn - 1)) if drawn else {}
            yield from ((blocks, [*draws[:at], value, *draws[at + 1 :]]) for value in smaller)
        for at in range(len(blocks) - 1, -1, -1):
            yield [*blocks[:at], *blocks[at + 1 :]], draws
            later = next((n for n in range(at + 2, len(blocks)) if blocks[n][0] == blocks[at][0]), None)
            if later is not None:  # let this task do at once what it did after the next switch
                merged = (blocks[at][0], blocks[at][1] + blocks[later][1])
                yield [*blocks[:at], merged, *blocks[at + 1 : later], *blocks[later + 1 :]], draws

    def fewer(self, budget: int) -> bool:
        """Run schedules with fewer preemptions. True: all of them, and none failed so (or one did: the
        least)."""
        assert self.cost is not None
        if self.cost[0] == 0:
            return True
        search = Systematic("preemptions", self.cost[0] - 1)
        while not search.exhausted():
            if budget == 0 or self.steps >= self.steps_max:
                return False
            budget -= 1
            self.runs += 1
            outcome = self.explorer.once(search)
            self.steps += outcome.steps
            search.learn(outcome, new=True)
            if outcome.signature == self.signature:
                again = self.explorer.confirm(outcome)
                assert again.trace is not None
                self.attempt(blocks_of(again.trace), draws_of(again.trace))
                return True
        return True


def shrink(
    explorer: Explorer, failure: Failure, *, runs_max: int = 300, search_max: int = 500
) -> Shrunk | None:
    """The failure with the fewest context switches; None if it cannot be followed by names. Call inside
    :func:`exploring`."""
    work = _Shrinker(explorer, failure, runs_max)
    minimal = work.greedy()
    if work.best is None or work.cost is None:
        return None
    level = work.cost[0]
    fewest = work.fewer(search_max)
    if work.cost[0] < level:
        minimal = work.greedy() and minimal
    outcome, noise = without_noise(explorer, work.best)
    parting = parting_of(explorer, outcome)
    return Shrunk(outcome, work.cost[0], minimal, fewest, work.runs, noise, parting)
