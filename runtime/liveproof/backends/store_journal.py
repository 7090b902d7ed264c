"""Batches that must survive the death of the process, and not yet a transaction each.

A file mapped into memory: what is written to it belongs to the kernel at once, whatever becomes of the
process. It survives ``kill -9``, not a power cut, and costs no system call. Physics::

    <length:4> <crc32:4> <payload>  repeated; a length of 0 ends the list

A record is there once its length is; the length is written last. The next transaction of the store contains
all that was noted here (or what has replaced it since), and empties the list.
"""

from __future__ import annotations

import mmap
import os
import zlib
from collections.abc import Iterator, Sequence

import msgspec

from liveproof.abc.store import Table, Write

__all__ = ["JOURNAL_BYTES", "Journal", "leftover_batches"]

JOURNAL_BYTES = 1 << 20
_HEAD = 8
_END = b"\0\0\0\0"

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[tuple[int, bytes, bytes | None]]).decode


class Journal:
    """The journal beside a store, open for writing."""

    def __init__(self, path: str) -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o644)
        try:
            os.ftruncate(descriptor, JOURNAL_BYTES)
            self._map = mmap.mmap(descriptor, JOURNAL_BYTES)
        finally:
            os.close(descriptor)
        self._at = 0
        self.clear()

    def append(self, batch: Sequence[Write]) -> bool:
        """Note a batch; False if there is no room."""
        payload = _encode(batch)
        start = self._at + _HEAD
        end = start + len(payload)
        if end + len(_END) > JOURNAL_BYTES:
            return False
        memory = self._map
        memory[start:end] = payload
        memory[end : end + 4] = _END
        memory[self._at + 4 : start] = zlib.crc32(payload).to_bytes(4, "little")
        memory[self._at : self._at + 4] = len(payload).to_bytes(4, "little")
        self._at = end
        return True

    @property
    def is_empty(self) -> bool:
        """Whether the store has everything."""
        return self._at == 0

    def clear(self) -> None:
        """Everything noted is in the store."""
        if self._at or self._map[:4] != _END:
            self._map[:4] = _END
            self._at = 0

    def close(self) -> None:
        """Let go of the file."""
        self._map.close()


def leftover_batches(path: str) -> Iterator[list[Write]]:
    """What a process noted and did not live to write. Ends at the first record that is not whole."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except FileNotFoundError:
        return
    at = 0
    while at + _HEAD <= len(data):
        length = int.from_bytes(data[at : at + 4], "little")
        payload = data[at + _HEAD : at + _HEAD + length]
        if length == 0 or len(payload) < length:
            return
        if zlib.crc32(payload) != int.from_bytes(data[at + 4 : at + _HEAD], "little"):
            return
        yield [(Table(table), key, value) for table, key, value in _decode(payload)]
        at += _HEAD + length
