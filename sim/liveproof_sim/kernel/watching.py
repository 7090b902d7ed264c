"""What instrumented code calls in place of plain attribute, item and call expressions: note, then do it.

Objects are reached by the names of :class:`liveproof_sim.kernel.accesses.Accesses`. Outside of a reduced
simulation all of this does what the plain expression does.
"""

from __future__ import annotations

import asyncio
import builtins
import functools
import operator
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Hashable
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from liveproof_sim.kernel.accesses import ADD, PART, READ, WRITE, Accesses, here

__all__ = [
    "attr",
    "call",
    "contains",
    "declared",
    "delattr_",
    "delitem",
    "fresh",
    "invoke",
    "item",
    "made",
    "mutated",
    "seen",
    "setattr_",
    "setitem",
    "whole",
    "wrote",
]

INSTRUMENTED: dict[str, None] = {}
"""File names whose functions are instrumented now."""

_OWN = str(Path(__file__).resolve().parents[1])
_LIBRARY = str(Path(asyncio.__file__).resolve().parent)
_STANDARD = str(Path(_LIBRARY).parent)
PURE = tuple(
    f"{_STANDARD}/{name}"
    for name in (
        "abc.py",
        "collections/",
        "contextlib.py",
        "copy.py",
        "dataclasses.py",
        "enum.py",
        "fractions.py",
        "functools.py",
        "json/",
        "numbers.py",
        "operator.py",
        "posixpath.py",
        "re/",
        "string.py",
        "textwrap.py",
        "types.py",
        "typing.py",
    )
)
"""Parts of the standard library that touch nothing but their arguments."""

_known: dict[str, bool] = {}


def declared(code: CodeType) -> bool:
    """Whether what this code touches is known: it is instrumented, asyncio's, ours, or pure."""
    name = code.co_filename
    if name in INSTRUMENTED or code.co_qualname.startswith("__create_fn__."):  # made by dataclass
        return True
    known = _known.get(name)
    if known is None:
        known = _known[name] = name.startswith((_OWN, _LIBRARY, *PURE))
    return known


# ---- names, attributes


def seen(resource: Hashable, value: Any) -> Any:
    """A variable that functions share was read."""
    accesses = here()
    if accesses is not None:
        accesses.note(resource, READ)
    return value


def wrote(resource: Hashable) -> None:
    """Such a variable is about to be written."""
    accesses = here()
    if accesses is not None:
        accesses.note(resource, WRITE)


def attr(thing: Any, name: str) -> Any:
    """``thing.name``."""
    accesses = here()
    if accesses is not None and type(thing) is not ModuleType:
        accesses.note((accesses.name(thing), name), READ)
    return getattr(thing, name)


def setattr_(thing: Any, name: str, value: Any) -> None:
    """``thing.name = value``."""
    accesses = here()
    if accesses is not None:
        accesses.note((accesses.name(thing), name), WRITE)
    setattr(thing, name, value)


def delattr_(thing: Any, name: str) -> None:
    """``del thing.name``."""
    accesses = here()
    if accesses is not None:
        accesses.note((accesses.name(thing), name), WRITE)
    delattr(thing, name)


# ---- containers

MAPPINGS = (dict, defaultdict, OrderedDict, Counter)
SEQUENCES = (list, deque, bytearray)
CONTAINERS = (*MAPPINGS, *SEQUENCES, set)


def _key(thing: Any, key: Any) -> Hashable:
    """One name for ``-1`` and ``len - 1``, and something hashable for what can not be a key at all."""
    if type(key) is int and key < 0 and type(thing) in SEQUENCES:
        return key + len(thing)
    if isinstance(key, (str, int, bytes, float, bool, tuple)) or key is None:
        return key
    return ("object",)


def _part(accesses: Accesses, thing: Any, key: Any, modes: int) -> None:
    """READ or WRITE of one item."""
    name = accesses.name(thing)
    if isinstance(key, slice):
        accesses.note(name, modes)
        return
    accesses.note((name, "[]", _key(thing, key)), modes)
    accesses.note(name, PART if modes == READ else ADD)


def item(thing: Any, key: Any) -> Any:
    """``thing[key]``."""
    accesses = here()
    if accesses is not None and type(thing) in CONTAINERS:
        missing = type(thing) is defaultdict and key not in thing
        _part(accesses, thing, key, WRITE if missing else READ)
    return thing[key]


def setitem(thing: Any, key: Any, value: Any) -> None:
    """``thing[key] = value``."""
    accesses = here()
    if accesses is not None and type(thing) in CONTAINERS:
        _part(accesses, thing, key, WRITE)
    thing[key] = value


def delitem(thing: Any, key: Any) -> None:
    """``del thing[key]``."""
    accesses = here()
    if accesses is not None and type(thing) in CONTAINERS:
        if type(thing) in SEQUENCES:  # all that follow move
            accesses.note(accesses.name(thing), WRITE)
        else:
            _part(accesses, thing, key, WRITE)
    del thing[key]


def contains(thing: Any, key: Any) -> bool:
    """``key in thing``."""
    accesses = here()
    if accesses is not None and type(thing) in CONTAINERS:
        if type(thing) in SEQUENCES:
            accesses.note(accesses.name(thing), READ)
        else:
            _part(accesses, thing, key, READ)
    return key in thing


def whole(thing: Any) -> Any:
    """The value of an expression that may be a container, of which all may be looked at."""
    accesses = here()
    if accesses is not None and type(thing) in CONTAINERS:
        accesses.note(accesses.name(thing), READ)
    return thing


