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

from typing import TYPE_CHECKING, Any

from liveproof.abc.store import Table
from liveproof.core.countdown import Countdown
from liveproof.core.doubts import doubted
from liveproof.core.paths import encode_path, format_path
from liveproof.core.plan import Change, Part, Planner, by_depth
from liveproof.core.readiness import Readiness
from liveproof.core.records import decode_record
from liveproof.core.sinks import Ticket
from liveproof.core.telling import tell_claim

if TYPE_CHECKING:
    from liveproof.abc.store import Write
    from liveproof.core.run import Run

__all__ = ["Part", "submit"]


async def submit(run: Run, parts: list[Part]) -> None:
    """Bring the targets of these components to what they declared. Each part says how it went.

    The caller writes the commit: ``entries`` and ``disowned`` of a part, after which nothing is known
    to be possible but what is there.
    """
    busy = run.busy
    while True:
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
    changes = submission.plan.first()
    if submission.plan.stranded and not changes:
        submission.settle_stranded()
    for part in parts:
        if part.rank:
            run.ranks.note(part.declared, part.rank)
            run.ranks.note(part.retained, part.rank)
        if run.probing and part.declared:
            tell_claim(run, part)
    if changes or submission.plan.pending:
        await submission.carry_out(changes)
    elif submission.plan.taken:
        # Nothing to apply, but a state has moved here: its two rows must change together.
        submission.intend(parts)


def _touched(part: Part) -> list[bytes]:
    return [*part.entries, *(key for key in part.declared if key not in part.entries)]


