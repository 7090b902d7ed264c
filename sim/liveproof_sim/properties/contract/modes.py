"""MODE and FEED: catch-up and live, and what follows a source."""

from __future__ import annotations

from typing import Any

from liveproof_sim.properties.contract.monitor import Monitor
from liveproof_sim.properties.contract.reading import Path

__all__ = [
    "Feed1NoLostChange",
    "Feed2Overflow",
    "Feed4OneWatcher",
    "Mode1CatchUp",
    "Mode2Agree",
    "Mode3Stop",
]


class Mode1CatchUp(Monitor):
    """In catch-up mode nothing is done after readiness."""

    code = "MODE-1"

    def on_operation(self, path: Path, *, kind: str, sub: Path | None, **_: Any) -> None:
        live = self.book.lives[path]
        if live.ready and not live.live:
            self.breach(f"{path!r} has caught up, and goes on with {kind} {sub or ''!r}")


class Mode2Agree(Monitor):
    """A live run that is quiet agrees with a fresh catch-up run."""

    code = "MODE-2"

    def on_agree(self, _path: Path, *, lived: Any, fresh: Any) -> None:
        if lived != fresh:
            self.breach(f"the live run has {lived!r}, and a fresh run to catch up {fresh!r}")


class Mode3Stop(Monitor):
    """After a stop nothing new begins."""

    code = "MODE-3"

    def __init__(self, contract: Any) -> None:
        super().__init__(contract)
        self._stopping = False

    def on_stop(self, _path: Path) -> None:
        self._stopping = True

    def on_settled(self, _path: Path, **_: Any) -> None:
        self._stopping = False

    def on_cycle_start(self, path: Path, **_: Any) -> None:
        if self._stopping:
            self.breach(f"the update was stopped, and component {path!r} begins")

    def on_live_start(self, path: Path, **_: Any) -> None:
        if self._stopping:
            self.breach(f"the update was stopped, and {path!r} is started live")


class Feed1NoLostChange(Monitor):
    """Once the source is quiet, the target is what the source function makes of it."""

    code = "FEED-1"

    def on_follows(self, _path: Path, *, expected: Any, found: Any, overflowed: bool) -> None:
        if found != expected and not overflowed:
            self.breach(f"the source is quiet and means {expected!r}, and the target has {found!r}")


class Feed2Overflow(Monitor):
    """The same, when a watch has lost events and said so."""

    code = "FEED-2"

    def on_follows(self, _path: Path, *, expected: Any, found: Any, overflowed: bool) -> None:
        if found != expected and overflowed:
            self.breach(f"events were lost, the source means {expected!r}, and the target has {found!r}")


class Feed4OneWatcher(Monitor):
    """One watcher at a time."""

    code = "FEED-4"

    def on_watched(self, _path: Path, *, name: str, watchers: int) -> None:
        if watchers > 1:
            self.breach(f"{name} is watched {watchers} times at once")
