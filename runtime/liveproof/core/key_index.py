"""Keys in order, so that those with a common beginning are found.

What is shared here is told of to the scheduler, and by nothing else (``TOUCHES``): to add one and to take one out
makes no difference to others who do, only to those who look.
"""

from __future__ import annotations

import bisect
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from liveproof.abc.scheduler import Scheduler

__all__ = ["KeyIndex"]

TOUCHES = True
"""To whoever watches what is read and written: not what the lines of this module say, but what they tell of."""


class KeyIndex:
    """A sorted set of keys. To change it costs what moving the tail of a list does."""

    __slots__ = ("_keys", "_scheduler")

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._keys: list[bytes] = []

    def add(self, key: bytes) -> None:
        """One that is not there."""
        self._scheduler.contribute(self)
        bisect.insort(self._keys, key)

    def remove(self, key: bytes) -> None:
        """One that is there."""
        self._scheduler.contribute(self)
        at = bisect.bisect_left(self._keys, key)
        assert self._keys[at] == key, "index out of step"
        del self._keys[at]

    def below(self, prefix: bytes) -> list[bytes]:
        """Those that begin so, in order."""
        self._scheduler.touch(self, write=False)
        keys = self._keys
        first = last = bisect.bisect_left(keys, prefix)
        while last < len(keys) and keys[last].startswith(prefix):
            last += 1
        return keys[first:last]

    def _check(self, shown: list[bytes]) -> None:
        """The keys are these, in order."""
        assert self._keys == shown
