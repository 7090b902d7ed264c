"""One conformance body: the machine's own file system, the simulated one, and broken ones."""

from __future__ import annotations

import asyncio
import errno
import itertools
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from liveproof.abc.filesystem import Changes, Entry, FileSystem
from liveproof.backends.os_filesystem import OsFileSystem
from liveproof.testing import check_filesystem
from liveproof_sim.fakes.filesystem import Files, SimFileSystem, SimWatch
from liveproof_sim.kernel.loop import SimLoop, run_in

Main = Callable[[], Coroutine[Any, Any, None]]


def on_stock(main: Main) -> None:
    asyncio.run(main())


def on_sim(main: Main) -> None:
    run_in(SimLoop(), main())


def simulated(make: Callable[[], SimFileSystem] = SimFileSystem) -> Callable[[], tuple[FileSystem, str]]:
    def build() -> tuple[FileSystem, str]:
        system = make()
        Files(system).dir("/tmp/rule")
        return system, "/tmp/rule"

    return build


def test_the_machines_own(tmp_path: Path) -> None:
    numbers = itertools.count()

    def make() -> tuple[FileSystem, str]:
        directory = tmp_path / str(next(numbers))
        directory.mkdir()
        return OsFileSystem(), str(directory)

    check_filesystem(make, on_stock)


@pytest.mark.parametrize("run", [on_stock, on_sim])
def test_the_simulated_one(run: Callable[[Main], None]) -> None:
    check_filesystem(simulated(), run)


# ---- broken ones are noticed


class Appends(SimFileSystem):
    def write(self, path: str, data: bytes, /, *, mode: int | None = None) -> None:
        try:
            data = self.read(path) + data
        except OSError:
            pass
        super().write(path, data, mode=mode)


class ReadsOneByteLess(SimFileSystem):
    def read(self, path: str, size: int = -1, offset: int = 0, /) -> bytes:
        found = super().read(path, size, offset)
        return found[:-1] if size == 4096 else found


class ForgetsMode(SimFileSystem):
    def write(self, path: str, data: bytes, /, *, mode: int | None = None) -> None:
        super().write(path, data)


class Unsorted(SimFileSystem):
    def scan(self, directory: str, /) -> list[Entry]:
        return super().scan(directory)[::-1]


class MakesParents(SimFileSystem):
    def make_dir(self, path: str, /) -> None:
        parent = os.path.dirname(path)  # noqa: PTH120 - a string
        if parent != "/" and "missing" in parent:
            super().make_dir(parent)
        super().make_dir(path)


class BlamesTheWrong(SimFileSystem):
    def remove(self, path: str, /) -> None:
        try:
            super().remove(path)
        except OSError as exc:
            exc.filename = None
            raise


class CopiesToReplace(SimFileSystem):
    def replace(self, source: str, destination: str, /) -> None:
        if source == destination:
            return
        data, mode = self.read(source), self.stat(source).mode
        self.remove(source)
        self.write(destination, data, mode=mode)


class RemovesFull(SimFileSystem):
    def remove_dir(self, path: str, /) -> None:
        try:
            super().remove_dir(path)
        except OSError as exc:
            if exc.errno != errno.ENOTEMPTY:
                raise
            for entry in self.scan(path):
                self.remove(f"{path}/{entry.name}")
            super().remove_dir(path)


class Broken(SimFileSystem):
    """Whose watches are of another class."""

    kind: type[SimWatch]

    def watch(self, root: str, /, *, recursive: bool) -> SimWatch:
        watch = super().watch(root, recursive=recursive)
        watch.__class__ = self.kind
        return watch


class Forgetful(SimWatch):
    async def changes(self) -> Changes:
        found = await super().changes()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return found


class NeverDiscards(SimWatch):
    def discard(self, directory: str, /) -> None:
        pass


class NeverLost(SimWatch):
    async def changes(self) -> Changes:
        return (await super().changes())._replace(lost=False)


class NeverEnds(SimWatch):
    def close(self) -> None:
        pass


class NeverAdds(SimWatch):
    def add(self, directory: str, /) -> None:
        pass


def with_watch(kind: type[SimWatch]) -> type[SimFileSystem]:
    return type("Broken", (Broken,), {"kind": kind})


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (Appends, "a_write_replaces_everything"),
        (ReadsOneByteLess, "parts_are_read"),
        (ForgetsMode, "permissions_are_kept"),
        (Unsorted, "scans_are_sorted"),
        (BlamesTheWrong, "what_is_missing_is_named"),
        (MakesParents, "what_is_missing_is_named"),
        (RemovesFull, "full_directories_stay"),
        (CopiesToReplace, "files_are_replaced_by_files"),
        (with_watch(NeverAdds), "added_directories_are_watched"),
        (with_watch(NeverDiscards), "a_discarded_directory_is_silent"),
        (with_watch(Forgetful), "a_cancelled_wait_loses_nothing"),
        (with_watch(NeverLost), "the_end_of_the_root_is_a_loss"),
        (with_watch(NeverEnds), "a_closed_watch_ends_its_wait"),
    ],
)
def test_a_broken_one_is_noticed(make: Callable[[], SimFileSystem], rule: str) -> None:
    with pytest.raises(AssertionError, match=f"the file system breaks the rule {rule}: .* Here: "):
        check_filesystem(simulated(make), on_sim)
