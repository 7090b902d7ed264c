"""Names that survive edits: of tasks, and of the places where they wait.

A task is called after its coroutine function and how many such tasks came before it (``worker#2``), or as the
user named it. A place is the function and the text of the line, not its number: adding lines above does not
rename it. Names are made when somebody asks for them, in the order in which the tasks were made.
"""

from __future__ import annotations

import asyncio
import functools
import linecache
import re
from pathlib import Path
from types import CodeType, CoroutineType, FrameType, GeneratorType
from typing import Any, NamedTuple

__all__ = ["Labels", "Site", "site_of"]

_DEFAULT_NAME = re.compile(r"Task-\d+")
_SKIPPED = (str(Path(asyncio.__file__).resolve().parent), str(Path(__file__).resolve().parents[1]))


_AWAITS = ("cr_await", "gi_yieldfrom", "ag_await")


class Site(NamedTuple):
    """Where a task waits."""

    function: str
    text: str
    file: str
    line: int

    @property
    def key(self) -> str:
        """What identifies it in a tape."""
        return f"{self.function}: {self.text}" if self.text else self.function

    def __str__(self) -> str:
        return f"{_base(self.file)}:{self.line}" if self.file else self.function


@functools.cache
def _base(file: str) -> str:
    return Path(file).name


class Labels:
    """Names of the tasks of one execution."""

    def __init__(self, tasks: list[asyncio.Task[Any]]) -> None:
        self._tasks = tasks
        self._seen = 0
        self._names: dict[asyncio.Task[Any], str] = {}
        self._counts: dict[str, int] = {}

    def of(self, task: asyncio.Task[Any]) -> str:
        """Its name, the same each time, and in each execution with the same choices."""
        name = self._names.get(task)
        if name is None:
            while self._seen < len(self._tasks):
                self._name(self._tasks[self._seen])
                self._seen += 1
            name = self._names.get(task) or self._name(task)
        return name

    def _name(self, task: asyncio.Task[Any]) -> str:
        given = task.get_name()
        base = _function_name(task.get_coro()) if _DEFAULT_NAME.fullmatch(given) else given
        number = self._counts[base] = self._counts.get(base, 0) + 1
        self._names[task] = name = base if number == 1 and base == given else f"{base}#{number}"
        return name


def _function_name(coro: Any) -> str:
    name: str = getattr(coro, "__qualname__", None) or type(coro).__name__
    return name.rpartition("<locals>.")[2]


def frames_of(coro: Any) -> list[FrameType]:
    """The frames of a suspended coroutine, outermost first."""
    frames: list[FrameType] = []
    while coro is not None:
        frame = _first(coro, "cr_frame", "gi_frame", "ag_frame")
        if frame is not None:
            frames.append(frame)
        coro = _first(coro, *_AWAITS)
    return frames


def _first(coro: Any, *names: str) -> Any:
    """The first of these attributes that is there and not None."""
    for name in names:
        value = getattr(coro, name, None)
        if value is not None:
            return value
    return None


_sites: dict[tuple[CodeType, int, bool], Site] = {}
_skipped: dict[CodeType, bool] = {}


def site_of(task: asyncio.Task[Any]) -> Site:
    """Where it waits now: the innermost line that is neither asyncio's nor ours. Remembered per line of
    code."""
    coro: Any = task.get_coro()
    outermost = coro
    best = last = None
    while coro is not None:
        kind = type(coro)
        if kind is CoroutineType:
            frame, coro = coro.cr_frame, coro.cr_await
        elif kind is GeneratorType:
            frame, coro = coro.gi_frame, coro.gi_yieldfrom
        else:
            frame, coro = _first(coro, "cr_frame", "gi_frame", "ag_frame"), _first(coro, *_AWAITS)
        if frame is not None:
            last = frame
            code = frame.f_code
            skipped = _skipped.get(code)
            if skipped is None:
                skipped = _skipped[code] = code.co_filename.startswith(_SKIPPED)
            if not skipped:
                best = frame
    if last is None:
        return Site(_function_name(outermost), "", "", 0)
    frame = best or last
    key = (frame.f_code, frame.f_lineno, last is frame)
    site = _sites.get(key)
    if site is None:
        site = _sites[key] = _site(*key)
    return site


def _site(code: CodeType, line: int, innermost: bool) -> Site:
    function = getattr(code, "co_qualname", code.co_name).rpartition("<locals>.")[2]
    if innermost and line == code.co_firstlineno:
        return Site(function, "(start)", code.co_filename, line)
    return Site(function, linecache.getline(code.co_filename, line).strip(), code.co_filename, line)
