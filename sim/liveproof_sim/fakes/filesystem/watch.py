"""Watches, with inotify's meaning: one directory each, by inode; see ``backends/os_watch.py``, which this
follows line by line where it decides what is told.

Ordinarily everything is told at once, in order, as one batch. With the families ``watch.*`` switched on,
changes may be told late, one by one in any order of their paths, twice, or be lost in an overflow, which is
told as such. The arrival of a change is an event of its own, which asyncio does not order. Nothing is told of a
directory before it was added, and nothing that happens after that is lost silently.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Hashable, Iterator
from typing import Any, NamedTuple

from liveproof.abc.filesystem import Changes
from liveproof_sim.fakes.filesystem.tree import Directory
from liveproof_sim.fakes.filesystem.trouble import Trouble

__all__ = ["SimWatch", "Watches"]

DELAYS_S = (0.0, 0.01, 1.0)
SELF_GONE, REMOVED = "self gone", "removed"


class _Event(NamedTuple):
    """Something has happened in a directory."""

    directory: int
    name: str
    names: bool
    """a name came, went, or means another file now; else only what it means has changed"""
    gone: str = ""
    """the directory itself was moved or removed"""


class SimWatch:
    """:class:`liveproof.abc.filesystem.Watch`, made by :class:`Watches`."""

    def __init__(self, watches: Watches, number: int, root: str, lookup: Callable[[str], Directory]) -> None:
        self.number = number
        self._watches = watches
        self._lookup = lookup
        self._names: dict[int, dict[str, str | None]] = {}
        """Inode -> directory -> the one name in it to tell of, or ``None`` for all."""
        self._inodes: dict[str, int] = {}
        self._queue: list[_Event] = []
        self._again: dict[str, None] = {}  # told already, and to be told once more
        self._waiter: asyncio.Future[None] | None = None
        self._arriving = False
        self._closed = False
        self.add(root)
        self._root = self._inodes[root]
        self._watch_own_name(root)

    def _watch_own_name(self, root: str) -> None:
        parent, _, name = root.rstrip("/").rpartition("/")
        if name not in {"", ".", ".."}:
            self._add(parent or ("/" if root.startswith("/") else "."), name)

    def add(self, directory: str, /) -> None:
        self._add(directory, None)

    def _add(self, directory: str, only: str | None) -> None:
        if self._closed:
            return
        inode = self._lookup(directory).number
        old = self._inodes.get(directory)
        if old is not None and old != inode:  # another directory has taken the name over
            self._forget(old, directory)
        self._inodes[directory] = inode
        self._names.setdefault(inode, {})[directory] = only

    def discard(self, directory: str, /) -> None:
        inode = self._inodes.get(directory)
        if inode is None or inode == self._root:
            return
        del self._inodes[directory]
        self._forget(inode, directory)

    def _forget(self, inode: int, directory: str) -> None:
        names = self._names.get(inode, {})
        names.pop(directory, None)
        if not names:
            self._names.pop(inode, None)

    # ---- what happens

    def put(self, event: _Event) -> None:
        """Something has happened; queue it if it is watched."""
        if self._closed or event.directory not in self._names:
            return
        self._queue.append(event)
        self._watches.touched(self, write=True)
        self._arrive()

    def _arrive(self) -> None:
        """Wake who waits, by an event of its own."""
        if self._waiter is None or self._arriving:
            return
        self._arriving = True
        loop: Any = self._waiter.get_loop()
        external = getattr(loop, "add_external", loop.call_soon)
        external(self._arrived)

    def _arrived(self) -> None:
        self._arriving = False
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # ---- what is told

    async def changes(self) -> Changes:
        faults = self._watches.trouble.faults
        while True:
            while not self._queue and not self._again:
                await self._wait()
            if self._closed:
                raise OSError(errno.EBADF, "the watch is closed")
            if faults is None:
                told = self._take_all()
            else:
                delay = faults.choose("watch.late", "changes", len(DELAYS_S))
                if delay:
                    await asyncio.sleep(DELAYS_S[delay])
                    if self._closed:
                        raise OSError(errno.EBADF, "the watch is closed")
                told = self._take_some()
            if told is not None:
                return told

    async def _wait(self) -> None:
        if self._closed:
            raise OSError(errno.EBADF, "the watch is closed")
        if self._waiter is not None:
            raise RuntimeError("one caller of changes() at a time")
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _take_all(self) -> Changes | None:
        """Everything in the queue; ``None`` if that says nothing."""
        self._watches.touched(self, write=True)
        paths, self._again = self._again, {}
        lost = False
        queue, self._queue = self._queue, []
        for event in queue:
            lost |= self._take(event, paths)
        return Changes(tuple(paths), lost) if paths or lost else None

    def _take_some(self) -> Changes | None:
        """What is in the queue, with trouble."""
        new = bool(self._queue)
        told = self._take_all()
        faults = self._watches.trouble.faults
        if told is None or faults is None:
            return told
        if faults.strike("watch.overflow", "changes"):
            return Changes((), lost=True)
        paths = told.paths
        if len(paths) > 1 and not told.lost:
            alone = faults.choose("watch.split", "changes", len(paths) + 1)
            if alone:
                self._again = dict.fromkeys((*paths[: alone - 1], *paths[alone:]))
                paths = (paths[alone - 1],)
        if new and paths and faults.strike("watch.repeat", "changes", about=paths[0]):
            self._again[paths[0]] = None
        return Changes(paths, told.lost)

    def _take(self, event: _Event, paths: dict[str, None]) -> bool:
        """Translate an event into paths. Whether something was lost."""
        inode = event.directory
        if event.gone == SELF_GONE:
            return inode == self._root  # of any other directory its parent tells the same
        names = self._names.get(inode)
        if names is None:
            return False  # discarded, and this event was still under way
        if event.gone:
            for directory in names:
                self._inodes.pop(directory, None)
            del self._names[inode]
            return inode == self._root
        lost = False
        for directory, only in names.items():
            if only is None:
                paths[f"{directory.rstrip('/')}/{event.name}"] = None
            elif event.name == only and event.names:
                lost = True
        return lost

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._watches.forget(self)
            self._arrive()


class Watches:
    """All watches of a file system, and who is told of what."""

    def __init__(self, trouble: Trouble) -> None:
        self.trouble = trouble
        self.touch: Callable[[Hashable, bool], None] | None = None
        self._open: list[SimWatch] = []
        self._count = 0

    def open(self, root: str, lookup: Callable[[str], Directory]) -> SimWatch:
        """A new one, which is armed."""
        self._count += 1
        watch = SimWatch(self, self._count, root, lookup)
        self._open.append(watch)
        return watch

    def forget(self, watch: SimWatch) -> None:
        """It is closed."""
        if watch in self._open:
            self._open.remove(watch)

    def clear(self) -> None:
        """Nobody is told of anything any more, not even of that."""
        self._open.clear()

    def changed(self, directory: Directory, name: str, *, names: bool) -> None:
        """What ``name`` stands for has changed; ``names``: or whether it stands for anything."""
        for watch in self._open:
            watch.put(_Event(directory.number, name, names))

    def moved(self, directory: Directory) -> None:
        """A directory has another name."""
        for watch in self._open:
            watch.put(_Event(directory.number, "", names=True, gone=SELF_GONE))

    def removed(self, directory: Directory) -> None:
        """A directory is gone."""
        for watch in self._open:
            watch.put(_Event(directory.number, "", names=True, gone=SELF_GONE))
            watch.put(_Event(directory.number, "", names=True, gone=REMOVED))

    def touched(self, watch: SimWatch, *, write: bool) -> None:
        """Tell who wants to know that the queue of a watch was read or written."""
        if self.touch is not None:
            self.touch(("fs-watch", watch.number), write)

    def __iter__(self) -> Iterator[SimWatch]:
        return iter(self._open)
