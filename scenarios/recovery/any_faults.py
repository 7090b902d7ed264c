"""The folder watcher while anything goes wrong: two files and two changes, faults of disk, watch and store, and the
power fails besides. After one catch-up run in a world that is kind again the target is what the source says, the
store has no orphan (DUR-1), and the next run does nothing (DUR-3).

What nobody can survive is counted by name: a file of the source that can not be read any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import liveproof as coco
from liveproof.errors import StoreError
from liveproof_sim import PowerCut, World
from liveproof_sim.fakes.filesystem import SimPath
from scenarios.live.folder_watcher_sim import MindsOverflow, watched_by
from scenarios.recovery import folder
from scenarios.recovery.folder import EDITS, FILES, AppOf, edit, recovered

FAULTS_MAX = 4
CHANGES = 2
UNREADABLE = "a file of the source that can not be read any more"


def heard(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """The loop is told of a call that failed when nobody waited for it any more, because of the stop. So it should
    be, and with faults about it is no bug; all else is."""
    late = "after the task that waited was cancelled" in context["message"]
    if not (late and isinstance(context.get("exception"), OSError | StoreError)):
        loop.default_exception_handler(context)


def watcher_of(docs: SimPath, out: SimPath) -> coco.App[..., Any]:
    """The folder watcher of the page, with a rescan when changes were lost."""
    return coco.App("folder", watched_by(MindsOverflow), docs, out)


def through(app_of: AppOf, page: str) -> Callable[[World], Awaitable[None]]:
    """Live runs, one after the other, until both changes are made; each ends well, or badly, or with the power."""

    async def through_anything(world: World) -> None:
        docs, out = world.fs.dir("/docs", FILES), world.fs.dir("/out")
        asyncio.get_running_loop().set_exception_handler(heard)
        world.exception_handler = lambda _error, _context: None
        world.faults.enable("disk", "watch", "store", budget=FAULTS_MAX)
        kinds = world.swarm(EDITS)
        for change in range(CHANGES):
            try:
                run = world.start(app_of(docs, out), live=True)
                if world.draw(2, label="early") == 0:
                    await run.ready()
                edit(world, docs, kinds)
                await world.clock.sleep(world.draw([1, 0.02], label="seconds"))
                await run.stop()
            except (PowerCut, OSError, StoreError) as error:
                world.sometimes("a run failed", not isinstance(error, PowerCut))
            if change and world.draw(2, label="a new process"):
                world.crash()
        world.faults.disable()
        world.sometimes("the power failed twice", world.power.cuts >= 2)
        try:
            docs.tree()
        except OSError:
            world.lose(UNREADABLE)
        await recovered(world, docs, out, app_of, page)

    return through_anything


by_hand = through(watcher_of, "{}.txt")
walked = through(folder.app_of, folder.PAGE)
