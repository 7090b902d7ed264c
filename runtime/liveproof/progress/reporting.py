"""Following a run, and telling a display about it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol, TextIO, TypeVar

from liveproof.core.stats import UpdateStats
from liveproof.errors import StoppedError
from liveproof.progress.lines import Lines
from liveproof.progress.words import Progress

if TYPE_CHECKING:
    from liveproof.abc.scheduler import Scheduler

__all__ = ["Display", "choose_display", "report"]


class Display(Protocol):
    """Where progress is shown. All calls come from the loop; :meth:`end` is the last."""

    interval_ns: int
    """How often it wants to be told, at most."""

    def show(self, progress: Progress, /) -> None:
        """Something may have changed: counts, phase, or just the time."""

    def end(self, progress: Progress, outcome: str, /) -> None:
        """It has ended: "updated", "dropped", "stopped" or "failed"."""


class _Session(Protocol):
    @property
    def scheduler(self) -> Scheduler: ...


class _Handle(Protocol):
    """What is needed of ``app.UpdateHandle`` and ``app.DropHandle``, which are in a layer above."""

    done_word: str

    @property
    def app_name(self) -> str: ...
    @property
    def phase(self) -> str: ...
    @property
    def session(self) -> _Session: ...
    def stats(self) -> UpdateStats | None: ...
    async def pause(self, duration_ns: int) -> None: ...
    def surround(self, around: Callable[[Any], Any]) -> None: ...


H = TypeVar("H", bound=_Handle)
_Work = Callable[[_Handle], Coroutine[Any, Any, Any]]


def report(handle: H, interval: timedelta, display: Display | None = None) -> H:
    """Let a run that was just asked for show its progress. Returns the handle that it was given: whoever
    awaits it gets the result after the last word of the display."""
    shown = choose_display(sys.stdout, interval) if display is None else display

    def around(work: _Work) -> _Work:
        async def reported(handle: _Handle) -> Any:
            reporter = _Reporter(handle, shown)
            handle.session.scheduler.spawn(reporter.follow(), name=f"liveproof: report on {handle.app_name}")
            outcome = "failed"
            try:
                result = await work(handle)
                outcome = handle.done_word
            except StoppedError:
                outcome = "stopped"
                raise
            finally:
                reporter.end(outcome)
            return result

        return reported

    handle.surround(around)
    return handle


class _Reporter:
    """Tells a display about a handle. A display that can't be written to is left alone: that nobody reads
    the progress of an update does not end it."""

    def __init__(self, handle: _Handle, display: Display) -> None:
        self._handle = handle
        self._display: Display | None = display
        self._begun_ns = handle.session.scheduler.now()

    def _progress(self) -> Progress:
        handle = self._handle
        elapsed_ns = handle.session.scheduler.now() - self._begun_ns
        return Progress(handle.app_name, handle.phase, elapsed_ns, handle.stats() or UpdateStats({}))

    async def follow(self) -> None:
        """Show what there is, until :meth:`end`."""
        scheduler = self._handle.session.scheduler
        try:
            while self._display is not None:
                try:
                    self._display.show(self._progress())
                except OSError:
                    self._display = None
                else:
                    await self._handle.pause(self._display.interval_ns)
        except scheduler.cancelled:
            pass  # The loop is being closed.

    def end(self, outcome: str) -> None:
        """Show how it ended."""
        display, self._display = self._display, None
        if display is not None:
            with contextlib.suppress(OSError):
                display.end(self._progress(), outcome)


def choose_display(out: TextIO, interval: timedelta) -> Display:
    """A table if ``out`` is a terminal that can redraw, else lines."""
    if out.isatty():
        # rich is slow to import, and seldom wanted.
        from rich.console import Console  # noqa: PLC0415 - as above

        from liveproof.progress.table import TerminalTable  # noqa: PLC0415 - as above

        console = Console(file=out)
        if console.is_terminal and not console.is_dumb_terminal and not TerminalTable.in_use:
            return TerminalTable(console)
    return Lines(out, interval)
