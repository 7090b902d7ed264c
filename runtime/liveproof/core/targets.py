"""Target states: what a component wants to exist, who reconciles it, and who applies it.

A *target state* is named by a path: the name of a root provider, a key, and, below a container, further
keys. Its encoding (:func:`~liveproof.core.paths.encode_path`) identifies it in the store. A
:class:`TargetHandler` compares what is wanted with what may be there and says what to do; a
:class:`TargetActionSink` does it, for many at once.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, Protocol, TypeAlias, cast

if sys.version_info >= (3, 13):
    from typing import TypeVar
else:
    from typing_extensions import TypeVar

from liveproof.core.absence import NonExistenceType
from liveproof.core.context import ComponentContext, current
from liveproof.core.paths import Path, StableKey, Symbol, encode_key, encode_path, format_path
from liveproof.core.values import decoder, element_type, parameter_type
from liveproof.errors import MemoError

if TYPE_CHECKING:
    from liveproof.core.provider import ContextProvider

__all__ = [
    "ChildTargetDef",
    "MaybePendingS",
    "PendingS",
    "PendingTargetStateProvider",
    "ResolvedS",
    "TargetActionSink",
    "TargetHandler",
    "TargetReconcileOutput",
    "TargetState",
    "TargetStateProvider",
    "declare_target_state",
    "declare_target_state_with_child",
    "register_root_target_states_provider",
]

ActionT = TypeVar("ActionT", default=Any)
ActionT_contra = TypeVar("ActionT_contra", contravariant=True, default=Any)
ValueT = TypeVar("ValueT", default=Any)
ValueT_contra = TypeVar("ValueT_contra", contravariant=True, default=Any)
RecordT = TypeVar("RecordT", default=Any)
HandlerT_co = TypeVar("HandlerT_co", covariant=True, default=Any)
ChildT = TypeVar("ChildT", default=None)
ChildT_co = TypeVar("ChildT_co", covariant=True, default=None)



class ResolvedS:
    """Type argument of a provider or target whose container has been applied."""


class PendingS:
    """Type argument of a provider or target whose container is yet to be applied."""


MaybePendingS = TypeVar("MaybePendingS", default=ResolvedS)
"""Either of them."""

Invalidation: TypeAlias = Literal["destructive", "lossy"] | None


class ChildTargetDef(NamedTuple, Generic[HandlerT_co]):
    """What a container's sink returns for an action: the handler of the states inside it."""

    handler: HandlerT_co


class TargetActionSink(Generic[ActionT_contra, HandlerT_co]):
    """Applies batches of actions. Sinks made of equal functions are one sink and share batches."""

    __slots__ = ("child_handler", "fn", "is_async", "settle")

    def __init__(
        self,
        fn: Callable[..., Any],
        *,
        is_async: bool,
        child_handler: Callable[[ContextProvider, Any], Any] | None,
        settle: Callable[[ContextProvider, Sequence[Any]], None] | None,
    ) -> None:
        if not callable(fn):
            raise TypeError(f"a sink needs a function (context_provider, actions), not {fn!r}")
        self.fn = fn
        self.is_async = is_async
        self.child_handler = child_handler
        self.settle = settle

    @staticmethod
    def from_fn(
        fn: Callable[[ContextProvider, Sequence[ActionT]], Sequence[ChildTargetDef[Any] | None] | None],
        *,
        child_handler: Callable[[ContextProvider, ActionT], Any] | None = None,
        settle: Callable[[ContextProvider, Sequence[ActionT]], None] | None = None,
    ) -> TargetActionSink[ActionT, Any]:
        """A sink of a sync function ``fn(context_provider, actions)``, run off the loop.

        For a container, ``fn`` returns a :class:`ChildTargetDef` or ``None`` per action, or
        ``child_handler(context_provider, action)`` makes the handler of the states inside.

        ``settle(context_provider, actions)`` makes what was applied survive a power cut. It is called
        after ``ready()``, before the actions are recorded as done, and not under
        ``Settings(durability="process")``.
        """
        if inspect.iscoroutinefunction(fn):
            raise TypeError(f"from_fn() takes a sync function; use from_async_fn() for {fn!r}")
        return TargetActionSink(fn, is_async=False, child_handler=child_handler, settle=settle)

    @staticmethod
    def from_async_fn(
        fn: Callable[
            [ContextProvider, Sequence[ActionT]],
            Awaitable[Sequence[ChildTargetDef[Any] | None] | None],
        ],
        *,
        child_handler: Callable[[ContextProvider, ActionT], Any] | None = None,
        settle: Callable[[ContextProvider, Sequence[ActionT]], None] | None = None,
    ) -> TargetActionSink[ActionT, Any]:
        """A sink of an async function; otherwise as :meth:`from_fn` (``settle`` is sync here, too)."""
        if not inspect.iscoroutinefunction(fn) and not inspect.iscoroutinefunction(
            getattr(fn, "__call__", None)  # noqa: B004 - the method itself is wanted
        ):
            raise TypeError(f"from_async_fn() takes an async function; use from_fn() for {fn!r}")
        return TargetActionSink(fn, is_async=True, child_handler=child_handler, settle=settle)


