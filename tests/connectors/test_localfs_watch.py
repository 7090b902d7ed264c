"""A directory that is watched, against the real file system, end to end (FEED-1, FEED-2, FEED-4, MODE-2)."""

# ruff: noqa: ASYNC240 - a test changes files while nothing else may run

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import random
import shutil
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

import liveproof as coco
from liveproof.abc.filesystem import Changes, Entry, Watch
from liveproof.backends.os_filesystem import OsFileSystem
from liveproof.backends.os_watch import WatchfilesWatch
from liveproof.connectors import localfs
from liveproof.connectors.localfs._leaving import Leaving
from liveproof.errors import StoppedError
from liveproof.resources.file import PatternFilePathMatcher
from tests.connectors.localfs_pipeline import SOURCE, Pipeline, eventually, tree

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    return Pipeline(tmp_path)


def write(root: Path, **files: str) -> None:
    """Write files; in a name ``__`` stands for a slash, ``_md`` at the end for the extension."""
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_md", ".md")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


# ---- single changes


async def test_edits_additions_and_removals(pipeline: Pipeline) -> None:
    write(pipeline.source, a_md="alpha", sub__b_md="beta")
    async with pipeline.live():
        assert tree(pipeline.output) == {"a.md": "ALPHA", "sub/b.md": "BETA"}
        write(pipeline.source, a_md="alpha 2")
        await pipeline.agrees()
        write(pipeline.source, sub__c_md="gamma")
        await pipeline.agrees()
        (pipeline.source / "a.md").unlink()
        await pipeline.agrees()
        write(pipeline.source, a_md="alpha 3")
        await pipeline.agrees()
    assert pipeline.errors == []
    assert await pipeline.catch_up() == []
    assert tree(pipeline.output) == pipeline.wanted()


async def test_renames_and_atomic_replacement(pipeline: Pipeline) -> None:
    write(pipeline.source, a_md="alpha", b_md="beta")
    source = pipeline.source
    async with pipeline.live():
        (source / "a.md").rename(source / "c.md")
        await pipeline.agrees()
        (source / "b.md").rename(source / "c.md")
        await pipeline.agrees()
        write(source, new_tmp="by an editor")
        (source / "new_tmp").rename(source / "c.md")
        await pipeline.agrees()
        (source / "c.md").rename(pipeline.base / "gone.md")
        await pipeline.agrees()
        assert tree(pipeline.output) == {}
        (pipeline.base / "gone.md").rename(source / "back.md")
        await pipeline.agrees()


async def test_directories_come_move_and_go(pipeline: Pipeline) -> None:
    source, away = pipeline.source, pipeline.base / "away"
    write(source, a__b__one_md="one", a__two_md="two")
    write(away, x__y__three_md="three")
    async with pipeline.live():
        (source / "a").rename(source / "z")
        await pipeline.agrees()
        write(source, z__b__one_md="one 2", z__b__more_md="more")
        await pipeline.agrees()
        (away / "x").rename(source / "x")
        await pipeline.agrees()
        write(source, x__y__three_md="three 2")
        await pipeline.agrees()
        (source / "z").rename(away / "z")
        await pipeline.agrees()
        write(away, z__b__one_md="nobody looks")
        shutil.rmtree(source / "x")
        await pipeline.agrees()
        write(source, n__e__w__deep_md="deep")
        await pipeline.agrees()
        assert tree(pipeline.output) == {"n/e/w/deep.md": "DEEP"}
    assert pipeline.errors == []


async def test_one_directory_takes_the_place_of_another(pipeline: Pipeline) -> None:
    source = pipeline.source
    write(source, a__x_md="old x", a__only_md="only in old", b__x_md="new x")
    async with pipeline.live():
        (source / "a").rename(pipeline.base / "old")
        (source / "b").rename(source / "a")
        await pipeline.agrees()
        write(source, a__x_md="newer x")
        await pipeline.agrees()
        assert tree(pipeline.output) == {"a/x.md": "NEWER X"}


