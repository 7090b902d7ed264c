"""What the faults of some explorations led to, as a table: family × operation × phase with hits, the cells that
stayed empty, and the points in the runtime's seldom paths with the share of executions that got there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from liveproof.abc.points import POINTS
from liveproof_sim.explore.verdict import Verdict

__all__ = ["Coverage"]


class Coverage:
    """Of several explorations together."""

    def __init__(self, verdicts: Sequence[Verdict] = ()) -> None:
        self.executions = 0
        self.points = dict.fromkeys(POINTS, 0)
        """executions that got to each point"""
        self.faults: dict[tuple[str, str, str], tuple[int, int]] = {}
        """family, operation, phase → how often it might have struck, and how often it did"""
        for verdict in verdicts:
            self.add(verdict.executions, verdict.points, verdict.faults)

    def add(
        self, executions: int, points: Mapping[str, int], faults: Mapping[tuple[str, str, str], tuple[int, int]]
    ) -> None:
        """One more exploration: what its verdict says."""
        self.executions += executions
        for point, count in points.items():
            self.points[point] += count
        for cell, (asked, struck) in faults.items():
            before = self.faults.get(cell, (0, 0))
            self.faults[cell] = (before[0] + asked, before[1] + struck)

    def empty(self) -> list[str]:
        """Cells in which something might have struck, and never did."""
        return [" ".join(filter(None, cell)) for cell, (_, struck) in sorted(self.faults.items()) if not struck]

    def below(self, rate: float) -> list[str]:
        """Points that a smaller share of the executions than this got to."""
        return [point for point, count in self.points.items() if count < rate * self.executions]

    def markdown(self) -> str:
        """Both tables."""
        lines = ["| fault | operation | phase | might have struck | did |", "|---|---|---|--:|--:|"]
        for (family, operation, phase), (asked, struck) in sorted(self.faults.items()):
            lines.append(f"| {family} | {operation} | {phase} | {asked} | {struck} |")
        if self.empty():
            lines += ["", f"Never struck: {', '.join(self.empty())}."]
        lines += ["", "| point | executions | of all |", "|---|--:|--:|"]
        for point, count in sorted(self.points.items()):
            share = count / self.executions if self.executions else 0.0
            lines.append(f"| {point}: {POINTS[point]} | {count} | {share:.1%} |")
        return "\n".join([*lines, ""])
