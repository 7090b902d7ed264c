"""Where an exploration stopped, in a file, so that a later run goes on from there.

The file is JSON: ``{"version": 1, "made_with": {what: …}, "state": {…}}``; version 1 is the first. It is replaced in
one step, every few seconds and when the exploration stops, so whoever is interrupted, even by a power cut, finds
the last state or the one before. A state means something only to the code that gave it: what the scenario, the
modules instrumented beside it, the library or the interpreter say otherwise refuses the file, and names what
differs.

What a failure needs is not in it: the run that goes on comes to the same failure.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from typing import Any

import liveproof
from liveproof_sim.errors import ResumeError
from liveproof_sim.explore.scenario import Scenario, place_of

__all__ = ["Bookmark", "made_with"]

VERSION = 1
SAVE_EVERY_S = 3.0
OWN = Path(__file__).parents[1]


class Bookmark:
    """One file."""

    def __init__(
        self, path: Path, made_with: dict[str, Any], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._path = path
        self._made_with = made_with
        self._clock = clock
        self._next = clock() + SAVE_EVERY_S

    def load(self) -> dict[str, Any] | None:
        """The state; None: there is no file yet.

        Raises:
            ResumeError: it cannot be read, or does not fit.
        """
        try:
            data = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "it is no JSON"
            raise ResumeError(f"{self._path} cannot be read: {reason}; {self._start_anew()}") from error
        if not isinstance(data, dict) or not all(name in data for name in ("version", "made_with", "state")):
            raise ResumeError(f"{self._path} holds no exploration: name another file")
        if data["version"] != VERSION:
            raise ResumeError(
                f"{self._path} is of version {data['version']}, and this is {VERSION}; {self._start_anew()}"
            )
        differing = [
            f"{name} was {data['made_with'].get(name)!r} and is {value!r}"
            for name, value in self._made_with.items()
            if data["made_with"].get(name) != value
        ]
        if differing:
            raise ResumeError(f"{self._path} does not fit: {'; '.join(differing)}; {self._start_anew()}")
        state: dict[str, Any] = data["state"]
        return state

    def _start_anew(self) -> str:
        return "delete it to start anew"

    def due(self) -> bool:
        """Whether the last state is old enough."""
        return self._clock() >= self._next

    def save(self, state: dict[str, Any]) -> None:
        """Have the file hold this.

        Raises:
            ResumeError: the disk refuses.
        """
        text = json.dumps({"version": VERSION, "made_with": self._made_with, "state": state})
        temporary = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self._path)
        except OSError as error:
            raise ResumeError(f"{self._path} cannot be written: {error.strerror}") from error
        self._next = self._clock() + SAVE_EVERY_S


def made_with(scenario: Scenario, options: dict[str, Any], strategy: list[Any]) -> dict[str, Any]:
    """All that has to be the same for a state to mean the same. ``options``: those of the settings."""
    module = sys.modules.get(getattr(scenario, "__module__", None) or "")
    own = [module, *(sys.modules.get(name) for name in options["instrument"] if name != "liveproof")]
    found = {
        "the scenario": place_of(scenario),
        "its code": _digest(path for each in own for path in _sources(each)),
        "the library": f"{version('liveproof')} {_digest([*_sources(liveproof), *_below(OWN)])}",
        "the interpreter": f"{sys.implementation.name} {sys.version.partition(' ')[0]}",
        "the arguments": repr(getattr(scenario, "arguments", {})),
        "the strategy": strategy,
    }
    plain: dict[str, Any] = json.loads(json.dumps({**found, **options}))
    return plain


def _sources(module: Any) -> list[Path]:
    """Of a module, or of a package and all that is in it."""
    path = getattr(module, "__file__", None)
    if path is None:
        return []
    return _below(Path(path).parent) if hasattr(module, "__path__") else [Path(path)]


def _below(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def _digest(paths: Iterable[Path]) -> str:
    digest = blake2b(digest_size=6)
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()
