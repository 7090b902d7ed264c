"""A table of operations in a watched directory, for real paths and simulated ones."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from liveproof_sim.fakes.filesystem import SimPath

__all__ = ["CASES", "Case", "perform", "shown"]

Act = tuple[str, ...]
"""A method of Path, the path it is called on, below the watched root, and its arguments; other paths begin
with an @."""


class Case(NamedTuple):
    name: str
    setup: list[Act]
    does: list[Act]
    added: tuple[str, ...] = ()
    """directories that are watched besides the root"""


FILE: list[Act] = [("write_text", "a", "1")]
INNER: list[Act] = [("mkdir", "d"), ("write_text", "d/x", "1")]

CASES = [
    Case("create", [], [("write_text", "a", "1")]),
    Case("create empty", [], [("touch", "a")]),
    Case("modify", FILE, [("write_text", "a", "22")]),
    Case("empty", FILE, [("write_text", "a", "")]),
    Case("touch", FILE, [("touch", "a")]),
    Case("append", FILE, [("append", "a", "2")]),
    Case("remove", FILE, [("unlink", "a")]),
    Case("rename", FILE, [("rename", "a", "@b")]),
    Case("rename over", [*FILE, ("write_text", "b", "2")], [("rename", "a", "@b")]),
    Case("save atomically", FILE, [("write_text", ".a.tmp", "2"), ("rename", ".a.tmp", "@a")]),
    Case("move out", FILE, [("rename", "a", "@../a")]),
    Case("move in", [("write_text", "../a", "1")], [("rename", "../a", "@a")]),
    Case("make directory", [], [("mkdir", "d")]),
    Case("remove directory", [("mkdir", "d")], [("rmdir", "d")]),
    Case("rename directory", INNER, [("rename", "d", "@e")]),
    Case("link", FILE, [("symlink_to", "l", "a")]),
    Case("remove link", [*FILE, ("symlink_to", "l", "a")], [("unlink", "l")]),
    Case("write through link", [*FILE, ("symlink_to", "l", "a")], [("write_text", "l", "2")]),
    Case("two files", [], [("write_text", "b", "1"), ("write_text", "a", "1")]),
    Case("file replaced by directory", FILE, [("unlink", "a"), ("mkdir", "a")]),
    Case("unwatched below", INNER, [("write_text", "d/x", "2")]),
    Case("inner: create", INNER, [("write_text", "d/y", "1")], ("d",)),
    Case("inner: modify", INNER, [("write_text", "d/x", "2")], ("d",)),
    Case("inner: remove all", INNER, [("unlink", "d/x"), ("rmdir", "d")], ("d",)),
    Case("inner: move up", INNER, [("rename", "d/x", "@x")], ("d",)),
    Case("inner: renamed, then written", INNER, [("rename", "d", "@e"), ("write_text", "e/x", "2")], ("d",)),
    Case("root removed", [], [("rmdir", ".")]),
    Case("root moved", [], [("rename", ".", "@../elsewhere")]),
    Case("root replaced", [("mkdir", "../new")], [("rename", "../new", "@.")]),
    Case("sibling of the root", [], [("write_text", "../other", "1")]),
    Case("nothing", FILE, []),
]


def perform(acts: Iterable[Act], root: Path | SimPath) -> None:
    """Do it below ``root``."""
    for method, name, *arguments in acts:
        path: Any = _at(root, name)
        if method == "append":
            with path.open("a") as file:
                file.write(arguments[0])
            continue
        given = [_at(root, each[1:]) if each.startswith("@") else each for each in arguments]
        getattr(path, method)(*given)


def _at(root: Path | SimPath, name: str) -> Path | SimPath:
    if name.startswith("../"):
        return root.parent / name[3:]
    return root if name == "." else root / name


def shown(paths: Iterable[str], top: str) -> list[str]:
    """The paths as the record has them: below ``top``, sorted."""
    return sorted(path.removeprefix(top).lstrip("/") for path in paths)
