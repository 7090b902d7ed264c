"""Scenarios in which the power fails, or a target refuses; and what they are compared with, without a cut.

``SCENARIOS`` is what ``make verify`` runs. Planted bugs for them are mutants of the runtime, ``tests/mutants``; those
of a connector are in ``PLANTED``.
"""

from __future__ import annotations

from scenarios.live import Entry
from scenarios.recovery import catch_up, folder, live_moves, log, operators

__all__ = ["PLANTED", "SCENARIOS"]

SCENARIOS = (
    Entry("any versions, cut anywhere", ("DUR-1", "DUR-2", "DUR-3", "GC-1"), catch_up.any_versions, crashes=2),
    Entry("deletions that are refused", ("DUR-1", "GC-5"), catch_up.retried_delete, crashes=1),
    Entry("states that move", ("GC-4",), catch_up.moved_state, crashes=1),
    Entry("states that are taken over", ("DUR-1", "GC-4"), catch_up.taken_over, crashes=2),
    Entry("states that are taken back", ("DUR-1", "GC-4"), catch_up.taken_back, crashes=1),
    Entry("folders made, rebuilt and destroyed", ("DUR-1", "GC-1"), catch_up.containers, crashes=2),
    Entry("a store of another format", (), catch_up.newer_format),
    Entry("two processes on one store", ("DUR-4",), catch_up.two_processes),
    Entry("a folder caught up", ("DUR-1", "DUR-3"), folder.catch_up, crashes=2),
    Entry("a folder followed live", ("DUR-1", "DUR-3"), folder.live, crashes=1),
    Entry("readers of a folder", (), folder.readers_see_whole_files),
    Entry("a partitioned log, through three crashes", ("FEED-3", "DUR-1"), log.crashes),
    Entry("the same, unruly, while the target fails", ("FEED-3", "DUR-1"), log.crashes_unruly),
    Entry("a partitioned log on a page cache", ("FEED-3", "DUR-1"), log.crashes_cached),
    Entry("states that move in a live component", ("DUR-1", "GC-4"), live_moves.moves, crashes=1),
    Entry("operations by two tasks", ("ORD-1", "ORD-5", "RDY-2"), operators.programs),
    Entry("full updates as barriers", ("ORD-2",), operators.full_is_a_barrier),
    Entry("a live child that is deleted", ("ORD-6", "GC-2"), operators.deleted_child),
    Entry("handles of replaced operations", ("ORD-4", "ORD-5"), operators.replaced_handles),
)

PLANTED = (Entry("log committed before it is settled", ("FEED-3",), log.never_settles, 300),)
