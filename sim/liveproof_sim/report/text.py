"""A failure as text: one sentence, at most 15 rows of lanes, who waits for what, how to see it again."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from liveproof_sim.explore.verdict import Failure
from liveproof_sim.trace.events import Event, Trace

__all__ = ["ROWS_MAX", "lanes", "render"]

ROWS_MAX = 15
LANE_WIDTH = 34
LANES_MAX = 4


def render(failure: Failure, scenario: str) -> str:
    """The report."""
    first, _, rest = f"{type(failure.exception).__name__}: {failure.exception}".partition("\n")
    lines = [f"{scenario} failed: {first}"]
    if rest:
        lines += rest.splitlines()
    if failure.trace is not None:
        lines += ["", *lanes(failure.trace, failure.noise), ""]
        drawn = [f"{event.who} {event.chosen}" for event in failure.trace.events if event.kind == "draw"]
        if drawn:
            more = f" and {len(drawn) - 10} more" if len(drawn) > 10 else ""
            lines.append(f"drawn: {', '.join(drawn[:10])}{more}")
    if failure.parting:
        lines.append(f"nearest passing order: {failure.parting}")
    if failure.noise:
        lines.append(f"left out: {', '.join(failure.noise)} (it fails so with them first, and with them last)")
    least = "no single removal leaves a smaller one" if failure.minimal else "not shrunk to the end"
    if failure.fewest and failure.switches:
        least = f"none with fewer fails so; {least}"
    switches = f"{failure.switches} preemption{'s' * (failure.switches != 1)}"
    lines.append(f"{switches} ({least}). {failure.stock}".rstrip())
    lines.append(f"again: replay(scenario, {failure.token!r})")
    return "\n".join(lines)


def lanes(trace: Trace, noise: Sequence[str] = ()) -> list[str]:
    """A column per task, a row per turn; turns that do not fit are counted, and the last ones are kept. Tasks
    that are noise have neither."""
    left_out = dict.fromkeys([*noise, "_stop_loop"])
    turns = _turns([event for event in trace.events if event.kind != "draw" and event.who not in left_out])
    dropped = len(turns) - (ROWS_MAX - 1) if len(turns) > ROWS_MAX else 0
    turns = turns[dropped:]
    columns = list(dict.fromkeys(who for who, _ in turns))
    wide = len(columns) > LANES_MAX  # then the name goes into the row
    rows = [f"... {dropped} earlier turns"] if dropped else []
    if not wide:
        rows.append(
            "    time  " + "".join(column[: LANE_WIDTH - 2].ljust(LANE_WIDTH) for column in columns).rstrip()
        )
        if len(rows) + len(turns) > ROWS_MAX:
            turns = turns[len(rows) + len(turns) - ROWS_MAX :]
    for who, events in turns:
        place = events[-1].place or events[0].kind
        text = f"{place} ({events[-1].site})" if events[-1].site else place
        if len(events) > 1:
            text += f" x{len(events)}"
        indent = "" if wide else " " * (LANE_WIDTH * columns.index(who))
        named = f"{who}: {text}" if wide else text
        overtook = [event.overtook.partition(" (")[0] for event in events if event.overtook]
        passed = next((name for name in overtook if name not in left_out), "")
        note = f"  <- before {passed}" if passed else ""
        rows.append(f"{events[0].time_ns / 1e9:8.3f}  {indent}{named}{note}")
    assert len(rows) <= ROWS_MAX
    return rows


def _turns(events: list[Event]) -> list[tuple[str, list[Event]]]:
    return [(who, list(group)) for who, group in groupby(events, key=lambda event: event.who)]
