"""The machine's own files: :class:`liveproof.abc.filesystem.FileSystem` on ``os``."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
import time
from collections.abc import Iterator

from liveproof.abc.filesystem import Entry, FileKind, FileStat, Watch
from liveproof.backends.os_watch import open_watch, sync_device

__all__ = ["OsFileSystem"]

# Both are 0 where the platform has no such flag.
_NONBLOCK: int = getattr(os, "O_NONBLOCK", 0)
_BINARY: int = getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


class OsFileSystem:
    """Stateless; every call goes to the operating system."""

    __slots__ = ()

    def clock_ns(self) -> int:
        return time.time_ns()

    def absolute(self, path: str, /) -> str:
        # Not os.path.abspath(): it folds "a/.." away, which is another place if "a" is a symbolic link.
        return path if os.path.isabs(path) else os.path.join(os.getcwd(), path)

    def real(self, path: str, /) -> str:
        return os.path.realpath(path)

    def scan(self, directory: str, /) -> list[Entry]:
        entries: list[Entry] = []
        with os.scandir(directory) as found:
            for item in found:
                with contextlib.suppress(FileNotFoundError):  # vanished since the directory was read
                    entries.append(Entry(item.name, _file_stat(item.stat(follow_symlinks=False))))
        entries.sort(key=lambda entry: entry.name)
        return entries

    def stat(self, path: str, /, *, follow: bool = True) -> FileStat:
        return _file_stat(os.stat(path, follow_symlinks=follow))

    def read(self, path: str, size: int = -1, offset: int = 0, /) -> bytes:
        with _opened(path, os.O_RDONLY | _NONBLOCK) as fd:  # else opening a pipe waits for its writer
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode):
                code = errno.EISDIR if stat.S_ISDIR(found.st_mode) else errno.EINVAL
                raise OSError(code, "not a regular file", path)
            if offset:
                os.lseek(fd, offset, os.SEEK_SET)
            return _read_all(fd, size, hint=found.st_size - offset)

    def write(self, path: str, data: bytes, /, *, mode: int | None = None) -> None:
        with _opened(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, path) as fd:
            if mode is not None and hasattr(os, "fchmod"):
                os.fchmod(fd, mode)
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(fd, rest) :]

    def replace(self, source: str, destination: str, /) -> None:
        os.replace(source, destination)

    def remove(self, path: str, /) -> None:
        os.unlink(path)

    def make_dir(self, path: str, /) -> None:
        os.mkdir(path)

    def remove_dir(self, path: str, /) -> None:
        os.rmdir(path)

    def sync(self, path: str, /) -> None:
        with _opened(path, os.O_RDONLY if sys.platform != "win32" else os.O_RDWR) as fd:
            os.fsync(fd)

    def sync_dir(self, directory: str, /) -> None:
        if sys.platform != "win32":  # there, directories cannot be opened, nor need they be
            with _opened(directory, os.O_RDONLY) as fd:
                os.fsync(fd)

    def sync_all(self, path: str, /) -> None:
        if sys.platform != "win32":
            with _opened(path, os.O_RDONLY) as fd:
                sync_device(fd)

    def watch(self, root: str, /, *, recursive: bool) -> Watch:
        return open_watch(root, recursive=recursive)


@contextlib.contextmanager
def _opened(path: str, flags: int, blame: str | None = None) -> Iterator[int]:
    """A descriptor. Errors of calls on it are given the name of the file, which Python can't know."""
    fd = os.open(path, flags | _BINARY, 0o666)
    try:
        yield fd
    except OSError as exc:
        if exc.filename is None:
            exc.filename = blame or path
        raise
    finally:
        os.close(fd)


def _read_all(fd: int, size: int, *, hint: int) -> bytes:
    """``size`` bytes, or all; ``hint`` of them are expected, so that most files take two calls."""
    parts: list[bytes] = []
    left = size if size >= 0 else sys.maxsize
    want = max(hint, 0) + 1
    while left > 0:
        part = os.read(fd, min(left, want))
        if not part:
            break
        parts.append(part)
        left -= len(part)
        want = max(want - len(part), 1 << 16)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _file_stat(found: os.stat_result) -> FileStat:
    mode = found.st_mode
    if stat.S_ISREG(mode):
        kind = FileKind.FILE
    elif stat.S_ISDIR(mode):
        kind = FileKind.DIRECTORY
    elif stat.S_ISLNK(mode):
        kind = FileKind.SYMLINK
    else:
        kind = FileKind.OTHER
    return FileStat(
        kind,
        found.st_size,
        found.st_mtime_ns,
        found.st_ctime_ns,
        found.st_dev,
        found.st_ino,
        stat.S_IMODE(mode),
    )
