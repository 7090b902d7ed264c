"""Rules of watches. A watch may tell of more than it has to, and late; so a rule waits for what is due."""

from __future__ import annotations

import errno
import itertools

import anyio
import anyio.lowlevel

from liveproof.abc.filesystem import FileSystem, Watch
from liveproof.testing.filesystem_rules.refusals import refused

__all__ = [
    "a_cancelled_wait_loses_nothing",
    "a_closed_watch_ends_its_wait",
    "a_discarded_directory_is_silent",
    "a_watch_needs_a_directory",
    "added_directories_are_watched",
    "changes_are_told",
    "nothing_before_the_watch_is_told",
    "the_end_of_the_root_is_a_loss",
]

LIMIT_S = 10.0


async def told(watch: Watch, path: str) -> list[str]:
    """Everything that is told up to, and with, this path, or that something was lost."""
    seen: dict[str, None] = {}
    with anyio.move_on_after(LIMIT_S):
        while path not in seen:
            paths, lost = await watch.changes()
            assert len(dict.fromkeys(paths)) == len(paths), f"a batch tells a path twice: {paths}"
            seen |= dict.fromkeys(paths)
            assert not lost, "a loss is told although nothing was lost"
        return list(seen)
    raise AssertionError(f"the change of {path!r} was never told; told were {list(seen)}")


def a_watch_needs_a_directory(fs: FileSystem, base: str) -> None:
    """watch() and add() of what is no directory fail, and name it."""
    fs.write(f"{base}/file", b"")
    for path, code in ((f"{base}/file", errno.ENOTDIR), (f"{base}/missing", errno.ENOENT)):
        refused(lambda path=path: fs.watch(path, recursive=False), path, code)  # type: ignore[misc]


async def changes_are_told(fs: FileSystem, base: str) -> None:
    """Everything that happens to a name in a watched directory after watch() has returned is told, also
    what happens before anybody waits."""
    fs.write(f"{base}/old", b"1")
    fs.write(f"{base}/gone", b"1")
    watch = fs.watch(base, recursive=False)
    fs.write(f"{base}/old", b"2")
    fs.write(f"{base}/new", b"1")
    fs.remove(f"{base}/gone")
    fs.replace(f"{base}/new", f"{base}/moved")
    fs.make_dir(f"{base}/d")
    fs.write(f"{base}/last", b"")
    seen = await told(watch, f"{base}/last")
    for name in ("old", "new", "gone", "moved", "d"):
        assert f"{base}/{name}" in seen, f"what happened to {name!r} was not told; told were {seen}"
    fs.remove_dir(f"{base}/d")
    await told(watch, f"{base}/d")
    watch.close()


async def nothing_before_the_watch_is_told(fs: FileSystem, base: str) -> None:
    """What is told is in the directory that is watched, and happened after it was."""
    fs.write(f"{base}/before", b"1")
    fs.make_dir(f"{base}/d")
    watch = fs.watch(base, recursive=False)
    fs.write(f"{base}/d/below", b"")
    fs.write(f"{base}/last", b"")
    seen = await told(watch, f"{base}/last")
    assert f"{base}/d/below" not in seen, "a directory below was never added, and is watched"
    watch.close()


async def added_directories_are_watched(fs: FileSystem, base: str) -> None:
    """add() watches one directory more, from its return on; to add it twice is as good as once."""
    fs.make_dir(f"{base}/d")
    watch = fs.watch(base, recursive=True)
    watch.add(f"{base}/d")
    watch.add(f"{base}/d")
    fs.write(f"{base}/d/f", b"")
    await told(watch, f"{base}/d/f")
    watch.close()


async def a_discarded_directory_is_silent(fs: FileSystem, base: str) -> None:
    """discard() ends the watch of one directory, of no other; of one that is not watched it does nothing."""
    for name in ("d", "e"):
        fs.make_dir(f"{base}/{name}")
    watch = fs.watch(base, recursive=True)
    for name in ("d", "e"):
        watch.add(f"{base}/{name}")
    watch.discard(f"{base}/d")
    watch.discard(f"{base}/d")
    watch.discard(f"{base}/missing")
    fs.write(f"{base}/d/f", b"")
    fs.write(f"{base}/e/f", b"")
    seen = await told(watch, f"{base}/e/f")
    assert f"{base}/d/f" not in seen, "a discarded directory is still watched"
    watch.close()


async def a_cancelled_wait_loses_nothing(fs: FileSystem, base: str) -> None:
    """changes() may be cancelled at any time; the next call tells what that one would have."""
    watch = fs.watch(base, recursive=False)
    before: list[str] = []  # told by calls that came to an end

    async def wait() -> None:
        before.extend((await watch.changes()).paths)

    for number, (early, late) in enumerate(itertools.product(range(3), range(4))):
        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            for _ in range(early):
                await anyio.lowlevel.checkpoint()
            fs.write(f"{base}/{number}", b"")
            for _ in range(late):
                await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()
        fs.write(f"{base}/last{number}", b"")
        seen = [*before, *await told(watch, f"{base}/last{number}")]
        assert f"{base}/{number}" in seen, "a change was lost with the call that was cancelled"
    watch.close()


async def the_end_of_the_root_is_a_loss(fs: FileSystem, base: str) -> None:
    """A root that is removed, moved away or replaced is told as a loss."""
    for number, end in enumerate(("remove", "move", "replace")):
        root = f"{base}/root{number}"
        fs.make_dir(root)
        watch = fs.watch(root, recursive=False)
        if end == "remove":
            fs.remove_dir(root)
        elif end == "move":
            fs.replace(root, f"{base}/elsewhere")
        else:
            fs.make_dir(f"{base}/other")
            fs.replace(f"{base}/other", root)
        lost = False
        with anyio.move_on_after(LIMIT_S):
            while not lost:
                lost = (await watch.changes()).lost
        assert lost, f"after {end!r} of the root, no loss was told"
        watch.close()


async def a_closed_watch_ends_its_wait(fs: FileSystem, base: str) -> None:
    """close() ends a waiting changes() with ``OSError``; then add() has no effect, and to close again is
    fine."""
    watch = fs.watch(base, recursive=False)
    ends: list[object] = []

    async def wait() -> None:
        try:
            ends.append(await watch.changes())
        except OSError as exc:
            ends.append(exc)

    with anyio.move_on_after(LIMIT_S):
        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            await anyio.sleep(0.01)
            watch.close()
    assert len(ends) == 1, "changes() still waits after close()"
    assert isinstance(ends[0], OSError), f"changes() returned {ends[0]!r} after close()"
    watch.close()
    watch.add(base)
