"""Directories and files as targets: handlers and sink by themselves, then end to end."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path, PurePath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import liveproof as coco
from liveproof.backends.os_filesystem import OsFileSystem
from liveproof.connectors import localfs
from liveproof.connectors.localfs._target import (
    EntryHandler,
    EntryRecord,
    EntrySpec,
    RootHandler,
    _entry_key,
)
from liveproof.connectors.localfs._write import Action, Place, apply, settle, temporary_name
from liveproof.core.values import decode, encode
from tests.connectors.localfs_pipeline import tree

BASE: coco.ContextKey[Path] = coco.ContextKey("target base")


class Disk(OsFileSystem):
    """Logs what it is told to write; fails for some names; counts flushes."""

    __slots__ = ("fail", "flushed", "log")

    def __init__(self) -> None:
        self.log: list[str] = []
        self.flushed: list[str] = []
        self.fail: dict[str, OSError] = {}

    def _note(self, what: str, path: str) -> None:
        self.log.append(f"{what} {PurePath(path).name}")
        error = self.fail.get(f"{what} {PurePath(path).name}")
        if error is not None:
            raise error

    def write(self, path: str, data: bytes, /, *, mode: int | None = None) -> None:
        super().write(path, data, mode=mode)
        self._note("write", path)

    def replace(self, source: str, destination: str, /) -> None:
        self._note("replace", destination)
        super().replace(source, destination)

    def remove(self, path: str, /) -> None:
        self._note("remove", path)
        super().remove(path)

    def sync(self, path: str, /) -> None:
        self.flushed.append(f"file {PurePath(path).name}")
        super().sync(path)

    def sync_dir(self, directory: str, /) -> None:
        self.flushed.append(f"dir {PurePath(directory).name}")
        super().sync_dir(directory)

    def sync_all(self, path: str, /) -> None:
        self.flushed.append("all")


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def provider(tmp_path: Path, disk: Disk) -> coco.ContextProvider:
    provider = coco.ContextProvider()
    provider.filesystem = disk
    provider.provide(BASE, tmp_path)
    return provider


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


HERE = Place(BASE.key, "out")


def file(name: str, content: bytes = b"x", *, parents: bool = False, **was: bool) -> Action:
    flags = {"was_file": False, "was_dir": False} | was
    return Action(HERE, name, content, parents=parents, delete=False, **flags)


def directory(name: str, *, parents: bool = False, **was: bool) -> Action:
    flags = {"was_file": False, "was_dir": False} | was
    return Action(HERE, name, None, parents=parents, delete=False, **flags)


def gone(name: str, *, was_file: bool = True, was_dir: bool = False) -> Action:
    return Action(HERE, name, None, parents=False, delete=True, was_file=was_file, was_dir=was_dir)


def dir_gone(name: str) -> Action:
    return gone(name, was_file=False, was_dir=True)


# ---- reconciling


HANDLER = EntryHandler(HERE)
NEW = EntrySpec(b"new", create_parent_dirs=False)


def record_of(spec: EntrySpec) -> EntryRecord:
    output = HANDLER.reconcile("x", spec, [], True)
    assert output is not None
    assert isinstance(output.tracking_record, EntryRecord)
    return output.tracking_record


SAME, OTHER = record_of(NEW), record_of(EntrySpec(b"old", create_parent_dirs=False))
DIRECTORY = record_of(EntrySpec(None, create_parent_dirs=False))


@pytest.mark.parametrize(
    ("records", "missing", "acts"),
    [
        ([], True, True),
        ([], False, True),
        ([SAME], False, False),
        ([SAME], True, True),
        ([OTHER], False, True),
        ([SAME, OTHER], False, True),
        ([SAME, SAME], False, False),
        ([DIRECTORY], False, True),
    ],
)
def test_a_file_is_written_unless_it_is_certainly_there(
    records: list[EntryRecord], missing: bool, acts: bool
) -> None:
    output = HANDLER.reconcile("x", NEW, records, missing)
    assert (output is not None) is acts
    if output is not None:
        assert output.tracking_record == SAME
        assert output.action.content == b"new"
        assert output.child_invalidation is None


def test_what_was_never_written_is_not_removed() -> None:
    assert HANDLER.reconcile("x", coco.NON_EXISTENCE, [], True) is None
    output = HANDLER.reconcile("x", coco.NON_EXISTENCE, [SAME, DIRECTORY], True)
    assert output is not None
    assert output.tracking_record is coco.NON_EXISTENCE
    assert (output.action.delete, output.action.was_file, output.action.was_dir) == (True, True, True)


def test_records_can_be_stored() -> None:
    for record in (SAME, DIRECTORY):
        assert decode(encode(record), EntryRecord) == record
    assert len(encode(SAME)) < 50


def test_a_child_handler_is_made_of_the_key_alone(provider: coco.ContextProvider) -> None:
    inner = RootHandler().child_handler(provider, (BASE.key, "out")).child_handler(provider, "a/b")
    output = inner.reconcile("c", NEW, [], True)
    assert output is not None
    assert output.action.place == Place(BASE.key, "out", "a/b")
    assert output.sink.child_handler is not None
    below = output.sink.child_handler(provider, output.action).reconcile("d", NEW, [], True)
    assert below.action.place == Place(BASE.key, "out", "a/b/c")


# ---- applying


def test_writes_directories_and_removals(out: Path, provider: coco.ContextProvider) -> None:
    apply(provider, [file("a/b.txt", b"b", parents=True), file("c.txt", b"c"), directory("d")])
    assert tree(out) == {"a/b.txt": "b", "c.txt": "c", "d/": ""}
    apply(provider, [gone("a/b.txt"), file("c.txt", b"c 2", was_file=True), dir_gone("d")])
    assert tree(out) == {"c.txt": "c 2"}


def test_actions_can_be_repeated(out: Path, provider: coco.ContextProvider) -> None:
    actions = [file("a/b.txt", b"b", parents=True), directory("d/e", parents=True)]
    removals = [gone("a/b.txt"), dir_gone("d/e")]
    for batch, want in ((actions, {"a/b.txt": "b", "d/e/": ""}), (removals, {})):
        for _ in range(2):
            apply(provider, batch)
            settle(provider, batch)
            assert tree(out) == want


def test_order_within_a_batch_does_not_matter(out: Path, provider: coco.ContextProvider) -> None:
    (out / "x").mkdir()
    (out / "x" / "old").write_text("ours")
    (out / "y").write_text("ours")
    apply(
        provider,
        [
            file("x", b"now a file", was_dir=True),
            file("y/z", b"now inside", parents=True),
            gone("y"),
            gone("x/old"),
        ],
    )
    assert tree(out) == {"x": "now a file", "y/z": "now inside"}


def test_what_is_inside_goes_before_its_directory(out: Path, provider: coco.ContextProvider) -> None:
    apply(provider, [directory("d"), directory("d/e"), file("f")._replace(place=HERE.inside("d/e"))])
    assert tree(out) == {"d/e/f": "x"}
    apply(provider, [dir_gone("d"), dir_gone("d/e"), gone("f")._replace(place=HERE.inside("d/e"))])
    assert tree(out) == {}


def test_kinds_change_in_place(out: Path, provider: coco.ContextProvider) -> None:
    apply(provider, [file("x", b"file")])
    apply(provider, [directory("x", was_file=True)])
    assert tree(out) == {"x/": ""}
    apply(provider, [file("x", b"file", was_dir=True)])
    assert tree(out) == {"x": "file"}


def test_what_is_not_ours_stays(out: Path, provider: coco.ContextProvider) -> None:
    (out / "d" / "e").mkdir(parents=True)
    (out / "d" / "e" / "theirs").write_text("theirs")
    (out / "x").write_text("theirs")
    apply(provider, [dir_gone("d"), gone("d/e/ours"), dir_gone("x")])
    assert tree(out) == {"d/e/theirs": "theirs", "x": "theirs"}
    with pytest.raises(IsADirectoryError, match="not empty") as is_dir:
        apply(provider, [file("d", b"no")])
    assert is_dir.value.filename == str(out / "d")
    with pytest.raises(FileExistsError):
        apply(provider, [directory("x")])
    (out / "dir").mkdir()
    apply(provider, [gone("dir")])
    assert (out / "dir").is_dir(), "we wrote a file there, never a directory"


def test_nobody_sees_half_a_file(out: Path, provider: coco.ContextProvider, disk: Disk) -> None:
    apply(provider, [file("a", b"old")])
    disk.fail["write .a.liveproof-tmp"] = OSError(28, "No space left on device")
    with pytest.raises(OSError, match="No space left") as caught:
        apply(provider, [file("a", b"new")])
    assert caught.value.filename == str(out / "a")
    assert tree(out) == {"a": "old"}
    disk.fail.clear()
    disk.fail["replace a"] = OSError(5, "Input/output error")
    with pytest.raises(OSError, match="Input/output"):
        apply(provider, [file("a", b"new")])
    assert tree(out) == {"a": "old"}


def test_what_a_crash_left_is_cleared_away(out: Path, provider: coco.ContextProvider) -> None:
    (out / ".a.liveproof-tmp").write_text("half")
    (out / ".b.liveproof-tmp").write_text("half")
    apply(provider, [file("a", b"whole"), gone("b")])
    assert tree(out) == {"a": "whole"}


def test_one_failure_does_not_stop_the_others(out: Path, provider: coco.ContextProvider, disk: Disk) -> None:
    disk.fail["replace b"] = OSError(5, "Input/output error")
    with pytest.raises(OSError, match="Input/output") as one:
        apply(provider, [file("a"), file("b"), file("c")])
    assert one.value.filename == str(out / "b")
    assert tree(out) == {"a": "x", "c": "x"}
    disk.fail["replace a"] = OSError(5, "Input/output error")
    unknown = file("f")._replace(place=Place("nobody provides this", "x"))
    with pytest.raises(ExceptionGroup, match="3 of 4 files") as several:
        apply(provider, [file("a"), file("b"), file("d"), unknown])
    kinds = sorted(type(error).__name__ for error in several.value.exceptions)
    assert kinds == ["KeyError", "OSError", "OSError"]
    assert tree(out)["d"] == "x"


def test_missing_parents(out: Path, provider: coco.ContextProvider) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        apply(provider, [file("no/such/file")])
    assert caught.value.filename == str(out / "no" / "such" / "file")
    with pytest.raises(FileNotFoundError):
        apply(provider, [directory("no/such")])
    assert tree(out) == {}
    out.rmdir()
    apply(provider, [file("a")])
    assert tree(out) == {"a": "x"}, "the target directory itself is made anew"


def test_a_directory_that_vanishes_under_a_write_is_made_again(
    out: Path, provider: coco.ContextProvider
) -> None:
    class Hasty(Disk):
        __slots__ = ("left",)

        def __init__(self) -> None:
            super().__init__()
            self.left = 3

        def write(self, path: str, data: bytes, /, *, mode: int | None = None) -> None:
            super().write(path, data, mode=mode)
            if self.left:
                self.left -= 1
                Path(path).unlink()
                Path(path).parent.rmdir()

    provider.filesystem = Hasty()
    apply(provider, [file("a/b", parents=True)])
    assert tree(out) == {"a/b": "x"}


def test_the_mode_of_a_file_stays(out: Path, provider: coco.ContextProvider) -> None:
    apply(provider, [file("a")])
    assert stat.S_IMODE((out / "a").stat().st_mode) == 0o666 & ~current_umask()
    (out / "a").chmod(0o750)
    apply(provider, [file("a", b"y")])
    assert stat.S_IMODE((out / "a").stat().st_mode) == 0o750


def current_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_long_and_strange_names(out: Path, provider: coco.ContextProvider) -> None:
    longest = "é" * 127
    strange = os.fsdecode(b"caf\xe9")
    apply(provider, [file(longest), file(strange), file("new\nline")])
    assert sorted(path.name for path in out.iterdir()) == sorted([longest, strange, "new\nline"])
    with pytest.raises(OSError, match="name too long") as caught:
        apply(provider, [file("x" * 300)])
    assert caught.value.filename == str(out / ("x" * 300))
    apply(provider, [gone(longest), gone(strange), gone("new\nline")])
    assert tree(out) == {}


# ---- staying inside


def test_links_that_lead_out_are_refused(out: Path, provider: coco.ContextProvider, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "victim").write_text("theirs")
    (out / "link").symlink_to(outside)
    (out / "inside").mkdir()
    (out / "fine").symlink_to("inside")
    for action in (
        file("link/new"),
        gone("link/victim"),
        directory("link/d"),
        file("link/x/y", parents=True),
        file("new")._replace(place=HERE.inside("link")),
    ):
        with pytest.raises(ValueError, match="leads out of the target directory"):
            apply(provider, [action])
    assert tree(outside) == {"victim": "theirs"}
    apply(provider, [file("fine/new")])
    assert (out / "inside" / "new").read_text() == "x"


def test_a_link_in_the_place_of_a_file_is_replaced_not_followed(
    out: Path, provider: coco.ContextProvider, tmp_path: Path
) -> None:
    (tmp_path / "victim").write_text("theirs")
    (out / "a").symlink_to(tmp_path / "victim")
    (out / "b").symlink_to(tmp_path / "victim")
    apply(provider, [file("a", b"ours"), gone("b")])
    assert tree(out) == {"a": "ours"}
    assert not (out / "a").is_symlink()
    assert (tmp_path / "victim").read_text() == "theirs"


def test_a_target_directory_may_be_a_link(provider: coco.ContextProvider, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "out").symlink_to("real")
    apply(provider, [directory(""), file("a/b", parents=True)])
    assert tree(tmp_path / "real") == {"a/b": "x"}


BAD_NAMES = [
    ("", "not a name"),
    (".", "not a name"),
    ("/", "not a name"),
    ("/etc/passwd", "absolute"),
    ("..", r"without '\.\.'"),
    ("../x", r"without '\.\.'"),
    ("a/../../x", r"without '\.\.'"),
    ("a/..", r"without '\.\.'"),
    ("a\0b", "NUL"),
    (".x.liveproof-tmp", "being written"),
]


def declaring(declare: Callable[[localfs.DirTarget[Any]], object], tmp_path: Path) -> None:
    async def main() -> None:
        declare(await localfs.mount_dir_target(tmp_path / "out"))

    environment = coco.Environment(coco.Settings(tmp_path / "db", durability="process"), name="declaring")
    try:
        coco.App(coco.AppConfig("declaring", environment), main).update_blocking()
    finally:
        environment.close()


@pytest.mark.parametrize(("name", "message"), BAD_NAMES)
def test_bad_names_are_refused_when_they_are_declared(tmp_path: Path, name: str, message: str) -> None:
    for declare in (
        lambda target: target.declare_file(name, b""),
        lambda target: target.declare_dir_target(name),
    ):
        with pytest.raises(ValueError, match=message) as caught:
            declaring(declare, tmp_path)
        assert repr(name) in str(caught.value)
    assert tree(tmp_path / "out") == {}


def test_bad_arguments(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="a str or a PurePath, not bytes"):
        declaring(lambda target: target.declare_file(b"x", b""), tmp_path)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="bytes or str, not int"):
        declaring(lambda target: target.declare_file("x", 5), tmp_path)  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match=r"declare_file\(\)"):
        localfs.declare_file(tmp_path / "x", b"")
    with pytest.raises(ValueError, match=r"without '\.\.'"):
        localfs.declare_file(localfs.FilePath("../x", base_dir=BASE), b"")


@given(st.text(min_size=1))
def test_a_name_is_refused_or_stays_inside(name: str) -> None:
    try:
        key = _entry_key(name)
    except ValueError:
        return
    parts = key.split("/")
    assert "" not in parts
    assert "." not in parts
    assert ".." not in parts
    assert PurePath("/out", key).is_relative_to("/out")


def test_one_file_has_one_key(tmp_path: Path) -> None:
    def twice(target: localfs.DirTarget[Any]) -> None:
        target.declare_file("a/b", b"1")
        target.declare_file("a//./b", b"2")

    with pytest.raises(ValueError, match="declared"):
        declaring(twice, tmp_path)


# ---- durability


def test_settling_flushes_files_and_their_names(
    out: Path, provider: coco.ContextProvider, disk: Disk
) -> None:
    actions = [file("a"), file("d/e/b", parents=True), gone("c")]
    apply(provider, actions)
    settle(provider, actions)
    assert sorted(disk.flushed) == ["dir d", "dir e", "dir out", "file a", "file b"]


def test_a_large_batch_is_flushed_at_once(out: Path, provider: coco.ContextProvider, disk: Disk) -> None:
    actions = [file(str(at)) for at in range(100)]
    apply(provider, actions)
    settle(provider, actions)
    assert disk.flushed == ["all"]


def test_settling_what_is_gone_again(out: Path, provider: coco.ContextProvider, disk: Disk) -> None:
    actions = [file("a"), file("d/b", parents=True)]
    apply(provider, actions)
    apply(provider, [gone("a"), gone("d/b")])
    out.rmdir()
    settle(provider, actions)
    assert disk.flushed[-1] == f"dir {out.parent.name}"


def test_temporary_names_fit() -> None:
    for name in ("a", "x" * 255, "é" * 127, os.fsdecode(b"\xff" * 250)):
        temporary = PurePath(temporary_name(f"/d/{name}")).name
        assert len(os.fsencode(temporary)) <= 255
        assert temporary.startswith(".")
        assert temporary.endswith(".liveproof-tmp")


# ---- end to end


class Site:
    """An app that declares what its lists say."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.files: dict[str, str] = {}
        self.shared: dict[str, str] = {}
        """By components of their own, in a directory that the parent mounts."""
        self.nested: dict[str, dict[str, str]] = {}
        self.alone: dict[str, str] = {}
        self.mounts = True
        self.errors: list[BaseException] = []

    @property
    def out(self) -> Path:
        return self.base / "out"

    async def main(self) -> None:
        if self.mounts:
            target = await localfs.mount_dir_target(localfs.FilePath("out", base_dir=BASE))
            for name, text in self.files.items():
                target.declare_file(name, text, create_parent_dirs=True)
            pairs = [(name, (name, text)) for name, text in self.shared.items()]
            await coco.mount_each(self.one, pairs, target)
            for name, entries in self.nested.items():
                inner = target.declare_dir_target(name)
                for key, text in entries.items():
                    inner.declare_file(key, text)
        for name, text in self.alone.items():
            localfs.declare_file(localfs.FilePath(name, base_dir=BASE), text, create_parent_dirs=True)

    @staticmethod
    async def one(item: tuple[str, str], target: localfs.DirTarget[Any]) -> None:
        target.declare_file(item[0], item[1], create_parent_dirs=True)

    def _failed(self, exc: BaseException, context: coco.ExceptionContext) -> None:
        self.errors.append(exc)

    def app(self) -> coco.App[[], None]:
        provider = coco.ContextProvider()
        provider.provide(BASE, self.base)
        self.environment = coco.Environment(
            coco.Settings(self.base / "db", durability="process"),
            name="site",
            context_provider=provider,
            exception_handler=self._failed,
        )
        return coco.App(coco.AppConfig("site", self.environment), self.main)

    async def update(self) -> dict[str, str]:
        """Run; what is in the output then."""
        app = self.app()
        try:
            await app.update()
        finally:
            self.environment.close()
        return tree(self.out)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    assert site.errors == []


