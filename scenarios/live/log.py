"""A partitioned log behind ``mount_each``: what is committed is done, whatever the broker and the target do.

Contract: FEED-1, FEED-3, MODE-1, MODE-2, DUR-3, FAIL-2.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import liveproof as coco
from liveproof_sim import World
from liveproof_sim.fakes.log import Log, Record
from liveproof_sim.fakes.targets import Target
from scenarios.live.log_feed import Lane, LogFeed, Session

KEYS = ("a", "b", "c")  # "a" and "c" share a partition


@coco.fn
async def shout(text: str, target: Target) -> None:
    """One record: its text in capitals, under the name that it begins with."""
    await asyncio.sleep(0)
    name, _, body = text.partition(":")
    target.declare(name, body.upper())


def meant(log: Log) -> dict[str, str]:
    """The source function."""
    return {text.partition(":")[0]: text.partition(":")[2].upper() for text in log.entries.values()}


def effect_on(target: Target) -> Callable[[Record], Mapping[tuple[Any, ...], str]]:
    """What a record means."""

    def effect(record: Record) -> Mapping[tuple[Any, ...], str]:
        if record.removed:
            return {}
        name, _, body = record.value.partition(":")
        return {(target.root, name): body.upper()}

    return effect


async def produce(
    world: World, log: Log, records: int, *, first: int = 0, keys: Sequence[str] = KEYS
) -> None:
    """The outside world: records, at moments that the strategy chooses."""
    for number in range(first, first + records):
        key = world.draw(keys, label="key")
        if world.draw(4, label="record") == 3:
            log.remove(key)
        else:
            log.append(key, f"{key}:text {number}")
        if world.draw(2, label="pause"):
            await world.clock.sleep(0.03)
        else:
            await asyncio.sleep(0)


def app_of(feed: LogFeed, target: Target, *, limit: int | None = None) -> coco.App[[], None]:
    """An app that keeps what a log says."""

    async def main() -> None:
        await coco.mount_each(coco.component_subpath("records"), shout, feed, target)

    return coco.App(coco.AppConfig("log", max_inflight_components=limit), main)


def following(
    *faults: str, feed: type[LogFeed] = LogFeed, budget: int = 4, records: int = 4, swarm: bool = False
) -> Callable[[World], Any]:
    """A log is followed live until it is quiet; then the target is what it means, and all is committed. With
    ``swarm``, each run lacks some of the keys and of the faults."""

    async def scenario(world: World) -> None:
        contract = world.contract()
        world.faults.enable(*faults, budget=budget)
        keys = world.swarm(KEYS) if swarm else KEYS
        failed: list[BaseException] = []
        world.exception_handler = lambda error, _context: failed.append(error)
        target, log = world.target("log"), world.log("log")
        contract.means_by(log, effect_on(target))
        log.append("a", "a:one")
        log.append("b", "b:two")
        limit = world.draw((None, 1), label="limit")
        run = world.start(app_of(feed(log, "live"), target, limit=limit), live=True)
        producing = world.spawn(produce(world, log, records, keys=keys), name="produce")
        await run.ready()
        await producing
        await world.quiet()
        contract.follows(meant(log), target.entries)
        assert log.committed("live") == log.ends(), f"{log.committed('live')} is committed of {log.ends()}"
        log.close()
        await run
        world.faults.disable()
        fresh = await world.afresh(app_of(LogFeed(log, "fresh"), target))
        contract.agree(target.entries, fresh["log"])
        assert all(isinstance(error, OSError) for error in failed), f"more than the target has failed: {failed}"

    return scenario


followed = following()
followed_unruly = following("log")
followed_while_the_target_fails = following("log", "target", budget=6, swarm=True)


async def caught_up(world: World) -> None:
    """A run to catch up ends, with what there was when it began, or more; it has committed that. The next one has
    all, and the one after it finds nothing to do."""
    contract = world.contract()
    world.faults.enable("log", budget=4)
    target, log = world.target("log"), world.log("log")
    contract.means_by(log, effect_on(target))
    app = app_of(LogFeed(log, "live"), target)
    log.append("a", "a:one")
    log.append("b", "b:two")
    began = log.ends()
    producing = world.spawn(produce(world, log, 3), name="produce")
    await world.start(app)
    committed = log.committed("live")
    assert all(committed[partition] >= end for partition, end in began.items()), f"{committed}, not {began}"
    await producing
    await world.start(app)
    contract.follows(meant(log), target.entries)
    assert log.committed("live") == log.ends(), f"{log.committed('live')} is committed of {log.ends()}"
    with contract.idle():
        await world.start(app)


# ---- planted bugs


class _CommitsRead(Session):
    def committable(self, lane: Lane) -> int:
        return lane.read


class _CommitsHighest(Session):
    def committable(self, lane: Lane) -> int:
        return max(lane.done, default=lane.low - 1) + 1


class _TrustsReady(Session):
    async def failed(self, lane: Lane, work: Any, error: BaseException, _context: Any) -> None:
        raise error


class _RepeatsWhatItLost(Session):
    def is_to_be_repeated(self, lane: Lane, work: Any) -> bool:
        return work.failed and lane.is_last(work)


def with_session(kind: type[Session]) -> type[LogFeed]:
    """A feed that works in this way."""

    class Feed(LogFeed):
        def session(self, consumer: Any, subscriber: Any, tasks: asyncio.TaskGroup) -> Session:
            return kind(consumer, subscriber, tasks)

    return Feed


commits_read_feed = with_session(_CommitsRead)
commits_read = following(feed=commits_read_feed)
"""A planted bug: it commits what it has read."""

commits_highest = following("log", feed=with_session(_CommitsHighest))
"""A planted bug: it commits the highest offset that is done, instead of the lowest that is not."""

trusts_ready = following("target", feed=with_session(_TrustsReady))
"""A planted bug: it takes a handle that is ready for an effect that is there."""

repeats_what_it_lost = following("log", "target", feed=with_session(_RepeatsWhatItLost), budget=8)
"""A planted bug: what failed before the partition was lost is tried again after it came back."""
