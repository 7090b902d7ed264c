"""What must hold: monitors that look after every step."""

from __future__ import annotations

from liveproof_sim.properties.monitors import Monitors, Reached

__all__ = ["Monitors", "Reached"]
