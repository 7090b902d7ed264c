"""Rewrites functions so that what they read and write is noted: attributes, items, shared variables, calls.

As pytest's assertion rewriting does, from the syntax tree, with lines kept; but in place: the module is
compiled again, and for the extent of an exploration its functions, and those that closures of the scenario
hold, get the new code. So modules that are loaded already, and scenarios made by other functions, take part.

What is noted: see ``watching.py``. In the modules named for it, a count is one change that commutes with its like
(``a.b += 1``, while it is a whole number); in the scenario's own module it is a look and a change, as the counts of
the literature have it. Local variables are nobody else's, and not noted, unless an inner function
declares them ``nonlocal``; globals are if some function declares them ``global``. Both go by their names: two
activations of one function share the resource, which is coarse and never wrong. Not noted: operators and
properties of classes that are not instrumented; a verdict says so.
"""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import inspect
import linecache
import sys
from collections.abc import Callable, Iterator, Sequence
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from liveproof_sim.errors import OptionError
from liveproof_sim.kernel import watching
from liveproof_sim.kernel.rewriting import HOOKS, rewrite

__all__ = ["instrumented"]

_cache: dict[tuple[str, bool], tuple[str, dict[tuple[str, int], CodeType | None]]] = {}


def _codes(filename: str, module: ModuleType, *, counters: bool) -> dict[tuple[str, int], CodeType | None]:
    """The rewritten code objects of a file, by qualified name and first line."""
    source = "".join(linecache.getlines(filename, module.__dict__))
    known = _cache.get((filename, counters))
    if known is None or known[0] != source:
        tree = rewrite(ast.parse(source, filename), module.__name__, counters=counters)
        found: dict[tuple[str, int], CodeType | None] = {}
        _collect(compile(tree, filename, "exec", dont_inherit=True), found)
        known = _cache[filename, counters] = (source, found)
    return known[1]


def _collect(code: CodeType, found: dict[tuple[str, int], CodeType | None]) -> None:
    for const in code.co_consts:
        if isinstance(const, CodeType):
            key = (const.co_qualname, const.co_firstlineno)
            found[key] = None if key in found else const  # two lambdas in a line: neither is known
            _collect(const, found)


class _Swapper:
    """Gives functions their new code, each once, and remembers the old one."""

    def __init__(self) -> None:
        self._seen: dict[int, Any] = {}
        self.undo: list[tuple[FunctionType, CodeType]] = []
        self.files: dict[str, ModuleType] = {}
        self.known: dict[str, None] = {}
        self.counters: dict[str, None] = {}

    def take(self, module: ModuleType, *, counters: bool) -> None:
        """The module takes part. All that do are known before any is visited: they hold each other's functions. One
        that has ``TOUCHES`` tells by itself of what it touches, and is left as it is."""
        filename = module.__file__
        assert filename is not None
        self.known[filename] = None
        if module.__dict__.get("TOUCHES") is True:
            return
        module.__dict__[HOOKS] = watching
        self.files[filename] = module
        if counters:
            self.counters[filename] = None

    def visit_all(self) -> None:
        """All functions and classes that the modules define."""
        for module in self.files.values():
            for value in list(vars(module).values()):
                self.visit(value)

    def visit(self, value: Any) -> None:
        """A function, a class, or what wraps one."""
        key = id(value)  # tidy: allow id (a key of a memo that holds the object)
        if key in self._seen:
            return
        self._seen[key] = value
        if isinstance(value, (staticmethod, classmethod, MethodType)):
            self.visit(value.__func__)
        elif isinstance(value, property):
            for each in (value.fget, value.fset, value.fdel):
                self.visit(each)
        elif isinstance(value, type):
            module = sys.modules.get(value.__module__)
            if getattr(module, "__file__", None) in self.files:
                for each in list(vars(value).values()):
                    self.visit(each)
        elif isinstance(value, FunctionType):
            self._function(value)

    def _function(self, function: FunctionType) -> None:
        code = function.__code__
        module = self.files.get(code.co_filename)
        if module is not None:
            codes = _codes(code.co_filename, module, counters=code.co_filename in self.counters)
            new = codes.get((code.co_qualname, code.co_firstlineno))
            if new is not None and new.co_freevars == code.co_freevars:
                self.undo.append((function, code))
                function.__globals__.setdefault(HOOKS, watching)
                function.__code__ = new
        self.visit(getattr(function, "__wrapped__", None))
        for cell in function.__closure__ or ():
            with contextlib.suppress(ValueError):  # an empty cell
                self.visit(cell.cell_contents)


def _modules(names: Sequence[str]) -> Iterator[ModuleType]:
    for name in names:
        module = sys.modules.get(name)
        if module is None:
            try:
                there = importlib.util.find_spec(name) is not None
            except ModuleNotFoundError:
                there = False
            if not there:
                raise OptionError(f"instrument: there is no module {name!r}")
            raise OptionError(f"instrument: the module {name!r} is not imported; import it before")
        if not _has_source(module):
            raise OptionError(f"instrument: {name} has no source")
        yield module
        for inner, each in list(sys.modules.items()):
            if inner.startswith(f"{name}.") and each is not None and _has_source(each):
                yield each


def _has_source(module: ModuleType) -> bool:
    filename = getattr(module, "__file__", None)
    return filename is not None and bool(linecache.getlines(filename, module.__dict__))


@contextlib.contextmanager
def instrumented(scenario: Callable[..., Any], names: Sequence[str] = ()) -> Iterator[None]:
    """Instrument the scenario's module and those named (packages: with all that is imported of them).

    Raises:
        OptionError: a module is not there, or has no source.
    """
    swapper = _Swapper()
    module = inspect.getmodule(inspect.unwrap(scenario))
    for each in _modules(names):
        swapper.take(each, counters=True)
    if module is not None and module.__file__ not in swapper.known and _has_source(module):
        swapper.take(module, counters=False)  # without source, its steps conflict with everything
    swapper.visit_all()
    swapper.visit(scenario)
    fresh = [name for name in swapper.known if name not in watching.INSTRUMENTED]
    watching.INSTRUMENTED.update(dict.fromkeys(fresh))
    try:
        yield
    finally:
        for name in fresh:
            del watching.INSTRUMENTED[name]
        for function, code in reversed(swapper.undo):
            function.__code__ = code
