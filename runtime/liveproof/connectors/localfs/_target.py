"""Directories and files as targets: what is wanted, and whether it is there already.

A target state is an *entry*: a file with its contents, or a directory, which may have entries of its own. One
handler serves both, because a name may change from one to the other.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import PurePath, PurePosixPath
from typing import TYPE_CHECKING, Any, Generic, NamedTuple

from typing_extensions import TypeVar

from liveproof.connectors.localfs._path import PathArgument, to_file_path, world
from liveproof.connectors.localfs._walk import is_temporary
from liveproof.connectors.localfs._write import Action, Place, apply, settle
from liveproof.core.absence import NON_EXISTENCE, NonExistenceType
from liveproof.core.mounting import mount_target
from liveproof.core.paths import StableKey
from liveproof.core.targets import (
    TargetActionSink,
    TargetReconcileOutput,
    TargetState,
    TargetStateProvider,
    declare_target_state,
    declare_target_state_with_child,
    register_root_target_states_provider,
)

if TYPE_CHECKING:
    from liveproof.core.provider import ContextProvider

__all__ = [
    "DirTarget",
    "EntryHandler",
    "EntryRecord",
    "EntrySpec",
    "RootHandler",
    "declare_dir_target",
    "declare_file",
    "dir_target",
    "mount_dir_target",
]

StatusT = TypeVar("StatusT", default=Any)


class EntrySpec(NamedTuple):
    """What is wanted under a name."""

    content: bytes | None
    """Of a file; ``None`` for a directory."""
    create_parent_dirs: bool


@dataclass(frozen=True, slots=True)
class EntryRecord:
    """What was written under a name."""

    fingerprint: bytes | None
    """Of a file's contents; ``None`` for a directory."""


def _child_handler(context_provider: ContextProvider, action: Action) -> EntryHandler:
    return EntryHandler(action.place.inside(action.name))


_SINK: TargetActionSink[Action, EntryHandler] = TargetActionSink.from_fn(
    apply, child_handler=_child_handler, settle=settle
)


class EntryHandler:
    """Handles the entries of one directory. Their keys are paths relative to it, with forward slashes."""

    __slots__ = ("_place",)

    def __init__(self, place: Place) -> None:
        self._place = place

    def reconcile(
        self,
        key: StableKey,
        desired_target_state: EntrySpec | NonExistenceType,
        prev_possible_records: Collection[EntryRecord],
        prev_may_be_missing: bool,
        /,
    ) -> TargetReconcileOutput[Action, EntryRecord, EntryHandler] | None:
        """See :class:`liveproof.core.targets.TargetHandler`."""
        assert isinstance(key, str), "the keys of entries are made here"
        return _reconcile(
            self._place, key, desired_target_state, prev_possible_records, prev_may_be_missing
        )

    def in_the_way(self, key: StableKey, other: StableKey) -> bool:
        """Whether ``other`` is a directory of ``key``'s path, or the other way round: only one can be there."""
        assert isinstance(key, str), "the keys of entries are made here"
        assert isinstance(other, str), "the keys of entries are made here"
        return key.startswith(other + "/") or other.startswith(key + "/")

    def child_handler(self, context_provider: ContextProvider, key: StableKey) -> EntryHandler:
        """For the entries of the directory ``key``."""
        assert isinstance(key, str), "the keys of entries are made here"
        return EntryHandler(self._place.inside(key))


class RootHandler:
    """Handles files and directories that are declared by themselves. Their keys are ``(base, path)``."""

    __slots__ = ()

    def reconcile(
        self,
        key: StableKey,
        desired_target_state: EntrySpec | NonExistenceType,
        prev_possible_records: Collection[EntryRecord],
        prev_may_be_missing: bool,
        /,
    ) -> TargetReconcileOutput[Action, EntryRecord, EntryHandler] | None:
        """See :class:`liveproof.core.targets.TargetHandler`."""
        return _reconcile(
            _root_place(key), "", desired_target_state, prev_possible_records, prev_may_be_missing
        )

    def child_handler(self, context_provider: ContextProvider, key: StableKey) -> EntryHandler:
        """For the entries of the directory ``key``."""
        return EntryHandler(_root_place(key))


def _root_place(key: StableKey) -> Place:
    assert isinstance(key, tuple), "the keys of roots are made here"
    base, path = key
    assert base is None or isinstance(base, str), "the name of a ContextKey"
    assert isinstance(path, str), "a path"
    return Place(base, path)


def _reconcile(
    place: Place,
    name: str,
    wanted: EntrySpec | NonExistenceType,
    records: Collection[EntryRecord],
    may_be_missing: bool,
) -> TargetReconcileOutput[Action, EntryRecord, EntryHandler] | None:
    was_file = any(record.fingerprint is not None for record in records)
    was_dir = any(record.fingerprint is None for record in records)
    if isinstance(wanted, NonExistenceType):
        if not records:
            return None  # Whatever is there, it is not ours.
        action = Action(place, name, None, parents=False, delete=True, was_file=was_file, was_dir=was_dir)
        return TargetReconcileOutput(action, _SINK, NON_EXISTENCE)
    record = EntryRecord(None if wanted.content is None else _digest(wanted.content))
    if records and not may_be_missing and all(known == record for known in records):
        return None
    action = Action(
        place,
        name,
        wanted.content,
        parents=wanted.create_parent_dirs,
        delete=False,
        was_file=was_file,
        was_dir=was_dir,
    )
    return TargetReconcileOutput(action, _SINK, record)


def _digest(content: bytes) -> bytes:
    return blake2b(content, digest_size=16).digest()


