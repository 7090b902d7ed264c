"""The tree that processes see: directories, files, symbolic links, and how a path leads through them.

Names are resolved as on Linux: symbolic links on the way are always followed, at most 40 of them; a slash at
the end asks for a directory; errors carry Linux' numbers. Users and permissions are not looked at.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from liveproof.abc.filesystem import FileKind, FileStat

__all__ = ["Directory", "File", "Found", "Inode", "Link", "Tree", "error", "is_too_long"]

LINKS_MAX = 40
NAME_BYTES_MAX = 255
PATH_BYTES_MAX = 4095
DIRECTORY_BYTES = 4096
DEVICE = 1


def error(code: int, *paths: str) -> OSError:
    """As the operating system's: one path, or the two of a rename."""
    if len(paths) == 2:
        return OSError(code, os.strerror(code), paths[0], None, paths[1])
    return OSError(code, os.strerror(code), *paths)


@dataclass(slots=True, eq=False)
class _Node:
    number: int
    mode: int
    mtime_ns: int
    ctime_ns: int


@dataclass(slots=True, eq=False)
class File(_Node):
    """Contents."""

    data: bytes = b""
    bad: bool = False
    """some block can not be read, until it is written again"""

    def stat(self) -> FileStat:
        """What is known of it."""
        size = len(self.data)
        return FileStat(FileKind.FILE, size, self.mtime_ns, self.ctime_ns, DEVICE, self.number, self.mode)


@dataclass(slots=True, eq=False)
class Link(_Node):
    """A symbolic link."""

    target: str = ""

    def stat(self) -> FileStat:
        """Of the link itself."""
        size = len(self.target.encode("utf-8", "surrogateescape"))
        return FileStat(FileKind.SYMLINK, size, self.mtime_ns, self.ctime_ns, DEVICE, self.number, self.mode)


@dataclass(slots=True, eq=False)
class Directory(_Node):
    """Names."""

    entries: dict[str, Inode] = field(default_factory=dict)
    parent: Directory | None = None
    """``None``: the root, or a directory that was removed"""
    name: str = ""
    """in its parent"""

    def stat(self) -> FileStat:
        """What is known of it."""
        return FileStat(
            FileKind.DIRECTORY,
            DIRECTORY_BYTES,
            self.mtime_ns,
            self.ctime_ns,
            DEVICE,
            self.number,
            self.mode,
        )

    def path(self, name: str = "") -> str:
        """Where it is, or ``name`` in it, without symbolic links."""
        parts = [name] if name else []
        here = self
        while here.parent is not None:
            parts.append(here.name)
            here = here.parent
        return "/" + "/".join(reversed(parts))


Inode: TypeAlias = File | Directory | Link


class Found(NamedTuple):
    """Where a path leads."""

    directory: Directory
    """that holds the last name"""
    name: str
    """the last name; "", "." or ".." if the path does not end in a name of its own"""
    inode: Inode | None
    slash: bool
    """whether the path ends in a slash"""


class Tree:
    """A root and its numbering. ``touch`` is told of each directory entry that is looked at."""

    def __init__(self, now_ns: int) -> None:
        self._numbers = 1
        self.root = Directory(self.number(), 0o755, now_ns, now_ns)
        self.touch: Callable[[Directory, str], None] | None = None

    def number(self) -> int:
        """The next inode's: never used before."""
        self._numbers += 1
        return self._numbers

    def find(self, path: str, *, follow: bool = True, slash_follows: bool = True) -> Found:
        """Resolve a path; its last name need not exist. ``follow``: also a symbolic link at the end, which
        a slash at the end asks for, too, unless not ``slash_follows`` (as in mkdir, rename, unlink). With
        neither, only the directory is looked up: a last name that is too long is the caller's to refuse.

        Raises:
            OSError: ENOENT, ENOTDIR, ELOOP or ENAMETOOLONG, with the path as it was given.
        """
        rest = _parts(path, path)
        slash = path.endswith("/")
        here, name, links = self.root, "", 0
        while rest:
            name = rest.pop()
            if name in {"..", "."}:
                if name == ".." and here.parent is not None:
                    here = here.parent
                continue
            if is_too_long(name):
                if rest or follow or slash_follows:
                    raise error(errno.ENAMETOOLONG, path)
                return Found(here, name, None, slash)
            if self.touch is not None:
                self.touch(here, name)
            inode = here.entries.get(name)
            if isinstance(inode, Link) and (rest or follow or (slash and slash_follows)):
                links += 1
                if links > LINKS_MAX:
                    raise error(errno.ELOOP, path)
                slash = slash or (not rest and inode.target.endswith("/"))
                rest += _parts(inode.target, path)
                if inode.target.startswith("/"):
                    here, name = self.root, ""
                continue
            if not rest:
                return Found(here, name, inode, slash)
            if inode is None:
                raise error(errno.ENOENT, path)
            if not isinstance(inode, Directory):
                raise error(errno.ENOTDIR, path)
            here = inode
        return Found(here.parent or here, name, here, slash)

    def get(self, path: str, *, follow: bool = True) -> Inode:
        """What is there.

        Raises:
            OSError: as :meth:`find`; ENOENT if nothing is, ENOTDIR for a file with a slash.
        """
        found = self.find(path, follow=follow)
        if found.inode is None:
            raise error(errno.ENOENT, path)
        if found.slash and not isinstance(found.inode, Directory):
            raise error(errno.ENOTDIR, path)
        return found.inode

    def real(self, path: str) -> str:
        """An absolute path with all symbolic links followed, as far as names exist; a loop stays as it is."""
        return self._real("/", path, {})[0]

    def _real(self, base: str, path: str, seen: dict[str, str | None]) -> tuple[str, bool]:
        """As ``os.path.realpath``, whose answers it gives; False: there was a loop."""
        here = "/" if path.startswith("/") else base
        names = path.split("/")
        for position, name in enumerate(names):
            if name in {"", "."}:
                continue
            if name == "..":
                here = os.path.dirname(here)  # noqa: PTH120 - strings of this tree
                continue
            whole = f"{here.rstrip('/')}/{name}"
            try:
                inode = self.find(whole, follow=False).inode
            except OSError:
                inode = None
            if not isinstance(inode, Link):
                here = whole
                continue
            if whole in seen:
                known = seen[whole]
                if known is None:  # it is being resolved: a loop
                    return "/".join([whole, *names[position + 1 :]]), False
                here = known
                continue
            seen[whole] = None
            here, whole_way = self._real(here, inode.target, seen)
            if not whole_way:
                return os.path.normpath("/".join([here, *names[position + 1 :]])), False
            seen[whole] = here
        return here, True


def is_too_long(name: str) -> bool:
    """Whether no file can have this name."""
    return len(name) * 4 > NAME_BYTES_MAX and len(name.encode("utf-8", "surrogateescape")) > NAME_BYTES_MAX


def _parts(path: str, blame: str) -> list[str]:
    """The names, last first."""
    if not path:
        raise error(errno.ENOENT, blame)
    if "\0" in path:
        raise ValueError("embedded null byte")
    if len(path.encode("utf-8", "surrogateescape")) > PATH_BYTES_MAX:
        raise error(errno.ENAMETOOLONG, blame)
    return [name for name in reversed(path.split("/")) if name]
