"""Calls that have to fail."""

from __future__ import annotations

import errno
from collections.abc import Callable

__all__ = ["refused"]


def refused(call: Callable[[], object], path: str, *codes: int) -> None:
    """Fail unless the call raises ``OSError`` with one of these numbers, and the path as it was given."""
    names = " or ".join(errno.errorcode[code] for code in codes)
    found: OSError | None = None
    try:
        call()
    except OSError as exc:
        found = exc
    assert found is not None, f"a call with {path!r} succeeded where {names} was due"
    code = errno.errorcode.get(found.errno or 0, "no errno")
    assert found.errno in codes, f"{code} where {names} was due"
    assert found.filename == path, f"the error names {found.filename!r}, not {path!r}"
