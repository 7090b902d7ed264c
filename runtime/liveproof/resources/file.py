"""Files, whatever connector they come from: paths with a stable base, contents, and which ones are wanted."""

from __future__ import annotations

import codecs
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from pathlib import PurePath
from typing import Any, Generic, Protocol, Self, TypeVar

from liveproof.core.context import ContextKey
from liveproof.resources._glob import Glob

__all__ = [
    "FileLike",
    "FileMetadata",
    "FilePath",
    "FilePathMatcher",
    "MatchAllFilePathMatcher",
    "PatternFilePathMatcher",
]

ResolvedT = TypeVar("ResolvedT", covariant=True)  # noqa: PLC0105 - the resolved path's type


class FilePath(ABC, Generic[ResolvedT]):
    """A path below an optional base directory that goes by a stable name.

    Behaves like the relative :class:`pathlib.PurePath` in ``path``. What is remembered about it is tied to
    the *name* of the base, so that the tree can move.
    """

    __slots__ = ("_base_dir", "_path")

    def __init__(self, path: str | PurePath, base_dir: ContextKey[Any] | None) -> None:
        self._path = PurePath(path)
        self._base_dir = base_dir

    @property
    def base_dir(self) -> ContextKey[Any] | None:
        """The key whose value is the base directory; ``None`` if ``path`` stands on its own."""
        return self._base_dir

    @property
    def path(self) -> PurePath:
        """The path relative to the base directory."""
        return self._path

    @abstractmethod
    def resolve(self) -> ResolvedT:
        """The full path. With a base directory it needs a running component."""

    @abstractmethod
    def _with_path(self, path: PurePath) -> Self:
        """This path with another relative part."""

    # ---- as a PurePath

    def __truediv__(self, other: str | PurePath) -> Self:
        return self._with_path(self._path / other)

    def joinpath(self, *segments: str | PurePath) -> Self:
        return self._with_path(self._path.joinpath(*segments))

    @property
    def parent(self) -> Self:
        return self._with_path(self._path.parent)

    @property
    def parents(self) -> tuple[Self, ...]:
        return tuple(map(self._with_path, self._path.parents))

    @property
    def name(self) -> str:
        return self._path.name

    @property
    def stem(self) -> str:
        return self._path.stem

    @property
    def suffix(self) -> str:
        return self._path.suffix

    @property
    def suffixes(self) -> list[str]:
        return self._path.suffixes

    @property
    def parts(self) -> tuple[str, ...]:
        return self._path.parts

    def with_name(self, name: str) -> Self:
        return self._with_path(self._path.with_name(name))

    def with_stem(self, stem: str) -> Self:
        return self._with_path(self._path.with_stem(stem))

    def with_suffix(self, suffix: str) -> Self:
        return self._with_path(self._path.with_suffix(suffix))

    def is_absolute(self) -> bool:
        return self._path.is_absolute()

    def is_relative_to(self, other: str | PurePath) -> bool:
        return self._path.is_relative_to(other)

    def relative_to(self, other: str | PurePath) -> PurePath:
        return self._path.relative_to(other)

    def match(self, pattern: str) -> bool:
        return self._path.match(pattern)

    def as_posix(self) -> str:
        return self._path.as_posix()

    def __fspath__(self) -> str:
        return str(self.resolve())

    # ---- as a value

    @property
    def _identity(self) -> tuple[str, str]:
        return ("" if self._base_dir is None else self._base_dir.key, self._path.as_posix())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FilePath) and other._identity == self._identity

    def __hash__(self) -> int:
        return hash(self._identity)  # tidy: allow hash (in-process dictionaries only)

    def __lt__(self, other: FilePath[Any]) -> bool:
        return self._identity < other._identity

    def __str__(self) -> str:
        return str(self._path)

    def __repr__(self) -> str:
        base = "" if self._base_dir is None else f", base_dir={self._base_dir!r}"
        return f"{type(self).__name__}({self._path.as_posix()!r}{base})"

    def __coco_memo_key__(self) -> object:
        return self._identity


@dataclass(frozen=True, slots=True)
class FileMetadata:
    """What a connector knows of a file without its contents."""

    size: int
    modified_time: datetime
    content_fingerprint: bytes | None = None
    """A digest of the contents, where it comes for free."""


