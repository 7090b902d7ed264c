"""What the store says, read from its file without the runtime's help, against what should be there.

The file's format is documented in ``backends/store_schema.py`` (a table ``entry(t, k, v)``), in
``core/paths.py`` (keys) and in ``core/records.py`` (rows). It is decoded here once more, independently, so
that a mistake made on both ways of the runtime does not cancel out.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

COMPONENT, OWNER, MEMO, STATE, APP = 1, 2, 3, 4, 5
ROOT = "tests.contract/cell"

Keys = tuple[Any, ...]


@dataclass(frozen=True)
class Symbol:
    """A symbol key, as this file sees it."""

    name: str


def read_key(data: bytes, at: int) -> tuple[Any, int]:
    """The key that starts at a byte, and where it ends."""
    tag = data[at : at + 1]
    at += 1
    if tag in (b"s", b"y"):
        end = at + 4 + int.from_bytes(data[at : at + 4], "big")
        text = data[at + 4 : end].decode()
        return (text if tag == b"s" else Symbol(text)), end
    if tag == b"i":
        end = at + 2 + int.from_bytes(data[at : at + 2], "big")
        return int.from_bytes(data[at + 2 : end], "big", signed=True), end
    raise AssertionError(f"unexpected key {data!r} at {at}")


def read_keys(data: bytes) -> Keys:
    keys: list[Any] = []
    at = 0
    while at < len(data):
        key, at = read_key(data, at)
        keys.append(key)
    return tuple(keys)


@dataclass
class Row:
    """What is known of one component."""

    owner: int
    targets: dict[str, list[str]]
    """Cell → what it may hold; with ``""`` if it may hold nothing."""
    remembered: bool


@dataclass
class Contents:
    """All rows of one app."""

    components: dict[Keys, Row] = field(default_factory=dict)
    owners: dict[str, Keys] = field(default_factory=dict)
    memos: list[Keys] = field(default_factory=list)
    """Owning component of each memoized call."""


def cell(path: Keys) -> str:
    root, name = path
    assert root == ROOT, path
    assert isinstance(name, str), path
    return name


def read_store(path: Path, app: str = "app") -> Contents:
    """The contents of a store that nobody is writing to."""
    contents = Contents()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT t, k, v FROM entry ORDER BY t, k").fetchall()
    for table, key, value in rows:
        if table == APP:
            continue
        name, at = read_key(key, 0)
        assert name == app, f"a row of another app: {key!r}"
        if table == COMPONENT:
            raw = msgspec.msgpack.decode(value, strict=False, type=list[Any])
            owner, _processor, targets, memo = raw[:4]
            found: dict[str, list[str]] = {}
            for target, entry in targets.items():
                held = [_text(record) for record in entry[0]]
                found[cell(read_keys(target))] = [*held, *([""] if entry[1] else [])]
            contents.components[read_keys(key[at:])] = Row(owner, found, memo is not None)
        elif table == OWNER:
            app_name, start = read_key(value, 0)
            assert app_name == app, "owned by another app"
            contents.owners[cell(read_keys(key[at:]))] = read_keys(value[start:])
        elif table == MEMO:
            contents.memos.append(_owner_of_memo(key, at))
        else:
            raise AssertionError(f"nobody uses table {table}")
    return contents


def _owner_of_memo(key: bytes, at: int) -> Keys:
    keys: list[Any] = []
    while key[at : at + 1] != b"\x00":
        part, at = read_key(key, at)
        keys.append(part)
    return tuple(keys)


def _text(record: bytes) -> str:
    """A tracking record: the letter of its form, then MessagePack."""
    assert record[:1] == b"M", record
    return msgspec.msgpack.decode(record[1:], type=str)


Tree = Mapping[Keys, tuple[int, Mapping[str, object]]]
"""Path of each component that should be there → keys in its owner's path, and what it declares."""


def check_store(contents: Contents, tree: Tree) -> None:
    """The store describes exactly these components, and nothing is in doubt."""
    there = contents.components
    assert set(there) == set(tree), f"orphans {set(there) - set(tree)}, missing {set(tree) - set(there)}"
    wanted: dict[str, Keys] = {}
    for path, (owner, declared) in tree.items():
        row = there[path]
        assert row.owner == owner, f"{path} belongs to {row.owner}, not {owner}"
        expected = {name: [str(value)] for name, value in declared.items()}
        assert row.targets == expected, f"{path} is on record with {row.targets}, not {expected}"
        for name in declared:
            assert name not in wanted, f"the test itself declares {name} twice"
            wanted[name] = path
    assert contents.owners == wanted, f"owners {contents.owners}, not {wanted}"
    for path in contents.memos:
        assert path in there, f"a memo of {path}, which is gone"


def target_of(tree: Tree) -> dict[str, str]:
    """What the target should hold."""
    return {name: str(value) for _, declared in tree.values() for name, value in declared.items()}
