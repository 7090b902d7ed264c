"""One local file, and how to tell cheaply that it has not changed."""

from __future__ import annotations

import pathlib
from datetime import UTC, datetime
from hashlib import blake2b
from typing import TypeAlias

from liveproof.abc.filesystem import FileStat, FileSystem
from liveproof.connectors.localfs._path import FilePath, PathArgument, World, to_file_path, world
from liveproof.connectors.localfs._walk import Found
from liveproof.core.absence import NonExistenceType
from liveproof.core.fingerprint import MemoStateOutcome
from liveproof.resources.file import FileLike, FileMetadata

__all__ = ["File", "as_file"]

State: TypeAlias = tuple[int, int, int, int, bytes]
"""mtime and ctime in ns, size, inode, digest of the contents. An mtime of :data:`RACY`: read it again."""

RACY = -1
RACY_NS = 2_000_000_000
"""File systems stamp times as coarsely as two seconds (FAT), so two writes may bear the same."""

CHUNK = 1 << 24
"""A file is hashed in pieces of this size, and kept until it is read if it is no larger."""


class File(FileLike[pathlib.Path]):
    """A local file. Whether a memo is still valid is decided by its times, size and inode number; if one
    of them differs, by its contents, so that touching or copying a file is no change.

    *Racily clean* files, as git calls them: one that is written twice within the resolution of its time
    stamps may look unchanged. So if a file was modified less than two seconds before it was read, its
    state says so, and the next check reads it again.

    What is hashed for a memo is also what the next :meth:`read` returns (up to 16 MiB): otherwise a write
    between the two, undone later, would leave a result that belongs to neither.
    """

    __slots__ = ("_content", "_stat", "_where")

    def __init__(
        self,
        file_path: PathArgument,
        *,
        _stat: FileStat | None = None,
        _where: tuple[World, str] | None = None,
    ) -> None:
        super().__init__(to_file_path(file_path), None if _stat is None else _as_metadata(_stat))
        self._stat = _stat
        self._where = _where
        self._content: bytes | None = None

    def _located(self) -> tuple[World, str]:
        if self._where is None:
            here = world("File.read()")
            path = self._file_path
            assert isinstance(path, FilePath), "made by to_file_path()"
            self._where = (here, here.absolute(path))
        return self._where

    async def _known_stat(self) -> FileStat:
        if self._stat is None:
            here, path = self._located()
            self._stat = await here.scheduler.run_blocking(here.filesystem.stat, path)
        return self._stat

    async def _fetch_metadata(self) -> FileMetadata:
        return _as_metadata(await self._known_stat())

    async def _read_bytes(self, size: int) -> bytes:
        content, self._content = self._content, None
        if content is not None:
            return content if size < 0 else content[:size]
        here, path = self._located()
        return await here.scheduler.run_blocking(here.filesystem.read, path, size)

    async def content_fingerprint(self) -> bytes:
        here, path = self._located()
        digest, _ = await here.scheduler.run_blocking(_hash, here.filesystem, path)
        return digest

    async def __coco_memo_state__(self, prev_state: State | NonExistenceType) -> MemoStateOutcome:
        # The stamps were taken before the contents are read, never after: a write in between makes the
        # stamps differ next time, and then the contents decide.
        stamp = await self._known_stat()
        mine = (stamp.mtime_ns, stamp.ctime_ns, stamp.size, stamp.inode)
        if not isinstance(prev_state, NonExistenceType) and prev_state[:4] == mine:
            self._content = None
            return MemoStateOutcome(prev_state, memo_valid=True)
        here, path = self._located()
        now = here.filesystem.clock_ns()
        digest, content = await here.scheduler.run_blocking(_hash, here.filesystem, path)
        racy = now - max(stamp.mtime_ns, stamp.ctime_ns) < RACY_NS
        state: State = (RACY if racy else stamp.mtime_ns, *mine[1:], digest)
        valid = not isinstance(prev_state, NonExistenceType) and prev_state[4] == digest
        self._content = None if valid else content
        return MemoStateOutcome(state, memo_valid=valid)


def as_file(here: World, root: FilePath, found: Found) -> File:
    """The file that a walk has found."""
    return File(root / found.key, _stat=found.stat, _where=(here, found.path))


def _as_metadata(stat: FileStat) -> FileMetadata:
    modified = datetime.fromtimestamp(stat.mtime_ns / 1e9, tz=UTC)
    return FileMetadata(stat.size, modified)


def _hash(filesystem: FileSystem, path: str) -> tuple[bytes, bytes | None]:
    """Digest of a file's contents; and the contents, unless they are large."""
    digest = blake2b(digest_size=16)
    offset = 0
    while True:
        piece = filesystem.read(path, CHUNK, offset)
        digest.update(piece)
        offset += len(piece)
        if len(piece) < CHUNK:
            return digest.digest(), piece if offset == len(piece) else None
