"""A partitioned log as a live map, as the author of a connector writes it.

What it promises (FEED-3): an offset is committed when every record below it is done, and a record is done when its
effect, or that of a later record of its key, is in the target, and stays there. Four things make that more than a
counter:

* Records of one key are in flight together, and the operator leaves out all but the last. So what succeeds
  makes every earlier record of its key done as well.
* ``ready()`` also returns when the update has failed and a handler has dealt with the failure. So every update has an
  exception handler of its own, which notes the failure and passes it on. The last record of a key is tried again.
* A partition that was taken away is no longer of concern: what is delivered again has a place of its own, and
  late work on the earlier delivery counts for nothing, nor is it tried again. To put an old value back after a
  newer one was committed would lose that.
* What is applied may be gone after a power cut, and what is committed is not delivered again. So it waits for
  ``settled()`` before each commit; if that fails, the feed ends, and the next run begins at the last commit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import liveproof as coco
from liveproof_sim.fakes.log import Consumer, Log, News, PartitionLostError, Record

__all__ = ["Lane", "LogFeed"]

PAUSE_S = 0.05
"""Before what has failed is tried again."""


@dataclass(slots=True, eq=False)
class Work:
    """A record that has been delivered and is not done."""

    record: Record
    failed: bool = False


@dataclass(slots=True, eq=False)
class Lane:
    """One partition, from when it is given until it is lost."""

    low: int
    """every record below it is done"""
    read: int
    """the offset of the next record to be delivered"""
    committed: int
    lost: bool = False
    done: dict[int, None] = field(default_factory=dict)
    """offsets from ``low`` on"""
    open: dict[Any, list[Work]] = field(default_factory=dict)
    """by key, in order"""

    def is_last(self, work: Work) -> bool:
        """Whether it is not done, and no later record of its key has been delivered."""
        return self.open.get(work.record.key, [None])[-1] is work

    def finish(self, work: Work) -> None:
        """It is done, and so are the earlier ones of its key."""
        key, offset = work.record.key, work.record.offset
        left = [each for each in self.open.get(key, []) if each.record.offset > offset]
        self.done |= {each.record.offset: None for each in self.open.pop(key, []) if each not in left}
        if left:
            self.open[key] = left
        while self.low in self.done:
            del self.done[self.low]
            self.low += 1

    def fail(self, work: Work) -> None:
        """It has failed, and so have the earlier ones of its key that it stands for. One that was done a moment
        ago may be among them: that costs a repetition."""
        for each in self.open.get(work.record.key, []):
            each.failed |= each.record.offset <= work.record.offset


class LogFeed:
    """A :class:`liveproof.LiveMapFeed` of the records of a log: keys, and the values they were last given."""

    def __init__(self, log: Log, group: str) -> None:
        self._log = log
        self._group = group
        self._guard = coco.SingleWatcherGuard(f"log {log.name!r} of group {group!r}")

    async def watch(self, subscriber: coco.LiveMapSubscriber[Any, Any], /) -> None:
        """Tell of everything from the committed offsets on; be ready when all that there was at the start is done
        and committed.

        Raises:
            RuntimeError: it is being watched already (FEED-4).
        """
        with self._guard:
            consumer = self._log.consumer(self._group)
            try:
                async with asyncio.TaskGroup() as tasks:
                    await self.session(consumer, subscriber, tasks).run()
            finally:
                consumer.close()

    def session(
        self, consumer: Consumer, subscriber: coco.LiveMapSubscriber[Any, Any], tasks: asyncio.TaskGroup
    ) -> Session:
        """What does the work of one ``watch()``."""
        return Session(consumer, subscriber, tasks)


class Session:
    """One ``watch()``."""

    def __init__(
        self, consumer: Consumer, subscriber: coco.LiveMapSubscriber[Any, Any], tasks: asyncio.TaskGroup
    ) -> None:
        self._consumer = consumer
        self._subscriber = subscriber
        self._tasks = tasks
        self._lanes: dict[int, Lane] = {}
        self._start = consumer.log.ends()
        """the high watermarks that readiness waits for"""
        self._waiting: list[asyncio.Future[None]] = []

    async def run(self) -> None:
        """Until there can be no more records, and all are committed."""
        helpers = [self._tasks.create_task(each()) for each in (self._keep_committing, self._become_ready)]
        while True:
            news = await self._consumer.poll()
            if news is not None:
                await self._take(news)
            elif self._all_reached(self._consumer.log.ends()):
                break
            else:
                await self._move()
        await helpers[1]
        helpers[0].cancel()

    # ---- records

    async def _take(self, news: News) -> None:
        for partition in news.lost:
            self._lanes.pop(partition).lost = True
        for partition, offset in news.given.items():
            self._lanes[partition] = Lane(offset, offset, offset)
        for record in news.records:
            lane, work = self._lanes[record.partition], Work(record)
            lane.read = record.offset + 1
            lane.open.setdefault(record.key, []).append(work)
            await self._begin(lane, work)
        self._moved()

    async def _begin(self, lane: Lane, work: Work) -> None:
        """Give it its place in the order of its key: nothing else runs before that is done."""
        key, value = work.record.key, work.record.value
        work.failed = False
        async with coco.exception_handler(partial(self.failed, lane, work)):
            if work.record.removed:
                handle = await self._subscriber.delete(key)
            else:
                handle = await self._subscriber.update(key, value)
        self._tasks.create_task(self._follow(lane, work, handle))

    async def failed(self, lane: Lane, work: Work, error: BaseException, _context: coco.ExceptionContext) -> None:
        """The exception handler of one record: whoever else is to know of it is told by the outer ones."""
        lane.fail(work)
        raise error

    async def _follow(self, lane: Lane, work: Work, handle: coco.ComponentMountHandle) -> None:
        try:
            await handle.ready()
        except Exception:  # noqa: BLE001 - it has been reported
            lane.fail(work)
        if not work.failed:
            lane.finish(work)
            self._moved()
        else:
            await asyncio.sleep(PAUSE_S)
            if self.is_to_be_repeated(lane, work):
                await self._begin(lane, work)

    def is_to_be_repeated(self, lane: Lane, work: Work) -> bool:
        """Whether it falls to this record to bring its key up to date."""
        return not lane.lost and work.failed and lane.is_last(work)

    # ---- commits

    def committable(self, lane: Lane) -> int:
        """Below this offset everything is done."""
        return lane.low

    def _to_commit(self) -> dict[int, int]:
        return {
            partition: self.committable(lane)
            for partition, lane in self._lanes.items()
            if self.committable(lane) > lane.committed
        }

    async def _keep_committing(self) -> None:
        while True:
            await self._until(self._to_commit)
            wanted = self._to_commit()
            lanes = {partition: self._lanes[partition] for partition in wanted}
            await self.settle()
            # Not of what was lost, and perhaps given back, meanwhile: there it begins again.
            offsets = {partition: wanted[partition] for partition, lane in lanes.items() if not lane.lost}
            if not offsets:
                continue
            try:
                await self._consumer.commit(offsets)
            except PartitionLostError:
                # A poll tells which, or has done so meanwhile. What is left is committed after that.
                self._moved()
                await self._until(partial(_any_lost, list(lanes.values())))
            except OSError:
                await asyncio.sleep(PAUSE_S)
            else:
                for partition, offset in offsets.items():
                    lanes[partition].committed = offset
                self._moved()

    async def settle(self) -> None:
        """Wait until what is done would survive a power cut."""
        await self._subscriber.settled()

    # ---- readiness

    def _all_reached(self, offsets: dict[int, int]) -> bool:
        """Whether everything below these offsets is done and committed."""
        return all(
            partition in self._lanes and self._lanes[partition].committed >= offset
            for partition, offset in offsets.items()
        )

    async def _become_ready(self) -> None:
        await self._until(lambda: self._all_reached(self._start))
        await self._subscriber.mark_ready()

    # ---- waiting for each other

    def _moved(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    async def _move(self) -> None:
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        await future

    async def _until(self, holds: Callable[[], object]) -> None:
        while not holds():
            await self._move()


def _any_lost(lanes: list[Lane]) -> bool:
    return any(lane.lost for lane in lanes)
