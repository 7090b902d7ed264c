"""One update of an app: what all its components share while it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from liveproof.abc.store import Table
from liveproof.core.context import HandlerChain
from liveproof.core.countdown import Countdown
from liveproof.core.doubts import Doubts
from liveproof.core.limiter import Limiter
from liveproof.core.logic import is_live
from liveproof.core.paths import Path, Symbol, decode_path, encode_key, encode_path, format_path
from liveproof.core.ranks import Ranks
from liveproof.core.records import ComponentRecord, decode_record, encode_record
from liveproof.core.sinks import Settler, Sinks
from liveproof.core.stats import Stats
from liveproof.core.targets import HandlerMissingError, TargetStateProvider, _Level, root_provider

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from liveproof.abc.probe import Probe
    from liveproof.abc.scheduler import Scheduler
    from liveproof.abc.store import Write
    from liveproof.core.component import Cycle
    from liveproof.core.ledger import Ledger
    from liveproof.core.live import LiveController
    from liveproof.core.provider import ContextProvider
    from liveproof.core.readiness import Readiness
    from liveproof.core.records import TargetEntry
    from liveproof.core.targets import TargetActionSink

__all__ = ["Run"]


def _attachments(handler: Any) -> Mapping[str, Any]:
    return handler.attachments() if hasattr(handler, "attachments") else {}


def _any_owner(ledger: Ledger, prefix: bytes) -> bool:
    return bool(ledger.entries(Table.OWNER, prefix, limit=1))


class Run:
    """The state of one ``app.update()``, from its start to the end of its last live component."""

    def __init__(
        self,
        *,
        scheduler: Scheduler,
        ledger: Ledger,
        provider: ContextProvider,
        probe: Probe,
        probing: bool,
        env_name: str,
        app_name: str,
        number: int,
        live: bool,
        full_reprocess: bool,
        capacity: int,
        handlers: HandlerChain | None,
    ) -> None:
        self.scheduler = scheduler
        self.ledger = ledger
        self.provider = provider
        self.probe = probe
        self.probing = probing
        """Whether anybody looks: nothing is prepared for the probe otherwise."""
        self.env_name = env_name
        self.prefix = encode_key(app_name)
        """What all keys of this app begin with, in every table."""
        self.number = number
        """Counts the app's runs for ever: no two runs of one app have the same."""
        self.live = live
        self.full_reprocess = full_reprocess
        self.handlers = handlers
        self.limiter = Limiter(scheduler, capacity)
        self.sinks = Sinks(scheduler, provider)
        self.settler = Settler(scheduler, provider)
        self.settles = ledger.store.blocking
        """Whether targets must survive a power cut before they are recorded as done."""
        self.stats = Stats(scheduler)
        self.doubts = Doubts()
        self.stopping = False
        self.settled = True
        """Whether every commit has reached the store, or will with its next write."""
        self.busy: dict[bytes, Readiness] = {}
        """Target states that a submission is writing now → when it has ended."""
        self._rewritten: dict[bytes, int] = {}
        """Components whose record somebody else has changed, or will have changed → how often."""
        self.ranks = Ranks(scheduler)
        self._owned: dict[bytes, bytes] | None = None if _any_owner(ledger, self.prefix) else {}
        """All owners, if the app had none when the run began: then nobody has to ask the store."""
        self.containers: dict[bytes, TargetStateProvider[Any, Any]] = {}
        """Containers applied in this run, by target key."""
        self.controllers: dict[bytes, LiveController] = {}
        """Live components that run now, by component key."""
        self.deleting: dict[bytes, Readiness] = {}
        """Components that are being deleted now → when that has ended."""
        self.cycles: dict[Cycle, None] = {}
        """Cycles that run now."""
        self.running = Countdown(scheduler)
        """All of these."""
        self._context_fingerprints = dict.fromkeys(provider.fingerprints())

    # ---- keys

    def key_of(self, path: Path) -> bytes:
        """The key of a component."""
        return self.prefix + encode_path(path)

    def path_of(self, key: bytes) -> Path:
        """The path of a component's key."""
        return decode_path(key[len(self.prefix) :])

    def format_key(self, key: bytes) -> str:
        """A component's key, for people."""
        return format_path(self.path_of(key))

    def owner_of_target(self, key: bytes) -> bytes | None:
        """The component that owns a target state."""
        if self._owned is not None:
            return self._owned.get(key)
        return self.ledger.get(Table.OWNER, self.prefix + key)

    def owners_below(self, prefix: bytes) -> list[tuple[bytes, bytes]]:
        """The target states below a container (or root), and who owns them. Linear in their number."""
        if self._owned is not None:
            return [item for item in self._owned.items() if item[0].startswith(prefix)]
        at = len(self.prefix)
        rows = self.ledger.entries(Table.OWNER, self.prefix + prefix)
        return [(key[at:], owner) for key, owner in rows]

    def rows(self, records: Iterable[tuple[bytes, ComponentRecord]]) -> list[Write]:
        """The writes of components' records as they may reach the store now: with what is still in doubt. When
        they have been put, :meth:`show` the records."""
        return [
            (Table.COMPONENT, key, encode_record(self.doubts.applied_to(key, record)))
            for key, record in records
        ]

    def show(self, records: Iterable[tuple[bytes, ComponentRecord]]) -> None:
        """Let reads see these records as they are, and the store, too, once nothing is in doubt."""
        for key, record in records:
            hold = self.doubts.last_hold((key,))
            if hold is not None:
                self.ledger.hold([(Table.COMPONENT, key, encode_record(record))], hold)

    def put_record(self, key: bytes, record: ComponentRecord) -> None:
        """Write the record of a component, some time soon."""
        records = ((key, record),)
        self.ledger.put(self.rows(records))
        self.show(records)

    def commit(
        self,
        writes: list[Write],
        doubtful: Mapping[bytes, Mapping[bytes, TargetEntry]],
        applied: list[tuple[TargetActionSink[Any, Any], list[Any]]],
    ) -> None:
        """Write what components have come to, once what they applied, now or before, is durable.

        Args:
            writes: What to write, with records as they are.
            doubtful: The components → what has to be doubted until then.
            applied: What they have applied that has yet to be settled.
        """
        hold = None if applied else self.doubts.last_hold(doubtful)
        if hold is None and not applied:
            self.ledger.put(writes)
            return
        hold = number = self.ledger.hold(writes, hold)
        for key, entries in doubtful.items():
            self.doubts.add(hold, key, entries)
        if applied:
            self.settler.add(applied, lambda settled: self._release(number, settled=settled))

    def _release(self, hold: int, *, settled: bool) -> None:
        kept, components = self.doubts.released(hold, settled=settled)
        self.ledger.release(hold, keep=kept)
        if not kept:
            self.settled = False
            for key in components:
                self.note_rewritten(key)  # What is known of it is what the intent says.

    def own(self, key: bytes, owner: bytes | None) -> Write:
        """The write that makes ``owner`` the owner of a target state."""
        if self._owned is not None:
            if owner is None:
                self._owned.pop(key, None)
            else:
                self._owned[key] = owner
        return (Table.OWNER, self.prefix + key, owner)

    def version(self, key: bytes) -> int:
        """How often somebody else has changed this component's record: what was read before the last time
        must be read again."""
        return self._rewritten.get(key, 0)

    def note_rewritten(self, key: bytes) -> None:
        """This component's record has been changed by another one."""
        self._rewritten[key] = self._rewritten.get(key, 0) + 1

    def keys_above(self, key: bytes) -> list[bytes]:
        """The keys of all paths above a component, the root first."""
        path = self.path_of(key)
        return [self.key_of(path[:at]) for at in range(len(path))]

    def completed(self, key: bytes, cycle: Mapping[bytes, bool]) -> bool:
        """Whether a component has completed in a cycle: by itself, or below one that was carried over.
        ``cycle`` says of each component that completed whether it was carried over."""
        return key in cycle or any(cycle.get(above, False) for above in self.keys_above(key))

    # ---- memoization

    def fingerprints_live(self, fingerprints: Iterable[bytes]) -> bool:
        """Whether everything a memo depended on is as it was."""
        known = self._context_fingerprints
        return all(is_live(item) or item in known for item in fingerprints)

    # ---- containers

    def provider_of(self, path: Path) -> TargetStateProvider[Any, Any] | None:
        """Who reconciles the target state ``path``, which this run may not have declared.

        Returns ``None`` if the container it was in is gone.

        Raises:
            HandlerMissingError: the handler can't be had in this run.
        """
        provider = root_provider(path[0])
        if provider is None:
            raise HandlerMissingError(
                f"no handler is registered for target states of {path[0]!r}, so {format_path(path)} can not be "
                "removed: import the module that registers it"
            )
        at = 1
        while at < len(path) - 1:
            step = path[at]
            handler: Any = provider._level.handler
            if isinstance(step, Symbol) and step.name in _attachments(handler):
                provider = provider.attachment(step.name)
            else:
                inner = self._container(provider, path[: at + 1])
                if inner is None:
                    return None
                provider = inner
            at += 1
        return provider

    def _container(
        self, outer: TargetStateProvider[Any, Any], path: Path
    ) -> TargetStateProvider[Any, Any] | None:
        key = encode_path(path)
        known = self.containers.get(key)
        if known is not None:
            return known
        owner = self.owner_of_target(key)
        raw = None if owner is None else self.ledger.get(Table.COMPONENT, owner)
        entry = None if raw is None else decode_record(raw).targets.get(key)
        if entry is None:
            return None
        handler: Any = outer._level.handler
        if not hasattr(handler, "child_handler"):
            raise HandlerMissingError(
                f"what is inside {format_path(path)} can not be removed in a run that did not mount it: give "
                f"{type(handler).__name__} a child_handler(context_provider, key)"
            )
        inner: TargetStateProvider[Any, Any] = TargetStateProvider(
            path, _Level(handler.child_handler(self.provider, path[-1]), entry.own, None)
        )
        self.containers[key] = inner
        return inner

    # ---- live components, and deletions

    def forget_ranks(self, controller: bytes) -> None:
        """A live component has no operation left."""
        if self.ranks:
            self.ranks.forget(controller)

    def is_busy(self, key: bytes) -> bool:
        """Whether something live runs at this path, or it is being deleted."""
        return key in self.controllers or key in self.deleting

    async def drain_live(self, key: bytes) -> None:
        """End the live component at this path, if one runs, and wait for that."""
        while (controller := self.controllers.get(key)) is not None:
            await controller.drain()

    async def drain_live_below(self, key: bytes) -> None:
        """End all live components at or below this path, the innermost first."""
        while self.controllers:
            below = [other for other in self.controllers if other.startswith(key)]
            if not below:
                return
            await self.controllers[max(below, key=len)].drain()

    async def deleted(self, key: bytes) -> None:
        """Wait until nothing deletes the component at this path any more."""
        while (ended := self.deleting.get(key)) is not None:
            await ended.wait()

    async def sleep(self, duration_ns: int) -> None:
        """Wait for a time."""
        scheduler = self.scheduler
        task = scheduler.current()
        deadline = scheduler.now() + duration_ns
        timer = scheduler.call_at(deadline, lambda: scheduler.unpark(task))
        try:
            while scheduler.now() < deadline:
                await scheduler.park("a timer")
        finally:
            timer.cancel()

    # ---- ending

    async def all_ended(self) -> None:
        """Wait until no cycle and no live component runs. What starts one runs itself: so there is an end."""
        await self.running.over(self)

    def stop(self) -> None:
        """Start nothing new; interrupt functions; let submissions that have begun finish (MODE-3)."""
        if self.stopping:
            return
        self.stopping = True
        for controller in list(self.controllers.values()):
            controller.stop()
        self.limiter.refuse_all()
        for cycle in list(self.cycles):
            cycle.interrupt()

    def __repr__(self) -> str:
        return f"<run {self.number}: {len(self.cycles)} cycles, {len(self.controllers)} live components>"
