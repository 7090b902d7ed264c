"""Whatever is wrong with file, device or path: an error of ours that names the file, and no harm done.

Nothing here replaces SQLite or the operating system by a mock. What a test can't bring about itself (a device
that fails to flush, a read-only file system; permission bits don't bind root), strace makes the kernel say.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from liveproof.abc.store import Table
from liveproof.backends import store_schema
from liveproof.backends.sqlite_store import SqliteStore
from liveproof.errors import (
    StoreBusyError,
    StoreCorruptError,
    StoreError,
    StoreFullError,
    StoreUnavailableError,
    StoreVersionError,
)

PAGE = 4096


def _filled(path: Path, rows: int = 2_000) -> None:
    store = SqliteStore(path, durability="process")
    store.write([(Table.STATE, b"%06d" % n, b"%d" % n * 10) for n in range(rows)], durable=True)
    store.close()


def _refused(kind: type[StoreError], path: Path, *words: str) -> StoreError:
    """Opening raises ``kind``, which says where, why and what to do, and lets go of the lock."""
    for _ in range(2):
        with pytest.raises(kind) as caught:
            SqliteStore(path, durability="process")
    assert type(caught.value) is kind
    _says(caught.value, path, *words)
    return caught.value


def _says(error: StoreError, path: Path, *words: str) -> None:
    assert error.path == str(path)
    message = str(error)
    assert message.count(str(path)) >= 1
    for word in words:
        assert word in message
    assert ": " in message  # a cause
    way_out = message.rpartition(";")[2]
    verbs = ("restore", "choose", "use ", "free ", "check ", "close ", "make ")
    assert any(verb in way_out for verb in verbs)
    assert str(pickle.loads(pickle.dumps(error))) == message


# --- version ---


def test_a_newer_format_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "store"
    _filled(path)
    with contextlib.closing(sqlite3.connect(path)) as raw:
        raw.execute("PRAGMA user_version = 7")
    before = _bytes(tmp_path)
    _refused(StoreVersionError, path, "format 7", f"reads {store_schema.FORMAT}", "not changed", "(liveproof ")
    assert _bytes(tmp_path) == before


NEWER_IN_LOG = """
import os, sqlite3, sys
raw = sqlite3.connect(sys.argv[1], isolation_level=None)
raw.execute("PRAGMA user_version = 9")
os._exit(0)
"""


def test_a_newer_format_that_only_the_log_knows_of(tmp_path: Path) -> None:
    path = tmp_path / "store"
    _filled(path)
    subprocess.run([sys.executable, "-c", NEWER_IN_LOG, str(path)], check=True)
    before = _bytes(tmp_path)
    assert before["store-wal"]
    _refused(StoreVersionError, path, "format 9")
    after = _bytes(tmp_path)
    assert after["store"] == before["store"]
    assert after["store-wal"] == before["store-wal"]


def test_a_newer_format_that_does_not_say_who_made_it(tmp_path: Path) -> None:
    path = tmp_path / "store"
    _filled(path)
    with contextlib.closing(sqlite3.connect(path)) as raw:
        raw.executescript("DROP TABLE about; PRAGMA user_version = 7")
    _refused(StoreVersionError, path, "format 7", "use the liveproof that wrote it, or another path")


def test_an_older_format_is_upgraded_in_one_transaction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "store"
    _filled(path, rows=3)
    now = store_schema.FORMAT
    monkeypatch.setattr(store_schema, "FORMAT", now + 2)
    _refused(StoreVersionError, path, f"format {now}", f"reads {now + 2}")

    def fail(connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM entry")
        raise ArithmeticError

    steps: dict[int, Callable[[sqlite3.Connection], object]] = {
        now: lambda connection: connection.execute("UPDATE entry SET v = CAST(v || '!' AS BLOB)"),
        now + 1: fail,
    }
    monkeypatch.setattr(store_schema, "UPGRADES", steps)
    with pytest.raises(ArithmeticError):
        SqliteStore(path, durability="process")
    steps[now + 1] = lambda connection: connection.execute("DELETE FROM entry WHERE k = ?", (b"000002",))
    store = SqliteStore(path, durability="process")
    assert list(store.scan(Table.STATE, b"")) == [(b"000000", b"0000000000!"), (b"000001", b"1111111111!")]
    store.close()
    with contextlib.closing(sqlite3.connect(path)) as raw:
        assert raw.execute("PRAGMA user_version").fetchone() == (now + 2,)


# --- damage ---


def _overwrite(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "a text file": lambda path: path.write_text("This is a text file, and quite a long one. " * 100),
    "a short text": lambda path: path.write_text("x"),
    "noise": lambda path: path.write_bytes(bytes(range(256)) * 64),
    "its header is overwritten": lambda path: _overwrite(path, 0, bytes(100)),
    "cut within its first page": lambda path: os.truncate(path, 1000),
    "cut at a page": lambda path: os.truncate(path, 3 * PAGE),
    "cut by a byte": lambda path: os.truncate(path, path.stat().st_size - 1),
    "its schema is overwritten": lambda path: _overwrite(path, 100, b"\xa5" * (PAGE - 100)),
    "its root is overwritten": lambda path: _overwrite(path, PAGE, b"\xa5" * PAGE),
    "its root is zeros": lambda path: _overwrite(path, PAGE, bytes(PAGE)),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_refused_and_left_alone(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "store"
    _filled(path)
    DAMAGE[damage](path)
    (tmp_path / "store.lock").unlink()
    before = _bytes(tmp_path)
    _refused(StoreCorruptError, path)
    after = _bytes(tmp_path)
    del after["store.lock"]
    assert after == before


def test_a_database_of_somebody_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "theirs.db"
    with contextlib.closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("CREATE TABLE entry (t, k, v)")
    before = path.read_bytes()
    _refused(StoreCorruptError, path, "not a liveproof store", "not changed")
    assert path.read_bytes() == before


def test_a_store_without_its_table_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "store"
    _filled(path)
    with contextlib.closing(sqlite3.connect(path)) as raw:
        raw.execute("DROP TABLE entry")
    _refused(StoreCorruptError, path)


def test_an_empty_file_is_a_new_store(tmp_path: Path) -> None:
    path = tmp_path / "store"
    path.touch()
    _filled(path)
    assert path.stat().st_size > PAGE


def test_a_read_that_meets_damage_later(tmp_path: Path) -> None:
    path = tmp_path / "store"
    _filled(path)
    pages = path.stat().st_size // PAGE
    for page in range(pages // 2, pages):  # the first half will do to open it
        _overwrite(path, page * PAGE, b"\x5a" * PAGE)
    before = path.read_bytes()
    store = SqliteStore(path, durability="process")
    reads: list[Callable[[], object]] = [
        lambda: store.get(Table.STATE, b"001999"),
        lambda: list(store.scan(Table.STATE, b"")),
        lambda: store.write([(Table.STATE, b"001999", b"")], durable=True),
    ]
    for read in reads:
        with pytest.raises(StoreCorruptError) as caught:
            read()
        _says(caught.value, path, "SQLITE_CORRUPT")
    store.close()
    assert path.read_bytes()[PAGE:] == before[PAGE:]  # the header counts the log's turns


def test_a_file_that_loses_its_end_while_open(tmp_path: Path) -> None:
    path = tmp_path / "store"
    _filled(path)
    store = SqliteStore(path, durability="process")
    os.truncate(path, 2 * PAGE)
    with pytest.raises(StoreCorruptError):
        list(store.scan(Table.STATE, b""))
    store.close()


# --- paths ---


def test_a_path_that_is_a_directory(tmp_path: Path) -> None:
    path = tmp_path / "directory"
    path.mkdir()
    _refused(StoreUnavailableError, path, "s a directory")
    assert list(path.iterdir()) == []


@pytest.mark.parametrize("below", ["store", "deep/er/store"])
def test_a_parent_that_is_a_file(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("content")
    _refused(StoreUnavailableError, tmp_path / "file" / below, "directory")
    assert (tmp_path / "file").read_text() == "content"


def test_a_directory_where_nothing_can_be_made() -> None:
    if not Path("/proc/self").exists():
        pytest.skip("needs /proc")
    _refused(StoreUnavailableError, Path("/proc/liveproof/store"))
    _refused(StoreUnavailableError, Path("/proc/liveproof-store"))


def test_a_name_that_is_too_long(tmp_path: Path) -> None:
    _refused(StoreUnavailableError, tmp_path / ("n" * 300))


@pytest.mark.parametrize("name", ["a store", "100%", "a?b", "a#b", "ü", "a&mode=ro", "a'b\"c", "file:x"])
def test_names_that_an_uri_would_misread(tmp_path: Path, name: str) -> None:
    path = tmp_path / name / name
    _filled(path)
    assert sorted(file.name for file in path.parent.iterdir()) == sorted([name, f"{name}.lock"])


def test_another_program_that_writes_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "store"
    store = SqliteStore(path, durability="process")
    store._writer.execute("PRAGMA busy_timeout = 10")
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusyError) as caught:
            store.write([(Table.STATE, b"a", b"1")], durable=True)
        _says(caught.value, path, "another program")
        other.execute("ROLLBACK")
    store.write([(Table.STATE, b"a", b"2")], durable=True)
    assert store.get(Table.STATE, b"a") == b"2"
    store.close()


def test_a_wrong_durability(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='"power" or "process"'):
        SqliteStore(tmp_path / "store", durability="disk")  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


# --- a full device ---


@pytest.fixture
def small_device(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB."""
    where = tmp_path / "device"
    where.mkdir()
    mount = shutil.which("mount")
    command = [mount or "", "-t", "tmpfs", "-o", "size=8m", "none", str(where)]
    if mount is None or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("needs leave to mount a file system")
    yield where
    subprocess.run(["umount", "--lazy", str(where)], check=True)