async def test_files_follow_their_declarations(site: Site) -> None:
    site.files = {"a.txt": "a", "d/b.txt": "b"}
    site.shared = {"c.txt": "c", "e/f.txt": "f"}
    site.nested = {"n": {"g.txt": "g"}, "empty": {}}
    want = {"a.txt": "a", "d/b.txt": "b", "c.txt": "c", "e/f.txt": "f", "n/g.txt": "g", "empty/": ""}
    assert await site.update() == dict(sorted(want.items()))
    site.files = {"a.txt": "a 2"}
    site.shared = {"e/f.txt": "f 2"}
    site.nested = {"n": {"h.txt": "h"}}
    assert await site.update() == {"a.txt": "a 2", "e/f.txt": "f 2", "n/h.txt": "h"}
    site.files, site.shared, site.nested = {}, {}, {}
    assert await site.update() == {}
    assert site.out.is_dir()


async def test_a_target_that_is_mounted_no_more_goes_with_its_files(site: Site) -> None:
    site.files = {"a.txt": "a", "d/b.txt": "b"}
    site.shared = {"c.txt": "c", "e/f.txt": "f"}
    site.nested = {"n": {"g.txt": "g"}}
    await site.update()
    site.mounts = False
    await site.update()
    assert not site.out.exists(), tree(site.out)


