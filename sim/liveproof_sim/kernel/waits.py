"""Who waits for what, held by whom, where.

Read from the frames of suspended coroutines: the innermost method of an asyncio primitive (or ``park``) says
what is waited for; ``holders.py`` knows who holds a lock, and who woke the waiters before there were any. Not
seen: who will set an event or a plain future; a semaphore's holders.
"""

from __future__ import annotations

import asyncio
from types import FrameType
from typing import Any, NamedTuple

from liveproof_sim.kernel.holders import holder_of, missed_by
from liveproof_sim.kernel.naming import Labels, Site, frames_of, site_of

__all__ = ["Wait", "cycle_of", "explain", "explain_ring", "places_of", "waits_of"]


class Wait(NamedTuple):
    """One task that waits."""

    task: str
    on: str
    site: Site
    holders: tuple[str, ...]
    """tasks that have to do something first, as far as known"""
    cancelled: int
    """how often it was cancelled, and went on"""
    note: str = ""
    """why it may wait for ever: the wake-up came before, or the holder has ended"""

    def __str__(self) -> str:
        awaited = self.on.startswith("task")  # then they are named already
        held = f", held by {' and '.join(self.holders)}" if self.holders and not awaited else ""
        went_on = ", although it was cancelled" if self.cancelled else ""
        return f"{self.task} waits for {self.on}{held} ({self.site}){went_on}{self.note}"


def waits_of(tasks: list[asyncio.Task[Any]], labels: Labels | None = None) -> list[Wait]:
    """All tasks that have begun, have not ended, and wait for something."""
    labels = labels or Labels(tasks)
    found: list[Wait] = []
    for task in tasks:
        waiter = getattr(task, "_fut_waiter", None)
        if task.done() or waiter is None:
            continue
        on, owners, note = _what(task, waiter, labels)
        holders = tuple(labels.of(owner) for owner in owners if not owner.done())
        found.append(Wait(labels.of(task), on, site_of(task), holders, task.cancelling(), note))
    return found


def cycle_of(waits: list[Wait]) -> list[str]:
    """A closed ring of tasks that wait for each other, if there is one."""
    import networkx  # noqa: PLC0415 - a third of the time that importing the simulator takes, and seldom needed

    graph: networkx.DiGraph[str] = networkx.DiGraph()
    for wait in waits:
        # A wait for several tasks (gather) goes on only after all: any one of them may close the ring.
        graph.add_edges_from((wait.task, holder) for holder in wait.holders)
    try:
        return [edge[0] for edge in networkx.find_cycle(graph)]
    except networkx.NetworkXNoCycle:
        return []


def explain(tasks: list[asyncio.Task[Any]], labels: Labels | None = None) -> str:
    """One line per waiting task, and the ring, if there is one."""
    waits = waits_of(tasks, labels)
    ring = cycle_of(waits)
    lines = [
        f"nothing can run any more, and {_count(len(waits), 'task')} still wait{'s' * (len(waits) == 1)}:"
    ]
    lines += [f"  {wait}" for wait in waits]
    if ring:
        lines.append(f"  ring: {' -> '.join([*ring, ring[0]])}")
    return "\n".join(lines)


def explain_ring(tasks: list[asyncio.Task[Any]], labels: Labels | None = None) -> str:
    """The ring, if there is one, and the waits that make it; else nothing."""
    waits = waits_of(tasks, labels)
    ring = cycle_of(waits)
    if not ring:
        return ""
    lines = [f"these tasks wait for each other, while others still run: {' -> '.join([*ring, ring[0]])}"]
    return "\n".join([*lines, *(f"  {wait}" for wait in waits if wait.task in ring)])


def places_of(tasks: list[asyncio.Task[Any]], labels: Labels) -> list[str]:
    """Where a deadlock is: the places of the ring, or, if there is none, of all that have not ended."""
    waits = waits_of(tasks, labels)
    ring = cycle_of(waits)
    places = [wait.site.key for wait in waits if wait.task in ring] or [
        site_of(task).key for task in tasks if not task.done()
    ]
    return sorted(dict.fromkeys(places))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _what(
    task: asyncio.Task[Any], waiter: Any, labels: Labels
) -> tuple[str, list[asyncio.Task[Any]], str]:
    """What it waits for, in words; the tasks it depends on; and why it may wait for ever."""
    if isinstance(waiter, asyncio.Task):
        return f"task {labels.of(waiter)}", [waiter], ""
    children = [each for each in getattr(waiter, "_children", ()) if isinstance(each, asyncio.Task)]
    if children:
        names = [labels.of(each) for each in children if not each.done()]
        return f"tasks {', '.join(names)}", [each for each in children if not each.done()], ""
    frames = frames_of(task.get_coro())
    for frame in reversed(frames):
        name, local = frame.f_code.co_name, frame.f_locals
        if name in ("park", "_pass") and "on" in local:
            holder = getattr(local["on"], "_holder", None)
            return _worded(local["on"]), [holder] if isinstance(holder, asyncio.Task) else [], ""
        primitive = local.get("self")
        if isinstance(primitive, _PRIMITIVES) and name in _VERBS:
            holder = holder_of(primitive)
            called = f"{type(primitive).__name__} {_variable(primitive, frames)}".strip()
            if holder is not None and holder.done():
                return called, [], f"; {labels.of(holder)} took it, and has ended"
            return called, [holder] if holder is not None else [], _missed(primitive, labels)
        if name == "sleep" and frame.f_code.co_filename.endswith("tasks.py"):
            return "a timer", [], ""
    called = _variable(waiter, frames)
    return f"a future {called}".strip(), [], ""


def _missed(primitive: object, labels: Labels) -> str:
    missed = missed_by(primitive)
    if missed is None:
        return ""
    by = f" by {labels.of(missed.task)}" if missed.task is not None else ""
    if isinstance(primitive, asyncio.Event):
        return f"; it was set{by} ({missed.site}) when nobody waited, and cleared"
    return f"; it was notified{by} ({missed.site}) when nobody waited"


_PRIMITIVES = (
    asyncio.Lock,
    asyncio.Event,
    asyncio.Condition,
    asyncio.Semaphore,
    asyncio.Queue,
    asyncio.Barrier,
)
_VERBS = ("acquire", "wait", "get", "put", "join", "_wait", "_block")


def _worded(on: object) -> str:
    return on if isinstance(on, str) else repr(on)


def _variable(thing: object, frames: list[FrameType]) -> str:
    """What the program calls it: a local variable, or an attribute of ``self``."""
    for frame in reversed(frames):
        for name, value in frame.f_locals.items():
            if value is thing and name != "self":
                return f"{name!r}"
        owner = frame.f_locals.get("self")
        for name, value in getattr(owner, "__dict__", {}).items():
            if value is thing:
                return f"'self.{name}'"
        for name, value in frame.f_globals.items():
            if value is thing:
                return f"{name!r}"
    return ""