def fresh(thing: Any) -> Any:
    """The result of an operator; if it is a container, it was made just now."""
    accesses = here()
    if accesses is not None and type(thing) in CONTAINERS and not accesses.muted and not accesses.knows(thing):
        accesses.made(thing)
    return thing


def mutated(thing: Any) -> None:
    """An operator is about to change it in place, if it is a container."""
    accesses = here()
    if accesses is not None and type(thing) in CONTAINERS:
        accesses.note(accesses.name(thing), WRITE)


def made(thing: Any) -> Any:
    """A container that a display or comprehension has made."""
    accesses = here()
    if accesses is not None and not accesses.muted:
        accesses.made(thing)
    return thing


# Methods of containers: how they touch the key that is their first argument, or the whole (None).
_KEYED = {
    "get": READ, "__getitem__": READ, "__contains__": READ, "__setitem__": WRITE, "__delitem__": WRITE,
    "setdefault": WRITE, "add": WRITE, "discard": WRITE,
}  # fmt: skip
_READING = dict.fromkeys(
    (
        "copy",
        "count",
        "difference",
        "index",
        "intersection",
        "isdisjoint",
        "issubset",
        "issuperset",
        "items",
        "keys",
        "most_common",
        "symmetric_difference",
        "union",
        "values",
        "__len__",
        "__iter__",
        "elements",
        "total",
    )
)


def _note_method(accesses: Accesses, thing: Any, name: str, args: tuple[Any, ...]) -> None:
    keyed = _KEYED.get(name)
    if keyed is None and name in ("pop", "remove") and type(thing) not in SEQUENCES and args:
        keyed = WRITE
    if keyed is not None and args and type(thing) not in SEQUENCES:
        _part(accesses, thing, args[0], keyed)
    else:
        accesses.note(accesses.name(thing), READ if name in _READING else WRITE)
    for each in args:
        whole(each)


# ---- calls


def invoke(thing: Any, name: str, /, *args: Any, **kwargs: Any) -> Any:
    """``thing.name(*args, **kwargs)``."""
    accesses = here()
    if accesses is None:
        return getattr(thing, name)(*args, **kwargs)
    kind = type(thing)
    if kind in CONTAINERS:
        _note_method(accesses, thing, name, args)
        result = getattr(thing, name)(*args, **kwargs)
        return made(result) if name == "copy" else result
    if kind in (str, bytes):
        return fresh(getattr(thing, name)(*args, **kwargs))
    if kind is not ModuleType:
        accesses.note((accesses.name(thing), name), READ)
    return _call(accesses, getattr(thing, name), args, kwargs)


def call(function: Any, /, *args: Any, **kwargs: Any) -> Any:
    """``function(*args, **kwargs)``."""
    accesses = here()
    if accesses is None:
        return function(*args, **kwargs)
    return _call(accesses, function, args, kwargs)


def _call(accesses: Accesses, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    kind = type(function)
    if kind is FunctionType or kind is MethodType:
        if not declared(function.__code__):
            accesses.opaque(f"{function.__qualname__}() is not instrumented")
    elif kind is BuiltinFunctionType:
        _note_builtin(accesses, function, args)
        if function is sorted:
            return fresh(function(*args, **kwargs))
    elif isinstance(function, type):
        return _make(accesses, function, args, kwargs)
    elif kind is functools.partial:
        return _call(accesses, function.func, (*function.args, *args), {**function.keywords, **kwargs})
    elif kind not in _SLOTS:
        method = getattr(type(function), "__call__", None)  # noqa: B004 - its code, not whether
        code = getattr(method, "__code__", None)
        if code is None or not declared(code):
            accesses.opaque(f"{kind.__qualname__} is called, and is not instrumented")
    return function(*args, **kwargs)


_SLOTS = (type(str.join), type("".join), type(object.__init__), type(object().__str__), functools._lru_cache_wrapper)


def _note_builtin(accesses: Accesses, function: Any, args: tuple[Any, ...]) -> None:
    if function in (getattr, hasattr) and len(args) > 1:
        accesses.note((accesses.name(args[0]), args[1]), READ)
    elif function in (setattr, delattr) and len(args) > 1:
        accesses.note((accesses.name(args[0]), args[1]), WRITE)
    elif function is builtins.next and args:
        accesses.note(accesses.name(args[0]), WRITE)
    elif function in (operator.setitem, operator.delitem):
        accesses.note(accesses.name(args[0]), WRITE)
    elif function in (builtins.exec, builtins.eval):
        accesses.opaque(f"{function.__name__}()")
    else:
        owner = getattr(function, "__self__", None)
        if type(owner) in CONTAINERS:  # a bound method that was kept: log = events.append
            _note_method(accesses, owner, function.__name__, args)
        for each in args:
            whole(each)


def _make(accesses: Accesses, kind: type, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    for each in args:
        whole(each)
    init, new = (getattr(getattr(kind, name), "__code__", None) for name in ("__init__", "__new__"))
    if (init is not None and not declared(init)) or (new is not None and not declared(new)):
        accesses.opaque(f"{kind.__qualname__}() is not instrumented")
    thing = kind(*args, **kwargs)
    if not accesses.knows(thing) and not isinstance(thing, (str, int, float, bytes, tuple, type, bool)) and (
        thing is not None
    ):
        accesses.made(thing)
    return thing

