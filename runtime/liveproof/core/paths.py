"""Stable keys and the paths made of them.

A path is a tuple of stable keys. Its *encoding* is the concatenation of its keys' encodings, each of
them self-delimiting, so that path A is a prefix of path B exactly when A's bytes are a prefix of B's:
a store finds a subtree by one range.

Encoding of a key (the format is stored; a change needs a new store schema)::

    None    N           False   F           True   T
    int     i <len:2> <two's complement, big endian>
    str     s <len:4> <utf-8, surrogates passed through: file names may hold them>
    bytes   b <len:4> <bytes>
    UUID    u <16 bytes>
    Symbol  y <len:4> <utf-8>
    tuple   ( <keys> )
"""

from __future__ import annotations

import uuid
from typing import TypeAlias

__all__ = [
    "ROOT_PATH",
    "Path",
    "StableKey",
    "StablePath",
    "Symbol",
    "check_key",
    "decode_path",
    "encode_key",
    "encode_path",
    "format_key",
    "format_path",
]


class Symbol:
    """A name that can not collide with a string key: ``Symbol("x") != "x"``."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        if not isinstance(name, str):
            raise TypeError(f"Symbol takes a str, not {type(name).__name__}")
        self._name = name

    @property
    def name(self) -> str:
        return self._name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Symbol) and other._name == self._name

    def __hash__(self) -> int:
        return hash(("Symbol", self._name))  # tidy: allow hash (in-process dictionaries only)

    def __repr__(self) -> str:
        return f"Symbol({self._name!r})"

    def __str__(self) -> str:
        return self._name

    def __coco_memo_key__(self) -> object:
        return ("Symbol", self._name)


StableKey: TypeAlias = None | bool | int | str | bytes | uuid.UUID | Symbol | tuple["StableKey", ...]
"""What may name a component or a target state across runs."""

Path: TypeAlias = tuple[StableKey, ...]

_NAMES = "None, bool, int, str, bytes, uuid.UUID, Symbol, or a tuple of these"


def _encode_str(key: str) -> bytes:
    raw = key.encode("utf-8", "surrogatepass")
    return b"s" + len(raw).to_bytes(4, "big") + raw


def encode_key(key: StableKey) -> bytes:
    """The key's bytes. Raises ``TypeError`` that names the type of anything that is not a stable key."""
    kind = type(key)
    if kind is str:
        return _encode_str(key)  # type: ignore[arg-type]
    if key is None:
        return b"N"
    if isinstance(key, bool):
        return b"T" if key else b"F"
    if isinstance(key, int):
        number = int(key)
        raw = number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True)
        return b"i" + len(raw).to_bytes(2, "big") + raw
    if isinstance(key, str):
        return _encode_str(str(key))
    if isinstance(key, bytes):
        return b"b" + len(key).to_bytes(4, "big") + key
    if isinstance(key, Symbol):
        raw = key.name.encode("utf-8", "surrogatepass")
        return b"y" + len(raw).to_bytes(4, "big") + raw
    if isinstance(key, uuid.UUID):
        return b"u" + key.bytes
    if isinstance(key, tuple):
        return b"(" + b"".join(map(encode_key, key)) + b")"
    raise TypeError(f"{key!r} of type {kind.__qualname__} is not a stable key: use {_NAMES}")


def check_key(key: object) -> None:
    """Raise ``TypeError`` unless ``key`` is a stable key."""
    encode_key(key)  # type: ignore[arg-type]


def encode_path(path: Path) -> bytes:
    """The bytes of a path; see the module's docstring for their one important property."""
    if len(path) == 1:
        return encode_key(path[0])
    return b"".join(map(encode_key, path))


def _decode_key(data: bytes, at: int) -> tuple[StableKey, int]:
    tag = data[at : at + 1]
    at += 1
    if tag == b"s" or tag == b"b" or tag == b"y":
        end = at + 4 + int.from_bytes(data[at : at + 4], "big")
        raw = data[at + 4 : end]
        assert len(raw) == end - at - 4, "truncated key"
        if tag == b"b":
            return raw, end
        text = raw.decode("utf-8", "surrogatepass")
        return (text if tag == b"s" else Symbol(text)), end
    if tag == b"i":
        end = at + 2 + int.from_bytes(data[at : at + 2], "big")
        return int.from_bytes(data[at + 2 : end], "big", signed=True), end
    if tag == b"u":
        return uuid.UUID(bytes=data[at : at + 16]), at + 16
    if tag == b"(":
        keys: list[StableKey] = []
        while data[at : at + 1] != b")":
            key, at = _decode_key(data, at)
            keys.append(key)
        return tuple(keys), at + 1
    constants: dict[bytes, StableKey] = {b"N": None, b"T": True, b"F": False}
    if tag not in constants:
        raise ValueError(f"not an encoded path: {data!r} at byte {at - 1}")
    return constants[tag], at


def decode_path(data: bytes) -> Path:
    """The path of an encoding. Raises ``ValueError`` for bytes that are none."""
    keys: list[StableKey] = []
    at = 0
    while at < len(data):
        key, at = _decode_key(data, at)
        keys.append(key)
    return tuple(keys)


def format_key(key: StableKey) -> str:
    """A key for people: plain for strings, ``@name`` for symbols, Python's notation otherwise."""
    if isinstance(key, str):
        text = key if key and not key.startswith("@") and "/" not in key else repr(key)
        return text.encode("utf-8", "backslashreplace").decode()
    if isinstance(key, Symbol):
        return f"@{key.name}"
    return repr(key)


def format_path(path: Path) -> str:
    """A path for people: ``/@process_file/a.md``; the root is ``/``."""
    return "/" + "/".join(map(format_key, path))


class StablePath:
    """A path as a value: comparable, hashable, extended with ``/``."""

    __slots__ = ("_parts",)

    def __init__(self, parts: Path = ()) -> None:
        for part in parts:
            check_key(part)
        self._parts = tuple(parts)

    def concat_part(self, part: StableKey) -> StablePath:
        """This path with one more key."""
        return StablePath((*self._parts, part))

    __truediv__ = concat_part

    def parts(self) -> list[StableKey]:
        """Its keys, from the root down."""
        return list(self._parts)

    def __eq__(self, other: object) -> bool:
        # Encodings, because 1 == True in Python and they are different keys.
        return isinstance(other, StablePath) and encode_path(self._parts) == encode_path(other._parts)

    def __hash__(self) -> int:
        return hash(encode_path(self._parts))  # tidy: allow hash (in-process dictionaries only)

    def __str__(self) -> str:
        return format_path(self._parts)

    def __repr__(self) -> str:
        return f"StablePath({format_path(self._parts)!r})"

    def __coco_memo_key__(self) -> object:
        return encode_path(self._parts)


ROOT_PATH = StablePath()
