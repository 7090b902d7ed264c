"""A store of an older format is brought to this one when it is opened, whole or not at all; a newer one is refused.

The same body for SQLite and for the simulator's store. The older one is a recording (``recorded/``), made by the last
liveproof that wrote that format. ``LIVEPROOF_EVERY=1`` kills at every call, instead of every fourth.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, Protocol

import pytest

from liveproof.abc.store import Store, Table, Write
from liveproof.backends import store_schema
from liveproof.backends.sqlite_store import SqliteStore
from liveproof.backends.store_schema import FORMAT
from liveproof.errors import StoreError, StoreFullError, StoreVersionError
from liveproof.inspection import open_store
from liveproof_sim.fakes.store import Contents, Disk, SimStore
from liveproof_sim.kernel.power import Outage
from tests.contract.oracle import Tree, check_store, read_store
from tests.contract.world import Machine, World, run
from tests.durability.platters import Device, calls_of
from tests.durability.recorded.record import FIRST, HERE, SECOND, main_of, restored
from tests.tidy.source import ROOT

EVERY = int(os.environ.get("LIVEPROOF_EVERY", "4"))
CALLS_MAX = 120
OLDER = tuple(range(1, FORMAT))
Durability = Literal["power", "process"]
needs_strace = pytest.mark.skipif(
    shutil.which("strace") is None or not sys.platform.startswith("linux"), reason="watches calls with strace"
)


def contents_of(store: Store) -> Contents:
    return {(table, key): value for table in Table for key, value in store.scan(table, b"")}


def recorded_contents(path: Path) -> Contents:
    """What is in a file of any format, read without the runtime's help."""
    with contextlib.closing(sqlite3.connect(path)) as raw:
        return {(Table(t), k): v for t, k, v in raw.execute("SELECT t, k, v FROM entry")}


def format_of(path: Path) -> int:
    with contextlib.closing(sqlite3.connect(path)) as raw:
        (number,) = raw.execute("PRAGMA user_version").fetchone()
        return int(number)


class Backend(Protocol):
    """A store that was left by an older liveproof."""

    contents: Contents

    def open(self, durability: Durability) -> Store: ...

    def format(self) -> int: ...

    def set_format(self, number: int) -> None: ...


class OnDisk:
    """A file."""

    def __init__(self, number: int, folder: Path) -> None:
        self.path = folder / "store"
        restored(number, self.path)
        self.contents = recorded_contents(self.path)

    def open(self, durability: Durability) -> Store:
        return SqliteStore(self.path, durability=durability)

    def format(self) -> int:
        return format_of(self.path)

    def set_format(self, number: int) -> None:
        with contextlib.closing(sqlite3.connect(self.path)) as raw:
            raw.execute(f"PRAGMA user_version = {number}")


class Simulated:
    """A disk of the simulator, with the same in it."""

    def __init__(self, number: int, folder: Path) -> None:
        self.contents = OnDisk(number, folder).contents
        self.disk = Disk(base=dict(self.contents), version=number)

    def open(self, durability: Durability) -> Store:
        return SimStore(self.disk, durability=durability)

    def format(self) -> int:
        return self.disk.version

    def set_format(self, number: int) -> None:
        self.disk.version = number


@pytest.fixture(params=[OnDisk, Simulated])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[int], Backend]:
    kind: Callable[[int, Path], Backend] = request.param
    return lambda number: kind(number, tmp_path)


# ---- the same for both


@pytest.mark.parametrize("number", OLDER)
@pytest.mark.parametrize("durability", ["power", "process"])
def test_it_is_brought_to_this_format_with_all_that_is_in_it(
    make: Callable[[int], Backend], number: int, durability: Durability
) -> None:
    backend = make(number)
    assert len(backend.contents) > 5
    for _ in range(2):
        store = backend.open(durability)
        assert contents_of(store) == backend.contents
        assert backend.format() == FORMAT
        store.close()
    store = backend.open(durability)
    more: Write = (Table.STATE, b"more", b"1")
    store.write([more], durable=True)
    store.close()
    assert contents_of(backend.open(durability)) == {**backend.contents, more[:2]: more[2]}


