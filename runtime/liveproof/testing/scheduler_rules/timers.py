"""Rules of now() and call_at()."""

from __future__ import annotations

from liveproof.abc.scheduler import Scheduler
from liveproof.testing.scheduler_rules.sleeper import MS, sleep

__all__ = [
    "cancelled_timers_never_call",
    "time_never_goes_back",
    "timers_are_never_early",
    "timers_call_in_order",
]


async def time_never_goes_back(s: Scheduler) -> None:
    """now() is a whole number of nanoseconds and never goes back."""
    last = s.now()
    assert type(last) is int, f"now() is a {type(last).__name__}"
    for _ in range(5):
        await sleep(s, MS // 10)
        for _ in range(200):
            now = s.now()
            assert now >= last, f"now() went from {last} to {now}"
            last = now


async def timers_are_never_early(s: Scheduler) -> None:
    """A timer calls once, not before its deadline, and never inside call_at, even if already due."""
    early: list[int] = []
    calls: list[int] = []
    start = s.now()

    def arm(deadline: int) -> None:
        def call() -> None:
            calls.append(deadline)
            if s.now() < deadline:
                early.append(deadline - s.now())

        s.call_at(deadline, call)

    deadlines = [start + step * (MS // 7) + 1 for step in range(40)]
    for deadline in [start, start - MS, *deadlines]:
        arm(deadline)
    assert not calls, "call_at made the call itself"
    await sleep(s, 10 * MS)
    assert not early, f"a timer was {early[0]} ns early"
    assert sorted(calls) == [start - MS, start, *deadlines], "a timer called twice, or not at all"


async def timers_call_in_order(s: Scheduler) -> None:
    """Timers call in the order of their deadlines; those of one deadline in the order they were made."""
    log: list[tuple[int, int]] = []
    base = s.now() + 2 * MS
    # 7 deadlines, made in a scrambled order, far more per deadline than a heap keeps in order by luck
    made = [((number * 5) % 7, number) for number in range(140)]
    for late, number in made:
        s.call_at(base + late * 1000, lambda late=late, number=number: log.append((late, number)))  # type: ignore[misc]
    await sleep(s, 5 * MS)
    assert log == sorted(made), "the calls came in another order"


async def cancelled_timers_never_call(s: Scheduler) -> None:
    """A cancelled timer never calls, also if an earlier call of the same deadline cancelled it; to cancel
    again, or after the call, has no effect."""
    log: list[str] = []
    deadline = s.now() + MS

    def call_first() -> None:
        log.append("first")
        third.cancel()

    first = s.call_at(deadline, call_first)
    second = s.call_at(deadline, lambda: log.append("second"))
    third = s.call_at(deadline, lambda: log.append("third"))
    s.call_at(deadline, lambda: log.append("fourth"))
    many = [s.call_at(deadline + number, lambda: log.append("one of many")) for number in range(500)]
    second.cancel()
    second.cancel()
    for timer in many:
        timer.cancel()
    await sleep(s, 3 * MS)
    first.cancel()
    assert log == ["first", "fourth"], f"the calls were {log}"
