"""What there is to run, piece by piece. A piece is small enough to be sent to another process.

Most things are one piece each: a scenario, a planted bug, a program of the zoo. Random programs for the
partial-order reduction come in ranges of seeds, so that processes have something to share at the end.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from scenarios import live, recovery
from scenarios.live import Entry

__all__ = ["ENDLESS", "ENTRIES", "INTERLEAVINGS_MAX", "LARGE_MAX", "PARTS", "SMALL_MAX", "Part", "Piece", "pieces"]

ZOO = Path(__file__).parents[1] / "zoo"
ENDLESS = ("consumer_starves",)
"""programs of the zoo whose space has no end: a poller may be run for ever"""


class Part(NamedTuple):
    """Scenarios that have a table of their own on the page."""

    name: str
    title: str
    entries: tuple[Entry, ...]
    planted: bool = False


PARTS = (
    Part("live", "Live components", live.SCENARIOS),
    Part("recovery", "Recovery", recovery.SCENARIOS),
    Part("planted", "Planted twins", (*live.PLANTED, *recovery.PLANTED), planted=True),
)
ENTRIES = {(part.name, entry.name): entry for part in PARTS for entry in part.entries}

SMALL_MAX = 35
LARGE_MAX = 300
"""interleavings, by the number of operations alone: how many programs have by what they wait for is found out"""
INTERLEAVINGS_MAX = {"small": 200, "large": 1_500}
"""a program that turns out to have more is given up"""
SMALL_SEEDS = 21_000
LARGE_SEEDS = 500
RANGE = 1_000
LARGE_RANGE = 100


class Piece(NamedTuple):
    """Something to run."""

    part: str
    """"live", "recovery", "planted", "zoo", "small" or "large" """
    name: str
    executions: int = 0
    """at most; of random programs: the first seed"""
    last: int = 0
    """of random programs: the seed behind the last one"""

    @property
    def key(self) -> str:
        """Unlike that of any other piece."""
        return f"{self.part}/{self.name}"


def pieces(executions: int | None = None) -> list[Piece]:
    """All there is, what is short first. ``executions``: of each scenario, instead of its own."""
    found = [Piece("zoo", path.stem) for path in sorted(ZOO.glob("*.py"))]
    for part in reversed(PARTS):
        for entry in part.entries:
            most = entry.executions if executions is None or part.planted else executions
            found.append(Piece(part.name, entry.name, most))
    for part_name, seeds, width in (("small", SMALL_SEEDS, RANGE), ("large", LARGE_SEEDS, LARGE_RANGE)):
        for first in range(0, seeds, width):
            found.append(Piece(part_name, f"seeds {first} to {first + width - 1}", first, first + width))
    return found
