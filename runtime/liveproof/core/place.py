"""A component's place in flight, given up while it waits for others (see ``limiter.py``)."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from liveproof.core.run import Run

__all__ = ["Place"]


class Place:
    """The place of one component. Its function may have several tasks: it is given up while any of them
    waits."""

    __slots__ = ("_left", "_returning", "_run", "_waits", "taken")

    def __init__(self, run: Run) -> None:
        self._run = run
        self.taken = True
        """Whether it is held now."""
        self._waits = 0
        self._returning = False
        self._left = False

    @contextlib.asynccontextmanager
    async def given_up(self) -> AsyncIterator[None]:
        """For the extent of a block, hold no place; take one again at its end."""
        self._waits += 1
        if self._waits == 1 and self.taken:
            self.taken = False
            self._run.limiter.release()
        try:
            yield
        finally:
            await self._take_again()

    async def _take_again(self) -> None:
        self._waits -= 1
        assert self._waits >= 0, "taken back more often than given up"
        if self._waits or self.taken or self._returning or self._run.stopping:
            return  # Another of its tasks waits still, or is coming back already.
        self._returning = True
        try:
            await self._run.limiter.reacquire()
        finally:
            self._returning = False
        if self._waits or self._left:
            self._run.limiter.release()  # Another of its tasks has begun to wait meanwhile, or all is over.
        else:
            self.taken = True

    def leave(self) -> None:
        """The component has ended."""
        self._left = True
        if self.taken:
            self.taken = False
            self._run.limiter.release()
