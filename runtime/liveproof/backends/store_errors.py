"""What the errors of SQLite and of the operating system mean to somebody whose store fails.

Each message names the file, the cause and a way out. SQLite's errors are told apart by their codes
(https://www.sqlite.org/rescode.html): message texts are not an interface.
"""

from __future__ import annotations

import errno
import sqlite3

from liveproof.errors import (
    StoreBusyError,
    StoreCorruptError,
    StoreError,
    StoreFullError,
    StoreUnavailableError,
)

__all__ = ["from_os", "from_sqlite", "is_failed_flush"]

_CORRUPT = (
    StoreCorruptError,
    "the file is damaged or not a store: restore it from a backup, or move it away to build the state anew",
)
_BUSY = (StoreBusyError, "another program is using the file: close it there")
_FULL = (StoreFullError, "what was written before is intact: free some space and try again")
_NOT_WRITABLE = (StoreUnavailableError, "make the file and its directory writable, or choose another path")
_NO_ROOM = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))

_MEANING: dict[int, tuple[type[StoreError], str]] = {
    sqlite3.SQLITE_CORRUPT: _CORRUPT,
    sqlite3.SQLITE_NOTADB: _CORRUPT,
    sqlite3.SQLITE_ERROR: _CORRUPT,  # our SQL is fixed: it fails only on a schema that is not ours
    sqlite3.SQLITE_IOERR_SHORT_READ: _CORRUPT,
    sqlite3.SQLITE_IOERR_CORRUPTFS: _CORRUPT,
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_BUSY: _BUSY,
    sqlite3.SQLITE_LOCKED: _BUSY,
    sqlite3.SQLITE_CANTOPEN: (StoreUnavailableError, "check that its directory exists and may be written"),
    sqlite3.SQLITE_READONLY: _NOT_WRITABLE,
    sqlite3.SQLITE_PERM: _NOT_WRITABLE,
    sqlite3.SQLITE_IOERR: (StoreUnavailableError, "check the device, and any quota or limit on file sizes"),
    sqlite3.SQLITE_PROTOCOL: (StoreUnavailableError, "choose a path on a local disk"),
    sqlite3.SQLITE_NOLFS: (StoreUnavailableError, "choose a file system with large files"),
}
"""Extended or primary code → what it means. The extended one is looked up first."""


def is_failed_flush(error: sqlite3.Error) -> bool:
    """Whether a flush failed: what the device holds is unknown then, for good."""
    return getattr(error, "sqlite_errorcode", None) in {
        sqlite3.SQLITE_IOERR_FSYNC,
        sqlite3.SQLITE_IOERR_DIR_FSYNC,
    }


def from_sqlite(error: sqlite3.Error, path: str, doing: str) -> Exception:
    """The error to raise for SQLite's; ``doing`` is a verb for the message."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None or code & 0xFF == sqlite3.SQLITE_CONSTRAINT:
        # The sqlite3 module refused a value, or the table did: the caller's mistake, not the file's.
        return TypeError(f"cannot {doing} store {path}: keys and values are bytes ({error})")
    cause = f"cannot {doing} store {path}: {error} ({error.sqlite_errorname})"
    if is_failed_flush(error):
        return StoreUnavailableError(
            f"{cause}; nothing more will be written: check the device, then open the store again", path
        )
    if code & 0xFF == sqlite3.SQLITE_TOOBIG:
        return ValueError(f"{cause}; split the value: SQLite's limit is about 1 GB")
    meaning = _MEANING.get(code) or _MEANING.get(code & 0xFF)
    if meaning is None:
        return error  # a bug of ours: it keeps its name and its traceback
    kind, way_out = meaning
    return kind(f"{cause}; {way_out}", path)


def from_os(error: OSError, path: str) -> StoreUnavailableError | StoreFullError:
    """The error to raise for one that the operating system gave while ``path`` was opened."""
    reason = error.strerror or str(error)
    if error.errno in _NO_ROOM:
        return StoreFullError(f"no room to open store {path}: {reason}; free some space and try again", path)
    where = f" {error.filename}:" if isinstance(error.filename, str) and error.filename != path else ""
    return StoreUnavailableError(
        f"cannot open store {path}:{where} {reason}; check that its directory exists, is a directory and may "
        "be written, or choose another path",
        path,
    )
