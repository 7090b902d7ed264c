"""What the simulator adds to the command ``liveproof``: explore, replay, trace."""

from __future__ import annotations

from liveproof_sim.cli.explore import explore
from liveproof_sim.cli.replay import replay
from liveproof_sim.cli.trace import trace

__all__ = ["explore", "replay", "trace"]
