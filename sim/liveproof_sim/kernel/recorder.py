"""Writes down every step of a loop, with the names that a tape needs."""

from __future__ import annotations

import asyncio
from typing import TypeAlias

from liveproof_sim.kernel.choices import Entry, Kind
from liveproof_sim.kernel.jobs import Job
from liveproof_sim.kernel.loop import Observer, SimLoop
from liveproof_sim.kernel.naming import Labels, Site, site_of
from liveproof_sim.trace.events import Event, Trace

__all__ = ["Recorder", "name_of"]


_Name: TypeAlias = tuple[str, str, Site]
_Row: TypeAlias = tuple[int, int, _Name, int, int, _Name | None]

NOWHERE = Site("", "", "", 0)
CLOCK: _Name = ("clock", "clock", NOWHERE)


def name_of(entry: Entry, labels: Labels) -> tuple[str, str]:
    """Of an entry: who it is, and the place in words."""
    _, who, site = _name(entry, labels)
    return who, site.key


def _name(entry: Entry, labels: Labels) -> _Name:
    callback = entry[1]
    if entry[3] is not None:
        task = getattr(callback, "__self__", None)
        if isinstance(task, asyncio.Task):
            return "step", labels.of(task), site_of(task)
        if isinstance(callback, Job):
            return "thread", callback.name, Site("(body)", "", "", 0)
        job = getattr(getattr(callback, "func", None), "__self__", None)
        if isinstance(job, Job):
            return "thread", job.name, Site("(completion)", "", "", 0)
        owner = getattr(callback, "__qualname__", type(callback).__name__)
        return "callback", owner.rpartition("<locals>.")[2], NOWHERE
    inner = callback._callback
    function = getattr(inner, "func", inner)
    name = getattr(function, "__qualname__", None) or type(function).__name__
    return "callback", name.rpartition("<locals>.")[2], NOWHERE


class Recorder(Observer):
    """Make one per execution: it attaches itself to the loop and its choices. Rows become events at the
    end."""

    def __init__(self, loop: SimLoop) -> None:
        self.labels = Labels(loop.tasks)
        self._rows: list[_Row] = []
        self._loop = loop
        loop.observer = self
        loop.choices.told = self.drawn

    def before(self, entry: Entry | None, chosen: int, options: int) -> None:
        loop = self._loop
        name = CLOCK if entry is None else _name(entry, self.labels)
        overtook = _name(loop._ready[0], self.labels) if chosen and loop._ready else None
        self._rows.append((loop.steps, loop.now_ns, name, chosen, options, overtook))

    def drawn(self, kind: Kind, label: str, chosen: int, options: int) -> None:
        """A decision that is no step."""
        loop = self._loop
        name = ("draw", label, Site(kind.value, "", "", 0))
        self._rows.append((loop.steps, loop.now_ns, name, chosen, options, None))

    def last(self) -> tuple[str, str]:
        """Who ran last, and where."""
        _, who, site = self._rows[-1][2]
        return who, site.key

    def finish(self) -> Trace:
        """The trace so far, and where tasks are that have not ended."""
        pending = [task for task in self._loop.tasks if not task.done()]
        places = [(self.labels.of(task), site_of(task).key) for task in pending]
        return Trace([_event(row) for row in self._rows], pending=places)


def _event(row: _Row) -> Event:
    step, time_ns, (kind, who, site), chosen, options, overtook = row
    passed = "" if overtook is None else _passed(*overtook[1:])
    return Event(step, time_ns, kind, who, str(site) if site.file else "", site.key, chosen, options, passed)


def _passed(who: str, site: Site) -> str:
    return f"{who} ({site}: {site.key})" if site.file else who
