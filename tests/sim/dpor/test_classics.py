"""The counts of the literature: one execution for each partial order, and none for nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.sim.dpor import classics
from tests.sim.dpor.counts import COUNTS, LARGE, LONG
from tests.sim.dpor.oracle import Found, brute, disagreement, reduced

WITH_DEADLOCK = ("philosophers 2", "philosophers 3", "philosophers 4", "overwritten")


@pytest.mark.parametrize("name", COUNTS)
def test_as_many_executions_as_partial_orders(name: str) -> None:
    program, count = COUNTS[name]
    found = reduced(program, {})
    assert found.executions == count
    assert len(found.classes) == count
    assert found.redundant == 0
    assert ("DeadlockError" in found.endings) == (name in WITH_DEADLOCK)


def test_larger_ones_are_for_the_long_verification() -> None:
    assert not [name for name in LARGE if name in COUNTS]
    assert all(name in LARGE for name in LONG)
    assert LARGE["indexer 15"][1] == 4_096
    assert LARGE["file system 26"][1] == 8_192


@pytest.mark.parametrize(
    "name",
    ["readers 3", "lastzero 2", "conflicting 3 x 1", "philosophers 2", "cancelled 3", "overwritten", "chosen"],
)
def test_as_every_interleaving_together_shows(name: str) -> None:
    program, _ = COUNTS[name]
    agree(reduced(program, {}), brute(program, {}))


@pytest.mark.parametrize(
    ("make", "count", "interleavings"),
    [(classics.lost_update, 4, 6), (classics.guarded_update, 2, None), (classics.cache, 4, 6)],
)
def test_outcomes(make: Callable[..., Any], count: int, interleavings: int | None) -> None:
    outcomes: dict[str, None] = {}
    program = make(outcomes)
    found, every = reduced(program, outcomes), brute(program, outcomes)
    agree(found, every)
    assert found.executions == count
    if interleavings is not None:
        assert every.executions == interleavings


def test_all_interleavings_of_steps_that_all_conflict() -> None:
    every = brute(classics.conflicting(3, 1), {})
    assert every.executions == len(every.classes) == 90


def test_source_sets_find_the_same_and_may_run_into_the_sleep_set() -> None:
    program, count = COUNTS["lastzero 4"]
    found = reduced(program, {}, source=True)
    assert found.executions == count
    assert found.classes == reduced(program, {}).classes


def agree(found: Found, every: Found) -> None:
    """The reduction ran each class that there is, once, to its end."""
    assert disagreement(found, every) == ""
