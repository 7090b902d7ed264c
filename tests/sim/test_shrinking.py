"""Failures get as small as they can be, and the report says what matters. Minima come from plain loops."""

from __future__ import annotations

import asyncio
import importlib
import itertools
import re
from pathlib import Path
from typing import Any

import pytest

from liveproof_sim import World, check, replay
from liveproof_sim.explore.execution import Outcome, Scenario, Settings, exploring
from liveproof_sim.explore.explorer import Explorer
from liveproof_sim.explore.strategies import Search
from liveproof_sim.explore.strategies.search import key_of
from liveproof_sim.kernel.choices import Choices, Entry, Kind
from liveproof_sim.shrink.parting import parting_of
from races import RACES, deep
from tests.sim import small
from tests.sim.test_zoo import ZOO, load

GOLDEN = Path(__file__).parent / "golden"
RUNS_MAX = 4000


class Lead(Search):
    """Follows a beginning, then lets whoever ran go on, else takes the first; notes who could have gone on."""

    def __init__(self, beginning: list[int]) -> None:
        self.beginning = beginning
        self.on: list[int | None] = []

    def begin(self, choices: Choices, /) -> None:
        self.choices = choices

    def pick(self, ready: list[Entry], clock: bool, /) -> int:
        last: Any = getattr(self.choices.last, "__self__", None)
        places = [at for at, entry in enumerate(ready) if key_of(entry) is last]
        return self.decide(places[0] if places else None)

    def draw(self, kind: Kind, label: str, options: int, /) -> int:
        return self.decide(None)

    def decide(self, on: int | None) -> int:
        at = len(self.on)
        self.on.append(on)
        return self.beginning[at] if at < len(self.beginning) else on or 0


def fewest_preemptions(scenario: Scenario, most: int) -> int | None:
    """The least number of preemptions with which a run fails: all runs with none, then with one, ..."""
    explorer = Explorer(scenario, Lead([]), Settings())
    with exploring():
        for bound in range(most + 1):
            beginnings: list[list[int]] = [[]]
            runs = 0
            while beginnings:
                lead = Lead(beginnings.pop())
                outcome: Outcome = explorer.once(lead)
                runs += 1
                if outcome.failed:
                    return bound
                if runs > RUNS_MAX:
                    return None
                spent = 0
                for at, (took, options) in enumerate(zip(outcome.taken, outcome.sizes, strict=True)):
                    on = lead.on[at]
                    for other in range(options):
                        price = on is not None and other != on
                        if at >= len(lead.beginning) and other != took and spent + price <= bound:
                            beginnings.append([*outcome.taken[:at], other])
                    spent += on is not None and took != on
    return None


@pytest.mark.parametrize("name", ZOO)
def test_the_minima_of_the_zoo_are_those_of_plain_loops(name: str) -> None:
    module = load(name)
    assert fewest_preemptions(module.buggy, module.PREEMPTIONS) == module.PREEMPTIONS


@pytest.mark.parametrize("name", ["lost2", "order2", "inversion", "phil3", "uneven10"])
def test_the_number_reported_is_the_least_there_is(name: str) -> None:
    program = RACES[name]
    least = fewest_preemptions(program, 2)
    assert least is not None
    for seed in range(4):
        failure = check(program, seed=seed).failure
        assert failure is not None
        assert failure.switches == least
        assert failure.minimal


async def network(world: World) -> None:
    """Two faults in a row break it, if the size is at least 2; which one is late does not matter."""
    size = world.draw(5, label="size")
    faults = [world._loop.choices.draw(Kind.FAULT, "network", 3) for _ in range(4)]
    if size >= 2 and any(one and other for one, other in itertools.pairwise(faults)):
        raise LookupError("two faults in a row")


def test_faults_are_cheaper_than_switches_and_dearer_than_inputs() -> None:
    for seed in range(5):
        failure = check(network, seed=seed).failure
        assert failure is not None
        assert failure.trace is not None
        drawn = [event.chosen for event in failure.trace.events if event.kind == "draw"]
        assert (drawn[0], sum(drawn[1:]), failure.switches) == (2, 2, 0)


