"""The stack of a search as plain data, for a file, and back.

``{"resources": [resource …], "frames": [frame …]}``. A footprint is a list of pairs: the number of a resource in
that table, and modes. Of an event there is what decides how others commute with it; the rest belongs to the
execution in which it happened, and is worked out again in the next one. Resources are the names that
``kernel/accesses.py`` gives, so they mean the same in another process: strings, numbers, ``None``, bytes, members
of enumerations, and tuples of these.
"""

from __future__ import annotations

import enum
import pkgutil
from collections.abc import Hashable
from typing import Any

from liveproof_sim.errors import ResumeError
from liveproof_sim.explore.history import Event, Label
from liveproof_sim.explore.strategies.dpor.frames import Frame
from liveproof_sim.explore.strategies.dpor.tree import Branch
from liveproof_sim.kernel.accesses import Footprint

__all__ = ["frames_of", "stack"]

PLAIN = (str, int, float, bool, type(None))


def stack(frames: list[Frame]) -> dict[str, Any]:
    """As data.

    Raises:
        ResumeError: the name of a resource cannot be written down.
    """
    writer = _Writer()
    rows = [writer.frame(frame) for frame in frames]
    return {"resources": writer.resources, "frames": rows}


def frames_of(data: dict[str, Any]) -> list[Frame]:
    """The inverse."""
    resources = [_resource(each) for each in data["resources"]]
    return [_frame(row, resources) for row in data["frames"]]


class _Writer:
    def __init__(self) -> None:
        self.resources: list[Any] = []
        self._numbers: dict[Hashable, int] = {}

    def frame(self, frame: Frame) -> dict[str, Any]:
        row = {
            "sleep": [self._event(each) for each in frame.sleep.values()],
            "tree": [self._branch(each) for each in frame.tree],
            "event": None if frame.event is None else self._event(frame.event),
            "enabled": frame.enabled,
            "waiting": frame.waiting,
            "explored": [_label_row(label) for label in frame.explored],
            "spent": frame.spent,
            "again": frame.again,
        }
        return {name: value for name, value in row.items() if value}

    def _event(self, event: Event) -> list[Any]:
        return [event.process, list(event.draws), list(event.options), self._footprint(event.footprint)]

    def _branch(self, branch: Branch) -> list[Any]:
        footprint = None if branch.footprint is None else self._footprint(branch.footprint)
        passed = [[[self._event(each) for each in part] for part in asked] for asked in branch.passed]
        return [*_label_row(branch.label), footprint, [self._branch(each) for each in branch.children], passed]

    def _footprint(self, footprint: Footprint) -> list[list[int]]:
        return [[self._number(resource), modes] for resource, modes in footprint.items()]

    def _number(self, resource: Hashable) -> int:
        number = self._numbers.get(resource)
        if number is None:
            self.resources.append(_plain(resource, resource))
            number = self._numbers[resource] = len(self._numbers)
        return number


def _plain(thing: Any, whole: Hashable) -> Any:
    """Something that JSON can hold: tuples and whatever is none of its own as an object of one member."""
    if type(thing) in PLAIN:
        return thing
    if type(thing) is tuple:
        return {"tuple": [_plain(each, whole) for each in thing]}
    if type(thing) is bytes:
        return {"bytes": thing.hex()}
    kind = type(thing)
    if isinstance(thing, enum.Enum) and "<" not in kind.__qualname__:
        return {"enum": [f"{kind.__module__}:{kind.__qualname__}", thing.name]}
    raise ResumeError(
        f"{whole!r} is shared, and its key is of type {kind.__qualname__}, which cannot be written to a file: "
        "use keys of a plain type, or leave resume out"
    )


def _resource(data: Any) -> Any:
    if not isinstance(data, dict):
        return data
    ((kind, value),) = data.items()
    if kind == "tuple":
        return tuple(_resource(each) for each in value)
    if kind == "bytes":
        return bytes.fromhex(value)
    place, name = value
    return pkgutil.resolve_name(place)[name]


def _label_row(label: Label) -> list[Any]:
    return [label[0], list(label[1])]


def _frame(row: dict[str, Any], resources: list[Any]) -> Frame:
    sleep = [_event(each, resources) for each in row.get("sleep", [])]
    event = _event(row["event"], resources) if "event" in row else None
    return Frame(
        {each.label: each for each in sleep},
        [_branch(each, resources) for each in row.get("tree", [])],
        None if event is None else Branch(event.label, event.footprint),
        event,
        row.get("enabled", []),
        row.get("waiting", []),
        [(process, tuple(draws)) for process, draws in row.get("explored", [])],
        row.get("spent", {}),
        row.get("again", False),
    )


def _event(row: list[Any], resources: list[Any]) -> Event:
    process, draws, options, footprint = row
    return Event(process, tuple(draws), tuple(options), _footprint(footprint, resources), [], 0)


def _events(rows: list[Any], resources: list[Any]) -> list[Event]:
    return [_event(row, resources) for row in rows]


def _branch(row: list[Any], resources: list[Any]) -> Branch:
    process, draws, footprint, children, passed = row
    return Branch(
        (process, tuple(draws)),
        None if footprint is None else _footprint(footprint, resources),
        [_branch(each, resources) for each in children],
        [(_events(sequence, resources), _events(then, resources)) for sequence, then in passed],
    )


def _footprint(rows: list[list[int]], resources: list[Any]) -> Footprint:
    return {resources[number]: modes for number, modes in rows}
