"""Concurrent calls of one function, gathered into calls with lists.

The first caller leads: it lets everybody who is ready now join, calls the function with what has gathered,
gives each caller its result, and hands over to the next caller whose item is still waiting. So there is at
most one call of the function at a time, no task of its own that could be left over, and while one call runs
the next batch gathers. A leader that is cancelled hands its batch on: the others' items are called again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from liveproof.core.context import CallFrame
from liveproof.core.sync import Promise

if TYPE_CHECKING:
    from liveproof.abc.scheduler import Scheduler

__all__ = ["Batcher"]

BatchCall = Callable[[list[Any], CallFrame], Awaitable[Sequence[Any]]]


class _Item:
    """One caller's item, and the news for its caller."""

    __slots__ = ("frame", "news", "value")

    def __init__(self, scheduler: Scheduler, value: Any, frame: CallFrame) -> None:
        self.value = value
        self.frame = frame
        self.news: Promise[tuple[Any] | None] = Promise(scheduler, name="batched call")
        """Its result; or ``None``: it is the leader now."""


class Batcher:
    """The calls of one function (and one ``self``) under one scheduler that wait to be made.

    Whoever keeps it may forget it when it is :attr:`idle`.
    """

    __slots__ = ("_items", "_led", "_scheduler", "_size_max", "owner")

    def __init__(self, scheduler: Scheduler, owner: object, size_max: int | None) -> None:
        self._scheduler = scheduler
        self.owner = owner
        self._size_max = size_max
        self._items: list[_Item] = []  # Invariant: empty while nobody leads.
        self._led = False

    @property
    def idle(self) -> bool:
        return not self._led

    def serves(self, scheduler: Scheduler, owner: object) -> bool:
        """Whether calls under ``scheduler`` on ``owner`` belong here."""
        return self._scheduler is scheduler and self.owner is owner

    async def call(self, value: Any, frame: CallFrame, make: BatchCall) -> Any:
        """The function's result for ``value``. ``frame`` is the caller's; ``make`` calls the function."""
        item = _Item(self._scheduler, value, frame)
        self._scheduler.touch(self, write=True)
        self._items.append(item)
        if self._led:
            news = await self._follow(item)
            if news is not None:
                return news[0]
        self._led = True
        try:
            await self._let_others_join()
            await self._make_one(item, make)
        finally:
            self._step_down(item)
        news = item.news.peek()
        assert news is not None, "a leader's news is its result"
        return news[0]

    async def _follow(self, item: _Item) -> tuple[Any] | None:
        try:
            news = await item.news.wait()
        except self._scheduler.cancelled:
            self._scheduler.touch(self, write=True)
            if item in self._items:
                if item.news.done():
                    self._step_down(item)  # It was made the leader, and never knew.
                else:
                    self._items.remove(item)
            raise
        if news is None:
            item.news = Promise(self._scheduler, name="batched call")
        return news

    async def _let_others_join(self) -> None:
        """Let everything that is ready run once."""
        task = self._scheduler.current()
        woken: list[None] = []

        def wake() -> None:
            woken.append(None)
            self._scheduler.unpark(task)

        timer = self._scheduler.call_at(self._scheduler.now(), wake)
        try:
            while not woken:
                await self._scheduler.park(self)
        finally:
            timer.cancel()

    async def _make_one(self, leader: _Item, make: BatchCall) -> None:
        """Call the function with the leader's item and those that wait longest."""
        self._scheduler.touch(self, write=True)
        batch = self._items[: self._size_max]
        assert leader in batch, "a leader's item is among the oldest"
        frame = CallFrame()
        failure: Exception | None = None
        results: list[Any] = [None] * len(batch)
        try:
            returned = list(await make([item.value for item in batch], frame))
            if len(returned) != len(batch):
                raise ValueError(
                    f"a batched function got {len(batch)} items and returned {len(returned)}: it must "
                    "return one result for each, in the same order"
                )
            results = returned
        except Exception as error:  # noqa: BLE001 - raised in every caller
            failure = error
        self._scheduler.touch(self, write=True)
        for item, result in zip(batch, results, strict=True):
            item.frame.uses.update(frame.uses)
            if item not in self._items:  # Its caller was cancelled meanwhile.
                continue
            self._items.remove(item)
            if failure is None:
                item.news.set_result((result,))
            else:
                item.news.set_exception(failure)

    def _step_down(self, leader: _Item) -> None:
        """Let the next one lead, if any."""
        self._scheduler.touch(self, write=True)
        if leader in self._items:
            self._items.remove(leader)
        if self._items:
            self._items[0].news.set_result(None)
        else:
            self._led = False

    def __repr__(self) -> str:
        return f"<a batch of {len(self._items)}>"

    def _check(self) -> None:
        """Invariants; O(1)."""
        assert self._led or not self._items
