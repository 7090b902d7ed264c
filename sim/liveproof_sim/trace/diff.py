"""Where two traces part."""

from __future__ import annotations

from typing import NamedTuple

from liveproof_sim.trace.events import Event, Trace

__all__ = ["Difference", "first_difference"]


class Difference(NamedTuple):
    """The first event that differs; None: that trace has ended."""

    at: int
    left: Event | None
    right: Event | None
    left_outcome: str
    right_outcome: str

    def __str__(self) -> str:
        if self.left is None and self.right is None:
            return f"equal events, but one ended as {self.left_outcome!r} and one as {self.right_outcome!r}"
        sides = [_side(self.left, self.left_outcome), _side(self.right, self.right_outcome)]
        return f"event {self.at}: one has {sides[0]}, one has {sides[1]}"


def _side(event: Event | None, outcome: str) -> str:
    if event is None:
        return f"ended ({outcome})"
    choice = f"choice {event.chosen} of {event.options}"
    return f"{event.who} at {event.place} ({event.site}), t={event.time_ns} ns, {choice}"


def first_difference(left: Trace, right: Trace) -> Difference | None:
    """Compare event by event, then lengths, then outcomes."""
    for at, (one, other) in enumerate(zip(left.events, right.events, strict=False)):
        if one != other:
            return Difference(at, one, other, left.outcome, right.outcome)
    shorter = min(len(left.events), len(right.events))
    if len(left.events) != len(right.events) or left.outcome != right.outcome:
        tail = [trace.events[shorter] if len(trace.events) > shorter else None for trace in (left, right)]
        return Difference(shorter, tail[0], tail[1], left.outcome, right.outcome)
    return None
