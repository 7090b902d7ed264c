"""Rules of what is in files, and of what is known about them."""

from __future__ import annotations

import errno

from liveproof.abc.filesystem import FileKind, FileSystem
from liveproof.testing.filesystem_rules.refusals import refused

__all__ = [
    "a_write_replaces_everything",
    "directories_are_not_read",
    "parts_are_read",
    "permissions_are_kept",
    "syncs_take_what_is_there",
    "times_are_of_the_clock",
]

COARSE_NS = 2_500_000_000
"""File systems stamp times as coarsely as two seconds."""


def a_write_replaces_everything(fs: FileSystem, base: str) -> None:
    """write() makes the file, or empties it first; read() gives back what was written."""
    path = f"{base}/file"
    for content in (b"first, and longer", b"second", b"", bytes(range(256)) * 300):
        fs.write(path, content)
        assert fs.read(path) == content, f"{len(content)} bytes were written, and others are read"
        found = fs.stat(path)
        assert (found.kind, found.size) == (FileKind.FILE, len(content)), f"stat says {found}"
    other = f"{base}/other"
    fs.write(other, b"")
    assert fs.stat(other).identity != fs.stat(path).identity, "two files have one identity"
    assert fs.stat(path).identity == fs.stat(path).identity, "a file has two identities"


def parts_are_read(fs: FileSystem, base: str) -> None:
    """read(path, size, offset) gives exactly those bytes, or fewer only at the end of the file."""
    path = f"{base}/file"
    content = bytes(range(200)) * 100
    fs.write(path, content)
    for size in (-1, 0, 1, 4096, len(content), len(content) + 1):
        for offset in (0, 1, 4095, len(content), len(content) + 1):
            expected = content[offset:] if size < 0 else content[offset : offset + size]
            assert fs.read(path, size, offset) == expected, f"read(path, {size}, {offset}) gives other bytes"


def directories_are_not_read(fs: FileSystem, base: str) -> None:
    """read() and write() of a directory fail, and name it."""
    refused(lambda: fs.read(base), base, errno.EISDIR, errno.EINVAL, errno.EACCES)
    refused(lambda: fs.write(base, b""), base, errno.EISDIR, errno.EACCES)


def permissions_are_kept(fs: FileSystem, base: str) -> None:
    """write(mode=...) sets the permission bits; a later write without it, or a rename, leaves them."""
    path, other = f"{base}/file", f"{base}/other"
    for mode in (0o640, 0o600):
        fs.write(path, b"x", mode=mode)
        assert fs.stat(path).mode == mode, f"asked for {mode:o}, and it is {fs.stat(path).mode:o}"
    fs.write(path, b"y")
    fs.replace(path, other)
    assert fs.stat(other).mode == 0o600, "a write or a rename has changed the permissions"


def times_are_of_the_clock(fs: FileSystem, base: str) -> None:
    """clock_ns() never goes back, and stamps what is written, as exactly as two seconds."""
    before = fs.clock_ns()
    fs.write(f"{base}/file", b"x")
    after = fs.clock_ns()
    assert before <= after, f"the clock went from {before} to {after}"
    stat = fs.stat(f"{base}/file")
    for stamp in (stat.mtime_ns, stat.ctime_ns):
        assert before - COARSE_NS <= stamp <= after + COARSE_NS, f"written at {before}, stamped {stamp}"


def syncs_take_what_is_there(fs: FileSystem, base: str) -> None:
    """The syncs return for what is there, fail for what is not, and change nothing that can be seen."""
    path, missing = f"{base}/file", f"{base}/missing"
    fs.write(path, b"x")
    fs.sync(path)
    fs.sync_dir(base)
    fs.sync_all(base)
    assert fs.read(path) == b"x", "a sync has changed the file"
    for call in (fs.sync, fs.sync_dir, fs.sync_all):
        refused(lambda call=call: call(missing), missing, errno.ENOENT)  # type: ignore[misc]
