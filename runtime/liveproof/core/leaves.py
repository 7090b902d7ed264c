"""Records at hand: what the store would say of children that were updated lately.

What is shared here is told of to the scheduler, and by nothing else (``TOUCHES``): to remember one makes no
difference to whoever remembers or looks up another, as long as there is room.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from liveproof.abc.scheduler import Scheduler
    from liveproof.core.records import ComponentRecord

__all__ = ["LEAVES_MAX", "Leaves"]

TOUCHES = True
"""To whoever watches what is read and written: not what the lines of this module say, but what they tell of."""
LEAVES_MAX = 4096
"""Records that are kept at hand, at most."""


class Leaves:
    """Records of children without children, by key; all are forgotten when there are too many."""

    __slots__ = ("_records", "_scheduler")

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._records: dict[bytes, ComponentRecord] = {}

    def put(self, key: bytes, record: ComponentRecord) -> None:
        """Remember it."""
        if len(self._records) >= LEAVES_MAX:
            self.clear()
        self._touch(key)
        self._records[key] = record

    def pop(self, key: bytes) -> ComponentRecord | None:
        """What is remembered, which is forgotten."""
        self._touch(key)
        return self._records.pop(key, None)

    def _touch(self, key: bytes) -> None:
        self._scheduler.contribute(self)
        self._scheduler.touch(("leaf", key), write=True)

    def clear(self) -> None:
        """Forget all."""
        self._scheduler.touch(self, write=True)
        self._records.clear()
