"""Which tasks do not matter to a failure, and the same failure with them out of the way.

A task is *noise* if the run fails in the same way when it runs as early as it can, and when it runs as late as
it can. Tasks are tried one after the other, each with the noise found so far at the end, so that of two tasks
of which one is needed, one stays. It is an experiment, not a proof: the orders between first and last are not
run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from liveproof_sim.explore.execution import Outcome
from liveproof_sim.explore.explorer import Explorer
from liveproof_sim.shrink.guided import Guided, blocks_of, draws_of

__all__ = ["without_noise"]

TASKS_MAX = 12
STEPS_MAX = 20_000  # of all runs together
KEPT = ("main", "clock", "_stop_loop")


def without_noise(explorer: Explorer, outcome: Outcome) -> tuple[Outcome, list[str]]:
    """The failure with its noise at the end, if that costs no more preemptions, and the names of the noise. Call
    inside :func:`exploring`."""
    assert outcome.trace is not None
    steps = dict.fromkeys(event.who for event in outcome.trace.events if event.kind == "step")
    names = [name for name in steps if name not in KEPT]
    if len(names) < 3 or outcome.steps * len(names) * 2 > STEPS_MAX:
        return outcome, []  # of two tasks, both matter; and what is long would take long
    noise: list[str] = []
    level = _run(explorer, outcome).preemptions
    for name in names[:TASKS_MAX]:
        first = _run(explorer, outcome, first=[name], last=noise)
        if first.outcome.signature != outcome.signature:
            continue
        last = _run(explorer, outcome, last=[*noise, name])
        if last.outcome.signature == outcome.signature and last.preemptions <= level:
            outcome = last.outcome
            noise.append(name)
    return outcome, noise


class _Run(NamedTuple):
    outcome: Outcome
    preemptions: int


def _run(
    explorer: Explorer, outcome: Outcome, *, first: Sequence[str] = (), last: Sequence[str] = ()
) -> _Run:
    """What the outcome did, with these tasks out of the way."""
    assert outcome.trace is not None
    blocks = [block for block in blocks_of(outcome.trace) if block[0] not in first and block[0] not in last]
    guided = Guided(blocks, draws_of(outcome.trace), first=first, last=last)
    return _Run(explorer.once(guided, record=True), guided.preemptions)
