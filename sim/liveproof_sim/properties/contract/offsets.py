"""FEED-3: what is committed to a log, and what the targets have by then.

Between two commits it matters as well: work on a record that comes late, after a later record of its key was
committed, would put back what no delivery will put right. So both are looked at, every commit and every action of a
target, and what is committed stays done.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import liveproof
from liveproof_sim.properties.contract.monitor import Monitor
from liveproof_sim.properties.contract.reading import Path
from liveproof_sim.properties.contract.scene import Entry, Logged, Offset, Scene

__all__ = ["Feed3CommittedIsDone"]


class Feed3CommittedIsDone(Monitor):
    """For every key with a record below a committed offset: its target states are those of the last such record,
    or of a later one of that key. Of several groups, one that is behind can not put right what another one, ahead,
    has spoilt: each is held to its own commits."""

    code = "FEED-3"

    def __init__(self, contract: Scene) -> None:
        super().__init__(contract)
        self._committed: dict[tuple[str, str, int], int] = {}
        """log, group and partition → offset"""

    def on_committed(self, _path: Path, *, log: Logged, commit: Offset) -> None:
        self._committed[log.name, commit.group, commit.partition] = commit.offset
        if log.name in self.contract.effects:
            self._look(log.name, commit.partition, commit.offset, {})

    def on_applied(self, state: Path, *, value: Any) -> None:
        for (name, _group, partition), offset in self._committed.items():
            if name in self.contract.effects:
                self._look(name, partition, offset, {state: value})

    def _look(self, name: str, partition: int, offset: int, only: Mapping[Path, Any]) -> None:
        """All target states of what is below the offset; or only that which is applied just now."""
        log, effect = self.contract.effects[name]
        for records in _by_key(log.partitions[partition]):
            below = [record for record in records if record.offset < offset]
            if not below:
                continue
            states = dict.fromkeys(state for record in records for state in effect(record))
            for state in states:
                if only and state not in only:
                    continue
                there = self.contract.at(state)
                allowed = [
                    effect(record).get(state, liveproof.NON_EXISTENCE) for record in records[len(below) - 1 :]
                ]
                if there not in allowed:
                    self.breach(
                        f"{name!r} is committed up to {offset} in partition {partition}, "
                        f"the record at {below[-1].offset} means {allowed[0]!r}, and {state!r} is {there!r}"
                    )


def _by_key(records: Any) -> Iterator[list[Entry]]:
    found: dict[Any, list[Entry]] = {}
    for record in records:
        found.setdefault(record.key, []).append(record)
    yield from found.values()
