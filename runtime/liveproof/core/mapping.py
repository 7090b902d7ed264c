"""``map``: one function on many items at the same time, within one component."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from liveproof.core.context import current
from liveproof.core.countdown import Countdown

if TYPE_CHECKING:
    from liveproof.abc.scheduler import Scheduler

__all__ = ["each", "map"]

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R")


async def each(items: Iterable[T] | AsyncIterable[T]) -> AsyncIterator[T]:
    """The items of any iterable, sync or async.

    Raises:
        TypeError: it is neither.
    """
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    elif isinstance(items, Iterable):
        for item in items:
            yield item
    else:
        raise TypeError(f"items must be iterable, sync or async, not {type(items).__name__}")


async def map(  # noqa: A001 - the page's name
    fn: Callable[Concatenate[T, P], Coroutine[Any, Any, R]],
    items: Iterable[T] | AsyncIterable[T],
    *args: P.args,
    **kwargs: P.kwargs,
) -> list[R]:
    """Call ``fn(item, *args, **kwargs)`` for all items at the same time, within this component.

    Returns the results in the order of the items. When some fail, all others still end, and then the
    first failure in that order is raised.
    """
    context = current("map()")
    calls = [item async for item in each(items)]
    group = _Calls(context.cycle.run.scheduler, len(calls))
    return await group.gather([partial(fn, item, *args, **kwargs) for item in calls])


class _Calls:
    """Calls that run side by side, and their results."""

    def __init__(self, scheduler: Scheduler, count: int) -> None:
        self._scheduler = scheduler
        self._left = Countdown(scheduler, count)
        self._results: list[Any] = [None] * count
        self._failures: dict[int, BaseException] = {}
        self._running: dict[Any, None] = {}
        self._cancelled = False

    async def gather(self, calls: list[Callable[[], Awaitable[Any]]]) -> list[Any]:
        """Run all to their ends."""
        scheduler = self._scheduler
        for at, call in enumerate(calls):
            scheduler.spawn(self._one(at, call), name="liveproof: map")
        try:
            await self._left.over(self)
        except scheduler.cancelled:
            self._cancelled = True
            for task in self._running:
                scheduler.cancel(task)
            await self._left.over(self)
            raise
        if self._failures:
            raise self._failures[min(self._failures)]
        return self._results

    async def _one(self, at: int, call: Callable[[], Awaitable[Any]]) -> None:
        task = self._scheduler.current()
        try:
            if not self._cancelled:
                self._running[task] = None
                self._results[at] = await call()
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as exc:  # noqa: BLE001 - raised by gather()
            self._failures[at] = exc
        finally:
            self._running.pop(task, None)
            self._left.less()
