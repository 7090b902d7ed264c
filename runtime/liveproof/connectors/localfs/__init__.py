"""The local file system, as a source and as a target.

::

    async for file in localfs.walk_dir(SOURCE, recursive=True): ...
    target = await localfs.mount_dir_target(OUTPUT)
    target.declare_file("page.html", html)
"""

from liveproof.connectors.localfs._file import File
from liveproof.connectors.localfs._path import FilePath
from liveproof.connectors.localfs._source import DirItems, DirWalker, walk_dir
from liveproof.connectors.localfs._target import (
    DirTarget,
    declare_dir_target,
    declare_file,
    dir_target,
    mount_dir_target,
)
from liveproof.connectors.localfs._watch import LiveDirItems

__all__ = [
    "DirItems",
    "DirTarget",
    "DirWalker",
    "File",
    "FilePath",
    "LiveDirItems",
    "declare_dir_target",
    "declare_file",
    "dir_target",
    "mount_dir_target",
    "walk_dir",
]
