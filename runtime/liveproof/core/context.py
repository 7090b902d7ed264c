"""Which component is running here, and what it may reach.

One context variable holds an immutable :class:`ComponentContext`; entering a sub-path, an exception
handler or a memoized call sets a changed copy for the extent of a block, which asyncio then hands to
the tasks that the block starts.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextvars import ContextVar, Token
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, Self, TypeAlias, TypeVar

from liveproof.core.paths import Path, StableKey, check_key, format_key, format_path

if TYPE_CHECKING:
    from liveproof.core.component import Cycle
    from liveproof.core.provider import ContextProvider

__all__ = [
    "ComponentContext",
    "ComponentSubpath",
    "ContextKey",
    "ExceptionContext",
    "ExceptionHandler",
    "HandlerChain",
    "MountKind",
    "component_subpath",
    "current",
    "current_or_none",
    "exception_handler",
    "get_component_context",
    "use_context",
]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

MountKind: TypeAlias = Literal["mount", "mount_each", "delete_background", "process_live"]


@dataclass(frozen=True, slots=True)
class ExceptionContext:
    """What an exception handler is told about a failure."""

    env_name: str
    stable_path: str
    processor_name: str | None
    mount_kind: MountKind
    parent_stable_path: str | None
    is_background: bool
    source: Literal["component", "handler"]
    """``"handler"`` when an inner handler raised; then ``original_exception`` is what it was given."""
    original_exception: BaseException | None


ExceptionHandler: TypeAlias = Callable[[BaseException, ExceptionContext], Awaitable[None] | None]


class HandlerChain(NamedTuple):
    """The handlers in force, innermost first."""

    handler: ExceptionHandler
    outer: HandlerChain | None


class ContextKey(Generic[T_co]):
    """A typed name for a value that a lifespan provides and components use.

    With ``detect_change``, memoized functions that used the value run again when it changes.
    """

    __slots__ = ("_detect_change", "_key")

    def __init__(self, key: str, *, detect_change: bool = False) -> None:
        if not isinstance(key, str) or not key:
            raise TypeError("ContextKey takes a non-empty str that stays the same across runs")
        self._key = key
        self._detect_change = detect_change

    @property
    def key(self) -> str:
        return self._key

    @property
    def detect_change(self) -> bool:
        return self._detect_change

    def __repr__(self) -> str:
        return f"ContextKey({self._key!r})"

    def __coco_memo_key__(self) -> object:
        return ("ContextKey", self._key)


_UNUSED: list[bytes] = []
"""The targets of frames that are not of memoized calls: nothing is ever added."""


class CallFrame:
    """What one memoized call (or one whole component) was seen to depend on and to declare."""

    __slots__ = ("memos", "outer", "targets", "uses")

    def __init__(self, outer: CallFrame | None = None) -> None:
        self.outer = outer
        self.uses: dict[bytes, None] = {}
        """Logic fingerprints of the functions called and context values used, in order."""
        self.memos: list[bytes] = _UNUSED if outer is None else []
        """Keys of the remembered calls inside, if this is a memoized call's frame."""
        self.targets: list[bytes] = _UNUSED if outer is None else []
        """Keys of the target states declared inside, if this is a memoized call's frame."""


class ComponentContext:
    """The running component, as seen from one place in its code. Made by the runtime only."""

    __slots__ = ("cycle", "frame", "handlers", "live_operator", "prefix")

    def __init__(
        self,
        cycle: Cycle,
        frame: CallFrame,
        handlers: HandlerChain | None,
        prefix: Path = (),
        *,
        live_operator: bool = False,
    ) -> None:
        self.cycle = cycle
        self.frame = frame
        self.handlers = handlers
        self.prefix = prefix
        self.live_operator = live_operator
        """Whether this is the body of a ``process_live()``."""

    def replace(
        self,
        *,
        frame: CallFrame | None = None,
        handlers: HandlerChain | None = None,
        prefix: Path | None = None,
    ) -> ComponentContext:
        """A copy with the given parts changed."""
        return ComponentContext(
            self.cycle,
            self.frame if frame is None else frame,
            self.handlers if handlers is None else handlers,
            self.prefix if prefix is None else prefix,
            live_operator=self.live_operator,
        )

    @property
    def path(self) -> Path:
        """Path of the component, with the sub-path of the enclosing ``with`` blocks."""
        return self.cycle.path + self.prefix

    @contextlib.contextmanager
    def attach(self) -> Iterator[None]:
        """Make this the context of the current thread, for the extent of a ``with`` block: for code in
        executors that don't carry context variables over."""
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)

    def __str__(self) -> str:
        return format_path(self.path)

    def __repr__(self) -> str:
        return f"<ComponentContext {format_path(self.path)}>"

    def __coco_memo_key__(self) -> object:
        # Passing a context on must not tie a memo to the component that happened to pass it.
        return None


