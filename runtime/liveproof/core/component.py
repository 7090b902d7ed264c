"""One path, one cycle: process → wait for the children → submit → collect → ready.

A :class:`Cycle` is one run of one component's function. It is where the parts meet: the function's
context, what it declared and mounted, what the store remembers of it, and who is told in the end.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from liveproof.abc.store import Table
from liveproof.core.conclusion import conclude
from liveproof.core.context import CallFrame, ComponentContext, HandlerChain, MountKind, display_name, enter
from liveproof.core.countdown import Countdown
from liveproof.core.drawer import MemoDrawer
from liveproof.core.failures import report_failure
from liveproof.core.fingerprint import StateFn
from liveproof.core.function import Function
from liveproof.core.logic import logic_of_callable
from liveproof.core.memo import MemoEntry, check_states
from liveproof.core.paths import Path, decode_path, format_path
from liveproof.core.place import Place
from liveproof.core.ranks import Rank
from liveproof.core.readiness import Readiness
from liveproof.core.records import ComponentRecord, decode_record, owner_of
from liveproof.core.targets import Declaration, TargetState
from liveproof.core.telling import tell_end, tell_start
from liveproof.errors import StoppedError

if TYPE_CHECKING:
    from liveproof.abc.scheduler import Task
    from liveproof.core.live import LiveController
    from liveproof.core.run import Run

__all__ = ["Cycle", "Ended"]

Ended = Callable[["Cycle"], None]
"""Told, once, when a cycle has ended, however it did."""


# Most components mount nothing and retain nothing; an empty mapping of their own would be half of what
# they weigh.
_NONE: Mapping[bytes, None] = MappingProxyType({})
_NOWHERE: Mapping[bytes, str] = MappingProxyType({})
_NOTHING: Mapping[bytes, Declaration] = MappingProxyType({})


def _nobody(_cycle: Cycle) -> None:
    """For a cycle whose owner waits for it in another way."""


class Cycle:
    """One run of a component's function, from its mount to its end."""

    __slots__ = (
        "_children",
        "_declared",
        "_drawer",
        "_memo_key",
        "_mounted",
        "_new_states",
        "_states",
        "_version",
        "args",
        "carried_over",
        "critical",
        "declared",
        "existed",
        "failed_below",
        "failure",
        "fn",
        "frame",
        "handlers",
        "is_open",
        "key",
        "kind",
        "known",
        "kwargs",
        "memoizing",
        "mounted",
        "on_end",
        "owner",
        "parent_path",
        "path",
        "place",
        "processor",
        "rank",
        "ready",
        "record",
        "refuses_use_mount",
        "result",
        "retained",
        "rival",
        "run",
        "spoiled",
        "started",
        "strangers_below",
        "task",
        "with_children",
    )

    def __init__(
        self,
        run: Run,
        path: Path,
        key: bytes,
        owner: int,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        kind: MountKind,
        critical: bool = False,
        handlers: HandlerChain | None,
        rival: dict[bytes, bool],
        rank: Rank = (),
        on_end: Ended = _nobody,
        record: ComponentRecord | None = None,
        memoizing: bool = False,
    ) -> None:
        self.run = run
        self.path = path
        self.key = key
        self.owner = owner
        self.fn = fn
        self.args = args
        self.kwargs = kwargs
        self.kind = kind
        self.critical = critical
        """Whether somebody waits for the result, and so gets a failure itself, instead of the handlers."""
        self.handlers = handlers
        self.rival = rival
        """Components that have completed in the same top-level cycle → whether they were carried over."""
        self.rank = rank
        self.on_end = on_end
        self.existed = record is not None
        """Whether an earlier cycle had begun here."""
        self.record = record
        """What the store remembers from the last cycle."""
        self.memoizing = memoizing
        """Whether this component or one above it is memoized, so that what it uses must be noted."""
        self.processor = display_name(fn)
        self._begin()

    def _begin(self) -> None:
        """Everything that the cycle finds out by itself."""
        run, path, owner = self.run, self.path, self.owner
        self.ready = Readiness(run.scheduler, self)
        self.parent_path: Path | None = path[:owner] if path else None
        self.task: Task | None = None
        self.place = Place(run)
        self.is_open = False
        """Whether the function runs: only then may it declare and mount."""
        self.refuses_use_mount = False
        """Whether this is the ``process()`` of a live component."""
        self.result: Any = None
        self.failure: BaseException | None = None
        self.started = False
        self.carried_over = False
        """Whether this cycle ended without running, because its last outcome stands."""
        self._declared: dict[bytes, Declaration] | None = None
        self.declared: Mapping[bytes, Declaration] = _NOTHING
        self.retained: Mapping[bytes, None] = _NONE
        """Target states that a memoized call declared in an earlier cycle."""
        self._mounted: dict[bytes, str] | None = None
        self.mounted: Mapping[bytes, str] = _NOWHERE
        """Children mounted in this cycle → where in the source."""
        self.known: dict[bytes, bytes] | None = None
        """Children that earlier cycles mounted, encoded; ``None`` until somebody asks."""
        self.with_children: Mapping[bytes, None] = _NONE
        """Those of ``known`` with any component below (complete once ``known`` is there)."""
        self.strangers_below = False
        """Whether the store has components below this one that others than it mounted."""
        self.spoiled = False
        """Whether something below failed or is live, so that the outcome must not be remembered."""
        self.failed_below: dict[bytes, None] | None = None
        """Children mounted in this cycle that have failed, if any."""
        self.frame = CallFrame()
        self._children: Countdown | None = None
        self._memo_key: bytes | None = None
        self._states: Sequence[StateFn] = ()
        self._drawer: MemoDrawer | None = None
        self._new_states: Sequence[bytes] = ()
        self._version = run.version(self.key)
        """That of ``record``."""

    # ---- what the running function may do

    def declare(self, target_state: TargetState[Any], frame: CallFrame) -> Declaration:
        """Declare a target state in this cycle."""
        self.require_open("declare_target_state()")
        if target_state.key in self.declared or target_state.key in self.retained:
            raise self._twice(target_state.path)
        level = target_state.provider._level
        if level.handler is None and level.owner != self.key:
            raise RuntimeError(
                f"the container {format_path(target_state.provider.path)} is not applied yet: get its provider "
                "from mount_target()"
            )
        if self._declared is None:
            self.declared = self._declared = {}
        declaration = self._declared[target_state.key] = Declaration(target_state)
        link: CallFrame | None = frame
        while link is not None and link.outer is not None:
            link.targets.append(target_state.key)
            link = link.outer
        return declaration

    def _twice(self, target: Path) -> ValueError:
        where = format_path(self.path)
        return ValueError(
            f"target state {format_path(target)} is declared twice in one cycle: by {where} and by {where}"
        )

    def require_open(self, api: str) -> None:
        """Raise ``RuntimeError`` unless the function is running."""
        if not self.is_open:
            raise RuntimeError(
                f"{api}: component {format_path(self.path)} has ended; what it started must be awaited before "
                "its function returns"
            )

    async def report(self, exc: BaseException) -> BaseException | None:
        """Route a failure that does not end the component to the exception handlers."""
        self.run.stats.count(self.processor, "num_execution_starts")
        return await self._report(exc)

    async def _report(self, exc: BaseException) -> BaseException | None:
        self.run.stats.count(self.processor, "num_errors")
        return await report_failure(
            exc,
            self.handlers,
            env_name=self.run.env_name,
            path=self.path,
            processor=self.processor,
            kind=self.kind,
            parent=self.parent_path,
        )

    # memoized calls (core/function.py: MemoSite)

    def fingerprints_live(self, fingerprints: Sequence[bytes]) -> bool:
        """Whether everything a memo depended on is as it was."""
        return self.run.fingerprints_live(fingerprints)

    def _memos(self) -> MemoDrawer:
        if self._drawer is None:
            self._reread()
            self._drawer = MemoDrawer(self.run.ledger, self.key, self.record)
        return self._drawer

    def memo_get(self, key: bytes) -> MemoEntry | None:
        """What an equal call in this component came to."""
        return self._memos().get(key, of_this_cycle=self.run.full_reprocess)

    def memo_put(self, key: bytes, entry: MemoEntry) -> None:
        """Remember a call, if this cycle succeeds."""
        self._memos().put(key, entry)

    def retain_targets(self, targets: Sequence[bytes]) -> None:
        """Keep target states that a remembered call declared."""
        drawer = self._memos()
        for key in targets:
            if key in self.declared and key not in drawer.declared:
                raise self._twice(decode_path(key))
        self.retained = {**self.retained, **dict.fromkeys(key for key in targets if key not in self.declared)}

    # ---- the record

    def _load(self) -> ComponentRecord | None:
        self._version = self.run.version(self.key)
        self.record = load_record(self.run, self.key)
        return self.record

    def _reread(self) -> None:
        """Read the record again if somebody else has changed it since."""
        if self.run.version(self.key) != self._version:
            self._load()

    # ---- waiting for others

    async def wait_for(self, ready: Readiness) -> None:
        """Wait for another component without holding a place."""
        if ready.is_resolved or not self.is_open:
            await ready.wait()
            return
        async with self.place.given_up():
            await ready.wait()

    # ---- children

    async def children_known(self) -> dict[bytes, bytes]:
        """The children that earlier cycles mounted, by key."""
        known = self.known
        if known is None:
            rows = await self.run.ledger.components_gently(self.key)
            if self.known is not None:
                return self.known
            depth = len(self.path)
            own = self.key
            known = {}
            above: list[bytes] = []
            with_children: dict[bytes, None] = {}
            for key, row in rows:
                if key == own:
                    continue
                while above and not key.startswith(above[-1]):
                    above.pop()
                with_children.update(dict.fromkeys(above))
                if owner_of(row) == depth:
                    known[key] = row
                    above.append(key)
                else:
                    self.strangers_below = True
            self.with_children = with_children
            self.known = known
        return known

    def childless(self, key: bytes) -> bool:
        """Whether a child of ``known`` had no children itself when this cycle began."""
        assert self.known is not None, "asked for before"
        return key in self.known and key not in self.with_children

    def note_mount(self, key: bytes, site: str) -> None:
        """Remember that a child was mounted in this cycle, and where in the source."""
        if self._mounted is None:
            self.mounted = self._mounted = {}
        self._mounted[key] = site

    def child_started(self) -> None:
        """A child that has not ended yet has been mounted."""
        if self._children is None:
            self._children = Countdown(self.run.scheduler)
        self._children.more()

    def child_ended(self, child: Cycle) -> None:
        """Told by each child, once."""
        if child.spoiled:
            self.spoiled = True
            for key in (child.key,) if child.failure is not None else child.failed_below or ():
                self._note_failed(key)
        if self.memoizing:
            self.frame.uses.update(child.frame.uses)
        self.child_ready(child)

    def live_child_ready(self, child: LiveController) -> None:
        """Told by each live child, once."""
        for key in (child.key,) if child.failed else child.stale:
            self._note_failed(key)
        self.child_ready(child)

    def _note_failed(self, key: bytes) -> None:
        if self.failed_below is None:
            self.failed_below = {}
        self.failed_below[key] = None

    def child_ready(self, _child: object) -> None:
        """A child that was started need not be waited for any longer."""
        assert self._children is not None, "it was not started"
        self._children.less()

    async def _children_end(self) -> None:
        wait = None if self._children is None else self.run.scheduler.through(self._children, on=self)
        if wait is not None:
            async with self.place.given_up():
                await wait

    def ensure_row(self) -> None:
        """Let the store know of this component before it knows of a child: a collection finds children by
        their parents' rows, and writes keep their order."""
        if self.record is None:
            self.record = ComponentRecord(owner=self.owner, processor=self.processor)
        elif self.record.memo is not None:
            # From the first child on, what is below is no longer what the memo stands for; and this cycle may
            # never come to its end.
            self.record.memo = None
        else:
            return
        self.run.put_record(self.key, self.record)

    # ---- memo of the whole component

    def prepare_memo(self) -> None:
        """Find out what call this is, if it is a memoized one, and note the logic that it uses."""
        fn = self.fn
        if not isinstance(fn, Function):
            if self.memoizing:
                self.frame.uses[logic_of_callable(fn)] = None
            return
        if fn.tracking is not None:
            self.frame.uses[fn.logic] = None
        if fn.memo:
            self.memoizing = True
            states: list[StateFn] = []
            self._memo_key = fn.call_key(self.args, self.kwargs, states)
            self._states = states

    @property
    def remembered(self) -> bool:
        """Whether the last cycle was the same call under the same conditions. Its outcome stands, unless
        memo states say otherwise."""
        record = self.record
        return (
            self._memo_key is not None
            and record is not None
            and record.memo == self._memo_key
            and len(record.states) == len(self._states)
            and not self.run.full_reprocess
            and self.run.fingerprints_live(record.uses)
        )

    @property
    def has_states(self) -> bool:
        """Whether arguments have memo states to ask."""
        return bool(self._states)

    def carry_over(self) -> None:
        """End without running: everything stays as the last cycle left it."""
        record = self.record
        assert record is not None, "nothing to carry over"
        self.carried_over = True
        self.frame.uses.update(dict.fromkeys(record.uses))
        if record.owner != self.owner:
            record.owner = self.owner
            self.run.put_record(self.key, record)
        if not self.started:
            self.run.stats.count(self.processor, "num_execution_starts")
        self.run.stats.count(self.processor, "num_unchanged")
        self.rival[self.key] = True

    async def _states_good(self) -> bool:
        """Ask the memo states, before the function looks at what they stand for."""
        record = self.record
        remembered = self.remembered
        stored = record.states if remembered and record is not None else []
        valid, new_states = await check_states(self._states, stored)
        self._new_states = new_states
        if not remembered or not valid:
            return False
        assert record is not None, "remembered"
        if new_states != record.states:
            record.states = new_states
            self.run.put_record(self.key, record)
        return True

    # ---- life

    def start(self) -> None:
        """Begin; a place in flight is held."""
        self.run.cycles[self] = None
        self.run.running.more()
        self.started = True
        self.task = self.run.scheduler.spawn(self._live_through(), name=self.processor)

    def refuse(self) -> None:
        """The run is over: end without having begun."""
        self.place.taken = False
        self.failure = StoppedError(f"component {format_path(self.path)} was not started: the update was cancelled")
        self.spoiled = True
        self.ready.resolve(self.failure)
        self.on_end(self)

    def interrupt(self) -> None:
        """Cancel the function, if it is running. A submission that has begun is left to finish."""
        if self.is_open and self.task is not None:
            self.run.scheduler.cancel(self.task)

    async def _live_through(self) -> None:
        error: BaseException | None = None
        try:
            await self.perform()
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as exc:  # noqa: BLE001 - reported below, exactly once
            self.failure = exc
            self.spoiled = True
            error = await self._failed(exc)
        finally:
            self._end(error)

    async def _failed(self, exc: BaseException) -> BaseException | None:
        """What ``ready()`` raises."""
        run = self.run
        if run.stopping and isinstance(exc, (run.scheduler.cancelled, StoppedError)):
            self.failure = StoppedError(f"component {format_path(self.path)} was cancelled")
            return self.failure
        if self.critical:
            run.stats.count(self.processor, "num_errors")
            return exc
        return await self._report(exc)

    def _end(self, error: BaseException | None) -> None:
        run = self.run
        run.cycles.pop(self, None)
        self.is_open = False
        self.task = None  # The task's context leads back here; without the loop, no garbage is left.
        self.place.leave()
        if run.probing:
            tell_end(self)
        self.ready.resolve(error)
        self.on_end(self)
        run.running.less()

    async def perform(self) -> None:
        """The cycle proper. Raises what the function, a submission or a collection raised."""
        run = self.run
        enter(ComponentContext(self, self.frame, self.handlers))
        run.stats.count(self.processor, "num_execution_starts")
        if not self.refuses_use_mount and (run.is_busy(self.key)):
            await self._take_place()
        self._reread()
        if self._states and await self._states_good():
            self.carry_over()
            return
        failure: BaseException | None = None
        self.is_open = True
        try:
            if run.stopping:
                raise StoppedError(f"component {format_path(self.path)} was not started: the update was cancelled")
            if run.probing:
                tell_start(self)
            self.result = await self._call()
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as exc:  # noqa: BLE001 - raised again below, when the children have ended
            failure = exc
        self.is_open = False
        if run.probing:
            run.probe.event("cycle.return", self.path, error=failure)
        await self._children_end()
        if failure is not None:
            raise failure
        if run.stopping:
            raise StoppedError(f"component {format_path(self.path)} was cancelled")
        await conclude(self)
        run.stats.count(self.processor, "num_reprocesses" if self.existed else "num_adds")

    async def _take_place(self) -> None:
        """What ran live at this path, or is being deleted there, must have ended first (ORD-6)."""
        run = self.run
        self.is_open = True  # So that it can be interrupted.
        async with self.place.given_up():
            await run.drain_live(self.key)
            if self.key in run.deleting:
                await run.deleted(self.key)
                self._load()
                self.known = None

    async def _call(self) -> Any:
        fn = self.fn
        if isinstance(fn, Function):
            if fn.is_async:
                return await fn.raw(*self.args, **self.kwargs)
            fn = fn.raw
        return await call_function(self.run, fn, self.args, self.kwargs)

    def __repr__(self) -> str:
        return f"<component {format_path(self.path)} ({self.processor})>"


async def call_function(
    run: Run, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Call a function of the application: a sync one off the loop."""
    if inspect.iscoroutinefunction(fn):
        return await fn(*args, **kwargs)
    result = await run.scheduler.run_blocking(_call, fn, args, kwargs)
    return await result if inspect.isawaitable(result) else result


def _call(raw: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return raw(*args, **kwargs)


def load_record(run: Run, key: bytes) -> ComponentRecord | None:
    """What the store remembers of a component."""
    raw = run.ledger.get(Table.COMPONENT, key)
    return None if raw is None else decode_record(raw)
