"""A directory that is watched: from changed names to updates and deletions.

The order of FEED-1: arm the watch, scan, then follow the changes. A change says where to look, never what to
believe: whether a name stands for a wanted file is decided by looking at the file system now. Whatever
can not be decided locally (lost events, symbolic links that lead to directories or turn round, the root
itself) is decided by scanning everything again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import timedelta
from functools import partial

from liveproof.abc.filesystem import FileKind, FileStat, Watch
from liveproof.abc.live_map import LiveMapSubscriber, SingleWatcherGuard
from liveproof.connectors.localfs._file import File, as_file
from liveproof.connectors.localfs._inbox import Inbox
from liveproof.connectors.localfs._index import Index
from liveproof.connectors.localfs._leaving import Leaving
from liveproof.connectors.localfs._path import FilePath, World, reporter, world
from liveproof.connectors.localfs._walk import Found, Walk, is_gone, join
from liveproof.core.context import current
from liveproof.resources.file import FilePathMatcher

__all__ = ["LiveDirItems"]

NS_PER_S = 1_000_000_000
RETRY_NS_MIN = NS_PER_S // 10
RETRY_NS_MAX = 30 * NS_PER_S
"""Between attempts to watch a root that is missing, or that can not be watched; doubled each time."""


class LiveDirItems:
    """Pairs of key and file, now (``async for``) and from now on (``watch``): a ``LiveMapView``."""

    def __init__(
        self,
        path: FilePath,
        *,
        recursive: bool,
        matcher: FilePathMatcher,
        rescan_interval: timedelta | None,
    ) -> None:
        self._path = path
        self._recursive = recursive
        self._matcher = matcher
        self._rescan_ns = (
            None if rescan_interval is None else round(rescan_interval.total_seconds() * NS_PER_S)
        )
        self._guard = SingleWatcherGuard(f"walk_dir({str(path)!r})")
        self._session: _Session | None = None

    async def __aiter__(self) -> AsyncIterator[tuple[str, File]]:
        here = world("walk_dir()")
        session = self._session
        walk = self._walk(here, None if session is None else session.watch)
        if session is not None:
            session.scan_failed = True  # until it has succeeded
        async with aclosing(walk.files()) as files:
            async for found in files:
                yield found.key, as_file(here, self._path, found)
        if session is not None:
            await session.scanned(walk)

    def _walk(self, here: World, watch: Watch | None, index: Index | None = None) -> Walk:
        return Walk(
            here,
            here.absolute(self._path),
            recursive=self._recursive,
            matcher=self._matcher,
            report=reporter(),
            watch=watch,
            index=index,
        )

    async def watch(self, subscriber: LiveMapSubscriber[str, File]) -> None:
        """Scan, then follow the changes until cancelled.

        Raises:
            RuntimeError: somebody is watching already (FEED-4).
        """
        with self._guard:
            session = _Session(self, world("watch()"), subscriber)
            self._session = session
            try:
                await session.run()
            finally:
                self._session = None
                session.close()


class _Session:
    """One ``watch()``, from its call to its end."""

    def __init__(self, items: LiveDirItems, here: World, subscriber: LiveMapSubscriber[str, File]) -> None:
        self._items = items
        self._here = here
        self._scheduler = here.scheduler
        self._filesystem = here.filesystem
        self._subscriber = subscriber
        self._root = here.absolute(items._path)
        self._report = reporter()
        self._inbox = Inbox(here.scheduler)
        self.watch: Watch | None = None
        """Armed, or ``None``: then only rescans notice changes."""
        self.scan_failed = False
        """Whether the last scan of everything came to no end."""
        self._index = Index()
        self._watched: dict[str, None] = {}
        self._blind: OSError | None = None
        """Why changes may go unnoticed."""
        self._reported: OSError | None = None
        """Why they did when it was last reported, unless everything was fine since."""
        self._retry_ns = RETRY_NS_MIN
        self._leaving = Leaving()

    async def run(self) -> None:
        if current("watch()").cycle.run.live:  # catch-up ends with mark_ready()
            await self._arm()
        await self._subscriber.update_all()
        await self._subscriber.mark_ready()
        while True:
            self._plan_rescan()
            news = await self._inbox.take()
            if news.lost or self.watch is None:
                await self._arm()
            if news.lost or news.due:
                await self._update_all()
                self._retry_ns = min(self._retry_ns * 2, RETRY_NS_MAX)
            elif not await self._follow(news.paths):
                await self._update_all()

    def close(self) -> None:
        """Release everything; the tasks end by themselves."""
        self._inbox.close()
        self.watch = None

    # ---- watching

    async def _arm(self) -> None:
        """Watch anew, from the root on. On failure say so, once, and do without."""
        self._inbox.disconnect()
        self.watch = None
        armed: list[Watch] = []
        try:
            await self._scheduler.run_blocking(self._open, armed)
        except OSError as exc:
            await self._is_blind(exc)
        except BaseException:
            for watch in armed:  # cancelled while it was being made
                watch.close()
            raise
        else:
            self.watch = armed[0]
            self._watched = {}
            self._blind = None  # The scan that follows knows better.
            self._inbox.connect(armed[0])

    def _open(self, armed: list[Watch]) -> None:
        armed.append(self._filesystem.watch(self._root, recursive=self._items._recursive))

    async def _is_blind(self, exc: OSError) -> None:
        self._blind = exc
        known, self._reported = self._reported, exc
        if known is None or (known.errno, known.filename) != (exc.errno, exc.filename):
            exc.add_note(f"{self._root} can not be watched; it is scanned from time to time instead")
            await self._report(exc)

    def _plan_rescan(self) -> None:
        """Say when to scan again, even if nothing happens."""
        if self.watch is not None and self._blind is None and not self.scan_failed:
            self._retry_ns = RETRY_NS_MIN
            self._inbox.remind(self._items._rescan_ns)
        else:
            self._inbox.remind(self._retry_ns)

    async def _update_all(self) -> None:
        if self.watch is None and self._blind is not None and is_gone(self._blind):
            return  # The root is missing: that was reported, and there is nothing to scan.
        await self._subscriber.update_all()
        self._leaving.clear()  # It has waited for everything before it.

    async def scanned(self, walk: Walk) -> None:
        """A walk of everything has ended: what it saw is what we know."""
        self.scan_failed = False
        self._index = walk.index
        if self.watch is None:
            return
        for directory in self._watched:
            if directory not in walk.watched:
                self.watch.discard(directory)
        self._watched = walk.watched
        if walk.unwatched is None:
            self._blind = self._reported = None
        else:
            await self._is_blind(walk.unwatched)

    # ---- following

    async def _follow(self, paths: list[str]) -> bool:
        """Tell the subscriber what has become of these paths. False: look at everything instead."""
        walk = self._items._walk(self._here, self.watch, self._index)
        walk.watched = self._watched
        keys: dict[str, None] = {}
        for path in paths:
            if path == self._root:
                return False
            key = self._key(path)
            if key is not None and self._matters(walk, key):
                keys[key] = None
        linked = [key for path in paths for key in self._index.targets.get(path, ())]
        for key, seen in await self._scheduler.run_blocking(self._look_at, list(keys), False):
            if not await self._changed(walk, key, seen):
                return False
        linked = [key for key in linked if walk.takes_file(key)]
        for key, seen in await self._scheduler.run_blocking(self._look_at, linked, True):
            if not isinstance(seen, FileStat) or seen.kind is not FileKind.FILE:
                return False
            await self._found(Found(key, join(self._root, key), seen))
        if walk.unwatched is not None:
            await self._is_blind(walk.unwatched)
        return True

    def _key(self, path: str) -> str | None:
        prefix = join(self._root, "")
        if not prefix.endswith("/"):
            prefix += "/"
        return path[len(prefix) :] if path.startswith(prefix) else None

    def _matters(self, walk: Walk, key: str) -> bool:
        if self._index.links or self._index.has_file(key) or self._index.has_directory(key):
            return True
        return walk.reaches(key) and (walk.takes_file(key) or walk.enters(key))

    def _look_at(self, keys: list[str], follow: bool) -> list[tuple[str, FileStat | OSError]]:
        """Look. Runs off the loop."""
        seen: list[tuple[str, FileStat | OSError]] = []
        stat = partial(self._filesystem.stat, follow=follow)
        for key in keys:
            try:
                seen.append((key, stat(join(self._root, key))))
            except OSError as exc:
                seen.append((key, exc))
        return seen

    async def _changed(self, walk: Walk, key: str, seen: FileStat | OSError) -> bool:
        """Deal with one name. False: look at everything instead."""
        index = self._index
        if key in index.links:
            return False
        if isinstance(seen, OSError):
            if not is_gone(seen):
                await self._report(seen)
            return await self._gone(key)
        if seen.kind is FileKind.SYMLINK:
            # One that is not wanted may still be a step on the way of another.
            return not index.links and not (walk.takes_file(key) or walk.enters(key))
        if seen.kind is FileKind.DIRECTORY:
            return await self._directory(walk, key)
        if index.has_directory(key) and not await self._gone(key):
            return False
        if seen.kind is FileKind.FILE and walk.reaches(key) and walk.takes_file(key):
            if not index.has_directory(key.rpartition("/")[0]):
                return False  # No walk has been here: there may be more, or a link on the way.
            await self._found(Found(key, join(self._root, key), seen))
            return True
        return await self._gone(key)

    async def _found(self, found: Found) -> None:
        self._index.add_file(found.key)
        await self._leaving.make_room(found.key)
        await self._subscriber.update(found.key, as_file(self._here, self._items._path, found))

    async def _gone(self, key: str) -> bool:
        """The name stands for nothing that is wanted (any more)."""
        if self._index.has_directory(key):
            if self._index.links:
                return False  # Links may have led into it.
            files, directories = self._index.cut(key)
            for directory in directories:
                self._unwatch(directory)
            await self._delete(files)
        if self._index.remove_file(key):
            await self._delete([key])
        return True

    async def _delete(self, keys: list[str]) -> None:
        for key in keys:
            self._leaving.add(key, await self._subscriber.delete(key))

    def _unwatch(self, directory: str) -> None:
        path = join(self._root, directory)
        self._watched.pop(path, None)
        if self.watch is not None:
            self.watch.discard(path)

    async def _directory(self, walk: Walk, key: str) -> bool:
        """A directory is new, or has another name, or is another one of the same name."""
        index = self._index
        if index.remove_file(key):
            await self._delete([key])
        if not walk.enters(key):
            return await self._gone(key)
        if index.links:
            return False
        files, directories = index.cut(key)
        for directory in directories:
            self._unwatch(directory)
        before = dict.fromkeys(files)
        async with aclosing(walk.files(key)) as found_files:
            async for found in found_files:
                before.pop(found.key, None)
                await self._found(found)
        await self._delete(list(before))
        return not index.links_directories
