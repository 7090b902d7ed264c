"""From what was run to what may be said of it."""

from __future__ import annotations

from liveproof_sim.explore.execution import Settings
from liveproof_sim.explore.statistics import excluded_above, unseen_estimate, unseen_max
from liveproof_sim.explore.strategies import Search
from liveproof_sim.explore.tally import Tally
from liveproof_sim.explore.verdict import Failure, Status, StopReason, Verdict
from liveproof_sim.kernel.loop import Timers
from liveproof_sim.kernel.power import Points
from liveproof_sim.properties import Reached

__all__ = ["conclude"]


def conclude(
    search: Search, settings: Settings, tally: Tally, reached: Reached, reason: StopReason, failure: Failure | None
) -> Verdict:
    """The verdict, but for how long it took."""
    verdict = Verdict(Status.SAMPLED, reason, tally.executions, search.name, tally.behaviours)
    verdict.arms = tally.arms or search.arms()
    verdict.reduction = search.counts()
    verdict.opaque = list(settings.opaque)
    verdict.missed = reached.missed()
    verdict.failure = failure
    verdict.lost = dict(tally.lost)
    verdict.points = dict(reached.points)
    verdict.faults = dict(reached.faults)
    verdict.curve = [*tally.curve, (tally.executions, tally.behaviours)]
    if failure is not None:
        verdict.status = Status.FAILED
    elif reason is StopReason.EXHAUSTED:
        verdict.status = Status.PROVED
    elif reason is StopReason.EXHAUSTED_WITHIN:
        verdict.status = Status.PROVED_WITHIN
        verdict.bounds = search.bounds()
    elif search.systematic:
        verdict.status = Status.INCONCLUSIVE
    if verdict.status in (Status.PROVED, Status.PROVED_WITHIN):
        verdict.unseen = verdict.unseen_estimate = verdict.excluded_above = 0.0
        verdict.assumptions = _assumptions(settings)
    else:
        counts = tally.counts()
        verdict.unseen = unseen_max(counts)
        verdict.unseen_estimate = unseen_estimate(counts)
        verdict.excluded_above = excluded_above(tally.executions)
    return verdict


def _assumptions(settings: Settings) -> list[str]:
    """What a proof stands on."""
    late = settings.limits.lateness_ns / 1e9
    timers = (
        f"timers are late by at most {late:g} s"
        if settings.timers is Timers.LATE
        else "steps take no time"
    )
    return [
        "tasks switch only where they await",
        *(
            ["operators and properties of classes that are not instrumented touch nothing"]
            if settings.reduced
            else []
        ),
        timers,
        *([] if settings.outages.points is Points.NONE else [_failures(settings.outages.cuts_max)]),
        f"random values are those of seed {settings.seed}",
        "threads run in one go"
        if settings.fidelity.value == "any-order"
        else "ready tasks run first in, first out",
    ]


def _failures(most: int) -> str:
    times = "once" if most == 1 else f"{most} times"
    return f"the power fails by itself at most {times}"
