"""Dynamic partial-order reduction: one execution for each class of executions that differ only in the order of
steps that commute."""

from __future__ import annotations

from liveproof_sim.explore.strategies.dpor.preemptions import FewPreemptions
from liveproof_sim.explore.strategies.dpor.search import Dpor

__all__ = ["Dpor", "FewPreemptions", "dpor"]


def dpor(*, preemptions: int | None = None, **bounds: int) -> Dpor:
    """The search that can do what is asked for.

    Raises:
        OptionError: a bound that cannot be.
    """
    return Dpor(**bounds) if preemptions is None else FewPreemptions(preemptions, **bounds)