_current: ContextVar[ComponentContext | None] = ContextVar("liveproof_component", default=None)


def current_or_none() -> ComponentContext | None:
    """The context of the running component, or ``None`` outside one."""
    return _current.get()


def current(api: str = "this") -> ComponentContext:
    """The context of the running component. ``api`` is named in the ``RuntimeError`` outside one."""
    context = _current.get()
    if context is None:
        raise RuntimeError(
            f"no component is running here: call {api} inside a function that an App runs or that was "
            "mounted; in a thread of your own, enter get_component_context().attach() first"
        )
    return context


def enter(context: ComponentContext | None) -> Token[ComponentContext | None]:
    """Make ``context`` the current one, or none; undo it with :func:`leave`."""
    return _current.set(context)


def leave(token: Token[ComponentContext | None]) -> None:
    """Undo :func:`enter`."""
    _current.reset(token)


def get_component_context() -> ComponentContext:
    """The running component's context, to hand to code that runs elsewhere (see ``attach``).

    Raises:
        RuntimeError: no component is running here.
    """
    return current("get_component_context()")


def use_context(key: ContextKey[T]) -> T:
    """The value that the environment's lifespan provided for ``key``.

    Raises:
        RuntimeError: no component is running here.
        KeyError: nothing was provided for ``key``.
    """
    context = current("use_context()")
    provider: ContextProvider = context.cycle.run.provider
    value = provider.get(key)
    if key.detect_change:
        context.frame.uses[provider.fingerprint(key)] = None
    return value


class ComponentSubpath:
    """A relative path: the first argument of ``mount`` and its kin, or a ``with`` block in which all of
    them get it as a prefix."""

    __slots__ = ("_parts", "_token")

    def __init__(self, *key_parts: StableKey) -> None:
        for part in key_parts:
            check_key(part)
        self._parts: Path = key_parts
        self._token: Token[ComponentContext | None] | None = None

    @property
    def parts(self) -> Path:
        return self._parts

    def __truediv__(self, part: StableKey) -> ComponentSubpath:
        return ComponentSubpath(*self._parts, part)

    def __enter__(self) -> Self:
        context = current("component_subpath()")
        if self._token is not None:
            raise RuntimeError("this component_subpath() is already entered; make another one")
        self._token = _current.set(context.replace(prefix=context.prefix + self._parts))
        return self

    def __exit__(self, *exc_info: object) -> None:
        token, self._token = self._token, None
        assert token is not None, "left a component_subpath() that was not entered"
        _current.reset(token)

    def __repr__(self) -> str:
        return f"component_subpath({', '.join(map(format_key, self._parts))})"


def component_subpath(*key_parts: StableKey) -> ComponentSubpath:
    """A relative path of one or more stable keys.

    Raises:
        TypeError: a key is not a stable key, or there is none.
    """
    if not key_parts:
        raise TypeError("component_subpath() takes at least one key")
    return ComponentSubpath(*key_parts)


@contextlib.asynccontextmanager
async def exception_handler(handler: ExceptionHandler) -> AsyncIterator[None]:
    """Let ``handler(exception, context)`` see the failures of what is mounted inside the block.

    A handler that returns has dealt with the failure; one that raises passes its exception to the next
    outer handler, and, past the outermost, to whoever awaits the handle's ``ready()``.
    """
    context = current("exception_handler()")
    token = _current.set(context.replace(handlers=HandlerChain(handler, context.handlers)))
    try:
        yield
    finally:
        _current.reset(token)


def display_name(fn: Any) -> str:
    """What to call a function or class in statistics and messages."""
    # Not by getattr with a default: a Function would have to raise, and raising costs more than all else.
    given: dict[str, Any] = getattr(fn, "__dict__", {})
    name: str = given.get("__coco_subpath_name__") or getattr(fn, "__name__", None) or type(fn).__name__
    return name


def detach() -> None:
    """Forget the component in this task: the runtime's own tasks act for no component."""
    _current.set(None)
