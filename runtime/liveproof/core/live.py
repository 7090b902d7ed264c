"""A live component while it runs: its operator, its operations, its readiness, its end.

The order of operations is decided in ``operations.py`` and nowhere else; this file carries out what that
machine says, and tells it when something has ended.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from liveproof.core.collect import delete_reported
from liveproof.core.component import Cycle, load_record
from liveproof.core.context import (
    ComponentContext,
    HandlerChain,
    MountKind,
    current_or_none,
    display_name,
    enter,
)
from liveproof.core.failures import report_failure
from liveproof.core.leaves import Leaves
from liveproof.core.operations import Dropped, Kind, Operation, Operations, Outcome, Replaced, Start
from liveproof.core.operator import Call, LiveComponentOperator, is_live_component_class
from liveproof.core.paths import Path, encode_path, format_path
from liveproof.core.ranks import Rank
from liveproof.core.readiness import Readiness
from liveproof.core.records import DEPTH_MAX, ComponentRecord, decode_record, owner_of
from liveproof.core.telling import tell_outcome
from liveproof.errors import StoppedError

if TYPE_CHECKING:
    from liveproof.abc.scheduler import Task
    from liveproof.core.run import Run

__all__ = ["LiveController"]

class LiveController:
    """One live component, from its mount to the end of its ``process_live()``."""

    def __init__(
        self,
        run: Run,
        path: Path,
        key: bytes,
        owner: int,
        cls: type[Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        kind: MountKind,
        handlers: HandlerChain | None,
        rival: dict[bytes, bool],
        rank: Rank,
        on_ready: Callable[[LiveController], None],
        record: ComponentRecord | None,
    ) -> None:
        self.run = run
        self.path = path
        self.key = key
        self.owner = owner
        self.kind = kind
        self.handlers = handlers
        self.processor = display_name(cls)
        self.ready = Readiness(run.scheduler, self)
        self.ended = Readiness(run.scheduler, self)
        self.on_ready = on_ready
        self.rank = rank
        self._cls = cls
        self._args = args
        self._kwargs = kwargs
        self._record = record
        self._existed = record is not None
        """Whether an earlier full cycle had begun here."""
        self._first_rival: dict[bytes, bool] | None = rival
        self._instance: Any = None
        self._machine = Operations()
        self._watchers: dict[Task, int] = {}
        """Who waits for the watermark to reach which operation."""
        self._below: dict[bytes, int] = {}
        """Longer sub-paths → the last update there: what an absorbed deletion must spare."""
        self.stale: dict[bytes, None] = {}
        """Components below that failed the last time they ran, and so are what they were before."""
        self._leaves = Leaves(run.scheduler)
        self._scanned = 0
        """The last full update that succeeded: it has done what any earlier deletion would do."""
        self._task: Task | None = None
        self._phase = "starting"
        self._caught_up = False
        self._told_to_end = False
        self.failed = False
        """Whether ``process_live()`` has ended in a failure."""
        self.site = Cycle(
            run,
            path,
            key,
            owner,
            cls,
            (),
            {},
            kind=kind,
            handlers=handlers,
            rival=rival,
            rank=rank,
            record=record,
        )
        """What the body of ``process_live()`` sees as its component."""

    # ---- life

    def start(self) -> None:
        """Run ``process_live()`` in a task of its own. It holds no place in flight."""
        self._task = self.run.scheduler.spawn(self._live(), name=self.processor)

    async def _live(self) -> None:
        run = self.run
        enter(ComponentContext(self.site, self.site.frame, self.handlers, live_operator=True))
        await run.drain_live(self.key)
        await run.deleted(self.key)
        run.controllers[self.key] = self
        run.running.more()
        error: BaseException | None = None
        operator = LiveComponentOperator(self)
        try:
            if self._told_to_end or run.stopping:
                raise StoppedError(f"live component {format_path(self.path)} was not started")
            if run.version(self.key):
                self._record = load_record(run, self.key)
            if self._record is None:
                record = ComponentRecord(owner=self.owner, processor=self.processor)
                run.put_record(self.key, record)
            self._phase = "running"
            if run.probing:
                run.probe.event("live.start", self.path, live=run.live)
            self._instance = self._cls(*self._args, **self._kwargs)
            await self._instance.process_live(operator)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as exc:  # noqa: BLE001 - reported once, unless we asked for it
            error = exc
        finally:
            self._phase = "ending"
        if run.probing:
            run.probe.event("live.return", self.path, error=error)
        await self._end(error)

    async def _end(self, failure: BaseException | None) -> None:
        run = self.run
        error: BaseException | None = None
        try:
            await self._reached(self._last_seq())
            if failure is not None and self._asked_for(failure):
                # mark_ready() in a ``finally`` block ends the component by a cancellation, which would hide
                # the exception that led there.
                failure = failure.__context__ if self._caught_up else None
                if isinstance(failure, run.scheduler.cancelled):
                    failure = None
            if failure is not None:
                self.failed = True
                error = await self.report(failure, kind="process_live")
            elif run.stopping and not self.ready.is_resolved:
                error = StoppedError(f"live component {format_path(self.path)} was cancelled")
        finally:
            self._phase = "ended"
            del run.controllers[self.key]
            self._become_ready(error)
            if run.probing:
                run.probe.event("live.end", self.path, failure=failure if self.failed else None)
            self.ended.resolve()
            run.running.less()

    def _asked_for(self, failure: BaseException) -> bool:
        """Whether this is the end that we brought about."""
        if not (self._caught_up or self._told_to_end or self.run.stopping):
            return False
        if isinstance(failure, (self.run.scheduler.cancelled, StoppedError)):
            return True
        return isinstance(failure, BaseExceptionGroup) and not failure.split(self.run.scheduler.cancelled)[1]

    def stop(self) -> None:
        """The update was cancelled: start nothing queued, interrupt ``process_live()``."""
        self.run.scheduler.touch(self._machine, write=True)
        self._carry_out(self._machine.drop_queued())
        self._interrupt()

    def _interrupt(self) -> None:
        if self._told_to_end or self._caught_up:
            return  # It is on its way; a second cancellation would cut its clean-up short.
        self._told_to_end = True
        if self._phase == "running" and self._task is not None:
            self.run.scheduler.cancel(self._task)

    async def drain(self) -> None:
        """End ``process_live()``, let every operation invoked so far complete, and wait for that."""
        self._interrupt()
        await self.ended.wait()

    # ---- readiness

    def _become_ready(self, error: BaseException | None) -> None:
        if self.ready.resolve(error):
            if self.run.probing:
                self.run.probe.event("ready", self.path)
            self.on_ready(self)

    async def mark_ready(self) -> None:
        """See the operator."""
        scheduler = self.run.scheduler
        task = scheduler.current()
        if self._caught_up and task is self._task:
            return  # Called again while the component unwinds.
        if not self._caught_up:
            if self.run.probing:
                self.run.probe.event("mark_ready", self.path, last=self._last_seq())
            await self._reached(self._last_seq())
            self._become_ready(None)
            if self.run.live or self._phase != "running":
                return
            self._caught_up = True
            assert self._task is not None, "nobody could call this before the start"
            scheduler.cancel(self._task)
        # A helper task of the component may be the one that called: it must end as well, and now, because
        # the component may wait for it.
        if task is not self._task:
            scheduler.cancel(task)
        while True:
            await scheduler.park(self)

    async def _reached(self, seq: int) -> None:
        """Wait until every operation up to ``seq`` has ended."""
        task = self.run.scheduler.current()
        while self._watermark() < seq:
            self._watchers[task] = seq
            try:
                await self.run.scheduler.park(self)
            finally:
                self._watchers.pop(task, None)

    def _watermark(self) -> int:
        self.run.scheduler.touch(self._machine, write=False)
        return self._machine.watermark

    def _last_seq(self) -> int:
        self.run.scheduler.touch(self._machine, write=False)
        return self._machine.last_seq

    # ---- operations

    def attached(self, *, ending_too: bool = False) -> LiveController:
        """This controller, if its ``process_live()`` still runs.

        Raises:
            RuntimeError: it has ended, or has caught up.
        """
        if self._phase != "running" or (self._caught_up and not ending_too):
            raise RuntimeError(
                f"the operator of {format_path(self.path)} is used after its process_live() ended"
            )
        return self

    async def report(self, exc: BaseException, *, kind: MountKind = "process_live") -> BaseException | None:
        """Tell the handlers of a failure of this component; returns what escapes them."""
        self.run.stats.count(self.processor, "num_execution_starts", "num_errors")
        context = current_or_none()
        handlers = context.handlers if context is not None and context.cycle is self.site else self.handlers
        return await report_failure(
            exc,
            handlers,
            env_name=self.run.env_name,
            path=self.path,
            processor=self.processor,
            kind=kind,
            parent=self.path[: self.owner],
        )

    def invoke(self, kind: Kind, sub: Path | None, call: Call) -> Call:
        """Give an operation its place in the order, and start what may start."""
        if sub is not None and len(self.path) + len(sub) > DEPTH_MAX:
            raise ValueError(f"a path has at most {DEPTH_MAX} keys: {format_path(self.path + sub)}")
        self.run.scheduler.touch(self._machine, write=True)
        op, outcomes = self._machine.invoke(kind, sub, call)
        if self.run.probing:
            self.run.probe.event("operation", self.path, kind=kind.value, sub=sub, seq=op.seq)
        self._carry_out(outcomes)
        return call

    def _carry_out(self, outcomes: tuple[Outcome, ...]) -> None:
        for outcome in outcomes:
            if self.run.probing:
                tell_outcome(self.run, self.path, outcome)
            match outcome:
                case Start(op):
                    if op.kind is Kind.FULL:
                        self._start_full(op)
                    elif op.kind is Kind.UPDATE:
                        self._start_update(op)
                    else:
                        self._leaves.clear()
                        self.run.limiter.start(_Deletion(self, op))
                case Replaced(op, by):
                    replaced, successor = _call_of(op), _call_of(by)
                    successor.followers += [replaced, *replaced.followers]
                    replaced.followers = []
                case Dropped(op):
                    _call_of(op).resolve(
                        StoppedError(f"{_call_of(op)!r} of {format_path(self.path)} was not started: cancelled")
                    )
        self._wake_watchers()

    def _rank(self, op: Operation) -> Rank:
        """Where what this operation runs stands in the order of operations."""
        return (*self.rank, (self.key, op.seq))

    def finished(self, op: Operation, error: BaseException | None) -> None:
        """An operation has ended: who waits for it first, then what may start now."""
        if self.run.probing:
            self.run.probe.event("operation.end", self.path, seq=op.seq, error=error)
        _call_of(op).resolve(error)
        if self._machine.somebody_waits:
            self.run.scheduler.touch(self._machine, write=True)
        else:  # then who ends first makes no difference to others who end
            self.run.scheduler.contribute(self._machine)
        self._carry_out(self._machine.done(op))
        if self._machine.idle:
            self.run.forget_ranks(self.key)

    def _wake_watchers(self) -> None:
        if self._watchers:
            reached = self._watermark()
            for task, seq in self._watchers.items():
                if reached >= seq:
                    self.run.scheduler.unpark(task)

    def _start_full(self, op: Operation) -> None:
        try:
            # First of all: if the store can't be read, what is known of the children stands.
            record = load_record(self.run, self.key)
        except Exception as exc:  # noqa: BLE001 - the operation has failed, and the next one must start
            self.run.scheduler.spawn(self._failed_to_start(op, exc), name="liveproof: failure")
            return
        run = self.run
        self._below.clear()
        self.stale.clear()
        self._leaves.clear()
        first, self._first_rival = self._first_rival, None

        def full_ended(cycle: Cycle) -> None:
            failed = cycle.failed_below or {}
            self.stale |= failed
            if cycle.failure is None and not failed:
                self._scanned = op.seq
            else:
                # It may have collected nothing, and yet what it mounted is newer than what came before; unless
                # that has failed, and so is what it was.
                good = [key for key in cycle.mounted if key not in failed]
                self._below.update(dict.fromkeys((key[len(self.key) :] for key in good), op.seq))
            self.finished(op, cycle.ready.error)

        cycle = Cycle(
            run,
            self.path,
            self.key,
            self.owner,
            self._instance.process,
            (),
            {},
            kind=self.kind,
            handlers=_call_of(op).handlers,
            # Within the app's first full cycle nobody may declare what another one has; later ones stand
            # for themselves.
            rival={} if first is None else first,
            rank=self._rank(op),
            on_end=full_ended,
            record=record,
        )
        cycle.processor = self.processor
        cycle.existed, self._existed = self._existed, True
        cycle.refuses_use_mount = True
        run.limiter.start(cycle)

    def _start_update(self, op: Operation) -> None:
        try:
            self._try_start_update(op)
        except Exception as exc:  # noqa: BLE001 - as above
            self.run.scheduler.spawn(self._failed_to_start(op, exc), name="liveproof: failure")

    async def _failed_to_start(self, op: Operation, exc: Exception) -> None:
        call = _call_of(op)
        if call.sub is None:  # A full update is a cycle of this component itself.
            path, parent, processor, kind = self.path, self.path[: self.owner], self.processor, self.kind
        else:
            assert call.fn is not None, "an update has a function"
            path, parent, processor, kind = self.path + call.sub, self.path, display_name(call.fn), "mount"
        self.run.stats.count(processor, "num_execution_starts", "num_errors")
        error: BaseException | None = exc
        try:
            error = await report_failure(
                exc,
                call.handlers,
                env_name=self.run.env_name,
                path=path,
                processor=processor,
                kind=kind,
                parent=parent,
            )
        finally:
            self.finished(op, error)

    def _try_start_update(self, op: Operation) -> None:
        run = self.run
        call = _call_of(op)
        assert call.fn is not None, "an update has a function"
        assert call.sub is not None, "an update has a sub-path"
        key = self.key + op.key
        record = None if run.version(key) else self._leaves.pop(key)
        known: dict[bytes, bytes] | None = {}
        if record is None:
            record, known = _look_up(run, key, len(self.path) + len(call.sub))
        if is_live_component_class(call.fn):
            assert isinstance(call.fn, type), "a class"
            child: LiveController | Cycle = LiveController(
                run,
                self.path + call.sub,
                key,
                len(self.path),
                call.fn,
                call.args,
                call.kwargs,
                kind="mount",
                handlers=call.handlers,
                rival={},
                rank=self._rank(op),
                on_ready=lambda live: self._applied(
                    op, live.key, live.ready.error, good=not live.failed, failed=live.stale
                ),
                record=record,
            )
        else:
            child = Cycle(
                run,
                self.path + call.sub,
                key,
                len(self.path),
                call.fn,
                call.args,
                call.kwargs,
                kind="mount",
                handlers=call.handlers,
                rival={},
                rank=self._rank(op),
                on_end=lambda cycle: self._updated(op, cycle),
                record=record,
            )
            child.known = known
            child.prepare_memo()
            if child.remembered and not child.has_states and not run.is_busy(key):
                child.carry_over()
                self._updated(op, child)
                return
        if isinstance(child, Cycle):
            run.limiter.start(child)
        else:
            child.start()

    def _updated(self, op: Operation, cycle: Cycle) -> None:
        if cycle.failure is None and not cycle.mounted and not cycle.known and cycle.record is not None:
            self._leaves.put(cycle.key, cycle.record)
        failed = cycle.failed_below or {}
        self._applied(op, cycle.key, cycle.ready.error, good=cycle.failure is None, failed=failed)

    def _applied(
        self,
        op: Operation,
        key: bytes,
        error: BaseException | None,
        *,
        good: bool,
        failed: Mapping[bytes, None],
    ) -> None:
        """An update has run. If a deletion of the same sub-path was replaced by it, what that would have
        deleted below has to go now (see the argument in operations.py), also where something has ``failed``, and
        so is what it was. If the update itself failed, both did."""
        call = _call_of(op)
        assert call.sub is not None, "an update has a sub-path"
        if good and len(call.sub) > 1:
            self._below[key[len(self.key) :]] = op.seq
        absorbed = op.absorbed_delete
        if absorbed is None or not good or self._scanned > absorbed or self.run.stopping:
            self._note_stale(key, failed, good=good)
            self.finished(op, error)
        else:
            doomed = {each: None for each in failed if not self._is_newer(each, absorbed, op)}
            self._note_stale(key, failed, good=good)
            self.run.scheduler.spawn(
                self._delete_below(op, absorbed, key, error, doomed), name="liveproof: delete"
            )

    def _note_stale(self, key: bytes, failed: Mapping[bytes, None], *, good: bool) -> None:
        """A component has run here: it and all below it are new, but for what has failed."""
        if not good:
            self.stale[key] = None
            return
        for each in [each for each in self.stale if each.startswith(key)]:
            del self.stale[each]
        if failed:
            self.stale.update(failed)

    def _is_newer(self, key: bytes, seq: int, op: Operation) -> bool:
        """Whether what a component below ``op`` is was made by an operation after that deletion."""
        below = key[len(self.key) :]
        return key not in self.stale and any(
            below.startswith(above) and seq < at < op.seq for above, at in self._below.items()
        )

    async def _delete_below(
        self, op: Operation, absorbed: int, above: bytes, error: BaseException | None, doomed: Mapping[bytes, None]
    ) -> None:
        depth = len(self.path)
        self._leaves.clear()
        try:
            for key, row in await self.run.ledger.components_gently(above):
                mounted_here = owner_of(row) == depth and key != above
                if key in doomed or (mounted_here and self._below.get(key[len(self.key) :], 0) < absorbed):
                    raised, _ = await delete_reported(
                        self.run, key, _call_of(op).handlers, owner=owner_of(row)
                    )
                    error = error or raised
        except Exception as exc:  # noqa: BLE001 - a store that can't be read, say
            error = error or await self.report(exc, kind="delete_background")
        finally:
            self.finished(op, error)

    def __repr__(self) -> str:
        return f"<live component {format_path(self.path)} ({self.processor}), {self._phase}>"


class _Deletion:
    """A ``delete`` that runs."""

    __slots__ = ("_controller", "_op")

    def __init__(self, controller: LiveController, op: Operation) -> None:
        self._controller = controller
        self._op = op

    def start(self) -> None:
        """Begin; a place in flight is held."""
        self._controller.run.scheduler.spawn(self._delete(), name="liveproof: delete")

    def refuse(self) -> None:
        """The run is over: it will not happen."""
        where = format_path(self._controller.path)
        self._controller.finished(self._op, StoppedError(f"{_call_of(self._op)!r} of {where} was not started"))

    async def _delete(self) -> None:
        controller = self._controller
        run = controller.run
        call = _call_of(self._op)
        assert call.sub is not None, "a deletion has a sub-path"
        error: BaseException | None = None
        key = controller.key + encode_path(call.sub)
        try:
            if run.controllers:
                # What is live below needs places to come to its end.
                run.limiter.release()
                try:
                    await run.drain_live_below(key)
                finally:
                    await run.limiter.reacquire()
            error, _ = await delete_reported(run, key, call.handlers, owner=None)
        except Exception as exc:  # noqa: BLE001 - a store that can't be read, say
            error = await controller.report(exc, kind="delete_background")
        finally:
            run.limiter.release()
            controller.finished(self._op, error)


def _look_up(
    run: Run, key: bytes, depth: int
) -> tuple[ComponentRecord | None, dict[bytes, bytes] | None]:
    """What is known of a component, and of its children unless they are many."""
    rows = run.ledger.components_few(key)
    if rows is None:
        return load_record(run, key), None
    record = decode_record(rows[0][1]) if rows and rows[0][0] == key else None
    return record, {row_key: row for row_key, row in rows if row_key != key and owner_of(row) == depth}


def _call_of(op: Operation) -> Call:
    assert isinstance(op.payload, Call), "an operation of ours"
    return op.payload
