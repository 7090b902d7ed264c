"""DUR: what the store knows, and when."""

from __future__ import annotations

from typing import Any

import liveproof
from liveproof_sim.properties.contract.monitor import Monitor
from liveproof_sim.properties.contract.reading import Path, target_row

__all__ = ["Dur2RecordedFirst", "Dur3Idle"]


class Dur2RecordedFirst(Monitor):
    """What a sink does is on record before it does it."""

    code = "DUR-2"

    def on_applied(self, state: Path, *, value: Any) -> None:
        rows = (target_row(self.contract.store, app, state) for app in self.contract.apps)
        found = next(filter(None, rows), None)
        if found is None:
            if not liveproof.is_non_existence(value):
                self.breach(f"{state!r} is written, and the store knows no owner of it")
            return
        owner, row = found
        if state not in row.targets:
            self.breach(f"{state!r} is written, and {owner!r}, its owner, does not know of it")
            return
        records, may_be_missing = row.targets[state]
        if liveproof.is_non_existence(value):
            if not may_be_missing:
                self.breach(f"{state!r} is removed, and the record of {owner!r} says that it can not be missing")
        elif not any(self.contract.is_record(record, value) for record in records):
            self.breach(f"{state!r} becomes {value!r}, and {owner!r} has {records!r} on record")


class Dur3Idle(Monitor):
    """While the scenario says that nothing has changed, no sink is called and nothing remembered runs."""

    code = "DUR-3"

    def on_applied(self, state: Path, *, value: Any) -> None:
        if self.contract.is_idle:
            self.breach(f"nothing has changed, and {state!r} becomes {value!r}")

    def on_cycle_start(self, path: Path, *, remembers: bool, processor: str, **_: Any) -> None:
        if self.contract.is_idle and remembers:
            self.breach(f"nothing has changed, and the memoized {processor} of {path!r} runs")
