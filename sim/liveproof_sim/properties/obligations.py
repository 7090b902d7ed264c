"""What a run owes: a goal that must come true, at the latest when the run ends or a time is over.

A run that ends owes nothing to fairness: what has not happened by then never will. A time limit is fair, too:
virtual time moves only when nothing is ready, or by the lateness that timers may have.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from liveproof_sim.errors import MonitorError
from liveproof_sim.kernel.loop import SimLoop, SimTimer
from liveproof_sim.kernel.naming import Labels
from liveproof_sim.kernel.watching import call

__all__ = ["NS", "Obligation", "Predicate", "Response"]

NS = 1_000_000_000
Predicate = Callable[[], object]


@dataclass(slots=True)
class Obligation:
    """A goal that is owed since a moment."""

    kind: str
    """``eventually``, ``leads_to`` or ``converges``: as the user wrote it"""
    name: str
    goal: Predicate
    loop: SimLoop
    within: float | None = None
    since_ns: int = 0
    step: int = 0
    task: asyncio.Task[Any] | None = None
    """who made the step in which a trigger came true"""
    timer: SimTimer | None = None
    met: asyncio.Future[None] | None = None
    """somebody who waits until it holds"""

    def __post_init__(self) -> None:
        self.since_ns, self.step = self.loop.now_ns, self.loop.steps
        if self.within is not None:  # time must not jump over the deadline unseen
            self.timer = self.loop.call_at_ns(self.deadline_ns, _look_then)

    @property
    def deadline_ns(self) -> int:
        """When it must have held. Only with ``within``."""
        assert self.within is not None
        return self.since_ns + round(self.within * NS)

    def settled(self) -> bool:
        """Whether it holds now; then it is owed no more.

        Raises:
            MonitorError: its time is over.
        """
        if call(self.goal):
            self.drop()
            return True
        if self.within is not None and self.loop.now_ns > self.deadline_ns:
            raise self.broken(f"did not hold within {self.within:g} s")
        return False

    def drop(self) -> None:
        """It is owed no more."""
        if self.timer is not None:
            self.timer.cancel()
        if self.met is not None and not self.met.done():
            self.met.set_result(None)

    def __str__(self) -> str:
        since = f", owed since {self.since_ns / NS:g} s"
        if self.kind != "leads_to":
            return f"{self.kind} {self.name!r}{since if self.since_ns else ''}"
        by = f" by a step of {Labels(self.loop.tasks).of(self.task)}" if self.task is not None else ""
        return f"leads_to {self.name!r}, triggered at {self.since_ns / NS:g} s{by}"

    def broken(self, how: str) -> MonitorError:
        """The error."""
        text = f"{self}: the goal {how}" if self.kind == "leads_to" else f"{self.kind} {self.name!r} {how}"
        return MonitorError(text, f"{self.kind} {self.name}")


def _look_then() -> None:
    """The monitors look after every step; this makes one."""


@dataclass(slots=True)
class Response:
    """Each time the trigger holds, the goal must hold then or later."""

    name: str
    trigger: Predicate
    goal: Predicate
    within: float | None = None
    open: Obligation | None = field(default=None, init=False)
    """the earliest trigger whose goal has not held since"""

    def look(self, loop: SimLoop) -> None:
        """After a step.

        Raises:
            MonitorError: a goal is late.
        """
        if self.open is not None:
            if self.open.settled():
                self.open = None
        elif call(self.trigger) and not call(self.goal):
            owner = getattr(loop.choices.last, "__self__", None)
            task = owner if isinstance(owner, asyncio.Task) else None
            self.open = Obligation("leads_to", self.name, self.goal, loop, self.within, task=task)