class _Submission:
    """Carries a plan out."""

    __slots__ = ("_left", "parts", "plan", "run")

    def __init__(self, run: Run, parts: list[Part]) -> None:
        self.run = run
        self.parts = parts
        self.plan = Planner(run, parts)
        self._left = Countdown(run.scheduler)
        """What is to be recorded, and to be applied."""

    async def carry_out(self, changes: list[Change]) -> None:
        """Record, apply and, below containers, plan again until nothing is pending."""
        finished = Readiness(self.run.scheduler, "a target state that another component is writing")
        touched = [key for part in self.parts for key in _touched(part)]
        busy = self.run.busy
        for key in touched:
            busy[key] = finished
        try:
            while changes or self.plan.pending:
                if changes:
                    await self._in_order(changes)
                    if any(part.error is not None for part in self.parts):
                        await self._make_way(changes)
                elif not self._progress_possible():
                    self._give_up_pending()
                    break
                changes = self._plan_pending()
                if not changes and self.plan.taken:
                    self.intend([part for part in self.parts if part.changed])
            if self.plan.stranded:
                await self._retry_stranded()
        finally:
            for key in touched:
                if busy.get(key) is finished:
                    del busy[key]
            finished.resolve()

    def intend(self, parts: list[Part]) -> None:
        """Write what is known before a commit where no sink has to be called."""
        records, more = self.plan.intent(parts)
        self.run.ledger.put([*self.run.rows(records), *more])
        self.run.show(records)

    async def _retry_stranded(self) -> None:
        """A container applied in this very submission may have brought the handler."""
        stranded, self.plan.stranded = self.plan.stranded, []
        changes = [
            change
            for part, key, _, _ in stranded
            if part.error is None
            for change in self.plan.removed(part, [key])
        ]
        await self._in_order(changes)
        self.settle_stranded()

    def settle_stranded(self) -> None:
        """What nobody can reconcile has gone if a container that it was in has; else its component fails."""
        stranded, self.plan.stranded = self.plan.stranded, []
        gone = dict.fromkeys(key for part in self.parts for key in part.disowned)
        for part, key, path, exc in stranded:
            above = [encode_path(path[:at]) for at in range(2, len(path))]
            if any(container in gone for container in above):
                self.plan.drop(part, key)
            elif part.rival is not None:
                part.stranded.append(key)
            elif part.error is None:
                part.error = exc

    def _progress_possible(self) -> bool:
        return any(item[1].provider._level.handler is not None for item in self.plan.pending)

    def _give_up_pending(self) -> None:
        for part, declaration in self.plan.pending:
            if part.error is None:
                part.error = RuntimeError(
                    f"the container {format_path(declaration.provider.path)} was not applied, so the states "
                    "inside it were not written"
                )
        self.plan.pending.clear()

    def _plan_pending(self) -> list[Change]:
        pending, self.plan.pending = self.plan.pending, []
        changes: list[Change] = []
        for part, declaration in pending:
            if part.error is not None:
                continue
            try:
                change = self.plan.declared(part, declaration)
            except Exception as exc:  # noqa: BLE001 - it is this component's failure alone
                part.error = exc
                self.plan.taken.clear()
                continue
            if change is not None:
                changes.append(change)
        return changes

    async def _in_order(self, changes: list[Change]) -> None:
        """Apply changes, what is inside containers before the containers; a component that failed has no
        further part in it."""
        for together in by_depth(changes):
            todo = [change for change in together if change.part.error is None]
            if todo:
                await self._record_and_apply(todo)

    async def _record_and_apply(self, changes: list[Change]) -> None:
        run = self.run
        touched_parts = list({change.part.key: change.part for change in changes}.values())
        records, more = self.plan.intent(touched_parts)
        writes = [*run.rows(records), *more]
        tickets = self._tickets(changes)
        if run.probing:
            run.probe.event("submit.record", self.parts[0].path, paths=[part.path for part in touched_parts])
        if len(tickets) == 1 and await self._at_once(writes, tickets[0]):
            return
        self._left.more()
        error: list[BaseException] = []

        def recorded(failure: BaseException | None) -> None:
            if failure is not None:
                error.append(failure)
            else:
                self._left.more(len(tickets))
                for ticket, _ in tickets:
                    run.sinks.queue(ticket.sink).add(ticket)
            self._one_done(None)

        run.ledger.record(writes, recorded)
        run.show(records)
        await self._left.over(self)
        if error:
            for part in touched_parts:
                part.error = error[0]
            return
        for ticket, of in tickets:
            self._applied(ticket, of)

    async def _make_way(self, changes: list[Change]) -> None:
        """Try again what failed because of states that are about to be collected: those go first."""
        for change in [change for change in changes if not change.done]:
            part = change.part
            obstacles = self.plan.obstacles(change)
            if not obstacles or part.error is None:
                continue
            for owner, key in obstacles:
                entry = self.plan.take_over(owner, key)
                if entry is not None:
                    part.entries[key] = entry
            error, part.error = part.error, None
            removals = self.plan.removed(part, [key for _, key in obstacles if key in part.entries])
            await self._in_order(removals)
            if part.error is None:
                await self._in_order([other for other in changes if other.part is part and not other.done])
            else:
                part.error = error

    async def _at_once(self, writes: list[Write], work: tuple[Ticket, list[Change]]) -> bool:
        """The short way, where the store waits for nothing: no batch to share, no task to wait for. The steps and
        their order are the same. Returns False, having done nothing, if it is closed."""
        run = self.run
        ticket, changes = work
        try:
            if not run.ledger.record_now(writes):
                return False
        except Exception as exc:  # noqa: BLE001 - it is this component's failure
            changes[0].part.error = exc
            return True
        queue = run.sinks.queue(ticket.sink)
        if not await queue.apply_now(ticket):
            self._left.more()
            queue.add(ticket)
            await self._left.over(self)
        self._applied(ticket, changes)
        return True

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
        self._left.less()

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
            change.done = True
            if change.after is None:
                self.plan.drop(part, change.key)
                self.run.containers.pop(change.key, None)
                continue
            if ticket.sink.settle is not None and self.run.settles:
                part.doubtful[change.key] = doubted(
                    part.entries[change.key], part.doubtful.get(change.key)
                )
            part.entries[change.key] = change.after
            declaration = change.declaration
            if declaration is not None and declaration.child is not None:
                definition = None if ticket.children is None else ticket.children[at]
                try:
                    self.plan.resolve(declaration, change.after.own, definition, change.output)
                except Exception as exc:  # noqa: BLE001 - it is this component's failure alone
                    part.error = part.error or exc

    def __repr__(self) -> str:
        return f"<targets of {format_path(self.parts[0].path)} being written>"
