"""What the events so far say: operations, live components, and what should be where."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Any

from liveproof_sim.properties.contract.reading import Path

__all__ = ["Book", "Component", "Fate", "Live", "Op", "below"]


def below(path: Path, above: Path) -> bool:
    """Whether ``path`` is ``above``, or below it."""
    return path[: len(above)] == above


class Fate(enum.Enum):
    """What has become of an operation."""

    QUEUED = "invoked"
    RUNNING = "started"
    ENDED = "ended"
    REPLACED = "replaced"
    DROPPED = "dropped"


@dataclass(slots=True)
class Op:
    """One call of an operator."""

    seq: int
    kind: str
    sub: Path | None
    fate: Fate = Fate.QUEUED
    by: int = 0
    """the one that replaced it"""
    at: int = 0
    """number of the event with which it started"""
    applied: int = 0
    """how many actions targets had applied then"""

    def __str__(self) -> str:
        return f"#{self.seq} {self.kind}{'' if self.sub is None else f' {self.sub!r}'}"


@dataclass(slots=True)
class Live:
    """One life of a live component."""

    path: Path
    live: bool
    ops: dict[int, Op] = field(default_factory=dict)
    marked: int | None = None
    """how many operations had been invoked when ``mark_ready()`` was first called"""
    ready: bool = False
    returned: bool = False
    ended: bool = False

    def outcome(self, seq: int) -> Op | None:
        """The operation that stands in for this one: itself, or what replaced it in the end."""
        op = self.ops.get(seq)
        while op is not None and op.fate is Fate.REPLACED:
            op = self.ops.get(op.by)
        return op


@dataclass(slots=True)
class Component:
    """A component that has begun, and has not been deleted since."""

    path: Path
    parent: Path | None
    declared: dict[Path, Any] = field(default_factory=dict)
    """by its last cycle that succeeded"""
    under: tuple[Path, int] | None = None
    """live component and operation that its last cycle is part of"""
    complete: bool = False
    """whether any cycle has"""
    at: int = 0
    """number of the event with which that ended"""
    mounted: dict[Path, None] = field(default_factory=dict)
    """by that"""
    began: int = 0
    """number of the event with which its last cycle began"""
    applied: int = 0
    """how many actions targets had applied when its last cycle began"""
    retained: int = 0
    """states that a memo kept: what they are is not known here"""


class Book:
    """All of it, kept up to date by :meth:`note`."""

    def __init__(self) -> None:
        self.number = 0
        """of the events so far"""
        self.applied: list[tuple[Path, Any]] = []
        """target states and values, as targets have applied them"""
        self.lives: dict[Path, Live] = {}
        self.components: dict[Path, Component] = {}
        self.cycles: dict[Path, dict[Any, int]] = {}
        """path → cycles that run now, by identity, and the number of the event with which each started"""
        self.failed: dict[Path, int] = {}
        """failed deletions → number of the event; until they succeed"""
        self.deleted: dict[Path, int] = {}
        """deletions → number of the event"""
        self.broken: dict[Path, BaseException] = {}
        """components whose last cycle failed, and by what"""
        self.troubled = False
        """whether anything has failed yet: then an owner may be one that the book does not know of"""
        self.contested: dict[Path, None] = {}
        """target states that more than one component has declared, ever: whose they are in the end is a matter
        of ORD-1"""
        self._first: dict[Path, Path] = {}
        self._notes = {
            "cycle.start": self._cycle_start,
            "cycle.end": self._cycle_end,
            "delete": self._delete,
            "delete.failed": self._delete_failed,
            "live.start": self._live_start,
            "live.return": self._live_return,
            "live.end": self._live_end,
            "mark_ready": self._mark_ready,
            "operation": self._operation,
            "operation.dropped": self._operation_dropped,
            "operation.end": self._operation_end,
            "operation.replaced": self._operation_replaced,
            "operation.start": self._operation_start,
            "ready": self._ready,
            "submit": self._submit,
        }

    def note(self, kind: str, path: Path, facts: dict[str, Any]) -> None:
        """An event has happened."""
        self.number += 1
        take = self._notes.get(kind)
        if take is not None:
            take(path, facts)

    # ---- components

    def _cycle_start(self, path: Path, facts: dict[str, Any]) -> None:
        self.cycles.setdefault(path, {})[facts["cycle"]] = self.number
        component = self.components.get(path)
        if component is None:
            component = self.components[path] = Component(path, facts["parent"])
        component.parent = facts["parent"]
        component.under = None if facts["controller"] is None else (facts["controller"], facts["seq"])
        component.began = self.number
        component.applied = len(self.applied)

    def _cycle_end(self, path: Path, facts: dict[str, Any]) -> None:
        running = self.cycles.get(path)
        began = None if running is None else running.pop(facts["cycle"], None)
        if running is not None and not running:
            del self.cycles[path]
        if facts["failure"] is not None:
            self.broken[path] = facts["failure"]
            self.troubled = True
            return
        self.broken.pop(path, None)
        if facts["carried"] or began is None:
            return
        component = self.components.get(path)
        if component is None:  # deleted meanwhile, which a monitor has seen
            component = self.components[path] = Component(path, None)
        component.declared = dict(facts["declared"])
        for state in list(component.declared):
            if state in self.contested:
                self._claim(state, component)
        component.retained = facts["retained"]
        component.complete = True
        component.at = self.number
        component.mounted = dict.fromkeys(facts["mounted"])
        for child in facts["mounted"]:
            if child in self.components:
                self.components[child].parent = path

    def _submit(self, path: Path, facts: dict[str, Any]) -> None:
        for state in facts["states"]:
            if self._first.setdefault(state, path) != path:
                self.contested[state] = None

    def _claim(self, state: Path, component: Component) -> None:
        """A target state belongs to whoever declared it under the latest operation."""
        for other in self.claimants(state):
            if other is component:
                continue
            ours, theirs = component.under, other.under
            if ours is not None and theirs is not None and ours[0] == theirs[0] and ours[1] < theirs[1]:
                component.declared.pop(state, None)
            else:
                del other.declared[state]

    def _delete(self, path: Path, _facts: dict[str, Any]) -> None:
        self.components.pop(path, None)
        self.failed.pop(path, None)
        self.broken.pop(path, None)
        self.deleted[path] = self.number

    def _delete_failed(self, path: Path, _facts: dict[str, Any]) -> None:
        self.failed[path] = self.number
        self.troubled = True

    # ---- live components

    def _live_start(self, path: Path, facts: dict[str, Any]) -> None:
        self.lives[path] = Live(path, facts["live"])
        self.components.setdefault(path, Component(path, None))

    def _live_return(self, path: Path, _facts: dict[str, Any]) -> None:
        if path in self.lives:
            self.lives[path].returned = True

    def _live_end(self, path: Path, _facts: dict[str, Any]) -> None:
        if path in self.lives:
            self.lives[path].ended = True

    def _mark_ready(self, path: Path, facts: dict[str, Any]) -> None:
        live = self.lives[path]
        if live.marked is None:
            live.marked = facts["last"]

    def _ready(self, path: Path, _facts: dict[str, Any]) -> None:
        if path in self.lives:
            self.lives[path].ready = True

    # ---- operations

    def _operation(self, path: Path, facts: dict[str, Any]) -> None:
        op = Op(facts["seq"], facts["kind"], facts["sub"])
        self.lives[path].ops[op.seq] = op

    def _operation_start(self, path: Path, facts: dict[str, Any]) -> None:
        op = self.lives[path].ops[facts["seq"]]
        op.fate = Fate.RUNNING
        op.at = self.number
        op.applied = len(self.applied)

    def _operation_replaced(self, path: Path, facts: dict[str, Any]) -> None:
        op = self.lives[path].ops[facts["seq"]]
        op.fate = Fate.REPLACED
        op.by = facts["by"]

    def _operation_dropped(self, path: Path, facts: dict[str, Any]) -> None:
        self.lives[path].ops[facts["seq"]].fate = Fate.DROPPED

    def _operation_end(self, path: Path, facts: dict[str, Any]) -> None:
        self.lives[path].ops[facts["seq"]].fate = Fate.ENDED

    # ---- questions

    def alone(self, component: Component) -> bool:
        """Whether no other operation runs beside the last cycle of a component."""
        if component.under is None:
            return True
        live = self.lives.get(component.under[0])
        op = None if live is None else live.ops.get(component.under[1])
        return op is not None and op.kind == "update_full"

    def was(self, state: Path, value: Any, since: int) -> bool:
        """Whether a target has applied this since a place in ``applied``."""
        return any(each == (state, value) for each in self.applied[since:])

    def spoiled(self, path: Path) -> bool:
        """Whether a failure leaves open what the targets of a component hold."""
        return path in self.broken or any(below(each, path) for each in self.failed)

    def claimants(self, state: Path) -> list[Component]:
        """The components whose last successful cycle declared a target state."""
        return [each for each in self.components.values() if state in each.declared]
