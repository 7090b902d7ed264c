"""The partitioned log against a sequential model, and with each of its faults."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

import pytest

import liveproof as coco
from liveproof_sim import OptionError, PowerCut, Status, World, check
from liveproof_sim.fakes.faults import FAMILIES
from liveproof_sim.fakes.log import Commit, Consumer, Log, News, PartitionLostError

KEYS = ("a", "b", "c", "d")
LOG_FAMILIES = tuple(family for family in FAMILIES if family.startswith("log."))


def holds(scenario: Callable[[World], Coroutine[Any, Any, None]], *, executions: int = 60, **options: Any) -> None:
    verdict = check(scenario, executions=executions, **options)
    assert verdict.status is not Status.FAILED, verdict.failure and verdict.failure.report


# ---- the oracle: a log and its group in a few lists, one operation after the other


Told: TypeAlias = tuple[tuple[int, ...], dict[int, int], tuple[tuple[int, int], ...]]
"""What a poll says was lost, was given, and, of records, where they are."""


class Model:
    """What a broker without faults does."""

    def __init__(self, partitions: int) -> None:
        self.partitions: list[list[tuple[str, Any]]] = [[] for _ in range(partitions)]
        self.committed = [0] * partitions
        self.members: list[str] = []
        self.known: dict[str, dict[int, int]] = {}
        """member → partition → position"""
        self.stale: dict[str, list[int]] = {}
        """member → partitions that it holds for its own, and no longer has"""

    def holder(self, partition: int) -> str | None:
        return self.members[partition % len(self.members)] if self.members else None

    def change(self, change: Callable[[str], None], member: str) -> None:
        before = [self.holder(number) for number in range(len(self.partitions))]
        change(member)
        for number, former in enumerate(before):
            if former is not None and former != self.holder(number) and number in self.known.get(former, {}):
                self.stale[former].append(number)

    def poll(self, member: str) -> Told | None:
        known, stale = self.known[member], self.stale[member]
        if stale:
            lost = tuple(number for number in known if number in stale)
            stale.clear()
            for number in lost:
                del known[number]
            return lost, {}, ()
        given = {
            number: self.committed[number]
            for number in range(len(self.partitions))
            if self.holder(number) == member and number not in known
        }
        if given:
            known |= given
            return (), given, ()
        records: list[tuple[int, int]] = []
        for number in known:
            records += [(number, at) for at in range(known[number], len(self.partitions[number]))]
            known[number] = len(self.partitions[number])
        return ((), {}, tuple(records)) if records else None

    def commit(self, member: str, offsets: dict[int, int]) -> bool:
        if any(number not in self.known[member] or number in self.stale[member] for number in offsets):
            return False
        for number, offset in offsets.items():
            self.committed[number] = offset
        return True


async def one_after_the_other(world: World) -> None:
    """A random program, the same on the log and on the model."""
    partitions = 1 + world.draw(3, label="partitions")
    log, model = world.log("model", partitions=partitions), Model(partitions)
    consumers: dict[str, Consumer] = {}
    for number in range(14):
        operation = world.draw(("append", "poll", "commit", "join", "leave"), label="operation")
        name = world.draw(("one", "two", "three"), label="member")
        partition = world.draw(partitions, label="partition")
        if operation == "append":
            log.append(number, str(number), partition=partition)
            model.partitions[partition].append((str(number), number))
        elif operation == "join" and name not in consumers:
            model.known[name], model.stale[name] = {}, []
            consumers[name] = log.consumer("group")
            model.change(model.members.append, name)
        elif operation == "leave" and name in consumers:
            consumers.pop(name).close()
            model.change(model.members.remove, name)
        elif operation == "poll" and name in consumers:
            expected = model.poll(name)
            if expected is not None:
                news = await consumers[name].poll()
                assert news is not None
                told = tuple((record.partition, record.offset) for record in news.records)
                assert (news.lost, news.given, told) == expected
        elif operation == "commit" and name in consumers:
            offset = world.draw(1 + len(log.partitions[partition]), label="offset")
            try:
                await consumers[name].commit({partition: offset})
            except PartitionLostError:
                accepted = False
            else:
                accepted = True
            assert accepted == model.commit(name, {partition: offset})
            world.reachable("a commit was accepted" if accepted else "a commit was refused")
        assert log.committed("group") == dict(enumerate(model.committed))
        assert log.ends() == {number: len(records) for number, records in enumerate(model.partitions)}
        assert log.members("group") == len(model.members)


def test_without_faults_it_is_the_model() -> None:
    verdict = check(one_after_the_other, executions=400)
    assert verdict.status is Status.SAMPLED, verdict.failure and verdict.failure.report
    assert verdict.missed == []


# ---- with everything that may go wrong


class Reader:
    """Commits what it was told, as a consumer may whose effects are in the same place as what it was told."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.consumer = log.consumer("group")
        self.expected: dict[int, int] = {}
        """partition → offset of the next record that may be delivered"""
        self.told: list[tuple[int, int]] = []

    async def read(self) -> None:
        while self.log.committed("group") != self.log.ends() or not self.log.closed:
            news = await self.consumer.poll()
            if news is None:
                await self.commit()
                await asyncio.sleep(0.001)  # the other reader's turn
                continue
            for number in news.lost:
                del self.expected[number]
            for number, offset in news.given.items():
                assert number not in self.expected, "given twice"
                assert offset == self.log.committed("group")[number], "from the committed offset on"
                self.expected[number] = offset
            for record in news.records:
                assert self.log.partitions[record.partition][record.offset] is record
                assert record.offset == self.expected[record.partition], "in order, without a gap"
                self.expected[record.partition] += 1
                self.told.append((record.partition, record.offset))
            if news.records:
                await self.commit()

    async def commit(self) -> None:
        try:
            await self.consumer.commit(self.expected)
        except OSError:
            await asyncio.sleep(0.001)


