"""Local files as a source, against the real file system, end to end."""

# ruff: noqa: ASYNC240 - a test changes files while nothing else may run

from __future__ import annotations

import os
import shutil
import socket
import time
from datetime import timedelta
from pathlib import Path, PurePath

import pytest

import liveproof as coco
from liveproof.abc.filesystem import Entry
from liveproof.backends.os_filesystem import OsFileSystem
from liveproof.connectors import localfs
from liveproof.resources.file import PatternFilePathMatcher
from tests.connectors.localfs_pipeline import Pipeline, tree


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    return Pipeline(tmp_path)


def write(root: Path, **files: str) -> None:
    """Write files; in a name ``__`` stands for a slash and ``_md`` at the end for the extension."""
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_md", ".md")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def stamps(root: Path) -> dict[Path, tuple[int, int, int]]:
    """What changes when somebody touches something."""
    found = {path: path.stat() for path in root.rglob("*")}
    return {path: (stat.st_ino, stat.st_mtime_ns, stat.st_ctime_ns) for path, stat in found.items()}


# ---- catching up


async def test_catch_up_follows_the_source(pipeline: Pipeline) -> None:
    write(pipeline.source, a_md="alpha", sub__b_md="beta", sub__deep__c_md="gamma")
    assert await pipeline.catch_up() == ["a.md", "sub/b.md", "sub/deep/c.md"]
    assert tree(pipeline.output) == {"a.md": "ALPHA", "sub/b.md": "BETA", "sub/deep/c.md": "GAMMA"}
    write(pipeline.source, a_md="alpha 2", new__d_md="delta")
    (pipeline.source / "sub/deep/c.md").unlink()
    assert await pipeline.catch_up() == ["a.md", "new/d.md"]
    assert tree(pipeline.output) == {"a.md": "ALPHA 2", "sub/b.md": "BETA", "new/d.md": "DELTA"}
    assert pipeline.errors == []


async def test_an_idle_run_touches_nothing(pipeline: Pipeline) -> None:
    write(pipeline.source, a_md="alpha", sub__b_md="beta")
    await pipeline.catch_up()
    before = stamps(pipeline.output)
    for _ in range(2):
        assert await pipeline.catch_up() == []
        assert stamps(pipeline.output) == before


async def test_not_recursive(tmp_path: Path) -> None:
    pipeline = Pipeline(tmp_path, recursive=False)
    write(pipeline.source, a_md="alpha", sub__b_md="beta")
    (pipeline.source / "link").symlink_to("sub")
    assert await pipeline.catch_up() == ["a.md"]


async def test_a_matcher_decides(tmp_path: Path) -> None:
    pipeline = Pipeline(tmp_path, matcher=PatternFilePathMatcher(["**/*.md"], ["skip", "**/.*"]))
    write(pipeline.source, a_md="a", a_txt="t", skip__b_md="b", sub__c_md="c")
    (pipeline.source / ".hidden.md").write_text("h")
    assert await pipeline.catch_up() == ["a.md", "sub/c.md"]


async def test_a_missing_root_is_an_error_and_removes_nothing(pipeline: Pipeline) -> None:
    write(pipeline.source, a_md="alpha")
    await pipeline.catch_up()
    pipeline.source.rename(pipeline.base / "away")
    await pipeline.catch_up()
    assert [error.split(":")[0] for error in pipeline.errors] == ["FileNotFoundError"]
    assert str(pipeline.source) in pipeline.errors[0]
    assert tree(pipeline.output) == {"a.md": "ALPHA"}


async def test_moving_the_tree_runs_nothing_again(pipeline: Pipeline, tmp_path: Path) -> None:
    write(pipeline.source, a_md="alpha", sub__b_md="beta")
    await pipeline.catch_up()
    shutil.copytree(tmp_path, tmp_path / "elsewhere")
    moved = Pipeline(tmp_path / "elsewhere")
    assert await moved.catch_up() == []
    write(moved.source, a_md="alpha 2")
    assert await moved.catch_up() == ["a.md"]
    assert tree(moved.output) == {"a.md": "ALPHA 2", "sub/b.md": "BETA"}
    assert tree(pipeline.output)["a.md"] == "ALPHA"


async def test_touching_a_file_runs_nothing(pipeline: Pipeline) -> None:
    write(pipeline.source, a_md="alpha")
    await pipeline.catch_up()
    os.utime(pipeline.source / "a.md", (1, 1))
    assert await pipeline.catch_up() == []
    (pipeline.source / "a.md").unlink()
    write(pipeline.source, a_md="alpha")
    assert await pipeline.catch_up() == []


async def test_a_name_changes_its_kind_between_runs(pipeline: Pipeline) -> None:
    write(pipeline.source, x__y="inside")
    await pipeline.catch_up()
    shutil.rmtree(pipeline.source / "x")
    write(pipeline.source, x="file")
    await pipeline.catch_up()
    assert (tree(pipeline.output), pipeline.errors) == ({"x": "FILE"}, [])


