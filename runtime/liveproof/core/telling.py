"""What the probe is told of cycles and operations: values that an observer can keep.

Called only if somebody looks (``run.probing``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from liveproof.core.operations import Dropped, Replaced, Start

if TYPE_CHECKING:
    from liveproof.core.component import Cycle
    from liveproof.core.operations import Outcome
    from liveproof.core.paths import Path
    from liveproof.core.plan import Part
    from liveproof.core.run import Run

__all__ = ["tell_claim", "tell_end", "tell_outcome", "tell_start"]


def tell_start(cycle: Cycle) -> None:
    """The function of a component is about to be called."""
    run = cycle.run
    operation = cycle.rank[-1] if cycle.rank else None
    run.probe.event(
        "cycle.start",
        cycle.path,
        cycle=cycle,
        parent=cycle.parent_path,
        processor=cycle.processor,
        remembers=cycle.memoizing,
        controller=None if operation is None else run.path_of(operation[0]),
        seq=0 if operation is None else operation[1],
    )


def tell_end(cycle: Cycle) -> None:
    """A cycle has ended, however it did; what it wanted is told as well."""
    run = cycle.run
    run.probe.event(
        "cycle.end",
        cycle.path,
        cycle=cycle,
        stopping=run.stopping,
        failure=cycle.failure,
        critical=cycle.critical,
        carried=cycle.carried_over,
        declared={(*each.provider.path, each.stable_key): each.value for each in cycle.declared.values()},
        retained=len(cycle.retained),
        mounted=[run.path_of(key) for key in cycle.mounted],
    )


def tell_claim(run: Run, part: Part) -> None:
    """A component submits what it declared."""
    states = [(*each.provider.path, each.stable_key) for each in part.declared.values()]
    run.probe.event("submit", part.path, states=states)


def tell_outcome(run: Run, path: Path, outcome: Outcome) -> None:
    """What becomes of an operation of the live component at ``path``."""
    match outcome:
        case Start(op):
            run.probe.event("operation.start", path, seq=op.seq)
        case Replaced(op, by):
            run.probe.event("operation.replaced", path, seq=op.seq, by=by.seq)
        case Dropped(op):
            run.probe.event("operation.dropped", path, seq=op.seq)
