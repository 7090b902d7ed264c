"""One reduced exploration in several processes: each runs a part of the tree for a while, and reports.

A unit (``strategies/dpor/units.py``) goes to whoever is idle, with what time and how many executions it may take. A
new one comes back soon, because its siblings wait for what its first step turns out to be. Who owns what is settled
in ``strategies/dpor/sharing.py``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from liveproof_sim.explore.crew import Crew
from liveproof_sim.explore.strategies.dpor.sharing import Sharing
from liveproof_sim.explore.strategies.dpor.units import Report, Unit

__all__ = ["Job", "Shift", "explore_subtrees"]

SLICE_S = 0.25
FIRST_SLICE_S = 0.02
UNLIMITED = 2**62
SHARE = 2**40  # of what is unlimited


class Job(NamedTuple):
    """A unit, and what may be spent on it now."""

    unit: Unit
    executions: int
    seconds: float


class Shift(NamedTuple):
    """What a worker did of it."""

    report: Report
    ran: int
    """executions that came to their end"""
    lost: dict[str, int]
    counts: dict[str, int]
    points: dict[str, int]
    faults: dict[tuple[str, str, str], tuple[int, int]]
    opaque: list[str]
    failure: tuple[str, list[int]] | None
    """signature, positions taken"""


def explore_subtrees(
    sharing: Sharing,
    crew: Crew,
    workers: int,
    *,
    executions: int | None,
    seconds: float | None,
    tell: Callable[[Shift], None],
) -> tuple[str, list[int]] | None:
    """Until everything was run, something failed, or the budget is spent; the failure, if there is one. ``tell`` is
    told of each shift.

    Raises:
        WorkerError: a worker died.
        SimError: what a worker raised.
    """
    until = None if seconds is None else time.monotonic() + seconds
    left = UNLIMITED if executions is None else executions
    busy: dict[int, int] = {}  # what each may still run
    while not sharing.over:
        for worker in _idle(workers, busy):
            free = left - sum(busy.values())
            slice_s = SLICE_S if until is None else min(SLICE_S, until - time.monotonic())
            unit = sharing.next() if free > 0 and slice_s > 0 else None
            if unit is None:
                break
            if len(unit.frames) == unit.floor:
                slice_s = min(slice_s, FIRST_SLICE_S)
            busy[worker] = SHARE if executions is None else -(-free // workers)
            crew.send(worker, Job(unit, busy[worker], slice_s))
        if not busy:
            return None
        worker, shift = crew.wait()
        del busy[worker]
        left -= shift.ran
        sharing.back(shift.report, wanted=len(busy) + 1 < workers)
        tell(shift)
        if shift.failure is not None:
            failure: tuple[str, list[int]] = shift.failure
            return failure
    return None


def _idle(workers: int, busy: Iterable[int]) -> list[int]:
    return [worker for worker in range(workers) if worker not in busy]
