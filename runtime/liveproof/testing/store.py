"""What every :class:`liveproof.abc.store.Store` must do, as one test body; and the smallest store that does
it.

``check_store`` runs on the store on disk, on the simulator's, and on yours::

    def test_my_store(tmp_path):
        check_store(lambda: MyStore(tmp_path / "state"))
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import cast, overload

from liveproof.abc.store import Store, Table, Write

__all__ = ["MemoryStore", "check_store"]


class MemoryStore:
    """A store in memory, for tests.

    Its physics: ``disk`` is what survives. A durable write, and ``close``, put everything written so far on
    it; a store that is abandoned without ``close`` has crashed, and the worst happened: nothing else is on
    the disk. A new ``MemoryStore`` on the same ``disk`` is the restart.
    """

    def __init__(self, disk: dict[tuple[Table, bytes], bytes] | None = None) -> None:
        self._disk = {} if disk is None else disk
        self._now = dict(self._disk)
        self._pending: list[Write] = []  # Invariant: the disk with these applied equals _now.
        self._closed = False
        self.flushes = 0
        """how many times anything was put on the disk on request"""

    @property
    def path(self) -> str:
        """A name for messages."""
        return ":memory:"

    @property
    def blocking(self) -> bool:
        """Never."""
        return False

    def get(self, table: Table, key: bytes, /) -> bytes | None:
        """The value, or ``None``."""
        return self._contents().get((table, key))

    def scan(
        self, table: Table, prefix: bytes, /, *, limit: int | None = None
    ) -> Iterator[tuple[bytes, bytes]]:
        """Entries whose key begins with ``prefix``, at most ``limit``, in order, as of the call."""
        inside = ((k, v) for (t, k), v in self._contents().items() if t == table and k.startswith(prefix))
        return iter(sorted(inside)[:limit])

    def write(self, batch: Sequence[Write], /, *, durable: bool) -> None:
        """Look at all of the batch first, so that it can't fail half-way."""
        contents = self._contents()
        writes = list(batch)
        for _, key, value in writes:
            if not isinstance(key, bytes) or not isinstance(value, bytes | None):
                kinds = f"{type(key).__name__} and {type(value).__name__}"
                raise TypeError(f"keys and values are bytes, not {kinds}")
        _apply(contents, writes)
        self._pending += writes
        if durable:
            self.flush()

    def journal(self, batch: Sequence[Write], /) -> bool:
        """Never: to write is as cheap."""
        return False

    def flush(self) -> None:
        """Put everything written so far on the disk."""
        self._contents()
        if self._pending:
            self.flushes += 1
        self._flush()

    def maintain(self) -> None:
        """Nothing: there is no log."""

    def close(self) -> None:
        """Flush; later uses raise."""
        if not self._closed:
            self._flush()
            self._closed = True

    def _flush(self) -> None:
        _apply(self._disk, self._pending)
        self._pending.clear()

    def _contents(self) -> dict[tuple[Table, bytes], bytes]:
        if self._closed:
            raise RuntimeError("store :memory: is closed: open it again")
        return self._now


def _apply(contents: dict[tuple[Table, bytes], bytes], writes: list[Write]) -> None:
    for table, key, value in writes:
        if value is None:
            contents.pop((table, key), None)
        else:
            contents[table, key] = value


def check_store(make_store: Callable[[], Store], /) -> None:
    """Raise ``AssertionError`` where the store breaks its protocol.

    ``make_store`` opens one and the same store every time; the one before is always closed first. It must be
    empty at the first call; what is left in it at the end means nothing.

    Not found here, because no protocol call can show it: what survives a crash or a power cut, whether
    two processes are kept apart, and what happens on a full or damaged device.
    """
    for check in _CHECKS:
        store = make_store()
        try:
            _empty(store)
            check(store)
        finally:
            store.close()
    _check_reopen(make_store)
    _check_close(make_store)


# Every byte that an order or a range can get wrong: the empty key, zeros, the ends of the byte range, a
# prefix of another key, text beyond ASCII. In order.
_KEYS = (
    b"", b"\x00", b"\x00\x00", b"\x00\xff", b"\x01", b"a", b"a\x00", b"a\x00b", b"aa", b"a\xfe", b"a\xff",
    b"a\xff\x00", b"a\xff\xff", b"a\xff\xffz", b"b", "é".encode(), b"\xfe\xff", b"\xff", b"\xff\x00",
    b"\xff\xfe", b"\xff\xff", b"\xff\xff\xff",
)  # fmt: skip


