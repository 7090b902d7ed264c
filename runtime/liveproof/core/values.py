"""Typed values as bytes: results of memoized calls, memo states, tracking records.

A stored value is one letter and a body (the letters are stored; a new form needs a new letter)::

    B <bytes>      the bytes themselves
    M <msgpack>    everything that msgspec encodes, and, as extensions inside it:
                   1 a pickle    2 a complex number    3 a path    4 a NumPy array    5 a NumPy dtype
    P <pickle>     a value whose own type was marked by serialize_by_pickle

The type is not stored: whoever decodes gives the annotation, and without one gets the basic form (a dict
where a dataclass was stored, a list for a tuple). Pickles are read with an allow-list, because a store
is a file that others may be able to write.
"""

from __future__ import annotations

import functools
import inspect
import io
import operator
import pathlib
import pickle
import struct
import sys
import types
import typing
from collections.abc import Callable, Collection
from typing import Any, TypeVar, Union

import msgspec

from liveproof.core.absence import NonExistenceType
from liveproof.errors import MemoError

__all__ = [
    "decode",
    "decoder",
    "element_type",
    "encode",
    "parameter_type",
    "return_type",
    "serialize_by_pickle",
    "strip_non_existence",
    "unpickle_safe",
]

C = TypeVar("C", bound=type)

_PICKLE_PROTOCOL = 4
_EXT_PICKLE, _EXT_COMPLEX, _EXT_PATH, _EXT_ARRAY, _EXT_DTYPE = 1, 2, 3, 4, 5

# Marks are kept by name as well, because that is what a pickle holds.
_pickled: dict[tuple[str, str], None] = {}
_readable: dict[tuple[str, str], None] = dict.fromkeys(
    [
        *(("builtins", n) for n in ("bytearray", "complex", "frozenset", "range", "set", "slice", "object")),
        *(("collections", n) for n in ("Counter", "OrderedDict", "defaultdict", "deque")),
        *(("datetime", n) for n in ("date", "datetime", "time", "timedelta", "timezone")),
        ("copyreg", "_reconstructor"),
        ("decimal", "Decimal"),
        ("fractions", "Fraction"),
        *(("pathlib", n) for n in ("PosixPath", "PurePosixPath", "PureWindowsPath", "WindowsPath")),
        ("uuid", "UUID"),
    ]
)


def _name(typ: type) -> tuple[str, str]:
    return (typ.__module__, typ.__qualname__)


def serialize_by_pickle(typ: C) -> C:
    """Let values of this type be stored as pickles. A decorator, or a call for a type of others.

    Not for dataclasses, NamedTuples and Structs, which are stored without it: inside other values their
    own form wins over the mark.
    """
    if not isinstance(typ, type):
        raise TypeError(f"serialize_by_pickle takes a class, not {typ!r}")
    _pickled[_name(typ)] = None
    _readable[_name(typ)] = None
    return typ


def unpickle_safe(typ: C) -> C:
    """Let values of this type be read from pickles that were stored before, but store no new ones."""
    if not isinstance(typ, type):
        raise TypeError(f"unpickle_safe takes a class, not {typ!r}")
    _readable[_name(typ)] = None
    return typ


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _readable:
            raise MemoError(
                f"a stored pickle names {module}.{name}, which may not be read: mark the class with "
                "@serialize_by_pickle, or with @unpickle_safe to read old values only"
            )
        return super().find_class(module, name)


def _unpickle(data: bytes | memoryview) -> Any:
    return _Unpickler(io.BytesIO(data)).load()


def _by_pickle(value: object) -> bytes | None:
    """The pickle of a value whose class (or a base of it) was marked; else ``None``."""
    typ = type(value)
    if not any(_name(base) in _pickled for base in typ.__mro__):
        return None
    _readable[_name(typ)] = None
    return pickle.dumps(value, _PICKLE_PROTOCOL)


def _not_storable(value: object) -> MemoError:
    typ = type(value)
    return MemoError(
        f"a value of type {typ.__module__}.{typ.__qualname__} cannot be stored: return plain data, a "
        "dataclass, a NamedTuple or a msgspec.Struct, or mark the class with @serialize_by_pickle"
    )


