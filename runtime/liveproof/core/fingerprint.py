"""Fingerprints of values: the same 16 bytes for the same value in every process, on every platform.

A value is first written in a canonical form in which every item carries its type and is self-delimiting
(a length, a terminator, or brackets), so that different values have different forms; the digest of that
is the fingerprint. In order of precedence, an object is written by

1. its ``__coco_memo_key__()``, under the name of its class;
2. the key function registered for its class or the nearest base;
3. its structure: built-in values and containers, dataclasses, NamedTuples, Structs, enums, pydantic
   models; classes and functions by name;
4. what it tells pickle (``__reduce_ex__``): the constructor, its arguments and the state. They are
   written by these rules again, never as pickled bytes, which depend on object identity and on the order
   of sets.

Anything else is refused. Dicts and sets are written in the order of their items' forms. A change of any
form makes every memo run again once, which is safe.
"""

from __future__ import annotations

import copyreg
import dataclasses
import enum
import pathlib
import struct
import types
import uuid
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from hashlib import blake2b
from typing import Any, TypeAlias

from liveproof.core.code import code_parts, module_name
from liveproof.core.memo_keys import (
    MemoStateOutcome,
    NotMemoKeyable,
    StateFn,
    key_functions,
    register_memo_key_function,
    register_not_memo_keyable,
    unregister_memo_key_function,
    when_registered,
)
from liveproof.core.values import parameter_type, strip_non_existence
from liveproof.errors import MemoError

__all__ = [
    "MemoStateOutcome",
    "NotMemoKeyable",
    "StateFn",
    "fingerprint",
    "fingerprint_call",
    "register_memo_key_function",
    "register_not_memo_keyable",
    "unregister_memo_key_function",
]

_PROTOCOL = 4
_MISSING = object()


class _Form(list[bytes]):
    """A canonical form being written, and what was met on the way."""

    __slots__ = ("functions", "states")

    def __init__(self, states: list[StateFn] | None) -> None:
        self.states = states
        self.functions: list[object] = []  # Local functions being written: they may contain themselves.

    def nested(self) -> _Form:
        form = _Form(None if self.states is None else [])
        form.functions = self.functions
        return form


_Writer: TypeAlias = Callable[[Any, _Form], None]


# The writers derived from registrations do not outlive the classes they are for.
_builtin: dict[type, _Writer] = {}
_writers: dict[type, _Writer] = {}
"""Of built-in types, unless a registration concerns one of them."""
_class_writers: weakref.WeakKeyDictionary[type, _Writer] = weakref.WeakKeyDictionary()


def _forget_writers() -> None:
    _class_writers.clear()
    _writers.clear()
    for typ, writer in _builtin.items():
        if not any(base in key_functions for base in typ.__mro__):
            _writers[typ] = writer


when_registered.append(_forget_writers)


def _text(text: str) -> bytes:
    raw = text.encode("utf-8", "surrogatepass")
    return b"s%x;%b" % (len(raw), raw)


def _named(tag: bytes, obj: Any) -> bytes:
    """A tag and the full name of a class or function."""
    return tag + _text(module_name(obj.__module__)) + _text(obj.__qualname__)


def _write(obj: Any, form: _Form) -> None:
    typ = type(obj)
    writer = _writers.get(typ)
    if writer is None:
        writer = _class_writers.get(typ)
        if writer is None:
            writer = _class_writers[typ] = _writer_for(typ)
    writer(obj, form)


# --- built-in types ---


def _write_str(obj: str, form: _Form) -> None:
    raw = obj.encode("utf-8", "surrogatepass")
    form.append(b"s%x;%b" % (len(raw), raw))


def _write_memoryview(obj: memoryview, form: _Form) -> None:
    form.append(b"m" + _text(obj.format))
    _write(obj.shape, form)
    _write(obj.tobytes(), form)


def _write_items(obj: Iterable[Any], form: _Form, begin: bytes, end: bytes) -> None:
    form.append(begin)
    for item in obj:
        _write(item, form)
    form.append(end)


def _write_sorted(groups: Iterable[tuple[Any, ...]], form: _Form, begin: bytes, end: bytes) -> None:
    """Write groups of items in the order of their forms; states follow the same order."""
    nested: list[tuple[bytes, _Form]] = []
    for group in groups:
        inner = form.nested()
        for item in group:
            _write(item, inner)
        nested.append((b"".join(inner), inner))
    nested.sort(key=lambda pair: pair[0])
    form.append(begin)
    for body, inner in nested:
        form.append(body)
        if inner.states:
            assert form.states is not None, "states are collected in both forms or in neither"
            form.states.extend(inner.states)
    form.append(end)


