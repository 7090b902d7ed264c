"""Rules of names and directories."""

from __future__ import annotations

import errno
from functools import partial

from liveproof.abc.filesystem import FileKind, FileSystem
from liveproof.testing.filesystem_rules.refusals import refused

__all__ = [
    "any_name_comes_back",
    "directories_are_made_once",
    "directories_move_with_what_is_in_them",
    "files_are_replaced_by_files",
    "files_have_nothing_below",
    "full_directories_stay",
    "names_are_exact",
    "paths_from_the_root_stay",
    "scans_are_sorted",
    "what_is_missing_is_named",
]


def names(fs: FileSystem, directory: str) -> list[str]:
    """What is in it."""
    return [entry.name for entry in fs.scan(directory)]


def scans_are_sorted(fs: FileSystem, base: str) -> None:
    """scan() lists every name in the directory once, sorted, with its stat, and nothing from below."""
    for name in ("b", "a", "c10", "c9"):
        fs.write(f"{base}/{name}", name.encode())
    fs.make_dir(f"{base}/B")
    fs.write(f"{base}/B/below", b"")
    entries = fs.scan(base)
    assert [entry.name for entry in entries] == ["B", "a", "b", "c10", "c9"], f"the scan gives {entries}"
    for name, stat in entries:
        assert stat == fs.stat(f"{base}/{name}"), f"scan and stat differ about {name}"
    assert entries[0].stat.kind is FileKind.DIRECTORY, "a directory is listed as something else"


def names_are_exact(fs: FileSystem, base: str) -> None:
    """A name stands for one thing until it is removed or replaced; what has another name is another thing."""
    fs.write(f"{base}/one", b"1")
    fs.write(f"{base}/two", b"2")
    fs.remove(f"{base}/one")
    assert names(fs, base) == ["two"], "removing one name has not removed exactly that"
    assert fs.read(f"{base}/two") == b"2", "removing one file has changed another"
    refused(lambda: fs.read(f"{base}/one"), f"{base}/one", errno.ENOENT)


def any_name_comes_back(fs: FileSystem, base: str) -> None:
    """Names come back from scan() as they were given, also with spaces, line ends and bytes that are no
    UTF-8, and can be handed in again."""
    odd = sorted([" ", "a b", "line\nend", "é", "\N{SNOWMAN}", ".hidden", "caf\udce9", "-n", "x" * 200])
    for name in odd:
        fs.write(f"{base}/{name}", name.encode("utf-8", "surrogateescape"))
    assert names(fs, base) == odd, f"the scan gives {names(fs, base)}"
    for name in names(fs, base):
        content = fs.read(f"{base}/{name}")
        assert content == name.encode("utf-8", "surrogateescape"), f"{name!r} leads to another file"


def what_is_missing_is_named(fs: FileSystem, base: str) -> None:
    """A path that leads nowhere gives ``FileNotFoundError`` with that path, whatever the call; nothing is
    made on the way."""
    missing, below = f"{base}/missing", f"{base}/missing/below"
    for path in (missing, below):
        calls = (fs.read, fs.stat, fs.scan, fs.remove, fs.remove_dir, partial(fs.watch, recursive=False))
        for call in calls:
            refused(partial(call, path), path, errno.ENOENT)
        refused(partial(fs.replace, path, f"{base}/new"), path, errno.ENOENT)
    refused(lambda: fs.write(below, b""), below, errno.ENOENT)
    refused(lambda: fs.make_dir(below), below, errno.ENOENT)
    assert names(fs, base) == [], "a call that failed has made something"


def files_have_nothing_below(fs: FileSystem, base: str) -> None:
    """A path through a file gives ``NotADirectoryError`` with that path."""
    below = f"{base}/file/below"
    fs.write(f"{base}/file", b"")
    for call in (fs.read, fs.stat, fs.scan, fs.remove, fs.remove_dir, fs.make_dir):
        refused(partial(call, below), below, errno.ENOTDIR)
    refused(lambda: fs.write(below, b""), below, errno.ENOTDIR)
    refused(lambda: fs.scan(f"{base}/file"), f"{base}/file", errno.ENOTDIR)