async def test_a_name_that_changed_its_kind_is_right_after_two_runs(pipeline: Pipeline) -> None:
    for kind in (("x__y", "x/y"), ("x", "x"), ("x__y", "x/y")):
        shutil.rmtree(pipeline.source)
        write(pipeline.source, **{kind[0]: "text"})
        await pipeline.catch_up()
        await pipeline.catch_up()
        assert tree(pipeline.output) == {kind[1]: "TEXT"}


# ---- memo states


class Counting(OsFileSystem):
    """Counts reads."""

    __slots__ = ("reads",)

    def __init__(self) -> None:
        self.reads = 0

    def read(self, path: str, size: int = -1, offset: int = 0, /) -> bytes:
        self.reads += 1
        return super().read(path, size, offset)


async def test_an_unchanged_file_is_not_even_read(tmp_path: Path) -> None:
    filesystem = Counting()
    pipeline = Pipeline(tmp_path, filesystem=filesystem)
    write(pipeline.source, a_md="alpha", b_md="beta")
    await pipeline.catch_up()
    assert filesystem.reads == 2, "hashed and processed with one read"
    await pipeline.catch_up()
    assert filesystem.reads == 4, "written just now: racily clean, so read again"


async def test_an_old_file_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filesystem = Counting()
    pipeline = Pipeline(tmp_path, filesystem=filesystem)
    write(pipeline.source, a_md="alpha")
    later = time.time_ns() + 3_000_000_000
    monkeypatch.setattr(Counting, "clock_ns", lambda self: later)
    await pipeline.catch_up()
    assert filesystem.reads == 1
    assert await pipeline.catch_up() == []
    assert filesystem.reads == 1


async def test_a_write_within_the_resolution_of_the_clock_is_seen(tmp_path: Path) -> None:
    """Same size, same inode, same times: only the contents can tell."""

    class Frozen(OsFileSystem):
        __slots__ = ()

        def scan(self, directory: str, /) -> list[Entry]:
            tick = 1_700_000_000_000_000_000
            return [
                Entry(name, stat._replace(mtime_ns=tick, ctime_ns=tick))
                for name, stat in super().scan(directory)
            ]

        def clock_ns(self) -> int:
            return 1_700_000_001_000_000_000

    pipeline = Pipeline(tmp_path, filesystem=Frozen())
    write(pipeline.source, a_md="one")
    await pipeline.catch_up()
    write(pipeline.source, a_md="two")
    assert await pipeline.catch_up() == ["a.md"]
    assert tree(pipeline.output) == {"a.md": "TWO"}


async def test_what_is_hashed_is_what_is_read(tmp_path: Path) -> None:
    """A write between hashing and reading, undone later, must not leave its result behind."""

    class Meddling(OsFileSystem):
        __slots__ = ("armed",)

        def __init__(self) -> None:
            self.armed = True

        def read(self, path: str, size: int = -1, offset: int = 0, /) -> bytes:
            content = super().read(path, size, offset)
            if self.armed:
                self.armed = False
                Path(path).write_text("meddled")
            return content

    filesystem = Meddling()
    pipeline = Pipeline(tmp_path, filesystem=filesystem)
    write(pipeline.source, a_md="alpha")
    await pipeline.catch_up()
    assert not filesystem.armed
    write(pipeline.source, a_md="alpha")
    await pipeline.catch_up()
    assert tree(pipeline.output) == {"a.md": "ALPHA"}


# ---- links, strange names, things that are no files


