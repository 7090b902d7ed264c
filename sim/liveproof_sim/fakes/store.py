"""A store in memory that keeps SqliteStore's word, and no more than that.

Physics. The *disk* holds what is durable (``base``) and, in order, the batches that are not (``tail``).

- ``write`` appends one batch to the tail; ``flush`` makes all of the tail durable.
- A power cut keeps some prefix of the tail: never half a batch, never a later one without an earlier one.
- The death of the process keeps all of the tail, and all that was journaled.
- With durability ``"process"`` nothing is ever flushed and ``journal`` notes batches that no read sees. It
  does not claim to survive a power cut.
- A flush that fails leaves the tail as it was, for a cut to decide on, and the store refuses to write.
- A store that is open on a disk keeps others out, until it is closed or its process is gone.
- A disk of an older format is brought to this one by the first call (the real store does it when it is opened), in
  one batch: a cut leaves the old format or the new one. A newer one is refused.

Checked against SQLite: ``tests/durability/test_store_kill.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from liveproof.abc.store import Table, Write
from liveproof.backends.store_schema import FORMAT
from liveproof.errors import StoreBusyError, StoreFullError, StoreUnavailableError, StoreVersionError
from liveproof_sim.kernel.power import Outage

__all__ = ["Contents", "Disk", "SimStore", "Strike"]

Contents: TypeAlias = dict[tuple[Table, bytes], bytes]
Batch: TypeAlias = tuple[Write, ...]
Strike: TypeAlias = Callable[[str, str, str], bool]
"""Asked at each operation: fault family, operation, phase. Whether the fault strikes now."""

PATH = "/simulated/store.db"
OLDEST = 1
"""The oldest format that can be brought to this one."""


@dataclass(slots=True)
class Disk:
    """What a store is made of, and all that outlives it."""

    base: Contents = field(default_factory=dict)
    tail: list[Batch] = field(default_factory=list)
    """written, in order, and not flushed"""
    journaled: list[Batch] = field(default_factory=list)
    """noted, in order, since the last write"""
    version: int = FORMAT
    upgrading: bool = False
    """whether the batch that brings it to this format is written, and not flushed"""
    holder: SimStore | None = None
    """who has it open"""

    def legal_states(self, outage: Outage = Outage.POWER) -> Iterator[Contents]:
        """What may be there after a cut now, the one that loses nothing first. Some may be equal."""
        kept = len(self.tail)
        for length in range(kept, -1 if outage is Outage.POWER else kept - 1, -1):
            yield _applied(self.base, self.tail[:length])

    def legal_formats(self, outage: Outage = Outage.POWER) -> list[int]:
        """Which format it may be of after a cut now."""
        if not self.upgrading:
            return [self.version]
        return [FORMAT, self.version] if outage is Outage.POWER else [FORMAT]

    def settle(self, length: int) -> None:
        """The first ``length`` batches of the tail are durable, the others gone."""
        self.base = _applied(self.base, self.tail[:length])
        self.tail.clear()
        self.journaled.clear()
        self.holder = None


class SimStore:
    """A :class:`liveproof.abc.store.Store` on a :class:`Disk`; see the module.

    Raises:
        StoreBusyError: another store has the disk open.
        StoreVersionError: the disk was written in another format.
    """

    def __init__(
        self,
        disk: Disk | None = None,
        *,
        durability: Literal["power", "process"] = "power",
        capacity: int | None = None,
        journal_bytes: int = 1 << 20,
    ) -> None:
        self.disk = Disk() if disk is None else disk
        self.capacity = capacity
        """how many bytes of keys and values fit; None: any number"""
        self.before_call: Callable[[str, str], None] | None = None
        """called before each change of the disk, with the operation and the path; may raise"""
        self.strike: Strike | None = None
        """asked whether a fault strikes"""
        self.flushes = 0
        self._power = durability == "power"
        self._room = 0 if self._power else journal_bytes
        self._broken: str | None = None
        self._closed = False
        if self.disk.holder is not None:
            raise StoreBusyError(
                f"store {PATH} is already open in another process; a store has one writer: "
                "stop it or close the store there, or give this one its own path",
                PATH,
            )
        if not OLDEST <= self.disk.version <= FORMAT:
            raise StoreVersionError(
                f"store {PATH} has format {self.disk.version}, this liveproof reads {FORMAT}; it was not "
                "changed: use the liveproof that wrote it, or another path to build it anew",
                PATH,
            )
        self.disk.holder = self
        self.disk.tail += self.disk.journaled
        self.disk.journaled.clear()
        self._now = _applied(self.disk.base, self.disk.tail)
        if self._power:
            self._make_durable()  # as opening the real one does

    @property
    def path(self) -> str:
        """A name for messages."""
        return PATH

    @property
    def durability(self) -> Literal["power", "process"]:
        """What a durable write survives."""
        return "power" if self._power else "process"

    @property
    def blocking(self) -> bool:
        """Whether a flush waits for the device."""
        return self._power

    # ---- reading

    def get(self, table: Table, key: bytes, /) -> bytes | None:
        """The value, or ``None``."""
        self._reading()
        return self._now.get((table, key))

    def scan(
        self, table: Table, prefix: bytes, /, *, limit: int | None = None
    ) -> Iterator[tuple[bytes, bytes]]:
        """Entries whose key begins with ``prefix``, at most ``limit``, in order, as of the call."""
        self._reading()
        inside = [(k, v) for (t, k), v in self._now.items() if t == table and k.startswith(prefix)]
        inside.sort()
        return iter(inside[:limit])

    def _reading(self) -> None:
        self._require_open()
        if self._struck("store.eio", "read", "before"):
            raise _io_error("read")

    # ---- writing

    def write(self, batch: Sequence[Write], /, *, durable: bool) -> None:
        """Append the batch to the tail; if ``durable``, then :meth:`flush`."""
        self._require_open()
        writes = tuple(batch)
        for _, key, value in writes:
            if not isinstance(key, bytes) or not isinstance(value, bytes | None):
                kinds = f"{type(key).__name__} and {type(value).__name__}"
                raise TypeError(f"keys and values are bytes, not {kinds}")
        self._about_to("write")
        self._require_whole()
        self._check_journal(writes)
        if self._struck("store.eio", "write", "before"):
            raise _io_error("write")
        if self._struck("store.enospc", "write", "before") or self._too_much(writes):
            raise _full("write")
        if writes:
            _apply(self._now, writes)
            self.disk.tail.append(writes)
            self.disk.journaled.clear()
            if not self._power:
                self._make_durable()  # as far as this one goes: it is the kernel's now
        if durable:
            self.flush()

    def journal(self, batch: Sequence[Write], /) -> bool:
        """For "process": note the batch for whoever opens the disk next."""
        self._require_open()
        noted = tuple(batch)
        size = sum(_size(each) for each in (*self.disk.journaled, noted))
        if self._broken is not None or size > self._room:
            return False
        self._about_to("journal")
        self.disk.journaled.append(noted)
        return True

    def flush(self) -> None:
        """Make the tail durable. With "process" there is nothing to do."""
        self._require_open()
        if not self._power:
            return
        self._require_whole()
        if not self.disk.tail:
            return
        self._about_to("flush")
        if self._struck("store.eio", "flush", "before"):
            self._broken = (
                f"the device failed to flush store {PATH}: Input/output error; nothing more will be written: "
                "check the device, then open the store again"
            )
            raise StoreUnavailableError(self._broken, PATH)
        self.flushes += 1
        self._make_durable()

    def maintain(self) -> bool:
        """Nothing: there is no log."""
        self._require_open()
        return False

    def close(self) -> None:
        """Flush, and let others in. Safe to call twice."""
        if not self._closed:
            if self._broken is None:
                self._make_durable()
            self._closed = True
            if self.disk.holder is self:
                self.disk.holder = None

    # ---- a cut

    def crash(self, draw: Callable[[str, int], int], outage: Outage, /) -> None:
        """Fall back to one of the legal states, and be gone."""
        disk = self.disk
        self._closed = True
        formats = disk.legal_formats(outage)
        disk.version = formats[draw("store: upgrade lost", len(formats)) if len(formats) > 1 else 0]
        disk.upgrading = False
        if outage is Outage.PROCESS:
            disk.holder = None
            return
        kept = len(disk.tail)
        # What a flush that failed left on the device, and what was never flushed, is for the draw to say.
        lost = draw("store: batches lost", kept + 1) if kept else 0
        disk.settle(kept - lost)

    def reopened(self) -> SimStore:
        """The store of the next process on this disk, set up as this one."""
        made = type(self)(
            self.disk, durability=self.durability, capacity=self.capacity, journal_bytes=self._room
        )
        made.before_call, made.strike = self.before_call, self.strike
        return made

    def legal_states(self, outage: Outage = Outage.POWER) -> Iterator[Contents]:
        """What a new store may find after a cut now, the one that loses nothing first."""
        if outage is Outage.PROCESS:
            yield _applied(_applied(self.disk.base, self.disk.tail), self.disk.journaled)
        else:
            yield from self.disk.legal_states(outage)

    # ---- within

    def _make_durable(self) -> None:
        disk = self.disk
        for batch in disk.tail:
            _apply(disk.base, batch)
        disk.tail.clear()

    def _about_to(self, operation: str) -> None:
        if self.before_call is not None:
            self.before_call(operation, "store")

    def _struck(self, family: str, operation: str, phase: str) -> bool:
        return self.strike is not None and self.strike(family, operation, phase)

    def _require_open(self) -> None:
        if self._closed:
            raise RuntimeError(f"store {PATH} is closed: open it again")
        if self.disk.version != FORMAT:
            self._bring_up()

    def _bring_up(self) -> None:
        """Bring the disk to this format."""
        self._about_to("upgrade")
        if self._struck("store.eio", "upgrade", "before"):
            raise _io_error("open")
        if self._struck("store.enospc", "upgrade", "before"):
            raise _full("open")
        self.disk.upgrading = True
        if self._power:
            self._about_to("flush")
        self.disk.version, self.disk.upgrading = FORMAT, False

    def _require_whole(self) -> None:
        if self._broken is not None:
            raise StoreUnavailableError(self._broken, PATH)

    def _check_journal(self, writes: Batch) -> None:
        """What the protocol asks of whoever writes: what was noted, or what has replaced it."""
        keys = {(table, key): None for table, key, _ in writes}
        for batch in self.disk.journaled:
            for table, key, _ in batch:
                assert (table, key) in keys, f"{key!r} was journaled, and the next write leaves it out"

    def _too_much(self, writes: Batch) -> bool:
        if self.capacity is None:
            return False
        after = dict(self._now)
        _apply(after, writes)
        used = sum(len(key) + len(value) for (_, key), value in after.items())
        return used > self.capacity and used > sum(len(k) + len(v) for (_, k), v in self._now.items())


def _io_error(doing: str) -> StoreUnavailableError:
    return StoreUnavailableError(
        f"cannot {doing} store {PATH}: disk I/O error (SQLITE_IOERR); check the device, and any quota or "
        "limit on file sizes",
        PATH,
    )


def _full(doing: str) -> StoreFullError:
    return StoreFullError(
        f"cannot {doing} store {PATH}: the device is full; what was written before is intact: free some space "
        "and try again",
        PATH,
    )


def _size(batch: Batch) -> int:
    return 8 + sum(8 + len(key) + len(value or b"") for _, key, value in batch)


def _apply(contents: Contents, batch: Batch) -> None:
    for table, key, value in batch:
        if value is None:
            contents.pop((table, key), None)
        else:
            contents[table, key] = value


def _applied(contents: Contents, batches: Sequence[Batch]) -> Contents:
    after = dict(contents)
    for batch in batches:
        _apply(after, batch)
    return after
