"""Finding the application that a command line names.

A *target* is ``path/to/app.py``, ``module``, ``path/to/app.py:app`` or ``module:app``, where ``app`` is the
name of a variable or of the app itself.

A file is loaded under the name that ``import`` would give it, because that name is part of what memos
remember: the same app run as a script, by its path or as a module finds its memos. Its directory comes first
in ``sys.path``, as it does for a script.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from liveproof.app import App
from liveproof.errors import AppLoadError

__all__ = ["Target", "apps_in", "load_app", "load_module", "parse_target"]


@dataclass(frozen=True, slots=True)
class Target:
    """An application as it was named."""

    source: str
    """A path, or the dotted name of a module."""
    name: str | None
    """Of the app, or of the variable that holds it."""
    is_path: bool

    def __str__(self) -> str:
        return self.source if self.name is None else f"{self.source}:{self.name}"


def parse_target(text: str) -> Target:
    """Take a target apart.

    Raises:
        AppLoadError: it is none.
    """
    source, colon, name = text.rpartition(":")
    if not colon or Path(text).is_file() or os.sep in name:
        source, colon, name = text, "", ""
    if not source or (colon and not name):
        raise AppLoadError(f"{text!r} names no app: write path/to/app.py, module, or either with :app")
    is_path = source.endswith(".py") or os.sep in source or "/" in source
    if not is_path and Path(source).is_file() and not all(map(str.isidentifier, source.split("."))):
        is_path = True
    return Target(source, name or None, is_path)


def load_app(text: str) -> App[Any, Any]:
    """The app that a target names.

    Raises:
        AppLoadError: it can't be loaded; the message says why and what would help.
    """
    target = parse_target(text)
    return _choose(target, apps_in(load_module(target)))


def apps_in(module: ModuleType) -> dict[str, App[Any, Any]]:
    """The apps that a module's variables hold, by the first name each."""
    found: dict[App[Any, Any], str] = {}
    for name, value in vars(module).items():
        if isinstance(value, App):
            found.setdefault(value, name)
    return {name: app for app, name in found.items()}


def load_module(target: Target) -> ModuleType:
    """Import what a target names.

    Raises:
        AppLoadError: it is not there, or raised.
    """
    try:
        if target.is_path:
            return _load_file(target)
        return _load_named(target)
    except AppLoadError:
        raise
    except Exception as exc:
        raise AppLoadError(f"cannot load {target.source}: {_cause(exc, target)}") from exc
    except SystemExit as exc:
        raise AppLoadError(
            f"cannot load {target.source}: it called sys.exit({exc.code!r}) while it was imported; "
            'put what should only run as a script under if __name__ == "__main__"'
        ) from exc


def _load_file(target: Target) -> ModuleType:
    path = Path(target.source).absolute()
    if path.is_dir():
        raise AppLoadError(f"cannot load {target.source}: it is a directory; name a .py file in it")
    if not path.exists():
        raise AppLoadError(f"cannot load {target.source}: there is no such file (looked for {path})")
    name = path.stem
    known = sys.modules.get(name)
    if known is not None:
        if _is_file(known, path):
            return known
        name = f"liveproof_app_{name}"  # "json.py" must not take json's place
    _search_first(str(path.parent))
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise AppLoadError(f"cannot load {target.source}: a Python file is named .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # before it runs: dataclasses and pickle look their module up
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


def _load_named(target: Target) -> ModuleType:
    _search_first(str(Path.cwd()))
    try:
        return importlib.import_module(target.source)  # tidy: allow import (the user names the module)
    except ModuleNotFoundError as exc:
        if exc.name is None or not f"{target.source}.".startswith(f"{exc.name}."):
            raise  # It was found, and something that it imports was not.
        hint = ""
        if Path(f"{target.source}.py").is_file():
            hint = f"; is it {target.source}.py?"
        raise AppLoadError(
            f"cannot load {target.source}: there is no module {exc.name!r} in {Path.cwd()} or on "
            f"sys.path{hint}; name it as it is imported, or give the path of its file"
        ) from exc


def _is_file(module: ModuleType, path: Path) -> bool:
    file = getattr(module, "__file__", None)
    return file is not None and Path(file).exists() and Path(file).samefile(path)


def _search_first(directory: str) -> None:
    if directory in sys.path:
        sys.path.remove(directory)
    sys.path.insert(0, directory)


def _cause(exc: Exception, target: Target) -> str:
    """What went wrong, where, and what may help."""
    if isinstance(exc, SyntaxError):
        file = exc.filename or target.source
        where = Path(file).name if exc.lineno is None else f"{Path(file).name}, line {exc.lineno}"
        return f"{type(exc).__name__} in {where}: {exc.msg}"
    at = f" ({place})" if (place := place_of(exc)) else ""
    what = f"it raised {type(exc).__name__}: {exc}{at}"
    if isinstance(exc, ModuleNotFoundError):
        return f"it imports {exc.name!r}, which is not there{at}; install it, or fix the import"
    if isinstance(exc, ImportError) and "relative import" in str(exc):
        return f"{what}; it belongs to a package: name it as a module, package.{Path(target.source).stem}"
    return what


def place_of(exc: BaseException) -> str:
    """Where in the application an exception was raised: ``app.py, line 12, in main``; empty if it wasn't."""
    own = str(Path(__file__).parent)
    for frame in reversed(traceback.extract_tb(exc.__traceback__)):
        if not frame.filename.startswith((own, "<frozen importlib")):
            return f"{Path(frame.filename).name}, line {frame.lineno}, in {frame.name}"
    return ""


def _choose(target: Target, apps: dict[str, App[Any, Any]]) -> App[Any, Any]:
    there = ", ".join(f"{name} (app {app.name!r})" for name, app in apps.items())
    if not apps:
        raise AppLoadError(
            f"{target.source} has no app: make one at the top level of the module, as in "
            f'app = liveproof.App("name", main)'
        )
    if target.name is None:
        if len(apps) > 1:
            first = next(iter(apps))
            raise AppLoadError(
                f"{target.source} has {len(apps)} apps: {there}; say which, as in {target.source}:{first}"
            )
        return next(iter(apps.values()))
    if target.name in apps:
        return apps[target.name]
    named = [app for app in apps.values() if app.name == target.name]
    if len(named) == 1:
        return named[0]
    if named:
        raise AppLoadError(
            f"{target.source} has {len(named)} apps named {target.name!r}; say which variable: {there}"
        )
    raise AppLoadError(f"{target.source} has no app {target.name!r}; it has {there}")