class TargetReconcileOutput(NamedTuple, Generic[ActionT, RecordT, ChildT_co]):
    """What has to be done for one target state, and what to remember of it."""

    action: ActionT
    sink: TargetActionSink[ActionT, Any]
    tracking_record: RecordT | NonExistenceType
    child_invalidation: Invalidation = None
    """For a container: ``"destructive"`` if the action destroys what is inside, ``"lossy"`` if some of it
    may be lost."""


class TargetHandler(Protocol[ValueT_contra, RecordT, ChildT_co]):
    """Reconciles one kind of target state. Annotate ``prev_possible_records`` as
    ``Collection[YourRecord]``: stored records are rebuilt by that type.

    A handler of containers may also have ``child_handler(context_provider, key)``: the handler for what
    is inside the container ``key``, made from the key alone. With it a container that is unchanged needs
    no action, and what is inside can be deleted in a run that did not declare the container.

    ``attachments()`` may return handlers of auxiliary states by name.

    ``in_the_way(key, other)`` may say that a state under ``other``, in the same container, keeps ``key``
    from being written (a file where a directory has to be, say). When writing fails, what is in the way and
    belongs to a component that is about to be collected goes first.
    """

    def reconcile(
        self,
        key: StableKey,
        desired_target_state: ValueT_contra | NonExistenceType,
        prev_possible_records: Collection[RecordT],
        prev_may_be_missing: bool,
        /,
    ) -> TargetReconcileOutput[Any, RecordT, ChildT_co] | None:
        """Compare; return what to do, or ``None`` if nothing. Must not block, nor have effects.

        ``prev_possible_records`` are all the records that the target may hold (several after an
        interrupted update, none if nothing was recorded); ``prev_may_be_missing`` says whether it may
        also hold nothing.
        """


class _Level:
    """What providers of one container (or root) share: resolved or pending, which generation."""

    __slots__ = ("decode", "generation", "handler", "owner")

    def __init__(self, handler: Any | None, generation: tuple[int, int], owner: bytes | None) -> None:
        self.handler: Any = handler
        self.generation = generation
        self.owner = owner
        """While pending: key of the component that declared the container."""
        self.decode: Callable[[bytes], Any] | None = None


def record_decoder(handler: Any) -> Callable[[bytes], Any]:
    """Decoder for a handler's tracking records, by the annotation of ``prev_possible_records``."""
    method = inspect.unwrap(handler.reconcile)
    at = 3 if inspect.ismethod(handler.reconcile) else 2  # Counted with ``self``, if there is one.
    return decoder(element_type(parameter_type(method, at)))


class TargetStateProvider(Generic[ValueT, ChildT]):
    """Makes target states of one kind: those of a root name, or those inside one container."""

    __slots__ = ("_attachments", "_level", "key", "path")

    def __init__(self, path: Path, level: _Level) -> None:
        self.path = path
        self.key = encode_path(path)
        self._level = level
        self._attachments: dict[str, TargetStateProvider[Any, Any]] = {}

    @property
    def memo_key(self) -> str:
        """Identity, and generation of the container: a memo must not outlive what was in it."""
        destructive, lossy = self._level.generation
        return f"{self.key.hex()}:{destructive}:{lossy}"

    def __coco_memo_key__(self) -> object:
        if self._level.handler is None:
            raise MemoError(
                f"the container {format_path(self.path)} is not applied yet, so that nobody can tell what a memo "
                "would stand for: pass on the provider that mount_target() returns"
            )
        return (self.key, *self._level.generation)

    def target_state(self, key: StableKey, value: ValueT) -> TargetState[ChildT]:
        """The wish that ``key`` holds ``value``; declare it to make it one.

        Raises:
            TypeError: ``key`` is not a stable key.
        """
        return TargetState(self, key, value)

    def attachment(self, att_type: str) -> TargetStateProvider[Any, Any]:
        """Provider of an auxiliary kind of states of this container.

        Raises:
            RuntimeError: the container is not applied yet.
            ValueError: the handler has no such attachment.
        """
        known = self._attachments.get(att_type)
        if known is None:
            handler = self._level.handler
            if handler is None:
                raise RuntimeError("attachment() needs a mounted container: use mount_target() first")
            offered = handler.attachments() if hasattr(handler, "attachments") else {}
            if att_type not in offered:
                raise ValueError(
                    f"{type(handler).__name__} has no attachment {att_type!r}; it has {sorted(offered)}"
                )
            level = _Level(offered[att_type], self._level.generation, None)
            known = TargetStateProvider((*self.path, Symbol(att_type)), level)
            self._attachments[att_type] = known
        return known

    def __repr__(self) -> str:
        pending = "" if self._level.handler is not None else " (pending)"
        return f"<TargetStateProvider {format_path(self.path)}{pending}>"


