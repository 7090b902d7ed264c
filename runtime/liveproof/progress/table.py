"""Progress as a table on a terminal, redrawn in place."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator
from typing import Any

from rich import box
from rich.console import Console, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from liveproof.core.stats import UpdateStats
from liveproof.progress.words import NS_PER_SECOND, WORDS, Progress, took

__all__ = ["TerminalTable"]

REDRAW_INTERVAL_NS = 100_000_000
"""How often a table is redrawn at most."""


class TerminalTable:
    """A table with a row for each kind of component. What others print meanwhile goes above it."""

    in_use = False
    """A terminal has room for one such table; a second update that reports at the same time writes lines."""

    def __init__(self, console: Console) -> None:
        self.interval_ns = REDRAW_INTERVAL_NS
        self._console = console
        self._live = Live(
            console=console,
            auto_refresh=False,
            redirect_stdout=True,
            redirect_stderr=sys.stderr.isatty(),  # in a file it is out of the table's way
        )
        self._last: tuple[str, UpdateStats, int] | None = None
        self._handlers = contextlib.ExitStack()

    def show(self, progress: Progress, /) -> None:
        seen = (progress.phase, progress.stats, progress.elapsed_ns // NS_PER_SECOND)
        if seen == self._last:
            return
        self._last = seen
        self._begin()
        self._live.update(self._drawn(progress, progress.phase), refresh=True)

    def end(self, progress: Progress, outcome: str, /) -> None:
        self._begin()
        try:
            self._live.update(self._drawn(progress, outcome), refresh=True)
        finally:
            self._handlers.close()
            self._live.stop()
            TerminalTable.in_use = False

    def _begin(self) -> None:
        if not self._live.is_started:
            TerminalTable.in_use = True
            self._live.start()
            self._handlers.enter_context(_logs_above())

    def _drawn(self, progress: Progress, state: str) -> RenderableType:
        table = Table(box=box.SIMPLE_HEAD, title_justify="left", title_style="")
        table.title = Text.assemble(
            (progress.app, "bold"), ": ", (state, _STYLES.get(state, "")), f", {took(progress.elapsed_ns)}"
        )
        table.add_column("component")
        for name in ("running", *(word for _, word in WORDS), "errors"):
            table.add_column(name, justify="right")
        rows = list(progress.stats.by_component.items())
        if len(rows) > 1:
            rows.append(("all", progress.stats.total))
        for name, counts in rows:
            numbers = [counts.num_in_progress, *(getattr(counts, field) for field, _ in WORDS)]
            cells = [Text(str(number) if number > 0 else "·") for number in numbers]
            errors = Text(str(counts.num_errors) if counts.num_errors else "·")
            errors.stylize("bold red" if counts.num_errors else "")
            table.add_row(Text(name), *cells, errors)
        return table


_GOOD = ("live", "updated", "dropped")
_STYLES = {**dict.fromkeys(_GOOD, "green"), "stopping": "yellow", "failed": "bold red"}


@contextlib.contextmanager
def _logs_above() -> Iterator[None]:
    """Let log handlers that write to the terminal do so above the table, as ``print`` does."""
    moved: list[tuple[logging.StreamHandler[Any], Any]] = []
    for logger in (logging.getLogger(), logging.getLogger("liveproof")):
        for handler in logger.handlers:
            if not isinstance(handler, logging.StreamHandler) or isinstance(handler, logging.FileHandler):
                continue
            if handler.stream is sys.__stderr__ and sys.stderr.isatty():
                moved.append((handler, handler.setStream(sys.stderr)))
            elif handler.stream is sys.__stdout__:
                moved.append((handler, handler.setStream(sys.stdout)))
    try:
        yield
    finally:
        for handler, stream in reversed(moved):
            handler.setStream(stream)
