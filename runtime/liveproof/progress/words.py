"""One moment of an update or a drop, and the words for it."""

from __future__ import annotations

from dataclasses import dataclass

from liveproof.core.stats import ComponentStats, UpdateStats

__all__ = ["NS_PER_SECOND", "PHASES", "WORDS", "Progress", "in_words", "summary", "took"]

NS_PER_SECOND = 1_000_000_000

PHASES = ("starting", "catching up", "finishing", "live", "stopping")
"""What a run goes through; an ended one has an outcome instead."""

WORDS = (
    ("num_adds", "added"),
    ("num_reprocesses", "reprocessed"),
    ("num_unchanged", "unchanged"),
    ("num_deletes", "deleted"),
)
"""The counts of a component's ends, in the order in which they are told."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What there is to show at one moment."""

    app: str
    phase: str
    elapsed_ns: int
    stats: UpdateStats


def in_words(counts: ComponentStats, *, running: bool) -> str:
    """Counts for people, without the zeros: ``3 running, 120 added, 1 error``."""
    words = [f"{number} {word}" for name, word in WORDS if (number := getattr(counts, name))]
    if running and counts.num_in_progress > 0:
        words.insert(0, f"{counts.num_in_progress} running")
    if counts.num_errors:
        words.append(f"{counts.num_errors} error{'s' if counts.num_errors > 1 else ''}")
    return ", ".join(words) or "nothing yet"


def took(elapsed_ns: int) -> str:
    """A time for people: ``0.31 s``, ``12.3 s``, ``3 min 04 s``, ``2 h 05 min``."""
    seconds = elapsed_ns / NS_PER_SECOND
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"


def summary(progress: Progress, outcome: str) -> str:
    """The last line."""
    counts = in_words(progress.stats.total, running=False)
    return f"{progress.app}: {outcome} after {took(progress.elapsed_ns)}: {counts}"
