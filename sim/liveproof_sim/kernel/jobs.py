"""Blocking work: what runs in threads elsewhere. Its body is a step of its own, and so is its completion.

A body runs in one go, outside of any task and loop, as it would in a thread. What it sleeps (``time.sleep``,
see ``fence.py``) delays its completion. Real threads race inside a body, too; that is not explored.
"""

from __future__ import annotations

import asyncio
from asyncio import events
from collections.abc import Callable
from contextvars import Context, copy_context
from functools import partial
from typing import Any, Protocol

__all__ = ["Job", "JobLoop", "Jobs"]


class JobLoop(Protocol):
    """What jobs need of the loop, which has them."""

    now_ns: int

    def add_external(self, callback: Callable[[], None], context: Context | None = None) -> None: ...

    def call_at_ns(self, when_ns: int, callback: Any, *args: Any) -> Any: ...

    def create_future(self) -> asyncio.Future[Any]: ...


class Job:
    """One call."""

    __slots__ = ("_args", "_jobs", "began", "ended", "function", "future", "name", "slept_ns")

    def __init__(self, jobs: Jobs, fn: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self._jobs = jobs
        self.function = fn
        self._args = args
        self.name = jobs.number(_name_of(fn))
        self.future: asyncio.Future[Any] = jobs.loop.create_future()
        self.began = False
        self.ended = False  # Invariant: only after began.
        self.slept_ns = 0

    def __call__(self) -> None:
        """The body, unless nobody wants it any more: a call that has not begun is given up, as in a pool."""
        if self.future.cancelled():
            return
        jobs = self._jobs
        self.began = True
        result: Any = None
        error: BaseException | None = None
        jobs.running = self
        events._set_running_loop(None)
        try:
            result = self.function(*self._args)
        except BaseException as raised:
            if isinstance(raised, (SystemExit, KeyboardInterrupt)):
                raise
            error = raised
        finally:
            events._set_running_loop(jobs.loop)  # type: ignore[arg-type]
            jobs.running = None

        complete = partial(self.complete, result, error)
        if self.slept_ns:
            loop = jobs.loop
            loop.call_at_ns(loop.now_ns + self.slept_ns, complete)
        else:
            jobs.loop.add_external(complete)

    def complete(self, result: Any, error: BaseException | None) -> None:
        """Hand the result over."""
        self.ended = True
        if self.future.done():
            return
        if error is None:
            self.future.set_result(result)
        elif isinstance(error, StopIteration):
            self.future.set_exception(RuntimeError(f"{self.name} raised StopIteration"))
        else:
            self.future.set_exception(error)


class Jobs:
    """The blocking work of one loop."""

    def __init__(self, loop: JobLoop) -> None:
        self.loop = loop
        self.running: Job | None = None
        self._counts: dict[str, int] = {}
        self.signals: dict[int, tuple[Callable[..., Any], tuple[Any, ...]]] = {}

    def number(self, name: str) -> str:
        """The name of the next call of this function."""
        count = self._counts[name] = self._counts.get(name, 0) + 1
        return f"{name}#{count}"

    def start(self, fn: Callable[..., Any], args: tuple[Any, ...]) -> Job:
        """Make the body ready."""
        job = Job(self, fn, args)
        self.loop.add_external(job, copy_context())
        return job


def _name_of(fn: Any) -> str:
    inner = getattr(fn, "func", fn)
    if getattr(inner, "__name__", "") == "run" and getattr(fn, "args", None):
        inner = fn.args[0]  # asyncio.to_thread: partial(context.run, fn, ...)
    return getattr(inner, "__qualname__", None) or type(inner).__name__
