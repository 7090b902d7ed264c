"""Which faults strike a file system, and as which errors."""

from __future__ import annotations

import errno
from collections.abc import Callable

from liveproof_sim.fakes.faults import Faults
from liveproof_sim.fakes.filesystem.tree import error

__all__ = ["Trouble"]

SLOW_NS = 1_000_000_000

ERRORS: tuple[tuple[str, int, tuple[str, ...]], ...] = (
    ("disk.eacces", errno.EACCES, ("read", "write", "scan", "watch")),
    ("disk.eintr", errno.EINTR, ("read", "write", "sync", "sync_dir", "sync_all")),
    (
        "disk.eio",
        errno.EIO,
        (
            "read",
            "scan",
            "stat",
            "write",
            "replace",
            "remove",
            "make_dir",
            "remove_dir",
            "sync_dir",
            "sync_all",
        ),
    ),
    ("disk.emfile", errno.EMFILE, ("read", "write", "scan", "sync", "sync_dir", "sync_all", "watch")),
    ("disk.enospc", errno.ENOSPC, ("write", "replace", "make_dir")),
)
"""Family, error, and the calls that it strikes before they have done anything."""


class Trouble:
    """Asks the switchboard of a world, if there is one."""

    def __init__(self, faults: Faults | None = None, slept: Callable[[int], None] | None = None) -> None:
        self.faults = faults
        self._slept = slept

    def strike(self, operation: str, path: str) -> None:
        """Before a call does anything: raise ``OSError``, or let time pass, or nothing."""
        faults = self.faults
        if faults is None or not faults.on:
            return
        for family, code, operations in ERRORS:
            if operation in operations and faults.strike(family, operation, "before", about=path):
                raise error(code, path)
        if self._slept is not None and faults.strike("disk.slow", operation, "before", about=path):
            self._slept(SLOW_NS)

    def stops_half_way(self, path: str) -> int:
        """The error that ends a write half-way, or 0."""
        if self.faults is not None:
            for family, code in (("disk.enospc", errno.ENOSPC), ("disk.eio", errno.EIO)):
                if self.faults.strike(family, "write", "half-way", about=path):
                    return code
        return 0

    def goes_bad(self, path: str) -> bool:
        """Whether a file turns out to be unreadable, until it is written again."""
        return self.faults is not None and self.faults.strike("disk.latent", "read", about=path)

    def sync_fails(self, path: str) -> bool:
        """Whether a sync fails, and drops its pages."""
        return self.faults is not None and self.faults.strike("disk.sync", "sync", about=path)
