"""``fn``: functions that take part in change detection, and may be remembered.

Outside a component a decorated function is just a function. Inside one, each call tells the running
frame which logic it is, and a memoized function is looked up before it is run (``memo.py``).
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Generic,
    Literal,
    ParamSpec,
    Protocol,
    TypeAlias,
    TypeVar,
    cast,
    overload,
)

from liveproof.core.batching import Batcher
from liveproof.core.code import module_name
from liveproof.core.context import CallFrame, ComponentContext, current_or_none, enter, leave
from liveproof.core.fingerprint import StateFn, fingerprint, fingerprint_call
from liveproof.core.logic import logic_fingerprint, note_live, note_pending
from liveproof.core.memo import (
    MemoCall,
    MemoEntry,
    MemoSite,
    check_states,
    check_states_sync,
    close_frame,
    own_frame,
)
from liveproof.core.signature import KeyArguments
from liveproof.core.values import decoder, return_type

if TYPE_CHECKING:
    from liveproof.abc.scheduler import Scheduler

__all__ = ["BoundFunction", "Function", "MemoEntry", "MemoSite", "Runner", "Tracking", "check_states"]

P = ParamSpec("P")
P2 = ParamSpec("P2")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
T = TypeVar("T")

Tracking: TypeAlias = Literal["full", "self"] | None
"""Whose logic counts: this function's and that of those it calls, its own only, or none."""


