"""The store on disk: one SQLite file in WAL mode, one writer, readers that never wait for it.

Decisions, each measured (2 cores, ext4 on a virtual disk, SQLite 3.40; ``tests/runtime/test_sqlite_store.py``
holds what must stay true):

* **One table, keyed (table, key), WITHOUT ROWID.** Five tables cost the same for writes and more for reads.
* **Pages of 4 096 bytes.** 1 024 and 8 192 were within the noise for batches of two rows.
* **The log is preallocated.** A flush of a file that does not grow need not write its size: a durable batch of
  two rows took 210 to 230 us in a log of 4 MiB of zeros, 280 to 360 us in one that grew.
* **Exactly one flush a durable batch**, none for the others. ``PRAGMA synchronous`` is FULL for the one and NORMAL
  for the other. Two more flushes hide in SQLite, of the log's directory entry and of its header when it begins
  anew; :meth:`SqliteStore._prime` pays for both beforehand.
* **Checkpoints are not on the path.** :meth:`SqliteStore.maintain` does them when told to; SQLite does one by itself
  only when the log has passed ``_LOG_PAGES_MAX``.
* **A scan reads everything at once.** A cursor left half-way would hold its snapshot: later reads through the same
  connection would be stale, and the log could not begin anew.

Roads not taken: the VFS ``unix-excl`` (reads take 2 us less, but its locks live in the process's memory, so a forked
child that closes its copy of the connection would delete the log under its parent); ``fdatasync`` on a descriptor
of our own (a batch would be visible before it is durable even when the flush then fails).
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

from liveproof.abc.store import Table, Write
from liveproof.backends.store_lock import StoreLock, unavailable
from liveproof.errors import (
    StoreBusyError,
    StoreCorruptError,
    StoreError,
    StoreFullError,
    StoreUnavailableError,
    StoreVersionError,
)

__all__ = ["SqliteStore"]

_APPLICATION_ID = 0x4C505246  # "LPRF"
_SCHEMA_VERSION = 1
_UPGRADES: dict[int, Callable[[sqlite3.Connection], object]] = {}
"""Version → the step to the next one. All steps and the new number are one transaction."""

_PAGE_BYTES = 4096
_LOG_PREALLOCATED_BYTES = 4 << 20
_LOG_PAGES_QUIET = 768
"""``maintain`` checkpoints from here on: three quarters of what was preallocated."""
_LOG_PAGES_MAX = 16_384
"""64 MiB: past it SQLite checkpoints within a write, should ``maintain`` never be called."""

_CREATE = "CREATE TABLE entry (t INTEGER, k BLOB, v BLOB NOT NULL, PRIMARY KEY (t, k)) WITHOUT ROWID"
_GET = "SELECT v FROM entry WHERE t = ? AND k = ?"
_PUT = "INSERT OR REPLACE INTO entry VALUES (?, ?, ?)"
_REMOVE = "DELETE FROM entry WHERE t = ? AND k = ?"
_SCAN = "SELECT k, v FROM entry WHERE t = ? AND k >= ? AND k < ? ORDER BY k"
_SCAN_TO_END = "SELECT k, v FROM entry WHERE t = ? AND k >= ? ORDER BY k"


class SqliteStore:
    """A :class:`liveproof.abc.store.Store` in the file ``path``, which is created if need be, with its directory.

    ``durability`` is what a durable write survives: ``"power"`` (a power cut: it waits for the device) or
    ``"process"`` (the death of the process, ``kill -9`` included: nothing is ever flushed).
    """

    def __init__(self, path: str | os.PathLike[str], *, durability: Literal["power", "process"] = "power") -> None:
        if durability not in ("power", "process"):
            raise ValueError(f'durability must be "power" or "process", not {durability!r}')
        # Links are followed first, so that two names of one file meet at one lock.
        self._path = os.path.realpath(path)
        self._power = durability == "power"
        self._closed = False
        self._broken: str | None = None
        self._flushing: bool | None = None  # what PRAGMA synchronous was last set to; None: not yet
        self._unflushed = False  # Invariant: False only if every committed batch is on the device.
        self._log_pages = 0  # an upper estimate of what is in the log
        self._write_lock = threading.Lock()
        self._get_lock = threading.Lock()
        self._scan_lock = threading.Lock()
        self._connections: list[sqlite3.Connection] = []
        try:
            _make_directories(os.path.dirname(self._path), flush=self._power)
            if os.path.isdir(self._path):
                raise IsADirectoryError(21, "is a directory", self._path)
        except OSError as error:
            raise unavailable(self._path, error) from error
        self._lock = StoreLock(self._path)
        try:
            version = self._inspect()
            self._writer = self._connect()
            self._prepare(version)
            self._getter = self._connect(read_only=True)
            self._scanner = self._connect(read_only=True)
        except BaseException as error:
            self._release()
            if isinstance(error, sqlite3.Error):
                raise self._translated(error, "open") from error
            raise

    @property
    def path(self) -> str:
        """The file, absolute, links followed."""
        return self._path

    @property
    def blocking(self) -> bool:
        """Whether a durable write waits for the device."""
        return self._power

    # --- reading ---

    def get(self, table: Table, key: bytes, /) -> bytes | None:
        """The value, or ``None``."""
        try:
            with self._get_lock:
                row = self._getter.execute(_GET, (int(table), key)).fetchone()
        except sqlite3.Error as error:
            raise self._translated(error, "read") from error
        if row is None:
            return None
        value: bytes = row[0]
        return value

    def scan(self, table: Table, prefix: bytes, /) -> Iterator[tuple[bytes, bytes]]:
        """All entries whose key begins with ``prefix``, in key order, as of the call."""
        end = _successor(prefix)
        try:
            with self._scan_lock:
                if end is None:
                    cursor = self._scanner.execute(_SCAN_TO_END, (int(table), prefix))
                else:
                    cursor = self._scanner.execute(_SCAN, (int(table), prefix, end))
                rows: list[tuple[bytes, bytes]] = cursor.fetchall()
        except sqlite3.Error as error:
            raise self._translated(error, "read") from error
        return iter(rows)

    # --- writing ---

    def write(self, batch: Sequence[Write], /, *, durable: bool) -> None:
        """Apply the batch atomically; if ``durable``, flush it and all before it, in one flush."""
        # The last write of a key is the one that counts, so order within a batch need not be kept beyond that.
        latest = {(int(table), key): value for table, key, value in batch}
        puts = [(table, key, value) for (table, key), value in latest.items() if value is not None]
        removals = [place for place, value in latest.items() if value is None] if len(puts) < len(latest) else []
        with self._write_lock:
            if self._broken is not None:
                raise StoreUnavailableError(self._broken, self._path)
            writer = self._writer
            try:
                self._flush_commits(durable)
                changes = writer.total_changes
                if latest:
                    writer.execute("BEGIN IMMEDIATE")
                    if puts:
                        writer.executemany(_PUT, puts)
                    if removals:
                        writer.executemany(_REMOVE, removals)
                    writer.execute("COMMIT")
                if writer.total_changes != changes:
                    self._log_pages += 1 + len(latest)
                    if len(puts) > 8 or (puts and len(puts[0][2]) > _PAGE_BYTES):
                        self._log_pages += sum(len(value) for _, _, value in puts) // _PAGE_BYTES
                    self._unflushed = not durable
                elif durable and self._unflushed:
                    self._prime()  # nothing changed, so that COMMIT flushed nothing: earlier batches still wait
            except BaseException as error:
                if writer.in_transaction:
                    with contextlib.suppress(sqlite3.Error):
                        writer.execute("ROLLBACK")
                if isinstance(error, sqlite3.Error):
                    raise self._translated(error, "write") from error
                raise

    def maintain(self) -> bool:
        """Carry the log over into the file if it has grown; true if that was done. Call it off the critical path,
        whenever nothing is going on: it writes much and flushes several times, and writes wait for it (reads
        do not)."""
        with self._write_lock:
            if self._log_pages < _LOG_PAGES_QUIET or self._broken is not None:
                return False
            try:
                self._checkpoint("PASSIVE")
            except sqlite3.Error as error:
                raise self._translated(error, "write") from error
            return True

    def close(self) -> None:
        """Flush, fold the log into the file, release the lock. Safe to call twice."""
        with self._write_lock, self._get_lock, self._scan_lock:
            if self._closed:
                return
            self._closed = True
            try:
                with contextlib.suppress(sqlite3.Error):
                    self._checkpoint("TRUNCATE")
                if self._unflushed and self._power:
                    self._prime()
            except sqlite3.Error as error:
                raise self._translated(error, "flush") from error
            finally:
                self._release()

    # --- opening ---

    def _inspect(self) -> int:
        """The schema version of the file, 0 if it is to be made; raises, and changes no byte, if it is not ours.

        A log left by a crash is part of the file. Without one, the file is opened as immutable: not even
        an empty log is created.
        """
        try:
            if os.stat(self._path).st_size == 0 and _size(self._path + "-wal") == 0:
                return 0
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise unavailable(self._path, error) from error
        mode = "mode=ro" if _size(self._path + "-wal") else "mode=ro&immutable=1"
        connection = sqlite3.connect(f"{Path(self._path).as_uri()}?{mode}", uri=True, isolation_level=None)
        try:
            (application,) = connection.execute("PRAGMA application_id").fetchone()
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if application == 0 and version == 0 and tables == 0:
                return 0  # creation was cut short before its one transaction
            if application != _APPLICATION_ID:
                raise StoreCorruptError(
                    f"{self._path} is an SQLite database, but not a liveproof store (application id "
                    f"{application:#x}); it was not changed: choose another path",
                    self._path,
                )
            if version > _SCHEMA_VERSION or not all(v in _UPGRADES for v in range(version, _SCHEMA_VERSION)):
                raise StoreVersionError(
                    f"store {self._path} has format {version}; this liveproof reads up to {_SCHEMA_VERSION}; it was "
                    "not changed: use the liveproof that wrote it, or another path to build the state anew",
                    self._path,
                )
            if version == _SCHEMA_VERSION:
                connection.execute("SELECT t, k, v FROM entry LIMIT 1").fetchone()
            return int(version)
        finally:
            connection.close()

    def _connect(self, *, read_only: bool = False) -> sqlite3.Connection:
        mode = "rw" if read_only else "rwc"
        connection = sqlite3.connect(
            f"{Path(self._path).as_uri()}?mode={mode}", uri=True, isolation_level=None, check_same_thread=False
        )
        self._connections.append(connection)
        connection.execute("PRAGMA cache_size = -8192")  # KiB
        if read_only:
            connection.execute("PRAGMA query_only = ON")
        return connection

    def _prepare(self, version: int) -> None:
        writer = self._writer
        writer.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
        (mode,) = writer.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise StoreUnavailableError(
                f"the file system of store {self._path} has no shared memory for SQLite's log (journal mode {mode!r}); "
                "choose a path on a local disk",
                self._path,
            )
        writer.execute(f"PRAGMA wal_autocheckpoint = {_LOG_PAGES_MAX}").fetchall()
        self._flush_commits(True)
        if version < _SCHEMA_VERSION:
            writer.execute("BEGIN IMMEDIATE")
            if version == 0:
                writer.execute(_CREATE)
                writer.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            else:
                for step in range(version, _SCHEMA_VERSION):
                    _UPGRADES[step](writer)
            writer.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
            writer.execute("COMMIT")
        (busy, _, _) = writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if self._power:
            if not busy:
                _preallocate(self._path + "-wal")
            self._prime()

    # --- the log ---

    def _flush_commits(self, wanted: bool) -> None:
        """Let commits from here on flush, or not."""
        if self._flushing == wanted:
            return
        if self._power:
            level = "FULL" if wanted else "NORMAL"
        else:
            level = "OFF"
        # This PRAGMA acts when it is *compiled*: ``execute`` would take a compiled one from its cache and do nothing.
        # Reached by test_flushes.
        self._writer.executescript(f"PRAGMA synchronous = {level}")
        self._flushing = wanted

    def _prime(self) -> None:
        """Write a page that says what is so already, with all flushes due: the log's header and directory entry
        are on the device then, and so is everything committed before."""
        self._flush_commits(True)
        self._writer.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
        self._log_pages += 1
        self._unflushed = False

    def _checkpoint(self, how: Literal["PASSIVE", "TRUNCATE"]) -> None:
        self._flush_commits(True)
        (busy, pages, done) = self._writer.execute(f"PRAGMA wal_checkpoint({how})").fetchone()
        self._log_pages = pages - done
        if not busy and pages == done:
            self._unflushed = False
            if how == "PASSIVE":
                self._prime()

    def _release(self) -> None:
        for connection in reversed(self._connections):
            with contextlib.suppress(sqlite3.Error):
                connection.close()
        self._lock.release()

    # --- errors ---

    def _translated(self, error: sqlite3.Error, doing: str) -> Exception:
        """Ours for SQLite's, by its code: message texts are not an interface."""
        path = self._path
        if self._closed and doing != "flush":
            return RuntimeError(f"store {path} is closed")
        code = getattr(error, "sqlite_errorcode", None)
        if code is None:
            return error
        cause = f"cannot {doing} store {path}: {error} ({error.sqlite_errorname})"
        if code in _FLUSH_FAILED:
            # A device that failed to flush may have dropped the data and call the next flush a success.
            self._broken = f"{cause}; nothing more will be written: check the device, then open the store again"
            return StoreUnavailableError(self._broken, path)
        kind, way_out = _MEANING.get(code, _MEANING.get(code & 0xFF, (None, "")))
        if kind is not None:
            return kind(f"{cause}; {way_out}", path)
        if code & 0xFF == sqlite3.SQLITE_TOOBIG:
            return ValueError(f"{cause}: a key or value is too large")
        return error