async def test_a_file_becomes_a_directory_and_back(pipeline: Pipeline) -> None:
    source = pipeline.source
    write(source, x="file")
    async with pipeline.live():
        (source / "x").unlink()
        write(source, x__y="inside")
        await pipeline.agrees()
        shutil.rmtree(source / "x")
        write(source, x="file again")
        await pipeline.agrees()
        assert tree(pipeline.output) == {"x": "FILE AGAIN"}
    assert pipeline.errors == []


async def test_names_that_are_no_utf8(pipeline: Pipeline) -> None:
    strange = Path(os.fsdecode(os.fsencode(pipeline.source) + b"/caf\xe9"))
    async with pipeline.live():
        strange.mkdir()
        (strange / "a.md").write_text("alpha")
        await pipeline.agrees()
        (strange / "a.md").write_text("alpha 2")
        await pipeline.agrees()
        shutil.rmtree(strange)
        await pipeline.agrees()
    assert pipeline.errors == []


async def test_a_matcher_decides(tmp_path: Path) -> None:
    pipeline = Pipeline(tmp_path, matcher=PatternFilePathMatcher(["**/*.md"], ["skip", "**/.*"]))
    source = pipeline.source
    async with pipeline.live():
        write(source, a_txt="t", skip__b_md="b", sub__c_md="c", sub__c_txt="t")
        (source / ".h.md").write_text("h")
        write(source, end_md="end")
        await eventually(lambda: tree(pipeline.output) == {"end.md": "END", "sub/c.md": "C"})
        (source / "end.md").rename(source / "end.txt")
        (source / "sub").rename(source / "skip2")
        await eventually(lambda: tree(pipeline.output) == {"skip2/c.md": "C"})
        (source / "skip2").rename(source / ".hidden")
        await eventually(lambda: tree(pipeline.output) == {})


async def test_not_recursive(tmp_path: Path) -> None:
    pipeline = Pipeline(tmp_path, recursive=False)
    async with pipeline.live():
        write(pipeline.source, sub__a_md="alpha", b_md="beta")
        await eventually(lambda: tree(pipeline.output) == {"b.md": "BETA"})
        (pipeline.source / "sub" / "a.md").rename(pipeline.source / "a.md")
        await eventually(lambda: tree(pipeline.output) == {"a.md": "ALPHA", "b.md": "BETA"})


# ---- links


async def test_links_to_files(pipeline: Pipeline, tmp_path: Path) -> None:
    source = pipeline.source
    write(tmp_path / "far", one_md="one", two_md="two")
    async with pipeline.live():
        (source / "link.md").symlink_to(tmp_path / "far" / "one.md")
        await pipeline.agrees()
        write(tmp_path / "far", one_md="one 2")
        await pipeline.agrees()
        (source / "next").symlink_to(tmp_path / "far" / "two.md")
        (source / "next").rename(source / "link.md")
        await pipeline.agrees()
        assert tree(pipeline.output) == {"link.md": "TWO"}
        (tmp_path / "far" / "two.md").unlink()
        await eventually(lambda: tree(pipeline.output) == {})
        write(tmp_path / "far", two_md="two is back")
        await pipeline.agrees()
        (source / "link.md").unlink()
        await pipeline.agrees()


async def test_directories_behind_links(pipeline: Pipeline, tmp_path: Path) -> None:
    source = pipeline.source
    write(tmp_path / "far", a_md="alpha")
    write(source, real__x_md="x")
    async with pipeline.live():
        (source / "far").symlink_to(tmp_path / "far")
        (source / "alias").symlink_to("real")
        (source / "loop").symlink_to(".")
        await eventually(lambda: tree(pipeline.output) == {"far/a.md": "ALPHA", "real/x.md": "X"})
        write(tmp_path / "far", a_md="alpha 2", sub__b_md="beta")
        want = {"far/a.md": "ALPHA 2", "far/sub/b.md": "BETA", "real/x.md": "X"}
        await eventually(lambda: tree(pipeline.output) == want)
        shutil.rmtree(tmp_path / "far" / "sub")
        (source / "real").rename(tmp_path / "moved")
        await eventually(lambda: tree(pipeline.output) == {"far/a.md": "ALPHA 2"})
        (source / "alias").unlink()
        (source / "alias").symlink_to(tmp_path / "moved")
        await eventually(lambda: tree(pipeline.output) == {"far/a.md": "ALPHA 2", "alias/x.md": "X"})
        (source / "far").unlink()
        await eventually(lambda: tree(pipeline.output) == {"alias/x.md": "X"})


