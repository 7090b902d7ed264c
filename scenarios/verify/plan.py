"""What there is to run, piece by piece. A piece is small enough to be sent to another process.

Most things are one piece each: a scenario, a planted bug, a program of the zoo. Random programs for the
partial-order reduction come in ranges of seeds, so that processes have something to share at the end.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from liveproof_sim.kernel.modes import Timers
from scenarios import live, recovery
from scenarios.live import Entry
from scenarios.proofs import PROOFS
from tests.mutants.catalogue import MUTANTS
from tests.sim.dpor.counts import LARGE, LONG

__all__ = ["ENDLESS", "ENTRIES", "PARTS", "PROGRAMS", "PROOF_SECONDS", "Part", "Piece", "Programs", "pieces"]

ZOO = Path(__file__).parents[1] / "zoo"
PROOF_SECONDS = 3
PATIENT = 180
"""with so many seconds for each proof, counts that take minutes are made as well"""
VERY_PATIENT = 600
"""with fewer, proofs that take longer than that have no more than by default"""
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

class Programs(NamedTuple):
    """Random programs of a family, and how they are run."""

    name: str
    title: str
    family: str
    """of ``tests/sim/dpor/random_programs.py``"""
    timers: Timers
    orders: tuple[int, int]
    """merges of the tasks, by the number of operations alone: more than the one, at most the other. How many orders
    a program has by what it waits for is found out"""
    interleavings_max: int
    """a program that turns out to have more is given up"""
    seeds: int
    width: int
    """of a range of seeds"""


PROGRAMS = {
    each.name: each
    for each in (
        Programs("small", "plain, small", "plain", Timers.DISCRETE, (0, 35), 200, 15_000, 1_000),
        Programs("large", "plain, larger", "plain", Timers.DISCRETE, (35, 300), 1_500, 500, 100),
        Programs("structured", "structured", "structured", Timers.DISCRETE, (0, 120), 200, 3_500, 250),
        Programs("timed", "timed; steps take no time", "timed", Timers.DISCRETE, (0, 120), 200, 2_000, 250),
        Programs("late", "timed; late timers", "timed", Timers.LATE, (0, 120), 200, 1_500, 250),
    )
}


class Piece(NamedTuple):
    """Something to run."""

    part: str
    """"zoo", "proof", "count", "mutant", or a name of ``PARTS`` or ``PROGRAMS``"""
    name: str
    executions: int = 0
    """at most; of random programs: the first seed; of a proof: seconds, at most"""
    last: int = 0
    """of random programs: the seed behind the last one"""

    @property
    def key(self) -> str:
        """Unlike that of any other piece."""
        return f"{self.part}/{self.name}"


def pieces(executions: int | None = None, proof_seconds: int = PROOF_SECONDS) -> list[Piece]:
    """All there is. ``executions``: of each scenario, instead of its own. ``proof_seconds``: for
    each program of the runtime; what is not finished by then is not proved."""
    found = [Piece("zoo", path.stem) for path in sorted(ZOO.glob("*.py"))]
    for part in sorted(PARTS, key=lambda part: not part.planted):
        for entry in part.entries:
            most = entry.executions if executions is None or part.planted else executions
            found.append(Piece(part.name, entry.name, most))
    found += [Piece("count", name) for name in LARGE if proof_seconds >= PATIENT or name not in LONG]
    found += [Piece("mutant", mutant.what) for mutant in MUTANTS]
    for name, (family, _) in PROOFS.items():
        hopeless = family.long and proof_seconds < VERY_PATIENT
        found.append(Piece("proof", name, min(proof_seconds, PROOF_SECONDS) if hopeless else proof_seconds))
    for programs in PROGRAMS.values():
        for first in range(0, programs.seeds, programs.width):
            last = first + programs.width
            found.append(Piece(programs.name, f"seeds {first} to {last - 1}", first, last))
    return found
