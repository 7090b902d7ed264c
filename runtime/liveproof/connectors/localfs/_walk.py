"""Walking a directory: which files are there, each real directory once.

Symbolic links to files are followed. Links to directories are followed too, after everything that can be
reached without them, in the order of their names, and only into directories that were not visited yet.
So a loop ends, a directory has the same name in every walk, and its own name wins over a link's.

What can not be looked at is reported and left out; what vanishes between two looks is left out. Only the
root has to be there: a missing root is more likely a mistake, or a disk that is not mounted, than an empty
source, so it is an error, and nothing that was made of the files is removed.
"""

from __future__ import annotations

import errno
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import PurePosixPath
from typing import NamedTuple

from liveproof.abc.filesystem import Entry, FileKind, FileStat, Watch
from liveproof.connectors.localfs._index import Index
from liveproof.connectors.localfs._path import World
from liveproof.resources.file import FilePathMatcher

__all__ = ["TEMPORARY_SUFFIX", "Found", "Report", "Walk", "is_gone", "is_temporary", "join"]

Report = Callable[[Exception], Awaitable[None]]
"""Tells the exception handlers of what was left out."""

TEMPORARY_SUFFIX = ".liveproof-tmp"
"""Files that our target is writing bear such a name, and a dot before. A walk does not see them."""


class Found(NamedTuple):
    """A file."""

    key: str
    """Path below the root, with forward slashes."""
    path: str
    """Path for the file system."""
    stat: FileStat


class _Resolved(NamedTuple):
    """Where a symbolic link leads."""

    key: str
    stat: FileStat | None
    real: str
    error: OSError | None


def is_temporary(name: str) -> bool:
    """Whether a file of this name is a half-written one of ours."""
    return name.startswith(".") and name.endswith(TEMPORARY_SUFFIX)


def is_gone(exc: OSError) -> bool:
    """Whether the error means that there is nothing of that name, or that nothing can be."""
    return isinstance(exc, (FileNotFoundError, NotADirectoryError)) or exc.errno == errno.ENAMETOOLONG


def join(root: str, key: str) -> str:
    """The file system's path of a key."""
    if not key:
        return root
    return f"{root}{key}" if root.endswith("/") else f"{root}/{key}"


class Walk:
    """One walk. With a ``watch``, each directory is watched before it is scanned."""

    def __init__(
        self,
        world: World,
        root: str,
        *,
        recursive: bool,
        matcher: FilePathMatcher,
        report: Report,
        watch: Watch | None = None,
        index: Index | None = None,
    ) -> None:
        self._filesystem = world.filesystem
        self._run_blocking = world.scheduler.run_blocking
        self._root = root
        self._recursive = recursive
        self._matcher = matcher
        self._report = report
        self._watch = watch
        self.index = Index() if index is None else index
        """Result: what was seen."""
        self.watched: dict[str, None] = {}
        """Result: the directories that are watched for this walk."""
        self.unwatched: OSError | None = None
        """Result: why some directory could not be watched."""
        self._visited: dict[tuple[int, int], None] = {}
        self._plain: list[str] = []
        self._linked: list[str] = []

    async def files(self, start: str = "") -> AsyncGenerator[Found, None]:
        """The files below ``start``, sorted within each directory.

        Raises:
            OSError: the root itself can not be scanned.
        """
        self._plain.append(start)
        while self._plain or self._linked:
            if self._plain:
                key, linked = self._plain.pop(), False
            else:
                self._linked.sort(reverse=True)
                key, linked = self._linked.pop(), True
            for found in await self._directory(key, linked=linked):
                yield found

    async def _directory(self, key: str, *, linked: bool) -> list[Found]:
        path = join(self._root, key)
        try:
            identity, entries = await self._run_blocking(self._open, path)
        except OSError as exc:
            if not key:
                raise
            if not is_gone(exc):
                await self._report(exc)
            return []
        if linked and identity in self._visited:
            if self._watch is not None and self.watched.pop(path, 0) is None:
                self._watch.discard(path)  # or its files would be reported under both names
            return []
        if identity[1]:  # 0 where the file system has no inode numbers
            self._visited[identity] = None
        self.index.add_directory(key)
        return await self._sort_out(key, entries)

    def _open(self, path: str) -> tuple[tuple[int, int], list[Entry]]:
        """Watch a directory, then scan it. Runs off the loop."""
        self._arm(path)
        return self._filesystem.stat(path).identity, list(self._filesystem.scan(path))

    def _arm(self, directory: str) -> None:
        if self._watch is None or directory in self.watched:
            return
        try:
            self._watch.add(directory)
        except OSError as exc:
            # Gone, or unreadable: then scanning tells. Out of watches: then somebody has to rescan.
            if not is_gone(exc) and exc.errno != errno.EACCES:
                self.unwatched = exc
        else:
            self.watched[directory] = None

    async def _sort_out(self, directory: str, entries: list[Entry]) -> list[Found]:
        found: list[Found] = []
        inner: list[str] = []
        links: list[str] = []
        for name, stat in entries:
            key = f"{directory}/{name}" if directory else name
            if stat.kind is FileKind.FILE:
                if self.takes_file(key):
                    found.append(Found(key, join(self._root, key), stat))
            elif stat.kind is FileKind.DIRECTORY:
                if self._enters(key):
                    inner.append(key)
            elif stat.kind is FileKind.SYMLINK and (self.takes_file(key) or self._enters(key)):
                links.append(key)
        if links:
            for link in await self._run_blocking(self._resolve, links):
                await self._follow(link, found)
            found.sort(key=lambda item: item.key)
        for item in found:
            self.index.add_file(item.key)
        self._plain += reversed(inner)
        return found

    def _resolve(self, links: list[str]) -> list[_Resolved]:
        """Look where links lead. Runs off the loop."""
        resolved: list[_Resolved] = []
        for key in links:
            path = join(self._root, key)
            real = self._filesystem.real(path)
            # What it leads to may change, or appear, without any change in the tree.
            self._arm(str(PurePosixPath(real).parent))
            try:
                resolved.append(_Resolved(key, self._filesystem.stat(path), real, None))
            except OSError as exc:
                resolved.append(_Resolved(key, None, real, exc))
        return resolved

    async def _follow(self, link: _Resolved, found: list[Found]) -> None:
        self.index.add_link(link.key, link.real)
        if link.stat is None:
            assert link.error is not None, "neither found nor failed"
            if isinstance(link.error, FileNotFoundError):
                link.error.strerror = f"symbolic link to nothing ({link.real})"
            await self._report(link.error)
        elif link.stat.kind is FileKind.FILE:
            if self.takes_file(link.key):
                found.append(Found(link.key, join(self._root, link.key), link.stat))
        elif link.stat.kind is FileKind.DIRECTORY and self._enters(link.key):
            self.index.links_directories = True
            self._linked.append(link.key)

    def takes_file(self, key: str) -> bool:
        """Whether a file of this key is wanted, if its directory is walked."""
        path = PurePosixPath(key)
        return not is_temporary(path.name) and self._matcher.is_file_included(path)

    def _enters(self, key: str) -> bool:
        return self._recursive and self._matcher.is_dir_included(PurePosixPath(key))

    def reaches(self, key: str) -> bool:
        """Whether a walk comes to the directory that holds this key."""
        if not self._recursive:
            return "/" not in key
        parents = PurePosixPath(key).parents
        return all(self._matcher.is_dir_included(parent) for parent in parents if parent.name)

    def enters(self, key: str) -> bool:
        """Whether a directory of this key is walked."""
        return self.reaches(key) and self._enters(key)
