"""Faults: off until enabled, one choice each, limited, counted; and what each of the disk's does."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

import pytest

from liveproof_sim import OptionError, Status, World, check
from liveproof_sim.fakes.faults import FAMILIES, Faults
from liveproof_sim.fakes.filesystem import Files, SimFileSystem, Trouble
from liveproof_sim.kernel.choices import Choices, Fifo, Kind


class Scripted(Fifo):
    """Takes what it is told to, by label; 0 for all else."""

    def __init__(self, **chosen: int) -> None:
        self.chosen = {label.replace("_", " "): value for label, value in chosen.items()}
        self.labels: list[str] = []

    def draw(self, kind: Kind, label: str, options: int, /) -> int:
        assert kind is Kind.FAULT
        self.labels.append(label)
        return next((value for start, value in self.chosen.items() if label.startswith(start)), 0)


def files_with(strategy: Scripted, *families: str) -> tuple[Files, Faults, list[int]]:
    faults = Faults(Choices(strategy))
    slept: list[int] = []
    files = Files(SimFileSystem(trouble=Trouble(faults, slept.append), block=4))
    files.dir("/d", {"f": "12345678"})
    faults.enable(*families)
    return files, faults, slept


CALLS: dict[str, Callable[[SimFileSystem], Any]] = {
    "scan": lambda fs: fs.scan("/d"),
    "stat": lambda fs: fs.stat("/d/f"),
    "read": lambda fs: fs.read("/d/f"),
    "write": lambda fs: fs.write("/d/f", b"abcdefghij"),
    "replace": lambda fs: fs.replace("/d/f", "/d/g"),
    "remove": lambda fs: fs.remove("/d/f"),
    "make_dir": lambda fs: fs.make_dir("/d/e"),
    "remove_dir": lambda fs: fs.remove_dir("/e"),
    "sync": lambda fs: fs.sync("/d/f"),
    "sync_dir": lambda fs: fs.sync_dir("/d"),
    "sync_all": lambda fs: fs.sync_all("/d"),
    "watch": lambda fs: fs.watch("/d", recursive=False),
}


@pytest.mark.parametrize("operation", CALLS)
def test_what_is_off_is_never_asked_for(operation: str) -> None:
    strategy = Scripted()
    files, faults, _ = files_with(strategy)
    files.dir("/e")
    CALLS[operation](files.system)
    assert strategy.labels == []
    assert faults.counts == {}


@pytest.mark.parametrize("operation", CALLS)
def test_every_call_can_fail_and_then_has_done_nothing(operation: str) -> None:
    files, faults, _ = files_with(Scripted(disk=1), "disk.emfile", "disk.eacces", "disk.eio", "disk.sync")
    files.dir("/e")
    before = files.system.image()
    with pytest.raises(OSError) as caught:
        CALLS[operation](files.system)
    assert caught.value.errno in (errno.EMFILE, errno.EACCES, errno.EIO)
    assert str(caught.value.filename).startswith(("/d", "/e"))
    assert files.system.image() == before
    assert sum(count.struck for count in faults.counts.values()) == 1


def test_the_world_itself_is_never_struck() -> None:
    strategy = Scripted(disk=1)
    files, _, _ = files_with(strategy, "disk", "watch")
    files.path("/d/f").write_text("x")
    assert files.path("/d").tree() == {"f": "x"}
    assert strategy.labels == []


@pytest.mark.parametrize(("family", "code"), [("disk.enospc", errno.ENOSPC), ("disk.eio", errno.EIO)])
def test_a_write_stops_half_way(family: str, code: int) -> None:
    files, _, _ = files_with(Scripted(**{f"{family} write half-way": 1}), family)
    with pytest.raises(OSError) as caught:
        files.system.write("/d/f", b"abcdefghij")
    assert (caught.value.errno, caught.value.filename) == (code, "/d/f")
    assert files.path("/d/f").read_bytes() == b"abcd", "whole blocks of half of it"


def test_a_full_disk() -> None:
    files = Files(SimFileSystem(capacity=10, block=4))
    files.dir("/d", {"f": "123"})
    with pytest.raises(OSError) as caught:
        files.system.write("/d/g", b"12345678")
    assert caught.value.errno == errno.ENOSPC
    assert files.path("/d").tree() == {"f": "123", "g": "1234"}
    files.system.remove("/d/f")
    files.system.write("/d/g", b"1234567890")
    assert files.system.used() == 10


def test_a_failed_sync_drops_the_pages() -> None:
    files, faults, _ = files_with(Scripted(**{"disk.sync": 1}), "disk.sync")
    files.system.write("/d/f", b"new!")
    with pytest.raises(OSError) as caught:
        files.system.sync("/d/f")
    assert caught.value.errno == errno.EIO
    faults.disable()
    files.system.sync("/d/f")  # succeeds, and it is too late
    assert files.system.read("/d/f") == b"new!", "they look clean"
    assert [dict(state)["/d/f"] for state in files.system.legal_states()] == [b"\0\0\0\0"]
    files.system.write("/d/f", b"more")
    files.system.sync("/d/f")
    assert [dict(state)["/d/f"] for state in files.system.legal_states()] == [b"more"]


def test_a_latent_error_lasts_until_the_file_is_written() -> None:
    files, faults, _ = files_with(Scripted(**{"disk.latent": 1}), "disk.latent")
    for _ in range(2):
        with pytest.raises(OSError) as caught:
            files.system.read("/d/f")
        assert caught.value.errno == errno.EIO
        faults.disable()
    files.system.crash(lambda _label, _options: 0)
    with pytest.raises(OSError):
        files.system.read("/d/f")
    files.system.write("/d/f", b"new")
    assert files.system.read("/d/f") == b"new"


def test_a_slow_disk_takes_a_second() -> None:
    files, _, slept = files_with(Scripted(**{"disk.slow": 1}), "disk.slow")
    files.system.read("/d/f")
    assert slept == [1_000_000_000]


async def slow(world: World) -> None:
    world.faults.enable("disk.slow", budget=1)
    world.fs.dir("/d", {"f": "1"})
    loop = world._loop
    await loop.run_in_executor(None, world.fs.system.read, "/d/f")
    took = world.clock.now_ns
    assert took in (0, 1_000_000_000)
    assert took == 1_000_000_000 * sum(count.struck for count in world.faults.counts.values())
    world.sometimes("slow", took > 0)


def test_slowness_is_virtual_time() -> None:
    assert check(slow, strategy="dfs").status is Status.PROVED


def test_budget_and_counts() -> None:
    strategy = Scripted(disk=1)
    files, faults, _ = files_with(strategy)
    faults.enable("disk.eio", budget=2)
    for _ in range(2):
        with pytest.raises(OSError):
            files.system.read("/d/f")
    assert files.system.read("/d/f") == b"12345678"
    assert strategy.labels == ["disk.eio read before /d/f"] * 2
    assert not faults.enabled("disk.eio")
    (counted,) = faults.counts.items()
    assert counted[0] == ("disk.eio", "read", "before")
    assert (counted[1].asked, counted[1].struck) == (2, 2)


def test_families() -> None:
    faults = Faults(Choices())
    faults.enable("disk")
    assert list(faults.on) == [family for family in FAMILIES if family.startswith("disk.")]
    faults.disable("disk.eio")
    assert not faults.enabled("disk.eio")
    faults.disable()
    assert not faults.on
    with pytest.raises(OptionError, match=r"no fault is called 'disk.fire': use one of disk.eacces, "):
        faults.enable("disk.fire")


# ---- hooks


def test_a_crash_point_before_everything_that_changes_something() -> None:
    system = SimFileSystem()
    Files(system).dir("/d", {"f": "12345678"})
    Files(system).dir("/e")
    seen: list[tuple[str, str]] = []
    system.before_call = lambda operation, path: seen.append((operation, path))
    for call in CALLS.values():
        Files(system).dir("/d", {"f": "12345678"})
        call(system)
    changing = {"write", "replace", "remove", "make_dir", "remove_dir", "sync", "sync_dir", "sync_all"}
    assert [operation for operation, _ in seen] == [each for each in CALLS if each in changing]

    def fails(operation: str, path: str) -> None:
        raise KeyboardInterrupt(operation)

    before = system.image()
    system.before_call = fails
    for operation in changing:
        with pytest.raises(KeyboardInterrupt):
            CALLS[operation](system)
    assert system.image() == before


def test_what_a_call_touches() -> None:
    system = SimFileSystem()
    Files(system).dir("/d", {"f": "1"})
    Files(system).path("/l").symlink_to("d")
    touched: list[tuple[Any, bool]] = []
    system.touch = lambda resource, write: touched.append((resource, write))

    def touches(call: Callable[[], Any]) -> set[tuple[Any, bool]]:
        touched.clear()
        call()
        return set(touched)

    assert touches(lambda: system.read("/l/f")) == {
        (("fs", "/l"), False),
        (("fs", "/d"), False),
        (("fs", "/d/f"), False),
    }
    assert (("fs", "/d/f"), True) in touches(lambda: system.write("/l/f", b"2"))
    listing = (("fs-dir", "/d"), True)
    assert listing not in touches(lambda: system.write("/d/f", b"3"))
    assert listing in touches(lambda: system.write("/d/g", b""))
    assert listing in touches(lambda: system.replace("/d/g", "/d/h"))
    assert listing in touches(lambda: system.remove("/d/h"))
    assert {(("fs-dir", "/d"), False), (("fs", "/d/f"), False)} <= touches(lambda: system.scan("/d"))
    watch = system.watch("/d", recursive=False)
    assert (("fs-watch", watch.number), True) in touches(lambda: system.write("/d/f", b"4"))
    assert listing in touches(lambda: system.make_dir("/d/e"))
    assert (("fs-dir", "/d"), False) in touches(lambda: system.sync_dir("/l")), (
        "names that are made meanwhile"
    )
    assert (("fs-all",), False) in touches(lambda: system.write("/d/f", b"5"))
    assert (("fs-all",), True) in touches(lambda: system.sync_all("/"))
    system.touch = None
    assert touches(lambda: system.read("/d/f")) == set()
