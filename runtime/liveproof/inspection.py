"""What a store knows, for people: read without writing a byte, while a process holds the store or none does.

A store that nobody holds, and that was closed in order, has no log: it is opened as immutable, so that
SQLite makes no file beside it. With a log, which a live process writes and a crash leaves behind, it is
opened read-only, and reads are of one moment. Neither takes the lock that makes a store one process's own, so
looking at a store is in nobody's way. If somebody opens the store while it is read as immutable, they write
to their log first; only when they fold that into the file may what we read be torn, and then the file's time
says so.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from liveproof.abc.store import Table
from liveproof.backends import store_schema
from liveproof.backends.store_errors import from_os, from_sqlite
from liveproof.backends.store_file import file_size
from liveproof.core.paths import Path as KeyPath
from liveproof.core.paths import decode_path, encode_key, format_path
from liveproof.core.records import TargetEntry, decode_record, owner_of
from liveproof.errors import StoreBusyError, StoreCorruptError, StoreUnavailableError, StoreVersionError

if TYPE_CHECKING:
    from liveproof.environment import Environment

__all__ = [
    "AppView",
    "Component",
    "StoreView",
    "TargetState",
    "TreeNode",
    "open_store",
    "printable",
    "store_path",
    "tree_of",
]

Certainty = Literal["certain", "uncertain", "may be missing"]

_ALL = "SELECT k, v FROM entry WHERE t = ? ORDER BY k"
_BELOW = "SELECT k, v FROM entry WHERE t = ? AND k >= ? AND k < ? ORDER BY k"


def printable(text: str) -> str:
    """Text that stays on its line and leaves the terminal alone: a key may hold any character."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


@dataclass(frozen=True, slots=True)
class TargetState:
    """What is known of one target state."""

    path: str
    possible: int
    """How many records the target may hold: 1, or more if an update was interrupted."""
    may_be_missing: bool

    @property
    def certainty(self) -> Certainty:
        """Whether the target is known to hold one thing; the next update settles the rest."""
        if self.possible > 1:
            return "uncertain"
        return "may be missing" if self.may_be_missing or self.possible == 0 else "certain"

    @property
    def in_words(self) -> str:
        """The certainty, with the number of what is possible."""
        if self.possible > 1:
            missing = ", or missing" if self.may_be_missing else ""
            return f"uncertain: one of {self.possible}{missing}"
        return self.certainty


@dataclass(frozen=True, slots=True)
class Component:
    """What is known of one component."""

    path: str
    name: str
    """The path below the component that mounted it."""
    owner: str | None
    """Path of the component that mounted it; ``None`` for the root."""
    processor: str
    memoized: bool
    """Whether its last outcome stands for an equal call."""
    targets: list[TargetState]


@dataclass(frozen=True, slots=True)
class AppView:
    """An app in numbers."""

    name: str
    runs: int
    components: int
    targets: int
    in_doubt: int
    """Target states that are not certain."""


class StoreView:
    """A store at one moment. Get it from :func:`open_store`."""

    def __init__(self, path: str, connection: sqlite3.Connection, before: tuple[int, int] | None) -> None:
        self.path = path
        self._connection = connection
        self._before = before
        """The file's stamp, if it is read as immutable."""

    def app_names(self) -> dict[str, int]:
        """The apps, each with the number of its runs."""
        found: dict[str, int] = {}
        with self._reading():
            for key, value in self._connection.execute(_ALL, (int(Table.APP),)):
                (name,) = decode_path(key)
                # The first element is the number of runs; app.AppRecord may grow behind it.
                found[str(name)] = int(msgspec.msgpack.decode(value)[0])
        return found

    def app(self, name: str) -> AppView | None:
        """An app in numbers, or ``None`` if the store does not know it."""
        runs = self.app_names().get(name)
        if runs is None:
            return None
        components = targets = in_doubt = 0
        with self._reading():
            for _, row in self._rows(name):
                components += 1
                for entry in decode_record(row).targets.values():
                    targets += 1
                    in_doubt += len(entry.possible) != 1 or entry.maybe_missing
        return AppView(name, runs, components, targets, in_doubt)

    def components(self, app: str, below: str = "/") -> Iterator[Component]:
        """The components of an app, in path order: all, or those at or below a path."""
        prefix = len(encode_key(app))
        inside = below.rstrip("/") + "/"
        with self._reading():
            for key, row in self._rows(app):
                path = decode_path(key[prefix:])
                shown = printable(format_path(path))
                if inside == "/" or shown == below or shown.startswith(inside):
                    yield _component(path, shown, row)

    def _rows(self, app: str) -> Iterator[tuple[bytes, bytes]]:
        prefix = encode_key(app)
        # No key's encoding begins with 0xff, so this is above all that begin with the prefix.
        return self._connection.execute(_BELOW, (int(Table.COMPONENT), prefix, prefix + b"\xff"))

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, msgspec.MsgspecError, ValueError) as error:
            self.check()
            raise _translated(error, self.path) from error

    def check(self) -> None:
        """Raise :class:`StoreBusyError` if what was read may be torn."""
        if self._before is not None and _stamp(self.path) != self._before:
            raise StoreBusyError(
                f"another process has written store {self.path} while it was being read, so what was read "
                "may be wrong: look again",
                self.path,
            )


