"""What an exploration may say, and no more.

``failed`` · ``proved`` (the whole space, with its assumptions) · ``proved within`` (named bounds) ·
``sampled`` (with what that is worth) · ``inconclusive`` (and why). A search that a budget cut is never
"proved".
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from liveproof_sim.trace.events import Trace

__all__ = ["EXIT_CODES", "Failure", "Status", "StopReason", "Verdict"]


class Status(enum.StrEnum):
    """The lattice."""

    FAILED = "failed"
    PROVED = "proved"
    PROVED_WITHIN = "proved within"
    SAMPLED = "sampled"
    INCONCLUSIVE = "inconclusive"


EXIT_CODES = {
    Status.PROVED: 0,
    Status.PROVED_WITHIN: 0,
    Status.SAMPLED: 0,
    Status.FAILED: 1,
    Status.INCONCLUSIVE: 3,
}


class StopReason(enum.Enum):
    """Why the search stopped; the value is what people read."""

    FAILURE = "a failure was found"
    EXHAUSTED = "every schedule was run"
    EXHAUSTED_WITHIN = "every schedule within the bounds was run"
    EXECUTIONS = "the budget of executions was spent"
    SECONDS = "the budget of time was spent"


@dataclass(slots=True)
class Failure:
    """A failing execution, and how to see it again."""

    exception: BaseException
    signature: str
    taken: list[int]
    token: str = ""
    report: str = ""
    trace: Trace | None = None
    switches: int = 0
    """context switches of the shrunk run that the ordinary order did not force"""
    minimal: bool = False
    """whether no single removal gives a cheaper run that fails in the same way"""
    fewest: bool = False
    """whether every schedule with fewer switches was run, and none fails in this way"""
    stock: str = ""
    """whether stock asyncio could show it"""
    noise: list[str] = field(default_factory=list)
    """tasks without which it fails as well: it does if they run first, and if they run last"""
    parting: str = ""
    """where the nearest passing order parts from this one"""

    def shrunk(self) -> str:
        """What shrinking found out, as one word after the other: for a trace."""
        return " ".join([str(self.switches), *["minimal"] * self.minimal, *["fewest"] * self.fewest])

    def restore(self, shrunk: str) -> None:
        """The inverse: of a replay, which cannot know it."""
        switches, *words = shrunk.split() or ["0"]
        self.switches = int(switches) if switches.isdecimal() else 0
        self.minimal, self.fewest = "minimal" in words, "fewest" in words


@dataclass(slots=True)
class Verdict:
    """The result of an exploration."""

    status: Status
    reason: StopReason
    executions: int
    strategy: str
    behaviours: int = 0
    """distinct schedules seen"""
    unseen: float = 1.0
    """upper bound (95 %) on the chance that the next execution shows a new behaviour; 0 if all were run"""
    unseen_estimate: float = 1.0
    excluded_above: float = 1.0
    """a failure with a higher chance per execution is excluded (95 %)"""
    curve: list[tuple[int, int]] = field(default_factory=list)
    """behaviours seen after so many executions"""
    bounds: dict[str, int] = field(default_factory=dict)
    assumptions: list[str] = field(default_factory=list)
    arms: dict[str, dict[str, float]] = field(default_factory=dict)
    reduction: dict[str, int] = field(default_factory=dict)
    """of a search that reduces: classes of orders run to their end since it began, the last time it did; executions
    that were given up because they were redundant, or because a step that was to run had to wait; and how often it
    began anew because something changed that had seemed constant"""
    opaque: list[str] = field(default_factory=list)
    """code that is not instrumented: its steps were taken to conflict with everything"""
    missed: list[str] = field(default_factory=list)
    """every ``sometimes`` that no execution reached"""
    lost: dict[str, int] = field(default_factory=dict)
    """executions that failed after something that the contract does not claim to survive, by its name"""
    points: dict[str, int] = field(default_factory=dict)
    """executions that got to each point in the runtime's seldom paths"""
    faults: dict[tuple[str, str, str], tuple[int, int]] = field(default_factory=dict)
    """fault family, operation, phase → how often it might have struck, and how often it did"""
    why: str = ""
    """if that was asked for: where tasks took turns, and what steps conflicted about; see ``check``"""
    failure: Failure | None = None
    seconds: float = 0.0

    @property
    def exit_code(self) -> int:
        """0: nothing found; 1: failed; 3: nobody knows."""
        return EXIT_CODES[self.status]

    def __str__(self) -> str:
        runs = f"{self.executions} execution{'s' * (self.executions != 1)} ({self.strategy})"
        match self.status:
            case Status.FAILED:
                text = f"failed after {runs}"
            case Status.PROVED:
                text = f"proved in {runs}, assuming that {'; '.join(self.assumptions)}"
            case Status.PROVED_WITHIN:
                bounds = ", ".join(f"{name} <= {value}" for name, value in self.bounds.items())
                text = f"proved within {bounds} in {runs}, assuming that {'; '.join(self.assumptions)}"
            case Status.SAMPLED:
                text = (
                    f"sampled {runs}: {self.behaviours} behaviours; the next execution shows a new one with "
                    f"a chance of at most {self.unseen:.2g}; nothing failed"
                )
            case Status.INCONCLUSIVE:
                text = f"inconclusive after {runs}: {self.reason.value}"
        if self.opaque:
            text += f"; taken to conflict with everything: {', '.join(self.opaque[:3])}"
            text += f" and {len(self.opaque) - 3} more" if len(self.opaque) > 3 else ""
        if self.lost:
            named = ", ".join(f"{count} by {name}" for name, count in self.lost.items())
            text += f"; lost by design: {named}"
        if self.missed:
            text += f"; never reached: {', '.join(self.missed)}"
        return text
