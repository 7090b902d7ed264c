"""The sequential meaning of a program of operations (ORD-1): what the targets hold when its calls are executed
one at a time, in invocation order, each to its end.

It knows nothing of the runtime: a component is what it declares, what it mounts, and whether it fails. A
target state belongs to the component that declared it last; a component that loses one keeps the rest.

Failures leave something open, because a call that was replaced by a failing update has not run (ORD-4), and
the update (or the component below it that failed) has left everything as it was: :func:`meanings` has all that
a program may come to.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

__all__ = ["Call", "Model", "Part", "Path", "meaning", "meanings"]

Path: TypeAlias = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """A component: what it declares, what it mounts below itself, and whether it raises (before it mounts
    anything, unless it is ``process()``)."""

    number: int
    """unique in a program; components note it when they run"""
    cells: Mapping[str, Any] = field(default_factory=dict)
    below: Mapping[Path, Part] = field(default_factory=dict)
    fails: bool = False

    @property
    def stumbles(self) -> bool:
        """Whether it fails, or something below it: then what was there before stays, at least there."""
        return self.fails or any(child.stumbles for child in self.below.values())

    def __repr__(self) -> str:
        below = f" below {dict(self.below)!r}" if self.below else ""
        return f"<{self.number}: {dict(self.cells)!r}{below}{' fails' if self.fails else ''}>"


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the operator."""

    kind: Literal["full", "update", "delete"]
    sub: Path = ()
    part: Part | None = None
    """of an update: the child; of a full update: what ``process()`` declares and mounts"""

    def __repr__(self) -> str:
        what = "" if self.part is None else f" {self.part!r}"
        return f"{self.kind} {'/'.join(map(str, self.sub))}{what}"


class Model:
    """What is mounted where, and who owns which target state."""

    def __init__(self) -> None:
        self.mounted: dict[Path, Part] = {}
        """sub-path → what was mounted there by an operation or by ``process()``; below it, its own children"""
        self.owned: dict[Path, dict[str, Any]] = {}
        """component → target states that it owns; () is ``process()`` itself"""

    def apply(self, call: Call) -> None:
        """Execute one call to its end."""
        if call.kind == "delete":
            for path in [path for path in self.mounted if path[: len(call.sub)] == call.sub]:
                self._forget(path)
            return
        assert call.part is not None, "an update says what it mounts"
        if call.kind == "update":
            self._mount(call.sub, call.part)
        else:
            self._full(call.part)

    def _full(self, part: Part) -> None:
        """``process()``: its children first; then, unless it raises, what it declares and the collection."""
        for sub, child in part.below.items():
            self._mount(sub, child)
        if part.fails:
            return
        self._claim((), part.cells)
        for path in [path for path in self.mounted if path not in part.below]:
            self._forget(path)

    def _mount(self, path: Path, part: Part) -> None:
        """Run a component; one that raises does so before it mounts anything, and changes nothing."""
        if part.fails:
            return
        before = self.mounted.get(path)
        for sub, child in part.below.items():
            if not child.fails:
                self._claim((*path, *sub), child.cells)
        self._claim(path, part.cells)
        for sub in () if before is None else before.below:
            if sub not in part.below:
                self.owned.pop((*path, *sub), None)
        self.mounted[path] = part

    def _forget(self, path: Path) -> None:
        part = self.mounted.pop(path)
        self.owned.pop(path, None)
        for sub in part.below:
            self.owned.pop((*path, *sub), None)

    def _claim(self, path: Path, cells: Mapping[str, Any]) -> None:
        for other in self.owned.values():
            for key in cells:
                other.pop(key, None)
        self.owned[path] = dict(cells)

    def target(self) -> dict[str, Any]:
        """What the target holds."""
        return {key: value for cells in self.owned.values() for key, value in cells.items()}


def meaning(calls: Sequence[Call], skipped: Collection[int] = ()) -> dict[str, Any]:
    """What a program means, without the calls at some places of it."""
    model = Model()
    for place, call in enumerate(calls):
        if place not in skipped:
            model.apply(call)
    return model.target()


def meanings(calls: Sequence[Call], ran: Collection[int], *, moves: bool = False) -> list[dict[str, Any]]:
    """All that a program may mean, of which the parts numbered ``ran`` were seen to run.

    With ``moves``, components at different sub-paths declare the same target states. Then a call that was
    replaced has taken nothing from others, whatever replaced it: there ORD-4 wins over ORD-1, because nobody
    can know what a component that never ran would have declared.

    Exponential in the number of calls that failing updates may have replaced.
    """
    later: dict[int, int] = {}
    last: dict[Path, int] = {}
    for place in reversed(range(len(calls))):
        call = calls[place]
        if call.kind != "full":
            if call.sub in last:
                later[place] = last[call.sub]
            last[call.sub] = place

    def replaced_by_failure(place: int, skipped: Collection[int]) -> bool:
        """Whether what stands in for this call, in the end, has failed."""
        after = later.get(place)
        while after is not None and after in skipped:
            after = later.get(after)
        part = None if after is None else calls[after].part
        if part is None:
            return False
        # A deletion is not undone by what fails below its replacement; an update that never ran left nothing there.
        return part.fails if calls[place].kind == "delete" else part.stumbles

    def fits(skipped: Collection[int]) -> bool:
        for place, call in enumerate(calls):
            if place in skipped and not moves and not replaced_by_failure(place, skipped):
                return False
            if call.kind == "update" and call.part is not None:
                did = call.part.number in ran
                if place in skipped and did:
                    return False
                if place not in skipped and not did:
                    if moves or not _overwritten(calls, later, place, skipped):
                        return False
        return True

    found: list[dict[str, Any]] = []
    for count in range(len(later) + 1):
        for chosen in itertools.combinations(later, count):
            skipped = tuple(chosen)
            if fits(skipped):
                target = meaning(calls, skipped)
                if target not in found:
                    found.append(target)
    return found


def _overwritten(
    calls: Sequence[Call], later: Mapping[int, int], place: int, skipped: Collection[int]
) -> bool:
    """Whether an update that never ran may be counted all the same: a later call wrote over it."""
    after = later.get(place)
    while after is not None:
        part = calls[after].part
        if after not in skipped and (part is None or not part.stumbles):
            return True
        after = later.get(after)
    return False
