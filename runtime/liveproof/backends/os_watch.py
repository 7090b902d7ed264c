"""Watching the machine's files.

On Linux this is inotify itself, because the ``watchfiles`` package, which serves the other systems, cannot
keep the promises of :class:`liveproof.abc.filesystem.Watch` there: it drops the kernel's "queue overflow"
event, so lost changes stay lost (FEED-2); it fails on names that are no UTF-8; it reports a new directory
before it watches it; and it polls, in a thread of its own. Here, waiting is one readable descriptor in
the event loop: no thread, no polling, an end as soon as the task is cancelled.

What no backend sees: writes through another name of a file (a hard link outside the tree), changes made by
another machine on a network file system, and a move of a directory above the root. Sources rescan from time
to time for these.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import struct
import sys
import threading
from collections.abc import Iterator

import anyio
import anyio.to_thread
from watchfiles._rust_notify import RustNotify  # documented, though the name is private

from liveproof.abc.filesystem import Changes, Watch

__all__ = ["InotifyWatch", "WatchfilesWatch", "open_watch", "sync_device"]

QUIET_S = 0.005
"""A burst is over when nothing has happened for so long …"""
BURST_S = 0.05
"""… and is handed over after so long in any case."""

_ACCESS_ERRORS = (errno.EACCES, errno.EPERM)
_EVENT = struct.Struct("iIII")  # struct inotify_event: wd, mask, cookie, length of the name that follows

_MODIFY, _ATTRIB, _CLOSE_WRITE = 0x2, 0x4, 0x8
_MOVED_FROM, _MOVED_TO, _CREATE, _DELETE = 0x40, 0x80, 0x100, 0x200
_DELETE_SELF, _MOVE_SELF, _UNMOUNT, _OVERFLOW, _IGNORED = 0x400, 0x800, 0x2000, 0x4000, 0x8000
_ONLYDIR, _MASK_ADD = 0x0100_0000, 0x2000_0000
_NAMES = _CREATE | _DELETE | _MOVED_FROM | _MOVED_TO
_ALL = _NAMES | _MODIFY | _ATTRIB | _CLOSE_WRITE | _DELETE_SELF | _MOVE_SELF | _ONLYDIR


def open_watch(root: str, *, recursive: bool) -> Watch:
    """The best watch that this system has."""
    if sys.platform == "linux":
        return InotifyWatch(root)
    return WatchfilesWatch(root, recursive=recursive)


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def sync_device(fd: int) -> None:
    """Flush the file system that holds ``fd``; where there is no such call, all of them."""
    if sys.platform == "linux":
        _checked(_libc().syncfs(fd), None)
    else:
        os.sync()


def _checked(result: int, path: str | None) -> int:
    """``result``, unless it is C's -1. Raises ``OSError``."""
    if result < 0:
        code = ctypes.get_errno()
        hint = ""
        if code == errno.ENOSPC and path is not None:
            hint = ": the limit fs.inotify.max_user_watches is reached"
        elif code == errno.EMFILE:
            hint = ": perhaps the limit fs.inotify.max_user_instances is reached"
        raise OSError(code, os.strerror(code) + hint, path)
    return result


