"""The tables of a store on disk, format by format, and the steps from one format to the next.

1. ``entry(t, k, v)``: everything.
2. besides, ``about(name, text)``: by which liveproof the file was brought to its format. An older one that is given
   the file, and cannot read it, tells whom to ask. This table stays as it is in every format to come.

A new format needs a step in :data:`UPGRADES`, a line here, and a recording of the one before it
(``tests/durability/recorded``). All steps, and the new number, are one transaction: a crash leaves the old format or
the new one.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable

__all__ = ["APPLICATION_ID", "FORMAT", "UPGRADES", "bring_up", "made_by", "way_out"]

APPLICATION_ID = 0x4C505246  # "LPRF"
FORMAT = 2
"""The one that this liveproof reads and writes: SQLite's ``user_version``; 0 is a file without tables."""

_CREATE_ENTRY = """
CREATE TABLE entry (
    t INTEGER NOT NULL,
    k BLOB NOT NULL CHECK (typeof(k) = 'blob'),
    v BLOB NOT NULL CHECK (typeof(v) = 'blob'),
    PRIMARY KEY (t, k)
) WITHOUT ROWID"""
_CREATE_ABOUT = "CREATE TABLE about (name TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID"
_MADE_BY = "made by"


def _first(connection: sqlite3.Connection) -> None:
    connection.execute(_CREATE_ENTRY)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")


def _who_made_it(connection: sqlite3.Connection) -> None:
    connection.execute(_CREATE_ABOUT)


UPGRADES: dict[int, Callable[[sqlite3.Connection], object]] = {0: _first, 1: _who_made_it}
"""Format → the step to the next one."""


def bring_up(connection: sqlite3.Connection, version: int) -> None:
    """Take the steps from a format to this one. The caller has begun a transaction, and ends it."""
    assert connection.in_transaction, "a crash would leave half of it"
    for step in range(version, FORMAT):
        UPGRADES[step](connection)
    connection.execute("INSERT OR REPLACE INTO about VALUES (?, ?)", (_MADE_BY, f"liveproof {_version()}"))
    connection.execute(f"PRAGMA user_version = {FORMAT}")


def made_by(connection: sqlite3.Connection) -> str | None:
    """What brought the file to its format, in words; ``None`` if that is not written there."""
    with contextlib.suppress(sqlite3.Error):
        row = connection.execute("SELECT text FROM about WHERE name = ?", (_MADE_BY,)).fetchone()
        if row is not None and isinstance(row[0], str):
            return row[0]
    return None


def way_out(maker: str | None) -> str:
    """What to do about a file of a newer format."""
    return "use the liveproof that wrote it" + (f" ({maker}, or a newer one)" if maker else "")


def _version() -> str:
    # Only when a store is made or upgraded: the import costs more than the rest of it.
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415

    try:
        return version("liveproof")
    except PackageNotFoundError:
        return "of unknown version"
