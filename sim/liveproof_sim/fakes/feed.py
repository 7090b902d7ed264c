"""Live maps in memory: a view that can be scanned and watched, and a feed that can only be watched.

Their physics. Both stand on a dictionary that the scenario changes with :meth:`set` and :meth:`remove`; a
change takes effect at once. What an armed watch reports may, if such faults are switched on,

* come late (``feed.late``: virtual time passes),
* be one event for several changes of one key (``feed.coalesce``; only of a view),
* come twice (``feed.repeat``),
* come in another order than the changes of *other* keys (``feed.reorder``; those of one key keep theirs),
* be lost in a full queue, and then the watch says so (``feed.overflow``; only of a view).

Nothing is lost silently. A **view** reports keys, and reads their values when it tells of them, as a watch of
files does; it is armed before it scans. A **feed** is a log: it tells of every change with its value, from the
beginning each time it is watched, and is ready when it has told of all that there was when the watch began.
Scanning takes a step per entry: an entry that is changed meanwhile is seen as it is when its turn comes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import liveproof as coco
from liveproof.abc.live_map import LiveMapSubscriber
from liveproof_sim.fakes.faults import Faults

__all__ = ["MapFeed", "MapView", "Source"]

DELAY_S = 0.02
"""How much later a late batch comes."""


class _Watch:
    """An armed watch: what has happened since."""

    def __init__(self) -> None:
        self.keys: list[Any] = []
        self.lost = False
        self.changed = asyncio.Event()


class Source:
    """The dictionary and who watches it."""

    def __init__(self, entries: Mapping[Any, Any], *, name: str, faults: Faults) -> None:
        self.name = name
        self.entries: dict[Any, Any] = dict(entries)
        """what is there now; change it by :meth:`set` and :meth:`remove`"""
        self.closed = False
        self.overflows = 0
        """how often events were lost, and the watch has said so"""
        self._faults = faults
        self._watches: list[_Watch] = []
        self._guard = coco.SingleWatcherGuard(f"{type(self).__name__} {name!r}")

    def set(self, key: Any, value: Any) -> None:
        """Make or change an entry."""
        self.entries[key] = value
        self._happened(key)

    def remove(self, key: Any) -> None:
        """Remove an entry, if it is there."""
        if key in self.entries:
            del self.entries[key]
            self._happened(key)

    @property
    def watchers(self) -> int:
        """How many watch it now."""
        return len(self._watches)

    def close(self) -> None:
        """There will be no more changes: a watch ends when it has told of all."""
        self.closed = True
        for watch in self._watches:
            watch.changed.set()

    def _happened(self, key: Any) -> None:
        for watch in self._watches:
            watch.keys.append(key)
            watch.changed.set()

    def _drawn(self, family: str, options: int = 2) -> int:
        return self._faults.choose(f"feed.{family}", "watch", options, about=self.name)

    async def _late(self) -> None:
        if self._drawn("late"):
            await asyncio.sleep(DELAY_S)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}: {self.entries!r}>"


class MapView(Source):
    """A :class:`liveproof.LiveMapView`. ``armed_late`` and ``deaf_to_overflow`` are bugs to be found."""

    armed_late = False
    deaf_to_overflow = False

    async def __aiter__(self) -> AsyncIterator[tuple[Any, Any]]:
        for key in list(self.entries):
            await asyncio.sleep(0)
            if key in self.entries:
                yield key, self.entries[key]

    async def watch(self, subscriber: LiveMapSubscriber[Any, Any], /) -> None:
        """Scan, be ready, then follow.

        Raises:
            RuntimeError: it is being watched already (FEED-4).
        """
        with self._guard:
            watch = _Watch()
            if not self.armed_late:
                self._watches.append(watch)
            try:
                await subscriber.update_all()
                if self.armed_late:
                    self._watches.append(watch)
                await subscriber.mark_ready()
                while await self._tell(subscriber, watch):
                    pass
            finally:
                if watch in self._watches:
                    self._watches.remove(watch)

    async def _tell(self, subscriber: LiveMapSubscriber[Any, Any], watch: _Watch) -> bool:
        """Tell of the next batch. False: there are no more."""
        while not watch.keys and not watch.lost:
            if self.closed:
                return False
            watch.changed.clear()
            await watch.changed.wait()
        await self._late()
        if self._drawn("overflow"):
            watch.lost = True
        if watch.lost:
            watch.lost = False
            self.overflows += 1
            watch.keys.clear()
            if not self.deaf_to_overflow:
                await subscriber.update_all()
            return True
        for key in self._batch(watch):
            if key in self.entries:
                await subscriber.update(key, self.entries[key])
            else:
                await subscriber.delete(key)
        return True

    def _batch(self, watch: _Watch) -> list[Any]:
        """What is told of at once."""
        keys, watch.keys = watch.keys, []
        if self._drawn("coalesce"):
            keys = list(dict.fromkeys(reversed(keys)))[::-1]
        if len(keys) > 1 and self._drawn("reorder"):
            keys = keys[::-1]  # harmless within one key: values are read when they are told
        if self._drawn("repeat"):
            keys = [*keys, keys[0]]
        return keys


class MapFeed(Source):
    """A :class:`liveproof.LiveMapFeed`."""

    def __init__(self, entries: Mapping[Any, Any], *, name: str, faults: Faults) -> None:
        super().__init__(entries, name=name, faults=faults)
        self._log: list[tuple[Any, Any]] = list(self.entries.items())
        """every change ever: key and value, or ``NON_EXISTENCE``"""

    def _happened(self, key: Any) -> None:
        self._log.append((key, self.entries.get(key, coco.NON_EXISTENCE)))
        super()._happened(key)

    async def watch(self, subscriber: LiveMapSubscriber[Any, Any], /) -> None:
        """Tell of all that ever happened, be ready, then follow.

        Raises:
            RuntimeError: it is being watched already (FEED-4).
        """
        with self._guard:
            watch = _Watch()
            self._watches.append(watch)
            told = 0
            start = len(self._log)
            marked = False
            try:
                while True:
                    if told >= start and not marked:
                        marked = True
                        await subscriber.mark_ready()
                    if told < len(self._log):
                        await self._late()
                        end = len(self._log) if marked else start
                        for key, value in self._arranged(self._log[told:end]):
                            await self._one(subscriber, key, value)
                        told = end
                    elif self.closed:
                        return
                    else:
                        watch.changed.clear()
                        await watch.changed.wait()
            finally:
                self._watches.remove(watch)

    async def _one(self, subscriber: LiveMapSubscriber[Any, Any], key: Any, value: Any) -> None:
        if coco.is_non_existence(value):
            await subscriber.delete(key)
        else:
            await subscriber.update(key, value)

    def _arranged(self, changes: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
        """The changes of each key in their order; those of different keys, perhaps, not."""
        if len(changes) > 1 and self._drawn("reorder"):
            keys = list(dict.fromkeys(key for key, _ in changes))
            first = keys[self._drawn("reorder", len(keys))]
            changes = [each for each in changes if each[0] == first] + [
                each for each in changes if each[0] != first
            ]
        if changes and self._drawn("repeat"):
            changes = [*changes, changes[-1]]
        return changes
