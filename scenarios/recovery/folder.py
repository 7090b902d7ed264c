"""A folder kept in upper case in another one, on files that have a page cache: after a loss of power anywhere,
one catch-up run makes it good (DUR-1), and the next one does nothing (DUR-3)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import liveproof as coco
from liveproof.connectors import localfs
from liveproof.resources.file import FileLike
from liveproof_sim import PowerCut, World
from liveproof_sim.fakes.filesystem import SimPath
from liveproof_sim.fakes.store import SimStore
from scenarios.recovery.ground import components, wrong_with

FILES = {"a.md": "alpha", "b.md": "beta"}
EDITS = ("none", "edit", "remove", "rename", "add")
PAGE = "{}/page.txt"


@coco.fn(memo=True)
async def convert(file: FileLike[Any], target: localfs.DirTarget[Any]) -> None:
    """One file in upper case; none if it is gone already."""
    try:
        text = await file.read_text()
    except FileNotFoundError:
        return
    target.declare_file(f"{file.file_path.stem}/page.txt", text.upper(), create_parent_dirs=True)


AppOf: TypeAlias = Callable[[SimPath, SimPath], coco.App[..., Any]]


def app_of(docs: SimPath, out: SimPath) -> coco.App[[], None]:
    async def main() -> None:
        target = await localfs.mount_dir_target(out)
        await coco.mount_each(convert, localfs.walk_dir(docs, live=True).items(), target)

    return coco.App("folder", main)


def wanted(docs: SimPath, page: str = PAGE) -> dict[str, str]:
    """The source function."""
    return {page.format(name.removesuffix(".md")): str(text).upper() for name, text in docs.tree().items()}


def edit(world: World, docs: SimPath, kinds: Sequence[str] = EDITS) -> None:
    """One change, of those that people make; the first: none."""
    kind = world.draw(kinds, label="edit")
    names = sorted(docs.tree())
    if kind == "edit" and names:
        (docs / names[0]).write_text("alpha 2")
    elif kind == "remove" and names:
        (docs / names[-1]).unlink()
    elif kind == "rename" and names:
        (docs / names[0]).rename(docs / "c.md")
    elif kind == "add":
        (docs / "d.md").write_text("delta")


async def recovered(world: World, docs: SimPath, out: SimPath, app_of: AppOf = app_of, page: str = PAGE) -> None:
    """One catch-up run makes it good, and another one finds nothing to do."""
    world.power.stay()
    await world.restart(app_of(docs, out))
    assert out.tree() == wanted(docs, page), f"{out.tree()}, not {wanted(docs, page)}"
    empty = [str(path) for path in out.rglob("*") if path.is_dir() and not any(path.iterdir())]
    assert empty == [], f"directories of nothing: {empty}"
    store = world.store
    assert isinstance(store, SimStore)
    known = components(store)
    orphans = [path for path in known if str(path[-1]).endswith(".md") and path[-1] not in docs.tree()]
    assert orphans == [], f"the store still knows {orphans}"
    assert (wrong := wrong_with(store, known)) == [], wrong
    calls: list[str] = []
    # Noted from here on: what changes a file.
    system = world.fs.system
    system.before_call = lambda operation, path: calls.append(f"{operation} {path}")
    await world.restart(app_of(docs, out))
    assert calls == [], "an idle run wrote"


async def catch_up(world: World) -> None:
    """Runs to the end, or to a cut; changes between them."""
    docs, out = world.fs.dir("/docs", FILES), world.fs.dir("/out")
    for _ in range(3):
        with contextlib.suppress(PowerCut):
            await world.start(app_of(docs, out))
        edit(world, docs)
    await recovered(world, docs, out)


async def live(world: World) -> None:
    """Changes while it runs live."""
    docs, out = world.fs.dir("/docs", FILES), world.fs.dir("/out")
    with contextlib.suppress(PowerCut):
        run = world.start(app_of(docs, out), live=True)
        edit(world, docs)
        await run.ready()
        edit(world, docs)
        await world.clock.sleep(1)
        if not world.power.cuts:
            assert out.tree() == wanted(docs), f"{out.tree()}, not {wanted(docs)}"
            edit(world, docs)
            await world.clock.sleep(0.02)
    # Asked here: the restart that comes now counts as a cut.
    world.sometimes("the power failed", world.power.cuts)
    world.sometimes("it did not", not world.power.cuts)
    await recovered(world, docs, out)


async def readers_see_whole_files(world: World) -> None:
    """Whoever reads the target meanwhile sees the old text or the new one, and nothing in between, as long as the
    power stays (after a cut the page may be empty until the next run)."""
    docs, out = world.fs.dir("/docs", {"a.md": "alpha"}), world.fs.dir("/out")
    seen: dict[str, None] = {}

    def look() -> None:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            if not world.power.cuts:
                seen[(out / "a" / "page.txt").read_text()] = None

    world.monitors.after_step(look)
    system, power = world.fs.system, world.power

    def before_call(operation: str, path: str) -> None:
        look()
        power.before_call(operation, path)

    system.before_call = before_call
    for text in ("alpha", "beta"):
        (docs / "a.md").write_text(text)
        with contextlib.suppress(PowerCut):
            await world.start(app_of(docs, out))
        look()
    world.power.stay()
    await world.restart(app_of(docs, out))
    assert list(seen) == [text for text in ("ALPHA", "BETA") if text in seen], list(seen)
    assert (out / "a" / "page.txt").read_text() == "BETA"
