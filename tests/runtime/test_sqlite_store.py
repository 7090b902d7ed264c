"""The store on disk keeps its protocol, its flush budget and, killed at any moment, its word."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liveproof.abc.store import Store, Table, Write
from liveproof.backends import sqlite_store
from liveproof.backends.sqlite_store import SqliteStore
from liveproof.errors import StoreBusyError
from liveproof.testing.store import MemoryStore, check_store

DURABILITIES: tuple[Literal["power", "process"], ...] = ("power", "process")


@pytest.mark.parametrize("durability", DURABILITIES)
def test_conformance(tmp_path: Path, durability: Literal["power", "process"]) -> None:
    check_store(lambda: SqliteStore(tmp_path / "new" / "directories" / "store", durability=durability))


def test_conformance_of_the_store_in_memory() -> None:
    disk: dict[tuple[Table, bytes], bytes] = {}
    check_store(lambda: MemoryStore(disk))


def test_the_store_in_memory_crashes_to_its_last_durable_write() -> None:
    disk: dict[tuple[Table, bytes], bytes] = {}
    store = MemoryStore(disk)
    store.write([(Table.STATE, b"1", b"")], durable=False)
    store.write([(Table.STATE, b"2", b"")], durable=True)
    store.write([(Table.STATE, b"3", b""), (Table.STATE, b"1", None)], durable=False)
    assert [key for key, _ in store.scan(Table.STATE, b"")] == [b"2", b"3"]
    assert [key for key, _ in MemoryStore(disk).scan(Table.STATE, b"")] == [b"1", b"2"]
    assert store.flushes == 1


# --- the conformance body goes red ---


class HalfBatches(MemoryStore):
    """Writes one by one: a batch that fails leaves its first half."""

    def write(self, batch: Sequence[Write], /, *, durable: bool) -> None:
        for write in batch:
            super().write([write], durable=durable)


class ShortRanges(MemoryStore):
    """The upper end of a prefix's range is guessed."""

    def scan(
        self, table: Table, prefix: bytes, /, *, limit: int | None = None
    ) -> Iterator[tuple[bytes, bytes]]:
        found = (entry for entry in super().scan(table, b"") if prefix <= entry[0] < prefix + b"\xff")
        return itertools.islice(found, limit)


class Forgetful(MemoryStore):
    """``close`` does not flush."""

    def close(self) -> None:
        self._pending.clear()
        super().close()


class LiveScans(MemoryStore):
    """A scan looks values up as it goes."""

    def scan(
        self, table: Table, prefix: bytes, /, *, limit: int | None = None
    ) -> Iterator[tuple[bytes, bytes]]:
        keys = [key for key, _ in super().scan(table, prefix, limit=limit)]
        return ((key, value) for key in keys if (value := self.get(table, key)) is not None)


class Unordered(MemoryStore):
    """Entries come in the order they were put."""

    def scan(
        self, table: Table, prefix: bytes, /, *, limit: int | None = None
    ) -> Iterator[tuple[bytes, bytes]]:
        found = dict(super().scan(table, prefix))
        order = [(key, found[key]) for where, key in self._contents() if where == table and key in found]
        return iter(order[:limit])


class OneTable(MemoryStore):
    """All tables are one."""

    def get(self, table: Table, key: bytes, /) -> bytes | None:
        return super().get(Table.STATE, key)

    def write(self, batch: Sequence[Write], /, *, durable: bool) -> None:
        super().write([(Table.STATE, key, value) for _, key, value in batch], durable=durable)


class Immortal(MemoryStore):
    """Can be read after ``close``."""

    def close(self) -> None:
        self._flush()


@pytest.mark.parametrize(
    "broken", [HalfBatches, ShortRanges, Forgetful, LiveScans, Unordered, OneTable, Immortal]
)
def test_the_conformance_body_goes_red(broken: type[MemoryStore]) -> None:
    disk: dict[tuple[Table, bytes], bytes] = {}
    with pytest.raises(AssertionError):
        check_store(lambda: broken(disk))


# --- against a model ---

keys = st.one_of(
    st.sampled_from([b"", b"\x00", b"a", b"a\xff", b"a\xff\xff", b"b", b"\xff", b"\xff\xff"]),
    st.binary(max_size=4),
)
writes = st.tuples(st.sampled_from(Table), keys, st.none() | st.binary(max_size=8))
steps = st.one_of(
    st.tuples(st.just("write"), st.lists(writes, max_size=6), st.booleans()),
    st.tuples(st.just("get"), st.sampled_from(Table), keys),
    st.tuples(st.just("scan"), st.sampled_from(Table), keys),
    st.tuples(st.sampled_from(["reopen", "maintain", "copy"])),
)


