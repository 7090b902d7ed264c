"""The simulated file system."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath

from liveproof_sim.fakes.filesystem.disk import Image
from liveproof_sim.fakes.filesystem.path import SimPath
from liveproof_sim.fakes.filesystem.system import SimFileSystem
from liveproof_sim.fakes.filesystem.trouble import Trouble
from liveproof_sim.fakes.filesystem.watch import SimWatch
from liveproof_sim.fakes.filesystem.watchdog import Event, Watchdog

__all__ = ["Event", "Files", "Image", "SimFileSystem", "SimPath", "SimWatch", "Trouble", "Watchdog"]


class Files:
    """``world.fs``: the files of a world, for its scenario."""

    def __init__(self, system: SimFileSystem) -> None:
        self.system = system
        """what apps see of them"""

    def path(self, path: str | PurePath = "/") -> SimPath:
        """A path; nothing need be there."""
        return SimPath.at(self.system, self.system.absolute(str(path)))

    def dir(self, path: str | PurePath, files: Mapping[str, str | bytes] | None = None) -> SimPath:
        """A directory with these files, by relative path; made with all that are missing on the way."""
        directory = self.path(path)
        directory.mkdir(parents=True, exist_ok=True)
        for name, content in (files or {}).items():
            file = directory / name
            if "/" in name:
                file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content.encode() if isinstance(content, str) else content)
        return directory

    def watchdog(self, folder: PurePath) -> Watchdog:
        """A watch as in the page on live components, armed now."""
        return Watchdog(folder)
