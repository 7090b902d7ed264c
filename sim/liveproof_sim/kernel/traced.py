"""asyncio's own objects, telling the running simulation what is read and written of them.

Futures and tasks are subclasses, made by the loop; locks, events, conditions, semaphores, queues, barriers and
task groups are patched for the extent of a reduced exploration (:func:`traced`). What each call conflicts
with is said in ``accesses.py``.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import types
from collections.abc import Callable, Coroutine, Generator, Hashable, Iterator
from typing import Any

from liveproof_sim.kernel.accesses import READ, WRITE, Accesses, here
from liveproof_sim.kernel.guards import Guard

__all__ = ["TracedFuture", "TracedHandle", "TracedTask", "resource_of", "traced"]


def _reads(name: str) -> Callable[..., Any]:
    return _noting(name, READ)


def _writes(name: str) -> Callable[..., Any]:
    return _noting(name, WRITE)


def _noting(name: str, modes: int) -> Callable[..., Any]:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        self.touch(modes)
        return getattr(super(type(self)._plain, self), name)(*args, **kwargs)

    method.__name__ = method.__qualname__ = name
    return method


class TracedFuture(asyncio.Future):  # type: ignore[type-arg]
    """A future whose state is a resource."""

    _plain: Any

    def __init__(self, *, loop: Any) -> None:
        super().__init__(loop=loop)
        loop.accesses.made(self)

    def touch(self, modes: int) -> None:
        """Note an access by the running step."""
        accesses = self.get_loop().accesses  # type: ignore[attr-defined]
        accesses.note(accesses.name(self), modes)

    def __await__(self) -> Generator[Any, None, Any]:
        self.touch(READ)
        return super().__await__()

    __iter__ = __await__
    done = _reads("done")
    result = _reads("result")
    exception = _reads("exception")
    cancelled = _reads("cancelled")
    add_done_callback = _reads("add_done_callback")
    remove_done_callback = _reads("remove_done_callback")
    set_result = _writes("set_result")
    set_exception = _writes("set_exception")
    cancel = _writes("cancel")


TracedFuture._plain = TracedFuture


class TracedTask(asyncio.Task):  # type: ignore[type-arg]
    """A task whose end is a resource, and whose cancellation another one, read by each of its steps."""

    _plain: Any

    @property
    def ending(self) -> tuple[str, str]:
        """The resource that its last step writes."""
        loop: Any = self.get_loop()
        return ("end", loop.causes.label(self))

    @property
    def control(self) -> tuple[str, str]:
        """The resource that a cancellation writes."""
        loop: Any = self.get_loop()
        return ("control", loop.causes.label(self))

    def touch(self, modes: int) -> None:
        """Note an access by the running step."""
        self.get_loop().accesses.note(self.ending, modes)  # type: ignore[attr-defined]

    def __await__(self) -> Generator[Any, None, Any]:
        self.touch(READ)
        return super().__await__()

    __iter__ = __await__
    done = _reads("done")
    result = _reads("result")
    exception = _reads("exception")
    cancelled = _reads("cancelled")
    add_done_callback = _reads("add_done_callback")
    remove_done_callback = _reads("remove_done_callback")

    def cancel(self, msg: Any = None) -> bool:
        accesses = self.get_loop().accesses  # type: ignore[attr-defined]
        accesses.note(self.control, WRITE)
        self.touch(READ)
        waiter = self._fut_waiter  # type: ignore[attr-defined]
        if waiter is not None and hasattr(waiter, "_children"):  # gather's; all others tell of themselves
            accesses.note(resource_of(waiter, accesses), WRITE)
        return super().cancel(msg) if msg is not None else super().cancel()  # and what it waits for

    def cancelling(self) -> int:
        accesses = self.get_loop().accesses  # type: ignore[attr-defined]
        accesses.note(self.control, READ)
        return super().cancelling()


TracedTask._plain = TracedTask


class TracedHandle(asyncio.Handle):
    """A callback that is to be called soon. Whether it is still wanted is a resource; a timer's, too."""

    __slots__ = ()

    def cancel(self) -> None:
        if not self._cancelled:
            accesses = self._loop.accesses  # type: ignore[attr-defined]
            accesses.write(accesses.name(self))
        super().cancel()


def resource_of(future: Any, accesses: Accesses) -> Hashable:
    """The state of a future, a task, or what gather returns, which goes by its first child."""
    if isinstance(future, TracedTask):
        return future.ending
    children = getattr(future, "_children", None)
    if children:
        return ("gathered", resource_of(children[0], accesses))
    return accesses.name(future)


# ---- locks and the like


def _free(lock: asyncio.Lock) -> bool:
    return not lock._locked and not lock._waiters  # type: ignore[attr-defined]


def _behind(predicate: Callable[[], bool], resource: Hashable) -> Guard:
    """To wait until that holds, and then to write the resource."""
    loop: Any = asyncio.get_running_loop()
    return Guard(loop, predicate, {resource: WRITE}, asked=True)


