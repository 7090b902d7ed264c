"""The simulator of live components: it owns time, order, files, feeds and faults.

Tests import from here; the runtime never does.
"""

from __future__ import annotations

from liveproof_sim.check import check, explore, replay
from liveproof_sim.errors import (
    DeadlockError,
    EscapeError,
    Finding,
    LeakError,
    LivelockError,
    LostByDesign,
    MonitorError,
    NondeterminismError,
    OptionError,
    PowerCut,
    ReplayError,
    ScenarioError,
    SimError,
    TapeError,
    UnretrievedError,
)
from liveproof_sim.explore.verdict import Failure, Status, StopReason, Verdict
from liveproof_sim.explore.world import World

__all__ = [
    "DeadlockError",
    "EscapeError",
    "Failure",
    "Finding",
    "LeakError",
    "LivelockError",
    "LostByDesign",
    "MonitorError",
    "NondeterminismError",
    "OptionError",
    "PowerCut",
    "ReplayError",
    "ScenarioError",
    "SimError",
    "Status",
    "StopReason",
    "TapeError",
    "UnretrievedError",
    "Verdict",
    "World",
    "check",
    "explore",
    "replay",
]
