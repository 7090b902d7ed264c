"""The durability model: what is on the platter, and what is only in the page cache.

A change waits in the cache as *pending operations*: one for each block of data, one for each size that a file
had in between (at a block's end), one for a truncation, one for each change of names. At a power cut any of
them may have reached the platter, **except** that an operation needs those before it on the same thing:

- the same block of a file, the same name of a directory; sizes of one file grow in order;
- a truncation needs all earlier operations of its file, and all later ones need it;
- a rename is one operation on both of its names; moves of directories reach the platter in order.

So: a name may survive without contents (an empty file), a size without its blocks (zeros), blocks in any
order, names in any order, also of one directory. A block is never torn inside. ``sync`` puts a file's contents
on the platter, not its name; ``sync_dir`` the names in a directory, not what they stand for. A sync that
fails drops the blocks of data: they look clean ever after, and are gone at the power cut.

This is weaker than ext4 (whose journal keeps the order of names) and as weak as ALICE's abstract persistence
model (Pillai et al., "All File Systems Are Not Created Equal", OSDI 2014) except for blocks torn inside. Not
modelled: permission bits, garbage instead of zeros, a failed sync of a directory that keeps part of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeAlias

from liveproof_sim.fakes.filesystem.tree import Directory, File, Inode, Link

__all__ = ["Block", "Cut", "Disk", "Image", "Names", "Operation", "Pending", "Platter", "Size"]

INODES_MAX = 256
"""So many inodes beyond twice those that are needed are kept before the others are looked for."""

Image: TypeAlias = tuple[tuple[str, bytes | str | None], ...]
"""What is there after a power cut, by path: a file's contents, a symbolic link's target, None: a directory."""


class Block(NamedTuple):
    """Data of one block of a file."""

    inode: int
    position: int
    """counted in blocks"""
    data: bytes


class Cut(NamedTuple):
    """A file is truncated to nothing."""

    inode: int
    mtime_ns: int


class Size(NamedTuple):
    """A file has grown."""

    inode: int
    size: int
    mtime_ns: int


class Names(NamedTuple):
    """Entries of directories now stand for these inodes; None: for nothing."""

    entries: tuple[tuple[int, str, int | None], ...]


Operation: TypeAlias = Block | Cut | Size | Names


class Pending(NamedTuple):
    """An operation in the cache."""

    number: int
    operation: Operation
    needs: tuple[int, ...]
    """numbers of operations that reach the platter before it"""


class _Contents(NamedTuple):
    blocks: dict[int, bytes]  # Invariant: never changed, but replaced; as the names of a directory.
    size: int
    mtime_ns: int | None

    def data(self, block: int) -> bytes:
        """The blocks side by side; what is missing is zeros."""
        count = -(-self.size // block)
        whole = b"".join(self.blocks.get(position, b"").ljust(block, b"\0") for position in range(count))
        return whole[: self.size]


NOTHING = _Contents({}, 0, None)


class Platter:
    """What survives."""

    def __init__(self, block: int) -> None:
        self._block = block
        self.files: dict[int, _Contents] = {}
        self.names: dict[int, dict[str, int]] = {}

    def copy(self) -> Platter:
        """One of its own."""
        other = Platter(self._block)
        other.files = self.files.copy()
        other.names = self.names.copy()
        return other

    def apply(self, operation: Operation) -> None:
        """Let it reach the platter."""
        if isinstance(operation, Names):
            for directory, name, inode in operation.entries:
                entries = self.names.get(directory, {}).copy()
                if inode is None:
                    entries.pop(name, None)
                else:
                    entries[name] = inode
                self.names[directory] = entries
            return
        blocks, size, mtime_ns = self.files.get(operation.inode, NOTHING)
        match operation:
            case Block(_, position, data):
                contents = _Contents({**blocks, position: data}, size, mtime_ns)
            case Cut(_, mtime_ns):
                contents = _Contents({}, 0, mtime_ns)
            case Size(_, size, mtime_ns):
                contents = _Contents(blocks, size, mtime_ns)
        self.files[operation.inode] = contents

    def prune(self, root: int) -> dict[int, None]:
        """Forget what can not be reached from the root. What is left."""
        left: dict[int, None] = {root: None}
        todo = [root]
        while todo:
            for child in self.names.get(todo.pop(), {}).values():
                left[child] = None
                todo.append(child)
        self.files = {number: each for number, each in self.files.items() if number in left}
        self.names = {number: each for number, each in self.names.items() if number in left}
        return left

    def image(self, root: int, inodes: dict[int, Inode]) -> Image:
        """All that can be reached from the root, sorted by path."""
        found: list[tuple[str, bytes | str | None]] = []
        todo = [("", root)]
        while todo:
            path, number = todo.pop()
            for name, child in self.names.get(number, {}).items():
                inode = inodes[child]
                where = f"{path}/{name}"
                if isinstance(inode, Directory):
                    found.append((where, None))
                    todo.append((where, child))
                elif isinstance(inode, Link):
                    found.append((where, inode.target))
                else:
                    found.append((where, self.contents(child)))
        return tuple(sorted(found, key=lambda item: item[0]))

    def contents(self, inode: int) -> bytes:
        """A file's."""
        return self.files.get(inode, NOTHING).data(self._block)


