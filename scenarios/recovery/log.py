"""A partitioned log, kept through crashes: what is committed is done and stays so, what is not comes again (FEED-3);
one catch-up run then makes the target what the log means (DUR-1).

Two kinds of target: one with power of its own, and files that have a page cache, of which a loss of power may leave
less than ``ready()`` has told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeAlias

import liveproof as coco
from liveproof_sim import ContractError, World
from liveproof_sim.fakes.log import Log
from liveproof_sim.fakes.store import SimStore
from liveproof_sim.kernel.power import Outages, Points
from scenarios.live.log import app_of, effect_on, meant, produce, with_session
from scenarios.live.log_feed import LogFeed, Session
from scenarios.recovery.ground import GROUND, NODES

Crashing: TypeAlias = Callable[[World], Coroutine[Any, Any, None]]
CRASHES = 3
WATCHED = ("FEED-1", "FEED-3")


def crashing(
    *faults: str, feed: type[LogFeed] = LogFeed, budget: int = 3, watched: Sequence[str] = WATCHED
) -> Crashing:
    """Up to three lives of an app that follows a log, each cut short at any step, or ended by a crash when it is
    quiet; then one that catches up."""

    async def scenario(world: World) -> None:
        contract = world.contract(*watched)
        world.store = SimStore(journal_bytes=0)
        world.power.outages = Outages(Points.ALL, cuts_max=CRASHES)
        world.faults.enable(*faults, budget=budget)
        failed: list[BaseException] = []
        world.exception_handler = lambda error, _context: failed.append(error)
        target, log = world.target("log"), world.log("log")
        contract.means_by(log, effect_on(target))
        for life in range(CRASHES):
            run = world.start(app_of(feed(log, "live"), target), live=True)
            await produce(world, log, 2, first=2 * life)
            if world.draw(2, label="rest"):
                await world.quiet()
            world.sometimes("a life ended while work was in flight", log.committed("live") != log.ends())
            world.sometimes("a life ended when all was committed", log.committed("live") == log.ends())
            world.sometimes("the power failed by itself", run.ended)
            if world.power.cuts < CRASHES:
                world.crash()
            elif not run.ended:
                break
        world.power.stay()
        world.faults.disable()
        world.sometimes("it crashed three times", world.power.cuts == CRASHES)
        await recovered(world, log, feed)
        assert all(isinstance(error, OSError) for error in failed), f"more than the target has failed: {failed}"

    return scenario


async def recovered(world: World, log: Log, feed: type[LogFeed]) -> None:
    """One catch-up run makes it good, another one finds nothing to do."""
    target = world.target("log")
    world.crash()
    await world.start(app_of(feed(log, "live"), target))
    world.contract().follows(meant(log), target.entries)
    assert log.committed("live") == log.ends(), f"{log.committed('live')} is committed of {log.ends()}"
    calls = target.calls
    await world.start(app_of(feed(log, "live"), target))
    assert target.calls == calls, "an idle run called a sink"


@coco.fn
async def write(text: str) -> None:
    """One record, in a target with a page cache."""
    await asyncio.sleep(0)
    name, _, body = text.partition(":")
    coco.declare_target_state(NODES.target_state(name, body.upper()))


def cached_app_of(feed: LogFeed) -> coco.App[[], None]:
    """An app that keeps what a log says, on a page cache."""

    async def main() -> None:
        await coco.mount_each(coco.component_subpath("records"), write, feed)

    return coco.App("recovery", main)


def on_a_page_cache(*faults: str, feed: type[LogFeed] = LogFeed, budget: int = 2) -> Crashing:
    """Lives of an app that follows a log, each cut short by a loss of power; then one that catches up."""

    async def scenario(world: World) -> None:
        world.store = SimStore(journal_bytes=0)
        world.power.outages = Outages(Points.ALL, cuts_max=CRASHES)
        world.faults.enable(*faults, budget=budget)
        GROUND.reset(world)
        log = world.log("log")
        for life in range(CRASHES):
            run = world.start(cached_app_of(feed(log, "live")), live=True)
            await produce(world, log, 2, first=2 * life)
            if world.draw(2, label="rest"):
                await world.quiet()
            world.sometimes("the power failed by itself", run.ended)
            if world.power.cuts < CRASHES:
                world.crash()
        world.power.stay()
        world.faults.disable()
        await world.restart(cached_app_of(feed(log, "live")))
        found = GROUND.texts()
        if found != meant(log):
            raise ContractError("FEED-3", f"all is committed and means {meant(log)!r}, and the target has {found!r}")

    return scenario


class _NeverSettles(Session):
    async def settle(self) -> None:
        return


crashes = crashing()
crashes_unruly = crashing("log", "target")
crashes_cached = on_a_page_cache("log")
never_settles = on_a_page_cache(feed=with_session(_NeverSettles))
"""A planted bug: it commits what is applied, and may be gone after a loss of power."""
