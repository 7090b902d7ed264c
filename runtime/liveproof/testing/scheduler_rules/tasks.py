"""Rules of spawn(), current(), park(), unpark() and touch()."""

from __future__ import annotations

from contextvars import ContextVar

from liveproof.abc.scheduler import Scheduler
from liveproof.testing.scheduler_rules.sleeper import Sleeper, settle

__all__ = [
    "current_is_the_running_task",
    "spawn_copies_context",
    "spawn_is_deferred",
    "touch_does_nothing_to_the_caller",
    "unpark_is_not_kept",
    "unpark_twice_wakes_once",
    "unpark_wakes",
]

_var: ContextVar[str] = ContextVar("_var", default="unset")


async def spawn_is_deferred(s: Scheduler) -> None:
    """A spawned task first runs after its spawner has yielded; by default tasks start as spawned."""
    log: list[int] = []

    async def child(number: int) -> None:
        log.append(number)

    for number in range(20):
        s.spawn(child(number), name=f"child {number}")
    assert not log, "a child ran inside spawn"
    await settle(s)
    assert log == list(range(20)), f"the children started as {log}"


async def spawn_copies_context(s: Scheduler) -> None:
    """A task has a copy of its spawner's context variables, as of the spawn."""
    seen: list[str] = []

    async def child() -> None:
        seen.append(_var.get())
        _var.set("child's")
        await settle(s)
        seen.append(_var.get())

    _var.set("spawner's")
    s.spawn(child(), name="child")
    _var.set("later")
    await settle(s)
    await settle(s)
    assert seen == ["spawner's", "child's"], f"the child saw {seen}"
    assert _var.get() == "later", "the child's change reached its spawner"


async def current_is_the_running_task(s: Scheduler) -> None:
    """current() is what spawn returned, before and after waits, and RuntimeError outside of tasks."""
    seen: list[object] = []

    async def child() -> None:
        seen.append(s.current())
        await settle(s)
        seen.append(s.current())

    def outside() -> None:
        try:
            seen.append(s.current())
        except RuntimeError:
            seen.append("refused")

    task = s.spawn(child(), name="child")
    assert s.current() is not task, "the spawner is taken for its child"
    await settle(s)
    await settle(s)
    s.call_at(s.now(), outside)
    await settle(s)
    assert seen[0] is task, "it is not what spawn returned"
    assert seen[1] is task, "it changed at a wait"
    assert seen[2] == "refused", "a timer's callback has a current task"


async def unpark_wakes(s: Scheduler) -> None:
    """A parked task goes on after unpark, not inside it; by default tasks go on as they were unparked."""
    log: list[str] = []
    sleepers = [Sleeper(s, log, name=str(number)) for number in range(5)]
    await settle(s)
    assert not log, "a parked task went on by itself"
    for number in (3, 0, 4, 1, 2):
        s.unpark(sleepers[number].task)
    assert not log, "a task ran inside unpark"
    await settle(s)
    assert log == ["3 woke", "0 woke", "4 woke", "1 woke", "2 woke"], f"they went on as {log}"


async def unpark_twice_wakes_once(s: Scheduler) -> None:
    """A second unpark before the task has run has no effect: its next park waits."""
    log: list[str] = []
    sleeper = Sleeper(s, log, parks=2)
    await settle(s)
    s.unpark(sleeper.task)
    s.unpark(sleeper.task)
    await settle(s)
    assert log == ["sleeper woke"], f"after two unparks: {log}"
    s.unpark(sleeper.task)
    await settle(s)
    assert sleeper.ended, "an unpark of the second park was lost"


async def unpark_is_not_kept(s: Scheduler) -> None:
    """An unpark of a task that is not parked has no effect: not begun, running, or ended."""
    log: list[str] = []
    sleeper = Sleeper(s, log)
    s.unpark(sleeper.task)
    s.unpark(s.current())
    await settle(s)
    assert not log, "an unpark before the park was kept for it"
    s.unpark(sleeper.task)
    await settle(s)
    assert sleeper.ended, "the task did not wake"
    s.unpark(sleeper.task)
    await settle(s)
    assert log == ["sleeper woke"], f"it woke as {log}"


async def touch_does_nothing_to_the_caller(s: Scheduler) -> None:
    """To touch any hashable resource has no effect on the caller."""
    for resource in ("name", 1, (1, "pair"), b"bytes", object(), s.current()):
        s.touch(resource, write=False)
        s.touch(resource, write=True)
        s.contribute(resource)
