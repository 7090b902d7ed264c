"""How a command ends: its exit code, what it says on stderr, and the ``result`` of ``--json``.

The last object of ``--json`` (the others are in ``liveproof/progress/lines.py``), format version 1::

    {"type": "result", "exit_code": 1, "outcome": "component failures", "message": "...",
     "error": {"type": "ValueError", "message": "..."} or null, ...}

``update`` and ``drop`` add ``app``, ``elapsed_s``, ``total`` and ``components`` once they have begun.
"""

from __future__ import annotations

import enum
import signal
from dataclasses import dataclass, field
from typing import Any

from liveproof.errors import AppLoadError, StoppedError, StoreError
from liveproof.loading import place_of

__all__ = [
    "EXIT_CODES",
    "ApplicationError",
    "Exit",
    "IncompleteError",
    "Outcome",
    "RefusedError",
    "ending_of",
]


class Exit(enum.IntEnum):
    """What an exit code means."""

    SUCCESS = 0
    COMPONENT_FAILURES = 1
    USAGE = 2
    STORE = 3
    APPLICATION = 4
    INTERRUPTED = 130
    TERMINATED = 143

    @property
    def outcome(self) -> str:
        """Its name in ``--json``."""
        return self.name.lower().replace("_", " ")


EXIT_CODES = """\b
Exit codes:
  0    success
  1    it ended, but components failed: what they had written before stays
  2    wrong usage, the app can't be loaded, or the command was not confirmed
  3    the state store is in use, damaged, full, or can't be opened
  4    the app's main function or lifespan raised
  130  interrupted by Ctrl-C, in order: nothing is half-done (twice: at once)
  143  the same by SIGTERM
"""


class RefusedError(Exception):
    """The command can't be carried out as it was given; the message says what would help."""


class ApplicationError(Exception):
    """The application's own code raised the exception that is the cause of this one."""


class IncompleteError(Exception):
    """Some of what was to be dropped could not be, and was said to be so."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command has ended."""

    exit: Exit = Exit.SUCCESS
    message: str = ""
    """For stderr."""
    error: BaseException | None = None
    data: dict[str, Any] = field(default_factory=dict)
    """For the result of ``--json``."""

    def as_data(self) -> dict[str, Any]:
        """The result of ``--json``."""
        error = None
        if self.error is not None:
            error = {"type": type(self.error).__name__, "message": str(self.error)}
        return {
            "type": "result",
            "exit_code": int(self.exit),
            "outcome": self.exit.outcome,
            "message": self.message,
            "error": error,
            **self.data,
        }


def ending_of(error: BaseException, received: signal.Signals | None, data: dict[str, Any]) -> Outcome:
    """What an exception that ended a command means."""
    if isinstance(error, StoreError):
        return Outcome(Exit.STORE, str(error), error, data)
    if received is not None and not isinstance(error, AppLoadError | RefusedError):
        return _stopped(error, received, data)
    match error:
        case AppLoadError() | RefusedError():
            return Outcome(Exit.USAGE, str(error), error, data)
        case IncompleteError():
            return Outcome(Exit.COMPONENT_FAILURES, f"{error}: remove the cause and drop again", error, data)
        case ApplicationError(__cause__=cause) if cause is not None:
            where = f" ({place})" if (place := place_of(cause)) else ""
            return Outcome(
                Exit.APPLICATION,
                f"{error} {type(cause).__name__}: {cause}{where}; --debug shows the traceback",
                cause,
                data,
            )
        case _:
            raise error  # a bug of ours: it keeps its traceback


def _stopped(error: BaseException, received: signal.Signals, data: dict[str, Any]) -> Outcome:
    exit_code = Exit.TERMINATED if received == signal.SIGTERM else Exit.INTERRUPTED
    message = "stopped; nothing is half-done, and the next update goes on from here"
    if failures := data.get("total", {}).get("num_errors"):
        message += f"; before, there were {failures} failures of components"
    if isinstance(error, ApplicationError) and not isinstance(error.__cause__, StoppedError):
        message += f"; stopping, {error} {type(error.__cause__).__name__}: {error.__cause__}"
    return Outcome(exit_code, message, None, data)
