"""Who decides which order is run next."""

from __future__ import annotations

from liveproof_sim.explore.strategies.catalogue import NAMES, make
from liveproof_sim.explore.strategies.near import Near
from liveproof_sim.explore.strategies.pct import Pct
from liveproof_sim.explore.strategies.portfolio import Portfolio
from liveproof_sim.explore.strategies.pos import Pos
from liveproof_sim.explore.strategies.random_walk import RandomWalk
from liveproof_sim.explore.strategies.search import FifoSearch, Positions, Search, Standing
from liveproof_sim.explore.strategies.surw import Surw
from liveproof_sim.explore.strategies.systematic import Systematic
from liveproof_sim.explore.strategies.urw import Urw

__all__ = [
    "NAMES",
    "FifoSearch",
    "Near",
    "Pct",
    "Portfolio",
    "Pos",
    "Positions",
    "RandomWalk",
    "Search",
    "Standing",
    "Surw",
    "Systematic",
    "Urw",
    "make",
]
