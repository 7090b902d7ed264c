"""What instrumented code calls in place of plain attribute, item and call expressions: note, then do it.

Objects are reached by the names of :class:`liveproof_sim.kernel.accesses.Accesses`. Outside of a reduced
simulation all of this does what the plain expression does.
"""

from __future__ import annotations

import asyncio
import builtins
import functools
import operator
import weakref
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Hashable
from enum import Enum
from pathlib import Path
from types import (
    BuiltinFunctionType,
    CodeType,
    FunctionType,
    MethodDescriptorType,
    MethodType,
    ModuleType,
    WrapperDescriptorType,
)
from typing import Any, TypeAlias

import msgspec

from liveproof_sim.kernel.accesses import ADD, CURRENT, PART, READ, WRITE, Accesses

__all__ = [
    "attr",
    "call",
    "contains",
    "declared",
    "delattr_",
    "delitem",
    "fresh",
    "grow",
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
        "ast.py",
        "collections/",
        "contextlib.py",
        "copy.py",
        "dataclasses.py",
        "enum.py",
        "fractions.py",
        "functools.py",
        "heapq.py",
        "inspect.py",
        "json/",
        "linecache.py",
        "logging/",
        "numbers.py",
        "operator.py",
        "pathlib.py",
        "posixpath.py",
        "re/",
        "string.py",
        "textwrap.py",
        "types.py",
        "typing.py",
        "weakref.py",
    )
)
"""Parts of the standard library that touch nothing but their arguments; or caches of their own; or the real disk,
which no simulation has to do with; or the log, where the order of lines counts for nothing. Weak dictionaries are one
thing each."""

_FROZEN = ("<frozen _collections_abc>", "<frozen abc>", "<frozen os>", "<frozen posixpath>")
"""Parts of it that have no file."""

_known: dict[str, bool] = {}


def declared(code: CodeType) -> bool:
    """Whether what this code touches is known: it is instrumented, asyncio's, ours, or pure."""
    name = code.co_filename
    if name in INSTRUMENTED or code.co_qualname.startswith("__create_fn__."):  # made by dataclass
        return True
    known = _known.get(name)
    if known is None:
        known = _known[name] = name.startswith((_OWN, _LIBRARY, *PURE, *_FROZEN))
    return known


# ---- classes


class _Everything:
    """A collection of all names."""

    def __contains__(self, name: object) -> bool:
        return True


Quiet: TypeAlias = dict[str, None] | _Everything
"""Attributes of a class's objects of which looking at them need not be noted."""

_quiet: dict[type, Quiet] = {}
_METHODS = (FunctionType, property, staticmethod, classmethod, MethodDescriptorType, WrapperDescriptorType)


def _quiet_of(accesses: Accesses, kind: type) -> Quiet:
    """Methods, and properties, which tell of themselves: an object that gets its own is told of by ``setattr_``.
    All attributes of what never changes. A class that an execution made is forgotten with it."""
    memo = accesses.quiet if "<locals>" in kind.__qualname__ else _quiet
    known: Quiet | None = memo.get(kind)
    if known is None:
        parameters = getattr(kind, "__dataclass_params__", None)
        frozen = parameters is not None and parameters.frozen
        if frozen or issubclass(kind, (ModuleType, tuple, Enum, str, int)):
            known = _Everything()
        else:
            known = {}
            for each in reversed(kind.__mro__):
                for name, value in vars(each).items():
                    if isinstance(value, _METHODS):
                        known[name] = None
                    else:
                        known.pop(name, None)
        memo[kind] = known
    return known


# ---- names, attributes


def seen(resource: Hashable, value: Any) -> Any:
    """A variable that functions share was read."""
    accesses = CURRENT[0]
    if accesses is not None:
        accesses.note(resource, READ)
    return value


def wrote(resource: Hashable) -> None:
    """Such a variable is about to be written."""
    accesses = CURRENT[0]
    if accesses is not None:
        accesses.note(resource, WRITE)


def _look(accesses: Accesses, thing: Any, name: str) -> None:
    kind = type(thing)
    if name not in (_quiet.get(kind) or _quiet_of(accesses, kind)):
        known = accesses.names.get(id(thing))  # tidy: allow id (a key of the registry, never shown or ordered by)
        key = ((kind.__qualname__,) if known is None else known, name)
        accesses.step[key] = accesses.step.get(key, 0) | READ


def attr(thing: Any, name: str) -> Any:
    """``thing.name``."""
    accesses = CURRENT[0]
    if accesses is not None and not accesses.muted and not accesses.silent:
        _look(accesses, thing, name)
    return getattr(thing, name)


def _change(thing: Any, name: str, modes: int) -> None:
    accesses = CURRENT[0]
    if accesses is None or accesses.muted or accesses.silent:
        return
    kind = type(thing)
    quiet = _quiet.get(kind) or _quiet_of(accesses, kind)
    if name in quiet and kind is not ModuleType and not isinstance(getattr(kind, name, None), property):
        accesses.opaque(f"{kind.__qualname__}.{name} is replaced in an object")
    accesses.note((accesses.name(thing), name), modes)


