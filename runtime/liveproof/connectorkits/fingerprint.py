"""Fingerprints for those who write sources and targets: 16 bytes, the same in every process."""

from __future__ import annotations

from hashlib import blake2b

from liveproof.core.fingerprint import fingerprint

__all__ = ["fingerprint_bytes", "fingerprint_object", "fingerprint_str"]


def fingerprint_bytes(data: bytes | bytearray | memoryview) -> bytes:
    """The fingerprint of a content."""
    return blake2b(data, digest_size=16).digest()


def fingerprint_str(text: str) -> bytes:
    """The fingerprint of a text: that of its UTF-8 form."""
    return fingerprint_bytes(text.encode("utf-8", "surrogatepass"))


def fingerprint_object(obj: object) -> bytes:
    """The fingerprint of an object, as it takes part in memo keys.

    Raises:
        MemoError: it has none; names the type and the way out.
    """
    return fingerprint(obj)
