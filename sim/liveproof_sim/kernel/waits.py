"""Who waits for what, held by whom, where.

Read from the frames of suspended coroutines: the innermost method of an asyncio primitive (or ``park``) says
what is waited for. Locks do not know their holders, so while :func:`track_holders` is on, ``asyncio.Lock``
notes them. Not seen: who will set an event or a plain future; a semaphore's holders.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from types import FrameType
from typing import Any, NamedTuple

from liveproof_sim.kernel.naming import Labels, Site, frames_of, site_of

__all__ = ["Wait", "cycle_of", "explain", "track_holders", "waits_of"]

_HOLDER = "_liveproof_sim_holder"


class Wait(NamedTuple):
    """One task that waits."""

    task: str
    on: str
    site: Site
    holders: tuple[str, ...]
    """tasks that have to do something first, as far as known"""
    cancelled: int
    """how often it was cancelled, and went on"""

    def __str__(self) -> str:
        awaited = self.on.startswith("task")  # then they are named already
        held = f", held by {' and '.join(self.holders)}" if self.holders and not awaited else ""
        went_on = ", although it was cancelled" if self.cancelled else ""
        return f"{self.task} waits for {self.on}{held} ({self.site}){went_on}"


@contextlib.contextmanager
def track_holders() -> Iterator[None]:
    """Have ``asyncio.Lock`` note who holds it."""
    acquire, release = asyncio.Lock.acquire, asyncio.Lock.release

    async def noting_acquire(self: asyncio.Lock) -> Any:
        got = await acquire(self)
        setattr(self, _HOLDER, asyncio.current_task())
        return got

    def noting_release(self: asyncio.Lock) -> None:
        release(self)
        setattr(self, _HOLDER, None)

    asyncio.Lock.acquire, asyncio.Lock.release = noting_acquire, noting_release  # type: ignore[method-assign]
    try:
        yield
    finally:
        asyncio.Lock.acquire, asyncio.Lock.release = acquire, release  # type: ignore[method-assign]


def waits_of(tasks: list[asyncio.Task[Any]], labels: Labels | None = None) -> list[Wait]:
    """All tasks that have begun, have not ended, and wait for something."""
    labels = labels or Labels(tasks)
    found: list[Wait] = []
    for task in tasks:
        waiter = getattr(task, "_fut_waiter", None)
        if task.done() or waiter is None:
            continue
        on, owners = _what(task, waiter, labels)
        holders = tuple(labels.of(owner) for owner in owners if not owner.done())
        found.append(Wait(labels.of(task), on, site_of(task), holders, task.cancelling()))
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


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _what(task: asyncio.Task[Any], waiter: Any, labels: Labels) -> tuple[str, list[asyncio.Task[Any]]]:
    """What it waits for, in words, and the tasks it depends on."""
    if isinstance(waiter, asyncio.Task):
        return f"task {labels.of(waiter)}", [waiter]
    children = [each for each in getattr(waiter, "_children", ()) if isinstance(each, asyncio.Task)]
    if children:
        names = [labels.of(each) for each in children if not each.done()]
        return f"tasks {', '.join(names)}", [each for each in children if not each.done()]
    frames = frames_of(task.get_coro())
    for frame in reversed(frames):
        name, local = frame.f_code.co_name, frame.f_locals
        if name == "park" and "on" in local:
            holder = getattr(local["on"], "_holder", None)
            return _worded(local["on"]), [holder] if isinstance(holder, asyncio.Task) else []
        primitive = local.get("self")
        if isinstance(primitive, _PRIMITIVES) and name in _VERBS:
            holder = getattr(primitive, _HOLDER, None)
            called = _variable(primitive, frames)
            return f"{type(primitive).__name__} {called}".strip(), [holder] if holder is not None else []
        if name == "sleep" and frame.f_code.co_filename.endswith("tasks.py"):
            return "a timer", []
    called = _variable(waiter, frames)
    return f"a future {called}".strip(), []


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
