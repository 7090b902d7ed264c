"""Rules of cancel()."""

from __future__ import annotations

from liveproof.abc.scheduler import Scheduler
from liveproof.testing.scheduler_rules.sleeper import MS, Sleeper, settle, sleep

__all__ = [
    "cancel_after_the_end",
    "cancel_before_the_first_step",
    "cancel_ends_a_park",
    "cancel_meets_unpark",
    "cancel_of_a_running_task",
    "cancelled_is_no_exception",
    "cancelled_tasks_may_clean_up",
]


async def cancelled_is_no_exception(s: Scheduler) -> None:
    """`cancelled` is a BaseException that `except Exception` does not catch."""
    assert issubclass(s.cancelled, BaseException), "it cannot be raised"
    assert not issubclass(s.cancelled, Exception), "`except Exception` would swallow it"


async def cancel_ends_a_park(s: Scheduler) -> None:
    """A parked task that is cancelled sees `cancelled`, not inside cancel; it is not parked then, and may
    park again and be woken."""
    log: list[str] = []
    sleeper = Sleeper(s, log, parks=2)
    await settle(s)
    s.cancel(sleeper.task)
    assert not log, "the task ran inside cancel"
    await settle(s)
    assert log == ["sleeper cancelled"], f"after the cancel: {log}"
    await settle(s)
    s.unpark(sleeper.task)
    await settle(s)
    assert log == ["sleeper cancelled", "sleeper woke"], f"after the unpark: {log}"


async def cancel_before_the_first_step(s: Scheduler) -> None:
    """A task that is cancelled before its first step never begins."""
    log: list[str] = []

    async def child() -> None:
        log.append("began")

    task = s.spawn(child(), name="child")
    s.cancel(task)
    await settle(s)
    assert not log, "it began"


async def cancel_of_a_running_task(s: Scheduler) -> None:
    """A task that is cancelled while it runs goes on to its next wait, and sees `cancelled` there, once."""
    log: list[str] = []

    async def child() -> None:
        s.cancel(s.current())
        log.append("goes on")
        try:
            await s.park("first")
        except s.cancelled:
            log.append("cancelled")
        await s.park("second")
        log.append("woke")

    task = s.spawn(child(), name="child")
    await settle(s)
    assert log == ["goes on", "cancelled"], f"it saw {log}"
    s.unpark(task)
    await settle(s)
    assert log[-1] == "woke", "its next park was not an ordinary one"


async def cancel_after_the_end(s: Scheduler) -> None:
    """To cancel a task that has ended, or again one that was cancelled, has no effect."""
    log: list[str] = []
    quick, slow = Sleeper(s, log, name="quick", parks=0), Sleeper(s, log, name="slow", parks=1)
    await settle(s)
    s.cancel(quick.task)
    s.cancel(slow.task)
    await settle(s)
    s.cancel(slow.task)
    await settle(s)
    assert log == ["slow cancelled"], f"they saw {log}"


async def cancel_meets_unpark(s: Scheduler) -> None:
    """Of a cancel and an unpark in one step, in either order, the cancel is never lost, and seen once; the
    unpark is not kept."""
    for order in ("cancel first", "unpark first"):
        log: list[str] = []
        sleeper = Sleeper(s, log, parks=3)
        await settle(s)
        actions = [s.cancel, s.unpark]
        for action in actions if order == "cancel first" else reversed(actions):
            action(sleeper.task)
        await settle(s)
        allowed = [["sleeper cancelled"]]
        if order == "unpark first":  # then the wait may have ended well, and the next one not
            allowed.append(["sleeper woke", "sleeper cancelled"])
        assert log in allowed, f"with the {order}: {log}"
        while not sleeper.ended:
            s.unpark(sleeper.task)
            await settle(s)
        assert log.count("sleeper cancelled") == 1, f"with the {order}: {log}"


async def cancelled_tasks_may_clean_up(s: Scheduler) -> None:
    """A task may wait while it handles `cancelled`."""
    log: list[str] = []

    async def child() -> None:
        try:
            await s.park("work")
        finally:
            await sleep(s, MS)
            log.append("cleaned up")

    task = s.spawn(child(), name="child")
    await settle(s)
    s.cancel(task)
    await settle(s)
    assert log == ["cleaned up"], "its clean-up was cut short"