def _check_values(store: Store) -> None:
    """What was put is what is got: any key, any value, each table apart."""
    assert list(_KEYS) == sorted(_KEYS)
    for table in Table:
        store.write([(table, key, b"%d:" % table + key) for key in _KEYS], durable=False)
    for table, key in itertools.product(Table, _KEYS):
        _equal(store.get(table, key), b"%d:" % table + key, f"get({table!r}, {key!r})")
    _equal(store.get(Table.STATE, b"no such key"), None, "get of a key never put")
    for value in (b"", b"\x00", bytes(range(256)), b"text\x00more", b"x" * (3 << 20)):
        store.write([(Table.STATE, b"value", value)], durable=True)
        _equal(store.get(Table.STATE, b"value"), value, f"get of a value of {len(value)} bytes")
    long_key = b"k" * 20_000
    store.write([(Table.STATE, long_key, b"1"), (Table.STATE, long_key + b"k", b"2")], durable=False)
    _equal(store.get(Table.STATE, long_key), b"1", "get of a key of 20 000 bytes")
    _equal([v for _, v in store.scan(Table.STATE, long_key)], [b"1", b"2"], "scan of keys of 20 000 bytes")


def _check_scans(store: Store) -> None:
    """A scan gives exactly the keys with the prefix, in the order of their bytes."""
    # Put in another order than theirs, in several batches, with neighbours in other tables.
    for key in sorted(_KEYS, key=lambda key: key[::-1]):
        store.write([(Table.OWNER, key, b"v" + key)], durable=False)
    elsewhere: list[Write] = [(Table.COMPONENT, b"zz", b""), (Table.MEMO, b"", b""), (Table.MEMO, b"a", b"")]
    store.write(elsewhere, durable=False)
    for prefix in dict.fromkeys(key[:end] for key in (*_KEYS, b"nothing") for end in range(len(key) + 1)):
        want = [(key, b"v" + key) for key in _KEYS if key.startswith(prefix)]
        _equal(list(store.scan(Table.OWNER, prefix)), want, f"scan(OWNER, {prefix!r})")
        some = store.scan(Table.OWNER, prefix, limit=2)
        _equal(list(some), want[:2], f"scan(OWNER, {prefix!r}, limit=2)")
    _equal(list(store.scan(Table.STATE, b"")), [], "scan of an empty table")
    many = [b"%05d" % n for n in range(5_000)]
    store.write([(Table.STATE, key, key) for key in reversed(many)], durable=False)
    _equal(list(store.scan(Table.STATE, b"")), [(key, key) for key in many], "scan of 5 000 entries")
    _equal(len(list(store.scan(Table.STATE, b"012"))), 100, "entries under a prefix among 5 000")


def _check_batches(store: Store) -> None:
    """Writes of a batch happen in its order; removing what is not there is nothing."""
    state = Table.STATE
    store.write([], durable=False)
    store.write([], durable=True)
    store.write([(state, b"absent", None)], durable=True)
    twice: list[Write] = [(state, b"a", b"1"), (state, b"a", b"2"), (state, b"b", b"1"), (state, b"b", None)]
    store.write(twice, durable=False)
    _equal(_all(store, state), {b"a": b"2"}, "a batch that writes a key twice")
    store.write([(state, b"a", None), (state, b"a", b"3"), (Table.MEMO, b"a", b"4")], durable=True)
    _equal(_all(store, state), {b"a": b"3"}, "a removal, then a put, of one key in one batch")
    store.write([(state, b"a", None)], durable=False)
    _equal(store.get(state, b"a"), None, "get after a removal")
    _equal(store.get(Table.MEMO, b"a"), b"4", "the same key in another table after that removal")
    store.flush()
    store.flush()
    store.maintain()
    store.write(((state, b"t", b"5"),), durable=False)
    _equal(_all(store, state), {b"t": b"5"}, "a batch given as a tuple")


def _check_failing_batches(store: Store) -> None:
    """A batch that raises has left nothing, and the store goes on."""
    before = {b"kept": b"1", b"gone?": b"2"}
    store.write([(Table.STATE, key, value) for key, value in before.items()], durable=True)
    good: list[Write] = [(Table.STATE, b"kept", b"overwritten"), (Table.STATE, b"gone?", None)]
    good += [(Table.STATE, b"new%d" % n, b"") for n in range(50)]
    bad: list[tuple[str, Sequence[Write]]] = [
        ("with a text for a value at its end", [*good, cast("Write", (Table.STATE, b"bad", "text"))]),
        ("with an object for a value at its end", [*good, cast("Write", (Table.STATE, b"bad", object()))]),
        ("with a text for a key at its end", [*good, cast("Write", (Table.STATE, "bad", b""))]),
        ("that fails while it is read", _Breaking(good)),
    ]
    for (what, batch), durable in itertools.product(bad, (False, True)):
        accepted = not _raises(partial(store.write, batch, durable=durable))
        assert not accepted, f"a batch {what} was accepted"
        _equal(_all(store, Table.STATE), before, f"the store after a batch {what}")
    store.write(good, durable=True)
    _equal(len(_all(store, Table.STATE)), 51, "entries after the same batch without its fault")


