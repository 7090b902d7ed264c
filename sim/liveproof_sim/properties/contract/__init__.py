"""The contract of a live component as monitors: one class per id, fed by the probe, the targets and the store."""

from __future__ import annotations

from liveproof_sim.properties.contract.contract import MONITORS, Contract
from liveproof_sim.properties.contract.monitor import Monitor

__all__ = ["MONITORS", "Contract", "Monitor"]