async def test_a_loop_gives_no_file_a_second_name(pipeline: Pipeline) -> None:
    source = pipeline.source
    write(source, a_md="alpha", d__b_md="beta")
    (source / "d" / "loop").symlink_to(source)
    async with pipeline.live():
        for at in range(20):
            write(source, a_md=f"alpha {at}", d__b_md=f"beta {at}", **{f"n{at}_md": "new"})
            await asyncio.sleep(0.002)
        await eventually(lambda: tree(pipeline.output).get("a.md") == "ALPHA 19")
        assert not [key for key in tree(pipeline.output) if "loop" in key]


async def test_another_link_takes_over(pipeline: Pipeline, tmp_path: Path) -> None:
    source = pipeline.source
    write(tmp_path / "far", x_md="x")
    write(source, d__a_md="alpha")
    (source / "d" / "link").symlink_to(tmp_path / "far")
    (source / "z").symlink_to(tmp_path / "far")
    async with pipeline.live():
        assert tree(pipeline.output) == {"d/a.md": "ALPHA", "d/link/x.md": "X"}
        (source / "d").rename(pipeline.base / "away")
        await eventually(lambda: tree(pipeline.output) == {"z/x.md": "X"})
        (pipeline.base / "away").rename(source / "d")
        await eventually(lambda: tree(pipeline.output) == {"d/a.md": "ALPHA", "d/link/x.md": "X"})


async def test_links_to_links(pipeline: Pipeline, tmp_path: Path) -> None:
    source = pipeline.source
    write(tmp_path / "far", one_md="one")
    (source / "first.md").symlink_to(tmp_path / "far" / "one.md")
    (source / "second.md").symlink_to("first.md")
    async with pipeline.live():
        await pipeline.agrees()
        write(tmp_path / "far", one_md="one 2")
        await pipeline.agrees()
        write(tmp_path, file_md="a file")
        (tmp_path / "file.md").rename(source / "first.md")
        await pipeline.agrees()
        assert tree(pipeline.output) == {"first.md": "A FILE", "second.md": "A FILE"}
        (source / "first.md").unlink()
        await eventually(lambda: tree(pipeline.output) == {})


async def test_a_link_turned_round_as_kubernetes_does(tmp_path: Path) -> None:
    pipeline = Pipeline(tmp_path, matcher=PatternFilePathMatcher(["**/*.yaml"], ["**/..*"]))
    source = pipeline.source
    write(source, one__c="first", two__c="second")
    (source / "one").rename(source / "..1")
    (source / "two").rename(source / "..2")
    (source / "..data").symlink_to("..1")
    (source / "c.yaml").symlink_to("..data/c")
    async with pipeline.live():
        assert tree(pipeline.output) == {"c.yaml": "FIRST"}
        (source / "..tmp").symlink_to("..2")
        (source / "..tmp").rename(source / "..data")
        await eventually(lambda: tree(pipeline.output) == {"c.yaml": "SECOND"})


# ---- the root


async def test_the_root_goes_and_comes_back(pipeline: Pipeline) -> None:
    source = pipeline.source
    write(source, a_md="alpha", b_md="beta")
    async with pipeline.live():
        source.rename(pipeline.base / "away")
        await eventually(lambda: bool(pipeline.errors))
        assert tree(pipeline.output) == {"a.md": "ALPHA", "b.md": "BETA"}, "a missing root is no empty root"
        write(pipeline.base / "away", a_md="alpha 2", c_md="gamma")
        (pipeline.base / "away" / "b.md").unlink()
        (pipeline.base / "away").rename(source)
        await pipeline.agrees()
        write(source, a_md="alpha 3")
        await pipeline.agrees()
    assert len(pipeline.errors) == 1, pipeline.errors