def test_a_full_device(small_device: Path) -> None:
    path = small_device / "store"
    filler = small_device / "filler"
    store = SqliteStore(path)
    done = 0

    def write(size: int) -> None:
        nonlocal done
        batch = [(Table.STATE, b"%06d/%d" % (done, i), b"x" * size) for i in range(10)]
        store.write(batch, durable=done % 2 == 0)
        done += 1

    for _ in range(3):
        with filler.open("ab") as file, contextlib.suppress(OSError):
            while True:
                os.write(file.fileno(), bytes(PAGE))
        for size in (40_000, 400):
            with pytest.raises(StoreFullError) as caught:  # noqa: PT012 - which batch is the device's
                while True:
                    write(size)
            _says(caught.value, path, "SQLITE_FULL", "free some space")
            assert len(list(store.scan(Table.STATE, b""))) == 10 * done
        store._log_pages = 10_000
        with contextlib.suppress(StoreFullError):
            store.maintain()
        assert len(list(store.scan(Table.STATE, b""))) == 10 * done
        os.truncate(filler, max(0, filler.stat().st_size - (200 << 10)))
        write(400)
        assert len(list(store.scan(Table.STATE, b""))) == 10 * done
    filler.unlink()
    write(400)
    store.close()
    store = SqliteStore(path)
    assert len(list(store.scan(Table.STATE, b""))) == 10 * done
    store.close()


