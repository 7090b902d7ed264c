"""Random programs over Lock, Semaphore, Queue and Event, with cancellations at random moments.

Three worlds run them: any ready task next (a look at every invariant after every step), first come first
served, and asyncio itself. What must hold, whatever is cancelled when:

- one holder of the lock, granted in order of asking; no more in the semaphore than its capacity, and no
  overtaking there either where tasks run in the order they were woken;
- what came out of the queue is what went in, in order, once; a cancelled put or get did nothing;
- when all is quiet nobody waits for something that is there, and when more comes, everybody finishes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import pytest

from liveproof.abc.scheduler import Scheduler, Task
from liveproof.backends.asyncio_scheduler import AsyncioScheduler, run, sleep_ns
from liveproof.core import sync
from liveproof.core.sync import Event, Lock, Queue, Semaphore
from liveproof.testing import check_scheduler
from tests.runtime.shuffled_scheduler import ShuffledScheduler, ShuffledTask

CASES = 800


class Program:
    """A few tasks, each with a random list of things to do, and the ledger of what they did."""

    def __init__(
        self, s: Scheduler, chance: Random, pause: Callable[[], Awaitable[None]], *, fair: bool
    ) -> None:
        self.s = s
        self.chance = chance
        self.pause = pause
        self.fair = fair  # tasks go on in the order in which they were woken
        self.lock = Lock(s)
        self.capacity = chance.choice([1, 1, 2, 3])
        self.semaphore = Semaphore(s, self.capacity)
        self.room = chance.choice([None, 1, 2])
        self.queue: Queue[int] = Queue(s, self.room)
        self.event = Event(s)
        self.theme = chance.randint(0, 7)
        self.in_lock = self.in_semaphore = 0
        self.asked = 0
        self.granted: dict[object, int] = {}  # by primitive: the number of the last who got it
        self.entered: list[int] = []
        self.taken: list[int] = []
        self.tasks: list[Task] = []
        for number in range(chance.randint(2, 8)):
            self.tasks.append(s.spawn(self._task(chance.randint(1, 8)), name=f"task {number}"))

    async def _task(self, length: int) -> None:
        things = [self._lock, self._semaphore, self._both, self._wait]
        things += [self._put, self._get, self._put_or_leave]
        if self.theme:  # a crowd at one thing
            things = things[self.theme - 1 : self.theme + 1]
        lives = self.chance.randint(0, 2)  # cancellations that it swallows, to go on with something else
        begun = 0
        while begun < length:
            begun += 1
            try:
                await self.chance.choice(things)()
            except self.s.cancelled:
                lives -= 1
                if lives < 0:
                    break

    async def _lock(self) -> None:
        ticket = self._ask()
        async with self.lock:
            self._grant(self.lock, ticket)
            self.in_lock += 1
            try:
                assert self.in_lock == 1, "two in the lock"
                assert self.lock.holder is self.s.current()
                await self._dawdle()
            finally:
                self.in_lock -= 1

    async def _semaphore(self) -> None:
        ticket = self._ask()
        waited = self.semaphore._free == 0  # a free permit may be taken before the called have run
        async with self.semaphore:
            if self.capacity == 1 or (waited and self.fair):
                self._grant(self.semaphore, ticket)
            self.in_semaphore += 1
            try:
                assert self.in_semaphore <= self.capacity, "too many in the semaphore"
                await self._dawdle()
            finally:
                self.in_semaphore -= 1

    async def _both(self) -> None:
        ticket = self._ask()
        async with self.lock:
            self._grant(self.lock, ticket)
            await self.chance.choice([self._semaphore, self._put, self._get])()

    def _ask(self) -> int:
        self.asked += 1
        return self.asked

    def _grant(self, primitive: object, ticket: int) -> None:
        assert ticket > self.granted.get(primitive, 0), "overtaken"
        self.granted[primitive] = ticket

    async def _dawdle(self) -> None:
        for _ in range(self.chance.randint(0, 3)):
            await self.pause()

    async def _put(self) -> None:
        item = self._ask()
        await self.queue.put(item)
        self.entered.append(item)  # in the step in which the item went in

    async def _put_or_leave(self) -> None:
        if not self.queue.full():
            self.entered.append(self._ask())
            self.queue.put_nowait(self.entered[-1])
        await self._dawdle()

    async def _get(self) -> None:
        self.taken.append(await self.queue.get())

    async def _wait(self) -> None:
        if self.chance.random() < 0.2:
            self.event.set()
        await self.event.wait()
        await self._dawdle()

    def check(self) -> None:
        """What holds between any two steps."""
        for primitive in (self.lock, self.semaphore, self.queue, self.event):
            primitive._check()
        assert self.taken == self.entered[: len(self.taken)], "an item was lost, doubled or overtaken"
        assert list(self.queue._items) == self.entered[len(self.taken) :], "the queue holds something else"

    def check_quiet(self) -> None:
        """What holds when nobody can move: whoever waits, waits for something that is not there."""
        self.check()
        assert not _has_ended(self.lock._holder), "the lock is held by the dead"
        assert self.semaphore._free == self.capacity - self.in_semaphore, "a permit was lost"
        assert self.queue._items_claimed == 0, "an item is kept for the dead"
        assert self.queue._room_claimed == 0, "room is kept for the dead"
        if self.queue._takers:
            assert not self.queue._items, "a taker sleeps on an item"
        if self.queue._putters:
            assert len(self.queue._items) == self.room, "a putter sleeps on room"

    def supply(self) -> bool:
        """Give those who wait what they wait for. False if nobody waits for anything from outside."""
        self.event.set()
        if self.queue._takers:
            self.entered.append(self._ask())
            self.queue.put_nowait(self.entered[-1])
            return True
        if self.queue._putters:
            self.s.spawn(self._get(), name="supply")
            return True
        return False


def _has_ended(task: Any) -> bool:
    if task is None:
        return False
    return bool(task.ended if isinstance(task, ShuffledTask) else task.done())


# The worlds -----------------------------------------------------------------------------------------


def run_stepwise(seed: int, *, fair: bool) -> None:
    chance = Random(seed)  # a number and no more, so the case can be run again
    s = ShuffledScheduler(None if fair else chance)
    program = Program(s, chance, s.pause, fair=fair)
    try:
        _drive(s, chance, program)
    finally:
        s.discard()


def _drive(s: ShuffledScheduler, chance: Random, program: Program) -> None:
    cancel_share = chance.choice([0, 0.02, 0.1, 0.3])
    while True:
        while s.step():
            program.check()
            while chance.random() < cancel_share:
                # Those that were just woken are the ones to hit.
                s.cancel(chance.choice(s.ready if s.ready and chance.random() < 0.5 else s.tasks))
                program.check()
        program.check_quiet()
        cancel_share = 0
        if not program.supply() and not s.ready:
            break
    asleep = {task: task.parked_on for task in s.tasks if not task.ended}
    assert not asleep, "for ever"


def run_on_asyncio(seed: int) -> None:
    chance = Random(seed)

    async def main() -> None:
        s = AsyncioScheduler()
        reports: list[dict[str, Any]] = []
        s._loop.set_exception_handler(lambda _loop, context: reports.append(context))

        async def pause() -> None:
            await sleep_ns(0)

        program = Program(s, chance, pause, fair=True)
        cancel_share = chance.choice([0, 0.1, 0.5])
        while True:
            for _ in range(60):
                await pause()
                program.check()
                while chance.random() < cancel_share:
                    s.cancel(chance.choice(program.tasks))
            cancel_share = 0
            for _ in range(60):
                await pause()
            program.check_quiet()
            if not program.supply() and not s._tasks:
                break
            assert len(program.entered) < 1000, "for ever"
        assert not s._tasks
        assert not reports, reports
        s._check()
        s.close()

    run(main)


def test_any_order() -> None:
    for seed in range(CASES):
        run_stepwise(seed, fair=False)


def test_first_come_first_served() -> None:
    for seed in range(CASES):
        run_stepwise(seed, fair=True)


def test_on_asyncio() -> None:
    for seed in range(CASES // 4):
        run_on_asyncio(seed)


def test_the_stepwise_world_is_a_scheduler() -> None:
    """Its default order keeps all the rules, so what it finds is a fault of the primitives."""
    world: list[ShuffledScheduler] = []

    def run_in_fresh_world(main: Callable[[], Any]) -> None:
        world[:] = [ShuffledScheduler()]
        world[0].run(main)

    check_scheduler(lambda: world[0], run_in_fresh_world)


# Planted bugs ---------------------------------------------------------------------------------------

honest_wait = sync._Line.wait
honest_release = Semaphore._pass_on


async def keep(self: sync._Line, scheduler: Scheduler, on: object, _: Callable[[], None]) -> None:
    """A task that was called and is cancelled keeps what it was given."""
    await honest_wait(self, scheduler, on, lambda: None)


async def stay(self: sync._Line, scheduler: Scheduler, on: object, pass_on: Callable[[], None]) -> None:
    """A task that is cancelled stays in the line."""
    try:
        await honest_wait(self, scheduler, on, pass_on)
    except scheduler.cancelled:
        self._tasks.setdefault(scheduler.current(), None)
        raise


async def believe(self: sync._Line, scheduler: Scheduler, on: object, pass_on: Callable[[], None]) -> None:
    """A task that is cancelled was not called, surely, and a task that is woken was."""
    task = scheduler.current()
    self._tasks[task] = None
    try:
        await scheduler.park(on)
    finally:
        self._tasks.pop(task, None)


def call_last(self: sync._Line, scheduler: Scheduler) -> Task:
    """Last come, first served."""
    task, _ = self._tasks.popitem(last=True)
    scheduler.unpark(task)
    return task


def call_softly(self: sync._Line, scheduler: Scheduler) -> Task:
    """Called, and not woken."""
    task, _ = self._tasks.popitem(last=False)
    return task


def release_twice(self: Semaphore) -> None:
    """The permit goes to a waiter, and is free as well."""
    waiters = len(self._line)
    honest_release(self)
    self._free += waiters > 0


def tell_nobody(self: Queue[int]) -> None:
    """Those who wait are not told of the item, or of the room."""


def claim_nothing(self: Queue[int]) -> None:
    """The item that a taker was called for may be had by another one first."""
    if self._takers:
        self._takers.call_first(self._scheduler)


@pytest.mark.parametrize(
    ("owner", "method", "bug"),
    [
        (sync._Line, "wait", keep),
        (sync._Line, "wait", stay),
        (sync._Line, "wait", believe),
        (sync._Line, "call_first", call_last),
        (sync._Line, "call_first", call_softly),
        (Semaphore, "_pass_on", release_twice),
        (Queue, "_call_taker", tell_nobody),
        (Queue, "_call_putter", tell_nobody),
        (Queue, "_call_taker", claim_nothing),
    ],
    ids=lambda item: getattr(item, "__name__", item),
)
def test_planted_bug_is_found(owner: type, method: str, bug: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owner, method, bug)
    # IndexError: a claim to nothing. RuntimeError: a primitive that finds itself misused.
    found = (AssertionError, IndexError, RuntimeError)
    with pytest.raises(found):
        test_any_order()
    with pytest.raises(found):
        test_first_come_first_served()