def setattr_(thing: Any, name: str, value: Any) -> None:
    """``thing.name = value``."""
    _change(thing, name, WRITE)
    setattr(thing, name, value)


def delattr_(thing: Any, name: str) -> None:
    """``del thing.name``."""
    _change(thing, name, WRITE)
    delattr(thing, name)


def grow(thing: Any, name: str, change: Any, sign: int) -> None:
    """``thing.name += change`` or ``thing.name -= change``, according to the sign. Whole numbers that are only
    counted up and down end as the same, in whatever order that is done."""
    now = getattr(thing, name)
    counted = type(now) is int and type(change) is int
    _change(thing, name, ADD if counted else WRITE)
    if not counted:
        mutated(now)
        whole(change)
    if sign > 0:
        now += change
    else:
        now -= change
    setattr(thing, name, now)


# ---- containers

MAPPINGS = (dict, defaultdict, OrderedDict, Counter)
SEQUENCES = (list, deque, bytearray)
CONTAINERS = dict.fromkeys((*MAPPINGS, *SEQUENCES, set))
WEAK = dict.fromkeys((weakref.WeakKeyDictionary, weakref.WeakValueDictionary, weakref.WeakSet))


def _key(accesses: Accesses, thing: Any, key: Any) -> Hashable:
    """One name for ``-1`` and ``len - 1``, that of the object where no other is equal to it, and the same one for
    all objects of which that is not known."""
    if type(key) is int and key < 0 and type(thing) in SEQUENCES:
        return key + len(thing)
    if isinstance(key, (str, int, bytes, float, bool)) or key is None:
        return key
    if isinstance(key, tuple):
        plain = all(type(each) in _VALUES for each in key)
        return key if plain else tuple(_member(accesses, each) for each in key)
    if getattr(type(key), "__eq__", None) is object.__eq__ and accesses.knows(key):
        return accesses.name(key)
    return ("object",)


_VALUES = dict.fromkeys((str, int, bytes, float, bool, type(None)))


def _member(accesses: Accesses, key: Any) -> Hashable:
    """Of a tuple: what is equal to nothing but itself is another object in each execution."""
    if isinstance(key, tuple):
        return tuple(_member(accesses, each) for each in key)
    if getattr(type(key), "__eq__", None) is object.__eq__ and not isinstance(key, Enum):
        return accesses.name(key) if accesses.knows(key) else ("object",)
    value: Hashable = key
    return value


def _part(accesses: Accesses, thing: Any, key: Any, modes: int) -> None:
    """READ or WRITE of one item."""
    if accesses.silent:
        return
    name = accesses.name(thing)
    if isinstance(key, slice):
        accesses.note(name, modes)
        return
    accesses.note((name, "[]", _key(accesses, thing, key)), modes)
    accesses.note(name, PART if modes == READ else ADD)


def item(thing: Any, key: Any) -> Any:
    """``thing[key]``."""
    accesses = CURRENT[0]
    if accesses is not None and type(thing) in CONTAINERS:
        missing = type(thing) is defaultdict and key not in thing
        _part(accesses, thing, key, WRITE if missing else READ)
    elif accesses is not None and type(thing) in WEAK:
        accesses.note(accesses.name(thing), READ)
    return thing[key]


def setitem(thing: Any, key: Any, value: Any) -> None:
    """``thing[key] = value``."""
    accesses = CURRENT[0]
    if accesses is not None and type(thing) in CONTAINERS:
        _part(accesses, thing, key, WRITE)
    elif accesses is not None and type(thing) in WEAK:
        accesses.note(accesses.name(thing), WRITE)
    thing[key] = value


def delitem(thing: Any, key: Any) -> None:
    """``del thing[key]``."""
    accesses = CURRENT[0]
    if accesses is not None and type(thing) in CONTAINERS:
        if type(thing) in SEQUENCES:  # all that follow move
            accesses.note(accesses.name(thing), WRITE)
        else:
            _part(accesses, thing, key, WRITE)
    elif accesses is not None and type(thing) in WEAK:
        accesses.note(accesses.name(thing), WRITE)
    del thing[key]


def contains(thing: Any, key: Any) -> bool:
    """``key in thing``."""
    accesses = CURRENT[0]
    if accesses is not None and type(thing) in CONTAINERS:
        if type(thing) in SEQUENCES:
            accesses.note(accesses.name(thing), READ)
        else:
            _part(accesses, thing, key, READ)
    elif accesses is not None and type(thing) in WEAK:
        accesses.note(accesses.name(thing), READ)
    return key in thing


