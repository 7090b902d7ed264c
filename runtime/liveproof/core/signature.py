"""How the arguments of a call become the arguments of a memo key."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["KeyArguments"]

Transform = Callable[[Any], object]


class KeyArguments:
    """The parameters of one function, and what ``memo_key`` says of them.

    A call has one canonical form, however its arguments were passed: those that can be are positional,
    from the left without a gap; the others are by name. Defaults that were not passed are not part of it:
    they belong to the function's logic.
    """

    __slots__ = ("_by_name", "_names", "_transforms", "_var_positional")

    def __init__(self, fn: Callable[..., Any], memo_key: Mapping[str, Transform | None] | None) -> None:
        kinds = inspect.Parameter
        parameters = list(inspect.signature(fn).parameters.values())
        names = [p.name for p in parameters]
        for name in memo_key or ():
            if name not in names:
                raise ValueError(
                    f"memo_key names {name!r}, which is not a parameter of {fn.__qualname__}: it has "
                    f"{', '.join(names) or 'none'}"
                )
        positional = [p for p in parameters if p.kind in (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD)]
        self._names = [p.name for p in positional]
        self._by_name = [p.kind is kinds.POSITIONAL_OR_KEYWORD for p in positional]
        """Which of them may also be passed by name."""
        self._var_positional = next((p.name for p in parameters if p.kind is kinds.VAR_POSITIONAL), None)
        self._transforms = dict(memo_key or {})

    def __call__(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
        """The arguments to fingerprint."""
        if kwargs:
            args, kwargs = self._moved(args, kwargs)
        if not self._transforms:
            return args, kwargs
        return self._transformed(args, kwargs)

    def _moved(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        rest = dict(kwargs)
        moved = list(args)
        while len(moved) < len(self._names) and self._by_name[len(moved)] and self._names[len(moved)] in rest:
            moved.append(rest.pop(self._names[len(moved)]))
        return tuple(moved), rest

    def _transformed(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        count = len(self._names)
        kept = [self._of(name, value) for name, value in zip(self._names, args[:count], strict=False)]
        extra = args[count:]
        if self._var_positional in self._transforms:
            kept.append(self._of(self._var_positional, extra))
        else:
            kept.extend(extra)
        # A dropped argument passed by name leaves no trace, and none passed by position but its place.
        named = {
            name: self._of(name, value)
            for name, value in kwargs.items()
            if self._transforms.get(name, _KEEP) is not None
        }
        return tuple(kept), named

    def _of(self, name: str | None, value: object) -> object:
        transform = self._transforms.get(name or "", _KEEP)
        return None if transform is None else transform(value)


def _KEEP(value: object) -> object:  # noqa: N802 - a constant that happens to be a function
    return value