def _check_interleaving(store: Store) -> None:
    """A scan is of one moment, whatever happens meanwhile; reads beside it see what is new."""
    rows = [b"%04d" % n for n in range(3_000)]
    store.write([(Table.STATE, key, b"old") for key in rows], durable=False)
    scan = store.scan(Table.STATE, b"")
    seen = [next(scan) for _ in range(10)]
    store.write([(Table.STATE, key, b"new") for key in rows] + [(Table.STATE, b"9999", b"new")], durable=True)
    _equal(store.get(Table.STATE, b"2999"), b"new", "get, with a scan half-way")
    store.write([(Table.STATE, key, None) for key in rows[1_000:]], durable=False)
    other = store.scan(Table.STATE, b"0")
    _equal(next(other), (b"0000", b"new"), "a second scan begun with the first half-way")
    seen += scan
    _equal(seen, [(key, b"old") for key in rows], "a scan with writes half-way")
    _equal(len(list(other)), 999, "the rest of the second scan")
    abandoned = store.scan(Table.STATE, b"")
    next(abandoned)
    del abandoned
    for n in range(20):
        store.write([(Table.STATE, b"n", b"%d" % n)], durable=n % 2 == 0)
        _equal(store.get(Table.STATE, b"n"), b"%d" % n, "get straight after a write")


_CHECKS = (_check_values, _check_scans, _check_batches, _check_failing_batches, _check_interleaving)


def _check_reopen(make_store: Callable[[], Store]) -> None:
    """What was written is there after ``close``, durable or not; what was removed is not."""
    want: dict[bytes, bytes] = {}
    for generation in range(4):
        store = make_store()
        try:
            if generation == 0:
                _empty(store)
            _equal(_all(store, Table.APP), want, f"the store after {generation} times close and open")
            for durable in (True, False):
                new = {b"%d %d %d" % (generation, durable, n): b"v" * n for n in range(300)}
                old = next(iter(want), b"none")
                batch: list[Write] = [(Table.APP, key, value) for key, value in new.items()]
                store.write([*batch, (Table.APP, old, None)], durable=durable)
                want.update(new)
                want.pop(old, None)
        finally:
            store.close()


def _check_close(make_store: Callable[[], Store]) -> None:
    """``close`` may be called twice; nothing else may be called after it."""
    store = make_store()
    scan = store.scan(Table.APP, b"")
    next(scan)
    assert isinstance(store.path, str)
    assert isinstance(store.blocking, bool)
    store.close()
    store.close()
    uses: dict[str, Callable[[], object]] = {
        "get": lambda: store.get(Table.APP, b""),
        "scan": lambda: list(store.scan(Table.APP, b"")),
        "write": lambda: store.write([(Table.APP, b"", b"")], durable=True),
    }
    for name, use in uses.items():
        assert _raises(use), f"{name} after close raised nothing"


class _Breaking(Sequence[Write]):
    """A batch whose iteration fails at its end."""

    def __init__(self, writes: Sequence[Write]) -> None:
        self._writes = writes

    @overload
    def __getitem__(self, index: int, /) -> Write: ...
    @overload
    def __getitem__(self, index: slice, /) -> Sequence[Write]: ...
    def __getitem__(self, index: int | slice, /) -> Write | Sequence[Write]:
        if isinstance(index, int) and index >= len(self._writes):
            raise ArithmeticError("planted by check_store")
        return self._writes[index]

    def __iter__(self) -> Iterator[Write]:
        return (self[index] for index in range(len(self)))

    def __len__(self) -> int:
        return len(self._writes) + 1


def _all(store: Store, table: Table) -> dict[bytes, bytes]:
    return dict(store.scan(table, b""))


def _raises(use: Callable[[], object]) -> bool:
    try:
        use()
    except Exception:  # noqa: BLE001 - which one is the store's business
        return True
    return False


def _empty(store: Store) -> None:
    for table in Table:
        store.write([(table, key, None) for key, _ in store.scan(table, b"")], durable=False)
        _equal(list(store.scan(table, b"")), [], f"scan of {table!r} after everything was removed")


def _equal(got: object, want: object, what: str) -> None:
    assert got == want, f"{what}: {_short(got)}, not {_short(want)}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:120]} … {text[-60:]} ({len(text)} characters)"
