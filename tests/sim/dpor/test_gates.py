"""Gates: in whatever order others open one, it is one class; and what comes of it is what every order shows."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from liveproof.core.countdown import Countdown
from liveproof.core.readiness import Readiness
from liveproof_sim import Status, check
from liveproof_sim.kernel.scheduler import SimScheduler

INSTRUMENTED = ["liveproof", __name__]
Seen = dict[tuple[Any, ...], None]


async def ends_cancelled(waiting: asyncio.Task[None], others: list[asyncio.Task[None]], *, cancels: bool) -> bool:
    """Wait for all of them; whether the first was cancelled, as somebody may have done."""

    async def canceller() -> None:
        waiting.cancel()

    if cancels:
        others.append(asyncio.create_task(canceller()))
    with contextlib.suppress(asyncio.CancelledError):
        await waiting
    await asyncio.gather(*others)
    return waiting.cancelled()


def counted(enders: int, seen: Seen, *, tell: bool, cancels: bool = False) -> Callable[[], Coroutine[Any, Any, None]]:
    """A parent waits for so many, who may tell in which order they ended; somebody may cancel it."""

    async def scenario() -> None:
        scheduler = SimScheduler()
        gate = Countdown(scheduler, enders)
        told: list[int] = []

        async def one(number: int) -> None:
            await asyncio.sleep(0)
            if tell:
                told.append(number)
            gate.less()

        async def parent() -> None:
            wait = scheduler.through(gate, on="the others")
            if wait is not None:
                await wait
            assert gate.is_open, "it went on too soon"

        waiting = asyncio.create_task(parent())
        tasks = [asyncio.create_task(one(number)) for number in range(enders)]
        cancelled = await ends_cancelled(waiting, tasks, cancels=cancels)
        seen["cancelled" if cancelled else "passed", *told] = None

    return scenario


def run(strategy: str, scenario: Callable[[], Coroutine[Any, Any, None]]) -> int:
    reduced = {"instrument": INSTRUMENTED} if strategy == "dpor" else {}
    verdict = check(scenario, strategy=strategy, timers="discrete", executions=20_000, **reduced)  # type: ignore[arg-type]
    assert verdict.status is Status.PROVED, str(verdict)
    return verdict.executions


@pytest.mark.parametrize("enders", [1, 2, 5])
def test_who_ended_last_makes_no_difference(enders: int) -> None:
    seen: Seen = {}
    assert run("dpor", counted(enders, seen, tell=False)) == 1
    assert seen == {("passed",): None}


@pytest.mark.parametrize(("enders", "tell", "cancels"), [(3, True, False), (2, True, True), (2, False, True)])
def test_every_outcome_is_seen(enders: int, tell: bool, cancels: bool) -> None:
    found: Seen = {}
    every: Seen = {}
    ran = run("dpor", counted(enders, found, tell=tell, cancels=cancels))
    run("dfs", counted(enders, every, tell=tell, cancels=cancels))
    assert found == every
    assert len(every) > 1
    assert ran <= 24


def test_readiness_is_waited_for_by_many() -> None:
    seen: dict[str, None] = {}

    async def scenario() -> None:
        scheduler = SimScheduler()
        ready = Readiness(scheduler)

        async def waiter() -> None:
            await ready.wait()

        async def resolver() -> None:
            await asyncio.sleep(0)
            assert ready.resolve()

        await asyncio.gather(waiter(), waiter(), resolver())
        seen["ended"] = None

    assert run("dpor", scenario) == 1
    assert seen == {"ended": None}


def test_a_gate_that_nobody_opens_is_a_deadlock_that_says_so() -> None:
    async def scenario() -> None:
        scheduler = SimScheduler()
        wait = scheduler.through(Countdown(scheduler, 1), on="the child")
        assert wait is not None
        await wait

    for strategy in ("dpor", "dfs"):
        reduced = {"instrument": INSTRUMENTED} if strategy == "dpor" else {}
        verdict = check(scenario, strategy=strategy, timers="discrete", **reduced)  # type: ignore[arg-type]
        assert verdict.failure is not None
        assert "waits for" in str(verdict.failure.exception)
        assert "the child" in str(verdict.failure.exception)


class Box:
    """Open while there is something in it."""

    def __init__(self) -> None:
        self.things: list[int] = []
        self.waiters: Any = None

    @property
    def is_open(self) -> bool:
        return bool(self.things)


def posted(
    posters: int, each: int, seen: Seen, *, busy: bool = False, cancels: bool = False
) -> Callable[[], Coroutine[Any, Any, None]]:
    """Some post, one fetches all that has come, and may have to do between; somebody may cancel it."""

    async def scenario() -> None:
        scheduler = SimScheduler()
        box = Box()
        batches: list[tuple[int, ...]] = []

        async def poster(number: int) -> None:
            for at in range(each):
                await asyncio.sleep(0)
                box.things.append(number * 10 + at)
                scheduler.give(box)

        async def fetcher() -> None:
            while sum(map(len, batches)) < posters * each:
                wait = scheduler.until(box, on="the box")
                if wait is not None:
                    await wait
                batches.append(tuple(box.things))
                box.things.clear()
                if busy:
                    await asyncio.sleep(0)

        fetching = asyncio.create_task(fetcher())
        tasks = [asyncio.create_task(poster(number)) for number in range(posters)]
        cancelled = await ends_cancelled(fetching, tasks, cancels=cancels)
        seen["cancelled" if cancelled else "fetched", *batches] = None

    return scenario


@pytest.mark.parametrize(
    ("posters", "each", "busy", "cancels"),
    [(1, 1, False, False), (1, 3, False, False), (2, 1, False, False), (2, 1, True, False), (2, 1, False, True),
     (1, 2, True, True), (3, 1, False, False)],
)  # fmt: skip
def test_every_way_to_fetch_is_seen(posters: int, each: int, busy: bool, cancels: bool) -> None:
    found: Seen = {}
    every: Seen = {}
    scenario = posted(posters, each, found, busy=busy, cancels=cancels)
    verdict = check(scenario, strategy="dpor", timers="discrete", executions=20_000, instrument=INSTRUMENTED)
    assert verdict.status is Status.PROVED, str(verdict)
    run("dfs", posted(posters, each, every, busy=busy, cancels=cancels))
    assert found == every
    if not (busy or cancels):
        assert verdict.reduction["classes"] == len(every), "each way once"


def handed_over(kind: str, seen: Seen) -> Callable[[], Coroutine[Any, Any, None]]:
    """Somebody gives what another waits for, and a third cancels that one."""

    async def scenario() -> None:
        lock, event = asyncio.Lock(), asyncio.Event()
        empty: asyncio.Queue[int] = asyncio.Queue()
        full: asyncio.Queue[int] = asyncio.Queue(1)
        full.put_nowait(0)
        await lock.acquire()
        gives: dict[str, Callable[[], Any]] = {
            "lock": lock.release,
            "event": event.set,
            "get": lambda: empty.put_nowait(1),
            "put": full.get_nowait,
        }
        waits: dict[str, Callable[[], Coroutine[Any, Any, Any]]] = {
            "lock": lock.acquire,
            "event": event.wait,
            "get": empty.get,
            "put": lambda: full.put(1),
        }
        got: list[str] = []

        async def waiter() -> None:
            await waits[kind]()
            got.append(kind)

        async def giver() -> None:
            gives[kind]()

        async def canceller() -> None:
            waiting.cancel()

        waiting = asyncio.create_task(waiter())
        await asyncio.sleep(0)
        others = [asyncio.create_task(canceller()), asyncio.create_task(giver())]
        with contextlib.suppress(asyncio.CancelledError):
            await waiting
        await asyncio.gather(*others)
        seen[waiting.cancelled(), *got] = None

    return scenario


@pytest.mark.parametrize("kind", ["lock", "event", "get", "put"])
def test_a_wait_may_be_cancelled_before_and_after_it_could_have_ended(kind: str) -> None:
    found: Seen = {}
    every: Seen = {}
    run("dpor", handed_over(kind, found))
    run("dfs", handed_over(kind, every))
    assert found == every == {(True,): None, (False, kind): None}
