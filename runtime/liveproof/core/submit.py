"""From what was declared to what is there: reconcile → record → apply → commit.

What a sink may do is durable in the store before the sink is called (DUR-2): the record of a component
then lists everything that each of its targets *may* hold. After the sink has applied its actions, the
commit narrows that down to one. A crash in between leaves several possibilities, and the next run's
reconciliation deals with them all (DUR-1).

A target state has one owner. A component that declares a state which another one owned takes it over,
in the same atomic write that records the intent, so that the former owner no longer deletes it (GC-4).
Submissions that touch one target state never overlap.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from liveproof.abc.store import Table
from liveproof.core.absence import NON_EXISTENCE
from liveproof.core.paths import decode_path, encode_path, format_path
from liveproof.core.ranks import Rank
from liveproof.core.readiness import Readiness
from liveproof.core.records import ComponentRecord, TargetEntry, decode_record, encode_record
from liveproof.core.sinks import Ticket
from liveproof.core.targets import (
    Declaration,
    HandlerMissingError,
    TargetStateProvider,
    record_decoder,
)
from liveproof.core.values import encode

if TYPE_CHECKING:
    from liveproof.abc.store import Write
    from liveproof.core.paths import Path
    from liveproof.core.run import Run
    from liveproof.core.targets import TargetActionSink, TargetReconcileOutput

__all__ = ["Part", "submit"]


class Part:
    """One component's share of a submission, and how it went."""

    __slots__ = (
        "applied",
        "before",
        "changed",
        "declared",
        "disowned",
        "entries",
        "error",
        "intended",
        "key",
        "path",
        "rank",
        "removed",
        "retained",
        "rival",
        "stranded",
        "version",
    )

    def __init__(
        self,
        key: bytes,
        path: Path,
        record: ComponentRecord,
        declared: Mapping[bytes, Declaration],
        retained: Mapping[bytes, None],
        rival: dict[bytes, bool] | None,
        rank: Rank,
        version: int,
    ) -> None:
        self.key = key
        self.version = version
        """That of ``record``."""
        self.path = path
        self.before = record
        """What the store knew when the submission began."""
        self.declared = declared
        self.retained = retained
        """Target states that stay as they are, without being looked at."""
        self.rank = rank
        self.rival = rival
        """Components that have completed in the same cycle: what they own can not be taken over."""
        self.entries: dict[bytes, TargetEntry] = dict(record.targets)
        """Result: what is known of the component's targets now."""
        self.removed: dict[bytes, TargetEntry] = {}
        """States that have been removed, as they were: the store has to know of them until the commit."""
        self.disowned: list[bytes] = []
        """Result: target states that are gone and owned by nobody."""
        self.applied: list[tuple[TargetActionSink[Any, Any], list[Any]]] = []
        """Result: what has yet to be settled."""
        self.changed = False
        """Result: whether ``entries`` differ from what the store has under ``key``."""
        self.stranded: list[bytes] = []
        """Result: states that were to be removed and that nobody could reconcile. Only of a cycle, which may
        still collect their container."""
        self.intended = False
        """Result: whether the store knows that this component owns ``entries``."""
        self.error: BaseException | None = None


class Change:
    """What one target state goes through."""

    __slots__ = ("after", "declaration", "key", "output", "part")

    def __init__(
        self,
        part: Part,
        key: bytes,
        declaration: Declaration | None,
        output: TargetReconcileOutput[Any, Any, Any],
        after: TargetEntry | None,
    ) -> None:
        self.part = part
        self.key = key
        self.declaration = declaration
        self.output = output
        self.after = after
        """What is known once it has been applied; ``None`` if the state is gone."""


