"""Event, Lock, Semaphore, Queue and Promise: written once, above ``park`` and ``unpark``.

Three rules keep every one of them right when a waiter is cancelled at any moment:

1. What a waiter waits for is in the object's own state, never in the wake-up. A woken task looks
   again, so an ``unpark`` too many is harmless.
2. What is given to a waiter (a lock, a permit, a claim to an item) is given by the giver, before the
   waiter runs: nobody overtakes, so all lines are first come, first served. A waiter has been *called*
   when it is no longer in the line.
3. A task that was called and is cancelled before it could run passes on what it was given, in the same
   step. Nothing is lost, and nothing stays with the dead.

Nothing here yields when it does not have to wait. All operations are O(1), amortised; ``set`` and its
like are O(waiters). Every wait is ``park(self)``: an observer sees what is waited for.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from types import TracebackType
from typing import Generic, TypeAlias, TypeVar, cast

from liveproof.abc.scheduler import Scheduler, Task

__all__ = ["Event", "Lock", "Promise", "Queue", "Semaphore"]

T = TypeVar("T")

_ErrorState: TypeAlias = tuple[TracebackType | None, BaseException | None, BaseException | None, bool]


class _Line:
    """Tasks in order of arrival, of which the first is called. Home of the third rule."""

    # An OrderedDict, for its O(1) at both: in a dict that lost its first keys, finding the first is a scan.
    __slots__ = ("_tasks",)

    def __init__(self) -> None:
        self._tasks: OrderedDict[Task, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._tasks)

    def __contains__(self, task: Task) -> bool:
        return task in self._tasks

    async def wait(self, scheduler: Scheduler, on: object, pass_on: Callable[[], None]) -> None:
        """Wait to be called. Whoever was called and is cancelled leaves what it was given to ``pass_on``."""
        task = scheduler.current()
        assert task not in self._tasks
        self._tasks[task] = None
        try:
            while task in self._tasks:
                await scheduler.park(on)
        except BaseException:
            scheduler.touch(on, write=True)
            if task in self._tasks:
                del self._tasks[task]
            else:
                pass_on()
            raise
        scheduler.touch(on, write=True)

    def call_first(self, scheduler: Scheduler) -> Task:
        """Take the first out of the line and wake it. What it is given must be on record already, or be
        put there in this step."""
        task, _ = self._tasks.popitem(last=False)
        scheduler.unpark(task)
        return task


class _Named:
    """A scheduler, and a name for people."""

    __slots__ = ("_name", "_scheduler")

    def __init__(self, scheduler: Scheduler, *, name: str = "") -> None:
        self._scheduler = scheduler
        self._name = name

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._name}>" if self._name else f"<{type(self).__name__}>"


class Event(_Named):
    """Something that happens once. It cannot be taken back."""

    __slots__ = ("_is_set", "_waiters")

    def __init__(self, scheduler: Scheduler, *, name: str = "") -> None:
        super().__init__(scheduler, name=name)
        self._is_set = False
        self._waiters: dict[Task, None] = {}  # Invariant: empty once it has happened.

    def set(self) -> None:
        """It has happened. Repeating has no effect."""
        self._scheduler.touch(self, write=True)
        self._is_set = True
        waiters, self._waiters = self._waiters, {}
        for task in waiters:
            self._scheduler.unpark(task)

    def is_set(self) -> bool:
        """Whether it has happened."""
        self._scheduler.touch(self, write=False)
        return self._is_set

    async def wait(self) -> None:
        """Return once it has happened."""
        if self.is_set():
            return
        task = self._scheduler.current()
        self._waiters[task] = None
        try:
            while not self.is_set():
                await self._scheduler.park(self)
        finally:
            self._waiters.pop(task, None)

    def _check(self) -> None:
        """Raise ``AssertionError`` if an invariant is broken. O(1)."""
        assert not (self._is_set and self._waiters)


class Lock(_Named):
    """One task at a time, in order of arrival. Not reentrant."""

    __slots__ = ("_holder", "_line")

    def __init__(self, scheduler: Scheduler, *, name: str = "") -> None:
        super().__init__(scheduler, name=name)
        self._holder: Task | None = None
        self._line = _Line()  # Invariant: empty while nobody holds the lock; never has the holder.

    @property
    def holder(self) -> Task | None:
        """Who has it. A task that was called has it before it runs again."""
        self._scheduler.touch(self, write=False)
        return self._holder

    async def acquire(self) -> None:
        """Get the lock, after all who asked before."""
        self._scheduler.touch(self, write=True)
        task = self._scheduler.current()
        if self._holder is task:
            raise RuntimeError(f"{self!r} is held by this very task: it would wait for itself for ever")
        if self._holder is None:
            assert not self._line
            self._holder = task
            return
        await self._line.wait(self._scheduler, self, self._pass_on)
        assert self._holder is task

    def release(self) -> None:
        """Hand the lock to the first in line. Only its holder may."""
        self._scheduler.touch(self, write=True)
        if self._holder is not self._scheduler.current():
            raise RuntimeError(f"{self!r} is not held by this task")
        self._pass_on()

    def _pass_on(self) -> None:
        self._holder = self._line.call_first(self._scheduler) if self._line else None

    async def __aenter__(self) -> None:
        await self.acquire()

    async def __aexit__(self, *exc_info: object) -> None:
        self.release()

    def _check(self) -> None:
        """Raise ``AssertionError`` if an invariant is broken. O(1)."""
        if self._holder is None:
            assert not self._line
        else:
            assert self._holder not in self._line


class Semaphore(_Named):
    """At most ``capacity`` at a time, in order of arrival. Permits have no owner."""

    __slots__ = ("_capacity", "_free", "_line")

    def __init__(self, scheduler: Scheduler, capacity: int, *, name: str = "") -> None:
        if capacity < 1:
            raise ValueError(f"capacity must be at least 1, not {capacity}")
        super().__init__(scheduler, name=name)
        self._capacity = capacity
        self._free = capacity  # Invariant: between 0 and the capacity.
        self._line = _Line()  # Invariant: empty while a permit is free.

    async def acquire(self) -> None:
        """Get a permit, after all who asked before."""
        self._scheduler.touch(self, write=True)
        if self._free:
            assert not self._line
            self._free -= 1
            return
        await self._line.wait(self._scheduler, self, self._pass_on)

    def release(self) -> None:
        """Hand a permit to the first in line, or put it back."""
        self._scheduler.touch(self, write=True)
        if self._free == self._capacity:
            raise RuntimeError(f"{self!r} was released more often than acquired")
        self._pass_on()

    def _pass_on(self) -> None:
        if self._line:
            self._line.call_first(self._scheduler)
        else:
            self._free += 1

    async def __aenter__(self) -> None:
        await self.acquire()

    async def __aexit__(self, *exc_info: object) -> None:
        self.release()

    def _check(self) -> None:
        """Raise ``AssertionError`` if an invariant is broken. O(1)."""
        assert 0 <= self._free <= self._capacity
        assert not (self._free and self._line)


class Queue(_Named, Generic[T]):
    """Items in order, for many givers and many takers; at most ``capacity`` items, if there is one.

    An item leaves the queue only in the step in which its taker has it, and enters only in the step in
    which ``put`` returns. A task that is called gets a *claim*, to some item or to room for one, and not
    the thing itself. So a cancelled ``get`` took nothing, and a cancelled ``put`` gave nothing.
    """

    __slots__ = ("_capacity", "_items", "_items_claimed", "_putters", "_room_claimed", "_takers")

    def __init__(self, scheduler: Scheduler, capacity: int | None = None, *, name: str = "") -> None:
        if capacity is not None and capacity < 1:
            raise ValueError(f"capacity must be at least 1, not {capacity}")
        super().__init__(scheduler, name=name)
        self._capacity = capacity
        self._items: deque[T] = deque()
        self._items_claimed = 0  # Invariant: never more than there are items.
        self._room_claimed = 0  # Invariant: items and claims to room are never more than the capacity.
        self._takers = _Line()  # Invariant: somebody waits only while every item is claimed ...
        self._putters = _Line()  # ... and here, only while all room is taken or claimed.

    def __len__(self) -> int:
        self._scheduler.touch(self, write=False)
        return len(self._items)

    def full(self) -> bool:
        """Whether ``put_nowait`` would raise, and ``put`` would wait."""
        self._scheduler.touch(self, write=False)
        return not self._has_room()

    def put_nowait(self, item: T) -> None:
        """Add the item. ``RuntimeError`` if there is no room for it."""
        self._scheduler.touch(self, write=True)
        if not self._has_room():
            raise RuntimeError(f"{self!r} is full: {self._capacity} items are there, or were given room")
        self._add(item)

    async def put(self, item: T) -> None:
        """Add the item, once there is room."""
        self._scheduler.touch(self, write=True)
        if not self._has_room():
            await self._putters.wait(self._scheduler, self, self._pass_room_on)
            self._room_claimed -= 1
        self._add(item)

    async def get(self) -> T:
        """Take the first item, once there is one that nobody has a claim to."""
        self._scheduler.touch(self, write=True)
        if len(self._items) == self._items_claimed:
            await self._takers.wait(self._scheduler, self, self._pass_item_on)
            self._items_claimed -= 1
        item = self._items.popleft()
        self._call_putter()
        return item

    def _has_room(self) -> bool:
        return self._capacity is None or len(self._items) + self._room_claimed < self._capacity

    def _add(self, item: T) -> None:
        assert self._has_room()
        self._items.append(item)
        self._call_taker()

    def _call_taker(self) -> None:
        if self._takers and len(self._items) > self._items_claimed:
            self._items_claimed += 1
            self._takers.call_first(self._scheduler)

    def _call_putter(self) -> None:
        if self._putters and self._has_room():
            self._room_claimed += 1
            self._putters.call_first(self._scheduler)

    def _pass_item_on(self) -> None:
        self._items_claimed -= 1
        self._call_taker()

    def _pass_room_on(self) -> None:
        self._room_claimed -= 1
        self._call_putter()

    def _check(self) -> None:
        """Raise ``AssertionError`` if an invariant is broken. O(1)."""
        assert 0 <= self._items_claimed <= len(self._items)
        assert self._room_claimed >= 0
        if self._takers:
            assert len(self._items) == self._items_claimed
        if self._capacity is None:
            assert self._room_claimed == 0
            assert not self._putters
        else:
            assert len(self._items) + self._room_claimed <= self._capacity
            if self._putters:
                assert not self._has_room()


class Promise(_Named, Generic[T]):
    """A result, or an exception, that comes once, for as many as want to wait for it.

    All waiters get the same exception object: a copy would not be the one that was raised, and not every
    exception can be copied. Before each raise, its traceback, context and cause are put back to what they
    were when it came in, so that waiters do not pile their frames on each other's. An exception that
    nobody waits for is not reported: that is the owner's business.
    """

    __slots__ = ("_error", "_error_state", "_is_done", "_result", "_waiters")

    def __init__(self, scheduler: Scheduler, *, name: str = "") -> None:
        super().__init__(scheduler, name=name)
        self._is_done = False
        self._result: T | None = None  # Invariant: None unless done without an error.
        self._error: BaseException | None = None  # Invariant: None unless done.
        self._error_state: _ErrorState | None = None  # Invariant: there if there is an error.
        self._waiters: dict[Task, None] = {}  # Invariant: empty once done.

    def set_result(self, result: T) -> None:
        """Keep the promise. ``RuntimeError`` if that was done already."""
        self._settle()
        self._result = result

    def set_exception(self, error: BaseException) -> None:
        """Have all waiters raise ``error``."""
        if not isinstance(error, BaseException):
            raise TypeError(f"an exception instance is needed, not {error!r}")
        if isinstance(error, self._scheduler.cancelled):
            raise TypeError("a waiter could not tell this exception from its own cancellation: wrap it")
        self._settle()
        self._error = error
        context = (error.__context__, error.__cause__, error.__suppress_context__)
        self._error_state = (error.__traceback__, *context)

    def done(self) -> bool:
        """Whether there is a result or an exception."""
        self._scheduler.touch(self, write=False)
        return self._is_done

    async def wait(self) -> T:
        """The result, once there is one; or raise the exception."""
        if not self.done():
            task = self._scheduler.current()
            self._waiters[task] = None
            try:
                while not self.done():
                    await self._scheduler.park(self)
            finally:
                self._waiters.pop(task, None)
        return self.peek()

    def peek(self) -> T:
        """As :meth:`wait`, without waiting: ``RuntimeError`` if there is nothing yet."""
        if not self.done():
            raise RuntimeError(f"{self!r} has no result yet")
        if self._error is not None:
            assert self._error_state is not None
            traceback, context, cause, suppress = self._error_state
            self._error.__context__, self._error.__cause__ = context, cause
            self._error.__suppress_context__ = suppress
            raise self._error.with_traceback(traceback)
        return cast("T", self._result)

    def _settle(self) -> None:
        self._scheduler.touch(self, write=True)
        if self._is_done:
            raise RuntimeError(f"{self!r} has its result already")
        self._is_done = True
        waiters, self._waiters = self._waiters, {}
        for task in waiters:
            self._scheduler.unpark(task)

    def _check(self) -> None:
        """Raise ``AssertionError`` if an invariant is broken. O(1)."""
        if self._is_done:
            assert not self._waiters
        else:
            assert self._error is None
        if self._error is not None:
            assert self._result is None
            assert self._error_state is not None