@pytest.mark.parametrize("number", [FORMAT + 1, 0x7FFFFFFF])
def test_a_newer_format_is_refused_and_left_alone(make: Callable[[int], Backend], number: int) -> None:
    backend = make(1)
    backend.set_format(number)
    for _ in range(2):
        with pytest.raises(StoreVersionError) as caught:
            backend.open("power")
        assert f"has format {number}, this liveproof reads {FORMAT}; it was not changed: use the" in str(caught.value)
    assert backend.format() == number
    backend.set_format(1)
    assert contents_of(backend.open("power")) == backend.contents


# ---- the file


@pytest.mark.parametrize("number", OLDER)
def test_an_app_goes_on_from_there(number: int, tmp_path: Path) -> None:
    """What a recorded run has made is known: only what has changed since is written, and what is gone is removed."""
    path = tmp_path / "store"
    restored(number, path)
    world = World()
    world.target = {key: f"text {text}" for each in SECOND.values() for key, text in each.items()}
    machine = Machine(path, world)
    run(lambda: machine.update(main_of(SECOND)))
    assert world.calls == 0, "nothing has changed"
    run(lambda: machine.update(main_of(FIRST)))
    assert world.target == {"x": "text 1", "y": "text 1", "z": "text 1"}
    assert sorted(world.log) == [("w", None), ("x", "text 1"), ("z", "text 1")]
    machine.close()
    tree: Tree = {
        (): (0, {}),
        **{(name,): (0, {key: f"text {text}" for key, text in each.items()}) for name, each in FIRST.items()},
    }
    check_store(read_store(path), tree)


def test_it_says_who_made_it(tmp_path: Path) -> None:
    for path in (tmp_path / "new", tmp_path / "old"):
        if path.name == "old":
            restored(1, path)
        SqliteStore(path).close()
        with contextlib.closing(sqlite3.connect(path)) as raw:
            assert (store_schema.made_by(raw) or "").startswith("liveproof ")


def test_to_look_at_an_older_one_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "store"
    restored(1, path)
    before = path.read_bytes()
    with pytest.raises(StoreVersionError, match="an update brings it to the format of this one"), open_store(path):
        raise AssertionError("opened")
    assert path.read_bytes() == before


def test_every_older_format_has_its_recording_and_its_step() -> None:
    names = [path.name for path in HERE.glob("store-*.sql")]
    assert [number for number in OLDER if f"store-{number}.sql" not in names] == []
    assert sorted(store_schema.UPGRADES) == list(range(FORMAT))


# ---- cut short

OPENING = """
import sys
from liveproof.backends import store_schema
from liveproof.backends.sqlite_store import SqliteStore

def torn(connection):
    rows = connection.execute("SELECT t, k, v FROM entry").fetchall()
    connection.execute("DELETE FROM entry")
    connection.execute("COMMIT")
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany("INSERT INTO entry VALUES (?, ?, ?)", rows)
    step(connection)

step = store_schema.UPGRADES[1]
if sys.argv[3] == "torn":
    store_schema.UPGRADES[1] = torn
SqliteStore(sys.argv[1], durability=sys.argv[2]).close()
"""


def judge(path: Path, contents: Contents, where: str) -> int:
    """What a cut has left: the format, whole. Then it is opened as if nothing had been."""
    # A copy: to look at a file with a log is to change it.
    copy = path.with_name("copy")
    for suffix in ("", "-wal", "-journal"):
        if Path(f"{path}{suffix}").exists():
            shutil.copyfile(f"{path}{suffix}", f"{copy}{suffix}")
    found = format_of(copy)
    assert recorded_contents(copy) == contents, f"{where}: something is lost, in format {found}"
    assert found in (1, FORMAT), where
    store = SqliteStore(path, durability="process")
    assert contents_of(store) == contents, where
    store.close()
    assert format_of(path) == FORMAT, where
    return found


def killed(folder: Path, durability: Durability, how: str, *, every: int) -> list[int]:
    """Kill the opening of an old store at one call after the other; the formats that were found."""
    found: list[int] = []
    for moment in range(1, CALLS_MAX, every):
        place = folder / str(moment)
        place.mkdir()
        path = place / "store"
        restored(1, path)
        contents = recorded_contents(path)
        inject = f"inject=pwrite64,fdatasync,ftruncate,unlink:signal=KILL:when={moment}"
        command = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", inject]
        command += [sys.executable, "-c", OPENING, str(path), durability, how]
        ran = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
        found.append(judge(path, contents, f"killed at call {moment}"))
        if ran.returncode == 0:
            return found
        assert ran.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL), ran.stderr
    raise AssertionError(f"opening takes {CALLS_MAX} calls, and more")


