"""How far an exploration is, on a terminal: one line that goes away in the end."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

from rich.console import Console

__all__ = ["line", "shown"]


def line(name: str, executions: int, limit: int | None, behaviours: int, seconds: float) -> str:
    """What is shown: executions, how many a second, and what they showed."""
    of = "" if limit is None else f" of {_number(limit)}"
    rate = _number(executions / seconds if seconds > 0 else 0)
    return f"{name}: {_number(executions)}{of} executions, {rate}/s, {_number(behaviours)} behaviours"


def _number(value: float) -> str:
    return f"{value:,.0f}".replace(",", " ")


@contextlib.contextmanager
def shown(
    name: str, limit: int | None, *, on: bool, console: Console | None = None
) -> Iterator[Callable[[int, int], None] | None]:
    """Whom to tell of executions and behaviours; None if nobody looks: not asked for, or no terminal."""
    if not on:
        yield None
        return
    console = console or Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    began = time.perf_counter()
    with console.status(line(name, 0, limit, 0, 0.0)) as status:
        yield lambda executions, behaviours: status.update(
            line(name, executions, limit, behaviours, time.perf_counter() - began)
        )
