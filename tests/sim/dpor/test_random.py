"""Random programs: the reduction and every interleaving together come to the same."""

from __future__ import annotations

import pytest

from tests.sim.dpor.oracle import TooManyError, brute, reduced
from tests.sim.dpor.random_programs import generate, interleavings_min, scenario_of
from tests.sim.dpor.test_classics import agree

GROUPS = 10
EACH = 30
INTERLEAVINGS_MAX = 150


@pytest.mark.parametrize("group", range(GROUPS))
def test_random_programs(group: int) -> None:
    """Those with more interleavings than the oracle is willing to run are replaced by the next."""
    compared, seed = 0, group * 1000
    while compared < EACH:
        seed += 1
        program = generate(seed)
        if interleavings_min(program) > INTERLEAVINGS_MAX:
            continue
        outcomes: dict[str, None] = {}
        scenario = scenario_of(program, outcomes)
        try:
            every = brute(scenario, outcomes, INTERLEAVINGS_MAX)
            found = reduced(scenario, outcomes, INTERLEAVINGS_MAX)
        except TooManyError:
            continue
        try:
            agree(found, every)
        except AssertionError as error:
            error.add_note(f"seed {seed}: {program}")
            raise
        compared += 1
