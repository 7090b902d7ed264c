"""What must hold, as monitors that look after every step; and values to try it with."""

from __future__ import annotations

from liveproof_sim.properties.draws import drawn
from liveproof_sim.properties.heat import Heat
from liveproof_sim.properties.monitors import Monitors
from liveproof_sim.properties.obligations import Obligation, Response
from liveproof_sim.properties.reached import Reached, points_of

__all__ = ["Heat", "Monitors", "Obligation", "Reached", "Response", "drawn", "points_of"]