async def submit(run: Run, parts: list[Part]) -> None:
    """Bring the targets of these components to what they declared. Each part says how it went.

    The caller writes the commit: ``entries`` and ``disowned`` of a part, after which nothing is known
    to be possible but what is there.
    """
    busy = run.busy
    while busy:
        blocker = next(
            (busy[key] for part in parts for key in _touched(part) if key in busy),
            None,
        )
        if blocker is None:
            break
        await blocker.wait()
    for part in parts:
        version = run.version(part.key)
        if part.version != version:
            part.version = version
            raw = run.ledger.get(Table.COMPONENT, part.key)
            if raw is not None:
                part.before = decode_record(raw)
                part.entries = dict(part.before.targets)
    submission = _Submission(run, parts)
    changes = submission.plan()
    if submission.stranded and not changes:
        submission.settle_stranded()
    for part in parts:
        run.ranks.note(part.key, part.rank)
    if changes or submission.pending:
        await submission.carry_out(changes)
    elif submission.taken:
        # Nothing to apply, but a state has moved here: its two rows must change together.
        run.ledger.put(submission.intent(parts))


def _touched(part: Part) -> list[bytes]:
    return [*part.entries, *(key for key in part.declared if key not in part.entries)]


class _Submission:
    __slots__ = ("_left", "_task", "parts", "pending", "run", "stranded", "taken")

    def __init__(self, run: Run, parts: list[Part]) -> None:
        self.run = run
        self.parts = parts
        self.pending: list[tuple[Part, Declaration]] = []
        """Declarations inside a container that this submission has yet to apply."""
        self.stranded: list[tuple[Part, bytes, Path, HandlerMissingError]] = []
        """States to be removed that nobody here can reconcile."""
        self.taken: dict[bytes, ComponentRecord] = {}
        """Records of former owners, rewritten."""
        self._left = 0
        self._task: Any = None

    # ---- planning

    def plan(self) -> list[Change]:
        """The changes that can be told now; the rest is in ``pending``."""
        changes: list[Change] = []
        for part in self.parts:
            try:
                found = [
                    change
                    for declaration in part.declared.values()
                    if (change := self._declared(part, declaration)) is not None
                ]
                for key in part.retained:
                    if key not in part.entries:
                        self._lost(part, key)
                gone = [
                    key for key in part.entries if key not in part.declared and key not in part.retained
                ]
                if gone:
                    found += self._removed(part, self._owned(part, gone))
            except Exception as exc:  # noqa: BLE001 - it is this component's failure alone
                part.error = exc
                self.taken.clear()  # Only a submission of one part takes anything over.
                part.entries = dict(part.before.targets)
                part.changed = False
                part.disowned.clear()
                part.removed.clear()
                self.pending = [item for item in self.pending if item[0] is not part]
            else:
                changes += found
        return changes

    def _declared(self, part: Part, declaration: Declaration) -> Change | None:
        level = declaration.provider._level
        if level.handler is None:
            if level.owner != part.key:
                raise RuntimeError(
                    f"the container {format_path(declaration.provider.path)} is not applied yet: mount it with "
                    "mount_target() before other components declare states inside it"
                )
            self.pending.append((part, declaration))
            return None
        key = declaration.key
        entry = part.entries.get(key)
        if entry is None:
            owner = self._other_owner(part, key, declaration)
            if owner is not None:
                if self.run.ranks.is_later(owner, part.rank):
                    return None  # A later operation has claimed it; one after the other, it would win.
                entry = self._take_over(owner, key)
        output = self._reconcile(declaration.provider, declaration.stable_key, declaration.value, entry)
        generation = level.generation
        own = (0, 0) if entry is None else entry.own
        if declaration.child is not None:
            own = self._generation(own, entry, output)
        if output is None:
            if declaration.child is not None:
                self._resolve(declaration, own, None, None)
            if key not in part.entries or entry is None or entry.container != generation or entry.own != own:
                possible, missing = _valid(entry, generation)
                part.entries[key] = TargetEntry(possible, missing, generation, own)
                part.changed = True
            return None
        possible, missing = _valid(entry, generation)
        if output.tracking_record is NON_EXISTENCE:
            after = TargetEntry([], True, generation, own)
            part.entries[key] = TargetEntry(possible, True, generation, own)
        else:
            raw = encode(output.tracking_record)
            after = TargetEntry([raw], False, generation, own)
            part.entries[key] = TargetEntry(
                possible if raw in possible else [*possible, raw], missing, generation, own
            )
        part.changed = True
        return Change(part, key, declaration, output, after)

    def _lost(self, part: Part, key: bytes) -> None:
        """A state that a remembered call declared belongs to somebody else by now."""
        path = decode_path(key)
        owner = self.run.owner_of_target(key)
        if owner is not None and self.run.ranks.is_later(owner, part.rank):
            return
        if owner is not None and part.rival is not None and self.run.completed(owner, part.rival):
            raise ValueError(
                f"target state {format_path(path)} is declared twice in one cycle: by "
                f"{self.run.format_key(owner)} and by {format_path(part.path)}"
            )
        raise RuntimeError(
            f"target state {format_path(path)} was taken over while {format_path(part.path)} ran; it runs again in "
            "the next cycle"
        )

    def _other_owner(self, part: Part, key: bytes, declaration: Declaration) -> bytes | None:
        """Which other component owns the state.

        Raises:
            ValueError: it declared the state in this same cycle.
        """
        owner = self.run.owner_of_target(key)
        if owner is None or owner == part.key:
            return None
        if part.rival is not None and self.run.completed(owner, part.rival):
            raise ValueError(
                f"target state {format_path((*declaration.provider.path, declaration.stable_key))} is declared "
                f"twice in one cycle: by {self.run.format_key(owner)} and by {format_path(part.path)}"
            )
        return owner

    def _take_over(self, owner: bytes, key: bytes) -> TargetEntry | None:
        former = self.taken.get(owner)
        if former is None:
            raw = self.run.ledger.get(Table.COMPONENT, owner)
            if raw is None:
                return None
            former = decode_record(raw)
        entry = former.targets.pop(key, None)
        # It must run again to say whether it still wants the state; a memo, of it or of one above it, would
        # hide that.
        former.memo = None
        self.taken[owner] = former
        for above in self.run.keys_above(owner):
            raw = self.run.ledger.get(Table.COMPONENT, above)
            if raw is not None and above not in self.taken:
                ancestor = decode_record(raw)
                if ancestor.memo is not None:
                    ancestor.memo = None
                    self.taken[above] = ancestor
        return entry

    def _reconcile(
        self, provider: TargetStateProvider[Any, Any], stable_key: Any, desired: Any, entry: TargetEntry | None
    ) -> TargetReconcileOutput[Any, Any, Any] | None:
        level = provider._level
        decode = level.decode
        if decode is None:
            decode = level.decode = record_decoder(level.handler)
        raws, missing = _valid(entry, level.generation)
        output: TargetReconcileOutput[Any, Any, Any] | None = level.handler.reconcile(
            stable_key, desired, [decode(raw) for raw in raws], missing or self.run.full_reprocess
        )
        return output

    def _generation(
        self,
        own: tuple[int, int],
        entry: TargetEntry | None,
        output: TargetReconcileOutput[Any, Any, Any] | None,
    ) -> tuple[int, int]:
        number = self.run.number
        if entry is None:
            return (number, 0)  # Whatever a former container of this name held is gone.
        invalidation = None if output is None else output.child_invalidation
        if invalidation == "destructive":
            return (max(own[0] + 1, number), own[1])
        if invalidation == "lossy":
            return (own[0], own[1] + 1)
        if invalidation is not None:
            raise ValueError(f'child_invalidation is "destructive", "lossy" or None, not {invalidation!r}')
        return own

    def _owned(self, part: Part, keys: list[bytes]) -> list[bytes]:
        """Those that are this component's to remove; of the others its record was wrong."""
        owned: list[bytes] = []
        for key in keys:
            owner = self.run.owner_of_target(key)
            if owner is None or owner == part.key:
                owned.append(key)
            else:
                del part.entries[key]
                part.changed = True
        return owned

    def _removed(self, part: Part, gone: list[bytes]) -> list[Change]:
        changes: list[Change] = []
        paths = {key: decode_path(key) for key in gone}
        # What is inside a container goes before the container.
        for key in sorted(gone, key=lambda key: -len(paths[key])):
            path = paths[key]
            entry = part.entries[key]
            try:
                provider = self.run.provider_of(path)
            except HandlerMissingError as exc:
                # Perhaps its container goes, too; then it goes with it.
                self.stranded.append((part, key, path, exc))
                continue
            if provider is None:
                # Its container is gone, and it went with it.
                self._drop(part, key)
                continue
            level = provider._level
            if entry.container[0] != level.generation[0]:
                self._drop(part, key)
                continue
            output = self._reconcile(provider, path[-1], NON_EXISTENCE, entry)
            if output is None:
                self._drop(part, key)
                continue
            part.entries[key] = TargetEntry(entry.possible, True, entry.container, entry.own)
            part.changed = True
            changes.append(Change(part, key, None, output, None))
        return changes

    @staticmethod
    def _drop(part: Part, key: bytes) -> None:
        part.removed[key] = part.entries.pop(key)
        part.disowned.append(key)
        part.changed = True

    # ---- carrying out

    async def carry_out(self, changes: list[Change]) -> None:
        """Record, apply and, below containers, plan again until nothing is pending."""
        finished = Readiness(self.run.scheduler, "a target state that another component is writing")
        touched = [key for part in self.parts for key in _touched(part)]
        busy = self.run.busy
        for key in touched:
            busy[key] = finished
        try:
            while changes or self.pending:
                if changes:
                    for together in _by_depth(changes):
                        await self._record_and_apply(together)
                    if any(part.error is not None for part in self.parts):
                        await self._make_way(changes)
                elif not self._progress_possible():
                    self._give_up_pending()
                    break
                changes = self._plan_pending()
                if not changes and self.taken:
                    self.run.ledger.put(self.intent([part for part in self.parts if part.changed]))
            await self._retry_stranded()
        finally:
            for key in touched:
                if busy.get(key) is finished:
                    del busy[key]
            finished.resolve()

    async def _retry_stranded(self) -> None:
        """A container applied in this very submission may have brought the handler."""
        stranded, self.stranded = self.stranded, []
        changes = [
            change
            for part, key, _, _ in stranded
            if part.error is None
            for change in self._removed(part, [key])
        ]
        for together in _by_depth(changes):
            await self._record_and_apply(together)
        self.settle_stranded()

    def settle_stranded(self) -> None:
        """What nobody can reconcile has gone if a container that it was in has; else its component fails."""
        stranded, self.stranded = self.stranded, []
        gone = dict.fromkeys(key for part in self.parts for key in part.disowned)
        for part, key, path, exc in stranded:
            above = [encode_path(path[:at]) for at in range(2, len(path))]
            if any(container in gone for container in above):
                self._drop(part, key)
            elif part.rival is not None:
                part.stranded.append(key)
            elif part.error is None:
                part.error = exc

    def _progress_possible(self) -> bool:
        return any(item[1].provider._level.handler is not None for item in self.pending)

    def _give_up_pending(self) -> None:
        for part, declaration in self.pending:
            if part.error is None:
                part.error = RuntimeError(
                    f"the container {format_path(declaration.provider.path)} was not applied, so the states "
                    "inside it were not written"
                )
        self.pending.clear()

    def _plan_pending(self) -> list[Change]:
        pending, self.pending = self.pending, []
        changes: list[Change] = []
        for part, declaration in pending:
            if part.error is not None:
                continue
            try:
                change = self._declared(part, declaration)
            except Exception as exc:  # noqa: BLE001 - it is this component's failure alone
                part.error = exc
                self.taken.clear()
                continue
            if change is not None:
                changes.append(change)
        return changes

    async def _record_and_apply(self, changes: list[Change]) -> None:
        run = self.run
        touched_parts = list({change.part.key: change.part for change in changes}.values())
        writes = self.intent(touched_parts)
        tickets = self._tickets(changes)
        if run.probing:
            run.probe.event("submit.record", self.parts[0].path, writes=len(writes))
        if run.limiter.used <= 1 and len(tickets) == 1 and await self._alone(writes, tickets[0]):
            return
        self._task = run.scheduler.current()
        self._left = 1
        error: list[BaseException] = []

        def recorded(failure: BaseException | None) -> None:
            if failure is not None:
                error.append(failure)
            else:
                self._left += len(tickets)
                for ticket, _ in tickets:
                    run.sinks.queue(ticket.sink).add(ticket)
            self._one_done(None)

        run.ledger.record(writes, recorded)
        while self._left:
            await run.scheduler.park(self)
        if error:
            for part in touched_parts:
                part.error = error[0]
            return
        for ticket, of in tickets:
            self._applied(ticket, of)

    async def _make_way(self, changes: list[Change]) -> None:
        """Try again what failed because of states that are about to be collected: those go first."""
        failed = [change for change in changes if change.part.error is not None and change.after is not None]
        for change in failed:
            part = change.part
            obstacles = self._obstacles(change)
            if not obstacles or part.error is None:
                continue
            for owner, key in obstacles:
                entry = self._take_over(owner, key)
                if entry is not None:
                    part.entries[key] = entry
            error, part.error = part.error, None
            removals = self._removed(part, [key for _, key in obstacles if key in part.entries])
            for together in _by_depth(removals):
                await self._record_and_apply(together)
            if part.error is None:
                await self._record_and_apply([other for other in failed if other.part is part])
            else:
                part.error = error

    def _obstacles(self, change: Change) -> list[tuple[bytes, bytes]]:
        """States in the way of this one whose owners have not said in this cycle that they want them."""
        declaration = change.declaration
        if declaration is None or change.part.rival is None:
            return []
        provider = declaration.provider
        in_the_way = getattr(provider._level.handler, "in_the_way", None)
        if in_the_way is None:
            return []
        depth = len(provider.path) + 1
        found: list[tuple[bytes, bytes]] = []
        for key, owner in self.run.owners_below(provider.key):
            path = decode_path(key)
            if (
                len(path) == depth
                and owner != change.part.key
                and key not in self.run.busy
                and in_the_way(declaration.stable_key, path[-1])
                and not self.run.completed(owner, change.part.rival)
            ):
                found.append((owner, key))
        return found

    async def _alone(self, writes: list[Write], work: tuple[Ticket, list[Change]]) -> bool:
        """The short way, for the only component in flight: nobody to share a batch with, no task to wait
        for. The steps and their order are the same. Returns False, having done nothing, if it is closed."""
        run = self.run
        ticket, changes = work
        try:
            if not run.ledger.record_now(writes):
                return False
        except Exception as exc:  # noqa: BLE001 - it is this component's failure
            changes[0].part.error = exc
            return True
        queue = run.sinks.queue(ticket.sink)
        self._left = 0
        if not await queue.apply_now(ticket):
            self._left = 1
            self._task = run.scheduler.current()
            queue.add(ticket)
            while self._left:
                await run.scheduler.park(self)
        self._applied(ticket, changes)
        return True

    def intent(self, parts: list[Part]) -> list[Write]:
        """What has to be durable before a sink is called: all that the targets may hold from now on."""
        writes: list[Write] = []
        for owner, former in self.taken.items():
            writes.append((Table.COMPONENT, owner, encode_record(former)))
            self.run.note_rewritten(owner)
        self.taken.clear()
        for part in parts:
            before = part.before
            part.intended = True
            intent = ComponentRecord(
                owner=before.owner,
                processor=before.processor,
                targets={**part.removed, **part.entries} if part.removed else part.entries,
                calls=before.calls,
                state_keys=before.state_keys,
            )
            writes.append((Table.COMPONENT, part.key, encode_record(intent)))
            known = before.targets
            writes += [self.run.own(key, part.key) for key in part.entries if key not in known]
        return writes

    def _tickets(self, changes: list[Change]) -> list[tuple[Ticket, list[Change]]]:
        if len(changes) == 1:
            change = changes[0]
            return [(Ticket(change.output.sink, [change.output.action], self._one_done), changes)]
        groups: dict[tuple[bytes, Any], tuple[Ticket, list[Change]]] = {}
        for change in changes:
            sink = change.output.sink
            group = groups.get((change.part.key, sink.fn))
            if group is None:
                group = groups[change.part.key, sink.fn] = (Ticket(sink, [], self._one_done), [])
            group[0].actions.append(change.output.action)
            group[1].append(change)
        return list(groups.values())

    def _one_done(self, _ticket: Ticket | None) -> None:
        self._left -= 1
        assert self._left >= 0, "a ticket was done twice"
        if self._left == 0:
            self.run.scheduler.unpark(self._task)

    def _applied(self, ticket: Ticket, changes: list[Change]) -> None:
        if ticket.error is not None:
            for change in changes:
                if change.part.error is None:
                    change.part.error = ticket.error
            return
        if ticket.sink.settle is not None and self.run.settles:
            changes[0].part.applied.append((ticket.sink, ticket.actions))
        for at, change in enumerate(changes):
            part = change.part
            if change.after is None:
                self._drop(part, change.key)
                self.run.containers.pop(change.key, None)
                continue
            part.entries[change.key] = change.after
            declaration = change.declaration
            if declaration is not None and declaration.child is not None:
                definition = None if ticket.children is None else ticket.children[at]
                try:
                    self._resolve(declaration, change.after.own, definition, change.output)
                except Exception as exc:  # noqa: BLE001 - it is this component's failure alone
                    part.error = part.error or exc

    def _resolve(
        self,
        declaration: Declaration,
        own: tuple[int, int],
        definition: Any,
        output: TargetReconcileOutput[Any, Any, Any] | None,
    ) -> None:
        handler: Any = None
        context = self.run.provider
        parent = declaration.provider._level.handler
        if definition is not None:
            handler = definition.handler
        elif output is not None and output.sink.child_handler is not None:
            handler = output.sink.child_handler(context, output.action)
        elif hasattr(parent, "child_handler"):
            handler = parent.child_handler(context, declaration.stable_key)
        if handler is None:
            raise RuntimeError(
                f"no handler for what is inside {format_path((*declaration.provider.path, declaration.stable_key))}: "
                "let its sink return a ChildTargetDef, give the sink a child_handler, or give "
                f"{type(parent).__name__} a child_handler(context_provider, key)"
            )
        assert declaration.child is not None, "not a container"
        level = declaration.child._level
        level.handler = handler
        level.generation = own
        level.owner = None
        self.run.containers[declaration.key] = declaration.child

    def __repr__(self) -> str:
        return f"<targets of {format_path(self.parts[0].path)} being written>"


def _by_depth(changes: list[Change]) -> list[list[Change]]:
    """What is declared first; then what goes, what is inside a container before the container."""
    if not changes:
        return []
    if all(change.declaration is not None for change in changes) or len(changes) == 1:
        return [changes]
    groups: dict[int, list[Change]] = {}
    for change in changes:
        depth = 0 if change.declaration is not None else len(decode_path(change.key))
        groups.setdefault(depth, []).append(change)
    declared = groups.pop(0, [])
    removed = [groups[depth] for depth in sorted(groups, reverse=True)]
    if removed:
        removed[0] = declared + removed[0]
        return removed
    return [declared]


def _valid(entry: TargetEntry | None, generation: tuple[int, int]) -> tuple[list[bytes], bool]:
    """What the target may hold, given what has happened to its container since."""
    if entry is None or entry.container[0] != generation[0]:
        return [], True
    return entry.possible, entry.maybe_missing or entry.container[1] != generation[1]