_CORRUPT = (
    StoreCorruptError,
    "the file is damaged or not a store: restore it from a backup, or move it away to build the state anew",
)
_FLUSH_FAILED = frozenset({sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC})
_MEANING: dict[int, tuple[type[StoreError], str]] = {
    sqlite3.SQLITE_CORRUPT: _CORRUPT,
    sqlite3.SQLITE_NOTADB: _CORRUPT,
    sqlite3.SQLITE_ERROR: _CORRUPT,  # our SQL is fixed: it fails only on a file whose schema is not ours
    sqlite3.SQLITE_IOERR_SHORT_READ: _CORRUPT,
    sqlite3.SQLITE_IOERR_CORRUPTFS: _CORRUPT,
    sqlite3.SQLITE_FULL: (StoreFullError, "what was written before is intact: free some space and try again"),
    sqlite3.SQLITE_BUSY: (StoreBusyError, "another program is using the file: close it there"),
    sqlite3.SQLITE_LOCKED: (StoreBusyError, "another program is using the file: close it there"),
    sqlite3.SQLITE_CANTOPEN: (StoreUnavailableError, "check that its directory exists and may be written"),
    sqlite3.SQLITE_READONLY: (StoreUnavailableError, "make the file and its directory writable, or use another path"),
    sqlite3.SQLITE_PERM: (StoreUnavailableError, "make the file and its directory writable, or use another path"),
    sqlite3.SQLITE_IOERR: (StoreUnavailableError, "check the device, and quotas on it"),
    sqlite3.SQLITE_PROTOCOL: (StoreUnavailableError, "choose a path on a local disk"),
    sqlite3.SQLITE_NOLFS: (StoreUnavailableError, "choose a path on a file system with large files"),
}


