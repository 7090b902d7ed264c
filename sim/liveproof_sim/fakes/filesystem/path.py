"""A path in the simulated file system that is used like a ``pathlib.Path``.

What is done through it is done by the outside world, a user's editor for example: no fault strikes it, and it
is on the disk at once. What the program under test writes by itself goes through ``FileSystem``.
"""

from __future__ import annotations

import errno
import io
import os
import re
import stat
from collections.abc import Iterator, Sequence
from fnmatch import translate
from pathlib import PurePath, PurePosixPath
from typing import IO, Any, Self

from liveproof.abc.filesystem import FileKind, FileStat
from liveproof_sim.fakes.filesystem.system import SimFileSystem
from liveproof_sim.fakes.filesystem.tree import error

__all__ = ["SimPath"]

NS = 1_000_000_000
_TYPES = {FileKind.FILE: stat.S_IFREG, FileKind.DIRECTORY: stat.S_IFDIR, FileKind.SYMLINK: stat.S_IFLNK}


class SimPath(PurePosixPath):
    """See the module. Made by ``world.fs.path()`` and ``world.fs.dir()``, and from others of its kind."""

    __slots__ = ("_bound",)
    _bound: SimFileSystem

    @classmethod
    def at(cls, system: SimFileSystem, *segments: str | PurePath) -> Self:
        """A path in this file system."""
        return cls(*segments)._of(system)

    def _of(self, system: SimFileSystem) -> Self:
        self._bound = system
        return self

    @property
    def system(self) -> SimFileSystem:
        """The file system that it is looked up in.

        Raises:
            RuntimeError: it was made without one.
        """
        try:
            return self._bound
        except AttributeError:
            raise RuntimeError(
                f"{str(self)!r} belongs to no world: make it by world.fs.path({str(self)!r})"
            ) from None

    # ---- as a PurePath: what comes from a path is in the same file system

    @property
    def parent(self) -> Self:
        return type(self)(super().parent)._of(self.system)

    @property
    def parents(self) -> Sequence[Self]:
        return tuple(type(self)(each)._of(self.system) for each in PurePosixPath(self).parents)

    def __truediv__(self, key: str | PurePath) -> Self:  # type: ignore[override]
        return self.joinpath(key)

    def __rtruediv__(self, key: str | PurePath) -> Self:  # type: ignore[override]
        return type(self)(key, self)._of(self.system)

    def joinpath(self, *others: str | PurePath) -> Self:  # type: ignore[override]
        return type(self)(self, *others)._of(self.system)

    def with_name(self, name: str) -> Self:
        return super().with_name(name)._of(self.system)

    def with_stem(self, stem: str) -> Self:
        return super().with_stem(stem)._of(self.system)

    def with_suffix(self, suffix: str) -> Self:
        return super().with_suffix(suffix)._of(self.system)

    def relative_to(self, *other: Any, **options: Any) -> Self:
        return super().relative_to(*other, **options)._of(self.system)

    def with_segments(self, *segments: str | PurePath) -> Self:
        """What Python 3.12 and later make new paths with."""
        return type(self)(*segments)._of(self.system)

    def __reduce__(self) -> tuple[Any, ...]:
        return (PurePosixPath, (str(self),))  # elsewhere there is no such file system

    # ---- looking

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """What is there, as ``os.stat`` has it. Raises ``OSError``, as all below."""
        found = self._stat(follow=follow_symlinks)
        times = (found.mtime_ns, found.mtime_ns, found.ctime_ns)
        seconds = [stamp // NS for stamp in times]
        mode = _TYPES[found.kind] | found.mode
        more: dict[str, Any] = {}
        for name, stamp in zip(("atime", "mtime", "ctime"), times, strict=True):
            more |= {f"st_{name}": stamp / NS, f"st_{name}_ns": stamp}
        return os.stat_result((mode, found.inode, found.device, 1, 0, 0, found.size, *seconds), more)

    def lstat(self) -> os.stat_result:
        """Of the name itself."""
        return self.stat(follow_symlinks=False)

    def _stat(self, *, follow: bool) -> FileStat:
        with self.system.outside():
            return self.system.stat(str(self), follow=follow)

    def _kind(self, *, follow: bool = True) -> FileKind | None:
        try:
            return self._stat(follow=follow).kind
        except OSError as exc:
            if exc.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                return None
            raise

    def exists(self) -> bool:
        """Whether it leads to anything."""
        return self._kind() is not None

    def is_file(self) -> bool:
        """Whether it leads to a file."""
        return self._kind() is FileKind.FILE

    def is_dir(self) -> bool:
        """Whether it leads to a directory."""
        return self._kind() is FileKind.DIRECTORY

    def is_symlink(self) -> bool:
        """Whether it is a symbolic link itself."""
        return self._kind(follow=False) is FileKind.SYMLINK

    def iterdir(self) -> Iterator[Self]:
        """What is in this directory, by name; as of the call."""
        with self.system.outside():
            entries = self.system.scan(str(self))
        return iter([self / entry.name for entry in entries])

    def glob(self, pattern: str) -> Iterator[Self]:
        """What matches below this directory, sorted; ``**`` matches any number of directories.

        Raises:
            ValueError: the pattern is empty.
            NotImplementedError: the pattern is absolute.
        """
        if not pattern:
            raise ValueError(f"Unacceptable pattern: {pattern!r}")
        if pattern.startswith("/"):
            raise NotImplementedError("Non-relative patterns are unsupported")
        found = dict.fromkeys(self._matching(PurePosixPath(pattern).parts))
        return iter(sorted(found))

    def rglob(self, pattern: str) -> Iterator[Self]:
        """As :meth:`glob`, in all directories below."""
        return self.glob(f"**/{pattern}")

    def _matching(self, parts: tuple[str, ...]) -> Iterator[Self]:
        if not parts:
            yield self
            return
        if not self.is_dir():
            return
        first, rest = parts[0], parts[1:]
        if first == "**":
            if rest:
                yield from self._matching(rest)
            else:
                yield self
            for child in self.iterdir():
                if child.is_dir() and not child.is_symlink():
                    yield from child._matching(parts)
            return
        if not any(mark in first for mark in "*?["):
            if (self / first).exists():  # a broken link matches wildcards only
                yield from (self / first)._matching(rest)
            return
        fits = re.compile(translate(first)).match
        for child in self.iterdir():
            if fits(child.name):
                yield from child._matching(rest)

    def resolve(self, strict: bool = False) -> Self:
        """Without symbolic links. ``strict``: it must exist."""
        if strict:
            self._stat(follow=True)
        return type(self)(self.system.real(str(self)))._of(self.system)

    def absolute(self) -> Self:
        """From the root."""
        return type(self)(self.system.absolute(str(self)))._of(self.system)

    def readlink(self) -> Self:
        """Where a symbolic link leads."""
        with self.system.outside():
            return type(self)(self.system.read_link(str(self)))._of(self.system)

    def tree(self) -> dict[str, str | bytes]:
        """All files below: path relative to here -> text, or bytes if that is no UTF-8."""
        found: dict[str, str | bytes] = {}
        for path in self.rglob("*"):
            if path.is_file():
                data = path.read_bytes()
                try:
                    content: str | bytes = data.decode()
                except UnicodeDecodeError:
                    content = data
                found[PurePosixPath(path).relative_to(PurePosixPath(self)).as_posix()] = content
        return found

    # ---- contents

    def read_bytes(self) -> bytes:
        """All of a file."""
        with self.system.outside():
            return self.system.read(str(self))

    def read_text(self, encoding: str | None = None, errors: str | None = None) -> str:
        """All of a file; UTF-8 unless said otherwise."""
        with self.open("r", encoding=encoding, errors=errors) as file:
            text: str = file.read()
        return text

    def write_bytes(self, data: bytes) -> int:
        """Make it a file with these contents."""
        with self.system.outside():
            self.system.write(str(self), bytes(data))
        return len(data)

    def write_text(
        self, data: str, encoding: str | None = None, errors: str | None = None, newline: str | None = None
    ) -> int:
        """Make it a file with this text; UTF-8 unless said otherwise."""
        if not isinstance(data, str):
            raise TypeError(f"data must be str, not {type(data).__name__}")
        with self.open("w", encoding=encoding, errors=errors, newline=newline) as file:
            return file.write(data)

    def open(
        self,
        mode: str = "r",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> IO[Any]:
        """A file object. What is written is in the file when it is flushed or closed.

        Raises:
            ValueError: there is no such mode.
        """
        kind = "".join(sorted(mode.replace("b", "").replace("t", "")))
        if kind not in {"r", "w", "a", "x", "+r", "+w", "+a", "+x"} or ("b" in mode and "t" in mode):
            raise ValueError(f"invalid mode: {mode!r}")
        if "x" in kind and self._kind(follow=False) is not None:
            raise error(errno.EEXIST, str(self))
        data = b""
        if "r" in kind or ("a" in kind and self.exists()):
            data = self.read_bytes()
        else:
            self.write_bytes(b"")
        file = _Opened(self, data, kind)
        if "b" in mode:
            return file
        return io.TextIOWrapper(file, encoding or "utf-8", errors, newline)

    # ---- names

    def touch(self, mode: int = 0o666, exist_ok: bool = True) -> None:
        """Make an empty file, or set the time of one that is there."""
        if self._kind() is None:
            self.write_bytes(b"")
        elif not exist_ok:
            raise error(errno.EEXIST, str(self))
        else:
            with self.system.outside():
                self.system.set_times(str(self))

    def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        """Make a directory."""
        try:
            with self.system.outside():
                self.system.make_dir(str(self))
        except FileNotFoundError:
            if not parents or self.parent == self:
                raise
            self.parent.mkdir(parents=True, exist_ok=True)
            self.mkdir(mode, parents=False, exist_ok=exist_ok)
        except OSError:
            if not exist_ok or not self.is_dir():
                raise

    def rmdir(self) -> None:
        """Remove an empty directory."""
        with self.system.outside():
            self.system.remove_dir(str(self))

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove a file or a symbolic link."""
        try:
            with self.system.outside():
                self.system.remove(str(self))
        except FileNotFoundError:
            if not missing_ok:
                raise

    def rename(self, target: str | PurePath) -> Self:
        """Move it, over a file that is there."""
        with self.system.outside():
            self.system.replace(str(self), str(target))
        return type(self)(target)._of(self.system)

    replace = rename

    def symlink_to(self, target: str | PurePath, target_is_directory: bool = False) -> None:
        """Make it a symbolic link."""
        with self.system.outside():
            self.system.make_link(str(self), str(target))


class _Opened(io.BytesIO):
    """A file that is open: its contents, written back when they have changed."""

    def __init__(self, path: SimPath, data: bytes, kind: str) -> None:
        super().__init__(data)
        self._path = path
        self._kind = kind
        self._saved = data
        if "a" in kind:
            self.seek(0, io.SEEK_END)

    def readable(self) -> bool:
        return "r" in self._kind or "+" in self._kind

    def writable(self) -> bool:
        return self._kind != "r"

    def read(self, size: int | None = -1, /) -> bytes:
        if not self.readable():
            raise io.UnsupportedOperation("not readable")
        return super().read(size)

    def write(self, data: Any, /) -> int:
        if not self.writable():
            raise io.UnsupportedOperation("not writable")
        if "a" in self._kind:
            self.seek(0, io.SEEK_END)
        return super().write(data)

    def flush(self) -> None:
        super().flush()
        if self.writable() and (now := self.getvalue()) != self._saved:
            self._path.write_bytes(now)
            self._saved = now

    def close(self) -> None:
        if not self.closed:
            try:
                self.flush()
            finally:
                super().close()