async def test_links_to_files_are_followed_and_broken_ones_reported(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    (tmp_path / "outside.md").write_text("outside")
    write(pipeline.source, a_md="alpha")
    (pipeline.source / "in.md").symlink_to("a.md")
    (pipeline.source / "out.md").symlink_to(tmp_path / "outside.md")
    (pipeline.source / "broken.md").symlink_to("nothing")
    (pipeline.source / "self.md").symlink_to("self.md")
    assert await pipeline.catch_up() == ["a.md", "in.md", "out.md"]
    assert tree(pipeline.output) == {"a.md": "ALPHA", "in.md": "ALPHA", "out.md": "OUTSIDE"}
    assert len(pipeline.errors) == 2
    assert any("broken.md" in error and "symbolic link to nothing" in error for error in pipeline.errors)
    assert any("self.md" in error for error in pipeline.errors)


async def test_each_directory_is_walked_once_under_its_own_name(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    write(tmp_path / "far", x_md="far")
    write(pipeline.source, z__a_md="alpha")
    (pipeline.source / "alias").symlink_to("z")
    (pipeline.source / "z" / "loop").symlink_to("..")
    (pipeline.source / "f1").symlink_to(tmp_path / "far")
    (pipeline.source / "f2").symlink_to(tmp_path / "far")
    (tmp_path / "far" / "back").symlink_to(pipeline.source)
    assert await pipeline.catch_up() == ["f1/x.md", "z/a.md"]
    assert pipeline.errors == []


async def test_names_that_are_no_utf8(pipeline: Pipeline) -> None:
    strange = os.fsencode(pipeline.source) + b"/caf\xe9"
    Path(os.fsdecode(strange)).mkdir()
    with open(strange + b"/n\xff.md", "wb") as file:  # noqa: PTH123, ASYNC230 - bytes
        file.write(b"strange")
    await pipeline.catch_up()
    assert pipeline.errors == []
    with open(os.fsencode(pipeline.output) + b"/caf\xe9/n\xff.md", "rb") as file:  # noqa: PTH123, ASYNC230
        assert file.read() == b"STRANGE"
    assert await pipeline.catch_up() == []
    Path(os.fsdecode(strange + b"/n\xff.md")).unlink()
    await pipeline.catch_up()
    assert tree(pipeline.output) == {}


async def test_pipes_sockets_and_our_own_temporary_files_are_skipped(pipeline: Pipeline) -> None:
    write(pipeline.source, a_md="alpha")
    os.mkfifo(pipeline.source / "pipe.md")
    (pipeline.source / ".b.md.liveproof-tmp").write_text("half wri")
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(pipeline.source)  # a socket's path must be short
        server.bind("socket.md")
        os.chdir(here)
        assert await pipeline.catch_up() == ["a.md"]
    assert pipeline.errors == []


class Broken(OsFileSystem):
    """Some names fail, as they would for somebody who is not root."""

    __slots__ = ("names",)

    def __init__(self, *names: str) -> None:
        self.names = names

    def _refuse(self, path: str) -> None:
        if PurePath(path).name in self.names:
            raise PermissionError(13, "Permission denied", path)

    def scan(self, directory: str, /) -> list[Entry]:
        self._refuse(directory)
        return super().scan(directory)

    def read(self, path: str, size: int = -1, offset: int = 0, /) -> bytes:
        self._refuse(path)
        return super().read(path, size, offset)


async def test_what_can_not_be_read_is_reported_and_harms_nothing_else(tmp_path: Path) -> None:
    pipeline = Pipeline(tmp_path, filesystem=Broken("closed", "secret.md"))
    write(pipeline.source, a_md="alpha", closed__b_md="beta", secret_md="s", z__c_md="gamma")
    assert await pipeline.catch_up() == ["a.md", "z/c.md"]
    assert sorted(error.rpartition("/")[2] for error in pipeline.errors) == ["closed'", "secret.md'"]
    assert tree(pipeline.output) == {"a.md": "ALPHA", "z/c.md": "GAMMA"}


async def test_a_file_that_vanishes_before_it_is_read_fails_alone(tmp_path: Path) -> None:
    class Vanishing(OsFileSystem):
        __slots__ = ()

        def read(self, path: str, size: int = -1, offset: int = 0, /) -> bytes:
            if path.endswith("b.md"):
                Path(path).unlink()
            return super().read(path, size, offset)

        def scan(self, directory: str, /) -> list[Entry]:
            if directory.endswith("d"):
                shutil.rmtree(directory)
            return super().scan(directory)

    pipeline = Pipeline(tmp_path, filesystem=Vanishing())
    write(pipeline.source, a_md="alpha", b_md="beta", d__c_md="gamma")
    assert await pipeline.catch_up() == ["a.md"]
    assert [error.split(":")[0] for error in pipeline.errors] == ["FileNotFoundError"]


# ---- the API


async def test_walking_by_hand(tmp_path: Path) -> None:
    write(tmp_path, a_md="alpha", sub__b_md="beta")
    seen: list[object] = []

    async def main() -> None:
        async for file in localfs.walk_dir(tmp_path, recursive=True):
            seen.append((file.file_path.path, await file.read_text(), await file.size()))
        async for key, file in localfs.walk_dir(str(tmp_path)).items():
            seen.append((key, (await file.modified_time()).timestamp() > 0))
        one = localfs.File(tmp_path / "a.md")
        seen.append((await one.read(3), await one.content_fingerprint() == await one.content_fingerprint()))

    environment = coco.Environment(coco.Settings(tmp_path.parent / f"{tmp_path.name}.db"), name="by hand")
    await coco.App(coco.AppConfig("by hand", environment), main).update()
    environment.close()
    assert seen == [
        (tmp_path / "a.md", "alpha", 5),
        (tmp_path / "sub/b.md", "beta", 4),
        ("a.md", True),
        (b"alp", True),
    ]


async def test_outside_a_component_there_are_no_files(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"walk_dir\(\)"):
        await anext(aiter(localfs.walk_dir(tmp_path)))
    with pytest.raises(RuntimeError, match=r"File.read\(\)"):
        await localfs.File(tmp_path / "a").read()


def test_what_is_live_is_a_view() -> None:
    live = localfs.walk_dir("x", live=True).items()
    assert isinstance(live, coco.LiveMapView)
    assert not isinstance(localfs.walk_dir("x").items(), coco.LiveMapFeed)
    with pytest.raises(ValueError, match="positive"):
        localfs.walk_dir("x", rescan_interval=timedelta())
