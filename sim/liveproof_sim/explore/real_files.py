"""Real files for a world on asyncio: absolute paths of a scenario are below a temporary directory."""

from __future__ import annotations

import pathlib
from collections.abc import AsyncIterator, Iterator, Mapping

from liveproof.backends.os_filesystem import OsFileSystem
from liveproof_sim.fakes.filesystem import Event

__all__ = ["RealFiles", "RealPath", "RealWatchdog"]


class RealPath(pathlib.PosixPath):
    """A ``pathlib.Path`` that knows what is below it, as the simulator's does."""

    __slots__ = ()

    def tree(self) -> dict[str, str | bytes]:
        """All files below, by their relative names; bytes where they are no text."""
        found: dict[str, str | bytes] = {}
        for path in sorted(pathlib.Path(self).rglob("*")):
            try:
                if path.is_file():
                    found[path.relative_to(self).as_posix()] = _content(path.read_bytes())
            except FileNotFoundError:  # removed while we looked
                pass
        return found


def _content(data: bytes) -> str | bytes:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


class RealWatchdog:
    """Watches a folder, not what is below it, from the moment that it is made."""

    def __init__(self, folder: pathlib.PurePath) -> None:
        self.folder = RealPath(folder)
        self._watch = OsFileSystem().watch(str(folder), recursive=False)

    async def events(self) -> AsyncIterator[Event]:
        """What happens, for ever. Whether a name is there is looked up when it is told."""
        try:
            while True:
                paths, lost = await self._watch.changes()
                if lost:
                    yield Event(self.folder, is_update=False, is_overflow=True)
                for each in paths:
                    path = RealPath(each)
                    yield Event(path, is_update=path.is_file())
        finally:
            self._watch.close()


class RealFiles:
    """What ``world.fs`` is on asyncio."""

    def __init__(self, root: pathlib.Path) -> None:
        self.root = root

    def path(self, path: str | pathlib.PurePath = "/") -> RealPath:
        """Where the scenario's path is."""
        return RealPath(self.root, str(path).lstrip("/"))

    def dir(
        self, path: str | pathlib.PurePath, files: Mapping[str, str | bytes] | None = None
    ) -> RealPath:
        """Make a directory, with these files."""
        folder = self.path(path)
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in (files or {}).items():
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content.encode() if isinstance(content, str) else content)
        return folder

    def watchdog(self, folder: pathlib.PurePath) -> RealWatchdog:
        """Watch a folder, as the page on live components does."""
        return RealWatchdog(folder)

    def seen(self) -> Iterator[tuple[str, int, int]]:
        """Names, sizes and times: equal for two looks between which nothing changed."""
        for path in sorted(self.root.rglob("*")):
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            yield str(path), status.st_size, status.st_mtime_ns
