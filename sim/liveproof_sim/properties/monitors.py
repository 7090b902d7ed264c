"""always, eventually, sometimes.

``always``: looked at after every step. ``eventually``: must have held at some step, by the end of the run, or
within a time. ``sometimes`` is about the exploration, not the run: some run must get there, else it is
listed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from liveproof_sim.errors import MonitorError
from liveproof_sim.kernel.loop import SimLoop

__all__ = ["Monitors", "Reached"]

Predicate = Callable[[], object]
NS = 1_000_000_000


@dataclass(slots=True)
class Reached:
    """How often each ``sometimes`` was reached, over all executions of an exploration."""

    counts: dict[str, int] = field(default_factory=dict)
    points: dict[str, int] = field(default_factory=dict)
    """executions that got to each point in the runtime's seldom paths (``liveproof.abc.points``)"""
    faults: dict[tuple[str, str, str], tuple[int, int]] = field(default_factory=dict)
    """fault family, operation, phase → how often it might have struck, and how often it did"""

    def note_points(self, names: Iterable[str]) -> None:
        """One execution got to these."""
        for name in names:
            self.points[name] = self.points.get(name, 0) + 1

    def note_fault(self, cell: tuple[str, str, str], asked: int, struck: int) -> None:
        """What one execution has of a cell of the table."""
        before = self.faults.get(cell, (0, 0))
        self.faults[cell] = (before[0] + asked, before[1] + struck)

    def missed(self) -> list[str]:
        """What was declared and never reached."""
        return [name for name, count in self.counts.items() if not count]


@dataclass(slots=True)
class _Pending:
    name: str
    predicate: Predicate
    deadline_ns: int | None


class Monitors:
    """The monitors of one execution."""

    def __init__(self, loop: SimLoop, reached: Reached) -> None:
        self._loop = loop
        self._always: list[tuple[str, Predicate]] = []
        self._pending: list[_Pending] = []
        self._calls: list[Callable[[], None]] = []
        self._reached = reached

    def after_step(self, call: Callable[[], None]) -> None:
        """Call after every step, before anything is looked at."""
        self._calls.append(call)
        self._loop.after_step = self._step

    def always(self, name: str, predicate: Predicate) -> None:
        """Must hold now and after every step."""
        self._always.append((name, predicate))
        self._loop.after_step = self._step
        self._look()

    def eventually(self, name: str, predicate: Predicate, *, within: float | None = None) -> None:
        """Must hold at some step before the end, or before ``within`` seconds have passed."""
        deadline_ns = None if within is None else self._loop.now_ns + round(within * NS)
        if deadline_ns is not None:
            self._loop.call_at_ns(deadline_ns, lambda: None)  # time must not jump over it unseen
        self._pending.append(_Pending(name, predicate, deadline_ns))
        self._loop.after_step = self._step
        self._look()

    def sometimes(self, name: str, condition: object = True) -> None:
        """Note that some run got here, with a true ``condition``."""
        self._reached.counts[name] = self._reached.counts.get(name, 0) + bool(condition)

    def _step(self) -> None:
        for call in self._calls:
            call()
        self._look()

    def _look(self) -> None:
        for name, predicate in self._always:
            if not predicate():
                raise MonitorError(f"always {name!r} does not hold")
        if self._pending:
            self._pending = [each for each in self._pending if not each.predicate()]
            for each in self._pending:
                if each.deadline_ns is not None and self._loop.now_ns > each.deadline_ns:
                    raise MonitorError(f"eventually {each.name!r} did not hold in time")

    def end(self) -> None:
        """The run has ended well."""
        self._look()
        for each in self._pending:
            raise MonitorError(f"eventually {each.name!r} never held")
