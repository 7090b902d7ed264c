"""Programs of the literature, and how many partial orders each has: published, or worked out by hand."""

from __future__ import annotations

from liveproof_sim.explore.scenario import Scenario
from tests.sim.dpor import classics

__all__ = ["COUNTS", "LARGE", "LONG"]

COUNTS: dict[str, tuple[Scenario, int]] = {
    "readers 1": (classics.readers(1), 2),
    "readers 3": (classics.readers(3), 8),
    "readers 6": (classics.readers(6), 64),
    "lastzero 2": (classics.lastzero(2), 5),
    "lastzero 4": (classics.lastzero(4), 28),
    "lastzero 6": (classics.lastzero(6), 144),
    "indexer 11": (classics.indexer(11), 1),
    "indexer 12": (classics.indexer(12), 8),
    "file system 13": (classics.file_system(13), 1),
    "file system 14": (classics.file_system(14), 2),
    "file system 16": (classics.file_system(16), 8),
    "file system 18": (classics.file_system(18), 32),
    "independent locals": (classics.independent_locals(3, 3), 1),
    "independent objects": (classics.independent_objects(3, 3), 1),
    "independent slots": (classics.independent_slots(3, 3), 1),
    "conflicting 3 x 1": (classics.conflicting(3, 1), 90),
    "conflicting 2 x 5": (classics.conflicting(2, 5), 924),
    "one write each of 4": (classics.conflicting(4, 0), 24),
    "philosophers 2": (classics.philosophers(2), 3),
    "philosophers 3": (classics.philosophers(3), 7),
    "philosophers 4": (classics.philosophers(4), 15),
    "buffer 3, 1": (classics.buffer(3, 1), 1),
    "buffer 4, 2": (classics.buffer(4, 2), 1),
    "cancelled 1": (classics.cancelled(1), 2),
    "cancelled 2": (classics.cancelled(2), 3),
    "cancelled 3": (classics.cancelled(3), 4),
    "overwritten": (classics.overwritten, 3),
    "chosen": (classics.chosen, 18),
}
"""program, and its partial orders"""

LARGE: dict[str, tuple[Scenario, int]] = {
    **{f"readers {n}": (classics.readers(n), 2**n) for n in (10, 12)},
    **{f"lastzero {n}": (classics.lastzero(n), (n + 3) * 2 ** (n - 2)) for n in (8, 10)},
    **{f"indexer {n}": (classics.indexer(n), 8 ** (n - 11)) for n in (13, 14, 15)},
    **{f"file system {n}": (classics.file_system(n), 2 ** (n - 13)) for n in range(19, 27)},
}
"""the same, for the long verification"""
LONG = ("readers 12", "lastzero 10", "file system 24", "file system 25", "file system 26")
"""of these, what takes minutes"""
