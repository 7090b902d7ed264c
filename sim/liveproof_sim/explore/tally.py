"""What an exploration adds up over its executions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Tally"]


@dataclass(slots=True)
class Tally:
    """Executions, and the schedules that they showed."""

    repeats: bool
    """whether a schedule may be run more than once; else none is remembered, and there may be very many"""
    executions: int = 0
    lost: dict[str, int] = field(default_factory=dict)
    """executions that failed after something that the contract does not claim to survive, by its name"""
    curve: list[tuple[int, int]] = field(default_factory=list)
    """behaviours seen after 1, 2, 4, 8 … executions"""
    arms: dict[str, dict[str, float]] = field(default_factory=dict)
    earlier: int = 0
    """executions of earlier runs, from which this one goes on"""
    seconds: float = 0.0
    """of these"""
    _counts: dict[bytes, int] = field(default_factory=dict)

    @property
    def ran(self) -> int:
        """Executions of this run."""
        return self.executions - self.earlier

    @property
    def behaviours(self) -> int:
        """Distinct schedules seen."""
        return len(self._counts) if self.repeats else self.executions

    def counts(self) -> list[int]:
        """How often each of them was."""
        return list(self._counts.values()) if self.repeats else [1] * self.executions

    def seen(self) -> dict[bytes, None]:
        """Them, in digest, as far as they are remembered."""
        return dict.fromkeys(self._counts)

    def count(self, behaviour: bytes) -> bool:
        """One more execution, and what tells its schedule from others; whether it showed something new."""
        self.executions += 1
        count = 1
        if self.repeats:
            count = self._counts[behaviour] = self._counts.get(behaviour, 0) + 1
        if self.executions & (self.executions - 1) == 0:
            self.curve.append((self.executions, self.behaviours))
        return count == 1

    def lose(self, lost: Mapping[str, int]) -> None:
        """Some executions lost what nobody claims to keep."""
        for name, count in lost.items():
            self.lost[name] = self.lost.get(name, 0) + count

    def note_arm(self, arm: str, *, new: bool, failed: bool) -> None:
        """Of a portfolio: what its arm's execution came to."""
        if arm:
            row = self.arms.setdefault(arm, {"executions": 0, "new": 0, "failures": 0})
            row["executions"] += 1
            row["new"] += new
            row["failures"] += failed

    def as_data(self, seconds: float) -> dict[str, Any]:
        """For a file; ``seconds``: of this run."""
        return {
            "executions": self.executions,
            "lost": self.lost,
            "curve": self.curve,
            "seconds": self.seconds + seconds,
        }

    def restore(self, data: dict[str, Any]) -> None:
        """Go on from there."""
        self.executions = self.earlier = data["executions"]
        self.lost, self.seconds = dict(data["lost"]), data["seconds"]
        self.curve = [(executions, seen) for executions, seen in data["curve"]]
