"""The nearest order that passes: the one that shares the longest beginning with the failure.

From the last choice of the failing run to its first: take another option there, and the ordinary one from
there on. The first such run that passes parts from the failure where the failure was decided; all later
choices do not help. Only runs within a budget are tried.
"""

from __future__ import annotations

from liveproof_sim.explore.execution import Outcome
from liveproof_sim.explore.explorer import Explorer
from liveproof_sim.explore.strategies import Positions
from liveproof_sim.trace.events import Event, Trace

__all__ = ["parting_of"]

RUNS_MAX = 100
STEPS_MAX = 20_000  # of all runs together


def parting_of(explorer: Explorer, outcome: Outcome) -> str:
    """Where the nearest passing run parts from this failure, in words; empty if none was found. Call inside
    :func:`exploring`."""
    assert outcome.trace is not None
    runs = steps = 0
    for at in range(len(outcome.taken) - 1, -1, -1):
        for option in range(outcome.sizes[at]):
            if option == outcome.taken[at]:
                continue
            if runs == RUNS_MAX or steps > STEPS_MAX:
                return ""
            again = explorer.once(Positions([*outcome.taken[:at], option]), record=True)
            runs, steps = runs + 1, steps + again.steps
            if not again.failed:
                assert again.trace is not None
                return _words(_choice(outcome.trace, at), _choice(again.trace, at))
    return ""


def _choice(trace: Trace, at: int) -> Event:
    """The event of a choice."""
    return [event for event in trace.events if event.options > 1][at]


def _words(failing: Event, passing: Event) -> str:
    if failing.kind == "draw":
        return f"it passes if {failing.who} draws {passing.chosen} instead of {failing.chosen}"
    when = f"at {failing.time_ns / 1e9:.3f} s"
    return f"it passes if {_step(passing)} runs before {_step(failing)}, {when}"


def _step(event: Event) -> str:
    if event.kind == "clock":
        return "the next timer"
    return f"{event.who} ({event.site})" if event.site else event.who
