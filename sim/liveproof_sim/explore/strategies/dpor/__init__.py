"""Dynamic partial-order reduction: one execution for each class of executions that differ only in the order of
steps that commute."""

from __future__ import annotations

from liveproof_sim.explore.strategies.dpor.cuts import CutSearch
from liveproof_sim.explore.strategies.dpor.preemptions import FewPreemptions
from liveproof_sim.explore.strategies.dpor.search import Dpor

__all__ = ["CutSearch", "Dpor", "FewPreemptions", "dpor"]


def dpor(
    depth: int = 2000, *, preemptions: int | None = None, faults: int | None = None, crashes: int | None = None
) -> Dpor:
    """The search that can do what is asked for.

    Raises:
        OptionError: a bound that cannot be.
    """
    if preemptions is None:
        return Dpor(depth, faults=faults, crashes=crashes)
    return FewPreemptions(preemptions, depth, faults=faults, crashes=crashes)
