"""The simulator of live components: it owns time, order, files, feeds and faults.

Tests import from here; the runtime never does.
"""

from __future__ import annotations

from liveproof_sim.check import check, replay
from liveproof_sim.decorator import explore
from liveproof_sim.errors import (
    ContractError,
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
    WorkerError,
)
from liveproof_sim.explore.verdict import Failure, Status, StopReason, Verdict
from liveproof_sim.explore.world import World

__all__ = [
    "ContractError",
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
    "WorkerError",
    "World",
    "check",
    "explore",
    "replay",
]
