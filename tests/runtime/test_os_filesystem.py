"""The machine's own file system, and its watch."""

# ruff: noqa: ASYNC240 - a test changes files while nothing else may run

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from liveproof.abc.filesystem import Changes, FileKind, Watch
from liveproof.backends.os_filesystem import OsFileSystem
from liveproof.backends.os_watch import InotifyWatch, WatchfilesWatch

LINUX = sys.platform == "linux"
linux_only = pytest.mark.skipif(not LINUX, reason="inotify is Linux's")
DEADLINE_S = 20.0

fs = OsFileSystem()


def names(directory: Path) -> dict[str, FileKind]:
    return {name: stat.kind for name, stat in fs.scan(str(directory))}


# ---- looking


def test_scan_is_sorted_and_tells_kinds_apart(tmp_path: Path) -> None:
    (tmp_path / "b").write_text("bb")
    (tmp_path / "a").mkdir()
    (tmp_path / "link").symlink_to("b")
    (tmp_path / "broken").symlink_to("nothing")
    os.mkfifo(tmp_path / "pipe")
    assert list(names(tmp_path).items()) == [
        ("a", FileKind.DIRECTORY),
        ("b", FileKind.FILE),
        ("broken", FileKind.SYMLINK),
        ("link", FileKind.SYMLINK),
        ("pipe", FileKind.OTHER),
    ]


