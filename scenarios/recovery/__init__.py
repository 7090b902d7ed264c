"""Scenarios in which the power fails, or a target refuses; and what they are compared with, without a cut.

``SCENARIOS`` is what ``make verify`` runs. Planted bugs for them are mutants of the runtime, ``tests/mutants``; those
of a connector are in ``PLANTED``.
"""

from __future__ import annotations

from functools import partial

from scenarios.live import Entry
from scenarios.recovery import (
    any_faults,
    bad_store,
    cancelled,
    catch_up,
    folder,
    live_again,
    live_moves,
    log,
    operators,
    processes,
)

__all__ = ["PLANTED", "SCENARIOS"]

cut = partial(Entry, crashes=2)
"""The power may fail, up to twice."""

SCENARIOS = (
    cut(
        "any versions, cut anywhere",
        ("DUR-1", "DUR-2", "DUR-3", "GC-1"),
        catch_up.any_versions,
        reaches={"submit.in-doubt": 0.2, "submit.taken-over": 0.2, "sinks.one-by-one": 0.05},
    ),
    cut(
        "deletions that are refused",
        ("DUR-1", "GC-5"),
        catch_up.retried_delete,
        reaches={"collect.kept": 0.2, "submit.in-doubt": 0.4},
    ),
    cut(
        "states that move",
        ("GC-4",),
        catch_up.moved_state,
        reaches={"submit.in-doubt": 0.2, "submit.taken-over": 0.3},
    ),
    cut(
        "states that are taken over",
        ("DUR-1", "GC-4"),
        catch_up.taken_over,
        reaches={"submit.in-doubt": 0.2, "submit.taken-over": 0.4, "recovery.mended": 0.005},
    ),
    cut(
        "states that are taken back",
        ("DUR-1", "GC-4"),
        catch_up.taken_back,
        reaches={"submit.taken-over": 0.3, "recovery.mended": 0.005},
    ),
    cut(
        "folders made, rebuilt and destroyed",
        ("DUR-1", "GC-1"),
        catch_up.containers,
        reaches={"submit.in-doubt": 0.2, "submit.taken-over": 0.2},
    ),
    cut("a store of another format", (), catch_up.newer_format),
    cut(
        "a store upgraded from an older format",
        ("DUR-1",),
        catch_up.upgraded,
        reaches={"submit.in-doubt": 0.04, "submit.taken-over": 0.1},
    ),
    cut("two processes on one store", ("DUR-4",), catch_up.two_processes),
    cut(
        "a folder caught up",
        ("DUR-1", "DUR-3"),
        folder.catch_up,
        reaches={"submit.in-doubt": 0.25},
    ),
    cut("a folder followed live", ("DUR-1", "DUR-3"), folder.live, reaches={"submit.in-doubt": 0.25}),
    cut("readers of a folder", (), folder.readers_see_whole_files),
    Entry("a partitioned log, through three crashes", ("FEED-3", "DUR-1"), log.crashes),
    Entry("the same, unruly, while the target fails", ("FEED-3", "DUR-1"), log.crashes_unruly),
    Entry("a partitioned log on a page cache", ("FEED-3", "DUR-1"), log.crashes_cached),
    cut(
        "states that move in a live component",
        ("DUR-1", "GC-4"),
        live_moves.moves,
        reaches={"submit.taken-over": 0.1, "recovery.mended": 0.01},
    ),
    cut(
        "states that change before they are settled",
        ("DUR-1", "DUR-3"),
        live_again.again,
        reaches={"submit.in-doubt": 0.1},
    ),
    cut(
        "a store that fails",
        ("DUR-1", "FAIL-2"),
        bad_store.runs,
        reaches={"ledger.write-failed": 0.1, "ledger.flush-failed": 0.02},
    ),
    cut(
        "a live component on a store that fails",
        ("DUR-1", "RDY-1", "FAIL-2"),
        bad_store.live,
        reaches={"ledger.write-failed": 0.1, "ledger.flush-failed": 0.02},
    ),
    cut(
        "the folder watcher while anything goes wrong",
        ("DUR-1", "DUR-3", "RDY-1"),
        any_faults.by_hand,
        crashes=3,
        reaches={"ledger.write-failed": 0.08, "ledger.flush-failed": 0.01, "settle.failed": 0.02},
    ),
    cut(
        "a folder by walk_dir while anything goes wrong",
        ("DUR-1", "DUR-3", "RDY-1"),
        any_faults.walked,
        crashes=3,
        reaches={"ledger.write-failed": 0.08, "settle.failed": 0.02},
    ),
    cut(
        "any versions, the process dies anywhere",
        ("DUR-1", "DUR-2", "DUR-3", "GC-1"),
        processes.any_versions,
        reaches={"submit.in-doubt": 0.2, "submit.taken-over": 0.2},
    ),
    cut("deletions that are refused, the process dies", ("DUR-1", "GC-5"), processes.refused),
    cut("states that are taken over, the process dies", ("DUR-1", "GC-4"), processes.taken_over),
    cut("folders made and destroyed, the process dies", ("DUR-1", "GC-1"), processes.containers),
    cut("a folder caught up, the process dies", ("DUR-1", "DUR-3"), processes.walked),
    cut("a folder followed live, the process dies", ("DUR-1", "DUR-3"), processes.followed),
    cut("states that move, the process dies", ("DUR-1", "GC-4"), processes.moves),
    cut("states that change, the process dies", ("DUR-1", "DUR-3"), processes.again),
    Entry("a folder watcher, cancelled anywhere", ("MODE-3", "RDY-1", "DUR-3"), cancelled.folder),
    Entry("a live component, cancelled anywhere", ("MODE-3", "RDY-1", "DUR-3"), cancelled.operations),
    Entry("operations by two tasks", ("ORD-1", "ORD-5", "RDY-2"), operators.programs),
    Entry("full updates as barriers", ("ORD-2",), operators.full_is_a_barrier),
    Entry("a live child that is deleted", ("ORD-6", "GC-2"), operators.deleted_child),
    Entry("handles of replaced operations", ("ORD-4", "ORD-5"), operators.replaced_handles),
)

PLANTED = (Entry("log committed before it is settled", ("FEED-3",), log.never_settles, 300),)
