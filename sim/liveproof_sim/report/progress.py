"""How far an exploration is, on a terminal: one line that goes away in the end.

Of a search that has an end, the line also says how many classes it has run, how deep its stack is, and about how
many executions are left. That estimate goes by the stack: at each prefix, what is known to be run from there is
taken to have equal parts, so what has been run is a share of the whole. It knows nothing of what is yet to be
found, so it is too low at first, and may rise.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

from rich.console import Console

from liveproof_sim.explore.strategies import Standing

__all__ = ["line", "shown"]


def line(
    name: str, executions: int, limit: int | None, behaviours: int, seconds: float, standing: Standing | None = None
) -> str:
    """What is shown: executions, how many a second, and what they showed."""
    of = "" if limit is None else f" of {_number(limit)}"
    rate = _number(executions / seconds if seconds > 0 else 0)
    ran = f"{name}: {_number(executions)}{of} executions, {rate}/s"
    if standing is None:
        return f"{ran}, {_number(behaviours)} behaviours"
    known = f"{ran}, {_number(standing.classes)} classes, {standing.depth} deep"
    if standing.share <= 0:
        return known
    return f"{known}, about {_number(_two_digits(standing.classes * (1 - standing.share) / standing.share))} left"


def _two_digits(value: float) -> float:
    """To two digits: an estimate has no more."""
    unit = 1
    while value / unit >= 100:
        unit *= 10
    return -(-value // unit) * unit


def _number(value: float) -> str:
    return f"{value:,.0f}".replace(",", " ")


@contextlib.contextmanager
def shown(
    name: str, limit: int | None, *, on: bool, console: Console | None = None
) -> Iterator[Callable[[int, int, Standing | None], None] | None]:
    """Whom to tell of executions, behaviours and how far that is; None if nobody looks: not asked for, or no
    terminal."""
    if not on:
        yield None
        return
    console = console or Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    began = time.perf_counter()
    with console.status(line(name, 0, limit, 0, 0.0)) as status:
        yield lambda executions, behaviours, standing: status.update(
            line(name, executions, limit, behaviours, time.perf_counter() - began, standing)
        )
