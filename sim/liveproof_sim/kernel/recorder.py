"""Writes down every step of a loop, with the names that a tape needs."""

from __future__ import annotations

import asyncio

from liveproof_sim.kernel.choices import Entry, Kind
from liveproof_sim.kernel.jobs import Job
from liveproof_sim.kernel.loop import Observer, SimLoop
from liveproof_sim.kernel.naming import Labels, site_of
from liveproof_sim.trace.events import Event, Trace

__all__ = ["Recorder", "name_of"]


def name_of(entry: Entry, labels: Labels) -> tuple[str, str, str, str]:
    """Of an entry: its kind, who it is, ``file:line``, and the place in words."""
    callback = entry[1]
    if entry[3] is not None:
        task = getattr(callback, "__self__", None)
        if isinstance(task, asyncio.Task):
            site = site_of(task)
            return "step", labels.of(task), str(site), site.key
        if isinstance(callback, Job):
            return "thread", callback.name, "", "(body)"
        job = getattr(getattr(callback, "func", None), "__self__", None)
        if isinstance(job, Job):
            return "thread", job.name, "", "(completion)"
        owner = getattr(callback, "__qualname__", type(callback).__name__)
        return "callback", owner.rpartition("<locals>.")[2], "", ""
    inner = callback._callback
    function = getattr(inner, "func", inner)
    name = getattr(function, "__qualname__", None) or type(function).__name__
    return "callback", name.rpartition("<locals>.")[2], "", ""


class Recorder(Observer):
    """Make one per execution: it attaches itself to the loop and its choices."""

    def __init__(self, loop: SimLoop) -> None:
        self.trace = Trace()
        self.labels = Labels(loop.tasks)
        self._loop = loop
        loop.observer = self
        loop.choices.told = self.drawn

    def before(self, entry: Entry | None, chosen: int, options: int) -> None:
        loop = self._loop
        kind, who, site, place = ("clock", "clock", "", "") if entry is None else name_of(entry, self.labels)
        overtook = ""
        if chosen and loop._ready:
            _, first, at, first_place = name_of(loop._ready[0], self.labels)
            overtook = f"{first} ({at}: {first_place})" if at else first
        self.trace.events.append(
            Event(loop.steps, loop.now_ns, kind, who, site, place, chosen, options, overtook)
        )

    def drawn(self, kind: Kind, label: str, chosen: int, options: int) -> None:
        """A decision that is no step."""
        loop = self._loop
        self.trace.events.append(
            Event(loop.steps, loop.now_ns, "draw", label, "", kind.value, chosen, options)
        )
