"""The store on disk: one SQLite file in WAL mode, one writer, readers that never wait for it.

Decisions, measured on 2 shared cores, ext4 on a virtual disk, SQLite 3.40 (microseconds, medians; the
programs are in the messages of this file's commits):

* **One table for all, keyed (table, key), WITHOUT ROWID** (``store_schema.py``). Five tables gave the same
  writes (23 against 24 for two rows) and slower reads (7.5 against 6.9 for one, 0.8 against 0.6 for each row
  of a scan).
* **Pages of 4 096 bytes.** Two rows, not flushed: 20 with 1 024, 24 with 4 096, 29 with 8 192; flushed:
  296 to 345, 212 to 229, 202.
* **The log is preallocated** if it will be flushed. A flush of a file that does not grow need not record
  its new size: two rows took 212 to 308 in a log of 4 MiB of zeros, 281 to 481 in one that grew. It costs
  10 ms at opening, and up to 10 us for a batch that is not flushed, so ``"process"`` goes without. After the
  first checkpoint both are alike: the log is written over.
* **Exactly one flush for a durable batch, none for others.** ``PRAGMA synchronous`` is FULL for the one and
  NORMAL for the other; switching costs a few microseconds. Two more flushes hide in SQLite: of the log's
  directory entry, and of its header whenever it begins anew. :meth:`SqliteStore._prime` has them done
  beforehand.
* **Checkpoints are off the path.** :meth:`SqliteStore.maintain` does them when it is told to; SQLite does one
  by itself only when the log has passed ``_LOG_PAGES_MAX``.
* **A scan reads everything at once.** A cursor left half-way would hold on to its moment: later reads through
  its connection would be stale, and the log could not begin anew.

Roads not taken: the VFS ``unix-excl`` (reads take 2 us less, but its locks live in the process's memory, so
that a forked child that closes its copy of the connection could delete the log under its parent);
``fdatasync`` on a descriptor of our own (a batch could be seen before it is durable, even if the flush
then fails).
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from liveproof.abc.store import Table, Write
from liveproof.backends import store_schema
from liveproof.backends.store_errors import from_os, from_sqlite, is_failed_flush
from liveproof.backends.store_file import (
    LOG_PREALLOCATED_BYTES,
    file_size,
    flush_data,
    make_directories,
    preallocate,
)
from liveproof.backends.store_journal import Journal, leftover_batches
from liveproof.backends.store_lock import StoreLock
from liveproof.errors import StoreCorruptError, StoreUnavailableError, StoreVersionError

__all__ = ["SqliteStore"]

_HEADER_BYTES = 100
_PAGE_BYTES = 4096
_LOG_PAGES_QUIET = LOG_PREALLOCATED_BYTES * 3 // 4 // _PAGE_BYTES
"""From here on ``maintain`` has something to do."""
_LOG_PAGES_MAX = 16_384
"""64 MiB: past it SQLite checkpoints within a write, should ``maintain`` never be called."""

_GET = "SELECT v FROM entry WHERE t = ? AND k = ?"
_PUT = "INSERT OR REPLACE INTO entry VALUES (?, ?, ?)"
_PUTS_AT_ONCE = 8
_ROW = "(?, ?, ?)"
_PUTS = [
    "INSERT OR REPLACE INTO entry VALUES " + ", ".join([_ROW] * n)  # noqa: S608 - of our own constants
    for n in range(_PUTS_AT_ONCE + 1)
]
_REMOVE = "DELETE FROM entry WHERE t = ? AND k = ?"
_SCAN = "SELECT k, v FROM entry WHERE t = ? AND k >= ? AND k < ? ORDER BY k LIMIT ?"
_SCAN_TO_END = "SELECT k, v FROM entry WHERE t = ? AND k >= ? ORDER BY k LIMIT ?"


class SqliteStore:
    """A :class:`liveproof.abc.store.Store` in the file ``path``, created if need be, with its directories.

    ``durability`` is what a durable write survives: ``"power"``, a power cut (it waits for the device), or
    ``"process"``, the death of the process, ``kill -9`` included (nothing is ever flushed).
    """

    def __init__(
        self, path: str | os.PathLike[str], *, durability: Literal["power", "process"] = "power"
    ) -> None:
        if durability not in {"power", "process"}:
            raise ValueError(f'durability must be "power" or "process", not {durability!r}')
        # Links are followed first, so that two names of one file meet at one lock.
        self._path = os.path.realpath(path)
        self._power = durability == "power"
        self._closed = False
        self._broken: str | None = None  # why nothing may be written any more
        self._flushing: bool | None = None  # what PRAGMA synchronous was last set to; None: not yet
        self._unflushed = False  # Invariant: false only if every committed batch is on the device.
        self._log_pages = 0  # Invariant: no less than what is in the log and not yet in the file.
        self._journal: Journal | None = None  # Only for "process".
        self._log: int | None = None  # A descriptor of the log, to flush it by; only for "power".
        self._write_lock = threading.Lock()
        self._flush_lock = threading.Lock()
        self._get_lock = threading.Lock()
        self._scan_lock = threading.Lock()
        self._connections: list[sqlite3.Connection] = []
        try:
            make_directories(os.path.dirname(self._path), flush=self._power)
            if os.path.isdir(self._path):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), self._path)
        except OSError as error:
            raise from_os(error, self._path) from error
        self._lock = StoreLock(self._path)
        try:
            version = self._inspect()
            self._writer = self._connect()
            self._prepare(version)
            self._getter = self._connect(read_only=True)
            self._scanner = self._connect(read_only=True)
            self._recover_journal()
        except BaseException as error:
            self._release()
            if isinstance(error, sqlite3.Error):
                raise from_sqlite(error, self._path, "open") from error
            if isinstance(error, OSError):
                raise from_os(error, self._path) from error
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

    def scan(
        self, table: Table, prefix: bytes, /, *, limit: int | None = None
    ) -> Iterator[tuple[bytes, bytes]]:
        """Entries whose key begins with ``prefix``, at most ``limit``, in key order, as of the call."""
        end = _successor(prefix)
        most = -1 if limit is None else limit
        try:
            with self._scan_lock:
                if end is None:
                    cursor = self._scanner.execute(_SCAN_TO_END, (int(table), prefix, most))
                else:
                    cursor = self._scanner.execute(_SCAN, (int(table), prefix, end, most))
                rows: list[tuple[bytes, bytes]] = cursor.fetchall()
        except sqlite3.Error as error:
            raise self._translated(error, "read") from error
        return iter(rows)

    # --- writing ---

    def write(self, batch: Sequence[Write], /, *, durable: bool) -> None:
        """Apply the batch atomically; if ``durable``, then :meth:`flush`.

        Committing never flushes: it may run on an event loop. The one flush of the log is a call of its
        own, which waits for the device without holding up further writes.
        """
        if len(batch) == 1 and batch[0][2] is not None:
            self._write_one(int(batch[0][0]), batch[0][1], batch[0][2])
            if durable:
                self.flush()
            return
        # The last write of a key is the one that counts; beyond that, order within a batch means nothing.
        latest = {(int(table), key): value for table, key, value in batch}
        puts = [(table, key, value) for (table, key), value in latest.items() if value is not None]
        removals = [place for place, value in latest.items() if value is None]
        with self._write_lock:
            if self._broken is not None:
                raise StoreUnavailableError(self._broken, self._path)
            writer = self._writer
            try:
                changes = writer.total_changes
                if len(puts) == len(latest) <= _PUTS_AT_ONCE:
                    if puts:  # One statement is a transaction by itself.
                        writer.execute(_PUTS[len(puts)], [value for row in puts for value in row])
                elif latest:
                    writer.execute("BEGIN IMMEDIATE")
                    if puts:
                        writer.executemany(_PUT, puts)
                    if removals:
                        writer.executemany(_REMOVE, removals)
                    writer.execute("COMMIT")
                if self._journal is not None:
                    self._journal.clear()
                if writer.total_changes != changes:
                    self._unflushed = True
                    bytes_put = sum(len(value) for _, _, value in puts)
                    self._log_pages += 2 + len(latest) + bytes_put // _PAGE_BYTES
            except BaseException as error:
                with contextlib.suppress(sqlite3.Error):  # SQLite may have rolled back, or be closed
                    if writer.in_transaction:
                        writer.execute("ROLLBACK")
                if isinstance(error, sqlite3.Error):
                    raise self._translated(error, "write") from error
                raise
        if durable:
            self.flush()

    def _write_one(self, table: int, key: bytes, value: bytes) -> None:
        """The commonest batch, the record of one component, without all that others need."""
        with self._write_lock:
            if self._broken is not None:
                raise StoreUnavailableError(self._broken, self._path)
            try:
                self._writer.execute(_PUT, (table, key, value))
            except sqlite3.Error as error:
                raise self._translated(error, "write") from error
            self._unflushed = True
            self._log_pages += 3 + len(value) // _PAGE_BYTES
            if self._journal is not None:
                self._journal.clear()

    def journal(self, batch: Sequence[Write], /) -> bool:
        """For "process": note the batch in memory that outlives the process (see ``store_journal.py``)."""
        if self._journal is None or self._broken is not None or self._closed:
            return False
        return self._journal.append(batch)

    def flush(self) -> None:
        """Make every batch written before this call survive what ``durability`` promises; one flush at most."""
        if not self._power:
            return
        with self._flush_lock:
            if self._broken is not None:
                raise StoreUnavailableError(self._broken, self._path)
            if not self._unflushed:
                return
            self._unflushed = False  # Before the flush: what is written meanwhile needs another one.
            try:
                if self._log is None:
                    raise RuntimeError(f"store {self._path} is closed: open it again")
                flush_data(self._log)
            except OSError as error:
                # The device may have dropped the data and may call the next flush of it a success.
                self._broken = (
                    f"the device failed to flush store {self._path}: {os.strerror(error.errno or 0)}; nothing more "
                    "will be written: check the device, then open the store again"
                )
                raise StoreUnavailableError(self._broken, self._path) from error

    def maintain(self) -> bool:
        """Carry the log over into the file, if it has grown; true if there was something to do.

        Call it off the critical path, whenever nothing else is going on: it flushes several times, and writes
        wait for it (reads do not).
        """
        with self._write_lock:
            if self._log_pages < _LOG_PAGES_QUIET or self._broken is not None:
                return False
            try:
                self._checkpoint("PASSIVE")
            except sqlite3.Error as error:
                raise self._translated(error, "maintain") from error
            return True

    def close(self) -> None:
        """Flush, fold the log into the file, release the lock. Safe to call twice."""
        with self._write_lock, self._flush_lock, self._get_lock, self._scan_lock:
            if self._closed:
                return
            try:
                with contextlib.suppress(sqlite3.Error):
                    self._checkpoint("TRUNCATE")
                if self._unflushed and self._power and self._broken is None:
                    self._prime()
                self._end_journal()
            except sqlite3.Error as error:
                raise self._translated(error, "flush") from error
            finally:
                self._closed = True
                self._release()

    # --- opening ---

    def _inspect(self) -> int:
        """The schema version, 0 if it is yet to be made; raises, having changed no byte, if it is not ours.

        A log left by a crash is part of what the file says. Without one the file is opened as immutable, so
        that not even an empty log is created beside it.
        """
        log_bytes = file_size(self._path + "-wal")
        file_bytes = file_size(self._path)
        if log_bytes == 0:
            if file_bytes == 0:
                return 0
            if file_bytes < _HEADER_BYTES:  # SQLite takes a file of one byte for an empty one
                raise self._damaged(f"{file_bytes} bytes are no database")
        mode = "mode=ro" if log_bytes else "mode=ro&immutable=1"
        uri = f"{Path(self._path).as_uri()}?{mode}"
        with contextlib.closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as connection:
            (application,) = connection.execute("PRAGMA application_id").fetchone()
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if application == version == tables == 0:
                return 0  # creation was cut short before its one transaction
            if application != store_schema.APPLICATION_ID:
                raise StoreCorruptError(
                    f"{self._path} is an SQLite database, but not a liveproof store: its application id is "
                    f"{application:#x}; it was not changed: choose another path",
                    self._path,
                )
            (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
            if log_bytes == 0 and file_bytes % page_bytes:  # SQLite would read zeros for the rest
                raise self._damaged("its last page is cut short")
            known = version > 0 and all(step in store_schema.UPGRADES for step in range(version, store_schema.FORMAT))
            if version > store_schema.FORMAT or not known:
                way_out = store_schema.way_out(store_schema.made_by(connection))
                raise StoreVersionError(
                    f"store {self._path} has format {version}, this liveproof reads {store_schema.FORMAT}; it "
                    f"was not changed: {way_out}, or another path to build it anew",
                    self._path,
                )
            connection.execute("SELECT t, k, v FROM entry LIMIT 1").fetchone()
            return int(version)

    def _damaged(self, cause: str) -> StoreCorruptError:
        return StoreCorruptError(
            f"cannot open store {self._path}: {cause}; it was not changed: restore it from a backup, or move "
            "it away to build the state anew",
            self._path,
        )

    def _connect(self, *, read_only: bool = False) -> sqlite3.Connection:
        uri = f"{Path(self._path).as_uri()}?mode={'rw' if read_only else 'rwc'}"
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
        self._connections.append(connection)
        connection.execute("PRAGMA cache_size = -8192")  # KiB
        if read_only:
            connection.execute("PRAGMA query_only = ON")
        return connection

    def _prepare(self, version: int) -> None:
        writer = self._writer
        self._flush_commits(True)  # first of all: SQLite's default would flush, for either durability
        writer.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
        (mode,) = writer.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise StoreUnavailableError(
                f"cannot open store {self._path}: its file system lacks the shared memory that SQLite's log "
                f"needs (journal mode {mode!r}); choose a path on a local disk",
                self._path,
            )
        writer.execute(f"PRAGMA wal_autocheckpoint = {_LOG_PAGES_MAX}").fetchone()
        if version < store_schema.FORMAT:
            writer.execute("BEGIN IMMEDIATE")
            store_schema.bring_up(writer, version)
            writer.execute("COMMIT")
        (busy, _, _) = writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if self._power and not busy:
            preallocate(self._path + "-wal")
        self._prime()  # Also shows, in either durability, whether the file may be written.
        if self._power:
            self._log = os.open(self._path + "-wal", os.O_RDWR | getattr(os, "O_CLOEXEC", 0))

    def _recover_journal(self) -> None:
        """Write what a process noted and did not live to write; begin a journal, if this is to have one."""
        path = self._path + "-noted"
        for batch in leftover_batches(path):
            self.write(batch, durable=False)
        self.flush()
        if not self._power:
            self._journal = Journal(path)
        elif os.path.exists(path):
            os.unlink(path)

    def _end_journal(self) -> None:
        """Closed in order: the next process has nothing to make up for, unless a write has failed."""
        if self._journal is not None and self._broken is None and self._journal.is_empty:
            with contextlib.suppress(OSError):
                os.unlink(self._path + "-noted")

    # --- the log ---

    def _flush_commits(self, wanted: bool) -> None:
        """Let commits from here on flush, or not."""
        if self._flushing == wanted:
            return
        level = ("FULL" if wanted else "NORMAL") if self._power else "OFF"
        # This PRAGMA acts while it is *compiled*. ``execute`` keeps compiled statements: its second use would
        # do nothing. ``executescript`` compiles each time. Reached by test_flushes.
        self._writer.executescript(f"PRAGMA synchronous = {level}")
        self._flushing = wanted

    def _prime(self) -> None:
        """Commit a page that says what is so already, with all flushes due.

        The log's header and its directory entry are on the device then, and all that was committed before.
        """
        self._flush_commits(True)
        self._writer.execute(f"PRAGMA user_version = {store_schema.FORMAT}")
        self._flush_commits(False)
        self._log_pages += 1
        self._unflushed = False

    def _checkpoint(self, how: Literal["PASSIVE", "TRUNCATE"]) -> None:
        self._flush_commits(True)
        (busy, pages, done) = self._writer.execute(f"PRAGMA wal_checkpoint({how})").fetchone()
        self._flush_commits(False)
        self._log_pages = pages - done
        if not busy and pages == done:
            self._unflushed = False
            if how == "PASSIVE":
                self._prime()

    def _release(self) -> None:
        if self._log is not None:
            os.close(self._log)
            self._log = None
        if self._journal is not None:
            self._journal.close()
            self._journal = None
        for connection in reversed(self._connections):
            with contextlib.suppress(sqlite3.Error):
                connection.close()
        self._lock.release()

    def _translated(self, error: sqlite3.Error, doing: str) -> Exception:
        if self._closed:
            return RuntimeError(f"store {self._path} is closed: open it again")
        ours = from_sqlite(error, self._path, doing)
        if is_failed_flush(error):
            # The device may have dropped the data and may call the next flush of it a success.
            self._broken = str(ours)
        return ours


def _successor(prefix: bytes) -> bytes | None:
    """The least key above all that begin with ``prefix``, or ``None`` if there is none."""
    head = prefix.rstrip(b"\xff")
    return head[:-1] + bytes((head[-1] + 1,)) if head else None