def _is_numpy(typ: type, name: str) -> bool:
    return typ.__module__ == "numpy" and typ.__name__ == name


def _enc_hook(value: Any) -> Any:
    typ = type(value)
    if (pickled := _by_pickle(value)) is not None:
        return msgspec.msgpack.Ext(_EXT_PICKLE, pickled)
    if isinstance(value, complex):
        return msgspec.msgpack.Ext(_EXT_COMPLEX, struct.pack(">dd", value.real, value.imag))
    if isinstance(value, pathlib.PurePath):
        # The flavour only where it is fixed: a Path belongs to the platform that reads it.
        flavour = b"c" if isinstance(value, pathlib.Path) else b"p"
        if isinstance(value, pathlib.PureWindowsPath) and flavour == b"p":
            flavour = b"w"
        return msgspec.msgpack.Ext(_EXT_PATH, flavour + str(value).encode("utf-8", "surrogatepass"))
    if hasattr(typ, "__pydantic_fields__"):
        return value.model_dump()
    if _is_numpy(typ, "ndarray") and not value.dtype.hasobject:
        body = (str(value.dtype.str), list(value.shape), value.tobytes())
        return msgspec.msgpack.Ext(_EXT_ARRAY, msgspec.msgpack.encode(body))
    if typ.__module__.startswith("numpy") and "dtype" in typ.__name__.lower():
        return msgspec.msgpack.Ext(_EXT_DTYPE, str(value.str).encode())
    if typ.__module__ == "numpy" and hasattr(value, "item"):
        return value.item()
    raise _not_storable(value)


def _ext_hook(code: int, data: memoryview) -> Any:
    body = bytes(data)
    if code == _EXT_PICKLE:
        return _unpickle(body)
    if code == _EXT_COMPLEX:
        return complex(*struct.unpack(">dd", body))
    if code == _EXT_PATH:
        classes = {b"c": pathlib.Path, b"p": pathlib.PurePosixPath, b"w": pathlib.PureWindowsPath}
        return classes[body[:1]](body[1:].decode("utf-8", "surrogatepass"))
    if code == _EXT_ARRAY:
        dtype, shape, raw = msgspec.msgpack.decode(body)
        return sys.modules["numpy"].frombuffer(raw, dtype=dtype).reshape(shape).copy()
    if code == _EXT_DTYPE:
        return sys.modules["numpy"].dtype(body.decode())
    raise MemoError(f"a stored value has extension {code}, which this version does not know")


def _dec_hook(typ: type, value: Any) -> Any:
    plain = typing.get_origin(typ) or typ
    if isinstance(value, plain):
        return value
    if hasattr(plain, "__pydantic_fields__"):
        return typ.model_validate(value)  # type: ignore[attr-defined]
    if issubclass(plain, (pathlib.PurePath, complex)) or plain.__module__ == "numpy":
        return plain(value)
    raise MemoError(f"a stored {type(value).__name__} is not a {plain.__module__}.{plain.__qualname__}")


_encoder = msgspec.msgpack.Encoder(enc_hook=_enc_hook)


def encode(value: object) -> bytes:
    """The stored form of ``value``.

    Raises:
        MemoError: the type has none; names it and says what to do.
    """
    if type(value) is bytes:
        return b"B" + value
    if _pickled and (pickled := _by_pickle(value)) is not None:
        return b"P" + pickled
    try:
        return b"M" + _encoder.encode(value)
    except OverflowError:
        raise MemoError(
            "an int beyond 64 bits cannot be stored: return it as str or bytes"
        ) from None
    except RecursionError:
        raise MemoError("a value that contains itself cannot be stored") from None
    except MemoError:
        raise
    except Exception as error:
        raise MemoError(f"a value of type {type(value).__qualname__} cannot be stored: {error}") from error


