"""Points in paths that are seldom taken, so that tests can say which of them were.

``reached("recovery.mended")`` does nothing in production (about 40 ns). An exploration that wants to know calls
:func:`watch`, and can then require that its faults and crashes led there.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["POINTS", "reached", "watch"]

POINTS: dict[str, str] = {
    "collect.kept": "a component that could not be deleted is remembered",
    "ledger.flush-failed": "a flush of the store failed",
    "ledger.write-failed": "a batch could not be written, and is kept for the next",
    "recovery.mended": "a run that was cut short left rows that do not agree, and they were mended",
    "settle.failed": "the writes of a target could not be made durable",
    "sinks.one-by-one": "a batch of several components failed, and its parts are applied one by one",
    "submit.in-doubt": "a target may hold one of several things, or nothing, and is reconciled with all of them",
    "submit.taken-over": "a component took over a target state that another one owned",
}
"""Every point there is."""

_told: Callable[[str], None] | None = None


def reached(point: str, /) -> None:
    """The program has got here."""
    if _told is not None:
        _told(point)


def watch(told: Callable[[str], None] | None) -> None:
    """Tell ``told`` of every point that is reached from now on; ``None``: nobody."""
    global _told  # noqa: PLW0603 - one process, one exploration at a time
    _told = told
