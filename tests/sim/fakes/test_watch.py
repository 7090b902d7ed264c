"""The simulated watch: as inotify was recorded, and with every trouble switched on nothing is lost silently."""

from __future__ import annotations

import asyncio
import errno
import json
from pathlib import Path
from typing import Any

import pytest

from liveproof.abc.filesystem import Changes
from liveproof_sim import Status, World, check
from liveproof_sim.fakes.filesystem import Files, SimFileSystem, SimWatch
from tests.sim.fakes.recorded.cases import CASES, Case, perform, shown

RECORDED: dict[str, Any] = json.loads((Path(__file__).parent / "recorded/watch.json").read_text("utf-8"))


def test_every_case_is_recorded() -> None:
    assert list(RECORDED["cases"]) == sorted(case.name for case in CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case.name))
async def test_the_same_is_told_as_recorded(case: Case) -> None:
    files = Files(SimFileSystem())
    root = files.dir("/top/root")
    perform(case.setup, root)
    watch = files.system.watch(str(root), recursive=bool(case.added))
    for name in case.added:
        watch.add(str(root / name))
    perform(case.does, root)
    recorded = RECORDED["cases"][case.name]
    told = await all_changes(watch)
    assert told.lost is recorded["lost"]
    paths = shown(told.paths, "/top")
    if not told.lost:
        assert paths == recorded["inotify"]
        assert set(recorded["watchfiles"]) <= set(paths)


async def all_changes(watch: SimWatch) -> Changes:
    waiting = asyncio.ensure_future(watch.changes())
    for _ in range(5):
        await asyncio.sleep(0)
    if waiting.done():
        return waiting.result()
    waiting.cancel()
    return Changes(())


# ---- the protocol


@pytest.fixture
def files() -> Files:
    return Files(SimFileSystem())


async def test_what_happens_between_two_calls_is_told(files: Files) -> None:
    docs = files.dir("/docs")
    watch = files.system.watch("/docs", recursive=False)
    (docs / "a").write_text("1")
    assert await watch.changes() == Changes(("/docs/a",))
    (docs / "b").write_text("1")
    (docs / "a").write_text("2")
    (docs / "b").write_text("2")
    assert await watch.changes() == Changes(("/docs/b", "/docs/a")), "each once, by their first change"


async def test_a_cancelled_call_loses_nothing(files: Files) -> None:
    docs = files.dir("/docs")
    watch = files.system.watch("/docs", recursive=False)
    waiting = asyncio.ensure_future(watch.changes())
    await asyncio.sleep(0)
    (docs / "a").write_text("1")
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await watch.changes() == Changes(("/docs/a",))


async def test_one_caller_at_a_time(files: Files) -> None:
    files.dir("/docs")
    watch = files.system.watch("/docs", recursive=False)
    waiting = asyncio.ensure_future(watch.changes())
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="one caller"):
        await watch.changes()
    watch.close()
    watch.close()
    with pytest.raises(OSError, match="the watch is closed") as caught:
        await waiting
    assert caught.value.errno == errno.EBADF
    with pytest.raises(OSError, match="the watch is closed"):
        await watch.changes()


async def test_discarded_directories_are_silent(files: Files) -> None:
    docs = files.dir("/docs", {"d/x": "1"})
    watch = files.system.watch("/docs", recursive=True)
    watch.add("/docs/d")
    watch.add("/docs/d")
    (docs / "d/x").write_text("2")
    watch.discard("/docs/d")  # also of what is under way
    watch.discard("/docs/d")
    (docs / "y").write_text("1")
    assert await watch.changes() == Changes(("/docs/y",))
    watch.discard("/docs")  # never the root
    (docs / "z").write_text("1")
    assert await watch.changes() == Changes(("/docs/z",))


async def test_a_directory_under_two_names(files: Files) -> None:
    docs = files.dir("/docs", {"d/x": "1"})
    (docs / "l").symlink_to("d")
    watch = files.system.watch("/docs", recursive=True)
    watch.add("/docs/d")
    watch.add("/docs/l")
    (docs / "d/x").write_text("2")
    assert await watch.changes() == Changes(("/docs/d/x", "/docs/l/x"))


def test_only_directories_are_watched(files: Files) -> None:
    files.dir("/docs", {"a": "1"})
    with pytest.raises(NotADirectoryError):
        files.system.watch("/docs/a", recursive=False)
    with pytest.raises(FileNotFoundError):
        files.system.watch("/nowhere", recursive=False)
    watch = files.system.watch("/docs", recursive=True)
    with pytest.raises(FileNotFoundError):
        watch.add("/docs/d")
    watch.close()
    watch.add("/docs/d")  # no effect


# ---- with trouble


async def mirror(world: World) -> None:
    """Looks at what it is told of, and at everything when told that something was lost."""
    world.faults.enable("watch")
    docs = world.fs.dir("/docs", {"a": "1", "b": "1"})
    mirrored: dict[str, object] = {}
    watch = world.fs.system.watch("/docs", recursive=False)
    mirrored |= docs.tree()

    async def follow() -> None:
        while True:
            paths, lost = await watch.changes()
            for path in [str(each) for each in docs.iterdir()] + list(mirrored) if lost else paths:
                at = world.fs.path("/docs") / path
                mirrored.pop(at.name, None)
                if at.is_file():
                    mirrored[at.name] = at.read_text()

    following = world.spawn(follow())
    await asyncio.sleep(0)
    (docs / "a").write_text("2")
    (docs / "c").write_text("1")
    await asyncio.sleep(0)
    (docs / "b").unlink()
    (docs / "a").write_text("3")
    await world.quiet()
    following.cancel()
    assert mirrored == docs.tree()


def test_nothing_is_lost_in_any_trouble() -> None:
    verdict = check(mirror, executions=400)
    assert verdict.status is Status.SAMPLED, verdict.failure and verdict.failure.report
    assert verdict.behaviours > 100


@pytest.mark.parametrize(
    ("family", "expected"),
    [
        ("watch.late", {"0.000: a b", "0.010: a b", "1.000: a b"}),
        ("watch.overflow", {"0.000: a b", "0.000: lost"}),
        ("watch.repeat", {"0.000: a b", "0.000: a b, 0.000: a"}),
        ("watch.split", {"0.000: a b", "0.000: a, 0.000: b", "0.000: b, 0.000: a"}),
    ],
)
def test_what_each_trouble_does(family: str, expected: set[str]) -> None:
    seen: set[str] = set()

    async def scenario(world: World) -> None:
        world.faults.enable(family, budget=2)
        docs = world.fs.dir("/docs")
        watch = world.fs.system.watch("/docs", recursive=False)
        log: list[str] = []

        async def follow() -> None:
            while True:
                paths, lost = await watch.changes()
                told = "lost" if lost else " ".join(each.rpartition("/")[2] for each in paths)
                log.append(f"{world.clock.now_ns / 1e9:.3f}: {told}")

        (docs / "a").write_text("1")
        (docs / "b").write_text("1")
        following = world.spawn(follow())
        await world.quiet()
        following.cancel()
        seen.add(", ".join(log))

    assert check(scenario, strategy="dfs", executions=1000).status is Status.PROVED
    assert seen == expected
