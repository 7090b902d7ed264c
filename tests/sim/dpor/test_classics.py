"""The counts of the literature: one execution for each partial order, and none for nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.sim.dpor import classics
from tests.sim.dpor.oracle import Found, brute, disagreement, reduced

# program, its partial orders, how it may end
COUNTS: dict[str, tuple[Any, int]] = {
    "readers 1": (classics.readers(1), 2),
    "readers 3": (classics.readers(3), 8),
    "readers 6": (classics.readers(6), 64),
    "lastzero 2": (classics.lastzero(2), 5),
    "lastzero 4": (classics.lastzero(4), 28),
    "lastzero 6": (classics.lastzero(6), 144),
    "indexer 11": (classics.indexer(11), 1),
    "indexer 12": (classics.indexer(12), 8),
    "file system 13": (classics.file_system(13), 1),
    "file system 14": (classics.file_system(14), 2),
    "file system 16": (classics.file_system(16), 8),
    "file system 18": (classics.file_system(18), 32),
    "independent locals": (classics.independent_locals(3, 3), 1),
    "independent objects": (classics.independent_objects(3, 3), 1),
    "independent slots": (classics.independent_slots(3, 3), 1),
    "conflicting 3 x 1": (classics.conflicting(3, 1), 90),
    "conflicting 2 x 5": (classics.conflicting(2, 5), 924),
    "one write each of 4": (classics.conflicting(4, 0), 24),
    "philosophers 2": (classics.philosophers(2), 3),
    "philosophers 3": (classics.philosophers(3), 7),
    "philosophers 4": (classics.philosophers(4), 15),
    "buffer 3, 1": (classics.buffer(3, 1), 1),
    "buffer 4, 2": (classics.buffer(4, 2), 1),
    "cancelled 1": (classics.cancelled(1), 2),
    "cancelled 2": (classics.cancelled(2), 3),
    "cancelled 3": (classics.cancelled(3), 4),
    "overwritten": (classics.overwritten, 3),
    "chosen": (classics.chosen, 18),
}
WITH_DEADLOCK = ("philosophers 2", "philosophers 3", "philosophers 4", "overwritten")


@pytest.mark.parametrize("name", COUNTS)
def test_as_many_executions_as_partial_orders(name: str) -> None:
    program, count = COUNTS[name]
    found = reduced(program, {})
    assert found.executions == count
    assert len(found.classes) == count
    assert found.redundant == 0
    assert ("DeadlockError" in found.endings) == (name in WITH_DEADLOCK)


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