async def _acquire(original: Any, self: asyncio.Lock) -> Any:
    accesses = here()
    if accesses is None:
        return await original(self)
    taken, given = ("taken", accesses.name(self)), ("given", accesses.name(self))
    alone = accesses.alone()  # nothing but the attempt: to wait for the lock is no step
    if not _free(self):
        if not alone:
            accesses.write(taken)
            accesses.write(given)
            await original(self)
            accesses.write(taken)
            return True
        await _behind(functools.partial(_free, self), taken)
    if alone:
        accesses.take(taken, given)
    else:
        accesses.write(taken)
        accesses.write(given)
    self._locked = True  # type: ignore[attr-defined]
    return True


def _release(original: Any, self: asyncio.Lock) -> None:
    accesses = here()
    if accesses is not None:
        accesses.write(("given", accesses.name(self)))
    original(self)


def _locked(original: Any, self: asyncio.Lock) -> Any:
    accesses = here()
    if accesses is not None:
        accesses.read(("taken", accesses.name(self)))
        accesses.read(("given", accesses.name(self)))
    return original(self)


def _method(modes: int) -> Callable[..., Any]:
    """All that the method does is one access to the object."""

    def wrapped(original: Any, self: Any, *args: Any, **kwargs: Any) -> Any:
        accesses = here()
        if accesses is not None:
            accesses.note(accesses.name(self), modes)
        return original(self, *args, **kwargs)

    return wrapped


def _about(accesses: Accesses, end: Hashable, resource: Hashable, *, alone: bool) -> None:
    """An item, or a free place, that this step takes at an end of a queue: without it the step would have
    waited, which is a step of its own only if there is more to it."""
    if alone:
        accesses.take(end, resource)
    else:
        accesses.write(end)
        accesses.write(resource)


def _put_nowait(original: Any, self: asyncio.Queue[Any], item: Any, *, alone: bool = False) -> None:
    accesses = here()
    if accesses is None:
        original(self, item)
        return
    name = accesses.name(self)
    number = _count(self, "put")
    accesses.write((name, "tail"))
    with accesses.mute():
        full = self.full()
    if full:
        accesses.read((name, "head"))
    else:
        accesses.write((name, "item", number))
        if self.maxsize > 0 and number >= self.maxsize:
            _about(accesses, (name, "tail"), (name, "place", number - self.maxsize), alone=alone)
        self._liveproof_put = number + 1  # type: ignore[attr-defined]
    with accesses.mute():
        original(self, item)


def _get_nowait(original: Any, self: asyncio.Queue[Any], *, alone: bool = False) -> Any:
    accesses = here()
    if accesses is None:
        return original(self)
    name = accesses.name(self)
    number = _count(self, "get")
    accesses.write((name, "head"))
    with accesses.mute():
        empty = self.empty()
    if empty:
        accesses.read((name, "tail"))
    else:
        _about(accesses, (name, "head"), (name, "item", number), alone=alone)
        accesses.write((name, "place", number))
        self._liveproof_get = number + 1  # type: ignore[attr-defined]
    with accesses.mute():
        return original(self)


def _count(queue: asyncio.Queue[Any], what: str) -> int:
    count: int = getattr(queue, f"_liveproof_{what}", 0)
    return count


def _can_put(queue: Any) -> bool:
    return len(queue._queue) < queue._maxsize and not queue._putters


def _can_get(queue: Any) -> bool:
    return bool(queue._queue) and not queue._getters


async def _put(original: Any, self: asyncio.Queue[Any], item: Any) -> None:
    accesses = here()
    if accesses is None:
        await original(self, item)
        return
    alone = accesses.alone()
    with accesses.mute():
        there = not self.full()
    if not there:
        if not alone:
            accesses.write((accesses.name(self), "tail"))
            accesses.read((accesses.name(self), "head"))
            await original(self, item)
            return
        await _behind(functools.partial(_can_put, self), (accesses.name(self), "tail"))
    _put_nowait(_PUT_NOWAIT, self, item, alone=alone)


async def _get(original: Any, self: asyncio.Queue[Any]) -> Any:
    accesses = here()
    if accesses is None:
        return await original(self)
    alone = accesses.alone()
    with accesses.mute():
        there = not self.empty()
    if not there:
        if not alone:
            accesses.write((accesses.name(self), "head"))
            accesses.read((accesses.name(self), "tail"))
            return await original(self)
        await _behind(functools.partial(_can_get, self), (accesses.name(self), "head"))
    return _get_nowait(_GET_NOWAIT, self, alone=alone)


_PUT_NOWAIT = asyncio.Queue.put_nowait
_GET_NOWAIT = asyncio.Queue.get_nowait


def _sized(original: Any, self: asyncio.Queue[Any]) -> Any:
    """qsize(), empty(), full() read both ends."""
    accesses = here()
    if accesses is not None:
        accesses.read((accesses.name(self), "head"))
        accesses.read((accesses.name(self), "tail"))
    return original(self)


