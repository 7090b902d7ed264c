"""Applying what the targets want: writing, replacing, removing, and making that durable.

A file is written under a temporary name beside it and then renamed over it. A deletion touches only what
was written here before: a directory goes when it is empty, so a stranger's file keeps it. Nothing below a
target directory is written or removed through a symbolic link that leads out of it.

Every action can be repeated; what a crash left half done (a temporary file, say) the next one clears away.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from hashlib import blake2b
from pathlib import PurePath, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from liveproof.abc.filesystem import FileKind, FileStat, FileSystem
from liveproof.connectors.localfs._walk import TEMPORARY_SUFFIX, is_gone

if TYPE_CHECKING:
    from liveproof.core.provider import ContextProvider

__all__ = ["Action", "Place", "apply", "settle"]

NAME_BYTES_MAX = 255
"""Longest name of a file that every common file system takes."""
SYNCS_MAX = 64
"""From this many files on, one flush of the whole device is cheaper than theirs."""
ATTEMPTS_MAX = 5
"""How often a directory may vanish under a write, because the last other file in it is removed meanwhile."""

_NOT_EMPTY = (errno.ENOTEMPTY, errno.EEXIST)


class Place(NamedTuple):
    """A directory that is a target, by what it goes by across runs."""

    base: str | None
    """Key of the base directory."""
    root: str
    """Path of the root target, below the base if there is one."""
    inner: str = ""
    """Path of this directory below the root target."""

    def inside(self, name: str) -> Place:
        """The directory ``name`` in this one; "" for the same."""
        if not name:
            return self
        return self._replace(inner=f"{self.inner}/{name}" if self.inner else name)


class Action(NamedTuple):
    """What to do for one name."""

    place: Place
    name: str
    """Path below ``place``; "" for the root target itself."""
    content: bytes | None
    """Of a file to be written; ``None`` for a directory."""
    parents: bool
    """Whether missing directories are made."""
    delete: bool
    was_file: bool
    """Whether we may have written a file here …"""
    was_dir: bool
    """… or a directory."""


class _Job:
    """One action, with its paths."""

    __slots__ = ("action", "directory", "path", "root")

    def __init__(self, action: Action, root: str) -> None:
        self.action = action
        self.root = root
        inner = action.place.inside(action.name).inner
        full = PurePath(root) / inner
        self.path = str(full)
        self.directory = str(full.parent)

    @property
    def depth(self) -> int:
        return len(PurePath(self.path).parts)

    def between(self) -> list[str]:
        """The directories from the file's own up to its target directory, which is left out."""
        names = PurePosixPath(self.action.name).parts[:-1]
        return [str(parent) for parent in PurePath(self.path).parents][: len(names)]


def apply(context_provider: ContextProvider, actions: Sequence[Action]) -> None:
    """Apply a batch: deletions first, the deepest first of all, then directories, then files."""
    filesystem: FileSystem = context_provider.filesystem
    jobs: list[_Job] = []
    errors: list[Exception] = []
    for action in actions:
        try:
            jobs.append(_Job(action, _root_of(context_provider, filesystem, action.place)))
        except Exception as exc:  # noqa: BLE001 - it must not stop the others
            errors.append(exc)
    guard = _Guard(filesystem)
    deletions = sorted((job for job in jobs if job.action.delete), key=lambda job: -job.depth)
    directories = sorted(
        (job for job in jobs if not job.action.delete and job.action.content is None),
        key=lambda job: job.depth,
    )
    files = [job for job in jobs if not job.action.delete and job.action.content is not None]
    for job in (*deletions, *directories, *files):
        try:
            guard.check(job)
            _carry_out(filesystem, job)
        except Exception as exc:  # noqa: BLE001 - as above
            if isinstance(exc, OSError):
                # A temporary file's name, or none at all, would help nobody.
                exc.filename, exc.filename2 = job.path, None
            errors.append(exc)
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise ExceptionGroup(f"{len(errors)} of {len(actions)} files could not be written or removed", errors)


def _root_of(context_provider: ContextProvider, filesystem: FileSystem, place: Place) -> str:
    if place.base is None:
        return place.root
    base = filesystem.absolute(str(context_provider.get(place.base)))
    return str(PurePath(base) / place.root)


class _Guard:
    """Keeps actions inside the root target, whatever symbolic links lie in it."""

    def __init__(self, filesystem: FileSystem) -> None:
        self._real = filesystem.real
        self._known: dict[str, PurePath] = {}

    def check(self, job: _Job) -> None:
        """Raises ``ValueError`` that names the path."""
        if job.directory == job.root or job.path == job.root:
            return
        if not self._resolve(job.directory).is_relative_to(self._resolve(job.root)):
            raise ValueError(
                f"{job.path!r} leads out of the target directory {job.root!r} by a symbolic link; "
                "nothing was written or removed there"
            )

    def _resolve(self, directory: str) -> PurePath:
        known = self._known.get(directory)
        if known is None:
            known = self._known[directory] = PurePath(self._real(directory))
        return known


def _carry_out(filesystem: FileSystem, job: _Job) -> None:
    if job.action.delete:
        _delete(filesystem, job)
    elif job.action.content is None:
        _make_directory(filesystem, job)
    else:
        _write_file(filesystem, job, job.action.content)


