"""What the rules are made with: a task that parks, and ways to let time pass."""

from __future__ import annotations

from liveproof.abc.scheduler import Scheduler, Task

__all__ = [
    "MS",
    "Sleeper",
    "settle",
    "sleep",
]

MS = 1_000_000  # nanoseconds


class Sleeper:
    """A task that parks as often as it is asked to, and notes each wake-up in a log."""

    def __init__(self, s: Scheduler, log: list[str], *, name: str = "sleeper", parks: int = 1) -> None:
        self.s = s
        self.log = log
        self.name = name
        self.parks = parks
        self.ended = False
        self.task: Task = s.spawn(self._main(), name=name)

    async def _main(self) -> None:
        try:
            for _ in range(self.parks):
                try:
                    await self.s.park(self)
                    self.log.append(f"{self.name} woke")
                except self.s.cancelled:
                    self.log.append(f"{self.name} cancelled")
        finally:
            self.ended = True


async def settle(s: Scheduler) -> None:
    """Return when everything that could run without time passing has run: after a few ticks of the clock."""
    for _ in range(3):
        await sleep(s, MS)


async def sleep(s: Scheduler, ns: int) -> None:
    """Let that much of the scheduler's time pass."""
    me = s.current()
    deadline = s.now() + ns
    timer = s.call_at(deadline, lambda: s.unpark(me))
    try:
        while s.now() < deadline:
            await s.park("sleep")
    finally:
        timer.cancel()