def test_a_late_timer_is_dropped_if_the_failure_does_not_need_it() -> None:
    async def scenario(world: World) -> None:
        task = world.spawn(world.clock.sleep(0.01), name="sleeper")
        if world.draw(2):
            raise LookupError("drawn")
        await task

    for seed in range(5):
        failure = check(scenario, seed=seed).failure
        assert failure is not None
        assert failure.trace is not None
        assert not [event for event in failure.trace.events if event.kind == "clock" and event.options > 1]


def test_noise_is_left_out_and_nothing_else() -> None:
    for seed in range(3):
        failure = check(deep(3), seed=seed).failure
        assert failure is not None
        rows = [line for line in failure.report.splitlines() if line.startswith("   0.")]
        assert len(rows) <= 12
        assert not [row for row in rows if "noise: " in row]
        assert sorted(failure.noise) == ["noise#1", "noise#2", "noise#3"]
        again = replay(deep(3), failure.token).failure
        assert again is not None
        assert again.signature == failure.signature


def test_of_two_tasks_of_which_one_is_needed_one_stays() -> None:
    async def scenario() -> None:
        seen: list[int] = []

        async def look() -> None:
            if seen:
                raise LookupError("seen")

        async def write() -> None:
            seen.append(1)

        await asyncio.gather(look(), write(), write())

    failure = check(scenario).failure
    assert failure is not None
    assert len(failure.noise) == 1
    assert failure.noise[0].startswith("write#")


def test_the_nearest_passing_order_passes_and_shares_the_longest_beginning() -> None:
    program = small.loser(3)
    failure = check(program).failure
    assert failure is not None
    assert "it passes if quick#1 (small.py:" in failure.parting
    # In plain loops: no later choice than the one that is named helps.
    explorer = Explorer(program, Lead([]), Settings())
    with exploring():
        taken = explorer.once(Lead([])).taken
        outcome = next(
            found
            for at in range(len(taken))
            if (found := explorer.once(Lead([*taken[:at], 1]), record=True)).failed
        )
        told = parting_of(explorer, outcome)
    assert told.startswith("it passes if quick#1 (small.py:")


def test_a_failure_that_no_order_avoids_has_no_passing_one() -> None:
    async def scenario() -> None:
        await small.independent(2, 2)[0]()
        raise LookupError("always")

    failure = check(scenario).failure
    assert failure is not None
    assert failure.parting == ""
    assert "nearest passing order" not in failure.report


def golden(report: str) -> str:
    """Without the token, which names the interpreter, and the simulator's own lines."""
    kept = [line for line in report.splitlines() if not line.startswith("again: ")]
    return re.sub(r"\(execution\.py:\d+\)", "(execution.py)", "\n".join(kept)) + "\n"


REPORTS: dict[str, Scenario] = {
    "cancel_in_critical_section": importlib.import_module("scenarios.zoo.cancel_in_critical_section").buggy,
    "deep3": deep(3),
    "lost_update": importlib.import_module("scenarios.zoo.lost_update").buggy,
    "missed_notify": importlib.import_module("scenarios.zoo.missed_notify").buggy,
    "network": network,
    "philosophers": importlib.import_module("scenarios.zoo.philosophers").buggy,
}


@pytest.mark.parametrize("name", list(REPORTS))
def test_reports_are_as_they_were_approved(name: str) -> None:
    failure = check(REPORTS[name]).failure
    assert failure is not None
    path = GOLDEN / f"{name}.txt"
    again = "PYTHONPATH=tests/benchmarks python -m tests.sim.test_shrinking"
    assert golden(failure.report) == path.read_text(encoding="utf-8"), again


if __name__ == "__main__":
    for name, scenario in REPORTS.items():
        found = check(scenario).failure
        assert found is not None
        (GOLDEN / f"{name}.txt").write_text(golden(found.report), encoding="utf-8")