@settings(max_examples=60)
@given(st.sampled_from(DURABILITIES), st.lists(steps, max_size=20))
def test_equals_a_dict(
    tmp_path_factory: pytest.TempPathFactory,
    durability: Literal["power", "process"],
    plan: list[tuple[object, ...]],
) -> None:
    directory = tmp_path_factory.mktemp("model")
    store = SqliteStore(directory / "0", durability=durability)
    model: dict[tuple[Table, bytes], bytes] = {}
    copies = 0
    for step in plan:
        match step:
            case ("write", list(batch), bool(durable)):
                store.write(batch, durable=durable)
                for table, key, value in batch:
                    model.pop((table, key), None)
                    if value is not None:
                        model[table, key] = value
            case ("get", Table() as table, bytes(key)):
                assert store.get(table, key) == model.get((table, key))
            case ("scan", Table() as table, bytes(prefix)):
                assert list(store.scan(table, prefix)) == _entries(model, table, prefix)
            case ("reopen",):
                store.close()
                store = SqliteStore(store.path, durability=durability)
            case ("maintain",):
                store._log_pages += sqlite_store._LOG_PAGES_QUIET
                assert store.maintain()
            case ("copy",):
                # What a process that dies now leaves behind.
                copies += 1
                for suffix in ("", "-wal"):
                    shutil.copyfile(f"{store.path}{suffix}", directory / f"{copies}{suffix}")
                store.close()
                store = SqliteStore(directory / str(copies), durability=durability)
    for table in Table:
        assert list(store.scan(table, b"")) == _entries(model, table, b"")
    store.close()
    shutil.rmtree(directory)


def _entries(
    model: dict[tuple[Table, bytes], bytes], table: Table, prefix: bytes
) -> list[tuple[bytes, bytes]]:
    return sorted((k, v) for (where, k), v in model.items() if where == table and k.startswith(prefix))


# --- flushes ---

STRACE = shutil.which("strace")
needs_strace = pytest.mark.skipif(
    STRACE is None or subprocess.run([STRACE, "true"], capture_output=True, check=False).returncode != 0,
    reason="counts system calls with strace",
)

FLUSHING = """
import os, sys
from liveproof.abc.store import Table
from liveproof.backends.sqlite_store import SqliteStore

def mark(text):
    os.write(2, f"MARK {text} KRAM".encode())

TWO = [(Table.COMPONENT, b"a", b"1"), (Table.OWNER, b"b", b"2")]
store = SqliteStore(sys.argv[1], durability=sys.argv[2])
for lap in range(3):
    mark("durable"); store.write(TWO, durable=True)
    mark("not durable"); store.write(TWO, durable=False)
    mark("not durable"); store.write(TWO, durable=False)
    mark("durable, changes nothing, something waits"); store.write([(Table.MEMO, b"?", None)], durable=True)
    mark("durable, empty, nothing waits"); store.write([], durable=True)
    mark("not durable"); store.write([], durable=False)
mark("not durable")
for n in range(10):
    store.write([(Table.STATE, b"%d" % (2000 * n + i), bytes(60)) for i in range(2000)], durable=False)
mark("maintain"); assert store.maintain()
mark("durable"); store.write(TWO, durable=True)
mark("durable"); store.write(TWO, durable=True)
mark("not durable"); store.write(TWO, durable=False)
mark("nothing to do"); assert not store.maintain()
mark("durable, empty, something waits"); store.write([], durable=True)
mark("reads"); store.get(Table.STATE, b"1"); list(store.scan(Table.STATE, b""))
mark("end"); store.close()
"""


def _flushes(tmp_path: Path, durability: str) -> list[tuple[str, int]]:
    """What was done, and how often anything was flushed meanwhile."""
    command = [STRACE or "", "-f", "-qq", "-e", "trace=fsync,fdatasync,sync_file_range,msync,syncfs,write"]
    command += [sys.executable, "-c", FLUSHING, str(tmp_path / "store"), durability]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, env=child_environment())
    found: list[tuple[str, int]] = [("open", 0)]
    for line in ran.stderr.splitlines():
        if 'write(2, "MARK' in line:
            found.append((line.split("MARK ")[1].split(" KRAM")[0], 0))
        if "sync" in line and "write(" not in line:
            found[-1] = (found[-1][0], found[-1][1] + 1)
    return found


