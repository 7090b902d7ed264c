"""What the tests of ``fn`` share: a cycle as far as functions see it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from liveproof.core.context import CallFrame, ComponentContext, current
from liveproof.core.function import MemoEntry
from liveproof.core.logic import is_live
from liveproof.core.provider import ContextProvider

LOG: list[Any] = []
"""What functions did, since the test began."""


class Site:
    """A cycle, as far as functions see it: its run is itself too."""

    def __init__(self, scheduler: Any = None) -> None:
        self.run = self
        self.path = ()
        self.scheduler = scheduler
        self.provider = ContextProvider()
        self.full_reprocess = False
        self.memos: dict[bytes, MemoEntry] = {}
        self.puts = 0
        self.retained: list[bytes] = []

    def memo_get(self, key: bytes) -> MemoEntry | None:
        return None if self.full_reprocess else self.memos.get(key)

    def memo_put(self, key: bytes, entry: MemoEntry) -> None:
        self.memos[key] = entry
        self.puts += 1

    def retain_targets(self, targets: Sequence[bytes]) -> None:
        self.retained.extend(targets)

    def fingerprints_live(self, fingerprints: Sequence[bytes]) -> bool:
        provided = self.provider.fingerprints()
        return all(is_live(found) or found in provided for found in fingerprints)


def context_at(site: Any) -> ComponentContext:
    return ComponentContext(site, CallFrame(), None)


def uses() -> list[bytes]:
    return list(current().frame.uses)


def declare(key: bytes) -> None:
    """As a target state's declaration does."""
    current().frame.targets.append(key)
