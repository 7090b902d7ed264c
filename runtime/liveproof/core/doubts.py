"""What the store must go on doubting until the targets are durable.

A commit reaches the store only when its targets would survive a power cut; until then it is *held*, and only
reads see it (see ``Ledger.hold``). So the store has two things to be told of a component in doubt: at once,
what may be there, whichever way its unsettled writes turn out; and later, what is there.

Invariant: whatever reaches the store about a component before its holds are released lists, for each state,
all that the doubts say. It follows a state to its next owner. If a hold can not be kept, none that came
after it for the same component is: they were made of the same uncertain state.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from liveproof.core.records import ComponentRecord, TargetEntry

__all__ = ["Doubts", "doubted"]


class _Doubted:
    """One component."""

    __slots__ = ("entries", "holds")

    def __init__(self) -> None:
        self.holds: dict[int, None] = {}
        """In the order in which they will be released."""
        self.entries: list[tuple[int, bytes, TargetEntry]] = []
        """Hold, target state, and what the intent had about it; oldest first."""


class Doubts:
    """Entries of target states that have been applied and are not settled, by component and hold."""

    def __init__(self) -> None:
        self._doubted: dict[bytes, _Doubted] = {}
        self._components: dict[int, dict[bytes, None]] = {}
        """By hold."""
        self._spoiled: dict[int, None] = {}
        """Holds that come after one that was not kept."""

    def add(self, hold: int, component: bytes, entries: Mapping[bytes, TargetEntry]) -> None:
        """Until ``hold`` is released, doubt these entries of the component, as the intent had them."""
        mine = self._doubted.get(component)
        if mine is None:
            mine = self._doubted[component] = _Doubted()
        assert not mine.holds or hold >= max(mine.holds), "holds are released in order"
        mine.holds[hold] = None
        mine.entries += [(hold, target, entry) for target, entry in entries.items()]
        self._components.setdefault(hold, {})[component] = None

    def last_hold(self, components: Iterable[bytes]) -> int | None:
        """The hold after whose release none of these components is in doubt; ``None`` if none is now."""
        if not self._doubted:
            return None
        holds = [
            hold
            for component in components
            if (mine := self._doubted.get(component)) is not None
            for hold in mine.holds
        ]
        return max(holds, default=None)

    def move(self, former: bytes, component: bytes, targets: Mapping[bytes, object]) -> None:
        """Those of these target states that ``former`` owned are the component's now."""
        theirs = self._doubted.get(former)
        if theirs is None:
            return
        moving = [item for item in theirs.entries if item[1] in targets]
        if not moving:
            return
        theirs.entries = [item for item in theirs.entries if item[1] not in targets]
        mine = self._doubted.setdefault(component, _Doubted())
        mine.entries = sorted([*mine.entries, *moving], key=lambda item: item[0])
        mine.holds = dict.fromkeys(sorted({**mine.holds, **dict.fromkeys(hold for hold, _, _ in moving)}))
        for hold, _, _ in moving:
            self._components[hold][component] = None

    def released(self, hold: int, *, settled: bool) -> tuple[bool, list[bytes]]:
        """Whether what was held is certain now, and which components that concerns."""
        kept = hold not in self._spoiled and settled
        self._spoiled.pop(hold, None)
        components = list(self._components.pop(hold, ()))
        for component in components:
            mine = self._doubted[component]
            del mine.holds[hold]
            if not mine.holds:
                del self._doubted[component]
            elif kept:
                mine.entries = [item for item in mine.entries if item[0] != hold]
            else:
                # The doubt stays, for as long as anything held hides from reads what the store has.
                self._spoiled.update(mine.holds)
                heir = next(iter(mine.holds))
                mine.entries = [(max(number, heir), target, entry) for number, target, entry in mine.entries]
        return kept, components

    def applied_to(self, component: bytes, record: ComponentRecord) -> ComponentRecord:
        """The record as it may be written now: itself, if nothing is in doubt."""
        mine = self._doubted.get(component)
        if mine is None:
            return record
        targets = dict(record.targets)
        for _, target, doubtful in reversed(mine.entries):  # Each comes before what is known already.
            entry = targets.get(target)
            if entry is None:
                targets[target] = TargetEntry(doubtful.possible, True, doubtful.container, doubtful.own)
            else:
                targets[target] = doubted(entry, doubtful)
        return ComponentRecord(
            owner=record.owner,
            processor=record.processor,
            targets=targets,
            calls=True,  # Their removal may be held: if so, they are still to be found.
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