def _successor(prefix: bytes) -> bytes | None:
    """The least key above all that begin with ``prefix``, or ``None`` if there is none."""
    head = prefix.rstrip(b"\xff")
    return head[:-1] + bytes((head[-1] + 1,)) if head else None


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0


def _make_directories(directory: str, *, flush: bool) -> None:
    """``makedirs``, and have the new names outlive a power cut."""
    missing: list[str] = []
    while not os.path.exists(directory):
        missing.append(directory)
        directory = os.path.dirname(directory)
    for name in reversed(missing):
        os.makedirs(name, exist_ok=True)
        if flush:
            _flush_directory(os.path.dirname(name))


def _flush_directory(path: str) -> None:
    if os.name != "nt":
        fd = os.open(path, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _preallocate(log: str) -> None:
    """Fill the empty log with zeros, which read as an empty log. Not ``posix_fallocate``: it leaves extents that are
    marked unwritten, and each flush would have to change that. Best effort: a log that can grow is as good."""
    with contextlib.suppress(OSError), open(log, "r+b", buffering=0) as file:
        try:
            if os.fstat(file.fileno()).st_size == 0:
                file.write(bytes(_LOG_PREALLOCATED_BYTES))
                os.fsync(file.fileno())
        except OSError:
            file.truncate(0)
            raise
