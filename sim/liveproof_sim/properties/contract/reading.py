"""What a store says, decoded without the runtime's help.

The formats are those of ``core/paths.py`` (keys) and ``core/records.py`` (rows). They are read here once more,
independently, so that a mistake made on both ways of the runtime does not cancel out.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import msgspec

import liveproof
from liveproof.abc.store import Store, Table

__all__ = ["Path", "Row", "read_path", "read_rows", "target_row"]

Path: TypeAlias = tuple[Any, ...]

_PLAIN = {b"N": None, b"F": False, b"T": True}


@dataclass(slots=True)
class Row:
    """What is known of one component."""

    owner: int
    """number of keys in the path of the component that mounted it"""
    targets: dict[Path, tuple[list[bytes], bool]] = field(default_factory=dict)
    """target state → the records that it may hold, and whether it may hold nothing"""


def read_path(data: bytes, at: int = 0, *, until: bytes = b"") -> tuple[Path, int]:
    """The keys from a byte on, and where they end: at the end of the data, or behind ``until``."""
    keys: list[Any] = []
    while at < len(data):
        if until and data[at : at + 1] == until:
            return tuple(keys), at + 1
        key, at = _key(data, at)
        keys.append(key)
    return tuple(keys), at


def _key(data: bytes, at: int) -> tuple[Any, int]:
    tag = data[at : at + 1]
    at += 1
    if tag in _PLAIN:
        return _PLAIN[tag], at
    if tag == b"i":
        end = at + 2 + int.from_bytes(data[at : at + 2], "big")
        return int.from_bytes(data[at + 2 : end], "big", signed=True), end
    if tag == b"u":
        return uuid.UUID(bytes=data[at : at + 16]), at + 16
    if tag == b"(":
        return read_path(data, at, until=b")")
    assert tag in (b"s", b"b", b"y"), f"no key begins with {tag!r}"
    end = at + 4 + int.from_bytes(data[at : at + 4], "big")
    raw = data[at + 4 : end]
    if tag == b"b":
        return raw, end
    text = raw.decode("utf-8", "surrogatepass")
    return (text if tag == b"s" else liveproof.Symbol(text)), end


def _row(raw: bytes) -> Row:
    owner, _processor, targets = msgspec.msgpack.decode(raw, strict=False)[:3]
    row = Row(owner)
    for key, entry in targets.items():
        row.targets[read_path(key)[0]] = (entry[0], entry[1])
    return row


def read_rows(store: Store) -> dict[Path, Row]:
    """All components that the store knows of, by the name of the app and the path in it."""
    return {read_path(key)[0]: _row(raw) for key, raw in store.scan(Table.COMPONENT, b"")}


def target_row(store: Store, app: str, target: Path) -> tuple[Path, Row] | None:
    """The component that owns a target state of an app, as the store knows it; None if it knows of none."""
    owner = store.get(Table.OWNER, _encoded((app, *target)))
    if owner is None:
        return None
    raw = store.get(Table.COMPONENT, owner)
    return read_path(owner)[0], Row(0) if raw is None else _row(raw)


def _encoded(path: Path) -> bytes:
    return b"".join(map(_encoded_key, path))


def _encoded_key(key: Any) -> bytes:
    """Text, numbers and what else targets in memory have for keys."""
    for tag, plain in _PLAIN.items():
        if key is plain:
            return tag
    if isinstance(key, int):
        raw = key.to_bytes(key.bit_length() // 8 + 1, "big", signed=True)
        return b"i" + len(raw).to_bytes(2, "big") + raw
    if isinstance(key, uuid.UUID):
        return b"u" + key.bytes
    if isinstance(key, tuple):
        return b"(" + _encoded(key) + b")"
    if isinstance(key, bytes):
        return b"b" + len(key).to_bytes(4, "big") + key
    tag = b"y" if isinstance(key, liveproof.Symbol) else b"s"
    raw = str(key).encode("utf-8", "surrogatepass")
    return tag + len(raw).to_bytes(4, "big") + raw
