"""Applying actions: one queue per sink, so that actions of many components share a call, in order."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from liveproof.abc.points import reached
from liveproof.core.context import detach, enter, leave
from liveproof.core.failures import log
from liveproof.core.targets import ChildTargetDef, TargetActionSink

if TYPE_CHECKING:
    from liveproof.abc.scheduler import Scheduler
    from liveproof.core.provider import ContextProvider

__all__ = ["Settler", "SinkQueue", "Sinks", "Ticket"]


class Ticket:
    """Actions of one component for one sink: the unit that succeeds or fails."""

    __slots__ = ("actions", "children", "done", "error", "sink")

    def __init__(
        self, sink: TargetActionSink[Any, Any], actions: list[Any], done: Callable[[Ticket], None]
    ) -> None:
        self.sink = sink
        self.actions = actions
        self.done = done
        self.error: BaseException | None = None
        self.children: list[ChildTargetDef[Any] | None] | None = None
        """What a container sink returned, an entry per action."""


class SinkQueue:
    """The actions for one sink: applied one batch at a time, in the order they came."""

    __slots__ = ("_busy", "_provider", "_scheduler", "_sink", "_waiting")

    def __init__(
        self, scheduler: Scheduler, provider: ContextProvider, sink: TargetActionSink[Any, Any]
    ) -> None:
        self._scheduler = scheduler
        self._provider = provider
        self._sink = sink
        self._waiting: list[Ticket] = []
        self._busy = False

    def add(self, ticket: Ticket) -> None:
        """Apply the ticket's actions, after all earlier ones; then ``ticket.done(ticket)``."""
        self._waiting.append(ticket)
        if not self._busy:
            self._busy = True
            # The task starts only after the caller has yielded, so that everything that became
            # durable in the same flush is in its first batch.
            self._scheduler.spawn(self._serve(), name="liveproof: sink")

    async def apply_now(self, ticket: Ticket) -> bool:
        """Apply the ticket in the calling task, if nothing else is being applied. Returns False, having done
        nothing, otherwise."""
        if self._busy:
            return False
        self._busy = True
        token = enter(None)
        try:
            await self._apply_one(ticket)
        finally:
            leave(token)
            self._busy = False
            if self._waiting:
                self._busy = True
                self._scheduler.spawn(self._serve(), name="liveproof: sink")
        return True

    async def _serve(self) -> None:
        detach()
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, []
                await self._apply(batch)
                for ticket in batch:
                    ticket.done(ticket)
        finally:
            self._busy = False

    async def _apply(self, batch: list[Ticket]) -> None:
        if len(batch) == 1:
            await self._apply_one(batch[0])
            return
        actions = [action for ticket in batch for action in ticket.actions]
        try:
            results = await self._call(actions)
        except (KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except BaseException as exc:  # noqa: BLE001 - each ticket is tried on its own
            # One bad action must not fail its neighbours (FAIL-1); actions are idempotent.
            log.debug("a batch of %d actions failed (%r): applying its parts one by one", len(actions), exc)
            reached("sinks.one-by-one")
            for ticket in batch:
                await self._apply_one(ticket)
            return
        if results is not None:
            at = 0
            for ticket in batch:
                ticket.children = results[at : at + len(ticket.actions)]
                at += len(ticket.actions)

    async def _apply_one(self, ticket: Ticket) -> None:
        try:
            ticket.children = await self._call(ticket.actions)
        except (KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except BaseException as exc:  # noqa: BLE001 - the ticket's owner reports it
            ticket.error = exc

    async def _call(self, actions: list[Any]) -> list[ChildTargetDef[Any] | None] | None:
        sink = self._sink
        if sink.is_async:
            results = await sink.fn(self._provider, actions)
        else:
            results = await self._scheduler.run_blocking(sink.fn, self._provider, actions)
        if results is None:
            return None
        results = list(results)
        if len(results) != len(actions):
            raise ValueError(
                f"sink {sink.fn!r} returned {len(results)} results for {len(actions)} actions: return one "
                "ChildTargetDef or None per action, or None"
            )
        return results

    def __repr__(self) -> str:
        return f"<sink {getattr(self._sink.fn, '__qualname__', self._sink.fn)!s}>"


class Sinks:
    """The queues of all sinks in use."""

    def __init__(self, scheduler: Scheduler, provider: ContextProvider) -> None:
        self._scheduler = scheduler
        self._provider = provider
        self._queues: dict[Callable[..., Any], SinkQueue] = {}

    def queue(self, sink: TargetActionSink[Any, Any]) -> SinkQueue:
        """The queue of a sink; equal functions share one."""
        queue = self._queues.get(sink.fn)
        if queue is None:
            queue = SinkQueue(self._scheduler, self._provider, sink)
            self._queues[sink.fn] = queue
        return queue


_Applied: TypeAlias = list[tuple[TargetActionSink[Any, Any], list[Any]]]


class Settler:
    """Makes applied actions durable in the background, many at once, and then lets their commits go."""

    def __init__(self, scheduler: Scheduler, provider: ContextProvider) -> None:
        self._scheduler = scheduler
        self._provider = provider
        self._waiting: list[tuple[_Applied, Callable[[bool], None]]] = []
        self._busy = False
        self._drainers: dict[Any, None] = {}
        self._added = 0
        self._served = 0
        self._waiters: dict[Any, int] = {}
        """Who waits for how many to be served."""

    def add(
        self,
        applied: _Applied,
        release: Callable[[bool], None],
    ) -> None:
        """Settle what was ``applied``, then ``release(True)``; ``release(False)`` if that fails."""
        self._added += 1
        self._waiting.append((applied, release))
        if not self._busy:
            self._busy = True
            self._scheduler.spawn(self._serve(), name="liveproof: settle")

    async def _serve(self) -> None:
        detach()
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, []
                by_sink: dict[Any, tuple[TargetActionSink[Any, Any], list[Any]]] = {}
                for applied, _ in batch:
                    for sink, actions in applied:
                        by_sink.setdefault(sink.settle, (sink, []))[1].extend(actions)
                failed: dict[Any, None] = {}
                for sink, actions in by_sink.values():
                    assert sink.settle is not None, "nothing to settle"
                    try:
                        await self._scheduler.run_blocking(sink.settle, self._provider, actions)
                    except Exception:  # noqa: BLE001 - logged, and looked at again by the next run
                        # Not a failure of the component: what it wanted is there. Its commit stays
                        # away, so that the next run looks again.
                        log.exception("could not make the writes of a target durable; they will be repeated")
                        failed[sink.settle] = None
                        reached("settle.failed")
                for applied, release in batch:
                    release(not any(sink.settle in failed for sink, _ in applied))
                self._served += len(batch)
                for task, number in self._waiters.items():
                    if self._served >= number:
                        self._scheduler.unpark(task)
        finally:
            self._busy = False
            for task in self._drainers:
                self._scheduler.unpark(task)

    async def drain(self) -> None:
        """Wait until everything is settled."""
        task = self._scheduler.current()
        while self._busy:
            self._drainers[task] = None
            try:
                await self._scheduler.park(self)
            finally:
                self._drainers.pop(task, None)

    async def catch_up(self) -> None:
        """Wait until everything that was added so far is settled, or has failed to be."""
        task, number = self._scheduler.current(), self._added
        while self._served < number:
            self._waiters[task] = number
            try:
                await self._scheduler.park(self)
            finally:
                self._waiters.pop(task, None)

    def __repr__(self) -> str:
        return "<targets becoming durable>"
