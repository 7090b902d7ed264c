"""The store as the runtime uses it: reads that see what was just written, writes that share flushes.

Writes join one batch that is being gathered; a writer applies batches one after the other, off the
loop where that would block it. Whoever *records* (:meth:`Ledger.record`) is told when its batch is
durable; everybody who records while a batch is being flushed shares the next one (group commit, DUR-5).
Whoever merely *puts* does not wait: its writes go with the next batch that somebody waits for, or after
``LINGER_NS`` of quiet.

Until a write is applied, reads find it in an overlay. A put can be *held*: it is visible to reads at
once, but reaches the store only when its hold is released. That is how a commit waits for the target's
own durability without making anybody wait for the commit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from liveproof.abc.points import reached
from liveproof.abc.store import Table
from liveproof.core.countdown import Countdown
from liveproof.core.intake import Intake, Recorded, Rows
from liveproof.core.key_index import KeyIndex

if TYPE_CHECKING:
    from liveproof.abc.scheduler import Scheduler, Task, Timer
    from liveproof.abc.store import Store, Write

__all__ = ["INLINE_WRITES_MAX", "LINGER_NS", "Ledger"]

LINGER_NS = 5_000_000
"""How long, in nanoseconds, puts that nobody waits for may stay in memory while nothing else happens."""

INLINE_WRITES_MAX = 4096
"""Largest batch, in writes, that is written on the loop itself, at some microseconds each. In a thread
beside a busy loop each row waits for the interpreter's lock: up to a thousand times as long, as measured."""

JOURNALED_MAX = 256
"""How many writes may be in the store's journal alone, at most."""

MAINTENANCE_WRITES = 2000
"""After how many writes a quiet moment is used to let the store tidy up."""

SCAN_INLINE_MAX = 256
"""Rows that a scan reads on the loop before it moves off it."""