class Runner(Protocol):
    """Something that runs functions in a place or an order of its own."""

    async def run(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call ``fn``, and await the result if it is async."""


def _call_plain(function: Function[Any, Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    # A picklable way to the undecorated function, whose name leads to the decorated one.
    return function.__wrapped__(*args, **kwargs)


class Function(Generic[P, R_co]):
    """A function decorated by ``fn``. Called as the function that it wraps."""

    # What functools.update_wrapper sets.
    __name__: str
    __qualname__: str
    __wrapped__: Callable[..., Any]

    def __init__(
        self,
        wrapped: Callable[..., Any],
        *,
        memo: bool = False,
        memo_key: Mapping[str, Callable[[Any], object] | None] | None = None,
        version: int | None = None,
        tracking: Tracking = "full",
        deps: object = None,
        adapt: bool = False,
        batching: bool = False,
        max_batch_size: int | None = None,
        runner: Runner | None = None,
    ) -> None:
        functools.update_wrapper(self, wrapped)
        self._body_is_async = inspect.iscoroutinefunction(wrapped)
        self.memo = memo
        self.is_async = self._body_is_async or adapt
        self.tracking: Tracking = tracking if version is None else tracking or "full"
        """A version is the whole logic of its function, and can be tracked where code is not."""
        self.batching = batching
        self._version = version
        self._deps = None if deps is None else fingerprint(("deps", deps))
        self._size_max = max_batch_size
        self._runner = runner
        self._batchers: list[Batcher] = []
        self._logic: bytes | None = None
        self._result_type: Any = None
        self._key_arguments = KeyArguments(wrapped, memo_key)
        self._key_name = f"{module_name(self.__module__)}:{self.__qualname__}"
        if self.tracking is not None:
            note_pending(self)

    # --- for the runtime ---

    @property
    def logic(self) -> bytes:
        """The fingerprint of what it does itself: of its code, or its ``version`` instead, and ``deps``."""
        if self._logic is None:
            if self._version is None:
                code = logic_fingerprint(self.__wrapped__)
            else:
                code = fingerprint(("version", self._key_name, self._version))
            logic = code if self._deps is None else fingerprint((code, self._deps))
            note_live(self, logic)
            self._logic = logic
        return self._logic

    def call_key(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], states: list[StateFn]) -> bytes:
        """The fingerprint of a call; the memo-state functions of its arguments are appended to ``states``.

        Raises:
            MemoError: an argument has no stable fingerprint.
        """
        args, kwargs = self._key_arguments(args, kwargs)
        return fingerprint_call(self._key_name, args, kwargs, states)

    @property
    def raw(self) -> Callable[P, R_co]:
        """What runs when it is not remembered, without tracking: async if :attr:`is_async`."""
        if self.is_async and (self._runner is not None or self.batching or not self._body_is_async):
            return cast("Callable[P, R_co]", self._run_adapted)
        return self.__wrapped__

    @property
    def result_type(self) -> Any:
        """The annotation of the result of one call, by which a remembered one is read.

        Raises:
            MemoError: it cannot be resolved, or values of it cannot be read back.
        """
        if self._result_type is None:
            hint = return_type(self.__wrapped__)
            if self.batching:
                elements = getattr(hint, "__args__", ())
                hint = elements[0] if elements else Any
            decoder(hint)
            self._result_type = hint
        return self._result_type

    # --- calls ---

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        context = current_or_none()
        if context is None:
            return self.raw(*args, **kwargs)
        if self.memo or self.tracking == "self":
            call = self._call_async if self.is_async else self._call_sync
            return cast("R_co", call(context, args, kwargs))
        if self.tracking is not None:
            context.frame.uses[self._logic or self.logic] = None
        return self.raw(*args, **kwargs)

    @overload
    def as_async(
        self: Function[P2, Coroutine[Any, Any, T]], *args: P2.args, **kwargs: P2.kwargs
    ) -> Coroutine[Any, Any, T]: ...
    @overload
    def as_async(
        self: Function[P2, T], *args: P2.args, **kwargs: P2.kwargs
    ) -> Coroutine[Any, Any, T]: ...
    async def as_async(self: Function[Any, Any], *args: Any, **kwargs: Any) -> Any:
        """Call it from async code. Inside a component a sync function runs off the loop."""
        context = current_or_none()
        if self.is_async or context is None:
            result = self(*args, **kwargs)
            return await result if inspect.isawaitable(result) else result
        if self.memo or self.tracking == "self":
            return await self._call_async(context, args, kwargs)
        if self.tracking is not None:
            context.frame.uses[self.logic] = None
        return await self._run_adapted(*args, **kwargs)

    def _memo_call(
        self, context: ComponentContext, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> MemoCall:
        states: list[StateFn] = []
        return MemoCall(
            context,
            self.call_key(args, kwargs, states),
            states,
            logic=None if self.tracking is None else self.logic,
            own_only=self.tracking == "self",
            result_type=self.result_type,
        )

    def _call_sync(self, context: ComponentContext, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not self.memo:
            frame = own_frame(context.frame)
            token = enter(context.replace(frame=frame))
            try:
                return self.__wrapped__(*args, **kwargs)
            finally:
                leave(token)
                close_frame(frame, context.frame, self.logic, own_only=True)
        call = self._memo_call(context, args, kwargs)
        valid, states = check_states_sync(call.states, call.stored)
        if (recalled := call.recall(valid, states)) is not None:
            return recalled[0]
        inside = call.begin()
        token = enter(inside)
        try:
            result = self.__wrapped__(*args, **kwargs)
        finally:
            leave(token)
            uses = call.end(inside)
        call.remember(inside, uses, states, result)
        return result

    async def _call_async(
        self, context: ComponentContext, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        run = self.raw if self.is_async else self._run_adapted
        if not self.memo:
            frame = own_frame(context.frame)
            token = enter(context.replace(frame=frame))
            try:
                return await cast("Any", run(*args, **kwargs))
            finally:
                leave(token)
                close_frame(frame, context.frame, self.logic, own_only=True)
        call = self._memo_call(context, args, kwargs)
        valid, states = await check_states(call.states, call.stored)
        if (recalled := call.recall(valid, states)) is not None:
            return recalled[0]
        inside = call.begin()
        token = enter(inside)
        try:
            result = await cast("Any", run(*args, **kwargs))
        finally:
            leave(token)
            uses = call.end(inside)
        call.remember(inside, uses, states, result)
        return result

    # --- ways to run the body asynchronously ---

    async def _run_adapted(self, *args: Any, **kwargs: Any) -> Any:
        context = current_or_none()
        if not self.batching:
            return await self._run_body(context, args, kwargs)
        item = self._batch_item(args, kwargs)
        owner = args[:-1]
        if context is None:
            return (await self._run_body(None, (*owner, [item]), {}))[0]
        scheduler: Scheduler = context.cycle.run.scheduler
        owned_by = owner[0] if owner else self
        batcher = next((b for b in self._batchers if b.serves(scheduler, owned_by)), None)
        if batcher is None:
            batcher = Batcher(scheduler, owned_by, self._size_max)
            self._batchers.append(batcher)

        async def make(items: list[Any], frame: CallFrame) -> Sequence[Any]:
            inside = context.replace(frame=frame)
            token = enter(inside)
            try:
                return cast("Sequence[Any]", await self._run_body(inside, (*owner, items), {}))
            finally:
                leave(token)

        try:
            return await batcher.call(item, context.frame, make)
        finally:
            if batcher.idle and batcher in self._batchers:
                self._batchers.remove(batcher)

    def _batch_item(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if kwargs or not 1 <= len(args) <= 2:
            raise TypeError(f"{self.__qualname__} is batched: call it with one positional argument, the item")
        return args[-1]

    async def _run_body(
        self, context: ComponentContext | None, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if self._runner is not None:
            return await self._runner.run(self.__wrapped__, *args, **kwargs)
        if self._body_is_async:
            return await self.__wrapped__(*args, **kwargs)
        if context is None:  # Nobody here has threads.
            return self.__wrapped__(*args, **kwargs)
        return await context.cycle.run.scheduler.run_blocking(_call_plain, self, args, kwargs)

    # --- being a function ---

    @overload
    def __get__(self, instance: None, owner: type | None = None) -> Function[P, R_co]: ...
    @overload
    def __get__(
        self: Function[Concatenate[Any, P2], T], instance: object, owner: type | None = None
    ) -> BoundFunction[P2, T]: ...
    def __get__(self: Function[Any, Any], instance: object, owner: type | None = None) -> Function[Any, Any]:
        return self if instance is None else BoundFunction(self, instance)

    def __getattr__(self, name: str) -> Any:
        # What makes inspect take it for a function. Only asked when the usual search has failed.
        if name in ("__code__", "__defaults__", "__kwdefaults__", "__globals__", "__closure__"):
            value = getattr(self.__dict__["__wrapped__"], name)
            if name == "__code__" and self.is_async and not self._body_is_async:
                return value.replace(co_flags=value.co_flags | inspect.CO_COROUTINE)
            return value
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __reduce__(self) -> str | tuple[Any, ...]:
        return self.__qualname__  # By name, as functions are pickled and copied.

    def __coco_memo_key__(self) -> object:
        return self.__wrapped__

    def __repr__(self) -> str:
        return f"<fn {self.__module__}.{self.__qualname__}>"


class BoundFunction(Function[P, R_co]):
    """A :class:`Function` got from an instance, which it passes first."""

    def __init__(self, function: Function[Any, Any], instance: object) -> None:
        self.__func__ = function
        self.__self__ = instance

    def __getattr__(self, name: str) -> Any:
        if name in ("__func__", "__self__"):  # Not initialised: it is being copied.
            raise AttributeError(name)
        return getattr(self.__func__, name)

    @property
    def logic(self) -> bytes:
        return self.__func__.logic

    @property
    def raw(self) -> Callable[P, R_co]:
        return functools.partial(self.__func__.raw, self.__self__)

    @property
    def result_type(self) -> Any:
        return self.__func__.result_type

    def call_key(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], states: list[StateFn]) -> bytes:
        return self.__func__.call_key((self.__self__, *args), kwargs, states)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        return cast("R_co", self.__func__(self.__self__, *args, **kwargs))

    @overload
    def as_async(
        self: BoundFunction[P2, Coroutine[Any, Any, T]], *args: P2.args, **kwargs: P2.kwargs
    ) -> Coroutine[Any, Any, T]: ...
    @overload
    def as_async(
        self: BoundFunction[P2, T], *args: P2.args, **kwargs: P2.kwargs
    ) -> Coroutine[Any, Any, T]: ...
    async def as_async(self: BoundFunction[Any, Any], *args: Any, **kwargs: Any) -> Any:
        function: Any = self.__func__
        return await function.as_async(self.__self__, *args, **kwargs)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, BoundFunction)
            and self.__func__ is other.__func__
            and self.__self__ is other.__self__
        )

    def __hash__(self) -> int:
        return hash((self.__func__, type(self.__self__)))  # tidy: allow hash (in-process dictionaries only)

    def __reduce__(self) -> tuple[Any, ...]:
        return (getattr, (self.__self__, self.__func__.__name__))

    def __coco_memo_key__(self) -> object:
        return (self.__func__, self.__self__)

    def __repr__(self) -> str:
        return f"<bound {self.__func__!r} of {self.__self__!r}>"
