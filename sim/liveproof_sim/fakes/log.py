"""A partitioned log, as brokers keep one: partitions that grow, consumer groups, committed offsets.

Its physics. A partition is a list of records, each with its offset; what was appended, and what was committed, is
durable: the broker has power of its own. A key's records are in one partition, by a stable digest of the key,
unless the producer names another one; nothing is promised about the order of different partitions.

The consumers of one group share the partitions out between them, anew whenever one comes or goes. A consumer is
given a partition from the group's committed offset on, and is told by :meth:`Consumer.poll` what it has lost and what
it was given. A commit sets the offset of the next record to be delivered, also backwards; from a consumer that has
lost the partition, or does not yet know that it lost it and got it back, it is refused.

With faults switched on,

* a fetch, a partition to be given, or a commit comes late (``log.late``: virtual time passes),
* a fetch brings fewer records than there are (``log.short``), or begins with another partition (``log.turn``),
* a partition is taken away while work is in flight, and given back: what was not committed is delivered
  again (``log.rebalance``),
* a commit fails (``log.refuse``), or is applied and its answer lost (``log.silence``).

Within a partition nothing is lost, or comes in another order. Consumers die with the machine that they run on.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import liveproof as coco
from liveproof_sim.fakes.faults import Faults
from liveproof_sim.kernel.power import BOOT

__all__ = ["Commit", "Consumer", "Log", "News", "PartitionLostError", "Record"]

DELAY_S = 0.02
"""How much later a late answer comes."""


class PartitionLostError(OSError):
    """The partition is no longer this consumer's, or no longer on the same terms: poll to learn how things are."""


class Record(NamedTuple):
    """What a producer has appended. ``value`` is ``NON_EXISTENCE`` for a removal of the key."""

    partition: int
    offset: int
    key: Any
    value: Any

    @property
    def removed(self) -> bool:
        """Whether it says that the key is gone."""
        return coco.is_non_existence(self.value)


class Commit(NamedTuple):
    """A group's offset was set: all records of the partition below it will not be delivered again."""

    group: str
    partition: int
    offset: int


class News(NamedTuple):
    """What a poll brings: one of the three."""

    lost: tuple[int, ...] = ()
    """partitions that were taken away since the last poll"""
    given: Mapping[int, int] = {}
    """partition → the offset from which on it is delivered"""
    records: tuple[Record, ...] = ()