def _component(path: KeyPath, shown: str, row: bytes) -> Component:
    owner = owner_of(row)
    record = decode_record(row)
    return Component(
        path=shown,
        name=printable(format_path(path[owner:])[1:]) or "/",
        owner=printable(format_path(path[:owner])) if path else None,
        processor=printable(record.processor),
        memoized=record.memo is not None,
        targets=[_target(target, entry) for target, entry in sorted(record.targets.items())],
    )


def _target(key: bytes, entry: TargetEntry) -> TargetState:
    return TargetState(printable(format_path(decode_path(key))), len(entry.possible), entry.maybe_missing)


# --- the tree ---


@dataclass(slots=True)
class TreeNode:
    """A component with those that it mounted."""

    component: Component
    children: list[TreeNode] = field(default_factory=list)


def tree_of(components: Iterator[Component]) -> list[TreeNode]:
    """Who mounted whom. What was mounted by a component that is not among them is a root."""
    nodes = {component.path: TreeNode(component) for component in components}
    roots: list[TreeNode] = []
    for node in nodes.values():
        owner = node.component.owner
        parent = None if owner is None else nodes.get(owner)
        (roots if parent is None else parent.children).append(node)
    return roots


# --- opening ---


def store_path(env: Environment) -> Path:
    """Where an environment's store is, whether it is open, exists, or neither."""
    store = env._store
    return env.settings.resolve(env._beside) if store is None else Path(store.path)


def _stamp(path: str) -> tuple[int, int]:
    """What differs if the file itself has been written."""
    status = Path(path).stat()
    return status.st_mtime_ns, status.st_size


@contextmanager
def open_store(path: str | os.PathLike[str]) -> Iterator[StoreView]:
    """The store in a file, to look at. Nothing is written, and nothing is made that is not there.

    Raises:
        StoreUnavailableError: there is no such file, or it can't be read.
        StoreCorruptError: it is not a store, or is damaged.
        StoreVersionError: it was written by another version of liveproof.
        StoreBusyError: another process has written it while it was being read.
    """
    real = os.path.realpath(path)
    try:
        logged = file_size(real + "-wal") > 0
        if not logged and file_size(real) == 0:
            raise StoreUnavailableError(
                f"there is no store at {real}: update an app first, or name another store", real
            )
        before = None if logged else _stamp(real)
    except OSError as error:
        raise from_os(error, real) from error
    try:
        connection = _connect(real, immutable=not logged)
    except sqlite3.Error as error:
        raise from_sqlite(error, real, "read") from error
    with closing(connection):
        view = StoreView(real, connection, before)
        yield view
        view.check()


def _connect(path: str, *, immutable: bool) -> sqlite3.Connection:
    uri = f"{Path(path).as_uri()}?mode=ro{'&immutable=1' if immutable else ''}"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None)
    try:
        connection.execute("PRAGMA query_only = ON")
        connection.execute("BEGIN")
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if application != store_schema.APPLICATION_ID:
            raise StoreCorruptError(
                f"{path} is an SQLite database, but not a liveproof store: its application id is "
                f"{application:#x}; name another file",
                path,
            )
        if version != store_schema.FORMAT:
            way_out = store_schema.way_out(store_schema.made_by(connection))
            if version < store_schema.FORMAT:
                way_out = "an update brings it to the format of this one"
            raise StoreVersionError(
                f"store {path} has format {version}, this liveproof reads {store_schema.FORMAT}: {way_out}", path
            )
    except BaseException:
        connection.close()
        raise
    return connection


def _translated(error: Exception, path: str) -> Exception:
    if isinstance(error, sqlite3.Error):
        return from_sqlite(error, path, "read")
    return StoreCorruptError(
        f"cannot read store {path}: it holds what this liveproof did not write ({error}); restore it from a "
        "backup, or move it away to build the state anew",
        path,
    )
