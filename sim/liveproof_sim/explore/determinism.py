"""The same choices give the same run (DET-1), also where objects lie elsewhere, and in another process.

What depends on addresses (``id()``, the order of a set of plain objects or of tasks) gives the same run twice
in a row more often than not: the allocator hands out the same blocks again. So each further run of the first
execution begins with the free blocks of the allocator in another order. A set of two objects then keeps its
order half of the time, and eight further runs miss it once in 256 times. Long executions are run again fewer
times. The order of a set of strings changes with ``PYTHONHASHSEED``, so only in another process:
``elsewhere.py``.
"""

from __future__ import annotations

import functools
import sys
from dataclasses import replace

from liveproof_sim.errors import LivelockError, NondeterminismError
from liveproof_sim.explore.execution import Outcome, Settings
from liveproof_sim.kernel.choices import Stream, derive_seed
from liveproof_sim.trace.diff import first_difference
from liveproof_sim.trace.events import Trace

__all__ = ["SUSPECTS", "compare", "reruns", "scattered", "shortened"]

LIVELOCK_STEPS = 5_000  # of a livelock, so much is compared
RERUNS_MAX = 8
STEPS_MAX = 5_000  # of all further runs together, but for the first of them
BLOCKS = 96  # of each size class, of which every other one is freed: more than a small execution takes
SIZES = range(48, 289, 16)  # size classes of pymalloc: of small instances up to tasks
SUSPECTS = (
    "suspects: the order of a set of plain objects or of strings, id(), state that one run leaves to the "
    "next, a cache, a real thread"
)


def reruns(steps: int) -> int:
    """How often an execution of so many steps is run again."""
    return max(1, min(RERUNS_MAX, STEPS_MAX // max(1, steps)))


def scattered(number: int) -> list[bytes | None]:
    """Put the allocator's free blocks into an order that depends on ``number``. Keep the result for as long as
    that is to last."""
    header = sys.getsizeof(b"")
    kept: list[bytes | None] = []
    for size in SIZES:
        length = max(2, size - header)  # shorter ones are shared
        blocks: list[bytes | None] = [bytes(length) for _ in range(BLOCKS)]
        for at in _freed(number):
            blocks[at] = None
        kept += blocks
    return kept


@functools.cache
def _freed(number: int) -> list[int]:
    order = list(range(BLOCKS))
    Stream(derive_seed(number, "addresses")).shuffle(order)
    return order[::2]


def shortened(settings: Settings, outcome: Outcome) -> Settings:
    """For running it again: of a livelock, its beginning is enough, the rest is more of the same."""
    if isinstance(outcome.error, LivelockError) and outcome.steps > LIVELOCK_STEPS:
        return replace(settings, limits=replace(settings.limits, steps=LIVELOCK_STEPS))
    return settings


def compare(outcome: Outcome, again: Outcome, *, where: str = "") -> None:
    """Two runs of the same choices.

    Raises:
        NondeterminismError: they differ; it names the first event that does.
    """
    one, other = outcome.trace, again.trace
    assert one is not None
    assert other is not None
    if again.steps < outcome.steps and isinstance(again.error, LivelockError):  # it was shortened
        one = Trace(one.events[: len(other.events)], other.outcome)
    difference = first_difference(one, other)
    if difference is not None:
        raise NondeterminismError(
            f"the same choices gave two different runs{where}: {difference}; {SUSPECTS}"
        )
