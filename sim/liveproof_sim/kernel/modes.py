"""How a loop is set up: what is left open, when timers fire, what a run may take, who is told."""

from __future__ import annotations

import asyncio
import enum
from contextvars import Context, copy_context
from dataclasses import dataclass
from typing import Any

from liveproof_sim.kernel.choices import Entry

__all__ = ["Abandoned", "Attached", "Fidelity", "Limits", "Observer", "SimTimer", "Timers"]


class Abandoned(BaseException):
    """A search has seen enough of an execution. Not an error: nobody but the explorer catches it."""


class Attached:
    """A strategy that has to see the loop, besides being asked."""

    def attach(self, loop: Any) -> None:
        """The loop of the execution that was begun."""

    def over(self, *, cut: bool) -> bool:
        """The execution is over; ``cut``: because it was abandoned. Returns whether it is to count as cut."""
        return cut


class Fidelity(enum.Enum):
    """What is left open."""

    ANY_ORDER = "any-order"
    FIFO = "fifo"


class Timers(enum.Enum):
    """When a timer may fire."""

    DISCRETE = "discrete"
    LATE = "late"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a run may take. A limit that is hit is a finding, never silence."""

    steps: int = 50_000
    steps_in_instant: int = 10_000
    lateness_ns: int = 100_000_000
    step_ns_max: int = 1_000_000
    """what a step may have taken, once there were ``steps_in_instant`` of them without a pause"""


class Observer:
    """Told of each step; see ``trace/recorder.py``. The base class sees nothing."""

    def before(self, entry: Entry | None, chosen: int, options: int) -> None:
        """A step is about to run; None: the clock."""

    def tick(self) -> None:
        """Time moves on, because nothing is ready."""

    def ended(self) -> None:
        """The main task has ended; what runs now decides nothing any more."""


class SimTimer(asyncio.TimerHandle):
    """A pending call."""

    __slots__ = ()

    def __init__(  # not super().__init__: it costs as much as all the rest of a sleep
        self,
        when: float,
        callback: Any,
        args: tuple[Any, ...],
        loop: asyncio.AbstractEventLoop,
        context: Context | None,
    ) -> None:
        self._when = when
        self._callback = callback
        self._args = args
        self._loop = loop
        self._context = copy_context() if context is None else context
        self._cancelled = False
        self._repr = None
        self._source_traceback = None
        self._scheduled = True
