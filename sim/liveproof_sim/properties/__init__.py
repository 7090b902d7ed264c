"""What must hold, as monitors that look after every step; and values to try it with."""

from __future__ import annotations

from liveproof_sim.properties.draws import drawn
from liveproof_sim.properties.monitors import Monitors, Reached

__all__ = ["Monitors", "Reached", "drawn"]