@needs_strace
@pytest.mark.parametrize("durability", ["power", "process"])
def test_killed_at_a_call_it_is_of_one_format_or_the_other(durability: Durability, tmp_path: Path) -> None:
    found = killed(tmp_path, durability, "whole", every=EVERY)
    assert found == sorted(found)
    assert dict.fromkeys(found) == {1: None, FORMAT: None}


@needs_strace
def test_an_upgrade_in_two_parts_is_noticed(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="something is lost"):
        killed(tmp_path, "process", "torn", every=2)


def left_by_cuts(folder: Path, how: str) -> Iterator[tuple[str, dict[str, bytes]]]:
    """What the device may hold after a power cut at each call of an opening."""
    root = folder / "site"
    root.mkdir()
    path = root / "store"
    restored(1, path)
    device = Device(root)
    device.files[str(path)] = bytearray(path.read_bytes())
    calls = calls_of(["-c", OPENING, str(path), "power", how], folder / "log")
    chance = random.Random(1)
    for number, call in enumerate(calls):
        device.note(call)
        if number % EVERY == 0 or call.kind == "sync":
            for after in (device.all_of_it(), *device.after_cuts(chance, most=2)):
                yield f"after call {number} ({call.kind} {Path(call.path).name})", after


@needs_strace
@pytest.mark.parametrize("how", ["whole", "torn"])
def test_after_a_power_cut_it_is_of_one_format_or_the_other(how: str, tmp_path: Path) -> None:
    original = tmp_path / "original"
    restored(1, original)
    contents = recorded_contents(original)
    found: list[int] = []
    failures: list[AssertionError] = []
    for number, (where, after) in enumerate(left_by_cuts(tmp_path, how)):
        place = tmp_path / str(number)
        place.mkdir()
        for name, data in after.items():
            (place / Path(name).name).write_bytes(data)
        try:
            found.append(judge(place / "store", contents, where))
        except AssertionError as error:
            failures.append(error)
    assert (failures == []) == (how == "whole"), failures
    assert dict.fromkeys(sorted(found)) == {1: None, FORMAT: None}


# ---- the simulator's


class Cut(Exception):  # noqa: N818 - it is none
    """The power fails."""


@pytest.mark.parametrize("durability", ["power", "process"])
@pytest.mark.parametrize("drawn", [0, 1])
def test_cut_at_a_call_the_simulated_one_is_of_one_format_or_the_other(durability: Durability, drawn: int) -> None:
    """At each moment, and with either outcome. Nothing is asked about where only one thing may be."""
    found: list[tuple[str, int]] = []
    for at in ("upgrade", "flush")[: 1 + (durability == "power")]:
        disk = Disk(base={(Table.STATE, b"a"): b"1"}, version=1)
        store = SimStore(disk, durability=durability)
        outage = Outage.POWER if durability == "power" else Outage.PROCESS

        def cut(operation: str, _place: str, at: str = at, store: SimStore = store, outage: Outage = outage) -> None:
            if operation == at:
                legal = store.disk.legal_formats(outage)
                store.crash(lambda _label, options: drawn if options > 1 else 0, outage)
                assert store.disk.version in legal
                raise Cut

        store.before_call = cut
        with contextlib.suppress(Cut):
            store.get(Table.STATE, b"a")
        found.append((at, disk.version))
        after = store.reopened()
        after.before_call = None
        assert after.get(Table.STATE, b"a") == b"1"
        assert disk.version == FORMAT
    lost = durability == "power" and drawn == 1
    assert found == [("upgrade", 1), ("flush", 1 if lost else FORMAT)][: len(found)]


@pytest.mark.parametrize("family", ["store.eio", "store.enospc"])
def test_a_simulated_upgrade_that_fails_changes_nothing(family: str) -> None:
    disk = Disk(base={(Table.STATE, b"a"): b"1"}, version=1)
    store = SimStore(disk)
    store.strike = lambda struck, operation, _phase: (struck, operation) == (family, "upgrade")
    with pytest.raises(StoreFullError if family == "store.enospc" else StoreError, match="cannot open store"):
        store.get(Table.STATE, b"a")
    assert disk.version == 1
    store.strike = None
    assert store.get(Table.STATE, b"a") == b"1"
