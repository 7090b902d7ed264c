"""Conformance bodies: what every backend of a protocol must do, ours and others'. Public."""

from __future__ import annotations

from liveproof.testing.filesystem import check_filesystem
from liveproof.testing.scheduler import check_scheduler
from liveproof.testing.store import MemoryStore, check_store

__all__ = ["MemoryStore", "check_filesystem", "check_scheduler", "check_store"]
