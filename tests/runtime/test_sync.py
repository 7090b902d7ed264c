"""Event, Lock, Semaphore, Queue and Promise, case by case, on asyncio."""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

import pytest

from liveproof.abc.scheduler import Task
from liveproof.backends.asyncio_scheduler import AsyncioScheduler, run, sleep_ns
from liveproof.core.sync import Event, Lock, Promise, Queue, Semaphore


class Watched(AsyncioScheduler):
    """Notes what tasks park on and what they touch, and their names as they do."""

    def __init__(self) -> None:
        super().__init__()
        self.parks: list[object] = []
        self.touches: list[tuple[object, bool]] = []

    async def park(self, on: object, /) -> None:
        self.parks.append(on)
        await super().park(on)

    def touch(self, resource: object, /, *, write: bool) -> None:
        self.touches.append((resource, write))


def on_asyncio(test: Callable[[Watched], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Turn a coroutine function of a scheduler into a test."""

    def wrapped() -> None:
        async def main() -> None:
            scheduler = Watched()
            await test(scheduler)
            scheduler._check()
            scheduler.close()

        run(main)

    wrapped.__name__ = test.__name__
    return wrapped


async def settle() -> None:
    for _ in range(10):
        await sleep_ns(0)


def start(s: Watched, log: list[str], name: str, wait: Callable[[], Awaitable[object]]) -> Task:
    """A task that waits, and notes what came of it."""

    async def main() -> None:
        try:
            result = await wait()
        except s.cancelled:
            log.append(f"{name} cancelled")
            raise
        except LookupError as error:
            log.append(f"{name} raised {error}")
        else:
            log.append(name if result is None else f"{name} got {result}")

    return s.spawn(main(), name=name)


# Event ----------------------------------------------------------------------------------------------


@on_asyncio
async def test_event(s: Watched) -> None:
    log: list[str] = []
    event = Event(s, name="doors open")
    tasks = {name: start(s, log, name, event.wait) for name in "abcd"}
    await settle()
    assert not event.is_set()
    s.unpark(tasks["a"])  # a wake-up too many
    s.cancel(tasks["b"])
    await settle()
    assert log == ["b cancelled"]
    event.set()
    event.set()
    s.cancel(tasks["d"])  # woken, and cancelled before it ran
    event._check()
    await settle()
    assert log == ["b cancelled", "a", "c", "d cancelled"]
    assert event.is_set()
    parks = len(s.parks)
    await event.wait()
    assert len(s.parks) == parks, "it waited for what had happened"
    assert set(s.parks) == {event}
    assert {(event, True), (event, False)} == set(s.touches)
    assert repr(event) == "<Event doors open>"
    assert repr(Event(s)) == "<Event>"


# Lock -----------------------------------------------------------------------------------------------


@on_asyncio
async def test_lock_goes_round_in_order(s: Watched) -> None:
    log: list[str] = []
    lock = Lock(s)
    await lock.acquire()
    assert not s.parks, "it waited for a free lock"
    assert lock.holder is s.current()
    tasks = {name: start(s, log, name, lock.acquire) for name in "abcd"}
    await settle()
    s.cancel(tasks["b"])
    await settle()
    lock.release()
    assert lock.holder is tasks["a"], "handed over in the step of the release"
    lock._check()
    await settle()
    assert log == ["b cancelled", "a"]
    assert set(s.parks) == {lock}


@on_asyncio
async def test_lock_is_passed_on_by_the_cancelled(s: Watched) -> None:
    log: list[str] = []
    lock = Lock(s)
    await lock.acquire()
    tasks = {name: start(s, log, name, lock.acquire) for name in "abc"}
    await settle()
    lock.release()
    s.cancel(tasks["a"])
    s.cancel(tasks["b"])
    await settle()
    assert log == ["a cancelled", "b cancelled", "c"]
    assert lock.holder is tasks["c"]


@on_asyncio
async def test_lock_nobody_waits_for_comes_free(s: Watched) -> None:
    lock = Lock(s)
    await lock.acquire()
    task = start(s, [], "a", lock.acquire)
    await settle()
    lock.release()
    s.cancel(task)
    await settle()
    assert lock.holder is None
    async with lock:
        assert lock.holder is s.current()
    assert lock.holder is None


@on_asyncio
async def test_lock_cannot_be_overtaken(s: Watched) -> None:
    """A task that releases and asks again stands behind those who waited."""
    log: list[str] = []
    lock = Lock(s)

    async def worker(name: str) -> None:
        for _ in range(3):
            async with lock:
                log.append(name)

    async with lock:
        for name in "abc":
            s.spawn(worker(name), name=name)
        await settle()
    await settle()
    assert log == list("abc" * 3)


@on_asyncio
async def test_lock_misuse(s: Watched) -> None:
    lock = Lock(s, name="of the door")
    with pytest.raises(RuntimeError, match="<Lock of the door> is not held by this task"):
        lock.release()
    async with lock:
        with pytest.raises(RuntimeError, match="wait for itself for ever"):
            await lock.acquire()
        log: list[str] = []

        async def release() -> None:
            with pytest.raises(RuntimeError, match="not held by this task"):
                lock.release()

        start(s, log, "other", release)
        await settle()
        assert log == ["other"]
        assert lock.holder is s.current()


# Semaphore ------------------------------------------------------------------------------------------


@on_asyncio
async def test_semaphore(s: Watched) -> None:
    log: list[str] = []
    semaphore = Semaphore(s, 2)
    async with semaphore:
        async with semaphore:
            tasks = {name: start(s, log, name, semaphore.acquire) for name in "abcd"}
            await settle()
            s.cancel(tasks["b"])
            await settle()
            assert log == ["b cancelled"]
        s.cancel(tasks["a"])  # called, and cancelled before it ran: c gets the permit
        semaphore._check()
        await settle()
        assert log[1:] == ["a cancelled", "c"]
    await settle()
    assert log[3:] == ["d"]
    semaphore.release()
    semaphore.release()
    with pytest.raises(RuntimeError, match="released more often than acquired"):
        semaphore.release()
    semaphore._check()
    assert set(s.parks) == {semaphore}
    with pytest.raises(ValueError, match="at least 1"):
        Semaphore(s, 0)


# Queue ----------------------------------------------------------------------------------------------


@on_asyncio
async def test_queue_of_items(s: Watched) -> None:
    queue: Queue[int] = Queue(s)
    for number in range(5):
        queue.put_nowait(number)
    assert len(queue) == 5
    assert [await queue.get() for _ in range(5)] == [0, 1, 2, 3, 4]
    assert not s.parks
    with pytest.raises(ValueError, match="at least 1"):
        Queue(s, 0)


@on_asyncio
async def test_queue_of_takers(s: Watched) -> None:
    log: list[str] = []
    queue: Queue[int] = Queue(s)
    tasks = {name: start(s, log, name, queue.get) for name in "abcd"}
    await settle()
    s.cancel(tasks["b"])
    queue.put_nowait(1)
    queue.put_nowait(2)
    s.cancel(tasks["a"])  # it had a claim, which goes to d; items stay in order
    late = start(s, log, "late", queue.get)  # all items are claimed: it stands behind
    queue._check()
    await settle()
    assert log == ["b cancelled", "a cancelled", "c got 1", "d got 2"]
    queue.put_nowait(3)
    s.cancel(late)
    await settle()
    assert log[4:] == ["late cancelled"]
    assert await queue.get() == 3, "the item went with the cancelled"


@on_asyncio
async def test_queue_with_a_capacity(s: Watched) -> None:
    log: list[str] = []
    queue: Queue[int] = Queue(s, 2, name="inbox")
    await queue.put(1)
    await queue.put(2)
    assert queue.full()
    with pytest.raises(RuntimeError, match="<Queue inbox> is full: 2 items"):
        queue.put_nowait(0)
    tasks = {number: start(s, log, str(number), partial(queue.put, number)) for number in (3, 4, 5, 6)}
    await settle()
    s.cancel(tasks[4])
    assert await queue.get() == 1
    s.cancel(tasks[3])  # it had been given room, which goes to 5
    with pytest.raises(RuntimeError, match="full"):
        queue.put_nowait(0)
    queue._check()
    await settle()
    assert log == ["4 cancelled", "3 cancelled", "5"]
    assert [await queue.get() for _ in range(2)] == [2, 5]
    assert await queue.get() == 6
    assert len(queue) == 0
    assert not queue.full()


# Promise --------------------------------------------------------------------------------------------


@on_asyncio
async def test_promise_of_a_result(s: Watched) -> None:
    log: list[str] = []
    promise: Promise[int] = Promise(s, name="answer")
    tasks = {name: start(s, log, name, promise.wait) for name in "abc"}
    await settle()
    assert not promise.done()
    with pytest.raises(RuntimeError, match="<Promise answer> has no result yet"):
        promise.peek()
    s.unpark(tasks["a"])  # a wake-up too many
    await settle()
    promise.set_result(42)
    s.cancel(tasks["b"])
    promise._check()
    await settle()
    assert log == ["a got 42", "b cancelled", "c got 42"]
    assert promise.done()
    assert promise.peek() == 42
    assert await promise.wait() == 42
    with pytest.raises(RuntimeError, match="has its result already"):
        promise.set_result(1)
    with pytest.raises(RuntimeError, match="has its result already"):
        promise.set_exception(LookupError("late"))
    assert promise.peek() == 42


@on_asyncio
async def test_promise_of_an_exception(s: Watched) -> None:
    log: list[str] = []
    promise: Promise[int] = Promise(s)
    for name in "ab":
        start(s, log, name, promise.wait)
    await settle()
    promise.set_exception(LookupError("broken"))
    promise._check()
    await settle()
    assert log == ["a raised broken", "b raised broken"]


@on_asyncio
async def test_promise_raises_the_same_thing_each_time(s: Watched) -> None:
    """The waiters' frames and contexts do not pile up on the exception."""
    promise: Promise[int] = Promise(s)
    cause = OSError("cause")
    try:
        raise LookupError("broken") from cause
    except LookupError as error:
        promise.set_exception(error)
        frames = len(traceback.extract_tb(error.__traceback__))
    depths = []
    for _ in range(5):
        try:
            raise ValueError("the waiter's own trouble")
        except ValueError:
            with pytest.raises(LookupError, match="broken") as caught:
                await promise.wait()
        depths.append(len(traceback.extract_tb(caught.value.__traceback__)))
        assert caught.value.__cause__ is cause
    assert depths == [depths[0]] * 5
    assert depths[0] > frames
    with pytest.raises(LookupError) as caught:
        promise.peek()
    assert caught.value.__context__ is None, "a waiter's trouble stuck to the exception of all"


@on_asyncio
async def test_promise_of_what_cannot_be_raised(s: Watched) -> None:
    promise: Promise[int] = Promise(s)
    with pytest.raises(TypeError, match="an exception instance is needed"):
        promise.set_exception(LookupError)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="its own cancellation: wrap it"):
        promise.set_exception(s.cancelled())
    assert not promise.done()
    promise.set_result(1)
