"""Traces as JSON Lines.

First line: ``{"format": "liveproof-trace", "version": 1, "token": …, "about": {…}}``. Then one object per
event, with the fields of :class:`Event`. Last line: ``{"end": true, "outcome": …, "events": n,
"pending": […]}``; a file without it was cut off. Version 1 is the first. A change of meaning of any field
takes a new number. What may be missing does not: ``about`` is younger than the first files, and version 1 is
read with and without it. Of ``about``, unknown names are kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from liveproof_sim.errors import TapeError
from liveproof_sim.trace.events import Event, Trace

__all__ = ["VERSION", "dump", "load"]

VERSION = 1
FORMAT = "liveproof-trace"


def dump(trace: Trace) -> str:
    """The text of a trace file."""
    first = {"format": FORMAT, "version": VERSION, "token": trace.token, "about": trace.about}
    rows = [first, *(event.as_dict() for event in trace.events)]
    last = {"end": True, "outcome": trace.outcome, "events": len(trace.events), "pending": trace.pending}
    rows.append(last)
    return "".join(json.dumps(row, separators=(",", ":"), ensure_ascii=False) + "\n" for row in rows)


def load(text: str | Iterable[str]) -> Trace:
    """Read a trace file.

    Raises:
        TapeError: it is none, of another version, damaged or cut off.
    """
    lines = text.splitlines() if isinstance(text, str) else list(text)
    try:
        rows = [json.loads(line) for line in lines]
    except ValueError as error:
        raise TapeError(f"this trace is damaged or cut off: {error}") from None
    if not rows or not isinstance(rows[0], dict) or rows[0].get("format") != FORMAT:
        raise TapeError("this is no liveproof trace: its first line does not say so")
    if rows[0].get("version") != VERSION:
        raise TapeError(
            f"this trace has version {rows[0].get('version')}, and this liveproof reads version {VERSION}"
        )
    last = rows[-1]
    if not last.get("end") or last.get("events") != len(rows) - 2:
        raise TapeError("this trace was cut off: its last line is missing")
    try:
        events = [Event(**row) for row in rows[1:-1]]
    except TypeError as error:
        raise TapeError(f"this trace has an event that is damaged: {error}") from None
    pending = [(who, place) for who, place in last.get("pending", ())]
    about = {str(name): str(value) for name, value in rows[0].get("about", {}).items()}
    return Trace(events, last["outcome"], rows[0].get("token", ""), pending, about)
