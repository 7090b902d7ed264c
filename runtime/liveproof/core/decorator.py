"""The ``fn`` decorator: its forms, their types, and what it refuses."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Literal, ParamSpec, Protocol, TypeAlias, TypeVar, overload

from liveproof.core.function import Function, Runner, Tracking

__all__ = ["fn"]

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S")
T = TypeVar("T")
MemoKey: TypeAlias = Mapping[str, Callable[[Any], object] | None]


class _Plain(Protocol):
    """Keeps the signature."""

    def __call__(self, wrapped: Callable[P, R], /) -> Function[P, R]: ...


class _Adapting(Protocol):
    """Makes a sync function async."""

    @overload
    def __call__(
        self, wrapped: Callable[P, Coroutine[Any, Any, T]], /
    ) -> Function[P, Coroutine[Any, Any, T]]: ...
    @overload
    def __call__(self, wrapped: Callable[P, T], /) -> Function[P, Coroutine[Any, Any, T]]: ...


class _Batching(Protocol):
    """Makes a function of a list an async function of an item; ``self`` may come first."""

    @overload
    def __call__(
        self, wrapped: Callable[[list[S]], Coroutine[Any, Any, list[T]]], /
    ) -> Function[[S], Coroutine[Any, Any, T]]: ...
    @overload
    def __call__(self, wrapped: Callable[[list[S]], list[T]], /) -> Function[[S], Coroutine[Any, Any, T]]: ...
    @overload
    def __call__(
        self, wrapped: Callable[[Any, list[S]], Coroutine[Any, Any, list[T]]], /
    ) -> Function[[Any, S], Coroutine[Any, Any, T]]: ...
    @overload
    def __call__(
        self, wrapped: Callable[[Any, list[S]], list[T]], /
    ) -> Function[[Any, S], Coroutine[Any, Any, T]]: ...


def _check_options(options: Mapping[str, Any]) -> None:
    if options["tracking"] not in ("full", "self", None):
        raise ValueError(f"logic_tracking is 'full', 'self' or None, not {options['tracking']!r}")
    if options["deps"] is not None and options["tracking"] is None:
        raise ValueError(
            "deps are part of the logic, which logic_tracking=None does not track: give one of them up"
        )
    version = options["version"]
    if version is not None and (not isinstance(version, int) or isinstance(version, bool)):
        raise TypeError(f"version is an int that you raise, not {version!r}")
    size = options["max_batch_size"]
    if size is not None and size < 1:
        raise ValueError(f"max_batch_size must be at least 1, not {size}")


def _decorate(wrapped: Any, options: dict[str, Any]) -> Function[Any, Any]:
    if isinstance(wrapped, (staticmethod, classmethod)):
        raise TypeError(f"put @{type(wrapped).__name__} above @fn")
    if isinstance(wrapped, Function):
        raise TypeError(f"{wrapped!r} is decorated with fn already")
    if isinstance(wrapped, type) or not callable(wrapped):
        raise TypeError(f"fn decorates functions, not {wrapped!r}")
    if not options["adapt"] and not inspect.iscoroutinefunction(wrapped):
        for option in ("batching", "runner"):
            if options[option]:
                name = getattr(wrapped, "__qualname__", wrapped)
                raise ValueError(
                    f"{option} makes calls async, and {name} is a sync function: "
                    f"use @fn.as_async({option}=...)"
                )
    return Function(wrapped, **options)


def _apply(wrapped: Any, **options: Any) -> Any:
    _check_options(options)
    if wrapped is not None:
        return _decorate(wrapped, options)
    return lambda later: _decorate(later, options)


class _Fn:
    """``@fn``, ``@fn(...)``, ``@fn.as_async`` and ``@fn.as_async(...)``."""

    @overload
    def __call__(self, wrapped: Callable[P, R], /) -> Function[P, R]: ...
    @overload
    def __call__(
        self,
        *,
        memo: bool = False,
        memo_key: MemoKey | None = None,
        version: int | None = None,
        logic_tracking: Tracking = "full",
        deps: object = None,
        batching: Literal[True],
        max_batch_size: int | None = None,
        runner: Runner | None = None,
    ) -> _Batching: ...
    @overload
    def __call__(
        self,
        *,
        memo: bool = False,
        memo_key: MemoKey | None = None,
        version: int | None = None,
        logic_tracking: Tracking = "full",
        deps: object = None,
        batching: Literal[False] = False,
        max_batch_size: int | None = None,
        runner: Runner | None = None,
    ) -> _Plain: ...
    def __call__(
        self,
        wrapped: Any = None,
        *,
        memo: bool = False,
        memo_key: MemoKey | None = None,
        version: int | None = None,
        logic_tracking: Tracking = "full",
        deps: object = None,
        batching: bool = False,
        max_batch_size: int | None = None,
        runner: Runner | None = None,
    ) -> Any:
        """Let a function take part in change detection.

        Args:
            memo: remember its results, and skip calls that would give the same.
            memo_key: for parameters by name, a function of the argument to use as its key, or ``None`` to
                leave it out.
            version: stands for the function's code: raise it to make memos run again.
            logic_tracking: ``"full"``: its logic and that of the functions it calls; ``"self"``: its own
                only; ``None``: neither its own, but that of those it calls.
            deps: a value that counts as part of its code; looked at once, here.
            batching: (async only) it takes a list and returns a list; calls are single and gather.
            max_batch_size: how many at most.
            runner: (async only) where to run it.
        """
        return _apply(
            wrapped,
            memo=memo,
            memo_key=memo_key,
            version=version,
            tracking=logic_tracking,
            deps=deps,
            adapt=False,
            batching=batching,
            max_batch_size=max_batch_size,
            runner=runner,
        )

    @overload
    def as_async(
        self, wrapped: Callable[P, Coroutine[Any, Any, T]], /
    ) -> Function[P, Coroutine[Any, Any, T]]: ...
    @overload
    def as_async(self, wrapped: Callable[P, T], /) -> Function[P, Coroutine[Any, Any, T]]: ...
    @overload
    def as_async(
        self,
        *,
        memo: bool = False,
        memo_key: MemoKey | None = None,
        version: int | None = None,
        logic_tracking: Tracking = "full",
        deps: object = None,
        batching: Literal[True],
        max_batch_size: int | None = None,
        runner: Runner | None = None,
    ) -> _Batching: ...
    @overload
    def as_async(
        self,
        *,
        memo: bool = False,
        memo_key: MemoKey | None = None,
        version: int | None = None,
        logic_tracking: Tracking = "full",
        deps: object = None,
        batching: Literal[False] = False,
        max_batch_size: int | None = None,
        runner: Runner | None = None,
    ) -> _Adapting: ...
    def as_async(
        self,
        wrapped: Any = None,
        *,
        memo: bool = False,
        memo_key: MemoKey | None = None,
        version: int | None = None,
        logic_tracking: Tracking = "full",
        deps: object = None,
        batching: bool = False,
        max_batch_size: int | None = None,
        runner: Runner | None = None,
    ) -> Any:
        """As ``fn``, and a sync function becomes async: inside a component it runs off the loop."""
        return _apply(
            wrapped,
            memo=memo,
            memo_key=memo_key,
            version=version,
            tracking=logic_tracking,
            deps=deps,
            adapt=True,
            batching=batching,
            max_batch_size=max_batch_size,
            runner=runner,
        )


fn = _Fn()
