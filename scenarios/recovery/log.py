"""A partitioned log, kept through crashes: what is committed is done and stays so, what is not comes again (FEED-3);
one catch-up run then makes the target what the log means (DUR-1)."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeAlias

from liveproof_sim import World
from liveproof_sim.fakes.log import Log
from liveproof_sim.fakes.store import SimStore
from liveproof_sim.kernel.power import Outages, Points
from scenarios.live.log import app_of, effect_on, meant, produce
from scenarios.live.log_feed import LogFeed

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


crashes = crashing()
crashes_unruly = crashing("log", "target")
