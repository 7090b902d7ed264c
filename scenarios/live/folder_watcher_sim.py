"""The folder watcher of the page, and a folder by ``walk_dir``, in the simulator: no edit is lost.

A folder is edited while the app starts, and after it is ready; once all is quiet the target has to be what
the source says, in every order of the steps. The twins are wrong on purpose: one arms its watch after the
scan, one goes on as if nothing had been lost when its watch overflows.
"""

from __future__ import annotations

import asyncio
import pathlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import liveproof as coco
from liveproof.connectors import localfs
from liveproof.resources.file import FileLike
from liveproof_sim import World
from liveproof_sim.fakes.filesystem import Event, SimPath, Watchdog

Scenario = Callable[[World], Awaitable[None]]

setup_watchdog = Watchdog


# ---- the page


class FolderWatcher:
    def __init__(self, folder: pathlib.Path, target: localfs.DirTarget[Any]) -> None:
        self.folder = folder
        self.target = target

    async def process(self) -> None:
        for path in self.folder.iterdir():
            if path.is_file():
                await coco.mount(coco.component_subpath(path.name), process_file, path, self.target)

    async def process_live(self, operator: coco.LiveComponentOperator) -> None:
        watcher = setup_watchdog(self.folder)
        await operator.update_full()
        await operator.mark_ready()
        async for event in watcher.events():
            subpath = coco.component_subpath(event.filename)
            if event.is_update:
                await operator.update(subpath, process_file, event.path, self.target)
            elif event.is_delete:
                await operator.delete(subpath)


@coco.fn
async def process_file(path: pathlib.Path, target: localfs.DirTarget[Any]) -> None:
    """One file in upper case; none if it is gone already."""
    await declare(localfs.File(path), target)


async def declare(file: FileLike[Any], target: localfs.DirTarget[Any]) -> None:
    try:
        text = await file.read_text()
    except FileNotFoundError:
        return
    target.declare_file(f"{file.file_path.stem}.txt", text.upper())


# ---- sturdier, and wrong


class MindsOverflow(FolderWatcher):
    """Looks at everything when changes were lost, which the page leaves out."""

    async def process_live(self, operator: coco.LiveComponentOperator) -> None:
        watcher = setup_watchdog(self.folder)
        await operator.update_full()
        await operator.mark_ready()
        async for event in watcher.events():
            if event.is_overflow:
                await operator.update_full()
            elif event.is_update:
                subpath = coco.component_subpath(event.filename)
                await operator.update(subpath, process_file, event.path, self.target)
            else:
                await operator.delete(coco.component_subpath(event.filename))


class WatchesTooLate(FolderWatcher):
    """Wrong: what happens between the scan and the watch is never seen."""

    async def process_live(self, operator: coco.LiveComponentOperator) -> None:
        await operator.update_full()
        await operator.mark_ready()
        async for event in watched_late(self.folder):
            subpath = coco.component_subpath(event.filename)
            if event.is_update:
                await operator.update(subpath, process_file, event.path, self.target)
            else:
                await operator.delete(subpath)


async def watched_late(folder: pathlib.Path) -> AsyncIterator[Event]:
    async for event in setup_watchdog(folder).events():
        yield event


# ---- the scenario


def edits(main: Callable[..., Any], *faults: str) -> Scenario:
    """Edit a folder while ``main(folder, outdir)`` starts, and when it is ready."""

    async def no_edit_is_lost(world: World) -> None:
        world.faults.enable(*faults)
        docs = world.fs.dir("/docs", {"a.md": "alpha", "b.md": "beta"})
        out = world.fs.dir("/out")
        run = world.start(coco.App("docs", main, docs, out), live=True)
        await asyncio.sleep(0)
        (docs / "c.md").write_text("gamma")
        await run.ready()
        (docs / "a.md").write_text("alpha 2")
        (docs / "b.md").unlink()
        await world.quiet()
        assert out.tree() == {"a.txt": "ALPHA 2", "c.txt": "GAMMA"}

    return no_edit_is_lost


def watched_by(component: type[FolderWatcher]) -> Callable[[SimPath, SimPath], Awaitable[None]]:
    """The page's ``app_main``."""

    async def app_main(folder: SimPath, outdir: SimPath) -> None:
        target = await localfs.mount_dir_target(outdir)
        await coco.mount(component, folder, target)

    return app_main


async def walked(folder: SimPath, outdir: SimPath) -> None:
    """The same by ``walk_dir``. No rescans: they would mend whatever the watch has missed."""
    target = await localfs.mount_dir_target(outdir)
    items = localfs.walk_dir(folder, live=True, rescan_interval=None).items()
    await coco.mount_each(process_item, items, target)


@coco.fn
async def process_item(file: localfs.File, target: localfs.DirTarget[Any]) -> None:
    await declare(file, target)


the_page = edits(watched_by(FolderWatcher), "watch.late", "watch.repeat", "watch.split")
minds_overflow = edits(watched_by(MindsOverflow), "watch")
walk_dir = edits(walked, "watch")
watches_too_late = edits(watched_by(WatchesTooLate))
ignores_overflow = edits(watched_by(FolderWatcher), "watch.overflow")
