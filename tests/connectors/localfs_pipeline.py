"""A pipeline from files to files, for the tests of the localfs connector: every file in upper case."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import liveproof as coco
from liveproof.abc.filesystem import FileSystem
from liveproof.connectors import localfs
from liveproof.errors import StoppedError
from liveproof.resources.file import FileLike, FilePathMatcher

DEADLINE_S = 30.0


def tree(root: Path) -> dict[str, str]:
    """All files below a directory, by relative path, and empty directories with a slash."""
    found: dict[str, str] = {}
    for directory, inner, files in os.walk(root):
        here = Path(directory)
        for name in files:
            path = here / name
            with contextlib.suppress(FileNotFoundError):  # removed since it was listed
                found[path.relative_to(root).as_posix()] = path.read_bytes().decode("utf-8", "replace")
        if not inner and not files and here != root:
            found[here.relative_to(root).as_posix() + "/"] = ""
    return dict(sorted(found.items()))


async def eventually(check: Callable[[], bool], what: Callable[[], object] = lambda: "") -> None:
    """Wait until ``check()`` holds; fail with ``what()`` when it does not for long."""
    deadline = asyncio.get_running_loop().time() + DEADLINE_S
    while not check():
        assert asyncio.get_running_loop().time() < deadline, what()
        await asyncio.sleep(0.005)


SOURCE: coco.ContextKey[Path] = coco.ContextKey("source")
OUTPUT: coco.ContextKey[Path] = coco.ContextKey("output")


@dataclass
class Pipeline:
    """One app over two directories below ``base``."""

    base: Path
    recursive: bool = True
    live_source: bool = True
    matcher: FilePathMatcher | None = None
    rescan_interval: timedelta | None = timedelta(hours=1)
    flat: bool = False
    """Put all files into one directory: a slash becomes a bar."""
    filesystem: FileSystem | None = None
    errors: list[str] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    """Keys of the files that were processed."""

    def __post_init__(self) -> None:
        self.source.mkdir(parents=True, exist_ok=True)

    @property
    def source(self) -> Path:
        return self.base / "src"

    @property
    def output(self) -> Path:
        return self.base / "out"

    def _failed(self, exc: BaseException, context: coco.ExceptionContext) -> None:
        self.errors.append(f"{type(exc).__name__}: {exc}")

    def app(self) -> coco.App[[], None]:
        provider = coco.ContextProvider()
        provider.provide(SOURCE, self.source)
        provider.provide(OUTPUT, self.output)
        self.environment = coco.Environment(
            coco.Settings(db_path=self.base / "state.db", durability="process"),
            name="test",
            context_provider=provider,
            exception_handler=self._failed,
            filesystem=self.filesystem,
        )
        return coco.App(coco.AppConfig("upper", self.environment), self.main)

    async def main(self) -> None:
        target = await localfs.mount_dir_target(OUTPUT)
        walker = localfs.walk_dir(
            SOURCE,
            live=self.live_source,
            recursive=self.recursive,
            path_matcher=self.matcher,
            rescan_interval=self.rescan_interval,
        )
        await coco.mount_each(process_file, walker.items(), target, Log(self.runs), flat=self.flat)

    async def catch_up(self) -> list[str]:
        """One update in catch-up mode, with a new environment; returns the files that were processed."""
        self.runs.clear()
        app = self.app()
        try:
            await app.update()
        finally:
            self.environment.close()
        return sorted(self.runs)

    @contextlib.asynccontextmanager
    async def live(self) -> AsyncIterator[coco.UpdateHandle[None]]:
        """A live update that has caught up; stopped at the end of the block."""
        app = self.app()
        handle = app.update(live=True)
        try:
            async for snapshot in handle.watch():
                if snapshot.status is coco.UpdateStatus.READY:
                    break
            yield handle
        finally:
            handle.stop()
            async with asyncio.timeout(DEADLINE_S):
                with contextlib.suppress(StoppedError):
                    await handle
            self.environment.close()

    def wanted(self) -> dict[str, str]:
        """What a fresh run would make of the source."""
        return {key: text.upper() for key, text in tree(self.source).items() if not key.endswith("/")}

    async def agrees(self) -> None:
        """Wait until the output is what it should be."""
        await eventually(
            lambda: tree(self.output) == self.wanted(),
            lambda: (tree(self.output), self.wanted(), self.errors),
        )


class Log:
    """Where functions write which files they processed; no part of a memo."""

    def __init__(self, runs: list[str]) -> None:
        self.runs = runs

    def __coco_memo_key__(self) -> object:
        return None


@coco.fn(memo=True)
async def process_file(
    file: FileLike[Path], target: localfs.DirTarget[Any], log: Log, *, flat: bool
) -> None:
    key = file.file_path.as_posix()
    log.runs.append(key)
    text = await file.read_text()
    target.declare_file(key.replace("/", "|") if flat else key, text.upper(), create_parent_dirs=True)
