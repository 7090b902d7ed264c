"""What the store remembers of a component, as bytes.

A :class:`ComponentRecord` is one MessagePack array. Its first element is ``owner``, at a fixed place,
so that the rows of a range can be told apart without decoding them (:func:`owner_of`).
"""

from __future__ import annotations

import msgspec

__all__ = [
    "DEPTH_MAX",
    "ComponentRecord",
    "TargetEntry",
    "decode_record",
    "encode_record",
    "owner_of",
]

DEPTH_MAX = 120
"""Keys in a path at most: ``owner`` must fit the one byte of a MessagePack fixint."""


class TargetEntry(msgspec.Struct, array_like=True, gc=False):
    """What may be in the target under one key.

    An intent lists every record that the target may hold; a commit leaves one.
    """

    possible: list[bytes]
    """Encoded tracking records, oldest first."""
    maybe_missing: bool
    """Whether the target may hold nothing."""
    container: tuple[int, int] = (0, 0)
    """Generations (destructive, lossy) of the container when this was written."""
    own: tuple[int, int] = (0, 0)
    """If this is itself a container: its generations."""


class ComponentRecord(msgspec.Struct, array_like=True, gc=False):
    """What is known of the component at one path."""

    owner: int
    """Number of keys in the path of the component that mounted this one."""
    processor: str
    """Name of the function or class, for people."""
    targets: dict[bytes, TargetEntry] = {}
    """The target states it owns."""
    memo: bytes | None = None
    """Fingerprint of the call whose outcome this is; ``None`` while that is not certain."""
    uses: list[bytes] = []
    """Logic and context fingerprints that the memo depends on."""
    states: list[bytes] = []
    """Memo states of the arguments, in order."""
    result: bytes | None = None
    """What the memoized call returned."""
    calls: bool = False
    """Whether memoized calls are stored under this path."""
    state_keys: bool = False
    """Whether user state is stored under this path."""


encode_record = msgspec.msgpack.Encoder().encode
decode_record = msgspec.msgpack.Decoder(ComponentRecord).decode


def owner_of(row: bytes) -> int:
    """``owner`` of an encoded record."""
    assert row[1] <= DEPTH_MAX, "not a component record"
    return row[1]
