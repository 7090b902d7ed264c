"""What is explored: an async function of no argument or of a World, found and named.

A test may take more than the world. :class:`Bound` is such a function with its other arguments given, once
for all executions: they are made outside of the simulation.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from liveproof.errors import AppLoadError
from liveproof.loading import load_module, parse_target
from liveproof_sim.errors import ScenarioError

__all__ = ["Bound", "Found", "Scenario", "about", "find", "name_of", "place_of", "require_async", "world_parameter"]

Scenario: TypeAlias = Callable[..., Any]


class Bound:
    """A scenario with all arguments but its world. Calls, names and code are the function's own."""

    def __init__(self, function: Scenario, arguments: Mapping[str, Any]) -> None:
        self.function = function
        self.arguments = dict(arguments)
        self.world = world_parameter(function)
        self.__name__: str = getattr(function, "__name__", "scenario")
        self.__qualname__: str = getattr(function, "__qualname__", self.__name__)
        self.__module__ = function.__module__
        self.__code__ = getattr(function, "__code__", None)

    def __call__(self, world: Any = None) -> Any:
        """The coroutine of one execution."""
        if self.world is None:
            return self.function(**self.arguments)
        return self.function(**{self.world: world}, **self.arguments)


def require_async(scenario: Scenario) -> None:
    """Refuse what is no async function.

    Raises:
        ScenarioError: it is none.
    """
    if inspect.iscoroutinefunction(scenario):
        return
    kind = "an async generator" if inspect.isasyncgenfunction(scenario) else f"{scenario!r}"
    hint = "; put @given above @explore" if hasattr(scenario, "hypothesis") else ""
    raise ScenarioError(f"a scenario is an async function of no argument or of a World, not {kind}{hint}")


def world_parameter(scenario: Scenario) -> str | None:
    """The parameter that takes the world: the one called ``world``, or annotated so."""
    for each in inspect.signature(scenario).parameters.values():
        annotation = getattr(each.annotation, "__name__", each.annotation)
        if each.name == "world" or (isinstance(annotation, str) and annotation.endswith("World")):
            return each.name
    return None


def name_of(scenario: Scenario) -> str:
    """For people."""
    return str(getattr(scenario, "__qualname__", "the scenario")).rpartition(".")[2]


def place_of(scenario: Scenario) -> str:
    """How to find it again: ``path.py::name`` below the working directory, unless ``module:name`` does it
    as well."""
    function = inspect.unwrap(getattr(scenario, "function", scenario))
    name: str = getattr(function, "__qualname__", type(function).__qualname__)
    module = getattr(function, "__module__", None) or "__main__"
    code = getattr(function, "__code__", None)
    path = Path(code.co_filename) if code is not None else None
    if path is None or not path.is_relative_to(Path.cwd()):
        return f"{module}:{name}"
    shown = path.relative_to(Path.cwd()).as_posix()
    if "." in module and shown == f"{module.replace('.', '/')}.py":
        return f"{module}:{name}"
    return f"{shown}::{name}"


def about(scenario: Scenario) -> dict[str, str]:
    """What a trace says of where it comes from."""
    python = f"{sys.implementation.name} {sys.version_info.major}.{sys.version_info.minor}"
    return {"scenario": place_of(scenario), "library": version("liveproof"), "interpreter": python}


class Found(NamedTuple):
    """A scenario, and how its test asks for it to be explored, if it is one."""

    scenario: Scenario
    options: dict[str, Any]


def find(place: str) -> Found:
    """The scenario of ``module:name``, ``path.py:name`` or ``path.py::name``.

    Raises:
        ScenarioError: it is not there, or no scenario; the message says what would help.
    """
    source, _, name = place.replace("::", ":").rpartition(":")
    if not source or not name:
        raise ScenarioError(f"{place!r} names no scenario: write path/to/file.py::name or module:name")
    if "[" in name:
        raise ScenarioError(f"{place} has arguments that only pytest can give: use pytest --sim-replay")
    if "<locals>" in name:
        raise ScenarioError(f"{place} is made inside a function: name a scenario at the top of a module")
    try:
        found: Any = load_module(parse_target(source))
    except AppLoadError as error:
        raise ScenarioError(str(error)) from error
    for part in name.split("."):
        found = getattr(found, part, None)
        if found is None:
            raise ScenarioError(f"{source} has no scenario {name!r}")
    exploration = getattr(found, "exploration", None)
    if exploration is not None:
        return Found(exploration.scenario, exploration.options)
    require_async(found)
    return Found(found, {})
