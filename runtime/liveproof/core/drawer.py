"""Where the remembered calls of one component are kept (``memo.py`` says when they stand)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from liveproof.abc.store import Table
from liveproof.core.memo import MemoEntry

if TYPE_CHECKING:
    from liveproof.abc.store import Write
    from liveproof.core.ledger import Ledger
    from liveproof.core.records import ComponentRecord, TargetEntry

__all__ = ["MARK", "MemoDrawer"]

MARK = b"\x00"
"""Between a path and what belongs to its component alone: no key's encoding begins with it."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(MemoEntry).decode


def _held(entry: TargetEntry | None) -> bytes | None:
    """The record of what a target state holds, if that is certain."""
    if entry is None or entry.maybe_missing or len(entry.possible) != 1:
        return None
    return entry.possible[0]


class MemoDrawer:
    """The memoized calls stored under one component. What a cycle did not use goes at its end."""

    def __init__(self, ledger: Ledger, key: bytes, record: ComponentRecord | None) -> None:
        self._ledger = ledger
        self._prefix = key + MARK
        self._any_stored = record is not None and record.calls
        self._targets = {} if record is None else record.targets
        self._used: dict[bytes, MemoEntry | None] = {}
        """Key → what to store; ``None`` if the stored one stays."""
        self.declared: dict[bytes, None] = {}
        """Target states that calls of this cycle declared and would declare again."""

    @property
    def in_use(self) -> bool:
        """Whether anything will be stored when the cycle has ended."""
        return bool(self._used)

    def get(self, key: bytes, *, of_this_cycle: bool = False) -> MemoEntry | None:
        """A remembered call; with ``of_this_cycle``, no older one. Not one whose target states hold anything
        but what it left in them, or may do so."""
        fresh = self._used.get(key)
        if fresh is not None:
            return fresh
        if of_this_cycle or not self._any_stored:
            return None
        raw = self._ledger.get(Table.MEMO, self._prefix + key)
        if raw is None:
            return None
        entry = _decode(raw)
        held = [_held(self._targets.get(target)) for target in entry.targets]
        if None in held or held != entry.records:
            return None
        self._used[key] = None
        for inner in entry.inner:
            self._used.setdefault(inner, None)
        return entry

    def put(self, key: bytes, entry: MemoEntry) -> None:
        """Remember a call."""
        self._used[key] = entry
        self.declared.update(dict.fromkeys(entry.targets))

    def writes(self, targets: Mapping[bytes, TargetEntry]) -> list[Write]:
        """What the store has to be told at the end of the cycle, which leaves these target states."""
        for fresh in self._used.values():
            if fresh is not None:
                fresh.records = [_held(targets.get(target)) for target in fresh.targets]
        writes: list[Write] = [
            (Table.MEMO, self._prefix + key, _encode(entry))
            for key, entry in self._used.items()
            if entry is not None
        ]
        if self._any_stored:
            at = len(self._prefix)
            writes += [
                (Table.MEMO, key, None)
                for key, _ in self._ledger.entries(Table.MEMO, self._prefix)
                if key[at:] not in self._used
            ]
        return writes
