"""What an update has done so far, counted per kind of component."""

from __future__ import annotations

import enum
from typing import Any, Generic, NamedTuple, TypeVar

__all__ = ["ComponentStats", "Stats", "UpdateSnapshot", "UpdateStats", "UpdateStatus"]

R = TypeVar("R")


class UpdateStatus(enum.StrEnum):
    """Whether an update has caught up."""

    RUNNING = "running"
    READY = "ready"


class ComponentStats(NamedTuple):
    """Counts for components of one name. They only grow."""

    num_execution_starts: int = 0
    num_unchanged: int = 0
    """Not run: their memo was still good."""
    num_adds: int = 0
    num_deletes: int = 0
    num_reprocesses: int = 0
    num_errors: int = 0

    @property
    def num_processed(self) -> int:
        return self.num_unchanged + self.num_adds + self.num_deletes + self.num_reprocesses

    @property
    def num_finished(self) -> int:
        return self.num_processed + self.num_errors

    @property
    def num_in_progress(self) -> int:
        return self.num_execution_starts - self.num_finished


class UpdateStats(NamedTuple):
    """Counts by component name, at one moment."""

    by_component: dict[str, ComponentStats]

    @property
    def total(self) -> ComponentStats:
        """The sum over all components."""
        columns = zip(*self.by_component.values(), strict=True)
        return ComponentStats(*map(sum, columns)) if self.by_component else ComponentStats()


class UpdateSnapshot(NamedTuple, Generic[R]):
    """One report of :meth:`UpdateHandle.watch`."""

    stats: UpdateStats
    status: UpdateStatus
    result: R | None


class Counter:
    """The counts of one name, while they change."""

    __slots__ = ComponentStats._fields

    def __init__(self) -> None:
        self.num_execution_starts = 0
        self.num_unchanged = 0
        self.num_adds = 0
        self.num_deletes = 0
        self.num_reprocesses = 0
        self.num_errors = 0


class Stats:
    """All counters of a run."""

    __slots__ = ("_counters", "version")

    def __init__(self) -> None:
        self._counters: dict[str, Counter] = {}
        self.version = 0
        """Grows when anything has been counted."""

    def of(self, name: str) -> Counter:
        """The counter of a component name, about to be changed."""
        self.version += 1
        counter = self._counters.get(name)
        if counter is None:
            counter = self._counters[name] = Counter()
        return counter

    def snapshot(self) -> UpdateStats:
        """The counts now."""
        fields = ComponentStats._fields
        return UpdateStats(
            {
                name: ComponentStats(*(getattr(counter, field) for field in fields))
                for name, counter in self._counters.items()
            }
        )


def as_dict(stats: UpdateStats) -> dict[str, dict[str, Any]]:
    """The counts as plain data, for machines."""
    return {name: counts._asdict() for name, counts in stats.by_component.items()}