def test_a_device_that_is_full_at_once(small_device: Path) -> None:
    with (small_device / "filler").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(PAGE))
    path = small_device / "store"
    _refused(StoreFullError, path)
    (small_device / "filler").unlink()
    _filled(path, rows=10)


LIMITED = """
import resource, sys
from liveproof.abc.store import Table
from liveproof.backends.sqlite_store import SqliteStore
from liveproof.errors import StoreUnavailableError
store = SqliteStore(sys.argv[1], durability="process")
limits = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (6 << 20, limits[1]))
done = 0
try:
    while True:
        store.write([(Table.STATE, b"%06d/%d" % (done, i), bytes(4_000)) for i in range(20)], durable=True)
        done += 1
except StoreUnavailableError as error:
    print(error)
assert len(list(store.scan(Table.STATE, b""))) == 20 * done
resource.setrlimit(resource.RLIMIT_FSIZE, limits)
store.write([(Table.STATE, b"last", b"")], durable=True)
assert len(list(store.scan(Table.STATE, b""))) == 20 * done + 1
store.close()
print(done)
"""


def test_a_limit_on_file_sizes(tmp_path: Path) -> None:
    path = tmp_path / "store"
    message, done = _run(LIMITED, path)
    assert "quota or limit" in message
    store = SqliteStore(path)
    assert len(list(store.scan(Table.STATE, b""))) == 20 * int(done) + 1
    store.close()


# --- what only the kernel can answer ---

