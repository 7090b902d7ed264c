"""Rules of run_blocking()."""

from __future__ import annotations

from collections.abc import Awaitable
from contextvars import ContextVar
from hashlib import sha256

from liveproof.abc.scheduler import Scheduler
from liveproof.testing.scheduler_rules.sleeper import MS, sleep

__all__ = [
    "blocking_calls_are_never_interrupted",
    "blocking_calls_copy_context",
    "blocking_calls_raise",
    "blocking_calls_return",
    "blocking_failure_of_a_cancelled_task",
]

_var: ContextVar[str] = ContextVar("_var", default="unset")


def _work(log: list[str]) -> None:
    """Long enough (some 40 ms) to be cancelled in the middle: hashing lets other threads run. Neither a
    clock nor a gate, which a simulated world could not open."""
    log.append("start")
    block = bytes(1 << 20)
    for _ in range(60):
        sha256(block)
    log.append("end")


async def blocking_calls_return(s: Scheduler) -> None:
    """run_blocking returns what the call returns, for many calls at once, and hands on its arguments."""
    log: list[int] = []

    async def child(number: int) -> None:
        log.append(await s.run_blocking(divmod, number, 7) == divmod(number, 7))

    for number in range(100):
        s.spawn(child(number), name=f"child {number}")
    nothing: object = await s.run_blocking(dict[str, str]().get, "a key")
    assert nothing is None, "None became something"
    while len(log) < 100:
        await sleep(s, MS)
    assert all(log), "a call got another one's arguments or result"


async def blocking_calls_raise(s: Scheduler) -> None:
    """What the call raises is raised by the wait, the same object; StopIteration as a RuntimeError."""
    raised = LookupError("from the call")

    def fail() -> None:
        raise raised

    assert await _error_of(s.run_blocking(fail)) is raised, "something else was raised"
    error = await _error_of(s.run_blocking(next, iter(())))
    assert type(error) is RuntimeError, f"StopIteration became {error!r}"


async def _error_of(waiting: Awaitable[object]) -> Exception | None:
    try:
        await waiting
    except Exception as error:  # noqa: BLE001 - it is the caller's to judge
        return error
    return None


async def blocking_calls_copy_context(s: Scheduler) -> None:
    """The call has a copy of the waiting task's context variables."""

    def call() -> str:
        seen = _var.get()
        _var.set("call's")
        return seen

    _var.set("caller's")
    seen = await s.run_blocking(call)
    assert seen == "caller's", f"it saw {seen!r}"
    assert _var.get() == "caller's", "its change reached the caller"


async def blocking_calls_are_never_interrupted(s: Scheduler) -> None:
    """A wait for a started call ends, when cancelled (also repeatedly), only after the call has ended."""
    for cancel_at_once in (True, False):
        begun: list[bool] = []
        log: list[str] = []
        seen: list[list[str]] = []

        async def child(
            begun: list[bool] = begun, log: list[str] = log, seen: list[list[str]] = seen
        ) -> None:
            begun.append(True)
            try:
                await s.run_blocking(_work, log)
            except s.cancelled:
                seen.append(list(log))
                raise
            seen.append(["not cancelled", *log])

        task = s.spawn(child(), name="child")
        while not (begun if cancel_at_once else log):
            await sleep(s, MS // 10)
        for _ in range(3):
            s.cancel(task)
            await sleep(s, MS // 10)
        while not seen:
            await sleep(s, MS)
        # An empty log: it was not started. Not cancelled: it had ended when the cancel came.
        assert seen[0] in ([], ["start", "end"], ["not cancelled", "start", "end"]), f"the wait saw {seen[0]}"
        await sleep(s, 30 * MS)
        if not seen[0]:
            assert not log, "the call started after the wait for it had ended"


async def blocking_failure_of_a_cancelled_task(s: Scheduler) -> None:
    """A task that was cancelled sees `cancelled`, not what its call raised meanwhile."""
    log: list[str] = []
    seen: list[str] = []

    def fail() -> None:
        _work(log)
        raise LookupError("on purpose, by the conformance check: this may be logged")

    async def child() -> None:
        try:
            await s.run_blocking(fail)
        except s.cancelled:
            seen.append("cancelled")
        except LookupError:
            seen.append("the call's error")

    task = s.spawn(child(), name="child")
    while not log:
        await sleep(s, MS // 10)
    in_time = "end" not in log  # a world that makes the call in one step never is
    s.cancel(task)
    while not seen:
        await sleep(s, MS)
    if in_time:
        assert seen == ["cancelled"], f"it saw {seen}"