def test_whatever_goes_wrong_all_is_told_and_committed() -> None:
    struck: dict[str, None] = {}
    again = False

    async def scenario(world: World) -> None:
        nonlocal again
        world.faults.enable("log", budget=6)
        log = world.log("unruly")
        readers = [Reader(log) for _ in range(1 + world.draw(2, label="readers"))]
        reading = [world.spawn(reader.read()) for reader in readers]
        for number in range(5):
            log.append(world.draw(KEYS, label="key"), number)
            await world.clock.sleep(0.01)
        log.close()
        for each in reading:
            await each
        told = [offset for reader in readers for offset in reader.told]
        everything = [(each.partition, each.offset) for records in log.partitions for each in records]
        assert sorted(dict.fromkeys(told)) == everything
        again = again or len(told) > len(everything)
        struck.update({family: None for (family, _, _), (_, times) in world.fault_counts().items() if times})

    holds(scenario, executions=300)
    assert sorted(struck) == list(LOG_FAMILIES)
    assert again, "some of it is told twice"


async def given(log: Log) -> Consumer:
    """A consumer that knows what it has."""
    consumer = log.consumer("group")
    news = await consumer.poll()
    assert news == News(given=dict.fromkeys(range(len(log.partitions)), 0))
    return consumer


def struck_in(family: str, scenario: Callable[[World, Log], Coroutine[Any, Any, bool]]) -> None:
    """With the family on, it strikes in some executions and not in others, and ``scenario`` knows in which."""
    seen: list[bool] = []

    async def once(world: World) -> None:
        log = world.log("one")
        log.append("a", 1)
        log.append("b", 2)
        log.append("a", 3)
        world.faults.enable(family, budget=1)
        known = await scenario(world, log)
        struck = any(times for _, times in world.fault_counts().values())
        assert known == struck
        seen.append(struck)

    holds(once)
    assert True in seen
    assert False in seen


def test_late() -> None:
    async def scenario(world: World, log: Log) -> bool:
        consumer = await given(log)
        assert await consumer.poll()
        await consumer.commit({0: 1})
        return world.clock.now_ns >= 20_000_000

    struck_in("log.late", scenario)


def test_short() -> None:
    async def scenario(_world: World, log: Log) -> bool:
        consumer = await given(log)
        news = await consumer.poll()
        assert news is not None
        assert len(news.records) > 0
        return len(news.records) < 3

    struck_in("log.short", scenario)


def test_turn() -> None:
    async def scenario(_world: World, log: Log) -> bool:
        consumer = await given(log)
        news = await consumer.poll()
        assert news is not None
        told = [record.value for record in news.records]
        assert told in ([1, 3, 2], [2, 1, 3])
        return told == [2, 1, 3]

    struck_in("log.turn", scenario)