def whole(thing: Any) -> Any:
    """The value of an expression that may be a container, of which all may be looked at."""
    kind = type(thing)
    if (kind in CONTAINERS or kind in WEAK) and (accesses := CURRENT[0]) is not None:
        accesses.note(accesses.name(thing), READ)
    return thing


def fresh(thing: Any) -> Any:
    """The result of an operator; if it is a container, it was made just now."""
    if type(thing) in CONTAINERS and (accesses := CURRENT[0]) is not None:
        if not accesses.muted and not accesses.knows(thing):
            accesses.made(thing)
    return thing


def mutated(thing: Any) -> None:
    """An operator is about to change it in place, if it is a container."""
    accesses = CURRENT[0]
    if accesses is not None and type(thing) in CONTAINERS:
        accesses.note(accesses.name(thing), WRITE)


def made(thing: Any) -> Any:
    """A container that a display or comprehension has made."""
    accesses = CURRENT[0]
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
    if accesses.silent:
        return
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
    accesses = CURRENT[0]
    if accesses is None:
        return getattr(thing, name)(*args, **kwargs)
    if accesses.silent:
        method = getattr(thing, name)
        if type(method) is MethodType:  # that of a container may make one
            return method(*args, **kwargs)
    kind = type(thing)
    if kind in CONTAINERS:
        _note_method(accesses, thing, name, args)
        result = getattr(thing, name)(*args, **kwargs)
        return made(result) if name == "copy" else result
    if kind in WEAK:
        accesses.note(accesses.name(thing), READ if name in _READING or name == "get" else WRITE)
        return getattr(thing, name)(*args, **kwargs)
    if kind in (str, bytes):
        return fresh(getattr(thing, name)(*args, **kwargs))
    if not accesses.muted and not accesses.silent:
        _look(accesses, thing, name)
    return _call(accesses, getattr(thing, name), args, kwargs)


def call(function: Any, /, *args: Any, **kwargs: Any) -> Any:
    """``function(*args, **kwargs)``."""
    accesses = CURRENT[0]
    if accesses is None:
        return function(*args, **kwargs)
    return _call(accesses, function, args, kwargs)


def _call(accesses: Accesses, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    kind = type(function)
    if kind is FunctionType or kind is MethodType:
        if accesses.silent:
            return function(*args, **kwargs)
        if not declared(function.__code__):
            accesses.opaque(f"{function.__qualname__}() is not instrumented")
    elif kind is BuiltinFunctionType:
        _note_builtin(accesses, function, args)
        if function is sorted:
            return fresh(function(*args, **kwargs))
        if type(function.__self__) in _DECODERS:
            result = function(*args, **kwargs)
            if not accesses.muted:
                _decoded(accesses, result)
            return result
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


_DECODERS = (msgspec.msgpack.Decoder, msgspec.json.Decoder)


def _decoded(accesses: Accesses, thing: Any) -> None:
    """All of it was made just now."""
    if isinstance(thing, msgspec.Struct):
        accesses.made(thing)
        for name in thing.__struct_fields__:
            _decoded(accesses, getattr(thing, name))
    elif type(thing) in CONTAINERS:
        accesses.made(thing)
        for each in list(thing.values() if isinstance(thing, dict) else thing):
            _decoded(accesses, each)
    elif isinstance(thing, tuple):
        for each in thing:
            _decoded(accesses, each)


_SLOTS = (
    weakref.ReferenceType,
    weakref.WeakMethod,
    type(str.join),
    type("".join),
    type(object.__init__),
    type(object().__str__),
    functools._lru_cache_wrapper,
)


def _note_builtin(accesses: Accesses, function: Any, args: tuple[Any, ...]) -> None:
    if accesses.silent:
        return
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
    if not accesses.silent:
        _look_at_making(accesses, kind, args)
    thing: Any
    plain = getattr(type(kind), "__call__", None) is type.__call__  # noqa: B004 - which one, not whether
    if plain and getattr(kind, "__new__", None) is object.__new__:  # as type.__call__ does it
        thing = object.__new__(kind)
        accesses.made(thing)  # it has its name before it is filled
        getattr(kind, "__init__")(thing, *args, **kwargs)  # noqa: B009 - of the class that it is
        return thing
    thing = kind(*args, **kwargs)
    if (
        not accesses.knows(thing)
        and not isinstance(thing, (str, int, float, bytes, tuple, type, bool))
        and (thing is not None)
    ):
        accesses.made(thing)
    return thing


def _look_at_making(accesses: Accesses, kind: type, args: tuple[Any, ...]) -> None:
    init, new = (getattr(getattr(kind, name), "__code__", None) for name in ("__init__", "__new__"))
    if init is None:  # else that says itself what it looks at
        for each in args:
            whole(each)
    if issubclass(kind, tuple) and hasattr(kind, "_fields"):
        new = None  # made by namedtuple
    if (init is not None and not declared(init)) or (new is not None and not declared(new)):
        accesses.opaque(f"{kind.__qualname__}() is not instrumented")
