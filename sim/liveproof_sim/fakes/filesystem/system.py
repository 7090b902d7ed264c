"""The simulated file system: what the runtime calls.

Every call is one atomic step, as a body of blocking work is. A call that changes something first asks
``before_call`` (a crash point, which may raise), then which fault strikes, then changes the tree, notes what
is pending on the disk, and tells the watches.

Not modelled: users and permission checks (``disk.eacces`` strikes by choice), hard links, special files, the
time of last access, a file that is removed while it is open.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable, Hashable, Iterator
from dataclasses import replace

from liveproof.abc.filesystem import Entry, FileStat
from liveproof_sim.fakes.filesystem.crash import Draw, choose, legal_states
from liveproof_sim.fakes.filesystem.disk import Disk, Image
from liveproof_sim.fakes.filesystem.rename import ends
from liveproof_sim.fakes.filesystem.tree import Directory, File, Found, Inode, Link, Tree, error, is_too_long
from liveproof_sim.fakes.filesystem.trouble import Trouble
from liveproof_sim.fakes.filesystem.watch import SimWatch, Watches

__all__ = ["SimFileSystem"]

EPOCH_NS = 1_704_067_200_000_000_000
"""The time where there is no clock: 2024-01-01."""


class SimFileSystem:
    """:class:`liveproof.abc.filesystem.FileSystem` in memory. ``disk.py`` tells its physics.

    Args:
        clock: what stamps times, in nanoseconds; by default time stands still.
        trouble: which faults strike; by default none.
        block: bytes that reach the platter together.
        capacity: how many bytes all files may have together; ``None``: any number.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], int] = lambda: EPOCH_NS,
        trouble: Trouble | None = None,
        block: int = 4096,
        capacity: int | None = None,
    ) -> None:
        self.clock_ns = clock
        self.trouble = trouble or Trouble()
        self.capacity = capacity
        self.cwd = "/"
        self.before_call: Callable[[str, str], None] | None = None
        """Told the name and the path of every call that changes something or makes it durable, before it
        does; what it raises, the call raises."""
        self._tree = Tree(clock())
        self._disk = Disk(self._tree.root, block=block)
        self._watches = Watches(self.trouble)
        self._touch: Callable[[Hashable, bool], None] | None = None
        self._outside = 0

    @property
    def touch(self) -> Callable[[Hashable, bool], None] | None:
        """Told of everything that a call reads (``False``) or writes (``True``): ``("fs", path)``, an entry
        and what it stands for; ``("fs-dir", path)``, the list of names in a directory; ``("fs-watch", n)``,
        the queue of a watch; ``("fs-all",)``, what ``sync_all`` looks at; ``("fs-space",)``, what is left of
        the capacity. Paths are without symbolic links."""
        return self._touch

    @touch.setter
    def touch(self, told: Callable[[Hashable, bool], None] | None) -> None:
        self._touch = self._watches.touch = told
        self._tree.touch = (
            None if told is None else lambda directory, name: told(("fs", directory.path(name)), False)
        )

    # ---- looking

    def absolute(self, path: str, /) -> str:
        if path.startswith("/"):
            return path
        return f"{self.cwd.rstrip('/')}/{path}"

    def real(self, path: str, /) -> str:
        return self._tree.real(self.absolute(path))

    def scan(self, directory: str, /) -> list[Entry]:
        here = self._directory(directory)
        self._trouble("scan", directory)
        if self._touch is not None:
            self._touch(("fs-dir", here.path()), False)
            for name in here.entries:
                self._touch(("fs", here.path(name)), False)
        return [Entry(name, inode.stat()) for name, inode in sorted(here.entries.items())]

    def stat(self, path: str, /, *, follow: bool = True) -> FileStat:
        inode = self._get(path, follow=follow)
        self._trouble("stat", path)
        return inode.stat()

    def read(self, path: str, size: int = -1, offset: int = 0, /) -> bytes:
        file = self._file(path)
        self._trouble("read", path)
        if file.bad or (not self._outside and self.trouble.goes_bad(path)):
            file.bad = True
            raise error(errno.EIO, path)
        return file.data[offset:] if size < 0 else file.data[offset : offset + size]

    # ---- changing

    def write(self, path: str, data: bytes, /, *, mode: int | None = None) -> None:
        self._before("write", path)
        found = self._find(path, parent=path.endswith("/"))
        if found.slash or isinstance(found.inode, Directory):
            raise error(errno.EISDIR, path)
        self._trouble("write", path)
        file = found.inode if found.inode is not None else self._new_file(found)
        assert isinstance(file, File), "links are followed"
        written, code = self._room_for(file, data, path)
        cut = bool(file.data) or self._disk.is_pending(file)
        file.data = bytes(data[:written])
        file.bad = False
        file.mtime_ns = file.ctime_ns = self.clock_ns()
        if mode is not None:
            file.mode = mode
        self._disk.written(file, file.data, cut=cut)
        self._changed(found.directory, found.name)
        if code:
            raise error(code, path)

    def _new_file(self, found: Found) -> File:
        now = self.clock_ns()
        file = File(self._tree.number(), 0o644, now, now)
        self._enter(found, file)
        return file

    def _room_for(self, file: File, data: bytes, path: str) -> tuple[int, int]:
        """How much of the data can be written, and the error after that, or 0."""
        if self.capacity is not None:
            room = self.capacity - self.used() + len(file.data)
            if len(data) > room:
                return room - room % self._disk.block, errno.ENOSPC
        code = 0 if self._outside else self.trouble.stops_half_way(path)
        if code:
            half = len(data) // 2
            return half - half % self._disk.block, code
        return len(data), 0

    def replace(self, source: str, destination: str, /) -> None:
        self._before("replace", source)
        try:
            old, new = ends(self._tree, self.absolute(source), self.absolute(destination))
        except OSError as exc:
            raise error(exc.errno or 0, source, destination) from None
        moved = old.inode
        assert moved is not None, "ends() has looked"
        if new.inode is moved:
            return
        self._trouble("replace", source)
        now = self.clock_ns()
        gone = new.inode
        self._leave(old, now, names=True)
        new.directory.entries[new.name] = moved
        new.directory.mtime_ns = new.directory.ctime_ns = moved.ctime_ns = now
        if isinstance(gone, Directory):
            gone.parent = None
            self._watches.removed(gone)
        is_directory = isinstance(moved, Directory)
        if isinstance(moved, Directory):
            moved.parent, moved.name = new.directory, new.name
            self._watches.moved(moved)
        self._disk.named(
            (old.directory, old.name, None), (new.directory, new.name, moved), moved=is_directory
        )
        self._changed(new.directory, new.name, names=True)

    def remove(self, path: str, /) -> None:
        self._before("remove", path)
        found = self._find(path, parent=True)
        if isinstance(found.inode, Directory):
            raise error(errno.EISDIR, path)
        if found.inode is None:
            raise error(errno.ENOENT, path)
        if found.slash:
            raise error(errno.ENOTDIR, path)
        self._trouble("remove", path)
        self._leave(found, self.clock_ns())
        self._disk.named((found.directory, found.name, None))

    def make_dir(self, path: str, /) -> None:
        self._before("make_dir", path)
        found = self._find(path, parent=True)
        if found.inode is not None:
            raise error(errno.EEXIST, path)
        self._trouble("make_dir", path)
        now = self.clock_ns()
        self._enter(
            found,
            Directory(self._tree.number(), 0o755, now, now, parent=found.directory, name=found.name),
        )
        self._changed(found.directory, found.name, names=True)

    def remove_dir(self, path: str, /) -> None:
        self._before("remove_dir", path)
        found = self._find(path, parent=True)
        if found.name in {"", ".", ".."}:
            codes = {"": errno.EBUSY, ".": errno.EINVAL, "..": errno.ENOTEMPTY}
            raise error(codes[found.name], path)
        if found.inode is None:
            raise error(errno.ENOENT, path)
        if not isinstance(found.inode, Directory):
            raise error(errno.ENOTDIR, path)
        if self._touch is not None:
            self._touch(("fs-dir", found.inode.path()), False)
        if found.inode.entries:
            raise error(errno.ENOTEMPTY, path)
        self._trouble("remove_dir", path)
        found.inode.parent = None
        self._watches.removed(found.inode)
        self._leave(found, self.clock_ns())
        self._disk.named((found.directory, found.name, None))

    def make_link(self, path: str, target: str) -> None:
        """Make a symbolic link. The runtime never does; the world may."""
        try:
            found = self._find(path, parent=True)
        except OSError as exc:
            raise error(exc.errno or 0, target, path) from None
        if found.inode is not None:
            raise error(errno.EEXIST, target, path)
        if found.slash:
            raise error(errno.ENOENT, target, path)
        now = self.clock_ns()
        self._enter(found, Link(self._tree.number(), 0o777, now, now, target))
        self._changed(found.directory, found.name, names=True)

    def read_link(self, path: str) -> str:
        """Where a symbolic link leads."""
        inode = self._get(path, follow=False)
        if not isinstance(inode, Link):
            raise error(errno.EINVAL, path)
        return inode.target

    def set_times(self, path: str) -> None:
        """As if it were modified now."""
        found = self._find(path)
        if found.inode is None:
            raise error(errno.ENOENT, path)
        found.inode.mtime_ns = found.inode.ctime_ns = self.clock_ns()
        self._changed(found.directory, found.name)

    # ---- making durable

    def sync(self, path: str, /) -> None:
        self._sync("sync", path)

    def sync_dir(self, directory: str, /) -> None:
        self._sync("sync_dir", directory)

    def _sync(self, operation: str, path: str) -> None:
        """Either takes files and directories, as the operating system does."""
        self._before(operation, path)
        inode = self._get(path)
        self._trouble(operation, path)
        if isinstance(inode, Directory):
            if self._touch is not None:
                self._touch(("fs-dir", inode.path()), False)
            self._disk.sync_dir(inode)
            return
        assert isinstance(inode, File), "links are followed"
        if not self._outside and self.trouble.sync_fails(path):
            self._disk.drop_pages(inode)
            raise error(errno.EIO, path)
        self._disk.sync(inode)

    def sync_all(self, path: str, /) -> None:
        self._before("sync_all", path)
        self._get(path)
        self._trouble("sync_all", path)
        self._disk.sync_all()

    # ---- watching

    def watch(self, root: str, /, *, recursive: bool) -> SimWatch:
        self._trouble("watch", root)
        return self._watches.open(root, self._watchable)

    def _watchable(self, path: str) -> Directory:
        return self._directory(path)

    # ---- the world's side

    @contextlib.contextmanager
    def outside(self) -> Iterator[None]:
        """What is called in here is done by somebody else: no fault strikes, and it is durable at once."""
        mark = self._disk.mark
        hook, self.before_call = self.before_call, None
        self._outside += 1
        try:
            yield
        finally:
            self._outside -= 1
            self.before_call = hook
            self._disk.persist_since(mark)

    def legal_states(self) -> list[Image]:
        """Everything that may be there after a power cut now, the state that has lost nothing first.
        Exponential in what is pending."""
        return list(legal_states(self._disk))

    def crash(self, draw: Draw) -> None:
        """The power fails: one of the legal states, by ``draw(label, options)``, is all that is left. All
        watches are dead. With zeros drawn nothing is lost."""
        platter = choose(self._disk, draw)
        self._watches.clear()
        self._tree.root = self._disk.fall_back(platter, _revived)

    def image(self) -> Image:
        """All that is there now, by path."""
        found: list[tuple[str, bytes | str | None]] = []
        todo = [self._tree.root]
        while todo:
            here = todo.pop()
            for name, inode in here.entries.items():
                if isinstance(inode, Directory):
                    todo.append(inode)
                    found.append((here.path(name), None))
                else:
                    found.append((here.path(name), inode.target if isinstance(inode, Link) else inode.data))
        return tuple(sorted(found, key=lambda item: item[0]))

    def used(self) -> int:
        """Bytes of all files."""
        return sum(len(content) for _, content in self.image() if isinstance(content, bytes))

    # ---- steps of calls

    def forget_watches(self) -> None:
        """The process that had them has died; what it had written is there."""
        self._watches.clear()

    def _before(self, operation: str, path: str) -> None:
        if self._touch is not None:
            self._touch(("fs-all",), operation == "sync_all")
            if self.capacity is not None:
                self._touch(("fs-space",), True)
        if self.before_call is not None:
            self.before_call(operation, path)

    def _trouble(self, operation: str, path: str) -> None:
        if not self._outside:
            self.trouble.strike(operation, path)

    def _find(self, path: str, *, parent: bool = False) -> Found:
        """Where a path leads; ``parent``: the last name is not followed, whatever it is."""
        try:
            found = self._tree.find(self.absolute(path), follow=not parent, slash_follows=not parent)
        except OSError as exc:
            raise error(exc.errno or 0, path) from None
        if is_too_long(found.name):
            raise error(errno.ENAMETOOLONG, path)
        return found

    def _get(self, path: str, *, follow: bool = True) -> Inode:
        try:
            return self._tree.get(self.absolute(path), follow=follow)
        except OSError as exc:
            raise error(exc.errno or 0, path) from None

    def _directory(self, path: str) -> Directory:
        inode = self._get(path)
        if not isinstance(inode, Directory):
            raise error(errno.ENOTDIR, path)
        return inode

    def _file(self, path: str) -> File:
        inode = self._get(path)
        if not isinstance(inode, File):
            raise error(errno.EISDIR, path)
        return inode

    def _enter(self, found: Found, inode: Inode) -> None:
        """A new name."""
        found.directory.entries[found.name] = inode
        found.directory.mtime_ns = found.directory.ctime_ns = inode.ctime_ns
        self._disk.named((found.directory, found.name, inode))
        self._watches.changed(found.directory, found.name, names=True)
        if self._touch is not None:
            self._touch(("fs-dir", found.directory.path()), True)

    def _leave(self, found: Found, now: int, *, names: bool = True) -> None:
        """A name less."""
        assert found.inode is not None
        del found.directory.entries[found.name]
        found.directory.mtime_ns = found.directory.ctime_ns = found.inode.ctime_ns = now
        self._changed(found.directory, found.name, names=names)

    def _changed(self, directory: Directory, name: str, *, names: bool = False) -> None:
        if self._touch is not None:
            self._touch(("fs", directory.path(name)), True)
            if names:
                self._touch(("fs-dir", directory.path()), True)
        self._watches.changed(directory, name, names=names)

    def _check(self) -> None:
        """Raise ``AssertionError`` if an invariant is broken. Linear in everything."""
        self._disk._check()
        todo = [self._tree.root]
        while todo:
            here = todo.pop()
            for name, inode in here.entries.items():
                if isinstance(inode, Directory):
                    assert inode.parent is here
                    assert inode.name == name
                    todo.append(inode)


def _revived(inode: Inode) -> Inode:
    """After a power cut: the same inode, with nothing in it yet."""
    if isinstance(inode, Directory):
        return replace(inode, entries={}, parent=None, name="")
    return replace(inode, data=b"") if isinstance(inode, File) else replace(inode)
