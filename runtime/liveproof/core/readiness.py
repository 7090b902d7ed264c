"""Ready once, never hanging (RDY-1, RDY-4): what a parent waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from liveproof.abc.scheduler import Scheduler, Task

__all__ = ["Readiness"]


class Readiness:
    """Whether one mounted component has caught up. Goes from unresolved to resolved, once.

    Resolved with an error when the failure escaped every exception handler; then each :meth:`wait`
    raises it.
    """

    __slots__ = ("_error", "_resolved", "_scheduler", "waiters", "what")

    def __init__(self, scheduler: Scheduler, what: object = "ready") -> None:
        self._scheduler = scheduler
        self._resolved = False
        self._error: BaseException | None = None
        self.waiters: dict[Task, None] | None = None
        self.what = what
        """What is being waited for, for people: a path's text, or a component until it has ended."""

    @property
    def is_resolved(self) -> bool:
        return self._resolved

    @property
    def is_open(self) -> bool:
        """The same, for the scheduler."""
        return self._resolved

    @property
    def error(self) -> BaseException | None:
        """What :meth:`wait` raises, if anything."""
        return self._error

    def resolve(self, error: BaseException | None = None) -> bool:
        """Resolve and wake everybody; only the first call has an effect, and it returns True."""
        if self._resolved:
            return False
        self._resolved = True
        self._error = error
        self.what = "what has ended"  # Not the component itself: a handle must not keep all of it alive.
        self._scheduler.give(self)
        return True

    async def wait(self) -> None:
        """Wait until resolved; raise the error, if there is one."""
        await self.reached()
        if self._error is not None:
            raise self._error

    async def reached(self) -> None:
        """Wait until resolved, whatever the outcome."""
        wait = self._scheduler.through(self, on=self)
        if wait is not None:
            await wait

    def __repr__(self) -> str:
        return f"<Readiness of {self.what}: {'resolved' if self._resolved else 'waiting'}>"
