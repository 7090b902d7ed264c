"""What the store must go on doubting until the targets are durable.

Reads see a commit at once, but it reaches the store only when its targets would survive a power cut
(see ``Ledger.hold``). If the record of the component is written again before that, for whatever reason, what
is still unsettled must be written as the intent had it: as one of several possibilities.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from liveproof.core.records import ComponentRecord, TargetEntry

if TYPE_CHECKING:
    from liveproof.core.targets import TargetActionSink

__all__ = ["Applied", "Doubts", "doubted"]

Applied: TypeAlias = "tuple[TargetActionSink[Any, Any], list[Any]]"
"""A sink, and actions that it has applied and not settled."""


class Doubts:
    """Entries of target states that have been applied and are not settled, by component."""

    def __init__(self) -> None:
        self._entries: dict[bytes, dict[bytes, tuple[int, TargetEntry]]] = {}
        self._applied: dict[int, Sequence[Applied]] = {}
        """Number → what has to be settled."""
        self._number = 0

    def add(self, component: bytes, entries: Mapping[bytes, TargetEntry], applied: Sequence[Applied]) -> int:
        """Doubt these entries, as the intent had them, until what was ``applied`` is settled and :meth:`remove`
        is called; returns a number for that."""
        self._number += 1
        self._applied[self._number] = applied
        mine = self._entries.setdefault(component, {})
        for target, entry in entries.items():
            mine[target] = (self._number, entry)
        return self._number

    def remove(self, component: bytes, number: int) -> None:
        """What was added under this number is settled."""
        self._applied.pop(number, None)
        mine = self._entries.get(component)
        if mine is None:
            return
        for target in [target for target, (added, _) in mine.items() if added == number]:
            del mine[target]
        if not mine:
            del self._entries[component]

    def of(self, component: bytes, target: bytes) -> tuple[TargetEntry, Sequence[Applied]] | None:
        """The entry of this state as the intent had it, and what has to be settled before it is sure; ``None`` if
        it is."""
        found = self._entries.get(component, {}).get(target)
        return None if found is None else (found[1], self._applied[found[0]])

    def applied_to(self, component: bytes, record: ComponentRecord) -> ComponentRecord:
        """The record as it may be written now."""
        mine = self._entries.get(component)
        if not mine:
            return record
        targets = dict(record.targets)
        for target, (_, doubtful) in mine.items():
            entry = targets.get(target)
            if entry is None:
                targets[target] = TargetEntry(doubtful.possible, True, doubtful.container, doubtful.own)
            else:
                targets[target] = doubted(entry, doubtful)
        return ComponentRecord(
            owner=record.owner,
            processor=record.processor,
            targets=targets,
            calls=record.calls,
            state_keys=record.state_keys,
        )


def doubted(entry: TargetEntry, doubtful: TargetEntry | None) -> TargetEntry:
    """What may be in the target: what has been applied, or, as long as that is not settled, what was possible
    before."""
    if doubtful is None:
        return entry
    possible = [raw for raw in doubtful.possible if raw not in entry.possible] + entry.possible
    missing = doubtful.maybe_missing or entry.maybe_missing
    return TargetEntry(possible, missing, entry.container, entry.own)
