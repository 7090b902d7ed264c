"""What happened in an execution, as events and the relation between them."""

from __future__ import annotations

from liveproof_sim.explore.history.events import Event, History, Label
from liveproof_sim.explore.history.watcher import Driver, Follower, Watcher
from liveproof_sim.explore.history.why import Conflict, Why

__all__ = ["Conflict", "Driver", "Event", "Follower", "History", "Label", "Watcher", "Why"]