@pytest.mark.parametrize(("family", "error", "offset"), [("refuse", OSError, 0), ("silence", TimeoutError, 2)])
def test_a_commit_without_an_answer(family: str, error: type[OSError], offset: int) -> None:
    async def scenario(_world: World, log: Log) -> bool:
        consumer = await given(log)
        try:
            await consumer.commit({0: 2, 1: 1})
        except OSError as raised:
            told = type(raised)
            assert told is error
            assert log.committed("group")[0] == offset
            return True
        assert log.commits == [Commit("group", 0, 2), Commit("group", 1, 1)]
        return False

    struck_in(f"log.{family}", scenario)


def test_rebalance_takes_back_what_was_not_committed() -> None:
    async def scenario(_world: World, log: Log) -> bool:
        consumer = await given(log)
        assert await consumer.poll()
        try:
            await consumer.commit({0: 1, 1: 1})
        except PartitionLostError:
            assert log.committed("group") == {0: 0, 1: 0}, "all or none"
        news = await consumer.poll() if log.commits == [] else None
        if news is None:
            return log.commits == []
        if news.lost:
            news = await consumer.poll()
            assert news is not None
            [(number, offset)] = news.given.items()
            assert offset == 0
            news = await consumer.poll()
            assert news is not None
            assert list(news.records) == log.partitions[number]
        return True

    struck_in("log.rebalance", scenario)


# ---- power


def test_what_was_appended_and_committed_survives_and_consumers_do_not() -> None:
    async def scenario(world: World) -> None:
        log = world.log("durable")
        outside = world.log("other")
        outside.consumer("group")
        log.append("a", 1)
        log.append("b", 2)

        async def main() -> None:
            consumer = await given(log)
            await consumer.commit({0: 1})
            await consumer.poll()
            await consumer.poll()  # for ever

        run = world.start(coco.App("reader", main))
        await world.quiet()
        assert log.members("group") == 1
        world.crash()
        assert run.ended
        assert log.members("group") == 0
        assert outside.members("group") == 1, "it is not of this machine"
        consumer = log.consumer("group")
        assert await consumer.poll() == News(given={0: 1, 1: 0})
        assert await consumer.poll() == News(records=(log.partitions[1][0],))

    holds(scenario, executions=20)


def test_the_power_may_fail_before_a_commit() -> None:
    seen: dict[bool, None] = {}

    async def scenario(world: World) -> None:
        log = world.log("durable")
        log.append("a", 1)

        async def main() -> None:
            consumer = await given(log)
            await consumer.commit({0: 1})

        try:
            await world.start(coco.App("reader", main))
        except PowerCut:
            seen[log.commits == []] = None

    holds(scenario, executions=100, crash_points="calls")
    assert list(seen) != []


# ---- the map, and what is refused


def test_what_it_means() -> None:
    async def scenario(world: World) -> None:
        log = world.log("map")
        log.append("a", 1)
        log.append("b", 2)
        assert log.append("a", 3)[:2] == (log.partition_of("a"), 1)
        assert log.remove("b").removed
        assert log.entries == {"a": 3}
        assert world.log("map") is log
        with pytest.raises(ValueError, match="has 2 partitions, not 3: give this one another name"):
            world.log("map", partitions=3)
        with pytest.raises(ValueError, match="needs at least 1 partition, not 0"):
            world.log("none", partitions=0)
        with pytest.raises(ValueError, match="has no partition 2: they are 0 to 1"):
            log.append("a", 1, partition=2)
        consumer = log.consumer("group")
        with pytest.raises(ValueError, match="ends at 2: no offset 3"):
            await consumer.commit({0: 3})
        with pytest.raises(PartitionLostError, match="partition 0 was taken away"):
            await consumer.commit({0: 1})  # it has not been told that it has it
        log.close()
        with pytest.raises(ValueError, match="is closed"):
            log.append("a", 1)

    holds(scenario, executions=1)


def test_keys_go_where_they_went_in_every_process() -> None:
    async def scenario(world: World) -> None:
        log = world.log("keys", partitions=3)
        assert [log.partition_of(key) for key in ("a", "b", 1, ("a", 1))] == [2, 0, 2, 1]

    holds(scenario, executions=1)


def test_only_ids_that_are_watched() -> None:
    async def scenario(world: World) -> None:
        with pytest.raises(OptionError, match="no monitor watches 'FEED-9': use one of ORD-1"):
            world.contract("FEED-9")
        world.contract("FEED-3")

    holds(scenario, executions=1)