STRACE = shutil.which("strace")
needs_strace = pytest.mark.skipif(
    STRACE is None or subprocess.run([STRACE, "true"], capture_output=True, check=False).returncode != 0,
    reason="injects errors with strace",
)


def _run(script: str, path: Path, *strace: str) -> list[str]:
    command = [sys.executable, "-c", script, str(path)]
    if strace:
        command = [STRACE or "", "-f", "-qq", "-o", "/dev/null", *strace, *command]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(name for name in sys.path if name)}
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


OPEN = """
import sys
from liveproof.backends.sqlite_store import SqliteStore
from liveproof.errors import StoreError
try:
    SqliteStore(sys.argv[1], durability="process")
except StoreError as error:
    print(type(error).__name__)
    print(error)
"""


@needs_strace
@pytest.mark.parametrize("cause", ["EROFS", "EACCES"])
@pytest.mark.parametrize("file", ["store", "store-wal", "store.lock"])
def test_a_file_that_may_not_be_written(tmp_path: Path, file: str, cause: str) -> None:
    path = tmp_path / "store"
    _filled(path)
    before = path.read_bytes()
    inject = ["-P", str(tmp_path / file), "-e", f"inject=openat,pwrite64,ftruncate:error={cause}"]
    name, message = _run(OPEN, path, *inject)
    assert name == "StoreUnavailableError"
    assert str(path) in message
    assert path.read_bytes() == before


@needs_strace
@pytest.mark.parametrize("cause", ["EROFS", "EACCES"])
def test_a_directory_that_may_not_be_made(tmp_path: Path, cause: str) -> None:
    path = tmp_path / "directory" / "store"
    name, message = _run(OPEN, path, "-e", f"inject=mkdir:error={cause}")
    assert name == "StoreUnavailableError"
    assert str(path) in message


FLUSH = """
import os, sys
from liveproof.abc.store import Table
from liveproof.backends.sqlite_store import SqliteStore
from liveproof.errors import StoreUnavailableError
store = SqliteStore(sys.argv[1])
for n in range(10):
    try:
        store.write([(Table.STATE, b"%d" % n, b"")], durable=n % 2 == 0)
    except StoreUnavailableError as error:
        print(n, error)
        break
for again in range(2):
    try:
        store.write([(Table.STATE, b"again", b"")], durable=again == 0)
    except StoreUnavailableError as error:
        print(error)
print(sorted(int(key) for key, _ in store.scan(Table.STATE, b"") if key != b"again"))
print(store.maintain())
store.close()
"""


@needs_strace
def test_a_flush_that_fails_ends_all_writing(tmp_path: Path) -> None:
    """A device that failed to flush may have dropped the data, and call the next flush a success."""
    failing = 0
    for moment in range(3, 12):
        path = tmp_path / str(moment) / "store"
        SqliteStore(path).close()
        log = f"{path}-wal"
        inject = ["-P", log, "-e", f"inject=fdatasync:error=EIO:when={moment}"]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(name for name in sys.path if name)}
        ran = subprocess.run(
            [STRACE or "", "-f", "-qq", "-o", "/dev/null", *inject, sys.executable, "-c", FLUSH, str(path)],
            capture_output=True, text=True, check=False, env=environment,
        )  # fmt: skip
        if ran.returncode != 0:
            assert "StoreUnavailableError: cannot open" in ran.stderr
            continue
        lines = ran.stdout.splitlines()
        if len(lines) == 5:
            failing += 1
            n = int(lines[0].split()[0])
            assert "failed to flush" in lines[0]
            assert "nothing more will be written" in lines[1]
            assert lines[1] == lines[2]
            # What failed to be flushed may be read, but nobody was told that it is safe.
            assert lines[3] in (str(list(range(n))), str(list(range(n + 1))))
            assert lines[4] == "False"
        store = SqliteStore(path, durability="process")
        kept = [int(key) for key, _ in store.scan(Table.STATE, b"") if key != b"again"]
        assert kept == list(range(len(kept)))
        store.close()
    assert failing >= 4


def _bytes(directory: Path) -> dict[str, bytes]:
    """What is in the files that hold something; SQLite's shared memory does not."""
    files = sorted(file for file in directory.iterdir() if not file.name.endswith("-shm"))
    return {file.name: file.read_bytes() for file in files}
