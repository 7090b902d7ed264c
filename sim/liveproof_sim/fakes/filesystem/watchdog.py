"""A watchdog as in the page on live components: events that say update or delete, over a simulated watch."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import PurePath
from typing import Any, NamedTuple

from liveproof_sim.fakes.filesystem.path import SimPath

__all__ = ["Event", "Watchdog"]


class Event(NamedTuple):
    """Something has happened to a name in the folder."""

    path: Any
    """A :class:`SimPath`, which code that was written for ``pathlib.Path`` takes for one."""
    is_update: bool
    is_overflow: bool = False
    """changes were lost, anywhere in the folder, which ``path`` is; neither an update nor a deletion"""

    @property
    def filename(self) -> str:
        """The last name."""
        name: str = self.path.name
        return name

    @property
    def is_delete(self) -> bool:
        """Whether there is no file of this name any more."""
        return not self.is_update and not self.is_overflow


class Watchdog:
    """Watches a folder, not what is below it, from the moment that it is made.

    Raises:
        TypeError: the folder is no path of a world.
        OSError: it is no directory.
    """

    def __init__(self, folder: PurePath) -> None:
        if not isinstance(folder, SimPath):
            raise TypeError(f"watch a path that world.fs gave, not {folder!r}")
        self.folder = folder
        with folder.system.outside():
            self._watch = folder.system.watch(str(folder), recursive=False)

    async def events(self) -> AsyncIterator[Event]:
        """What happens, for ever. Whether a name is there is looked up when it is told."""
        try:
            while True:
                paths, lost = await self._watch.changes()
                if lost:
                    yield Event(self.folder, is_update=False, is_overflow=True)
                for each in paths:
                    path = SimPath.at(self.folder.system, each)
                    yield Event(path, is_update=path.is_file())
        finally:
            self._watch.close()
