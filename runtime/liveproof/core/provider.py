"""What a lifespan provided: the values behind the context keys."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, TypeVar, overload

from liveproof.core.context import ContextKey
from liveproof.core.fingerprint import fingerprint

if TYPE_CHECKING:
    from liveproof.abc.filesystem import FileSystem

__all__ = ["ContextProvider"]

T = TypeVar("T")


class ContextProvider:
    """A typed mapping from :class:`ContextKey` to value. Sinks get it as their first argument."""

    def __init__(self) -> None:
        self._filesystem: FileSystem | None = None
        self._values: dict[str, Any] = {}
        self._fingerprints: dict[str, bytes] = {}
        self._exit_stack = contextlib.AsyncExitStack()

    @property
    def filesystem(self) -> FileSystem:
        """The file system in force.

        Raises:
            RuntimeError: this provider belongs to no environment yet.
        """
        if self._filesystem is None:
            raise RuntimeError("no file system: hand this ContextProvider to an Environment first")
        return self._filesystem

    @filesystem.setter
    def filesystem(self, filesystem: FileSystem) -> None:
        self._filesystem = filesystem

    def provide(self, key: ContextKey[T], value: T) -> T:
        """Provide ``value`` for ``key`` and return it.

        Raises:
            ValueError: the key has a value already.
        """
        if not isinstance(key, ContextKey):
            raise TypeError(f"provide() takes a ContextKey, not {type(key).__name__}")
        if key.key in self._values:
            raise ValueError(f"a value was provided for {key!r} already")
        if key.detect_change:
            self._fingerprints[key.key] = fingerprint(("context", key.key, value))
        self._values[key.key] = value
        return value

    def provide_with(self, key: ContextKey[T], cm: contextlib.AbstractContextManager[T]) -> T:
        """Enter ``cm`` until the environment stops, and provide what it yields."""
        return self.provide(key, self._exit_stack.enter_context(cm))

    async def provide_async_with(
        self, key: ContextKey[T], cm: contextlib.AbstractAsyncContextManager[T]
    ) -> T:
        """Enter ``cm`` until the environment stops, and provide what it yields."""
        return self.provide(key, await self._exit_stack.enter_async_context(cm))

    @overload
    def get(self, key: ContextKey[T]) -> T: ...
    @overload
    def get(self, key: str) -> Any: ...
    @overload
    def get(self, key: str, t: type[T]) -> T: ...
    def get(self, key: ContextKey[Any] | str, t: type[Any] | None = None) -> Any:
        """The value for a key, or for its name; with ``t``, checked to be one.

        Raises:
            KeyError: nothing was provided.
            TypeError: the value is not a ``t``.
        """
        name = key if isinstance(key, str) else key.key
        if name not in self._values:
            raise KeyError(
                f"nothing was provided for ContextKey({name!r}): call builder.provide() in the lifespan"
            )
        value = self._values[name]
        if t is not None and not isinstance(value, t):
            raise TypeError(
                f"the value of ContextKey({name!r}) is a {type(value).__name__}, not a {t.__name__}"
            )
        return value

    def fingerprint(self, key: ContextKey[Any]) -> bytes:
        """Fingerprint of a change-detected value, as memoized calls record it."""
        return self._fingerprints[key.key]

    def fingerprints(self) -> list[bytes]:
        """The fingerprints of all change-detected values."""
        return list(self._fingerprints.values())

    async def aclose(self) -> None:
        """Leave the context managers that were entered, last first."""
        await self._exit_stack.aclose()