@types.coroutine
def _stepwise(coro: Coroutine[Any, Any, Any], note: Callable[[bool], None]) -> Generator[Any, Any, Any]:
    """Await it, and note what it does each time that it goes on, and whether that is with an error."""
    going_on: Callable[[], Any] = functools.partial(coro.send, None)
    while True:
        try:
            waits_for = going_on()
        except StopIteration as end:
            return end.value
        try:
            sent = yield waits_for
        except BaseException as error:  # noqa: BLE001 - cancellation above all; it is passed on
            note(True)
            going_on = functools.partial(coro.throw, error)
        else:
            note(False)
            going_on = functools.partial(coro.send, sent)


async def _leave(original: Any, self: asyncio.TaskGroup, *args: Any) -> Any:
    """Whether the group has to be waited for depends on who has ended; so does whether it has to be once more."""
    accesses = here()
    if accesses is None:
        return await original(self, *args)
    group = ("group", accesses.name(self))
    accesses.read(group)
    return await _stepwise(original(self, *args), lambda _failed: accesses.write(group))


async def _event_wait(original: Any, self: asyncio.Event) -> Any:
    """Who is woken has no more to do with it; who is cancelled leaves the queue, which ``set`` looks through."""
    accesses = here()
    if accesses is None:
        return await original(self)
    name = accesses.name(self)
    accesses.read(name)

    def note(failed: bool) -> None:
        if failed:
            accesses.read((name, "waiters"))

    return await _stepwise(original(self), note)


def _event_set(original: Any, self: asyncio.Event) -> None:
    accesses = here()
    if accesses is not None:
        accesses.write(accesses.name(self))
        accesses.write((accesses.name(self), "waiters"))
    original(self)


async def _condition_wait(original: Any, self: asyncio.Condition) -> Any:
    """As of an event: who is woken is no longer counted, whether still in the queue or not."""
    accesses = here()
    if accesses is None:
        return await original(self)
    name = accesses.name(self)
    accesses.write(name)

    def note(failed: bool) -> None:
        if failed:
            accesses.write(name)

    return await _stepwise(original(self), note)


async def _semaphore_acquire(original: Any, self: asyncio.Semaphore) -> Any:
    """Who was woken holds others up until it goes on."""
    accesses = here()
    if accesses is None:
        return await original(self)
    name = accesses.name(self)
    accesses.write(name)
    return await _stepwise(original(self), lambda _failed: accesses.write(name))


def _init(original: Any, self: Any, *args: Any, **kwargs: Any) -> None:
    original(self, *args, **kwargs)
    accesses = here()
    if accesses is not None and not accesses.knows(self):
        accesses.made(self)


def _patches() -> list[tuple[type, str, Any]]:
    primitives = (asyncio.Lock, asyncio.Event, asyncio.Condition, asyncio.Semaphore, asyncio.Queue, asyncio.Barrier)
    return [
        *((each, "__init__", _init) for each in (*primitives, asyncio.TaskGroup)),
        (asyncio.TaskGroup, "__aexit__", _leave),
        (asyncio.Lock, "acquire", _acquire),
        (asyncio.Lock, "release", _release),
        (asyncio.Lock, "locked", _locked),
        (asyncio.Event, "is_set", _method(READ)),
        (asyncio.Event, "wait", _event_wait),
        (asyncio.Event, "set", _event_set),
        (asyncio.Event, "clear", _method(WRITE)),
        (asyncio.Condition, "wait", _condition_wait),
        (asyncio.Condition, "notify", _method(WRITE)),
        (asyncio.Semaphore, "acquire", _semaphore_acquire),
        (asyncio.Semaphore, "release", _method(WRITE)),
        (asyncio.Semaphore, "locked", _method(READ)),
        (asyncio.Barrier, "wait", _method(WRITE)),
        (asyncio.Barrier, "reset", _method(WRITE)),
        (asyncio.Barrier, "abort", _method(WRITE)),
        (asyncio.Queue, "put", _put),
        (asyncio.Queue, "get", _get),
        (asyncio.Queue, "put_nowait", _put_nowait),
        (asyncio.Queue, "get_nowait", _get_nowait),
        (asyncio.Queue, "qsize", _sized),
        (asyncio.Queue, "empty", _sized),
        (asyncio.Queue, "full", _sized),
        (asyncio.Queue, "join", _method(READ)),
        (asyncio.Queue, "task_done", _method(WRITE)),
    ]


@contextlib.contextmanager
def traced() -> Iterator[None]:
    """Patch asyncio's primitives; put everything back at the end."""
    undo: list[tuple[type, str, Any]] = []
    try:
        for owner, name, replacement in _patches():
            original = owner.__dict__[name]
            undo.append((owner, name, original))
            method = functools.wraps(original)(_bound(replacement, original))
            setattr(owner, name, method)
        yield
    finally:
        for owner, name, original in reversed(undo):
            setattr(owner, name, original)


def _bound(replacement: Any, original: Any) -> Callable[..., Any]:
    def method(*args: Any, **kwargs: Any) -> Any:
        return replacement(original, *args, **kwargs)

    return method