def _write_dict(obj: Mapping[Any, Any], form: _Form) -> None:
    _write_sorted(obj.items(), form, b"{", b"}")


def _write_code(obj: types.CodeType, form: _Form) -> None:
    form.append(b"c")
    _write(code_parts(obj), form)


def _write_function(obj: types.FunctionType, form: _Form) -> None:
    if "<" not in obj.__qualname__:
        form.append(_named(b"F", obj))
        return
    # Lambdas and local functions share their names: their code and what it has captured tell them apart.
    for depth, active in enumerate(form.functions):
        if active is obj:
            form.append(b"^%x;" % depth)
            return
    form.functions.append(obj)
    form.append(_named(b"L", obj))
    _write(obj.__code__, form)
    _write((obj.__defaults__, obj.__kwdefaults__), form)
    for cell in obj.__closure__ or ():
        try:
            _write(cell.cell_contents, form)
        except ValueError:  # Not assigned yet.
            form.append(b"_")
    form.append(b"l")
    form.functions.pop()


_builtin.update(
    {
        type(None): lambda obj, form: form.append(b"N"),
        bool: lambda obj, form: form.append(b"T" if obj else b"0"),
        int: lambda obj, form: form.append(b"i%x;" % obj),
        float: lambda obj, form: form.append(b"f" + struct.pack(">d", obj)),
        complex: lambda obj, form: form.append(b"j" + struct.pack(">dd", obj.real, obj.imag)),
        str: _write_str,
        bytes: lambda obj, form: form.append(b"b%x;%b" % (len(obj), obj)),
        bytearray: lambda obj, form: form.append(b"a%x;%b" % (len(obj), obj)),
        memoryview: _write_memoryview,
        tuple: lambda obj, form: _write_items(obj, form, b"(", b")"),
        list: lambda obj, form: _write_items(obj, form, b"[", b"]"),
        dict: _write_dict,
        set: lambda obj, form: _write_sorted(zip(obj, strict=True), form, b"<", b">"),
        frozenset: lambda obj, form: _write_sorted(zip(obj, strict=True), form, b"/", b"\\"),
        uuid.UUID: lambda obj, form: form.append(b"u" + obj.bytes),
        types.FunctionType: _write_function,
        types.CodeType: _write_code,
    }
)
_forget_writers()


# --- classes of others ---


def _writer_for(typ: type) -> _Writer:
    """Decide, once for a class, how its objects are written. The writer must not refer to the class."""
    if hasattr(typ, "__coco_memo_key__"):
        return _with_state(typ, partial(_write_keyed, _named(b"K", typ), None))
    if issubclass(typ, NotMemoKeyable):
        return _refuse
    for base in typ.__mro__:
        if base in key_functions:
            registered = key_functions[base]
            if registered is None:
                return _refuse
            keyed = partial(_write_keyed, _named(b"K", typ), registered.key_fn)
            if registered.state_fn is None or hasattr(typ, "__coco_memo_state__"):
                return _with_state(typ, keyed)
            return partial(_write_stateful, keyed, registered.state_fn, [])
    return _with_state(typ, _structural_writer(typ))


def _structural_writer(typ: type) -> _Writer:
    if typ in _builtin:
        return _builtin[typ]
    if issubclass(typ, type):
        return _write_class
    if issubclass(typ, enum.Enum):
        return partial(_write_enum, _named(b"E", typ))
    if dataclasses.is_dataclass(typ):
        names = tuple(field.name for field in dataclasses.fields(typ))
    elif hasattr(typ, "__struct_fields__"):  # msgspec.Struct
        names = tuple(typ.__struct_fields__)
    elif hasattr(typ, "__pydantic_fields__"):
        names = (*typ.__pydantic_fields__, "__pydantic_extra__")
    elif issubclass(typ, tuple) and hasattr(typ, "_fields"):
        names = tuple(typ._fields)
    elif issubclass(typ, pathlib.PurePath):
        # One form for all platforms, so that a store can move between them.
        own = not typ.__module__.startswith("pathlib")
        return partial(_write_path, _named(b"P", typ) if own else b"p")
    else:
        return partial(_write_reduced, _named(b"O", typ))
    return partial(_write_fields, _named(b"D", typ), tuple((name, _text(name)) for name in names))


def _with_state(typ: type, writer: _Writer) -> _Writer:
    state = getattr(typ, "__coco_memo_state__", None)
    if state is None:
        return writer
    return partial(_write_stateful, writer, None, [])


