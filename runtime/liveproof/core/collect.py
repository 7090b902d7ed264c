"""Garbage collection: what a cycle did not mount goes, with all that is below it (GC-1 … GC-5).

A deletion first records that the component's targets may be missing and that its memo no longer holds,
then lets the sinks remove the targets, and only then forgets the component: its descendants before
itself, so that whatever a crash leaves behind is still found below its parent. A deletion that failed
leaves the record; the next cycle of the parent finds it, and tries again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from liveproof.abc.points import reached
from liveproof.abc.store import Table
from liveproof.core.context import HandlerChain
from liveproof.core.countdown import Countdown
from liveproof.core.drawer import MemoDrawer
from liveproof.core.failures import report_failure
from liveproof.core.paths import Path, decode_path
from liveproof.core.readiness import Readiness
from liveproof.core.records import DEPTH_MAX, ComponentRecord, decode_record, encode_record, owner_of
from liveproof.core.submit import Part, submit
from liveproof.core.targets import HandlerMissingError

if TYPE_CHECKING:
    from liveproof.abc.store import Write
    from liveproof.core.component import Cycle
    from liveproof.core.run import Run
    from liveproof.core.targets import TargetActionSink

__all__ = ["collect", "delete_component"]

UNREAD = "(unknown)"
"""In the place of a component's name, if the store that knows it can not be read."""

TOGETHER_MAX = 512
"""Components that one cycle deletes at the same time."""


class Failure(NamedTuple):
    """A component that could not be deleted."""

    path: Path
    owner: int
    """Number of keys in its parent's path."""
    processor: str
    error: BaseException


async def collect(cycle: Cycle) -> bool:
    """Delete the children that earlier cycles of this component mounted and this one did not.

    Returns False if some could not be deleted; those failures have been reported.
    """
    run = cycle.run
    depth = len(cycle.path)
    known = await cycle.children_known()
    gone = [key for key in known if key not in cycle.mounted]
    if run.probing:
        run.probe.event("collect", cycle.path, gone=[run.path_of(key) for key in gone])
    good = True
    async with cycle.place.given_up():  # What is deleted may be live, and need places to come to its end.
        stages = _stages(run, gone)
        again: list[bytes] = []
        for stage, together in enumerate([*stages, again]):
            last = stage >= len(stages) - 1
            for at in range(0, len(together), TOGETHER_MAX):
                group = _Group(run, together[at : at + TOGETHER_MAX], depth, cycle.handlers, last=last)
                await group.finish()
                again += group.again
                good = good and group.good
    return good


def _stages(run: Run, keys: list[bytes]) -> list[list[bytes]]:
    """What is inside containers goes before the containers, and inner ones before outer ones."""
    stages: dict[int, list[bytes]] = {}
    for key in keys:
        depth = DEPTH_MAX
        raw = run.ledger.get(Table.COMPONENT, key)
        if raw is not None:
            for target, entry in decode_record(raw).targets.items():
                if entry.own != (0, 0):
                    depth = min(depth, len(decode_path(target)))
        stages.setdefault(depth, []).append(key)
    return [stages[depth] for depth in sorted(stages, reverse=True)]


class _Group:
    """Deletions that run side by side."""

    def __init__(
        self, run: Run, keys: list[bytes], depth: int, handlers: HandlerChain | None, *, last: bool
    ) -> None:
        self.run = run
        self.good = True
        self.again: list[bytes] = []
        """Components to be tried again after the containers that are deleted later: nobody here can
        reconcile what they have inside those."""
        self._last = last
        self._depth = depth
        self._handlers = handlers
        self._left = Countdown(run.scheduler, len(keys))
        for key in keys:
            run.scheduler.spawn(self._one(key), name="liveproof: collect")

    async def _one(self, key: bytes) -> None:
        try:
            failures = await delete_component(self.run, key, owner=self._depth)
            if not self._last and failures and all(
                isinstance(failure.error, HandlerMissingError) for failure in failures
            ):
                self.again.append(key)
            else:
                await report_failures(self.run, failures, self._handlers)
                self.good = self.good and not failures
        except BaseException:
            self.good = False
            raise
        finally:
            self._left.less()

    async def finish(self) -> None:
        """Wait until all have ended."""
        await self._left.over(self)

    def __repr__(self) -> str:
        return f"<components being collected: {self._left}>"


async def delete_reported(
    run: Run, key: bytes, handlers: HandlerChain | None, *, owner: int | None
) -> tuple[BaseException | None, bool]:
    """Delete a component; report what fails. Returns what ``ready()`` raises, and whether it succeeded."""
    failures = await delete_component(run, key, owner=owner)
    return await report_failures(run, failures, handlers), not failures