class InotifyWatch:
    """A watch by inotify.

    The kernel has one watch descriptor per directory, however many names lead to it; ``_names`` holds the
    names that each one was added under. The root's parent is watched for the root's own name, so that a
    root that is removed, replaced (by a symbolic link turned round, say) or put back is noticed.
    """

    def __init__(self, root: str) -> None:
        self._lock = threading.Lock()  # add() runs in worker threads while the loop reads
        self._names: dict[int, dict[str, str | None]] = {}
        """Descriptor → directory → the one name in it to report, or ``None`` for all."""
        self._descriptors: dict[str, int] = {}
        self._fd = _checked(_libc().inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC), None)
        self._closed = False
        self._unread: dict[str, None] | None = None
        """What a cancelled changes() had read already …"""
        self._unread_lost = False
        """… and whether something was lost."""
        try:
            self.add(root)
            self._root = self._descriptors[root]
            self._watch_own_name(root)
        except BaseException:
            self.close()
            raise

    def _watch_own_name(self, root: str) -> None:
        parent, name = os.path.split(root.rstrip("/"))
        self._root_name = name
        if not name or name in (".", ".."):
            return
        try:
            self._add(parent or ".", _NAMES | _ONLYDIR | _MASK_ADD, name)
        except OSError as exc:
            if exc.errno not in _ACCESS_ERRORS:
                raise
            # A parent that we may pass through but not read: the root's own events have to do.

    def add(self, directory: str, /) -> None:
        self._add(directory, _ALL, None)

    def _add(self, directory: str, mask: int, only: str | None) -> None:
        with self._lock:
            if self._closed:
                return
            raw = os.fsencode(directory)
            wd = _checked(_libc().inotify_add_watch(self._fd, raw, mask), directory)
            old = self._descriptors.get(directory)
            if old is not None and old != wd:  # another directory has taken the name over
                self._forget(old, directory)
            self._descriptors[directory] = wd
            self._names.setdefault(wd, {})[directory] = only

    def discard(self, directory: str, /) -> None:
        with self._lock:
            wd = self._descriptors.pop(directory, None)
            if wd is None or self._closed or wd == self._root:
                return
            self._forget(wd, directory)
            if wd not in self._names:
                _libc().inotify_rm_watch(self._fd, wd)  # fails when the directory is gone: fine

    def _forget(self, wd: int, directory: str) -> None:
        names = self._names.get(wd, {})
        names.pop(directory, None)
        if not names:
            self._names.pop(wd, None)

    async def changes(self) -> Changes:
        paths: dict[str, None] = {}
        while not (lost := self._drain(paths)) and not paths:
            await self._readable()
        # From here on nothing may be lost to a cancellation; move_on_after() swallows only its own.
        try:
            with anyio.move_on_after(BURST_S):
                quiet = False
                while not lost and not quiet:
                    with anyio.move_on_after(QUIET_S) as pause:
                        await self._readable()
                        lost = self._drain(paths)
                    quiet = pause.cancelled_caught
        except BaseException:
            self._unread = paths
            self._unread_lost = lost
            raise
        return Changes(tuple(paths), lost)

    async def _readable(self) -> None:
        try:
            await anyio.wait_readable(self._fd)
        except anyio.ClosedResourceError:
            raise OSError(errno.EBADF, "the watch is closed") from None

    def _drain(self, paths: dict[str, None]) -> bool:
        """Read what is there. Whether something was lost."""
        lost = False
        if self._unread is not None:
            paths.update(self._unread)
            lost, self._unread = self._unread_lost, None
        while not self._closed:
            try:
                data = os.read(self._fd, 1 << 16)
            except BlockingIOError:
                return lost
            with self._lock:
                for wd, mask, name in _events(data):
                    lost |= self._take(wd, mask, name, paths)
        raise OSError(errno.EBADF, "the watch is closed")

    def _take(self, wd: int, mask: int, name: bytes, paths: dict[str, None]) -> bool:
        if mask & (_OVERFLOW | _UNMOUNT):
            return True
        if mask & (_DELETE_SELF | _MOVE_SELF):
            return wd == self._root  # of any other directory its parent tells the same
        names = self._names.get(wd)
        if names is None:
            return False  # discarded, and this event was still under way
        if mask & _IGNORED:  # the kernel has dropped the watch: the directory is gone
            for directory in names:
                self._descriptors.pop(directory, None)
            del self._names[wd]
            return wd == self._root
        lost = False
        for directory, only in names.items():
            if only is None:
                paths[os.path.join(directory, os.fsdecode(name)) if name else directory] = None
            elif os.fsdecode(name) == only and mask & _NAMES:
                lost = True
        return lost

    def close(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
            try:
                anyio.notify_closing(self._fd)
            except anyio.NoEventLoopError:
                pass  # closed from outside a loop: then nobody is waiting
            os.close(self._fd)


def _events(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    at = 0
    while at < len(data):
        wd, mask, _cookie, length = _EVENT.unpack_from(data, at)
        at += _EVENT.size
        yield wd, mask, data[at : at + length].rstrip(b"\0")
        at += length


class WatchfilesWatch:
    """A watch by the ``watchfiles`` package; the head of this module says what it does not see."""

    def __init__(self, root: str, *, recursive: bool) -> None:
        self._root = root
        self._stop = threading.Event()
        self._notify = RustNotify([root], False, False, 300, recursive, True)

    def add(self, directory: str, /) -> None:
        """Nothing to do below the root, and above it nothing that can be done."""

    def discard(self, directory: str, /) -> None:
        """Nothing to do, as in :meth:`add`."""

    async def changes(self) -> Changes:
        wait = functools.partial(self._notify.watch, 50, 10, 0, self._stop)
        while True:
            try:
                found = await anyio.to_thread.run_sync(wait, abandon_on_cancel=True)
            except anyio.get_cancelled_exc_class():
                self._stop.set()  # or the abandoned thread would wait for ever
                raise
            except RuntimeError:  # a name that is no UTF-8, or an error of the system's
                return Changes((), lost=True)
            if isinstance(found, str):
                if self._stop.is_set():
                    raise OSError(errno.EBADF, "the watch is closed")
                continue
            paths = sorted(path for _, path in found)
            gone = self._root in paths and not os.path.isdir(self._root)  # noqa: ASYNC240 - once
            return Changes(tuple(dict.fromkeys(paths)), lost=gone)

    def close(self) -> None:
        self._stop.set()
        self._notify.close()