class Disk:
    """The platter and the cache before it. Invariant: the platter with all pending operations applied is what
    processes see, but for pages that a failed sync dropped."""

    def __init__(self, root: Directory, *, block: int = 4096) -> None:
        self.block = block
        self.root = root.number
        self.platter = Platter(block)
        self.inodes: dict[int, Inode] = {root.number: root}  # all that ever were
        self.pending: list[Pending] = []  # Invariant: in order of number.
        self._count = 0
        self._last: dict[object, int] = {}  # what an operation is on -> the last one on it
        self._of_file: dict[int, list[int]] = {}  # pending ones
        self._inodes_max = INODES_MAX

    # ---- what happens

    def written(self, file: File, data: bytes, *, cut: bool) -> None:
        """A file has been emptied, if ``cut``, and written from its beginning."""
        number, block = file.number, self.block
        if cut:
            self._record(Cut(number, file.mtime_ns), self._of_file.get(number, ()))
            self._last[number, "cut"] = self._count
        barrier = self._last.get((number, "cut"))
        for start in range(0, len(data), block):
            position = start // block
            self._on(Block(number, position, data[start : start + block]), [(number, position)], barrier)
        for size in range(block, len(data) + block, block):
            self._on(Size(number, min(size, len(data)), file.mtime_ns), [(number, "size")], barrier)

    def named(self, *entries: tuple[Directory, str, Inode | None], moved: bool = False) -> None:
        """Entries have changed, all at once. ``moved``: a directory has another parent or name."""
        for _, _, inode in entries:
            if inode is not None:
                self.inodes[inode.number] = inode
        changed = tuple(
            (each.number, name, None if inode is None else inode.number) for each, name, inode in entries
        )
        things: list[object] = [(directory, "name", name) for directory, name, _ in changed]
        if moved:
            things.append("moves")
        self._on(Names(changed), things, None)

    def _on(self, operation: Operation, things: Iterable[object], barrier: int | None) -> None:
        needs = [] if barrier is None else [barrier]
        for thing in things:
            if (last := self._last.get(thing)) is not None:
                needs.append(last)
            self._last[thing] = self._count + 1
        self._record(operation, needs)

    def _record(self, operation: Operation, needs: Iterable[int]) -> None:
        self._count += 1
        self.pending.append(Pending(self._count, operation, tuple(dict.fromkeys(needs))))
        if not isinstance(operation, Names):
            self._of_file.setdefault(operation.inode, []).append(self._count)

    # ---- what is made durable

    def sync(self, file: File) -> None:
        """Contents and size."""
        self.persist(self._of_file.get(file.number, ()))

    def sync_dir(self, directory: Directory) -> None:
        """The names in it, and the other name of a rename into or out of it."""
        number = directory.number
        self.persist(
            each.number
            for each in self.pending
            if isinstance(each.operation, Names)
            and any(where == number for where, _, _ in each.operation.entries)
        )

    def sync_all(self) -> None:
        """Everything."""
        self.persist(each.number for each in self.pending)

    def drop_pages(self, file: File) -> None:
        """A sync has failed: the data look clean now, and never reach the platter."""
        number = file.number
        self._keep(
            each
            for each in self.pending
            if not (isinstance(each.operation, Block) and each.operation.inode == number)
        )

    def is_pending(self, file: File) -> bool:
        """Whether something of its contents is only in the cache."""
        return bool(self._of_file.get(file.number))

    @property
    def mark(self) -> int:
        """The number of the last operation: those after it are newer."""
        return self._count

    def persist_since(self, mark: int) -> None:
        """All operations after ``mark``, and what they need."""
        self.persist(each.number for each in self.pending if each.number > mark)

    def persist(self, numbers: Iterable[int]) -> None:
        """These operations, and what they need."""
        wanted = dict.fromkeys(numbers)
        if not wanted:
            return
        for each in reversed(self.pending):
            if each.number in wanted:
                wanted |= dict.fromkeys(each.needs)
        for each in self.pending:
            if each.number in wanted:
                self.platter.apply(each.operation)
        self._keep(each for each in self.pending if each.number not in wanted)

    def _keep(self, pending: Iterable[Pending]) -> None:
        self.pending = list(pending)
        self._of_file = {}
        if not self.pending:
            self._last.clear()
            if len(self.inodes) > self._inodes_max:  # most of them are gone: amortised constant
                left = self.platter.prune(self.root)
                self.inodes = {number: self.inodes[number] for number in left}
                self._inodes_max = 2 * len(left) + INODES_MAX
        for each in self.pending:
            if not isinstance(each.operation, Names):
                self._of_file.setdefault(each.operation.inode, []).append(each.number)

    # ---- the power fails

    def fall_back(self, platter: Platter, revive: Callable[[Inode], Inode]) -> Directory:
        """Only this platter is left: what processes see from now on, made of new inodes of the old numbers."""
        self.platter = platter
        self.pending, self._last, self._of_file = [], {}, {}
        old, self.inodes = self.inodes, {}
        root = revive(old[self.root])
        assert isinstance(root, Directory)
        self.inodes[self.root] = root
        todo = [root]
        while todo:
            directory = todo.pop()
            for name, number in platter.names.get(directory.number, {}).items():
                inode = self.inodes.get(number)
                if inode is None:
                    inode = self.inodes[number] = revive(old[number])
                    if isinstance(inode, Directory):
                        inode.parent, inode.name = directory, name
                        todo.append(inode)
                    elif isinstance(inode, File):
                        self._refill(inode)
                directory.entries[name] = inode
        return root

    def _refill(self, file: File) -> None:
        contents = self.platter.files.get(file.number)
        if contents is not None:
            file.data = contents.data(self.block)
            file.mtime_ns = file.mtime_ns if contents.mtime_ns is None else contents.mtime_ns

    def _check(self) -> None:
        """Raise ``AssertionError`` if an invariant is broken. Linear in pending operations."""
        numbers = [each.number for each in self.pending]
        assert numbers == sorted(numbers)
        for each in self.pending:
            for need in each.needs:
                assert need < each.number