async def report_failures(
    run: Run, failures: list[Failure], handlers: HandlerChain | None
) -> BaseException | None:
    """Tell the handlers of failed deletions; returns what escapes them first."""
    escaped: BaseException | None = None
    for failed_path, owner, processor, exc in failures:
        run.stats.count(processor, "num_execution_starts", "num_errors")
        raised = await report_failure(
            exc,
            handlers,
            env_name=run.env_name,
            path=failed_path,
            processor=processor,
            kind="delete_background",
            parent=failed_path[:owner],
        )
        escaped = escaped or raised
    return escaped


async def delete_component(run: Run, key: bytes, *, owner: int | None) -> list[Failure]:
    """Delete the component ``key`` and what is below it. Returns what failed, and where.

    Below means: mounted by it or by its descendants; and it is deleted only if the component that mounted it
    has a path of ``owner`` keys. With ``None`` it means every component whose path begins with its path,
    whoever mounted it.
    """
    await run.deleted(key)
    ended = Readiness(run.scheduler, f"the deletion of {run.format_key(key)}")
    # From here on whoever mounts something at this path waits, so that it is not harmed (GC-2).
    run.deleting[key] = ended
    mine = [key]
    try:
        if owner is not None:
            row = run.ledger.get(Table.COMPONENT, key)
            if row is None or owner_of(row) != owner:
                return []  # Gone, or somebody else's child by now: not ours to delete (GC-2).
        await run.drain_live_below(key)
        rows = await run.ledger.components_gently(key)
        if owner is not None:
            rows = _family(run, key, rows)
        for row_key, _ in rows:
            if row_key not in run.deleting:
                run.deleting[row_key] = ended
                mine.append(row_key)
        return await _delete_rows(run, [row for row in rows if run.deleting[row[0]] is ended])
    except Exception as error:  # noqa: BLE001 - the store's, if it can't be read: told as that of any deletion
        path = run.path_of(key)
        return [Failure(path, max(0, len(path) - 1) if owner is None else owner, UNREAD, error)]
    finally:
        for row_key in mine:
            del run.deleting[row_key]
        ended.resolve()


async def _delete_rows(
    run: Run, rows: list[tuple[bytes, bytes]]
) -> list[Failure]:
    parts: list[Part] = []
    records: list[tuple[bytes, Path, ComponentRecord]] = []
    for row_key, raw in reversed(rows):  # Descendants first.
        record = decode_record(raw)
        path = run.path_of(row_key)
        records.append((row_key, path, record))
        parts.append(Part(row_key, path, record, {}, {}, None, (), run.version(row_key)))
    await submit(run, parts)
    failures: list[Failure] = []
    kept: list[bytes] = []
    writes: list[Write] = []
    applied: list[tuple[TargetActionSink[Any, Any], list[Any]]] = []
    for part, (row_key, path, record) in zip(parts, records, strict=True):
        if part.error is not None:
            failures.append(Failure(path, record.owner, record.processor, part.error))
            if run.probing:
                run.probe.event("delete.failed", path, error=part.error)
        if part.error is not None or any(other.startswith(row_key) for other in kept):
            # A parent stays as long as something below it has to be tried again.
            kept.append(row_key)
            reached("collect.kept")
            if part.disowned:
                # What is gone belongs to nobody, so this record must not claim it either.
                record.targets = part.entries
                record.memo = None
                writes.append((Table.COMPONENT, row_key, encode_record(record)))
                writes += [run.own(target, None) for target in part.disowned]
                applied += part.applied
            continue
        if run.probing:
            run.probe.event("delete", path)
        writes.append((Table.COMPONENT, row_key, None))
        writes += [run.own(target, None) for target in part.disowned]
        if record.calls:
            drawer = MemoDrawer(run.ledger, row_key, record)
            writes += drawer.writes({})
        run.stats.count(record.processor, "num_execution_starts", "num_deletes")
        applied += part.applied
    if writes:
        run.commit(writes, {part.key: part.removed if applied else {} for part in parts}, applied)
    return failures


def _family(run: Run, key: bytes, rows: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Of the rows at or below a path, those that the component there, or its descendants, mounted.

    Its parent may have mounted something at a longer path that begins with the same keys: that, and
    what is below *that*, is not its family.
    """
    family: dict[bytes, bytes] = {}
    for row_key, raw in rows:  # In path order: whoever mounted a component comes before it.
        if row_key == key or run.key_of(run.path_of(row_key)[: owner_of(raw)]) in family:
            family[row_key] = raw
    return list(family.items())
