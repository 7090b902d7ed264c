"""The runtime's own scenarios: each holds in every order, with every contract id that applies as a monitor.

``SCENARIOS`` is what ``make verify`` runs, 10 000 executions each; ``PLANTED`` are twins with a bug, which have
to be found.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from scenarios.live import deletions, folder_watcher_sim, log, maps, process_all, programs, stops

__all__ = ["PLANTED", "SCENARIOS", "Entry"]


@dataclass(frozen=True, slots=True)
class Entry:
    """A scenario and what it is for."""

    name: str
    ids: tuple[str, ...]
    """of the contract: those that it is made to break, if they can be broken"""
    scenario: Callable[..., Any]
    executions: int = 10_000
    crashes: int = 0
    """how often the power may fail by itself in a run, before a call that changes something durable"""
    reaches: Mapping[str, float] = field(default_factory=dict)
    """points in the runtime's seldom paths, and the share of the executions that must get there"""


ORD = ("ORD-1", "ORD-2", "ORD-3", "ORD-4", "ORD-5", "ORD-6")
FEED = ("FEED-1", "FEED-2", "MODE-2")
LOG = ("FEED-1", "FEED-3", "MODE-2")

SCENARIOS = (
    Entry("programs by two tasks", (*ORD, "GC-1", "GC-2", "RDY-2"), programs.simple),
    Entry("programs by three tasks", ORD, programs.three_tasks),
    Entry("programs that fail", (*ORD, "GC-3", "FAIL-1", "FAIL-2"), programs.failing),
    Entry("programs with nested children", (*ORD, "GC-1"), programs.nested),
    Entry("programs with one or two places", (*ORD, "RDY-1"), programs.narrow),
    Entry("programs that share target states", ("ORD-1", "GC-4", "DUR-2"), programs.shared),
    Entry("programs of live children", (*ORD, "GC-2", "RDY-3"), programs.lively),
    Entry("programs of live children that fail", (*ORD, "RDY-1", "FAIL-1"), programs.lively_narrow),
    Entry("programs of which one is cancelled", (*ORD, "RDY-1"), programs.impatient),
    Entry("programs while the target fails", ("GC-1", "GC-5", "FAIL-2", "DUR-2", "RDY-1"), programs.stormy),
    Entry("the same on a store that flushes", ("GC-1", "GC-5", "FAIL-2", "DUR-2"), programs.stormy_and_flushed),
    Entry("map view", FEED, maps.view),
    Entry("map view, unruly", FEED, maps.unruly_view),
    Entry("map feed", FEED, maps.feed),
    Entry("map feed, unruly", FEED, maps.unruly_feed),
    Entry("map view, two watchers", ("FEED-4", "FAIL-1"), maps.one_watcher),
    Entry("map view, edited while it catches up", ("FEED-1", "MODE-1", "DUR-3"), maps.catch_up_while_edited),
    Entry("partitioned log", LOG, log.followed),
    Entry("partitioned log, unruly", LOG, log.followed_unruly),
    Entry("partitioned log while the target fails", (*LOG, "FAIL-2"), log.followed_while_the_target_fails),
    Entry("partitioned log, caught up while it grows", ("FEED-3", "MODE-1", "DUR-3"), log.caught_up),
    Entry("folder watcher of the page", ("FEED-1",), folder_watcher_sim.the_page),
    Entry("folder watcher that minds overflow", ("FEED-1", "FEED-2"), folder_watcher_sim.minds_overflow),
    Entry("folder by walk_dir", ("FEED-1", "FEED-2"), folder_watcher_sim.walk_dir),
    Entry("ProcessAll of the page", ("MODE-1", "MODE-2", "MODE-3", "DUR-3", "RDY-3"), process_all.process_all),
    Entry("updates that race with update_full", ("ORD-1", "ORD-2"), process_all.racing),
    Entry(
        "failures and cancellations anywhere",
        ("RDY-1", "RDY-3", "RDY-5", "FAIL-1", "FAIL-2", "FAIL-3"),
        stops.trouble,
    ),
    Entry("a stop at any moment", ("MODE-3", "RDY-1", "DUR-3"), stops.stopped),
    Entry("deletions that fail", ("GC-1", "GC-5", "FAIL-2", "DUR-2"), deletions.retried),
    Entry("deletion and re-creation", ("GC-1", "GC-2", "ORD-5"), deletions.recreated),
    Entry("moved target states", ("GC-4", "GC-2"), deletions.moved),
    Entry("containers", ("GC-1", "DUR-2", "DUR-3"), deletions.containers),
)

PLANTED = (
    Entry("map view armed after its scan", ("FEED-1",), maps.armed_late, 300),
    Entry("map view deaf to overflow", ("FEED-2",), maps.deaf_to_overflow, 300),
    Entry("log committed as it is read", ("FEED-3",), log.commits_read, 300),
    Entry("log committed up to the highest that is done", ("FEED-3",), log.commits_highest, 300),
    Entry("log that takes ready for applied", ("FEED-3",), log.trusts_ready, 300),
    Entry("log that repeats work on what it lost", ("FEED-3",), log.repeats_what_it_lost, 300),
    Entry("folder watched after its scan", (), folder_watcher_sim.watches_too_late, 300),
    Entry("folder watcher of the page, with overflow", (), folder_watcher_sim.ignores_overflow, 300),
)
