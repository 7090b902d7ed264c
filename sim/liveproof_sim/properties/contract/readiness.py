"""RDY: when a component is ready."""

from __future__ import annotations

from typing import Any

from liveproof_sim.properties.contract.book import Fate
from liveproof_sim.properties.contract.monitor import Monitor
from liveproof_sim.properties.contract.reading import Path

__all__ = ["Rdy1NeverHangs", "Rdy2Applied", "Rdy3Automatic", "Rdy4Once", "Rdy5NotEarly"]

OPEN = (Fate.QUEUED, Fate.RUNNING)


class Rdy1NeverHangs(Monitor):
    """When an update has ended, everything has. (That it ends is what the simulator itself looks for.)"""

    code = "RDY-1"

    def on_settled(self, _path: Path, **_: Any) -> None:
        for live in self.book.lives.values():
            if not live.ended:
                self.breach(f"the update has ended, and {live.path!r} still runs live")
            for op in live.ops.values():
                outcome = live.outcome(op.seq)
                if outcome is None or outcome.fate in OPEN:
                    self.breach(f"the update has ended, and {op} of {live.path!r} is only {op.fate.value}")
        for path in self.book.cycles:
            self.breach(f"the update has ended, and a cycle of {path!r} runs")


class Rdy2Applied(Monitor):
    """Ready after ``mark_ready()``: every operation before it has ended."""

    code = "RDY-2"

    def on_ready(self, path: Path) -> None:
        live = self.book.lives.get(path)
        if live is None or live.marked is None or live.ready:
            return
        for op in live.ops.values():
            outcome = live.outcome(op.seq)
            if op.seq <= live.marked and (outcome is None or outcome.fate in OPEN):
                self.breach(f"{path!r} is ready, and {op}, invoked before mark_ready(), has not ended")


class Rdy3Automatic(Monitor):
    """The end of ``process_live()``, however it comes, makes ready."""

    code = "RDY-3"

    def on_live_end(self, path: Path, **_: Any) -> None:
        live = self.book.lives.get(path)
        if live is not None and not live.ready:
            self.breach(f"the process_live() of {path!r} has ended, and {path!r} is not ready")


class Rdy4Once(Monitor):
    """Ready once in a life."""

    code = "RDY-4"

    def on_ready(self, path: Path) -> None:
        live = self.book.lives.get(path)
        if live is not None and live.ready and not live.ended:
            self.breach(f"{path!r} becomes ready a second time")


class Rdy5NotEarly(Monitor):
    """Not ready before ``mark_ready()``, or the end of ``process_live()``."""

    code = "RDY-5"

    def on_ready(self, path: Path) -> None:
        live = self.book.lives.get(path)
        if live is not None and not live.ended and live.marked is None and not live.returned:
            self.breach(f"{path!r} is ready before mark_ready() and before its process_live() has ended")