async def test_a_strangers_file_keeps_its_directory(site: Site) -> None:
    site.files = {"d/a.txt": "a"}
    await site.update()
    (site.out / "d" / "theirs").write_text("theirs")
    site.mounts = False
    await site.update()
    assert tree(site.out) == {"d/theirs": "theirs"}


async def test_dropping_the_app_removes_everything(site: Site) -> None:
    site.files = {"a.txt": "a", "d/b.txt": "b"}
    site.shared = {"c.txt": "c"}
    site.nested = {"n": {"g.txt": "g"}}
    site.alone = {"x/alone.txt": "alone"}
    await site.update()
    await site.app().drop()
    site.environment.close()
    assert not site.out.exists(), tree(site.out)
    assert not (site.base / "x" / "alone.txt").exists()


async def test_kinds_change_between_runs(site: Site) -> None:
    site.nested = {"x": {"inside": "i"}}
    await site.update()
    site.nested = {}
    site.files = {"x": "file"}
    assert await site.update() == {"x": "file"}
    site.files = {"x/y": "inside"}
    assert await site.update() == {"x/y": "inside"}
    site.files = {}
    site.nested = {"x": {"y": "inside, otherwise"}}
    assert await site.update() == {"x/y": "inside, otherwise"}


async def test_an_idle_run_writes_nothing(site: Site) -> None:
    site.files = {"a.txt": "a"}
    site.shared = {"c.txt": "c"}
    site.nested = {"n": {"g.txt": "g"}}
    site.alone = {"alone.txt": "alone"}
    await site.update()
    before = {path: path.stat() for path in (*site.out.rglob("*"), site.base / "alone.txt")}
    await site.update()
    for path, was in before.items():
        now = path.stat()
        assert (now.st_ino, now.st_mtime_ns) == (was.st_ino, was.st_mtime_ns), path
        assert now.st_ctime_ns == was.st_ctime_ns, path


