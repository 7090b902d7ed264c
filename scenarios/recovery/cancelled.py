"""An update is cancelled in order (Ctrl-C) after any step of it: at any await of a folder watcher, or of a live
component that works through its operations. Nothing leaks and nobody hangs (MODE-3, RDY-1); one catch-up run then
makes the target what the source says, and the next one does nothing (DUR-1, DUR-3)."""

from __future__ import annotations

import contextlib

from liveproof.errors import StoppedError
from liveproof_sim import World
from scenarios.recovery import live_moves
from scenarios.recovery.any_faults import watcher_of
from scenarios.recovery.catch_up import VERSIONS, A
from scenarios.recovery.folder import FILES, edit, recovered
from scenarios.recovery.ground import GROUND, Source, judge

MOMENTS_MAX = 300
"""steps after which it may be cancelled; then it goes on to its end"""


async def folder(world: World) -> None:
    """The folder watcher, while the folder is edited."""
    docs, out = world.fs.dir("/docs", FILES), world.fs.dir("/out")
    run = world.start(watcher_of(docs, out), live=True)
    world.cancel_points(run, most=MOMENTS_MAX)
    edit(world, docs)
    with contextlib.suppress(StoppedError):
        await run.ready()
    early = run.ended
    edit(world, docs)
    with contextlib.suppress(StoppedError):
        await world.clock.sleep(1)
        late = run.ended and not early
        run.ask_to_stop()
        await run
    world.sometimes("cancelled before it was ready", early)
    world.sometimes("cancelled while it followed", late)
    world.sometimes("not cancelled", not early and not late)
    await recovered(world, docs, out, watcher_of, "{}.txt")


async def operations(world: World) -> None:
    """A live component goes from version to version by single operations."""
    GROUND.reset(world)
    source: list[Source] = [A]
    versions = [world.draw(VERSIONS, label=f"version {number}") for number in range(2)]
    run = world.start(live_moves.app_of(source, versions), live=True)
    world.cancel_points(run, most=MOMENTS_MAX)
    try:
        await run
    except StoppedError:
        world.sometimes("cancelled")
    else:
        world.sometimes("not cancelled")
    await world.start(live_moves.app_of(source, ()))
    await judge(world, source[0], live_moves.app_of(source, ()), ("recovery",), ("recovery", "live"))
