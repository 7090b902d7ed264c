"""Fingerprints of code, and which code is live in this process.

A memo records the logic that it was seen to use, and stands while all of that is still live: while
some function with that very logic exists. So it does not matter which module defines a function, or in
which order modules are imported, and a call that is decided at run time counts like any other.

**What counts as the logic of a function**: its source as a syntax tree, without docstrings, comments,
layout and its own decorators; default values and captured variables that are plain immutable data; plain
functions that it captured or wraps (so that a decorator of others does not hide what it decorates). What it
calls by a global name does not count: decorate that with ``fn``, or name it in ``deps``.

The tree is believed only if compiling the file gives the code that runs. Where it does not (the file was
edited since, or code was rewritten on import) and where there is no source, the bytecode is taken, which
differs between versions of Python: then a memo runs again once more than needed.
"""

from __future__ import annotations

import ast
import dis
import functools
import itertools
import linecache
import types
import warnings
import weakref
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from liveproof.core.code import code_parts, module_name
from liveproof.core.fingerprint import fingerprint

__all__ = ["Tracked", "is_live", "logic_fingerprint", "logic_of_callable", "note_live", "note_pending"]


class Tracked(Protocol):
    """An object whose logic is live as long as it exists."""

    @property
    def logic(self) -> bytes:
        """Its fingerprint; finding it out must call :func:`note_live`."""


# Threads meet here without a lock: every change is one atomic operation on one dict or list.
_live: dict[bytes, dict[int, None]] = {}
"""Of each fingerprint, the objects (by number) that have it."""
_numbers = itertools.count()
_pending: dict[int, weakref.ref[Any]] = {}
"""Objects whose fingerprint nobody needed yet. Reading sources is put off until a memo is asked for."""


def note_live(owner: object, logic: bytes) -> None:
    """``logic`` is live as long as ``owner`` exists."""
    number = next(_numbers)
    _live.setdefault(logic, {})[number] = None
    weakref.finalize(owner, _drop, logic, number).atexit = False


def _drop(logic: bytes, number: int) -> None:
    # The inner dict stays when it is empty: removing it could race with note_live() in another thread.
    del _live[logic][number]


def note_pending(owner: Tracked) -> None:
    """``owner`` will call :func:`note_live` when its logic is asked for."""
    number = next(_numbers)
    _pending[number] = weakref.ref(owner, lambda _: _pending.pop(number, None))


def is_live(logic: bytes) -> bool:
    """Whether some function with this logic exists now. O(1), once all that exist are known."""
    while _pending:
        try:
            owner = _pending.popitem()[1]()
        except KeyError:  # Another thread took the last one.
            break
        if owner is not None:
            owner.logic  # noqa: B018 - finds it out and notes it
    return bool(_live.get(logic))


# --- syntax trees ---


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    match body:
        case [ast.Expr(value=ast.Constant(value=str())), *rest]:
            return rest
    return body


def _tree_parts(node: object, *, top: bool = False) -> object:
    """A syntax tree as plain values. Empty fields are left out, since versions of Python add such."""
    if isinstance(node, list):
        return [_tree_parts(item) for item in node]
    if not isinstance(node, ast.AST):
        return node
    if isinstance(node, ast.Constant):
        return ("=", node.value)
    parts: list[object] = [type(node).__name__]
    for name, value in ast.iter_fields(node):
        if name in ("ctx", "type_comment", "kind") or (top and name == "decorator_list"):
            continue
        if name == "body" and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            value = _without_docstring(value)
        if value is None or value == []:
            continue
        parts.append((name, _tree_parts(value)))
    return tuple(parts)


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield constant
            yield from _codes(constant)


@functools.lru_cache(maxsize=8)
def _definitions(source: str, filename: str) -> dict[tuple[int, str], tuple[ast.AST, types.CodeType]]:
    """The functions of a file by first line and name, as trees and as what they compile to."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # They were shown when the file was imported.
        tree = ast.parse(source)
        module = compile(source, filename, "exec", dont_inherit=True)
    codes = {(code.co_firstlineno, code.co_name): code for code in _codes(module)}
    found: dict[tuple[int, str], tuple[ast.AST, types.CodeType]] = {}
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            line = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            if (code := codes.get((line, node.name))) is not None:
                found[line, node.name] = (node, code)
    return found


# Every execution of a ``def`` makes a function of the same code object. Keys are compared by content, so
# the entry says by identity whose it is.
_bodies: weakref.WeakKeyDictionary[types.CodeType, tuple[weakref.ref[types.CodeType], bytes]]
_bodies = weakref.WeakKeyDictionary()


def _body(fn: types.FunctionType) -> bytes:
    """Fingerprint of what the function's own text, or failing that its bytecode, says."""
    known = _bodies.get(fn.__code__)
    if known is not None and known[0]() is fn.__code__:
        return known[1]
    body = _read_body(fn)
    _bodies[fn.__code__] = (weakref.ref(fn.__code__), body)
    return body