def child_environment() -> dict[str, str]:
    """Lets a child import what the tests import."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


@needs_strace
def test_flushes(tmp_path: Path) -> None:
    allowed = {
        "durable": 1,
        "not durable": 0,
        "durable, changes nothing, something waits": 1,
        "durable, empty, nothing waits": 0,
        "durable, empty, something waits": 1,
        "nothing to do": 0,
        "reads": 0,
    }
    found = _flushes(tmp_path, "power")
    assert len(found) == 28
    assert [(what, count) for what, count in found if what in allowed and count != allowed[what]] == []
    assert dict(found)["maintain"] >= 2  # the log, then the file


@needs_strace
def test_nothing_is_flushed_for_process_durability(tmp_path: Path) -> None:
    assert [entry for entry in _flushes(tmp_path, "process") if entry[1]] == []


# --- the log ---


def test_maintain_keeps_the_log_within_its_room(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "store")
    log = tmp_path / "store-wal"
    room = log.stat().st_size
    assert room == 4 << 20
    maintained = 0
    for n in range(3_000):
        store.write([(Table.STATE, b"%d" % (n % 50), b"%d" % n)], durable=False)
        maintained += store.maintain()
    assert log.stat().st_size == room
    assert 3 <= maintained <= 50
    store.close()
    assert not log.exists()


def test_without_maintain_the_log_stays_below_its_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_store, "_LOG_PAGES_MAX", 2_000)
    store = SqliteStore(tmp_path / "store", durability="process")
    for n in range(5_000):
        store.write([(Table.STATE, b"%d" % (n % 50), b"%d" % n)], durable=False)
    assert (tmp_path / "store-wal").stat().st_size < 2_100 * 4_200
    store.close()


# --- one writer (DUR-4) ---

HOLD = """
import sys, time
from liveproof.backends.sqlite_store import SqliteStore
store = SqliteStore(sys.argv[1], durability="process")
print("open", flush=True)
sys.stdin.read()
"""


def _hold(path: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=child_environment(),
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    return process


def test_a_second_store_in_this_process_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store"
    with_link = tmp_path / "link"
    with_link.symlink_to(path)
    first = SqliteStore(path, durability="process")
    for name in (path, with_link, tmp_path / "." / "store"):
        with pytest.raises(StoreBusyError, match=rf"{path}.*\(?{os.getpid()}\)?") as caught:
            SqliteStore(name, durability="process")
        assert caught.value.path == str(path)
    first.write([(Table.STATE, b"still", b"works")], durable=True)
    first.close()
    second = SqliteStore(with_link, durability="process")
    assert second.get(Table.STATE, b"still") == b"works"
    second.close()


def test_a_second_process_is_refused_at_once_and_a_dead_one_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "store"
    with _hold(path) as holder:
        began = time.monotonic()
        with pytest.raises(StoreBusyError, match=f"process {holder.pid}"):
            SqliteStore(path)
        assert time.monotonic() - began < 1
        holder.kill()
        holder.wait()
    SqliteStore(path).close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_child_neither_keeps_the_lock_nor_drops_it(tmp_path: Path) -> None:
    path = tmp_path / "store"
    store = SqliteStore(path, durability="process")
    store.write([(Table.STATE, b"before", b"fork")], durable=True)
    child = os.fork()
    if child == 0:  # pragma: no cover
        del store
        time.sleep(60)
        os._exit(0)
    try:
        time.sleep(0.05)
        with pytest.raises(StoreBusyError):
            SqliteStore(path)
        store.write([(Table.STATE, b"after", b"fork")], durable=True)
        store.close()
        again = SqliteStore(path, durability="process")
        assert [key for key, _ in again.scan(Table.STATE, b"")] == [b"after", b"before"]
        again.close()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


# --- threads ---


def test_reads_beside_a_writer_see_whole_batches_and_all_that_is_acknowledged(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "store", durability="process")
    acknowledged = 0
    stop = threading.Event()
    wrong: list[str] = []

    def write() -> None:
        nonlocal acknowledged
        for n in range(1, 400):
            store.write([(Table.STATE, b"%d" % i, b"%d" % n) for i in range(20)], durable=n % 2 == 0)
            acknowledged = n
            if n % 100 == 0:
                store._log_pages = sqlite_store._LOG_PAGES_QUIET
                store.maintain()

    def read() -> None:
        while not stop.is_set():
            floor = acknowledged
            values = dict.fromkeys(value for _, value in store.scan(Table.STATE, b""))
            got = int(store.get(Table.STATE, b"7") or 0)
            if len(values) > 1:
                wrong.append(f"half a batch: {list(values)}")
            if got < floor or (values and int(next(iter(values))) < floor):
                wrong.append(f"stale: {got}, {list(values)} after {floor}")

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    write()
    stop.set()
    for reader in readers:
        reader.join()
    assert wrong == []
    store.close()


# --- crashes ---

STREAM = """
import os, random, sys
from liveproof.abc.store import Table
from liveproof.backends.sqlite_store import SqliteStore
store = SqliteStore(sys.argv[1], durability=sys.argv[2])
first = int(store.get(Table.APP, b"last") or 0)
chance = random.Random(first)
for n in range(first + 1, 1_000_000):
    size = chance.choice([1, 1, 2, 2, 50])
    batch = [(Table.STATE, b"%07d/%02d" % (n, i), b"%d" % n * 20) for i in range(size)]
    batch += [(Table.MEMO, b"%07d" % n, b"%d" % size), (Table.APP, b"last", b"%d" % n)]
    store.write(batch, durable=chance.random() < 0.5)
    os.write(1, b"%d\\n" % n)
    if n % 200 == 0:
        store._log_pages = 10_000
        store.maintain()
