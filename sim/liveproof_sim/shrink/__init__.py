"""Making a failure smaller without making it another one."""

from __future__ import annotations

from liveproof_sim.shrink.shrinker import Shrunk, shrink

__all__ = ["Shrunk", "shrink"]
