"""What Linux refuses in a rename, in the order in which it looks."""

from __future__ import annotations

import errno

from liveproof_sim.fakes.filesystem.tree import Directory, Found, Inode, Tree, error, is_too_long

__all__ = ["ends"]


def ends(tree: Tree, source: str, destination: str) -> tuple[Found, Found]:
    """Where a rename begins, which exists, and where it ends.

    Raises:
        OSError: it is refused; the paths of the error are the caller's to set.
    """
    old = tree.find(source, follow=False, slash_follows=False)
    new = tree.find(destination, follow=False, slash_follows=False)
    code = _refusal(old, new)
    if code:
        raise error(code, source, destination)
    return old, new


def _refusal(old: Found, new: Found) -> int:
    """The number of the error, or 0."""
    if old.name in {"", ".", ".."} or new.name in {"", ".", ".."}:
        return errno.EBUSY
    if is_too_long(old.name):
        return errno.ENAMETOOLONG
    if old.inode is None:
        return errno.ENOENT
    if is_too_long(new.name):
        return errno.ENAMETOOLONG
    from_directory = isinstance(old.inode, Directory)
    if not from_directory and (old.slash or new.slash):
        return errno.ENOTDIR
    if from_directory and _is_in(new.directory, old.inode):
        return errno.EINVAL
    if isinstance(new.inode, Directory) and _is_in(old.directory, new.inode):
        return errno.ENOTEMPTY
    if new.inode is None or new.inode is old.inode:
        return 0
    to_directory = isinstance(new.inode, Directory)
    if from_directory and not to_directory:
        return errno.ENOTDIR
    if to_directory and not from_directory:
        return errno.EISDIR
    return errno.ENOTEMPTY if isinstance(new.inode, Directory) and new.inode.entries else 0


def _is_in(directory: Directory, other: Inode) -> bool:
    """Whether ``directory`` is ``other``, or is below it."""
    here: Directory | None = directory
    while here is not None:
        if here is other:
            return True
        here = here.parent
    return False
