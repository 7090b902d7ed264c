"""Paths of local files, and the file system that they are looked up in."""

from __future__ import annotations

import pathlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from liveproof.core.context import ContextKey, current, use_context
from liveproof.resources.file import FilePath as _FilePath

if TYPE_CHECKING:
    from os import PathLike

    from liveproof.abc.filesystem import FileSystem
    from liveproof.abc.scheduler import Scheduler

__all__ = ["FilePath", "PathArgument", "World", "reporter", "to_file_path", "world"]

PathArgument: TypeAlias = "_FilePath[pathlib.Path] | pathlib.PurePath | ContextKey[Any] | str | PathLike[str]"


class FilePath(_FilePath[pathlib.Path]):
    """A path below the directory that a :class:`ContextKey` stands for, or, without one, any path.

    Memos and targets are tied to the key and the relative path, so that a tree can move: provide the new
    place for the same key.
    """

    __slots__ = ()

    def __init__(
        self,
        path: str | pathlib.PurePath = ".",
        *,
        base_dir: ContextKey[Any] | None = None,
    ) -> None:
        if base_dir is not None and not isinstance(base_dir, ContextKey):
            raise TypeError(f"base_dir is a ContextKey, not {type(base_dir).__name__}")
        super().__init__(path, base_dir)
        if base_dir is not None and self._path.is_absolute():
            raise ValueError(f"{str(path)!r} is absolute, so it can not be below {base_dir!r}")

    def resolve(self) -> pathlib.Path:
        """The full path; relative to the current directory if that is how it was given.

        Raises:
            RuntimeError: there is a base directory, and no component is running here.
        """
        if self._base_dir is None:
            return pathlib.Path(self._path)
        return pathlib.Path(use_context(self._base_dir)) / self._path

    def _with_path(self, path: pathlib.PurePath) -> FilePath:
        return FilePath(path, base_dir=self._base_dir)


def to_file_path(path: PathArgument) -> FilePath:
    """What the functions of this package take for a path, as a :class:`FilePath`."""
    if isinstance(path, FilePath):
        return path
    if isinstance(path, ContextKey):
        return FilePath(base_dir=path)
    if isinstance(path, (str, pathlib.PurePath)):
        return FilePath(path)
    if hasattr(path, "__fspath__"):
        return FilePath(path.__fspath__())
    raise TypeError(f"expected a path, a FilePath or a ContextKey, not {type(path).__name__}")


class World(NamedTuple):
    """Where a component finds its files."""

    filesystem: FileSystem
    scheduler: Scheduler

    def absolute(self, path: FilePath) -> str:
        """The full path, for the file system."""
        return str(pathlib.PurePath(self.filesystem.absolute(str(path.resolve()))))


def world(api: str) -> World:
    """The running component's. ``api`` is named in the ``RuntimeError`` outside one."""
    run = current(api).cycle.run
    return World(run.provider.filesystem, run.scheduler)


def reporter() -> Callable[[Exception], Awaitable[None]]:
    """Tells the running component's exception handlers of a failure that does not end it. Raises what the
    outermost of them raised, if all did."""
    cycle = current("this").cycle

    async def report(exc: Exception) -> None:
        escaped = await cycle.report(exc)
        if escaped is not None:
            raise escaped

    return report
