"""The apps that are killed, each with its source function.

``tree``: files and directories in any shape, watched by the connector itself; each file makes two, one of
which is named by its contents, so that it passes from one component to another when a file is renamed.
``page``: the folder watcher of ``scenarios/``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal, TypeAlias

import liveproof as coco
from liveproof.connectors import localfs
from liveproof.resources.file import FileLike
from scenarios import folder_watcher

Kind: TypeAlias = Literal["tree", "page"]

SOURCE: coco.ContextKey[Path] = coco.ContextKey("source")
TARGET: coco.ContextKey[Path] = coco.ContextKey("target")

runs: list[str] = []
"""Keys of the files that were processed in this process, for ``tree``."""


@coco.fn(memo=True)
async def copy(file: FileLike[Path], target: localfs.DirTarget[Any]) -> None:
    key = file.file_path.as_posix()
    runs.append(key)
    text = await file.read_text()
    for name, content in made_of(key, text).items():
        target.declare_file(name, content, create_parent_dirs=True)


def made_of(key: str, text: str) -> dict[str, str]:
    """What one file makes. Its first line is an identity, which no other file has."""
    identity, newline, _ = text.partition("\n")
    made = {f"tree/{key}": text.upper()}
    if newline:
        made[f"ids/{identity}"] = key
    return made


async def mirror() -> None:
    target = await localfs.mount_dir_target(TARGET)
    walker = localfs.walk_dir(SOURCE, live=True, recursive=True, rescan_interval=None)
    await coco.mount_each(copy, walker.items(), target)


def app_of(kind: Kind, base: Path, environment: coco.Environment) -> coco.App[..., None]:
    place = folder_watcher.Place(base)
    if kind == "page":
        return place.app(environment)
    environment.context_provider.provide(SOURCE, place.source)
    environment.context_provider.provide(TARGET, place.target)
    return coco.App(coco.AppConfig("tree", environment), mirror)


def files_below(root: Path) -> dict[str, str]:
    """All files, by relative path; and empty directories, with a slash."""
    found: dict[str, str] = {}
    for directory, inner, names in os.walk(root):
        here = Path(directory)
        for name in names:
            found[(here / name).relative_to(root).as_posix()] = (here / name).read_text("utf-8")
        if not inner and not names and here != root:
            found[f"{here.relative_to(root).as_posix()}/"] = ""
    return found


def wanted(kind: Kind, base: Path) -> dict[str, str]:
    """The source function: what the target has to be."""
    place = folder_watcher.Place(base)
    if kind == "page":
        return {name: page for name, page in place.wanted().items() if page is not None}
    made: dict[str, str] = {}
    for key, text in files_below(place.source).items():
        if not key.endswith("/"):
            made |= made_of(key, text)
    return made