class Ledger:
    """Overlay, group commit and prefix reads over one :class:`~liveproof.abc.store.Store`."""

    def __init__(self, store: Store, scheduler: Scheduler) -> None:
        self.store = store
        self._scheduler = scheduler
        self._overlay: Rows = {}
        self._component_keys = KeyIndex(scheduler)
        """Overlay keys of ``Table.COMPONENT``: the overlay's part of a prefix scan."""
        self._intake = Intake(scheduler)
        """What is to be in the next batch."""
        self._in_flight: Rows = {}
        self._scans = 0
        self._applied: dict[tuple[Table, bytes], None] = {}
        """Applied while a scan was under way: to be forgotten after it."""
        self._held: dict[tuple[Table, bytes], int] = {}
        """Visible but not yet allowed to reach the store: key → number of the hold."""
        self._holds: dict[int, dict[tuple[Table, bytes], None]] = {}
        """What is or was held, by the number of the hold."""
        self._last_hold = 0
        self._unmaintained = 0
        self._writer: Task | None = None
        self._writer_ends: Countdown | None = None
        self._writing = False
        """Whether the writer is in the middle of a batch."""
        self._linger: Timer | None = None
        self.failure: BaseException | None = None
        """The first error of the store, if any; the update that meets it raises it."""

    # ---- reading

    def get(self, table: Table, key: bytes) -> bytes | None:
        """The value as of the last write, applied or not."""
        self._scheduler.touch((table, key), write=False)
        entry = (table, key)
        if entry in self._overlay:
            return self._overlay[entry]
        return self.store.get(table, key)

    def components_few(self, prefix: bytes) -> list[tuple[bytes, bytes]] | None:
        """All component rows at or below a path, in path order, or ``None`` if there are many."""
        self._scheduler.touch((Table.COMPONENT, prefix), write=False)
        rows = list(self.store.scan(Table.COMPONENT, prefix, limit=SCAN_INLINE_MAX))
        if len(rows) == SCAN_INLINE_MAX:
            return None
        return self._merge(prefix, rows)

    async def components_gently(self, prefix: bytes) -> list[tuple[bytes, bytes]]:
        """Like :meth:`components_few`; many rows are read off the loop."""
        few = self.components_few(prefix)
        if few is not None:
            return few
        # What is applied while the other thread reads must stay in the overlay until it is merged.
        self._scans += 1
        try:
            rows = await self._scheduler.run_blocking(_scan, self.store, prefix)
            return self._merge(prefix, rows)
        finally:
            self._scans -= 1
            if self._scans == 0:
                applied, self._applied = self._applied, {}
                self._forget(applied)

    def _merge(self, prefix: bytes, rows: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        keys = self._component_keys.below(prefix)
        if not keys:
            return rows
        merged = dict(rows)
        for key in keys:
            value = self._overlay[Table.COMPONENT, key]
            if value is None:
                merged.pop(key, None)
            else:
                merged[key] = value
        return sorted(merged.items())

    def entries(
        self, table: Table, prefix: bytes, *, limit: int | None = None
    ) -> list[tuple[bytes, bytes]]:
        """All rows of a table below a prefix (at least one if there are any, with ``limit``). Linear in the
        overlay: for rare use."""
        if self._overlay:
            limit = None  # What the store has may be gone already.
        rows = dict(self.store.scan(table, prefix, limit=limit))
        for (kind, key), value in self._overlay.items():
            if kind is table and key.startswith(prefix):
                if value is None:
                    rows.pop(key, None)
                else:
                    rows[key] = value
        return sorted(rows.items())

    # ---- writing

    def _show(self, writes: Iterable[Write]) -> None:
        for table, key, value in writes:
            self._scheduler.touch((table, key), write=True)
            entry = (table, key)
            if table is Table.COMPONENT and entry not in self._overlay:
                self._component_keys.add(key)
            self._overlay[entry] = value

    def put(self, writes: Sequence[Write]) -> None:
        """Write, some time soon; visible to reads at once."""
        touch, held, overlay = self._scheduler.touch, self._held, self._overlay
        for table, key, value in writes:
            entry = (table, key)
            if held:
                held.pop(entry, None)
            if table is Table.COMPONENT and entry not in overlay:
                self._component_keys.add(key)
            touch(entry, write=True)
            overlay[entry] = value
        self._intake.bring(writes)
        if self._linger is None:  # one timer serves all that comes meanwhile
            self._linger = self._scheduler.call_at(self._scheduler.now() + LINGER_NS, self._lingered)

    def hold(self, writes: Iterable[Write], number: int | None = None) -> int:
        """Write once the hold is released; visible to reads at once. Returns the number of the hold: a new
        one, or the one given, which these writes join.

        What was put before reaches the store nevertheless. A write that comes to the same key in between
        replaces the held one.
        """
        if number is None:
            number = self._last_hold = self._last_hold + 1
            self._holds[number] = {}
        writes = list(writes)
        self._show(writes)
        mine = self._holds[number]
        for table, key, _ in writes:
            self._held[table, key] = number
            mine[table, key] = None
        return number

    def release(self, number: int, *, keep: bool) -> None:
        """Write what is held; without ``keep``, forget it instead: reads see what has been put."""
        mine = [entry for entry in self._holds.pop(number) if self._held.get(entry) == number]
        for entry in mine:
            del self._held[entry]
        if keep:
            self.put([(*entry, self._overlay[entry]) for entry in mine])
            return
        for entry in mine:
            for earlier in (self._intake.rows, self._in_flight):
                if entry in earlier:
                    self._overlay[entry] = earlier[entry]
                    break
        self._forget(mine)

    def record(self, writes: Sequence[Write], then: Recorded) -> None:
        """Write durably; ``then(None)`` is called when it is done, ``then(error)`` when it failed. Those who share a
        batch are called in the order of their first keys."""
        self.put(writes)
        self._intake.wait(writes[0][1] if writes else b"", then)
        self.serve()

    def record_now(self, writes: list[Write]) -> bool:
        """Write at once, durably, if that waits for nothing: the store does not, and no batch is under way.

        For whoever has nobody to share a batch with. Returns False, having done nothing, if it would wait.
        Raises the store's error.
        """
        if self.store.blocking or self._writing or self._intake.awaited:
            return False
        self.put(writes)
        if len(self._intake.rows) <= JOURNALED_MAX and self._intake.journal(self.store.journal):
            # The process may die now; the store itself hears of it when there is more, or a pause.
            return True
        error = self._write_batch(self._intake.fetch()[0])
        if error is not None:
            raise error
        return True

    def _forget(self, entries: Iterable[tuple[Table, bytes]]) -> None:
        if self._scans:
            self._applied.update(dict.fromkeys(entries))
            return
        # Who brings a row of a key shows it in the overlay, too: so it need not be told that this looks for one.
        overlay, has, held, in_flight = self._overlay, self._intake.has, self._held, self._in_flight
        for entry in entries:
            if entry in overlay and not has(entry) and entry not in held and entry not in in_flight:
                del overlay[entry]
                if entry[0] is Table.COMPONENT:
                    self._component_keys.remove(entry[1])

    def _lingered(self) -> None:
        self._linger = None
        if self._intake.rows:
            self._intake.hurry()
            self.serve()

    def serve(self) -> None:
        """Have a writer, if there is none."""
        if self._writer is None:
            self._writer_ends = Countdown(self._scheduler, 1)
            self._writer = self._scheduler.spawn(
                self._write_batches(self._writer_ends), name="liveproof: store writer"
            )

    async def _write_batches(self, ends: Countdown) -> None:
        try:
            while True:
                wait = self._scheduler.until(self._intake, on=self)
                if wait is not None:
                    await wait
                if self._intake.wants_rest():
                    return
                batch, waiting = self._intake.fetch()
                self._writing = True
                try:
                    error = await self._apply(batch, durable=bool(waiting))
                    for then in waiting:
                        then(error)
                    if self._unmaintained >= MAINTENANCE_WRITES and self.failure is None and not self._intake.awaited:
                        await self._maintain()
                finally:
                    self._writing = False
        except self._scheduler.cancelled:
            pass
        finally:
            self._writer = None
            ends.less()

    async def _maintain(self) -> None:
        self._unmaintained = 0
        try:
            await self._scheduler.run_blocking(self.store.maintain)
        except Exception as exc:  # noqa: BLE001 - whoever drains raises it
            self.failure = exc

    async def _apply(self, batch: Rows, *, durable: bool) -> BaseException | None:
        error: BaseException | None = None
        if len(batch) <= INLINE_WRITES_MAX:
            error = self._write_batch(batch)
        else:
            self._in_flight = batch
            try:
                await self._scheduler.run_blocking(_write, self.store, _writes(batch))
            except Exception as exc:  # noqa: BLE001 - handed to everybody who waits for this batch
                error = exc
            self._applied_or_not(batch, error)
        if error is None and durable and self.store.blocking:
            try:
                await self._scheduler.run_blocking(self.store.flush)
            except Exception as exc:  # noqa: BLE001 - as above
                error = self.failure = exc
                reached("ledger.flush-failed")
        return error

    def _write_batch(self, batch: Rows) -> BaseException | None:
        error: BaseException | None = None
        if batch:
            self._unmaintained += len(batch)
            try:
                self.store.write(_writes(batch), durable=False)
            except Exception as exc:  # noqa: BLE001 - handed to everybody who waits for this batch
                error = exc
        self._applied_or_not(batch, error)
        return error

    def _applied_or_not(self, batch: Rows, error: BaseException | None) -> None:
        self._in_flight = {}
        if error is None:
            self._forget(batch)
            return
        reached("ledger.write-failed")
        # Nothing is lost: the writes stay in the overlay, for the next batch.
        if self.failure is None:
            self.failure = error
        self._intake.bring_back(batch)

    # ---- ending

    async def drain(self) -> None:
        """Wait until everything put so far is in the store, durably.

        Raises the store's error if it can't be written. What is held is not waited for.
        """
        failure = self.failure
        if self._intake.rows or self._writing:
            error = await self._recorded()
            if error is not None:
                raise error
        if self.failure is not None and self.failure is not failure:
            raise self.failure

    async def _recorded(self) -> BaseException | None:
        """Wait until what has been put is durable, or has failed to be."""
        errors: list[BaseException | None] = []
        over = Countdown(self._scheduler, 1)

        def then(error: BaseException | None) -> None:
            errors.append(error)
            over.less()

        self.record((), then)
        await over.over(self)
        return errors[0]

    async def rest(self) -> None:
        """End the writer, once it has nothing to do, and wait until it has ended."""
        if self._writer is not None and self._writer_ends is not None:
            self._intake.rest()
            await self._writer_ends.over(self)

    def close(self) -> None:
        """Stop the writer. Call :meth:`drain` first."""
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
        if self._writer is not None:
            self._scheduler.cancel(self._writer)

    def __repr__(self) -> str:
        return f"<the state store {self.store.path}>"

    def _check(self) -> None:
        """Invariants; O(overlay · log)."""
        self._component_keys._check(sorted(key for table, key in self._overlay if table is Table.COMPONENT))
        assert all(entry in self._overlay for entry in self._intake.rows)
        assert all(entry in self._overlay for entry in self._held)


def _writes(batch: Rows) -> list[Write]:
    return [(table, key, value) for (table, key), value in batch.items()]


def _write(store: Store, writes: list[Write]) -> None:
    store.write(writes, durable=False)


def _scan(store: Store, prefix: bytes) -> list[tuple[bytes, bytes]]:
    return list(store.scan(Table.COMPONENT, prefix))