async def test_files_can_be_mounted_by_themselves(tmp_path: Path) -> None:
    wanted = {"one.txt": "1", "sub/two.txt": "2"}

    async def main() -> None:
        for name, text in wanted.items():
            await coco.mount(
                coco.component_subpath(name),
                localfs.declare_file,
                tmp_path / "out" / name,
                content=text,
                create_parent_dirs=True,
            )

    for _ in range(2):
        environment = coco.Environment(coco.Settings(tmp_path / "db"), name="alone")
        await coco.App(coco.AppConfig("alone", environment), main).update()
        environment.close()
        assert {name: text for name, text in tree(tmp_path / "out").items() if text} == wanted
        wanted.pop("sub/two.txt", None)


async def test_a_failing_file_fails_its_component_only(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.shared = {"a.txt": "a", "x" * 300: "too long", "b.txt": "b"}
    assert await site.update() == {"a.txt": "a", "b.txt": "b"}
    [error] = site.errors
    assert isinstance(error, OSError)
    assert error.filename == str(site.out / ("x" * 300))
    site.errors.clear()
    del site.shared["x" * 300]
    assert await site.update() == {"a.txt": "a", "b.txt": "b"}
    assert site.errors == []


async def test_with_power_durability_the_output_is_the_same(tmp_path: Path) -> None:
    async def main() -> None:
        target = await localfs.mount_dir_target(tmp_path / "out")
        for at in range(10):
            target.declare_file(f"{at}/f.txt", str(at), create_parent_dirs=True)

    environment = coco.Environment(coco.Settings(tmp_path / "db", durability="power"), name="power")
    app: coco.App[[], None] = coco.App(coco.AppConfig("power", environment), main)
    await app.update()
    await app.update()
    environment.close()
    assert len(tree(tmp_path / "out")) == 10
