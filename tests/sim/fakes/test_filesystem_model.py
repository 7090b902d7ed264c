"""Random programs of file calls give the same results here and on the machine's own file system."""

# ruff: noqa: PTH102, PTH112, PTH114, PTH115, PTH211 - the same names as the calls of the operating system that are compared
from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from liveproof.abc.filesystem import FileKind, FileStat, FileSystem
from liveproof.backends.os_filesystem import OsFileSystem
from liveproof_sim.fakes.filesystem import Files, SimFileSystem, SimPath

MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None
"""Where a sync takes no time, if there is such a place."""

names = st.sampled_from(["a", "b", "c"])
odd_names = st.sampled_from(
    ["a/", "a/.", "a/..", ".", "a/./b", "a//b", "n" * 255, "n" * 256, "é", "caf\udce9"]
)
paths = st.one_of(
    st.lists(names, min_size=1, max_size=3).map("/".join),
    st.tuples(st.lists(names, max_size=2).map("/".join), odd_names)
    .map("/".join)
    .map(lambda p: p.lstrip("/")),
)
targets = st.one_of(paths.map(lambda p: p.rstrip(".")), names.map("./{}".format), names.map("{}/".format))
contents = st.one_of(st.binary(max_size=3), st.integers(0, 9000).map(lambda n: b"x" * n))


def seen(stat: FileStat) -> tuple[Any, ...]:
    """What must be equal: not times, numbers, or how large a directory is."""
    return (stat.kind, stat.mode, 0 if stat.kind is FileKind.DIRECTORY else stat.size)


def outcome(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except OSError as exc:
        return errno.errorcode[exc.errno or 0], exc.filename, exc.filename2
    except ValueError as exc:
        return repr(exc)


class SameAsReal(RuleBasedStateMachine):
    """Two trees at one place: a temporary directory, and the same path in the simulated file system."""

    def __init__(self) -> None:
        super().__init__()
        self.umask = os.umask(0o022)
        self.temporary = os.path.realpath(tempfile.mkdtemp(dir=MEMORY))
        self.base = f"{self.temporary}/base"
        os.mkdir(self.base)
        self.real = OsFileSystem()
        self.sim = SimFileSystem(block=16)
        self.sim_base = Files(self.sim).dir(self.base)

    def both(self, call: Callable[[FileSystem], Any]) -> Any:
        expected, got = outcome(lambda: call(self.real)), outcome(lambda: call(self.sim))
        assert got == expected, (got, expected)
        return got

    def at(self, path: str) -> str:
        return f"{self.base}/{path}"

    @initialize()
    def some_directories(self) -> None:
        for path in ("a", "a/b"):
            self.both(lambda fs, path=path: fs.make_dir(self.at(path)))  # type: ignore[misc]

    @rule(path=paths, data=contents, mode=st.sampled_from([None, None, 0o600]))
    def write(self, path: str, data: bytes, mode: int | None) -> None:
        self.both(lambda fs: fs.write(self.at(path), data, mode=mode))

    @rule(path=paths, size=st.integers(-1, 5), offset=st.integers(0, 5))
    def read(self, path: str, size: int, offset: int) -> None:
        self.both(lambda fs: fs.read(self.at(path), size, offset))

    @rule(source=paths, destination=paths)
    def replace(self, source: str, destination: str) -> None:
        self.both(lambda fs: fs.replace(self.at(source), self.at(destination)))

    @rule(path=paths)
    def remove(self, path: str) -> None:
        self.both(lambda fs: fs.remove(self.at(path)))

    @rule(path=paths)
    def make_dir(self, path: str) -> None:
        self.both(lambda fs: fs.make_dir(self.at(path)))

    @rule(path=paths)
    def remove_dir(self, path: str) -> None:
        self.both(lambda fs: fs.remove_dir(self.at(path)))

    @rule(path=paths, follow=st.booleans())
    def stat(self, path: str, follow: bool) -> None:
        self.both(lambda fs: seen(fs.stat(self.at(path), follow=follow)))

    @rule(path=paths)
    def scan(self, path: str) -> None:
        self.both(lambda fs: [(name, seen(stat)) for name, stat in fs.scan(self.at(path))])

    @rule(path=paths)
    def real_path(self, path: str) -> None:
        self.both(lambda fs: fs.real(self.at(path)))

    @rule(path=paths, one=st.sampled_from(["sync", "sync_dir", "sync_all"]))
    def sync(self, path: str, one: str) -> None:
        self.both(lambda fs: getattr(fs, one)(self.at(path)))

    @rule(path=paths, to=targets, absolute=st.booleans())
    def link(self, path: str, to: str, absolute: bool) -> None:
        target = self.at(to) if absolute else to
        expected = outcome(lambda: os.symlink(target, self.at(path)))
        assert outcome(lambda: self.sim.make_link(self.at(path), target)) == expected

    @rule(path=paths, method=st.sampled_from(["exists", "is_file", "is_dir", "is_symlink", "read_bytes"]))
    def look_by_path(self, path: str, method: str) -> None:
        expected = outcome(getattr(Path(self.base) / path, method))
        assert outcome(getattr(self.sim_base / path, method)) == expected

    @rule(path=paths, parents=st.booleans(), exist_ok=st.booleans())
    def mkdir(self, path: str, parents: bool, exist_ok: bool) -> None:
        def made(base: Path | SimPath) -> Callable[[], Any]:
            return lambda: (base / path).mkdir(parents=parents, exist_ok=exist_ok)

        assert outcome(made(self.sim_base)) == outcome(made(Path(self.base)))

    @rule(path=paths, mode=st.sampled_from(["a", "x", "r+", "w+"]), text=st.text("ab\n", max_size=3))
    def open(self, path: str, mode: str, text: str) -> None:
        def written(base: Path | SimPath) -> Callable[[], Any]:
            def call() -> Any:
                with (base / path).open(mode, encoding="utf-8") as file:
                    return file.write(text)

            return call

        assert outcome(written(self.sim_base)) == outcome(written(Path(self.base)))

    @rule(pattern=st.sampled_from(["*", "**/*", "a/*", "*/b", "**/a", "[ab]", "a/**"]))
    def glob(self, pattern: str) -> None:
        expected = sorted(map(str, Path(self.base).glob(pattern)))
        got = sorted(map(str, self.sim_base.glob(pattern)))
        assert got == expected, (got, expected, self.sim.image())

    @invariant()
    def same_tree(self) -> None:
        self.sim._check()
        expected: list[tuple[str, bytes | str | None]] = []
        for directory, inner, files in os.walk(self.base):
            for name in (*inner, *files):
                path = f"{directory}/{name}"
                if os.path.islink(path):
                    expected.append((path, os.readlink(path)))
                else:
                    expected.append((path, None if os.path.isdir(path) else Path(path).read_bytes()))
        inside = [each for each in self.sim.image() if each[0].startswith(f"{self.base}/")]
        assert inside == sorted(expected, key=lambda item: item[0])

    @invariant()
    def nothing_is_lost_without_a_power_cut(self) -> None:
        """The platter with all that is pending is what processes see."""
        disk = self.sim._disk
        platter = disk.platter.copy()
        for each in disk.pending:
            platter.apply(each.operation)
        assert platter.image(disk.root, disk.inodes) == self.sim.image()

    def teardown(self) -> None:
        shutil.rmtree(self.temporary)
        os.umask(self.umask)


SameAsReal.TestCase.settings = settings(
    max_examples=25,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
TestSameAsReal = SameAsReal.TestCase
