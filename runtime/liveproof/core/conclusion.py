"""The end of a cycle, from what its function declared to the record of it: submit, collect, commit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from liveproof.abc.store import Table
from liveproof.core.collect import collect
from liveproof.core.function import Function
from liveproof.core.logic import is_live
from liveproof.core.records import ComponentRecord, encode_record
from liveproof.core.submit import Part, submit
from liveproof.core.values import encode

if TYPE_CHECKING:
    from liveproof.abc.store import Write
    from liveproof.core.component import Cycle

__all__ = ["conclude"]


async def conclude(cycle: Cycle) -> None:
    """Submit what the cycle declared, collect what it did not mount, and commit.

    Raises what a submission raised. Failed deletions have been reported.
    """
    run = cycle.run
    cycle._reread()
    # Before the submission: between that and its commit nothing may wait.
    known = {} if cycle.known is None and cycle.record is None else await cycle.children_known()
    before = cycle.record
    if before is None:
        before = ComponentRecord(owner=cycle.owner, processor=cycle.processor)
    part: Part | None = None
    stranded: list[bytes] = []
    if cycle.declared or before.targets:
        part = Part(
            cycle.key,
            cycle.path,
            before,
            cycle.declared,
            cycle.retained,
            cycle.rival,
            cycle.rank,
            cycle._version,
        )
        await submit(run, [part])
        if part.error is not None:
            raise part.error
        cycle.rival[cycle.key] = False
        cycle._version = run.version(cycle.key)
        stranded = part.stranded
    if known and any(key not in cycle.mounted for key in known):
        if part is not None and part.changed:
            _write(cycle, _outcome(cycle, part, before, remember=False), part)
        if not await collect(cycle):
            cycle.spoiled = True
        part = None  # Written; and while it collected, its targets may have moved elsewhere.
        if run.version(cycle.key) != cycle._version:
            cycle.spoiled = True
        before = cycle._load() or before
    if stranded:
        part = await _remove_stranded(cycle, part, before, stranded)
    _commit(cycle, part, before)
    cycle.rival[cycle.key] = False


async def _remove_stranded(
    cycle: Cycle, part: Part | None, before: ComponentRecord, stranded: list[bytes]
) -> Part:
    """States inside a container that this run can not reach: by now it may have been collected."""
    if part is not None and part.changed:
        _write(cycle, _outcome(cycle, part, before, remember=False), part)
        before = cycle._load() or before
    kept = dict.fromkeys(key for key in before.targets if key not in stranded)
    rest = Part(cycle.key, cycle.path, before, {}, kept, None, cycle.rank, cycle._version)
    await submit(cycle.run, [rest])
    if rest.error is not None:
        raise rest.error
    return rest


def _outcome(cycle: Cycle, part: Part | None, before: ComponentRecord, *, remember: bool) -> ComponentRecord:
    outcome = ComponentRecord(
        owner=cycle.owner,
        processor=cycle.processor,
        targets=before.targets if part is None else part.entries,
        calls=before.calls,
        state_keys=before.state_keys,
    )
    if cycle._drawer is not None:
        outcome.calls = cycle._drawer.in_use
    if remember and cycle._memo_key is not None and not cycle.spoiled:
        outcome.memo = cycle._memo_key
        outcome.uses = _uses(cycle)
        outcome.result = None if cycle.result is None else encode(cycle.result)
    return outcome


def _uses(cycle: Cycle) -> list[bytes]:
    fn = cycle.fn
    if isinstance(fn, Function) and fn.tracking == "self":
        return [use for use in cycle.frame.uses if use == fn.logic or not is_live(use)]
    return list(cycle.frame.uses)


def _commit(cycle: Cycle, part: Part | None, before: ComponentRecord) -> None:
    outcome = _outcome(cycle, part, before, remember=True)
    if outcome.memo is not None:
        outcome.states = list(cycle._new_states)
    drawer = cycle._drawer
    if drawer is None and before.calls:
        drawer = cycle._memos()
        outcome.calls = False
    if (part is None or not part.changed) and cycle.record is not None and drawer is None:
        if encode_record(outcome) == encode_record(cycle.record):
            return
    _write(cycle, outcome, part, [] if drawer is None else drawer.writes(outcome.targets))


def _write(
    cycle: Cycle, outcome: ComponentRecord, part: Part | None, more: Sequence[Write] = ()
) -> None:
    run = cycle.run
    cycle.record = outcome
    writes: list[Write] = [(Table.COMPONENT, cycle.key, encode_record(outcome)), *more]
    if part is not None:
        writes += [run.own(key, None) for key in part.disowned]
        if not part.intended:
            before = part.before.targets
            writes += [run.own(key, cycle.key) for key in part.entries if key not in before]
    if run.probing:
        run.probe.event("submit.commit", cycle.path, writes=len(writes))
    applied = [] if part is None else part.applied
    doubtful = {**part.doubtful, **part.removed} if part is not None and applied else {}
    run.commit(writes, {cycle.key: doubtful}, applied)
