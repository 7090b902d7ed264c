"""Dynamic partial-order reduction: one execution for each class of executions that differ only in the order of
steps that commute."""

from __future__ import annotations

from liveproof_sim.explore.strategies.dpor.search import Dpor

__all__ = ["Dpor"]
