"""What surrounds the database: its directory, and the room its log is written into."""

from __future__ import annotations

import contextlib
import os
import sys

if sys.platform == "darwin":
    import fcntl

__all__ = ["LOG_PREALLOCATED_BYTES", "file_size", "flush_data", "make_directories", "preallocate"]

LOG_PREALLOCATED_BYTES = 4 << 20


def file_size(path: str) -> int:
    """0 if it is not there."""
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0


def make_directories(directory: str, *, flush: bool) -> None:
    """As ``os.makedirs``; with ``flush``, the new names outlive a power cut."""
    missing: list[str] = []
    while not os.path.exists(directory):
        missing.append(directory)
        directory = os.path.dirname(directory)
    for name in reversed(missing):
        with contextlib.suppress(FileExistsError):  # somebody was faster
            os.mkdir(name)
        if flush and os.name != "nt":
            fd = os.open(os.path.dirname(name), os.O_RDONLY)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)


def flush_data(descriptor: int) -> None:
    """Wait until the device has the file's contents, and what it takes to find them."""
    if sys.platform == "darwin":
        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
    elif sys.platform == "win32":
        os.fsync(descriptor)
    else:
        os.fdatasync(descriptor)


def preallocate(log: str) -> None:
    """Fill the empty log with zeros, which SQLite reads as an empty log.

    Not by ``posix_fallocate``: that leaves extents marked as unwritten, and the flushes after it would have
    to change the marks. Best effort: a log that has to grow is slower, and as good.
    """
    with contextlib.suppress(OSError), open(log, "r+b", buffering=0) as file:
        if os.fstat(file.fileno()).st_size:
            return
        try:
            file.write(bytes(LOG_PREALLOCATED_BYTES))
            os.fsync(file.fileno())
        except OSError:
            file.truncate(0)
            raise
