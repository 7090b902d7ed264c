"""What happened, event by event: recorded, written down, read, compared."""

from __future__ import annotations

from liveproof_sim.trace.codec import dump, load
from liveproof_sim.trace.diff import Difference, first_difference
from liveproof_sim.trace.events import Event, Trace

__all__ = ["Difference", "Event", "Trace", "dump", "first_difference", "load"]