def _read_body(fn: types.FunctionType) -> bytes:
    code = fn.__code__
    try:
        linecache.checkcache(code.co_filename)
        source = "".join(linecache.getlines(code.co_filename, fn.__globals__))
        node, compiled = _definitions(source, code.co_filename)[code.co_firstlineno, code.co_name]
        if fingerprint(code_parts(compiled)) == fingerprint(code_parts(code)):
            # Digested here, so that a deep tree overflows here and falls back as well.
            return fingerprint(_tree_parts(node, top=True))
    except (KeyError, OSError, SyntaxError, ValueError, TypeError, RecursionError):
        pass
    return fingerprint(code)


# --- functions, classes and other callables ---

_DATA = (type(None), bool, int, float, complex, str, bytes, type(...))


def _is_data(value: object) -> bool:
    """Whether ``value`` is immutable built-in data: what else a function holds may change as it runs."""
    if type(value) in (tuple, frozenset):
        return all(map(_is_data, value))  # type: ignore[call-overload]
    return type(value) in _DATA


def _rebound(code: types.CodeType) -> dict[str, None]:
    """Captured variables that the function, or one inside it, assigns to: state, not logic."""
    stores = ("STORE_DEREF", "DELETE_DEREF")
    names = {i.argval: None for i in dis.get_instructions(code) if i.opname in stores}
    for inner in _codes(code):
        names.update(_rebound(inner))
    return names


def _captured(fn: types.FunctionType, active: list[object]) -> Iterator[tuple[str, object]]:
    cells: dict[str, object] = {}
    for name, cell in zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=True):
        try:
            cells[name] = cell.cell_contents
        except ValueError:  # Not assigned yet.
            continue
    if any(map(_is_data, cells.values())):
        for name in _rebound(fn.__code__):
            cells.pop(name, None)
    for name, value in cells.items():
        if _is_data(value):
            yield (name, value)
        elif isinstance(value, types.FunctionType):
            yield (name, _function_parts(value, active))


def _function_parts(fn: types.FunctionType, active: list[object]) -> object:
    if any(fn is other for other in active):
        return "itself"
    active.append(fn)
    defaults: list[object] = [value for value in fn.__defaults__ or () if _is_data(value)]
    defaults.extend(item for item in sorted((fn.__kwdefaults__ or {}).items()) if _is_data(item[1]))
    parts: list[object] = [_body(fn), defaults, list(_captured(fn, active))]
    wrapped = getattr(fn, "__wrapped__", None)
    if isinstance(wrapped, types.FunctionType):
        parts.append(_function_parts(wrapped, active))
    active.pop()
    return tuple(parts)


def _class_parts(cls: type) -> object:
    parts: list[object] = []
    for base in cls.__mro__:
        if base.__module__.partition(".")[0] in ("builtins", "abc", "typing", "liveproof"):
            continue
        for name, member in sorted(vars(base).items()):
            for function in _functions_of(member):
                parts.append((base.__qualname__, name, _function_parts(function, [])))
            if _is_data(member) and not name.startswith("__"):
                parts.append((base.__qualname__, name, member))
    return parts


def _functions_of(member: object) -> Iterator[types.FunctionType]:
    if isinstance(member, property):
        candidates: tuple[object, ...] = (member.fget, member.fset, member.fdel)
    else:
        candidates = (getattr(member, "__func__", member),)
    for candidate in candidates:
        if isinstance(candidate, types.FunctionType):
            yield candidate


def _name_of(fn: Any) -> tuple[str, str]:
    return (module_name(getattr(fn, "__module__", None)), getattr(fn, "__qualname__", None) or "")


def _plain(fn: Any) -> Any:
    """The function or class behind a partial, a bound method or an instance with ``__call__``."""
    while True:
        if isinstance(fn, functools.partial):
            fn = fn.func
        elif isinstance(fn, types.MethodType):
            fn = fn.__func__
        elif isinstance(fn, (types.FunctionType, types.BuiltinFunctionType, type)) or hasattr(fn, "logic"):
            return fn
        elif hasattr(fn, "__wrapped__"):  # functools.lru_cache
            fn = fn.__wrapped__
        else:
            return type(fn)


def logic_fingerprint(fn: Callable[..., Any]) -> bytes:
    """The fingerprint of what a function, class or other callable does; see the module's docstring."""
    fn = _plain(fn)
    if isinstance(fn, types.FunctionType):
        return fingerprint(("logic", _name_of(fn), _function_parts(fn, [])))
    if isinstance(fn, type):
        return fingerprint(("logic", _name_of(fn), _class_parts(fn)))
    return fingerprint(("logic", _name_of(fn)))


_known: weakref.WeakKeyDictionary[Any, bytes] = weakref.WeakKeyDictionary()


def logic_of_callable(fn: Callable[..., Any]) -> bytes:
    """The logic fingerprint of any callable, live as long as the function or class behind it exists."""
    plain = _plain(fn)
    if not isinstance(plain, (types.FunctionType, types.BuiltinFunctionType, type)):
        found: bytes = plain.logic  # One of ours.
        return found
    logic = _known.get(plain)
    if logic is None:
        logic = _known[plain] = logic_fingerprint(plain)
        note_live(plain, logic)
    return logic
