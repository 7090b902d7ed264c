"""Durable memory: an ordered map of bytes, with atomic batches.

What the runtime keeps in it (intents, commits, memos, user state) is the business of
``core/ledger.py``; a store only has to keep its word about order, atomicity and durability.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from typing import Protocol

__all__ = ["Store", "Table", "Write"]


class Table(enum.IntEnum):
    """The name spaces of a store. The values are part of the file format: never renumber."""

    COMPONENT = 1
    """path → what is known of the component there"""
    OWNER = 2
    """target state → path of the component that owns it"""
    MEMO = 3
    """path + fingerprint of a call → its stored outcome"""
    STATE = 4
    """path + key → user state"""
    APP = 5
    """app name → what is known of the app"""


Write = tuple[Table, bytes, bytes | None]
"""One put, or, with ``None`` for the value, one removal."""


class Store(Protocol):
    """An ordered map per :class:`Table`.

    Reads and writes may be called from any thread, one write at a time; a read never sees half a
    batch. Errors are those of :class:`liveproof.errors.StoreError`.
    """

    @property
    def path(self) -> str:
        """Where it is, for messages."""

    @property
    def blocking(self) -> bool:
        """Whether :meth:`flush` may wait for a device, so that it must not run on the loop."""

    def get(self, table: Table, key: bytes, /) -> bytes | None:
        """The value, or ``None``."""

    def scan(
        self, table: Table, prefix: bytes, /, *, limit: int | None = None
    ) -> Iterator[tuple[bytes, bytes]]:
        """All entries whose key begins with ``prefix`` (the prefix itself included), or the first ``limit``
        of them, in key order, as of one moment. May be abandoned half-way."""

    def write(self, batch: Sequence[Write], /, *, durable: bool) -> None:
        """Apply all of the batch or nothing of it, after all earlier batches, and, with ``durable``, then
        :meth:`flush`. Without, it does not wait for a device, and a crash may lose the batch, but never an
        earlier one and keep this."""

    def journal(self, batch: Sequence[Write], /) -> bool:
        """Let the batch survive the process, without applying it, if that is cheaper than :meth:`write` and
        there is room; returns whether it did. It comes after all earlier batches. The next write must
        contain all that was journaled before it, or what has replaced that. Reads do not see it."""

    def flush(self) -> None:
        """Return when every batch written before the call would survive what the store promises to survive
        (a power cut, unless it was opened for less). Writes and reads may go on meanwhile."""

    def maintain(self) -> object:
        """Tidy up, if there is something to tidy. Called off the loop, when nobody waits for a write."""

    def close(self) -> None:
        """Flush everything and release the store. Safe to call twice."""
