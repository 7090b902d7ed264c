"""How classes take part in memo keys: what users declare, which ``fingerprint.py`` obeys."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, TypeVar

__all__ = [
    "MemoStateOutcome",
    "NotMemoKeyable",
    "StateFn",
    "key_functions",
    "register_memo_key_function",
    "register_not_memo_keyable",
    "unregister_memo_key_function",
    "when_registered",
]

T = TypeVar("T")


class MemoStateOutcome(NamedTuple):
    """What a memo-state function found: the state to store, and whether the memo may be used."""

    state: Any
    memo_valid: bool = False


class StateFn(NamedTuple):
    """The memo-state function of one object: how to read its stored state, and the call."""

    decode_type: Any
    call: Callable[[Any], MemoStateOutcome | Awaitable[MemoStateOutcome]]


class NotMemoKeyable:
    """Base class of objects that no memo may depend on, such as those with a position or a counter."""


class KeyFunction(NamedTuple):
    """What was registered for a class."""

    key_fn: Callable[[Any], object]
    state_fn: Callable[[Any, Any], Any] | None


# Both last for the life of the process.
key_functions: dict[type, KeyFunction | None] = {}
"""``None`` marks a class that must not be a memo key."""
when_registered: list[Callable[[], None]] = []
"""Called after every change of :data:`key_functions`."""


def _changed() -> None:
    for callback in when_registered:
        callback()


def _check_class(typ: object, api: str) -> None:
    if not isinstance(typ, type):
        raise TypeError(f"{api} takes a class, not {typ!r}")


def register_memo_key_function(
    typ: type[T],
    key_fn: Callable[[T], object],
    *,
    state_fn: Callable[[T, Any], Any] | None = None,
) -> None:
    """Let ``key_fn(obj)`` stand for objects of ``typ`` and its subclasses; the nearest class wins.

    ``state_fn(obj, prev_state)`` is asked, where the key matches, whether the memo is still valid.
    """
    _check_class(typ, "register_memo_key_function")
    key_functions[typ] = KeyFunction(key_fn, state_fn)
    _changed()


def register_not_memo_keyable(typ: type) -> None:
    """Refuse objects of ``typ``, as if it derived from :class:`NotMemoKeyable`."""
    _check_class(typ, "register_not_memo_keyable")
    key_functions[typ] = None
    _changed()


def unregister_memo_key_function(typ: type) -> None:
    """Undo either registration of ``typ``. No effect if there is none."""
    if typ in key_functions:
        del key_functions[typ]
        _changed()