async def test_another_directory_takes_the_place_of_the_root(pipeline: Pipeline) -> None:
    source = pipeline.source
    write(source, a_md="alpha")
    write(pipeline.base / "other", b_md="beta")
    async with pipeline.live():
        source.rename(pipeline.base / "away")
        (pipeline.base / "other").rename(source)
        await pipeline.agrees()
        write(source, c_md="gamma")
        await pipeline.agrees()


async def test_a_root_that_is_not_there_yet(pipeline: Pipeline) -> None:
    pipeline.source.rmdir()
    async with pipeline.live():
        write(pipeline.source, a_md="alpha")
        await pipeline.agrees()
    assert len(pipeline.errors) == 2, "not watched, and not scanned"


# ---- loss, blindness, timers


class Leaky:
    """A watch that loses what it is told to lose."""

    def __init__(self, watch: Watch, world: LeakyFileSystem) -> None:
        self._watch = watch
        self._world = world

    def add(self, directory: str, /) -> None:
        if self._world.limit <= 0 and directory not in self._world.known:
            raise OSError(errno.ENOSPC, "No space left on device", directory)
        if directory not in self._world.known:
            self._world.known[directory] = None
            self._world.limit -= 1
        self._watch.add(directory)

    def discard(self, directory: str, /) -> None:
        self._watch.discard(directory)

    async def changes(self) -> Changes:
        while True:
            changes = await self._watch.changes()
            if self._world.fails:
                self._world.fails = False
                raise OSError(errno.EIO, "the watch is broken")
            if not self._world.deaf:
                return changes
            if self._world.tells:
                self._world.deaf = False
                return Changes((), lost=True)

    def close(self) -> None:
        self._watch.close()


class LeakyFileSystem(OsFileSystem):
    """Makes leaky watches."""

    __slots__ = ("deaf", "fails", "known", "limit", "tells", "watches")

    def __init__(self) -> None:
        self.deaf = self.fails = False
        self.tells = True
        self.limit = 1000
        self.known: dict[str, None] = {}
        self.watches = 0

    def watch(self, root: str, /, *, recursive: bool) -> Watch:
        self.watches += 1
        return Leaky(super().watch(root, recursive=recursive), self)


async def test_lost_events_are_made_good(tmp_path: Path) -> None:
    filesystem = LeakyFileSystem()
    pipeline = Pipeline(tmp_path, filesystem=filesystem)
    write(pipeline.source, a_md="alpha", b_md="beta", c__d_md="delta")
    async with pipeline.live():
        filesystem.deaf = True
        write(pipeline.source, a_md="alpha 2", new__e_md="e")
        (pipeline.source / "b.md").unlink()
        shutil.rmtree(pipeline.source / "c")
        await pipeline.agrees()
        assert filesystem.watches == 2
        write(pipeline.source, new__e_md="e 2")
        await pipeline.agrees()
    assert pipeline.errors == []


async def test_a_watch_that_breaks_is_replaced(tmp_path: Path) -> None:
    filesystem = LeakyFileSystem()
    pipeline = Pipeline(tmp_path, filesystem=filesystem)
    async with pipeline.live():
        filesystem.fails = True
        write(pipeline.source, a_md="alpha")
        await pipeline.agrees()
        write(pipeline.source, a_md="alpha 2")
        await pipeline.agrees()


async def test_without_watches_it_scans(tmp_path: Path) -> None:
    filesystem = LeakyFileSystem()
    filesystem.limit = 1
    pipeline = Pipeline(tmp_path, filesystem=filesystem)
    write(pipeline.source, a_md="alpha", x__b_md="beta", y__c_md="gamma")
    async with pipeline.live():
        write(pipeline.source, a_md="alpha 2", x__b_md="beta 2", y__c_md="gamma 2")
        await pipeline.agrees()
        write(pipeline.source, z__d_md="delta")
        await pipeline.agrees()
        write(pipeline.source, z__d_md="delta 2")
        await pipeline.agrees()
    assert [error for error in pipeline.errors if "No space left" not in error] == []
    assert 1 <= len(pipeline.errors) <= 4


