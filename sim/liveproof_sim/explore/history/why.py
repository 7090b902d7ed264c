"""Why a proof took the executions that it took: where tasks took turns, what steps conflicted about, and where.

Kept on request only: every access then looks up the line of source that made it, which makes an execution several
times slower.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections import Counter
from collections.abc import Callable, Hashable
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from liveproof_sim.explore.history.events import Event
from liveproof_sim.kernel.accesses import WORLD, modes_conflict
from liveproof_sim.kernel.choices import Entry
from liveproof_sim.kernel.naming import site_of

__all__ = ["Conflict", "Placed", "Why"]

_OWN = str(Path(__file__).resolve().parents[2])
_LIBRARY = str(Path(asyncio.__file__).resolve().parent)


class Conflict(NamedTuple):
    """Two places of the source that can not change places, and what they touch."""

    resource: str
    here: str
    """file:line, and the function"""
    there: str

    def __str__(self) -> str:
        return f"{self.resource}: {self.here} and {self.there}"


class Placed(dict[Hashable, int]):
    """A footprint that knows which line touched what first."""

    __slots__ = ("places",)

    def __init__(self) -> None:
        super().__init__()
        self.places: dict[Hashable, str] = {}

    def __setitem__(self, resource: Hashable, modes: int) -> None:
        if self.get(resource) != modes:
            self.places[resource] = _place(sys._getframe(1))
        super().__setitem__(resource, modes)


def _place(frame: FrameType | None) -> str:
    """The innermost line that is neither ours nor asyncio's."""
    innermost = frame
    while frame is not None and frame.f_code.co_filename.startswith((_OWN, _LIBRARY)):
        frame = frame.f_back
    frame = frame or innermost
    assert frame is not None, "somebody has touched it"
    code = frame.f_code
    return f"{Path(code.co_filename).name}:{frame.f_lineno} {code.co_qualname.rpartition('<locals>.')[2]}"


class Why:
    """What an exploration has to say of itself."""

    def __init__(self) -> None:
        self.points: Counter[str] = Counter()
        """where tasks were waiting when a step of theirs began, and how many did"""
        self.conflicts: Counter[Conflict] = Counter()
        """pairs of steps that had to be turned round, by what they conflicted about"""
        self._lines: dict[tuple[str, int], None] = {}

    def stepped(self, entry: Entry | None) -> None:
        """A step begins. ``None``: of the clock."""
        task = getattr(entry[1], "__self__", None) if entry is not None else None
        if not isinstance(task, asyncio.Task):
            return
        site = site_of(task)
        if site.file.startswith(_OWN):
            return
        self.points[f"{Path(site.file).name}:{site.line} {site.function}: {site.text}"] += 1
        self._lines[site.file, site.line] = None

    def raced(self, earlier: Event, later: Event) -> None:
        """Two steps race; the other order is another class."""
        before, after = earlier.footprint, later.footprint
        for resource, modes in after.items():
            if resource in before and modes_conflict(modes, before[resource]):
                self._note(_words(resource), _of(before, resource), _of(after, resource))
        if WORLD in before or WORLD in after:
            self._note(WORLD, _of(before, WORLD), _of(after, WORLD))

    def _note(self, resource: str, *places: str) -> None:
        here, there = sorted(places)
        self.conflicts[Conflict(resource, here, there)] += 1

    def unvisited(self, scenario: Callable[..., Any]) -> list[str]:
        """Lines of the scenario with an ``await`` at which no task ever waited."""
        try:
            lines, first = inspect.getsourcelines(scenario)
            filename = inspect.getsourcefile(scenario) or ""
        except (OSError, TypeError):
            return []
        return [
            f"{Path(filename).name}:{first + at} {line.strip()}"
            for at, line in enumerate(lines)
            if "await " in line.partition("#")[0] and (filename, first + at) not in self._lines
        ]

    def told(self, scenario: Callable[..., Any]) -> str:
        """For people."""
        lines = ["steps began at"]
        lines += [f"  {count:>7}  {place}" for place, count in self.points.most_common(25)]
        lines.append("orders differ because of")
        lines += [f"  {count:>7}  {conflict}" for conflict, count in self.conflicts.most_common(25)]
        unvisited = self.unvisited(scenario)
        if unvisited:
            lines += ["nobody ever waited at", *(f"           {place}" for place in unvisited[:10])]
        return "\n".join(lines)


def _of(footprint: Any, resource: Hashable) -> str:
    return footprint.places.get(resource, "elsewhere") if isinstance(footprint, Placed) else "elsewhere"


def _words(resource: Hashable) -> str:
    """What was touched, without which of its kind it is: ``Limiter._used``, ``dict[...]``."""
    match resource:
        case (("variable" | "global"), *_, str(name)):
            return name
        case ((str(kind), *_), "[]", key):
            return f"{kind}[{key!r}]"[:60]
        case ((str(kind), *_), str(name)):
            return f"{kind}.{name}"
        case (str(kind), *_):
            return kind
        case _:
            return str(resource)[:60]
