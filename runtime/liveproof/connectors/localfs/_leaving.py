"""Deletions under way, so that what takes their place can wait for them.

A target that mirrors the source can not write a file "a" while there is a file "a/b", nor the other way
round. Operations on different keys are concurrent, so whoever knows that one makes room for the other
sees to it.
"""

from __future__ import annotations

import contextlib
from typing import Protocol

__all__ = ["Leaving"]

PENDING_MAX = 4096
"""So many are remembered; then all are waited for."""


class Handle(Protocol):
    """What a subscriber's ``delete`` returns."""

    async def ready(self) -> None:
        """Wait until it is applied."""


class Leaving:
    """Keys that are being deleted."""

    __slots__ = ("_above", "_handles")

    def __init__(self) -> None:
        self._handles: dict[str, Handle] = {}
        self._above: dict[str, dict[str, None]] = {}
        """Directory → the keys below it."""

    def add(self, key: str, handle: Handle) -> None:
        """A deletion has been invoked."""
        self._handles[key] = handle
        for directory in _directories(key):
            self._above.setdefault(directory, {})[key] = None

    async def make_room(self, key: str) -> None:
        """Wait for the deletions of what stands in the way of a file ``key``."""
        if len(self._handles) > PENDING_MAX:
            for other in list(self._handles):
                await self._wait_for(other)
            self.clear()
        for other in list(self._above.get(key, ())):
            await self._wait_for(other)
        for directory in _directories(key):
            if directory in self._handles:
                await self._wait_for(directory)

    async def _wait_for(self, key: str) -> None:
        handle = self._handles.pop(key)
        for directory in _directories(key):
            del self._above[directory][key]
            if not self._above[directory]:
                del self._above[directory]
        with contextlib.suppress(Exception):  # It was reported; here only the order matters.
            await handle.ready()

    def clear(self) -> None:
        """Forget all of them."""
        self._handles.clear()
        self._above.clear()


def _directories(key: str) -> list[str]:
    """The directories that a key is in, the root left out."""
    return [key[:at] for at, char in enumerate(key) if char == "/"]