async def test_a_rescan_finds_what_no_watch_told(tmp_path: Path) -> None:
    filesystem = LeakyFileSystem()
    pipeline = Pipeline(tmp_path, filesystem=filesystem, rescan_interval=timedelta(seconds=0.2))
    async with pipeline.live():
        filesystem.deaf, filesystem.tells = True, False
        write(pipeline.source, a_md="alpha", sub__b_md="beta")
        await pipeline.agrees()
        (pipeline.source / "a.md").unlink()
        await pipeline.agrees()
        assert filesystem.watches == 1


# ---- making room


class Leaver:
    """A deletion under way; logs when somebody waits for it."""

    def __init__(self, key: str, log: list[str]) -> None:
        self.key = key
        self.log = log

    async def ready(self) -> None:
        self.log.append(self.key)
        raise RuntimeError("reported elsewhere")


async def test_what_takes_a_place_waits_for_what_leaves_it() -> None:
    log: list[str] = []
    leaving = Leaving()
    for key in ("a/b/c", "a/b/d", "x", "ab", "a/bc"):
        leaving.add(key, Leaver(key, log))
    await leaving.make_room("elsewhere")
    await leaving.make_room("a/b/c")
    assert log == [], "operations on one key are in order anyhow"
    await leaving.make_room("a/b")
    assert sorted(log) == ["a/b/c", "a/b/d"]
    await leaving.make_room("x/y/z")
    await leaving.make_room("x/y/z")
    assert log[2:] == ["x"]
    for at in range(5000):
        leaving.add(str(at), Leaver(str(at), log))
    await leaving.make_room("elsewhere")
    assert len(log) == 3 + 2 + 5000, "not remembered for ever"


# ---- no change is lost, wherever it falls


class Meddler(OsFileSystem):
    """Does something to the tree at the n-th call of a kind."""

    __slots__ = ("act", "at", "call", "seen")

    def __init__(self, call: str, at: int, act: Callable[[], None]) -> None:
        self.call, self.at, self.act = call, at, act
        self.seen = 0

    def _count(self, call: str) -> None:
        if call == self.call:
            self.seen += 1
            if self.seen == self.at:
                self.act()

    def scan(self, directory: str, /) -> list[Entry]:
        self._count("before scan")
        try:
            return super().scan(directory)
        finally:
            self._count("after scan")

    def watch(self, root: str, /, *, recursive: bool) -> Watch:
        self._count("before watch")
        try:
            return super().watch(root, recursive=recursive)
        finally:
            self._count("after watch")

    def read(self, path: str, size: int = -1, offset: int = 0, /) -> bytes:
        self._count("before read")
        try:
            return super().read(path, size, offset)
        finally:
            self._count("after read")


def _edit(source: Path) -> None:
    write(source, a_md="edited", sub__b_md="edited")


def _remove(source: Path) -> None:
    (source / "a.md").unlink()
    shutil.rmtree(source / "sub")


def _add(source: Path) -> None:
    write(source, new_md="new", sub__new_md="new", fresh__deep__new_md="new")


def _move(source: Path) -> None:
    (source / "sub").rename(source / "moved")
    write(source, sub__b_md="another b")


CALLS = [("watch", 1)] + [(call, at) for call in ("scan", "read") for at in (1, 2, 3)]


@pytest.mark.parametrize("act", [_edit, _remove, _add, _move])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("call", "at"), CALLS)
async def test_a_change_at_any_moment_of_the_start(
    tmp_path: Path, when: str, call: str, at: int, act: Callable[[Path], None]
) -> None:
    filesystem = Meddler(f"{when} {call}", at, lambda: act(tmp_path / "src"))
    pipeline = Pipeline(tmp_path, filesystem=filesystem)
    write(pipeline.source, a_md="alpha", sub__b_md="beta", sub__inner__c_md="gamma")
    async with pipeline.live():
        await pipeline.agrees()
        assert filesystem.seen >= at
        write(pipeline.source, last_md="last")
        await pipeline.agrees()


NAMES = ["a", "b", "c"]


