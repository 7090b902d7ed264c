"""Decisions within the reduction: what a step touches depends on what was drawn in it."""

from __future__ import annotations

import pytest

from tests.sim.dpor.drawn_programs import generate, scenario_of
from tests.sim.dpor.oracle import TooManyError, brute, reduced
from tests.sim.dpor.test_classics import agree

EACH = 15
INTERLEAVINGS_MAX = 120


@pytest.mark.parametrize("group", range(4))
def test_random_programs_that_draw(group: int) -> None:
    """Those with more interleavings than the oracle is willing to run are replaced by the next."""
    compared, seed = 0, group * 1000
    while compared < EACH:
        seed += 1
        program = generate(seed)
        outcomes: dict[str, None] = {}
        scenario = scenario_of(program, outcomes)
        try:
            every = brute(scenario, outcomes, INTERLEAVINGS_MAX)
        except TooManyError:
            continue
        try:
            agree(reduced(scenario, outcomes), every)
        except AssertionError as error:
            error.add_note(f"seed {seed}: {program}")
            raise
        compared += 1
