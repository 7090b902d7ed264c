"""ORD: what operations do one after the other, and what their handles say."""

from __future__ import annotations

from typing import Any

from liveproof_sim.properties.contract.book import Fate, Live, Op, below
from liveproof_sim.properties.contract.monitor import Monitor
from liveproof_sim.properties.contract.reading import Path

__all__ = [
    "Ord1Linear",
    "Ord2Barrier",
    "Ord3Concurrent",
    "Ord4LatestWins",
    "Ord5Handles",
    "Ord6OneAtATime",
]


class Ord1Linear(Monitor):
    """The targets equal the sequential meaning, as far as a scenario says what that is
    (:meth:`Contract.means`)."""

    code = "ORD-1"

    def on_means(self, _path: Path, *, expected: Any, found: Any, log: Any) -> None:
        if found != expected:
            self.breach(f"{log!r} means {expected!r}, and the target has {found!r}")


class Ord2Barrier(Monitor):
    """``update_full`` is a barrier."""

    code = "ORD-2"

    def on_operation_start(self, path: Path, *, seq: int) -> None:
        live = self.book.lives[path]
        op = live.ops[seq]
        for other in live.ops.values():
            if other.fate is Fate.RUNNING and (other.kind == "update_full" or op.kind == "update_full"):
                self.breach(f"{op} of {path!r} starts while {other} runs")
            elif other.seq < seq and other.fate is Fate.QUEUED and "update_full" in (other.kind, op.kind):
                self.breach(f"{op} of {path!r} starts before {other}, which was invoked earlier")

    def on_cycle_start(self, path: Path, *, controller: Path | None, seq: int, **_: Any) -> None:
        live = None if controller is None else self.book.lives.get(controller)
        op = None if live is None else live.ops.get(seq)
        if op is not None and op.fate in (Fate.QUEUED, Fate.ENDED):
            self.breach(f"component {path!r} begins when its operation {op} has {op.fate.value}")


class Ord3Concurrent(Monitor):
    """Operations on one sub-path, or on one above the other, never overlap."""

    code = "ORD-3"

    def on_operation_start(self, path: Path, *, seq: int) -> None:
        live = self.book.lives[path]
        op = live.ops[seq]
        for other in live.ops.values():
            if other.fate is not Fate.RUNNING or other.sub is None or op.sub is None:
                continue
            if below(other.sub, op.sub) or below(op.sub, other.sub):
                self.breach(f"{op} of {path!r} overlaps {other}")


class Ord4LatestWins(Monitor):
    """What is replaced never runs, and what waits is replaced by what comes later."""

    code = "ORD-4"

    def on_operation_start(self, path: Path, *, seq: int) -> None:
        live = self.book.lives[path]
        op = live.ops[seq]
        if op.fate is not Fate.QUEUED:
            self.breach(f"{op} of {path!r} starts, and it was {op.fate.value}")
        if op.sub is not None:
            for other in live.ops.values():
                if other.seq > seq and other.sub == op.sub:
                    self.breach(f"{op} of {path!r} starts although {other} was invoked later")

    def on_cycle_start(self, path: Path, *, controller: Path | None, seq: int, **_: Any) -> None:
        live = None if controller is None else self.book.lives.get(controller)
        op = None if live is None else live.ops.get(seq)
        if op is not None and op.fate in (Fate.REPLACED, Fate.DROPPED):
            self.breach(f"component {path!r} begins, and its operation {op} was {op.fate.value}")


class Ord5Handles(Monitor):
    """An operation has ended only when its effect has been applied."""

    code = "ORD-5"

    def on_operation_end(self, path: Path, *, seq: int, error: BaseException | None) -> None:
        live = self.book.lives[path]
        op = live.ops[seq]
        if op.fate is not Fate.RUNNING:
            self.breach(f"the handle of {op} of {path!r} is ready, and it was only {op.fate.value}")
        elif error is not None:
            return
        elif op.kind == "delete":
            self._deleted(live, op)
        else:
            self._updated(live, op)

    def _updated(self, live: Live, op: Op) -> None:
        """Whatever ended well below it, during it, has been applied."""
        root = live.path + (op.sub or ())
        for component in self.book.components.values():
            if component.at < op.at or not below(component.path, root):
                continue
            for state, value in component.declared.items():
                there = self.contract.at(state)
                if there is None or there == value or self.book.was(state, value, op.applied):
                    continue
                if state not in self.book.contested:
                    self.breach(f"{op} of {live.path!r} has ended, and {state!r} never was {value!r}")

    def _deleted(self, live: Live, op: Op) -> None:
        root = live.path + (op.sub or ())
        for path in self.book.components:
            if below(path, root) and self.book.failed.get(path, 0) < op.at:
                above = any(below(failed, path) and at >= op.at for failed, at in self.book.failed.items())
                if not above and self.book.components[path].complete:
                    self.breach(f"{op} of {live.path!r} has ended, and component {path!r} is still there")


class Ord6OneAtATime(Monitor):
    """Two cycles of one path never overlap, nor do two lives."""

    code = "ORD-6"

    def on_cycle_start(self, path: Path, **_: Any) -> None:
        if path in self.book.cycles:
            self.breach(f"a second cycle of {path!r} begins while one runs")

    def on_live_start(self, path: Path, **_: Any) -> None:
        live = self.book.lives.get(path)
        if live is not None and not live.ended:
            self.breach(f"{path!r} is started live while it still runs live")
