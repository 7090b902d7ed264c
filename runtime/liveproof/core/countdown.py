"""How many are still to end: what a parent waits for.

Who ends need not look whether it was the last, and it makes no difference who was. So what is shared here is told of
by :meth:`Scheduler.give`, and by nothing else (``TOUCHES``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from liveproof.abc.scheduler import Scheduler, Task

__all__ = ["Countdown"]

TOUCHES = True
"""To whoever watches what is read and written: not what the lines of this module say, but what they ``give``."""


class Countdown:
    """A gate that is open while nothing is left. Who adds to it is the one that waits, or one of those that are still
    to end: so nobody who has passed finds it shut again."""

    __slots__ = ("_left", "_scheduler", "waiters")

    def __init__(self, scheduler: Scheduler, count: int = 0) -> None:
        self._scheduler = scheduler
        self._left = count
        self.waiters: dict[Task, None] | None = None

    @property
    def is_open(self) -> bool:
        """Whether nothing is left."""
        return not self._left

    def more(self, count: int = 1) -> None:
        """So many more are to end."""
        self._left += count

    def less(self) -> None:
        """One has ended."""
        assert self._left > 0, "one ended twice"
        self._left -= 1
        self._scheduler.give(self)

    async def over(self, on: object) -> None:
        """Wait until nothing is left. ``on`` says what for, to people."""
        wait = self._scheduler.through(self, on=on)
        if wait is not None:
            await wait

    def __repr__(self) -> str:
        return f"<{self._left} to end>"
