"""Who made what ready: the labels of processes, and which steps had to come before an entry.

A label is the same in all equivalent executions: the main task is ``0``, the third thing that the steps of
``0.1`` started is ``0.1.2``. Plain callbacks share the process ``lane``, timers the process ``clock``.
Steps are numbered from 0; sets of steps are bits of an integer, so that "happened before" is one operation
(where the literature has vector clocks, with an entry per task).
"""

from __future__ import annotations

from typing import Any

from liveproof_sim.kernel.choices import Entry
from liveproof_sim.kernel.jobs import Job

__all__ = ["CLOCK", "LANE", "MAIN", "Causes", "owner_of"]

MAIN = "0"
LANE = "lane"
CLOCK = "clock"
OF_TASKS = ("end", "control", "parked")
"""resources of a task, each with its label"""


def owner_of(entry: Entry) -> Any:
    """The task, or the blocking call, whose step this is; else the callback itself."""
    callback = entry[1]
    owner = getattr(callback, "__self__", None)
    if owner is not None:
        return owner
    job = getattr(getattr(callback, "func", None), "__self__", None)  # partial(job.complete, ...)
    return job if isinstance(job, Job) else callback


class Causes:
    """Of one execution. The observer that closes and opens steps sets ``step``."""

    __slots__ = ("_children", "_contributed", "_enabled", "_labels", "barrier", "late", "running", "step")

    def __init__(self) -> None:
        self.step = -1
        self.running = ""
        """label of the process whose step is running"""
        self.barrier = 0
        """steps before the last step of time: all that follows comes after them"""
        self.late: dict[Any, None] | None = None
        """resources of tasks that were first made ready since it became a dict"""
        self._labels: dict[Any, str] = {}
        self._children: dict[str, int] = {}
        self._enabled: dict[int, int] = {}
        self._contributed: dict[Any, int] = {}

    def _here(self) -> int:
        return 1 << self.step if self.step >= 0 else 0

    def made(self, entry: Entry) -> None:
        """The running step made this entry ready."""
        cause = self._here()
        args = entry[2]
        if args:  # a task that is woken by a future: all who contributed to it come before
            cause |= self._contributed.get(args[0], 0)
        self._enabled[entry[0]] = cause
        if entry[3] is not None:
            self.label(owner_of(entry))

    def contributed(self, future: Any) -> None:
        """The running step did a part of what the future stands for."""
        self._contributed[future] = self._contributed.get(future, 0) | self._here()

    def label(self, owner: Any) -> str:
        """Of a task or a blocking call; given when it is first made ready."""
        label = self._labels.get(owner)
        if label is None:
            if not self.running:
                label = str(len(self._labels))
            else:
                count = self._children[self.running] = self._children.get(self.running, -1) + 1
                label = f"{self.running}.{count}"
            self._labels[owner] = label
            if self.late is not None:
                self.late.update(dict.fromkeys((kind, label) for kind in OF_TASKS))
        return label

    def of(self, entry: Entry) -> tuple[str, int]:
        """The process of an entry, and the steps that had to come before."""
        label = LANE if entry[3] is None else self.label(owner_of(entry))
        return label, self._enabled.get(entry[0], 0) | self.barrier

    def tick(self, steps: int) -> None:
        """Time moved when nothing was ready, after so many steps. What fires now was made ready by none of them:
        the one that began last may even have been erased."""
        self.barrier = (1 << steps) - 1
        self.step = -1
