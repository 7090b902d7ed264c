"""What a piece of code is, apart from where it was written: names of modules, parts of code objects."""

from __future__ import annotations

import sys
import types
from typing import Any

__all__ = ["code_parts", "module_name"]

_DOCSTRING_FLAG = 0x4000000  # CO_HAS_DOCSTRING, from Python 3.13 on.
_FUNCTION_FLAGS = 0x3  # CO_OPTIMIZED and CO_NEWLOCALS: set for functions, not for class bodies.


def module_name(module: str | None) -> str:
    """A module's name; for ``__main__``, the name it would have if it were imported, so that running a
    script and loading it agree."""
    if module != "__main__":
        return module or ""
    main = sys.modules.get("__main__")
    spec = getattr(main, "__spec__", None)
    if spec is not None:
        return str(spec.name)
    file = getattr(main, "__file__", None)
    if not file:
        return "__main__"
    return str(file).replace("\\", "/").rpartition("/")[2].removesuffix(".py")


def code_parts(code: types.CodeType) -> tuple[Any, ...]:
    """What a code object does, as plain values and nested code objects: neither its place in a file
    nor its docstring."""
    constants = list(code.co_consts)
    if constants and isinstance(constants[0], str) and _has_docstring(code):
        constants[0] = None
    return (
        code.co_name,
        (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount),
        code.co_flags & ~_DOCSTRING_FLAG,
        (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars),
        code.co_code,
        getattr(code, "co_exceptiontable", b""),
        tuple(constants),
    )


def _has_docstring(code: types.CodeType) -> bool:
    if sys.version_info >= (3, 13):
        return bool(code.co_flags & _DOCSTRING_FLAG)
    # Before 3.13 a function's first constant is its docstring or None; a class body's is its name.
    return code.co_flags & _FUNCTION_FLAGS == _FUNCTION_FLAGS