def meddle(source: Path, chance: random.Random, *, links: bool) -> None:
    """One random change below ``source``; raises ``OSError`` where it makes no sense."""

    def somewhere() -> Path:
        return source.joinpath(*chance.choices(NAMES, k=chance.randint(1, 3)))

    path = somewhere()
    path.parent.mkdir(parents=True, exist_ok=True)
    match chance.randint(0, 6 if links else 5):
        case 0 | 1 | 2:
            path.write_text(str(chance.random()))
        case 3:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        case 4 | 5:
            path.rename(somewhere())
        case 6:
            path.symlink_to(chance.choice([Path("a"), Path("b/c"), source, somewhere()]))


async def fresh_run(pipeline: Pipeline) -> dict[str, str]:
    """What a catch-up run with nothing remembered makes of the same source."""
    base = pipeline.base / "fresh"
    if base.exists():
        shutil.rmtree(base)
    fresh = Pipeline(base, flat=True)
    fresh.source.rmdir()
    fresh.source.symlink_to(pipeline.source)
    await fresh.catch_up()
    return tree(fresh.output)


async def same(pipeline: Pipeline, want: dict[str, str]) -> None:
    """Wait until the output is that."""
    await eventually(
        lambda: tree(pipeline.output) == want,
        lambda: (tree(pipeline.output), want, pipeline.errors[-3:]),
    )


@pytest.mark.parametrize("links", [False, True])
@pytest.mark.parametrize("seed", range(6))
async def test_random_changes_end_where_a_fresh_run_does(tmp_path: Path, seed: int, links: bool) -> None:
    chance = random.Random(seed)
    pipeline = Pipeline(tmp_path, flat=True)

    def some(count: int) -> None:
        for _ in range(count):
            with contextlib.suppress(OSError):
                meddle(pipeline.source, chance, links=links)

    some(10)
    async with pipeline.live():
        for _ in range(3):
            for _ in range(10):
                some(chance.randint(1, 20))
                await asyncio.sleep(chance.choice([0, 0, 0.001, 0.02]))
            await same(pipeline, await fresh_run(pipeline))


# ---- life


async def test_one_watcher_at_a_time(tmp_path: Path) -> None:
    pipeline = Pipeline(tmp_path)

    async def main() -> None:
        items = localfs.walk_dir(SOURCE, live=True).items()
        await coco.mount_each(coco.component_subpath("one"), see, items)
        await coco.mount_each(coco.component_subpath("two"), see, items)

    async def see(file: localfs.File) -> None:
        await file.read()

    pipeline.app()
    app: coco.App[[], None] = coco.App(coco.AppConfig("two", pipeline.environment), main)
    handle = app.update(live=True)
    await eventually(lambda: bool(pipeline.errors))
    handle.stop()
    with pytest.raises(StoppedError):
        await handle
    pipeline.environment.close()
    assert len(pipeline.errors) == 1
    assert "is being watched already" in pipeline.errors[0]


async def test_stopping_is_prompt_and_leaves_nothing_behind(pipeline: Pipeline) -> None:
    write(pipeline.source, **{f"d{at}__f_md": "x" for at in range(20)})
    tasks = len(asyncio.all_tasks())
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        async with pipeline.live():
            began = time.monotonic()
        assert time.monotonic() - began < 2
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == tasks
        assert len(list(Path("/proc/self/fd").iterdir())) == descriptors


@linux_only
async def test_catching_up_arms_no_watch(tmp_path: Path) -> None:
    filesystem = LeakyFileSystem()
    await Pipeline(tmp_path, filesystem=filesystem).catch_up()
    assert filesystem.watches == 0


async def test_with_the_fallback_watch(tmp_path: Path) -> None:
    class Fallback(OsFileSystem):
        __slots__ = ()

        def watch(self, root: str, /, *, recursive: bool) -> Watch:
            return WatchfilesWatch(root, recursive=recursive)

    pipeline = Pipeline(tmp_path, filesystem=Fallback())
    source = pipeline.source
    write(source, a_md="alpha", sub__b_md="beta")
    async with pipeline.live():
        write(source, a_md="alpha 2", sub__b_md="beta 2")
        await pipeline.agrees()
        (source / "sub").rename(source / "moved")
        await pipeline.agrees()
        (source / "a.md").unlink()
        await pipeline.agrees()