def directories_are_made_once(fs: FileSystem, base: str) -> None:
    """make_dir() of a name that is there fails; a directory that was removed can be made again."""
    path = f"{base}/d"
    for _ in range(2):
        fs.make_dir(path)
        assert fs.scan(path) == [], "a new directory is not empty"
        refused(lambda: fs.make_dir(path), path, errno.EEXIST)
        fs.remove_dir(path)
        refused(lambda: fs.stat(path), path, errno.ENOENT)
    fs.write(path, b"")
    refused(lambda: fs.make_dir(path), path, errno.EEXIST)


def full_directories_stay(fs: FileSystem, base: str) -> None:
    """remove_dir() takes empty directories only, remove() no directory at all, and remove_dir() no file."""
    fs.make_dir(f"{base}/d")
    fs.write(f"{base}/d/f", b"x")
    refused(lambda: fs.remove_dir(f"{base}/d"), f"{base}/d", errno.ENOTEMPTY, errno.EEXIST)
    refused(lambda: fs.remove(f"{base}/d"), f"{base}/d", errno.EISDIR, errno.EPERM, errno.EACCES)
    refused(lambda: fs.remove_dir(f"{base}/d/f"), f"{base}/d/f", errno.ENOTDIR)
    assert fs.read(f"{base}/d/f") == b"x", "a call that failed has removed something"


def files_are_replaced_by_files(fs: FileSystem, base: str) -> None:
    """replace() moves a file over another one, with its identity; onto itself it does nothing; onto a
    directory it fails."""
    one, two = f"{base}/one", f"{base}/two"
    fs.write(one, b"new")
    fs.write(two, b"old")
    identity = fs.stat(one).identity
    fs.replace(one, two)
    assert names(fs, base) == ["two"], f"after the rename there are {names(fs, base)}"
    assert fs.read(two) == b"new", "the old file is still there"
    assert fs.stat(two).identity == identity, "the file was copied, not renamed"
    fs.replace(two, two)
    assert fs.read(two) == b"new", "a rename onto itself has changed the file"
    fs.make_dir(one)
    refused(lambda: fs.replace(two, one), two, errno.EISDIR, errno.EEXIST, errno.EACCES)
    assert names(fs, base) == ["one", "two"], "a rename that failed has changed something"


def directories_move_with_what_is_in_them(fs: FileSystem, base: str) -> None:
    """replace() moves a directory with everything below, never into itself, and never over one that is not
    empty."""
    fs.make_dir(f"{base}/d")
    fs.make_dir(f"{base}/d/e")
    fs.write(f"{base}/d/e/f", b"x")
    fs.replace(f"{base}/d", f"{base}/moved")
    assert fs.read(f"{base}/moved/e/f") == b"x", "what was below is gone"
    into = f"{base}/moved/e/itself"
    refused(lambda: fs.replace(f"{base}/moved", into), f"{base}/moved", errno.EINVAL)
    fs.make_dir(f"{base}/d")
    refused(lambda: fs.replace(f"{base}/d", f"{base}/moved"), f"{base}/d", errno.ENOTEMPTY, errno.EEXIST)
    assert names(fs, base) == ["d", "moved"], "a rename that failed has changed something"


def paths_from_the_root_stay(fs: FileSystem, base: str) -> None:
    """absolute() leaves a path from the root as it is; real() gives one that means the same, also beyond
    what exists."""
    fs.make_dir(f"{base}/d")
    assert fs.absolute(base) == base, f"absolute() made {fs.absolute(base)!r} of {base!r}"
    assert fs.absolute("relative") != "relative", "absolute() left a relative path"
    real = fs.real(base)
    assert fs.stat(real).identity == fs.stat(base).identity, f"{real!r} is another directory"
    for path in (f"{base}/d/../d/.", f"{base}//d", f"{base}/missing/../d"):
        assert fs.real(path) == f"{real}/d", f"real() made {fs.real(path)!r} of {path!r}"
    assert fs.real(f"{base}/missing/f") == f"{real}/missing/f", "real() gives up where nothing exists"
