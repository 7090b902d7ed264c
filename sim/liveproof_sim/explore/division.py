"""One reduced exploration in several processes: each runs parts of the tree, and reports now and then.

A part (``strategies/dpor/parts.py``) is run by one worker to its end, a slice at a time, so that the budget is kept,
a failure ends everything soon, and whoever looks sees how far it is. Nothing that a worker learns changes what
another has to run, with one exception: that something changes which had seemed constant. Then the whole exploration
starts anew, with what all have found out, if anybody had relied on that; what was begun before counts no more.

Which of several failures is seen first depends on the machine; whether there is one does not.
"""

from __future__ import annotations

import enum
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from liveproof_sim.errors import OptionError, ResumeError
from liveproof_sim.explore.crew import Crew
from liveproof_sim.explore.strategies.dpor.frontier import stack
from liveproof_sim.explore.strategies.dpor.parts import Part
from liveproof_sim.explore.strategies.search import Standing
from liveproof_sim.properties import Reached

__all__ = ["PARTS_PER_WORKER", "Division", "Ended", "Job", "Shift"]

PARTS_PER_WORKER = 8
SLICE_S = 0.25
UNLIMITED = 2**62
SHARE = 2**40  # of what is unlimited


class Job(NamedTuple):
    """A part, and what may be spent on it now."""

    era: int
    """how often everything began anew before"""
    part: dict[str, Any] | None
    """None: the one that was begun"""
    hot: list[str]
    """what is known by now to change"""
    executions: int
    seconds: float


class Shift(NamedTuple):
    """What a worker did of it."""

    era: int
    over: bool
    ran: int
    """executions that came to their end"""
    counts: tuple[int, int, int, dict[str, int]]
    """as for ``Dpor.credit``"""
    hot: list[str]
    relied: list[str]
    lost: dict[str, int]
    reached: Reached
    opaque: list[str]
    failure: tuple[str, list[int]] | None
    """signature, positions taken"""


class Ended(enum.Enum):
    """How it came to an end."""

    DONE = "all parts were run"
    ANEW = "something changes that was relied on"
    SPENT = "the budget is spent"
    FAILED = "an execution failed"


class Division:
    """Who runs what."""

    def __init__(self, crew: Crew, workers: int, hot: dict[str, None]) -> None:
        self._crew = crew
        self._workers = workers
        self._hot = hot
        self._era = 0
        self._busy: dict[int, int] = {}  # what each may still run; those of an earlier era included
        self._parts: list[dict[str, Any]] = []
        self._begun: dict[int, None] = {}  # who has a part that is not over
        self._all = 1
        self._deepest = 0

    def standing(self, classes: int) -> Standing:
        """How far it is; parts are taken to be equal."""
        left = len(self._parts) + len(self._begun)
        return Standing(classes, self._deepest, 1 - left / self._all)

    def begin(self, parts: list[Part]) -> None:
        """With these, and none of those before.

        Raises:
            OptionError: one cannot be sent.
        """
        self._era += 1
        self._begun = {}
        self._all = max(1, len(parts))
        self._deepest = max((len(part) for part in parts), default=0)
        try:
            self._parts = [stack(part) for part in reversed(parts)]
        except ResumeError as error:
            what = str(error).partition(", which cannot")[0]
            way = "use keys of a plain type, or workers=1"
            raise OptionError(f"{what}, which no worker can be sent: {way}") from error

    def run(
        self,
        relied: dict[str, None],
        *,
        executions: int | None,
        seconds: float | None,
        tell: Callable[[Shift], None],
    ) -> Ended:
        """Until it ends; ``tell`` is told of each shift that counts, the one that failed at last. ``relied``: what
        was taken for constant so far.

        Raises:
            WorkerError: a worker died.
            SimError: what a worker raised.
        """
        relied = dict(relied)
        until = None if seconds is None else time.monotonic() + seconds
        left = UNLIMITED if executions is None else executions
        while self._parts or self._begun:
            self._hand_out(left, until, fair=executions is not None)
            if not self._busy:
                return Ended.SPENT
            worker, shift = self._crew.wait()
            assert isinstance(shift, Shift)
            del self._busy[worker]
            self._hot.update(dict.fromkeys(shift.hot))
            if shift.era == self._era:
                relied.update(dict.fromkeys(shift.relied))
                left -= shift.ran
                if shift.over:
                    del self._begun[worker]
                tell(shift)
                if shift.failure is not None:
                    return Ended.FAILED
            if any(word in self._hot for word in relied):
                return Ended.ANEW
        return Ended.DONE

    def _hand_out(self, left: int, until: float | None, *, fair: bool) -> None:
        """To all that have nothing to do, while there is something, and time."""
        for worker in range(self._workers):
            if worker in self._busy or not (self._parts or worker in self._begun):
                continue
            free = left - sum(self._busy.values())
            slice_s = SLICE_S if until is None else min(SLICE_S, until - time.monotonic())
            if free <= 0 or slice_s <= 0:
                return
            part = None if worker in self._begun else self._parts.pop()
            self._begun[worker] = None
            self._busy[worker] = -(-free // self._workers) if fair else SHARE
            self._crew.send(worker, Job(self._era, part, list(self._hot), self._busy[worker], slice_s))
