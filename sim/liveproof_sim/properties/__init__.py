"""What must hold: monitors that look after every step."""

from __future__ import annotations

from liveproof_sim.properties.heat import Heat
from liveproof_sim.properties.monitors import Monitors
from liveproof_sim.properties.obligations import Obligation, Response
from liveproof_sim.properties.reached import Reached, points_of

__all__ = ["Heat", "Monitors", "Obligation", "Reached", "Response", "points_of"]