_root: TargetStateProvider[EntrySpec, EntryHandler] = register_root_target_states_provider(
    "liveproof/localfs", RootHandler()
)


class DirTarget(Generic[StatusT]):
    """A directory in which files are declared."""

    __slots__ = ("_provider",)

    def __init__(self, provider: TargetStateProvider[EntrySpec, EntryHandler]) -> None:
        self._provider = provider

    def declare_file(
        self, filename: str | PurePath, content: bytes | str, *, create_parent_dirs: bool = False
    ) -> None:
        """Let the running component own a file in this directory, with these contents.

        The file is written when the contents have changed, in one step: nobody sees half of it. When it is no
        longer declared it is removed, and so are the directories between it and this one that are
        empty then.

        Raises:
            ValueError: ``filename`` is empty, absolute, or not below this directory.
        """
        spec = EntrySpec(_as_bytes(content), create_parent_dirs)
        declare_target_state(self._provider.target_state(_entry_key(filename), spec))

    def declare_dir_target(
        self, path: str | PurePath, *, create_parent_dirs: bool = False
    ) -> DirTarget[Any]:
        """Let the running component own a directory in this one. For use in this component; another one
        needs ``await mount_target(...)``."""
        return DirTarget(declare_target_state_with_child(self._dir(path, create_parent_dirs)))

    def dir_target(
        self, path: str | PurePath, *, create_parent_dirs: bool = False
    ) -> TargetState[EntryHandler]:
        """A directory in this one, for ``mount_target``."""
        return self._dir(path, create_parent_dirs)

    def _dir(self, path: str | PurePath, create_parent_dirs: bool) -> TargetState[EntryHandler]:
        return self._provider.target_state(_entry_key(path), EntrySpec(None, create_parent_dirs))

    def __coco_memo_key__(self) -> object:
        return self._provider.__coco_memo_key__()

    def __repr__(self) -> str:
        return f"DirTarget({self._provider!r})"


def _as_bytes(content: bytes | str) -> bytes:
    if isinstance(content, str):
        return content.encode()
    if isinstance(content, (bytes, bytearray, memoryview)):
        return bytes(content)
    raise TypeError(f"a file's content is bytes or str, not {type(content).__name__}")


def _entry_key(name: str | PurePath) -> str:
    """The key of a name in a directory.

    Raises:
        ValueError: the name leads out of the directory, or is none.
    """
    if not isinstance(name, (str, PurePath)):
        raise TypeError(f"a file name is a str or a PurePath, not {type(name).__name__}")
    text = name.as_posix() if isinstance(name, PurePath) else name
    path = PurePosixPath(text)  # folds "a//b" and "a/./b", which name the same file, into "a/b"
    _refuse_bad_path(path, text)
    if path.is_absolute() or PurePath(text).is_absolute() or PurePath(text).drive:
        raise ValueError(f"{text!r} is absolute: name a file below the target directory")
    return path.as_posix()


def _refuse_bad_path(path: PurePosixPath, text: str) -> None:
    if not path.name:
        raise ValueError(f"{text!r} is not a name: it stands for the directory itself")
    if ".." in path.parts:
        raise ValueError(f"{text!r} may lead out of the target directory: write it without '..'")
    if "\0" in text:
        raise ValueError(f"{text!r} can not be a file name: it contains NUL")
    if is_temporary(path.name):
        raise ValueError(f"{text!r} is the name of a file being written: choose another")


def _root_key(path: PathArgument, *, api: str, file: bool) -> tuple[str | None, str]:
    """Names a root by the key of its base, or else by its full path: a relative one would be somewhere
    else when the current directory changes."""
    file_path = to_file_path(path)
    text = file_path.as_posix()
    if file:
        _refuse_bad_path(PurePosixPath(text), text)
    elif "\0" in text:
        raise ValueError(f"{text!r} can not be a path: it contains NUL")
    if file_path.base_dir is None:
        return (None, PurePath(world(api).filesystem.absolute(text)).as_posix())
    if ".." in file_path.parts:
        raise ValueError(f"{text!r} may lead out of {file_path.base_dir!r}: write it without '..'")
    return (file_path.base_dir.key, text)


def declare_file(
    path: PathArgument, content: bytes | str, *, create_parent_dirs: bool = False
) -> None:
    """Let the running component own a file, as :meth:`DirTarget.declare_file` does. Directories that were
    made for it stay when it goes: nothing says which of them somebody else counts on."""
    key = _root_key(path, api="declare_file()", file=True)
    declare_target_state(_root.target_state(key, EntrySpec(_as_bytes(content), create_parent_dirs)))


def dir_target(path: PathArgument, *, create_parent_dirs: bool = True) -> TargetState[EntryHandler]:
    """A directory, for ``mount_target``."""
    key = _root_key(path, api="dir_target()", file=False)
    return _root.target_state(key, EntrySpec(None, create_parent_dirs))


def declare_dir_target(path: PathArgument, *, create_parent_dirs: bool = True) -> DirTarget[Any]:
    """Let the running component own a directory. For use in this component; for others use
    :func:`mount_dir_target`."""
    return DirTarget(declare_target_state_with_child(dir_target(path, create_parent_dirs=create_parent_dirs)))


async def mount_dir_target(path: PathArgument, *, create_parent_dirs: bool = True) -> DirTarget[Any]:
    """A directory that exists from now on, and that other components can declare files in.

    It is made by a component of its own. When it is no longer mounted, its files go, and it goes if it is
    empty then.
    """
    return DirTarget(await mount_target(dir_target(path, create_parent_dirs=create_parent_dirs)))