class Log:
    """One log of a world: made by :meth:`World.log`.

    Raises:
        ValueError: it has no partition.
    """

    def __init__(
        self,
        name: str,
        *,
        partitions: int = 2,
        faults: Faults,
        before_call: Callable[[str, str], None] | None = None,
    ) -> None:
        if partitions < 1:
            raise ValueError(f"log {name!r} needs at least 1 partition, not {partitions}")
        self.name = name
        self.partitions: tuple[list[Record], ...] = tuple([] for _ in range(partitions))
        """everything ever appended, by partition and offset"""
        self.commits: list[Commit] = []
        """every commit that was applied, in order"""
        self.closed = False
        self.watchers: list[Callable[[Log, Commit], None]] = []
        """told of every commit, when it has been applied"""
        self.faults = faults
        self._before_call = before_call
        self._groups: dict[str, _Group] = {}

    # ---- producers

    def append(self, key: Any, value: Any, *, partition: int | None = None) -> Record:
        """Append a record, durably and at once.

        Raises:
            ValueError: the log is closed, or has no such partition.
        """
        if self.closed:
            raise ValueError(f"log {self.name!r} is closed: append before close()")
        number = self.partition_of(key) if partition is None else self._checked(partition)
        records = self.partitions[number]
        record = Record(number, len(records), key, value)
        records.append(record)
        self._wake()
        return record

    def remove(self, key: Any, *, partition: int | None = None) -> Record:
        """Append that the key is gone."""
        return self.append(key, coco.NON_EXISTENCE, partition=partition)

    def close(self) -> None:
        """There will be no more records: a poll ends when it has told of all."""
        self.closed = True
        self._wake()

    def partition_of(self, key: Any) -> int:
        """Where records of a key go: the same in every process."""
        return zlib.crc32(repr(key).encode()) % len(self.partitions)

    # ---- what is there

    @property
    def entries(self) -> dict[Any, Any]:
        """What the log means as a map: each key's last value, if that is no removal. A key with records in
        several partitions has no order between them: here, that of the partitions."""
        last = {record.key: record.value for records in self.partitions for record in records}
        return {key: value for key, value in last.items() if not coco.is_non_existence(value)}

    def ends(self) -> dict[int, int]:
        """Partition → the offset that its next record will have: the high watermark."""
        return {number: len(records) for number, records in enumerate(self.partitions)}

    def committed(self, group: str) -> dict[int, int]:
        """Partition → the group's committed offset; 0 before its first commit."""
        return dict(self._group(group).committed)

    def members(self, group: str) -> int:
        """How many consumers the group has now."""
        return len(self._group(group).members)

    # ---- consumers

    def consumer(self, group: str) -> Consumer:
        """A new member of the group. Its first poll tells what it was given."""
        return Consumer(self, self._group(group))

    def forget_the_dead(self) -> None:
        """The power has failed for some consumers: the others get what they had."""
        for group in self._groups.values():
            for member in list(group.members):
                if member.boot is not None and member.boot.dead:
                    group.leave(member)

    def _group(self, name: str) -> _Group:
        group = self._groups.get(name)
        if group is None:
            group = self._groups[name] = _Group(name, len(self.partitions))
        return group

    def _checked(self, partition: int) -> int:
        if not 0 <= partition < len(self.partitions):
            raise ValueError(
                f"log {self.name!r} has no partition {partition}: they are 0 to {len(self.partitions) - 1}"
            )
        return partition

    def _wake(self) -> None:
        for group in self._groups.values():
            group.wake()

    def __repr__(self) -> str:
        return f"<log {self.name!r}: {', '.join(map(str, self.ends().values()))} records>"


class _Group:
    """Who has which partition, and what has been committed."""

    def __init__(self, name: str, partitions: int) -> None:
        self.name = name
        self.committed = dict.fromkeys(range(partitions), 0)
        self.members: list[Consumer] = []
        self._holders: dict[int, Consumer | None] = dict.fromkeys(range(partitions))
        self._terms = dict.fromkeys(range(partitions), 0)
        """partition → how often it has been given: a commit of an earlier term is refused"""

    def join(self, member: Consumer) -> None:
        self.members.append(member)
        self._share_out()

    def leave(self, member: Consumer) -> None:
        if member in self.members:
            self.members.remove(member)
            self._share_out()

    def _share_out(self) -> None:
        for partition, former in self._holders.items():
            holder = self.members[partition % len(self.members)] if self.members else None
            if holder is not former:
                self._holders[partition] = holder
                self._terms[partition] += 1
        self.wake()

    def take_and_give_back(self, partition: int) -> None:
        """As if another member had come, and died before it did anything."""
        self._terms[partition] += 1
        self.wake()

    def terms_of(self, member: Consumer) -> dict[int, int]:
        """The partitions that it has now, and the terms on which it has them."""
        return {number: self._terms[number] for number, holder in self._holders.items() if holder is member}

    def wake(self) -> None:
        for member in self.members:
            member.changed.set()