PendingTargetStateProvider: TypeAlias = TargetStateProvider[ValueT, ChildT]


class TargetState(Generic[ChildT]):
    """A wish, not yet declared."""

    __slots__ = ("key", "provider", "stable_key", "value")

    def __init__(self, provider: TargetStateProvider[Any, Any], key: StableKey, value: Any) -> None:
        self.provider = provider
        self.stable_key = key
        self.value = value
        self.key = provider.key + encode_key(key)

    @property
    def path(self) -> Path:
        return (*self.provider.path, self.stable_key)

    def __repr__(self) -> str:
        return f"<TargetState {format_path(self.path)}>"


def _declaring_context(api: str) -> ComponentContext:
    context = current(api)
    if context.live_operator:
        raise RuntimeError(
            f"{api} is not allowed inside process_live() of {format_path(context.cycle.path)}: declare in "
            "process(), or in a child mounted with operator.update()"
        )
    return context


def declare_target_state(target_state: TargetState[Any]) -> None:
    """Let the running component own this target state: it will exist as long as it is declared.

    Raises:
        RuntimeError: no component is running here, or the container it is in is not applied yet.
        ValueError: declared already in this component.
    """
    context = _declaring_context("declare_target_state()")
    context.cycle.declare(target_state, context.frame)


def declare_target_state_with_child(
    target_state: TargetState[Any],
) -> TargetStateProvider[Any, Any]:
    """Declare a container, and get the provider of the states inside it.

    The provider is pending until the component has been submitted; within the component, states inside
    may be declared already. Use ``mount_target`` to get a provider for other components.
    """
    context = _declaring_context("declare_target_state_with_child()")
    declaration = context.cycle.declare(target_state, context.frame)
    if declaration.child is None:
        declaration.child = TargetStateProvider(
            target_state.path, _Level(None, (0, 0), context.cycle.key)
        )
    return declaration.child


class Declaration:
    """A target state as declared in one cycle."""

    __slots__ = ("child", "key", "provider", "retained", "stable_key", "value")

    def __init__(self, target_state: TargetState[Any]) -> None:
        self.key = target_state.key
        self.provider = target_state.provider
        self.stable_key = target_state.stable_key
        self.value = target_state.value
        self.child: TargetStateProvider[Any, Any] | None = None


class HandlerMissingError(RuntimeError):
    """A target state is to be removed, and this run has no handler for it."""


_roots: dict[str, TargetStateProvider[Any, Any]] = {}


def register_root_target_states_provider(
    name: str, handler: TargetHandler[ValueT, Any, ChildT]
) -> TargetStateProvider[ValueT, ChildT]:
    """Register the handler of a root kind of target states, under a name that is stable across runs.

    Raises:
        ValueError: the name is taken.
    """
    if not isinstance(name, str) or not name:
        raise TypeError("a provider's name is a non-empty str, such as 'example.org/db/row'")
    if name in _roots:
        raise ValueError(f"a root target states provider named {name!r} is registered already")
    provider: TargetStateProvider[Any, Any] = TargetStateProvider((name,), _Level(handler, (0, 0), None))
    _roots[name] = provider
    return cast("TargetStateProvider[ValueT, ChildT]", provider)


def root_provider(name: object) -> TargetStateProvider[Any, Any] | None:
    """The registered provider of a name."""
    return _roots.get(name) if isinstance(name, str) else None
