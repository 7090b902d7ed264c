"""Local files as a source."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import timedelta

from liveproof.connectors.localfs._file import File, as_file
from liveproof.connectors.localfs._path import FilePath, PathArgument, reporter, to_file_path, world
from liveproof.connectors.localfs._walk import Walk
from liveproof.connectors.localfs._watch import LiveDirItems
from liveproof.resources.file import FilePathMatcher, MatchAllFilePathMatcher

__all__ = ["DirItems", "DirWalker", "walk_dir"]

HOURLY = timedelta(hours=1)


class DirWalker:
    """The files of a directory: ``async for file in walker``. For pairs with their keys: ``items()``."""

    def __init__(
        self,
        path: FilePath,
        *,
        live: bool,
        recursive: bool,
        matcher: FilePathMatcher,
        rescan_interval: timedelta | None,
    ) -> None:
        self._path = path
        self._live = live
        self._recursive = recursive
        self._matcher = matcher
        self._rescan_interval = rescan_interval

    async def __aiter__(self) -> AsyncIterator[File]:
        async for _, file in DirItems(self._path, recursive=self._recursive, matcher=self._matcher):
            yield file

    def items(self) -> DirItems | LiveDirItems:
        """Pairs of the path below the directory, with forward slashes, and the file. With ``live``, a
        :class:`LiveMapView`, which ``mount_each`` keeps watching."""
        if not self._live:
            return DirItems(self._path, recursive=self._recursive, matcher=self._matcher)
        return LiveDirItems(
            self._path,
            recursive=self._recursive,
            matcher=self._matcher,
            rescan_interval=self._rescan_interval,
        )


class DirItems:
    """Pairs of key and file; each iteration is one walk."""

    def __init__(self, path: FilePath, *, recursive: bool, matcher: FilePathMatcher) -> None:
        self._path = path
        self._recursive = recursive
        self._matcher = matcher

    async def __aiter__(self) -> AsyncIterator[tuple[str, File]]:
        here = world("walk_dir()")
        walk = Walk(
            here,
            here.absolute(self._path),
            recursive=self._recursive,
            matcher=self._matcher,
            report=reporter(),
        )
        async with aclosing(walk.files()) as files:
            async for found in files:
                yield found.key, as_file(here, self._path, found)


def walk_dir(
    path: PathArgument,
    *,
    live: bool = False,
    recursive: bool = False,
    path_matcher: FilePathMatcher | None = None,
    rescan_interval: timedelta | None = HOURLY,
) -> DirWalker:
    """The files of a directory, with ``recursive`` also those further down.

    Symbolic links are followed, each real directory is visited once. What can not be looked at is
    reported to the exception handlers, or the log, and left out; a root that is missing is an error.

    Args:
        path: the directory. Give a ``ContextKey`` (or a ``FilePath`` with one) so that memos survive
            when the tree is moved.
        live: let ``items()`` watch for changes.
        recursive: walk the directories below, too.
        path_matcher: which files and directories to take; by default all.
        rescan_interval: how often a live source is scanned again in full, for changes that no watch
            reports (network file systems, other names of a file). ``None``: never.
    """
    if rescan_interval is not None and rescan_interval <= timedelta():
        raise ValueError("rescan_interval is a positive timedelta, or None for no rescans")
    matcher = MatchAllFilePathMatcher() if path_matcher is None else path_matcher
    return DirWalker(
        to_file_path(path), live=live, recursive=recursive, matcher=matcher, rescan_interval=rescan_interval
    )