class Consumer:
    """A member of a group: made by :meth:`Log.consumer`. One task polls; any may commit."""

    def __init__(self, log: Log, group: _Group) -> None:
        self.log = log
        self.boot = BOOT.get()
        """the machine that it runs on; None: the outside world"""
        self.changed = asyncio.Event()
        self._group = group
        self._terms: dict[int, int] = {}
        """the partitions that it knows to be its own, and on which terms"""
        self._positions: dict[int, int] = {}
        """partition → the offset of the next record to be delivered"""
        group.join(self)

    async def poll(self) -> News | None:
        """What is new, once there is anything. None: the log is closed, and all that this consumer has been given
        was delivered; what it may yet be given again comes with another poll."""
        await asyncio.sleep(0)
        while True:
            self.changed.clear()
            news = await self._news()
            if news is not None:
                return news
            if self.log.closed:
                return None
            await self.changed.wait()

    async def _news(self) -> News | None:
        self._rebalance("poll")
        held = self._group.terms_of(self)
        lost = tuple(number for number, term in self._terms.items() if held.get(number) != term)
        if lost:
            for number in lost:
                del self._terms[number], self._positions[number]
            return News(lost=lost)
        if any(number not in self._terms for number in held):
            await self._late("poll")
            held = self._group.terms_of(self)
            given = {number: self._group.committed[number] for number in held if number not in self._terms}
            self._terms |= {number: held[number] for number in given}
            self._positions |= given
            return News(given=given)
        if self._waiting():
            await self._late("poll")
            return News(records=self._fetched(self._waiting()))
        return None

    def _waiting(self) -> list[Record]:
        """What may be delivered, partition by partition."""
        there = self.log.partitions
        return [record for number, at in self._positions.items() for record in there[number][at:]]

    def _fetched(self, records: list[Record]) -> tuple[Record, ...]:
        """Some of them, at least one, in the order of each partition."""
        numbers = list(dict.fromkeys(record.partition for record in records))
        if len(numbers) > 1:
            first = numbers[self._drawn("turn", "poll", len(numbers))]
            records.sort(key=lambda record: record.partition != first)
        if len(records) > 1:
            records = records[: len(records) - self._drawn("short", "poll", len(records))]
        for record in records:
            assert record.offset == self._positions[record.partition], "in order, without a gap"
            self._positions[record.partition] += 1
        return tuple(records)

    async def commit(self, offsets: Mapping[int, int]) -> None:
        """Set the group's offsets: partition → offset of the next record to be delivered. All or none.

        Raises:
            PartitionLostError: one of them is no longer this consumer's; nothing was set.
            TimeoutError: they were set, and the answer was lost.
            OSError: it failed, and nothing was set.
            ValueError: there is no such partition, or it has not that many records.
        """
        log, group = self.log, self._group
        for partition, offset in offsets.items():
            if not 0 <= offset <= len(log.partitions[log._checked(partition)]):
                end = len(log.partitions[partition])
                raise ValueError(f"partition {partition} of log {log.name!r} ends at {end}: no offset {offset}")
        terms = {partition: self._terms.get(partition) for partition in offsets}
        await asyncio.sleep(0)
        await self._late("commit")
        self._rebalance("commit")
        if log._before_call is not None:
            log._before_call("commit", log.name)
        if self._drawn("refuse", "commit"):
            raise OSError(f"log {log.name!r} refused the commit")
        held = group.terms_of(self)
        lost = [partition for partition, term in terms.items() if term is None or held.get(partition) != term]
        if lost:
            raise PartitionLostError(f"log {log.name!r}: partition {lost[0]} was taken away before the commit")
        for partition, offset in offsets.items():
            group.committed[partition] = offset
            commit = Commit(group.name, partition, offset)
            log.commits.append(commit)
            for tell in log.watchers:
                tell(log, commit)
        await asyncio.sleep(0)
        if self._drawn("silence", "commit"):
            raise TimeoutError(f"log {log.name!r} did not answer the commit")

    def close(self) -> None:
        """Leave the group. Harmless for one that has left."""
        self._group.leave(self)

    # ---- faults

    def _drawn(self, family: str, operation: str, options: int = 2) -> int:
        return self.log.faults.choose(f"log.{family}", operation, options, about=self.log.name)

    async def _late(self, operation: str) -> None:
        if self._drawn("late", operation):
            await asyncio.sleep(DELAY_S)

    def _rebalance(self, operation: str) -> None:
        mine = list(self._group.terms_of(self))
        if mine and self._terms:
            chosen = self._drawn("rebalance", operation, 1 + len(mine))
            if chosen:
                self._group.take_and_give_back(mine[chosen - 1])
