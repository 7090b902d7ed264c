"""Which points some execution has reached, and which of them none ever did.

A point that no execution came near would not even be declared. So the scenario's source is read for calls of
``sometimes`` and ``reachable`` with a literal name: what is written there is expected to be reached.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterable, Mapping
from typing import Any

__all__ = ["Reached", "points_of"]

DECLARING = ("sometimes", "reachable")


class Reached:
    """How often each point was reached, over all executions of an exploration."""

    def __init__(self, points: Iterable[str] = ()) -> None:
        self.counts: dict[str, int] = dict.fromkeys(points, 0)
        self.points: dict[str, int] = {}
        """executions that got to each point in the runtime's seldom paths (``liveproof.abc.points``)"""
        self.faults: dict[tuple[str, str, str], tuple[int, int]] = {}
        """fault family, operation, phase → how often it might have struck, and how often it did"""

    def note_points(self, names: Iterable[str]) -> None:
        """One execution got to these."""
        for name in names:
            self.points[name] = self.points.get(name, 0) + 1

    def note_fault(self, cell: tuple[str, str, str], asked: int, struck: int) -> None:
        """What one execution has of a cell of the table."""
        before = self.faults.get(cell, (0, 0))
        self.faults[cell] = (before[0] + asked, before[1] + struck)

    def note(self, name: str, *, hit: bool) -> None:
        """An execution came by, and the point's condition held or not."""
        self.counts[name] = self.counts.get(name, 0) + hit

    def add(
        self,
        counts: Mapping[str, int],
        points: Mapping[str, int],
        faults: Mapping[tuple[str, str, str], tuple[int, int]],
    ) -> None:
        """What others have seen."""
        for name, count in counts.items():
            self.counts[name] = self.counts.get(name, 0) + count
        for name, count in points.items():
            self.points[name] = self.points.get(name, 0) + count
        for cell, (asked, struck) in faults.items():
            self.note_fault(cell, asked, struck)

    def as_data(self) -> dict[str, Any]:
        """For a file."""
        faults = [[*cell, *count] for cell, count in self.faults.items()]
        return {"counts": self.counts, "points": self.points, "faults": faults}

    def restore(self, data: dict[str, Any]) -> None:
        """Go on from there."""
        self.counts.update(data["counts"])
        self.points.update(data["points"])
        for family, operation, phase, asked, struck in data["faults"]:
            self.faults[family, operation, phase] = (asked, struck)

    def missed(self) -> list[str]:
        """What was declared and never reached."""
        return [name for name, count in self.counts.items() if not count]


def points_of(scenario: Callable[..., Any]) -> list[str]:
    """The points that a scenario's source names; none if there is no source to read."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(scenario)))
    except (OSError, TypeError, SyntaxError):
        return []
    points = [
        (node.lineno, node.col_offset, node.args[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in DECLARING
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
    ]
    return list(dict.fromkeys(name for _, _, name in sorted(points)))
