"""What asyncio's primitives do not remember: who holds a lock, who woke nobody, and when a ring closes.

While :func:`track_holders` is on, ``asyncio.Lock`` notes its holder, and ``Event.set`` and
``Condition.notify`` note who called them when nobody waited. A task that has to wait for a lock is looked at:
if the holders wait for each other in a ring, nobody in it goes on, and the run is stopped after this step,
whatever else could run. That is certain only while nobody would give up: a ring is left alone as long as any
timeout is pending, or one of its tasks is cancelled. Taken for granted: whoever acquired a lock releases it.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from asyncio import tasks as asyncio_tasks
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from liveproof_sim.errors import DeadlockError

__all__ = ["Missed", "holder_of", "missed_by", "track_holders"]

_HOLDER = "_liveproof_sim_holder"
_MISSED = "_liveproof_sim_missed"
_LIBRARY = str(Path(asyncio.__file__).resolve().parent)

_Task = asyncio.Task[Any]


class Missed(NamedTuple):
    """Somebody woke the waiters of a primitive, and there were none."""

    task: _Task | None
    file: str
    line: int

    @property
    def site(self) -> str:
        """Where."""
        return f"{Path(self.file).name}:{self.line}"


def holder_of(lock: object) -> _Task | None:
    """Who holds it, as far as known."""
    holder: _Task | None = getattr(lock, _HOLDER, None)
    return holder


def missed_by(primitive: object) -> Missed | None:
    """The last wake-up that woke nobody, if no other has woken somebody since."""
    missed: Missed | None = getattr(primitive, _MISSED, None)
    return missed


@contextlib.contextmanager
def track_holders() -> Iterator[None]:
    """Have asyncio's primitives take notes."""
    blocked: dict[_Task, asyncio.Lock] = {}
    patches: list[tuple[Any, str, Any]] = [
        (asyncio.Lock, "acquire", _acquire(blocked)),
        (asyncio.Lock, "release", _release()),
        (asyncio.Event, "set", _waking(asyncio.Event.set)),
        (asyncio.Condition, "notify", _waking(asyncio.Condition.notify)),
    ]
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in patches]
    for owner, name, noting in patches:
        setattr(owner, name, noting)
    try:
        yield
    finally:
        for owner, name, real in before:
            setattr(owner, name, real)


def _acquire(blocked: dict[_Task, asyncio.Lock]) -> Callable[..., Any]:
    acquire = asyncio.Lock.acquire

    async def noting_acquire(self: asyncio.Lock) -> Any:
        task = asyncio.current_task()
        if task is not None and holder_of(self) is not None:
            blocked[task] = self
            try:
                if ring := _ring(task, blocked):
                    _stop_after_this_step(ring)
                got = await acquire(self)
            finally:
                del blocked[task]
        else:
            got = await acquire(self)
        setattr(self, _HOLDER, task)
        return got

    return noting_acquire


def _release() -> Callable[..., Any]:
    release = asyncio.Lock.release

    def noting_release(self: asyncio.Lock) -> None:
        release(self)
        setattr(self, _HOLDER, None)

    return noting_release


def _waking(wake: Callable[..., Any]) -> Callable[..., Any]:
    def noting_wake(self: Any, *args: Any) -> None:
        if self._waiters:
            setattr(self, _MISSED, None)
        else:
            frame = sys._getframe(1)
            while frame.f_back is not None and frame.f_code.co_filename.startswith(_LIBRARY):
                frame = frame.f_back  # notify_all() calls notify()
            try:
                task = asyncio.current_task()
            except RuntimeError:  # no loop runs: in a thread
                task = None
            setattr(self, _MISSED, Missed(task, frame.f_code.co_filename, frame.f_lineno))
        wake(self, *args)

    return noting_wake


def _ring(task: _Task, blocked: dict[_Task, asyncio.Lock]) -> list[_Task]:
    """The tasks that wait for each other now that this one waits; empty if it closes no ring."""
    ring = [task]
    while True:
        holder = holder_of(blocked[ring[-1]])
        if holder is task:
            return ring
        if holder is None or holder not in blocked or holder in ring:
            return []
        ring.append(holder)


def _stop_after_this_step(ring: list[_Task]) -> None:
    loop: Any = asyncio.get_running_loop()
    if not getattr(loop, "_deciding", False):
        return  # the clean-up after a run, or no loop of ours
    before = loop.after_step

    def look() -> None:
        loop.after_step = before
        others = loop._ready or loop._lane or loop._held or loop.next_deadline_ns() is not None
        closed = not any(each.done() or each.cancelling() for each in ring)
        if others and closed and not _gives_up(loop):  # without others, the loop will see for itself
            raise DeadlockError("these tasks wait for each other")
        if before is not None:
            before()

    loop.after_step = look


def _gives_up(loop: Any) -> bool:
    """Whether some timeout is pending."""
    for _, _, timer in loop._timers:
        callback = timer._callback
        if timer._cancelled:
            continue
        if callback is asyncio_tasks._release_waiter or isinstance(  # type: ignore[attr-defined]
            getattr(callback, "__self__", None), asyncio.Timeout
        ):
            return True
    return False