def _stat(filesystem: FileSystem, path: str) -> FileStat | None:
    try:
        return filesystem.stat(path, follow=False)
    except OSError as exc:
        if is_gone(exc):
            return None
        raise


def _delete(filesystem: FileSystem, job: _Job) -> None:
    action = job.action
    found = _stat(filesystem, job.path)
    if action.was_file:
        _remove_if_there(filesystem, temporary_name(job.path))
        if found is not None and found.kind in (FileKind.FILE, FileKind.SYMLINK):
            _remove_if_there(filesystem, job.path)
    if action.was_dir and found is not None and found.kind is FileKind.DIRECTORY:
        _remove_if_empty(filesystem, job.path)
    for directory in job.between():
        if not _remove_if_empty(filesystem, directory):
            break


def _remove_if_there(filesystem: FileSystem, path: str) -> None:
    try:
        filesystem.remove(path)
    except OSError as exc:
        if not is_gone(exc):
            raise


def _remove_if_empty(filesystem: FileSystem, directory: str) -> bool:
    """Whether it is gone. What can not be told apart from "not empty" is left alone, too."""
    try:
        filesystem.remove_dir(directory)
    except OSError as exc:
        if is_gone(exc):
            return isinstance(exc, FileNotFoundError)
        if exc.errno in _NOT_EMPTY or exc.errno == errno.EBUSY:
            return False
        raise
    return True


def _make_directory(filesystem: FileSystem, job: _Job) -> None:
    found = _stat(filesystem, job.path)
    if found is not None and found.kind is FileKind.FILE and job.action.was_file:
        filesystem.remove(job.path)
    _make_directories(filesystem, job.path, parents=job.action.parents)


def _make_directories(filesystem: FileSystem, directory: str, *, parents: bool) -> None:
    """Make a directory unless there is one; with ``parents``, those above it, too."""
    missing = [directory]
    while missing:
        try:
            filesystem.make_dir(missing[-1])
        except FileExistsError:
            if filesystem.stat(missing[-1]).kind is not FileKind.DIRECTORY:
                raise
        except FileNotFoundError:
            above = str(PurePath(missing[-1]).parent)
            if not parents or above == missing[-1] or len(missing) > 1000:
                raise
            missing.append(above)
            continue
        missing.pop()


def temporary_name(path: str) -> str:
    """Where a file is written before it gets its name."""
    full = PurePath(path)
    name = f".{full.name}{TEMPORARY_SUFFIX}"
    if len(name.encode("utf-8", "surrogateescape")) > NAME_BYTES_MAX:
        digest = blake2b(full.name.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
        name = f".{digest}{TEMPORARY_SUFFIX}"
    return str(full.with_name(name))


def _write_file(filesystem: FileSystem, job: _Job, content: bytes) -> None:
    found = _stat(filesystem, job.path)
    if found is not None and found.kind is FileKind.DIRECTORY:
        if not _remove_if_empty(filesystem, job.path):
            raise IsADirectoryError(errno.EISDIR, "there is a directory that is not empty", job.path)
        found = None
    mode = found.mode if found is not None and found.kind is FileKind.FILE else None
    temporary = temporary_name(job.path)
    for attempt in range(ATTEMPTS_MAX):
        try:
            filesystem.write(temporary, content, mode=mode)
            filesystem.replace(temporary, job.path)
        except FileNotFoundError:
            # The directory is missing. Our target directory itself is always made anew.
            top = not job.between() and job.action.name != ""
            if attempt + 1 == ATTEMPTS_MAX or not (job.action.parents or top):
                raise
            _make_directories(filesystem, job.directory, parents=True)
        except BaseException:
            _remove_if_there(filesystem, temporary)
            raise
        else:
            return


def settle(context_provider: ContextProvider, actions: Sequence[Action]) -> None:
    """Let what was applied survive a power cut."""
    filesystem: FileSystem = context_provider.filesystem
    files: dict[str, None] = {}
    directories: dict[str, None] = {}
    roots: dict[str, None] = {}
    for action in actions:
        job = _Job(action, _root_of(context_provider, filesystem, action.place))
        if action.content is not None and not action.delete:
            files[job.path] = None
        directories[job.directory] = None
        # Directories on the way may be new as well: their names are in those above them.
        directories.update(dict.fromkeys(str(PurePath(path).parent) for path in job.between()))
        roots[job.root] = None
    if len(files) + len(directories) > SYNCS_MAX:
        for root in roots:
            _nearest(filesystem.sync_all, root)
        return
    for path in files:
        try:
            filesystem.sync(path)
        except OSError as exc:
            if not is_gone(exc):  # by a later action, which is settled by itself
                raise
    for directory in directories:
        _nearest(filesystem.sync_dir, directory)


def _nearest(sync: Callable[[str], None], directory: str) -> None:
    """Call ``sync`` for the directory, or, if it is gone, for the one that it was in."""
    path = PurePath(directory)
    while True:
        try:
            sync(str(path))
        except OSError as exc:
            if not is_gone(exc) or path == path.parent:
                raise
            path = path.parent
        else:
            return
