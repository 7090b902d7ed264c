"""Where a command writes: results and progress to stdout, everything else to stderr."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import traceback
from datetime import timedelta
from types import TracebackType
from typing import Any, Self, TextIO

import click

from liveproof.cli.endings import Exit, Outcome
from liveproof.progress import Display, JsonLines, choose_display

__all__ = ["Output"]


class Output:
    """For the extent of a ``with`` block. With ``as_json`` the process's stdout is ours alone: what the
    application or its children print there goes to stderr."""

    def __init__(self, *, as_json: bool, quiet: bool, debug: bool) -> None:
        self.as_json = as_json
        self._quiet = quiet
        self._debug = debug
        self._machine: TextIO | None = None
        self._stdout_fd = -1

    def __enter__(self) -> Self:
        for stream in (sys.stdout, sys.stderr):
            # Names of files may hold what the terminal's encoding has not.
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
        if self.as_json:
            sys.stdout.flush()
            self._stdout_fd = os.dup(1)
            os.dup2(2, 1)
            self._machine = open(self._stdout_fd, "w", encoding="utf-8", closefd=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        for stream in (self._machine, sys.stdout):
            try:
                if stream is not None:
                    stream.flush()
            except OSError:
                # Whoever read it has left. The interpreter's last flush must not complain.
                with open(os.devnull, "w") as nowhere:  # noqa: PTH123 - a descriptor is wanted
                    os.dup2(nowhere.fileno(), self._stdout_fd if stream is self._machine else 1)
        if self._machine is not None:
            sys.stdout.flush()
            self._machine.close()
            os.dup2(self._stdout_fd, 1)
            os.close(self._stdout_fd)

    def display(self, interval: timedelta) -> Display | None:
        """For the progress of an update."""
        if self._quiet:
            return None
        if self._machine is not None:
            return JsonLines(self._machine, interval)
        return choose_display(sys.stdout, interval)

    def line(self, text: str) -> None:
        """A line for people, on stdout."""
        if not self.as_json:
            click.echo(text)

    def data(self, item: dict[str, Any]) -> None:
        """An object for machines, on stdout."""
        if self._machine is not None:
            print(json.dumps(item), file=self._machine, flush=True)

    def say(self, message: str) -> None:
        """A remark for people, on stderr, unless they asked for quiet."""
        if not self._quiet:
            click.echo(message, err=True)

    def log_to_stderr(self) -> None:
        """Send the runtime's log to stderr, unless the application has its own mind about it."""
        logger = logging.getLogger("liveproof")
        if not logger.hasHandlers():
            handler = logging.StreamHandler(sys.stderr)
            handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
            logger.addHandler(handler)

    def end(self, outcome: Outcome) -> int:
        """Say how it ended; returns the exit code."""
        if self._debug and outcome.error is not None:
            traceback.print_exception(outcome.error)
        if outcome.message:
            # Ctrl-C is no error, and quiet is about progress: an error is said in any case.
            stopped = outcome.exit in (Exit.INTERRUPTED, Exit.TERMINATED)
            kind = "" if stopped or outcome.exit is Exit.SUCCESS else "error: "
            with contextlib.suppress(OSError):
                click.echo(f"{kind}{outcome.message}", err=True)
        with contextlib.suppress(OSError):
            self.data(outcome.as_data())
        return int(outcome.exit)