def _decoder(hint: Any) -> Callable[[bytes], Any]:
    try:
        body: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(
            hint, dec_hook=_dec_hook, ext_hook=_ext_hook
        )
    except (TypeError, NotImplementedError) as error:
        raise MemoError(
            f"values annotated {hint!r} cannot be read back: {error}. In a union, make each class a "
            "msgspec.Struct with tag=True"
        ) from error

    def read(data: bytes) -> Any:
        kind = data[:1]
        if kind == b"B":
            return data[1:]
        try:
            if kind == b"M":
                return body.decode(memoryview(data)[1:])
            if kind == b"P":
                return _unpickle(data[1:])
        except MemoError:
            raise
        except Exception as error:
            raise MemoError(f"a stored value does not fit its annotation {hint!r}: {error}") from error
        raise MemoError(f"not a stored value: it begins with {kind!r}")

    return read


_cached_decoder = functools.lru_cache(maxsize=512)(_decoder)


def decoder(type_hint: Any) -> Callable[[bytes], Any]:
    """A function that decodes values of the given annotation. Cached.

    Raises:
        MemoError: values of this annotation cannot be told apart when they are read back.
    """
    try:
        return _cached_decoder(type_hint)
    except TypeError:  # An annotation that cannot be hashed, such as Annotated[int, []].
        return _decoder(type_hint)


def decode(data: bytes, type_hint: Any = Any) -> Any:
    """The value of an encoding, as an instance of ``type_hint``.

    Raises:
        MemoError: it does not fit the annotation, or holds a pickle that may not be read.
    """
    return decoder(type_hint)(data)


def _resolve(fn: Any, name: str, annotation: Any) -> Any:
    if annotation is inspect.Parameter.empty:
        return Any
    if annotation is None:
        return type(None)
    if not isinstance(annotation, str):
        return annotation
    plain = inspect.unwrap(fn)
    names: dict[str, Any] = {}
    if isinstance(plain, types.FunctionType):
        for variable, cell in zip(plain.__code__.co_freevars, plain.__closure__ or (), strict=True):
            try:
                names[variable] = cell.cell_contents
            except ValueError:  # Not assigned yet.
                continue

    def holder() -> None: ...

    holder.__annotations__ = {"value": annotation}
    try:
        scope = getattr(plain, "__globals__", {})
        return typing.get_type_hints(holder, scope, names, include_extras=True)["value"]
    except Exception as error:
        raise MemoError(
            f"the annotation {annotation!r} ({name} of {plain.__qualname__}) cannot be resolved: "
            f"{error}. Import or define it where the function's module can see it at run time"
        ) from error


def _plain_function(fn: Any) -> Any:
    fn = getattr(fn, "raw", fn)
    return getattr(fn, "__func__", fn)


def return_type(fn: Any) -> Any:
    """The return annotation of ``fn``, strings resolved; ``Any`` if there is none.

    Raises:
        MemoError: the annotation names what its module does not have at run time.
    """
    fn = _plain_function(fn)
    annotations = getattr(fn, "__annotations__", None) or {}
    return _resolve(fn, "the result", annotations.get("return", inspect.Parameter.empty))


def parameter_type(fn: Any, position: int) -> Any:
    """The annotation of a parameter by its position (``self`` counts), as :func:`return_type`'s."""
    plain = _plain_function(fn)
    parameters = list(inspect.signature(plain).parameters.values())
    if position >= len(parameters):
        return Any
    parameter = parameters[position]
    return _resolve(plain, f"parameter {parameter.name!r}", parameter.annotation)


def strip_non_existence(hint: Any) -> Any:
    """``hint`` without ``NonExistenceType`` among the members of its union."""
    if typing.get_origin(hint) not in (Union, types.UnionType):
        return Any if hint is NonExistenceType else hint
    members = [member for member in typing.get_args(hint) if member is not NonExistenceType]
    return functools.reduce(operator.or_, members) if members else Any


def element_type(hint: Any) -> Any:
    """``T`` of ``Collection[T]`` and its kin, ``list[T]``, ``tuple[T, ...]``; else ``Any``."""
    origin = typing.get_origin(hint)
    if isinstance(origin, type) and issubclass(origin, Collection):
        arguments = typing.get_args(hint)
        if len(arguments) == 1 or (len(arguments) == 2 and arguments[1] is Ellipsis):
            return arguments[0]
    return Any
