"""The lock that makes a store one process's own (DUR-4).

It is taken on a file *beside* the store, so that SQLite's own locks on the store are left alone, and it
belongs to an open file description, so that

* the kernel drops it when the holder dies, however it dies: there are no stale locks, and the file that
  stays behind means nothing;
* a second store in the same process is refused too (POSIX ``fcntl`` locks would let it in, and worse,
  would be dropped by any ``close`` of the file);
* a forked child would share it and keep it past the parent's death. So the child closes its copy, which
  leaves the parent's lock alone.

The file holds the holder's pid, for messages only: it is never believed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import weakref

from liveproof.backends.store_errors import from_os
from liveproof.errors import StoreBusyError

__all__ = ["StoreLock"]

_held: weakref.WeakSet[StoreLock] = weakref.WeakSet()


class StoreLock:
    """Held from construction to :meth:`release`. ``path`` is the store, not the lock file."""

    def __init__(self, path: str) -> None:
        self._fd = -1
        self._file = path + ".lock"
        try:
            fd = os.open(self._file, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o644)
        except OSError as error:
            raise from_os(error, path) from error
        try:
            _lock(fd)
        except OSError as error:
            holder = _read_pid(fd)
            os.close(fd)
            if error.errno not in {errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK}:
                raise from_os(error, path) from error
            who = f"process {holder}" if holder else "another process"
            if holder == os.getpid():
                who = f"this process ({holder})"
            raise StoreBusyError(
                f"store {path} is already open in {who}; a store has one writer: "
                "stop it or close the store there, or give this one its own path",
                path,
            ) from None
        self._fd = fd
        _held.add(self)
        # A pid that can't be written, on a full device say, costs a word in a message and nothing else.
        with contextlib.suppress(OSError):
            os.ftruncate(fd, 0)
            os.write(fd, b"%d\n" % os.getpid())

    def release(self) -> None:
        """Let others in. The file stays: removing it would let two holders in through two files."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            _held.discard(self)
            os.close(fd)


def _read_pid(fd: int) -> int | None:
    try:
        os.lseek(fd, 0, os.SEEK_SET)
        return int(os.read(fd, 20))
    except (OSError, ValueError):
        return None


def _close_in_child() -> None:
    for lock in list(_held):
        lock.release()


if sys.platform == "win32":
    import msvcrt

    def _lock(fd: int) -> None:
        os.lseek(fd, 1 << 30, os.SEEK_SET)  # past the pid, which others must be able to read
        msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        os.lseek(fd, 0, os.SEEK_SET)

else:
    import fcntl

    def _lock(fd: int) -> None:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)

    os.register_at_fork(after_in_child=_close_in_child)
