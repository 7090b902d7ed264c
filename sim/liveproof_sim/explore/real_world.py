"""The same scenario on asyncio."""

from __future__ import annotations

from liveproof_sim.explore.scenario import Scenario
from liveproof_sim.explore.verdict import Verdict

__all__ = ["run_really"]


def run_really(scenario: Scenario, *, seed: int = 0) -> Verdict:
    """Run it."""
    raise NotImplementedError
