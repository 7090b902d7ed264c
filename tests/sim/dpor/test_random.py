"""Random programs: the reduction and every interleaving together come to the same."""

from __future__ import annotations

import pytest

from liveproof_sim.kernel.modes import Timers
from tests.sim.dpor.oracle import TooManyError, brute, disagreement, naive, reduced
from tests.sim.dpor.random_programs import STRAIGHT, generate, interleavings_min, orders, scenario_of

EACH = 25
INTERLEAVINGS_MAX = 80
FOUND: dict[str, tuple[list[list[tuple[str, int]]], Timers]] = {
    "a timer wakes who waited after a step that was none": ([[("fire", 0)], [("wait_for", 0)]], Timers.DISCRETE),
    "only time makes it ready": ([[("fire", 0)], [("wait_for", 0), ("chance", 1)]], Timers.DISCRETE),
    "a timer that is cancelled once it fired": (
        [[("timeout", 0)], [("put", 1), ("deadline", 1), ("nap", 0)]],
        Timers.DISCRETE,
    ),
    "late timers of one instant": ([[("timeout", 1)], [("timeout", 0), ("sleep", 0)]], Timers.LATE),
    "a sleep as long as its timeout": ([[("deadline", 1)], [("get", 1)]], Timers.DISCRETE),
    "a sleep longer than its timeout, both late": ([[("hasty", 1)], [("get", 0)]], Timers.LATE),
    "a clock that is stopped": ([[("cancel", 0), ("nap", 1)], [("nap", 1)]], Timers.LATE),
    "a leaf that was made longer, by what cannot be": (
        [[("cancel", 1)], [("cancel", 0), ("wait_for", 1)]],
        Timers.LATE,
    ),
    "what came below a step that is none": ([[("sleep", 1), ("cancel", 0), ("wait_for", 0)]], Timers.LATE),
    "the first of two": ([[("first", 1)], [("both", 0)]], Timers.DISCRETE),
    "who leaves an event's queue": ([[("timeout", 1)], [("get", 0), ("fire", 1)]], Timers.LATE),
    "a group that looks once more": ([[("both", 1)], [("torn", 1)]], Timers.DISCRETE),
    "an attempt that was made before, or was not": ([[("take", 1), ("gather", 1)], [("put", 0)]], Timers.DISCRETE),
    "who gave up an item might have had it": (
        [[("wait_for", 0), ("get", 0)], [("put", 1), ("wait_for", 0)]],
        Timers.DISCRETE,
    ),
    "cancelled before its attempt, or after": ([[("put", 1)], [("wait_for", 0)]], Timers.LATE),
    "decides nothing when it is cancelled": ([[("cancel", 1)], [("chance", 1), ("chance", 1)]], Timers.DISCRETE),
    "a branch that touches more than where it was seen": (
        [[("cancel", 1), ("get", 0), ("deadline", 1)], [("both", 0), ("now", 0)], [("both", 0)]],
        Timers.DISCRETE,
    ),
    "who is cancelled hears no more of what was shielded": (
        [[("notify", 0), ("shield", 1)], [("cancel", 0), ("get", 1)]],
        Timers.DISCRETE,
    ),
    "a timer called off, and time moves at once": (
        [[("sleep", 1), ("sleep", 0)], [("deadline", 1), ("sleep", 1), ("group", 0)]],
        Timers.LATE,
    ),
    "two timers called off, the other one first": ([[("hasty", 1)], [("deadline", 1)]], Timers.LATE),
}
"""What was wrong once."""


def compare(program: list[list[tuple[str, int]]], timers: Timers, most: int) -> None:
    """Both reductions with brute force, and how it may end with a loop that notes nothing.

    Raises:
        TooManyError: there are more interleavings.
    """
    outcomes: dict[str, None] = {}
    scenario = scenario_of(program, outcomes)
    every = brute(scenario, outcomes, most, timers=timers)
    plain = naive(scenario, outcomes, 5 * most, timers=timers)
    assert plain.endings == every.endings, f"{program}, on the plain loop"
    for source in (False, True):
        found = reduced(scenario, outcomes, source=source, timers=timers)
        assert disagreement(found, every) == "", f"{program}, source={source}, {timers.value}"


@pytest.mark.parametrize("group", range(4))
@pytest.mark.parametrize(
    ("family", "timers"),
    [("plain", Timers.DISCRETE), ("structured", Timers.DISCRETE), ("timed", Timers.DISCRETE), ("timed", Timers.LATE)],
)
def test_random_programs(family: str, timers: Timers, group: int) -> None:
    """Those with more interleavings than the oracle is willing to run are replaced by the next."""
    compared, seed = 0, group * 1000
    while compared < EACH:
        seed += 1
        program = generate(seed, family)
        if interleavings_min(program) > INTERLEAVINGS_MAX:
            continue
        try:
            compare(program, timers, INTERLEAVINGS_MAX)
        except TooManyError:
            continue
        compared += 1


@pytest.mark.parametrize("name", FOUND)
def test_what_was_wrong_once(name: str) -> None:
    compare(*FOUND[name], 500)


@pytest.mark.parametrize("seed", range(20))
def test_as_many_interleavings_as_merges_where_nobody_waits(seed: int) -> None:
    """Counted with factorials, for both enumerations."""
    program = [ops[:2] for ops in generate(seed, kinds=STRAIGHT)[:3]]
    merges = orders([1 + sum(op != "both" for op, _ in ops) for ops in program])
    outcomes: dict[str, None] = {}
    scenario = scenario_of(program, outcomes)
    assert naive(scenario, outcomes, 2000).executions == merges
    assert brute(scenario, outcomes, 2000).executions == merges
