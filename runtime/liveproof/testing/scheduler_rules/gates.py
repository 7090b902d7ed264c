"""Rules of through(), until() and give()."""

from __future__ import annotations

from liveproof.abc.scheduler import Scheduler, Task
from liveproof.testing.scheduler_rules.sleeper import settle

__all__ = [
    "gates_can_be_left",
    "gates_hold_until_they_are_open",
    "open_gates_hold_nobody",
    "what_has_come_is_fetched",
]


class _Gate:
    """Opens when ``left`` comes to nothing."""

    def __init__(self, left: int) -> None:
        self.left = left
        self.waiters: dict[Task, None] | None = None

    @property
    def is_open(self) -> bool:
        return not self.left


async def _pass(s: Scheduler, gate: _Gate) -> None:
    wait = s.through(gate, on="a gate")
    if wait is not None:
        await wait


async def gates_hold_until_they_are_open(s: Scheduler) -> None:
    """Whoever waits at a gate goes on once the last part was given, and no sooner, whatever wakes it before."""
    passed: list[int] = []
    gate = _Gate(2)

    async def waiter(number: int) -> None:
        await _pass(s, gate)
        passed.append(number)

    tasks = [s.spawn(waiter(number), name=f"waiter {number}") for number in range(2)]
    await settle(s)
    assert not passed, "a gate was passed before anything was given"
    gate.left -= 1
    s.give(gate)
    s.unpark(tasks[0])
    await settle(s)
    assert not passed, "a gate was passed before the last part was given"
    gate.left -= 1
    s.give(gate)
    await settle(s)
    assert sorted(passed) == [0, 1], f"of two that waited, these passed: {passed}"


async def open_gates_hold_nobody(s: Scheduler) -> None:
    """A gate that is open already is passed without anybody's doing."""
    passed: list[bool] = []

    async def waiter() -> None:
        await _pass(s, _Gate(0))
        passed.append(True)

    s.spawn(waiter(), name="waiter")
    await settle(s)
    assert passed, "an open gate was not passed"


async def gates_can_be_left(s: Scheduler) -> None:
    """A task that is cancelled at a gate sees that, and the gate forgets it."""
    seen: list[str] = []
    gate = _Gate(1)

    async def waiter() -> None:
        try:
            await _pass(s, gate)
        except s.cancelled:
            seen.append("cancelled")

    task = s.spawn(waiter(), name="waiter")
    await settle(s)
    s.cancel(task)
    await settle(s)
    assert seen == ["cancelled"], f"a task that was cancelled at a gate saw {seen}"
    gate.left = 0
    s.give(gate)
    await settle(s)
    assert not gate.waiters, "a gate still knows a task that has left it"


class _Box:
    """Open while there is something in it."""

    def __init__(self) -> None:
        self.things: list[int] = []
        self.waiters: dict[Task, None] | None = None

    @property
    def is_open(self) -> bool:
        return bool(self.things)


async def what_has_come_is_fetched(s: Scheduler) -> None:
    """Whoever waits until something has come goes on when it has, and waits again once it has fetched it."""
    fetched: list[list[int]] = []
    box = _Box()

    async def fetcher() -> None:
        while True:
            wait = s.until(box, on="a box")
            if wait is not None:
                await wait
            fetched.append(box.things[:])
            box.things.clear()
            if len(fetched) == 2:
                return

    s.spawn(fetcher(), name="fetcher")
    await settle(s)
    assert not fetched, f"of an empty box was fetched {fetched}"
    for number in range(2):
        box.things.append(number)
        s.give(box)
    await settle(s)
    assert [number for each in fetched for number in each] == [0, 1], f"0 and 1 have come, and {fetched} was fetched"
    box.things.append(2)
    s.give(box)
    await settle(s)
    assert [number for each in fetched for number in each][:3] == [0, 1, 2], f"2 has come, and {fetched} was fetched"