def test_stat_follows_links_or_does_not(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    (tmp_path / "link").symlink_to("file")
    followed = fs.stat(str(tmp_path / "link"))
    assert (followed.kind, followed.size) == (FileKind.FILE, 5)
    assert followed.identity == fs.stat(str(tmp_path / "file")).identity
    assert fs.stat(str(tmp_path / "link"), follow=False).kind is FileKind.SYMLINK


def test_names_that_are_no_utf8_round_trip(tmp_path: Path) -> None:
    raw = os.fsencode(tmp_path) + b"/caf\xe9.txt"
    Path(os.fsdecode(raw)).write_bytes(b"x")
    [entry] = fs.scan(str(tmp_path))
    assert os.fsencode(entry.name) == b"caf\xe9.txt"
    assert fs.read(f"{tmp_path}/{entry.name}") == b"x"


def test_absolute_keeps_dots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert fs.absolute("a/../b") == f"{tmp_path}/a/../b"
    assert fs.absolute("/a") == "/a"


def test_real_follows_what_exists(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "link").symlink_to("d")
    assert fs.real(f"{tmp_path}/link/new") == f"{tmp_path.resolve()}/d/new"


# ---- reading


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, 3_000_000])
def test_read_all_and_parts(tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    path = tmp_path / "file"
    path.write_bytes(content)
    assert fs.read(str(path)) == content
    assert fs.read(str(path), 1000) == content[:1000]
    assert fs.read(str(path), 1000, 500) == content[500:1500]
    assert fs.read(str(path), -1, 500) == content[500:]


def test_read_of_a_file_that_does_not_tell_its_size() -> None:
    assert fs.read("/proc/self/status").startswith(b"Name:")


def test_read_of_a_pipe_fails_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    began = time.monotonic()
    with pytest.raises(OSError, match="not a regular file") as caught:
        fs.read(str(tmp_path / "pipe"))
    assert caught.value.filename == str(tmp_path / "pipe")
    assert time.monotonic() - began < 5


def test_read_of_a_directory_names_it(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError) as caught:
        fs.read(str(tmp_path))
    assert caught.value.filename == str(tmp_path)


# ---- writing


def test_write_replace_remove(tmp_path: Path) -> None:
    one, two = str(tmp_path / "one"), str(tmp_path / "two")
    fs.write(one, b"first, and longer")
    fs.write(one, b"second", mode=0o640)
    assert fs.stat(one).mode == 0o640
    fs.write(two, b"old")
    fs.replace(one, two)
    assert fs.read(two) == b"second"
    fs.remove(two)
    assert names(tmp_path) == {}


def test_directories(tmp_path: Path) -> None:
    fs.make_dir(f"{tmp_path}/d")
    with pytest.raises(FileExistsError):
        fs.make_dir(f"{tmp_path}/d")
    fs.write(f"{tmp_path}/d/file", b"")
    with pytest.raises(OSError):
        fs.remove_dir(f"{tmp_path}/d")
    fs.remove(f"{tmp_path}/d/file")
    fs.remove_dir(f"{tmp_path}/d")
    assert names(tmp_path) == {}


def test_syncing_what_is_there_and_what_is_not(tmp_path: Path) -> None:
    fs.write(f"{tmp_path}/f", b"x")
    fs.sync(f"{tmp_path}/f")
    fs.sync_dir(str(tmp_path))
    fs.sync_all(str(tmp_path))
    with pytest.raises(FileNotFoundError):
        fs.sync(f"{tmp_path}/g")


def test_no_descriptor_is_leaked(tmp_path: Path) -> None:
    def used() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    fs.write(f"{tmp_path}/f", b"x")
    before = used()
    for _ in range(20):
        fs.read(f"{tmp_path}/f")
        fs.sync(f"{tmp_path}/f")
        with pytest.raises(OSError):
            fs.read(str(tmp_path))
        with pytest.raises(OSError):
            fs.watch(f"{tmp_path}/missing", recursive=True)
        fs.watch(str(tmp_path), recursive=True).close()
    assert used() == before


# ---- watching


class Seen:
    """Collects what a watch tells, until something has been told."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.paths: dict[str, None] = {}
        self.lost = False

    async def until(self, *paths: str | Path, lost: bool = False) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not all(str(path) in self.paths for path in paths) or (lost and not self.lost):
                changes = await self.watch.changes()
                self.paths.update(dict.fromkeys(changes.paths))
                self.lost |= changes.lost


@contextlib.asynccontextmanager
async def watching(root: Path) -> AsyncIterator[Seen]:
    watch = fs.watch(str(root), recursive=True)
    try:
        yield Seen(watch)
    finally:
        watch.close()


async def test_what_happens_before_anybody_asks_is_told(tmp_path: Path) -> None:
    async with watching(tmp_path) as seen:
        (tmp_path / "a").write_text("x")
        (tmp_path / "gone").write_text("x")
        (tmp_path / "gone").unlink()
        (tmp_path / "a").rename(tmp_path / "b")
        await seen.until(tmp_path / "a", tmp_path / "b", tmp_path / "gone")
        assert not seen.lost


@linux_only
async def test_a_burst_is_one_batch_with_each_path_once(tmp_path: Path) -> None:
    async with watching(tmp_path) as seen:
        for at in range(200):
            (tmp_path / f"{at % 10}").write_text(str(at))
        changes = await seen.watch.changes()
        assert list(changes.paths) == [f"{tmp_path}/{at}" for at in range(10)]


@linux_only
async def test_a_directory_is_watched_once_it_was_added(tmp_path: Path) -> None:
    async with watching(tmp_path) as seen:
        (tmp_path / "d").mkdir()
        await seen.until(tmp_path / "d")
        seen.watch.add(f"{tmp_path}/d")
        seen.watch.add(f"{tmp_path}/d")
        (tmp_path / "d" / "file").write_text("x")
        await seen.until(tmp_path / "d" / "file")
        seen.watch.discard(f"{tmp_path}/d")
        seen.watch.discard(f"{tmp_path}/never")
        seen.paths.clear()
        (tmp_path / "d" / "other").write_text("x")
        (tmp_path / "end").write_text("x")
        await seen.until(tmp_path / "end")
        assert str(tmp_path / "d" / "other") not in seen.paths


@linux_only
async def test_a_directory_is_reported_under_all_its_names(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "link").symlink_to("d")
    async with watching(tmp_path) as seen:
        seen.watch.add(f"{tmp_path}/d")
        seen.watch.add(f"{tmp_path}/link")
        (tmp_path / "d" / "file").write_text("x")
        await seen.until(tmp_path / "d" / "file", tmp_path / "link" / "file")


@linux_only
async def test_a_renamed_directory_is_followed_under_its_new_name(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    async with watching(tmp_path) as seen:
        seen.watch.add(f"{tmp_path}/d")
        (tmp_path / "d").rename(tmp_path / "e")
        await seen.until(tmp_path / "d", tmp_path / "e")
        seen.watch.discard(f"{tmp_path}/d")
        seen.watch.add(f"{tmp_path}/e")
        (tmp_path / "d").mkdir()
        seen.watch.add(f"{tmp_path}/d")
        seen.paths.clear()
        (tmp_path / "e" / "file").write_text("x")
        (tmp_path / "d" / "new").write_text("x")
        await seen.until(tmp_path / "e" / "file", tmp_path / "d" / "new")
        assert str(tmp_path / "d" / "file") not in seen.paths


async def test_names_that_are_no_utf8_are_told(tmp_path: Path) -> None:
    strange = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.txt"))
    async with watching(tmp_path) as seen:
        strange.write_text("x")
        await seen.until(*([strange] if LINUX else []), lost=not LINUX)


async def test_a_root_that_goes_is_a_loss(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    async with watching(root) as seen:
        root.rmdir()
        await seen.until(lost=True)


@linux_only
async def test_a_root_that_is_renamed_or_replaced_is_a_loss(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    root = tmp_path / "root"
    root.symlink_to("one")
    async with watching(root) as seen:
        (tmp_path / "stranger").write_text("not below the root, and not its name")
        (root / "file").write_text("x")
        await seen.until(root / "file")
        assert (list(seen.paths), seen.lost) == ([str(root / "file")], False)
        (tmp_path / "new").symlink_to("two")
        (tmp_path / "new").rename(root)
        await seen.until(lost=True)


@linux_only
async def test_cancelling_ends_the_wait_at_once_and_loses_nothing(tmp_path: Path) -> None:
    async with watching(tmp_path) as seen:
        waiting = asyncio.create_task(seen.watch.changes())
        await asyncio.sleep(0)
        began = time.monotonic()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert time.monotonic() - began < 1
        for at in range(50):
            (tmp_path / str(at)).write_text("x")
            waiting = asyncio.create_task(seen.watch.changes())
            for _ in range(at % 4):
                await asyncio.sleep(0)
            waiting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                seen.paths.update(dict.fromkeys((await waiting).paths))
        await seen.until(*(tmp_path / str(at) for at in range(50)))


@linux_only
async def test_closing_ends_the_wait(tmp_path: Path) -> None:
    watch = fs.watch(str(tmp_path), recursive=True)
    waiting = asyncio.create_task(watch.changes())
    await asyncio.sleep(0)
    watch.close()
    watch.close()
    with pytest.raises(OSError):
        await asyncio.wait_for(waiting, DEADLINE_S)
    watch.add(str(tmp_path))
    watch.discard(str(tmp_path))


def test_a_missing_root_cannot_be_watched(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        fs.watch(f"{tmp_path}/missing", recursive=True)


OVERFLOW = textwrap.dedent(
    """
    import asyncio, sys
    from pathlib import Path
    from liveproof.backends import os_watch
    kind, root = sys.argv[1:]
    if kind == "inotify":
        make = os_watch.InotifyWatch
    else:
        make = lambda root: os_watch.WatchfilesWatch(root, recursive=True)

    async def main():
        watch = make(root)
        print("armed", flush=True)
        sys.stdin.readline()
        known, lost = set(), False
        try:
            async with asyncio.timeout(1.5):
                while not lost:
                    changes = await watch.changes()
                    known.update(changes.paths)
                    lost = changes.lost
        except TimeoutError:
            pass
        watch.close()
        print(len(known), lost, flush=True)

    asyncio.run(main())
    """
)


def overflow(kind: str, root: Path) -> tuple[int, bool]:
    """Stop a watching process, make more changes than the kernel keeps, and let it go on: how many of
    them it saw, and whether it knew of the loss."""
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if limit > 20_000:
        pytest.skip(f"the kernel keeps {limit} events")
    with subprocess.Popen(
        [sys.executable, "-c", OVERFLOW, kind, str(root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "armed\n"
        process.send_signal(signal.SIGSTOP)
        for at in range(limit // 3 + 2000):  # three events or more each
            (root / str(at)).write_text("x")
        process.send_signal(signal.SIGCONT)
        process.stdin.write("\n")
        process.stdin.flush()
        known, lost = process.stdout.readline().split()
    return int(known), lost == "True"


@linux_only
def test_an_overflow_of_the_queue_is_a_loss(tmp_path: Path) -> None:
    _, lost = overflow("inotify", tmp_path)
    assert lost


@linux_only
def test_the_watchfiles_package_hides_an_overflow(tmp_path: Path) -> None:
    """Why Linux does not use it. If this fails, the package has learned it."""
    known, lost = overflow("watchfiles", tmp_path)
    assert not lost
    assert known < len(list(tmp_path.iterdir()))


async def test_the_fallback_watch_tells_of_changes_below_and_ends(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    watch = WatchfilesWatch(str(tmp_path), recursive=True)
    seen = Seen(watch)
    (tmp_path / "d" / "file").write_text("x")
    await seen.until(tmp_path / "d" / "file")
    waiting: asyncio.Task[Changes] = asyncio.create_task(watch.changes())
    await asyncio.sleep(0.05)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(waiting, DEADLINE_S)
    watch.close()


@linux_only
def test_linux_uses_inotify(tmp_path: Path) -> None:
    watch = fs.watch(str(tmp_path), recursive=True)
    assert isinstance(watch, InotifyWatch)
    watch.close()