"""


def _check_prefix(store: Store, acknowledged: int) -> int:
    last = int(store.get(Table.APP, b"last") or 0)
    assert last >= acknowledged
    sizes = [(int(key), int(value)) for key, value in store.scan(Table.MEMO, b"")]
    assert [n for n, _ in sizes] == list(range(1, last + 1))
    want = [(b"%07d/%02d" % (n, i), b"%d" % n * 20) for n, size in sizes for i in range(size)]
    assert list(store.scan(Table.STATE, b"")) == want
    return last


@pytest.mark.parametrize("durability", DURABILITIES)
def test_killed_at_any_moment_it_holds_a_prefix_with_all_that_was_acknowledged(
    tmp_path: Path, durability: Literal["power", "process"]
) -> None:
    path = tmp_path / "store"
    last = 0
    for kill in range(10):
        with subprocess.Popen(
            [sys.executable, "-c", STREAM, str(path), durability],
            stdout=subprocess.PIPE,
            env=child_environment(),
        ) as child:
            assert child.stdout is not None
            acknowledged = int(child.stdout.readline())
            time.sleep(0.004 * kill)  # different moments, each of them arbitrary
            child.kill()
            for line in child.stdout.read().split(b"\n")[:-1]:
                acknowledged = int(line)
        store = SqliteStore(path, durability=durability)
        assert acknowledged > last  # it did go on
        last = _check_prefix(store, acknowledged)
        store.close()
    assert last > 50


@needs_strace
def test_killed_while_it_is_created(tmp_path: Path) -> None:
    """Killed at each of every second of its writes and flushes in turn, a new store opens and is empty."""
    create = "import sys; from liveproof.backends.sqlite_store import *; SqliteStore(sys.argv[1]).close()"
    killed = 0
    for moment in range(1, 60, 2):
        path = tmp_path / str(moment) / "store"
        inject = f"inject=pwrite64,ftruncate,fdatasync,unlink:signal=KILL:when={moment}"
        command = [STRACE or "", "-f", "-qq", "-o", "/dev/null", "-e", inject]
        ran = subprocess.run(
            [*command, sys.executable, "-c", create, str(path)],
            capture_output=True,
            check=False,
            env=child_environment(),
        )
        killed += ran.returncode != 0
        store = SqliteStore(path, durability="process")
        assert list(store.scan(Table.STATE, b"")) == []
        store.write([(Table.STATE, b"a", b"b")], durable=True)
        store.close()
        if ran.returncode == 0:
            break
    else:
        pytest.fail("creating a store takes 60 calls or more")
    assert killed > 5


def test_close_may_be_raced(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "store", durability="process")
    closers = [threading.Thread(target=store.close) for _ in range(4)]
    for closer in closers:
        closer.start()
    for closer in closers:
        closer.join()
    uses: list[Callable[[], object]] = [
        lambda: store.get(Table.STATE, b""),
        lambda: store.scan(Table.STATE, b""),
        lambda: store.write([(Table.STATE, b"", b"")], durable=True),
        lambda: store.write([], durable=False),
    ]
    for use in uses:
        with pytest.raises(RuntimeError, match=r"store.*is closed: open it again"):
            use()
    assert not store.maintain()
    assert store.path == str(tmp_path / "store")