def _write_stateful(
    writer: _Writer, state_fn: Callable[..., Any] | None, decode_type: list[Any], obj: Any, form: _Form
) -> None:
    if form.states is not None:
        if not decode_type:
            declared = type(obj).__coco_memo_state__ if state_fn is None else state_fn
            decode_type.append(strip_non_existence(parameter_type(declared, 1)))
        call = obj.__coco_memo_state__ if state_fn is None else partial(state_fn, obj)
        form.states.append(StateFn(decode_type[0], call))
    writer(obj, form)


def _write_keyed(name: bytes, key_fn: Callable[[Any], object] | None, obj: Any, form: _Form) -> None:
    form.append(name)
    _write(obj.__coco_memo_key__() if key_fn is None else key_fn(obj), form)


def _refuse(obj: Any, form: _Form) -> None:
    typ = type(obj)
    raise MemoError(
        f"{typ.__module__}.{typ.__qualname__} must not be a memo key (it is marked so): leave it out of the "
        "arguments, or drop it with memo_key={'parameter': None}"
    )


def _write_class(obj: type, form: _Form) -> None:
    form.append(_named(b"C", obj))


def _write_enum(name: bytes, obj: enum.Enum, form: _Form) -> None:
    form.append(name)
    _write(obj.value if isinstance(obj, enum.Flag) else obj.name, form)


def _write_fields(name: bytes, names: tuple[tuple[str, bytes], ...], obj: Any, form: _Form) -> None:
    form.append(name)
    for field, written in names:
        form.append(written)
        value = getattr(obj, field, _MISSING)
        if value is _MISSING:  # A declared field may have been deleted, or not been set yet.
            form.append(b"_")
        else:
            _write(value, form)
    form.append(b"d")


def _write_path(name: bytes, obj: pathlib.PurePath, form: _Form) -> None:
    form.append(name + _text(obj.as_posix()))


def _write_reduced(name: bytes, obj: Any, form: _Form) -> None:
    """Write what pickle would be told."""
    form.append(name)
    if isinstance(obj, (set, frozenset)):  # Their reduction is a list in the order of hashes.
        _write_sorted(zip(obj, strict=True), form, b"<", b">")
        _write(getattr(obj, "__dict__", None), form)
        return
    try:
        reducer = copyreg.dispatch_table.get(type(obj))
        reduced: str | tuple[Any, ...] = obj.__reduce_ex__(_PROTOCOL) if reducer is None else reducer(obj)
    except Exception as error:
        raise _unkeyable(type(obj), error) from error
    if isinstance(reduced, str):
        form.append(b"g" + _text(module_name(getattr(obj, "__module__", None))) + _text(reduced))
        return
    constructor, arguments, state, items, pairs = (*reduced, None, None, None)[:5]
    _write((constructor, arguments, state), form)
    if items is not None:
        _write_items(items, form, b"[", b"]")
    if pairs is not None:
        if isinstance(obj, OrderedDict):
            _write_items(pairs, form, b"(", b")")
        else:
            _write_sorted(pairs, form, b"{", b"}")
    form.append(b"o")


def _unkeyable(typ: type, error: BaseException) -> MemoError:
    return MemoError(
        f"{typ.__module__}.{typ.__qualname__} has no stable fingerprint ({error}): give it "
        "__coco_memo_key__(), call register_memo_key_function() for it, or drop the parameter with "
        "memo_key={'parameter': None}"
    )


def _too_deep(obj: object) -> MemoError:
    return MemoError(
        f"a {type(obj).__qualname__} contains itself, or is nested too deeply to be fingerprinted: "
        "give its class __coco_memo_key__()"
    )


def fingerprint(obj: object) -> bytes:
    """The fingerprint of any value that has one.

    Raises:
        MemoError: it has none; names the type and the way out.
    """
    form = _Form(None)
    try:
        _write(obj, form)
    except RecursionError:
        raise _too_deep(obj) from None
    return blake2b(b"".join(form), digest_size=16).digest()


def fingerprint_call(
    fn_id: str, args: Sequence[Any], kwargs: Mapping[str, Any], states: list[StateFn]
) -> bytes:
    """The fingerprint of a call, whatever the order of ``kwargs``. The memo-state functions of the
    arguments are appended to ``states``, in an order that depends on the values only.

    Raises:
        MemoError: an argument has no fingerprint; names the type and the way out.
    """
    form = _Form(states)
    argument: object = fn_id
    try:
        _write_str(fn_id, form)
        for argument in args:
            _write(argument, form)
        if kwargs:
            form.append(b"=")
            for name in sorted(kwargs):
                argument = kwargs[name]
                _write_str(name, form)
                _write(argument, form)
    except RecursionError:
        raise _too_deep(argument) from None
    return blake2b(b"".join(form), digest_size=16).digest()
