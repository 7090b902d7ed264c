"""What an update has done so far, counted per kind of component."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from liveproof.abc.scheduler import Scheduler

__all__ = ["ComponentStats", "Stats", "UpdateSnapshot", "UpdateStats", "UpdateStatus"]

TOUCHES = True
"""To whoever watches what is read and written: not what the lines of this module say, but what they tell of."""

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


class Stats:
    """All counts of a run. In which order things are counted makes no difference to those who do."""

    __slots__ = ("_counts", "_scheduler", "_version")

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._counts: dict[str, dict[str, int]] = {}
        self._version = 0

    @property
    def version(self) -> int:
        """Grows when anything has been counted."""
        self._scheduler.touch(self, write=False)
        return self._version

    def count(self, name: str, *fields: str) -> None:
        """One more of each of these, for components of this name."""
        self._scheduler.contribute(self)
        self._version += 1
        counts = self._counts.get(name)
        if counts is None:
            counts = self._counts[name] = dict.fromkeys(ComponentStats._fields, 0)
        for field in fields:
            counts[field] += 1

    def snapshot(self) -> UpdateStats:
        """The counts now."""
        self._scheduler.touch(self, write=False)
        return UpdateStats({name: ComponentStats(**counts) for name, counts in self._counts.items()})


def as_dict(stats: UpdateStats) -> dict[str, dict[str, Any]]:
    """The counts as plain data, for machines."""
    return {name: counts._asdict() for name, counts in stats.by_component.items()}