class FileLike(ABC, Generic[ResolvedT]):
    """A file that can be read. Connectors derive from it.

    Passed to a memoized function it stands for the file at ``file_path``; whether the contents have
    changed since is checked by the connector's ``__coco_memo_state__``.
    """

    __slots__ = ("_file_path", "_metadata")

    def __init__(self, file_path: FilePath[ResolvedT], metadata: FileMetadata | None = None) -> None:
        self._file_path = file_path
        self._metadata = metadata

    @property
    def file_path(self) -> FilePath[ResolvedT]:
        """Where the file is."""
        return self._file_path

    @abstractmethod
    async def _fetch_metadata(self) -> FileMetadata:
        """Look it up at the source."""

    @abstractmethod
    async def _read_bytes(self, size: int) -> bytes:
        """At most ``size`` bytes from the start; -1 for all."""

    async def metadata(self) -> FileMetadata:
        """Metadata; looked up once."""
        if self._metadata is None:
            self._metadata = await self._fetch_metadata()
        return self._metadata

    async def size(self) -> int:
        """Size in bytes."""
        return (await self.metadata()).size

    async def modified_time(self) -> datetime:
        """When the contents last changed."""
        return (await self.metadata()).modified_time

    async def read(self, size: int = -1) -> bytes:
        """The contents, or the first ``size`` bytes of them."""
        return await self._read_bytes(size)

    async def read_text(self, encoding: str | None = None, errors: str = "replace") -> str:
        """The contents as text: by ``encoding``, or by the byte order mark, or as UTF-8."""
        return _decode(await self.read(), encoding, errors)

    async def content_fingerprint(self) -> bytes:
        """16 bytes that are equal for equal contents."""
        known = (await self.metadata()).content_fingerprint
        return blake2b(await self.read(), digest_size=16).digest() if known is None else known

    def __coco_memo_key__(self) -> object:
        return self._file_path.__coco_memo_key__()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._file_path!r})"


# The marks of UTF-32 come first: the one for little endian begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def _decode(data: bytes, encoding: str | None, errors: str) -> str:
    if encoding is None:
        encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8")
    return data.decode(encoding, errors)


class FilePathMatcher(Protocol):
    """Says which directories to walk and which files to take. Paths are relative to the walk's root."""

    def is_dir_included(self, path: PurePath) -> bool:
        """Whether to look into this directory."""

    def is_file_included(self, path: PurePath) -> bool:
        """Whether to take this file."""


class MatchAllFilePathMatcher(FilePathMatcher):
    """Takes everything."""

    def is_dir_included(self, path: PurePath) -> bool:
        return True

    def is_file_included(self, path: PurePath) -> bool:
        return True


class PatternFilePathMatcher(FilePathMatcher):
    r"""Takes files by glob patterns (``*`` stays within a directory, ``**/`` crosses any number).

    A file is taken if an included pattern matches it (or there are none) and it is not excluded. The last
    of ``excluded_patterns`` that matches a path decides: one that begins with ``!`` takes it back in. A
    path that none matches shares the fate of its directory, so that excluding a directory excludes what
    is in it. Write ``\!`` for a name that begins with an exclamation mark.
    """

    def __init__(
        self,
        included_patterns: Sequence[str] | None = None,
        excluded_patterns: Sequence[str] | None = None,
    ) -> None:
        """Raises ``ValueError`` that names a pattern that is not valid."""
        self._key = (_patterns(included_patterns), _patterns(excluded_patterns))
        included, excluded = self._key
        self._included = None if included is None else [Glob(pattern) for pattern in included]
        self._excluded: list[tuple[bool, Glob]] = []
        for pattern in excluded or ():
            negated = isinstance(pattern, str) and pattern.startswith("!")
            self._excluded.append((not negated, Glob(pattern[1:] if negated else pattern)))
        self._exceptions = [glob for excludes, glob in self._excluded if not excludes]

    def is_dir_included(self, path: PurePath) -> bool:
        """Whether the directory is not excluded, or an exception might match something in it."""
        text = path.as_posix()
        return not self._is_excluded(text) or any(glob.may_match_below(text) for glob in self._exceptions)

    def is_file_included(self, path: PurePath) -> bool:
        text = path.as_posix()
        if self._included is not None and not any(glob.matches(text) for glob in self._included):
            return False
        return not self._is_excluded(text)

    def _is_excluded(self, text: str) -> bool:
        while self._excluded and text:
            for excludes, glob in reversed(self._excluded):
                if glob.matches(text):
                    return excludes
            text = text.rpartition("/")[0]
        return False

    def __repr__(self) -> str:
        return f"PatternFilePathMatcher({self._key[0]!r}, {self._key[1]!r})"

    def __coco_memo_key__(self) -> object:
        return self._key


def _patterns(patterns: Sequence[str] | None) -> tuple[str, ...] | None:
    if isinstance(patterns, str):
        raise TypeError(f"patterns come in a list: write [{patterns!r}]")
    return None if patterns is None else tuple(patterns)
