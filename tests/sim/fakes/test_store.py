"""The store of the simulator keeps the rules of every store, and loses at a cut what it may lose, and no more.

What SQLite keeps after a real kill and a real loss of power is compared in ``tests/durability``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveproof.abc.store import Table, Write
from liveproof.backends.store_schema import FORMAT
from liveproof.errors import StoreBusyError, StoreFullError, StoreUnavailableError, StoreVersionError
from liveproof.testing.store import check_store
from liveproof_sim.fakes.store import Contents, Disk, SimStore
from liveproof_sim.kernel.power import Outage

STATE = Table.STATE
DURABILITIES: tuple[Literal["power", "process"], ...] = ("power", "process")


@pytest.mark.parametrize("durability", DURABILITIES)
def test_conformance(durability: Literal["power", "process"]) -> None:
    disk = Disk()
    check_store(lambda: SimStore(disk, durability=durability))


# ---- the oracle: batches in a plain list, and how many of them are flushed

batches = st.lists(
    st.tuples(st.just(STATE), st.sampled_from([b"a", b"b", b"c"]), st.none() | st.binary(max_size=1)),
    min_size=1,
    max_size=3,
)
steps = st.lists(st.one_of(st.tuples(st.just("write"), batches, st.booleans()), st.tuples(st.just("flush"))))


def replayed(history: list[list[Write]]) -> Contents:
    contents: Contents = {}
    for batch in history:
        for table, key, value in batch:
            contents[table, key] = value or b""
            if value is None:
                del contents[table, key]
    return contents


def prefixes(history: list[list[Write]], flushed: int) -> Iterator[Contents]:
    for length in range(len(history), flushed - 1, -1):
        yield replayed(history[:length])


@given(steps, st.integers(min_value=0))
def test_legal_states_are_the_prefixes(program: list[tuple[object, ...]], chosen: int) -> None:
    store = SimStore()
    history: list[list[Write]] = []
    flushed = 0
    for step in program:
        if step[0] == "flush":
            store.flush()
            flushed = len(history)
        else:
            _, batch, durable = step
            assert isinstance(batch, list)
            store.write(batch, durable=bool(durable))
            history.append(batch)
            flushed = len(history) if durable else flushed
    want = list(prefixes(history, flushed))
    assert list(store.legal_states()) == want
    assert list(store.legal_states(Outage.PROCESS)) == want[:1]
    asked: list[int] = []

    def draw(_label: str, options: int) -> int:
        asked.append(options)
        return chosen % options

    store.crash(draw, Outage.POWER)
    assert asked == ([len(want)] if len(want) > 1 else [])
    after = store.reopened()
    assert {(STATE, key): value for key, value in after.scan(STATE, b"")} == want[chosen % len(want)]


def test_what_was_journaled_survives_the_process_and_is_read_by_nobody_before() -> None:
    store = SimStore(durability="process")
    store.write([(STATE, b"a", b"1")], durable=False)
    assert store.journal([(STATE, b"a", b"2")])
    assert store.journal([(STATE, b"b", b"2")])
    assert store.get(STATE, b"a") == b"1"
    store.crash(lambda _label, _options: 0, Outage.PROCESS)
    after = store.reopened()
    assert dict(after.scan(STATE, b"")) == {b"a": b"2", b"b": b"2"}


def test_a_write_that_leaves_out_what_was_journaled_breaks_the_protocol() -> None:
    store = SimStore(durability="process")
    store.journal([(STATE, b"a", b"2")])
    with pytest.raises(AssertionError, match="was journaled"):
        store.write([(STATE, b"b", b"2")], durable=False)


def test_a_journal_has_its_room() -> None:
    store = SimStore(durability="process", journal_bytes=60)
    assert store.journal([(STATE, b"a", b"x" * 20)])
    assert not store.journal([(STATE, b"b", b"x" * 20)])
    assert not SimStore().journal([(STATE, b"a", b"1")])


# ---- others, and faults


def test_a_disk_has_one_writer_until_that_is_gone() -> None:
    disk = Disk()
    first = SimStore(disk)
    with pytest.raises(StoreBusyError, match="one writer"):
        SimStore(disk)
    first.close()
    second = SimStore(disk)
    second.crash(lambda _label, _options: 0, Outage.PROCESS)
    SimStore(disk).close()
    disk.version = FORMAT + 1
    with pytest.raises(StoreVersionError, match=f"format {FORMAT + 1}"):
        SimStore(disk)


def test_a_full_device_keeps_what_was_there() -> None:
    store = SimStore(capacity=10)
    store.write([(STATE, b"a", b"12345")], durable=True)
    with pytest.raises(StoreFullError, match="intact"):
        store.write([(STATE, b"b", b"12345")], durable=True)
    assert dict(store.scan(STATE, b"")) == {b"a": b"12345"}
    store.write([(STATE, b"a", b"1")], durable=True)
    store.write([(STATE, b"b", b"12345")], durable=True)


@pytest.mark.parametrize("operation", ["write", "read"])
def test_an_error_of_the_device_changes_nothing(operation: str) -> None:
    store = SimStore()
    store.write([(STATE, b"a", b"1")], durable=True)
    store.strike = lambda family, on, _phase: (family, on) == ("store.eio", operation)
    use: dict[str, Callable[[], object]] = {
        "read": lambda: store.get(STATE, b"a"),
        "write": lambda: store.write([(STATE, b"a", b"2")], durable=True),
    }
    with pytest.raises(StoreUnavailableError, match="I/O error"):
        use[operation]()
    store.strike = None
    assert store.get(STATE, b"a") == b"1"


def test_after_a_flush_that_failed_nothing_is_written_and_all_of_the_tail_is_in_doubt() -> None:
    store = SimStore()
    store.write([(STATE, b"a", b"1")], durable=True)
    store.strike = lambda _family, on, _phase: on == "flush"
    with pytest.raises(StoreUnavailableError, match="failed to flush"):
        store.write([(STATE, b"a", b"2")], durable=True)
    store.strike = None
    for use in (store.flush, lambda: store.write([(STATE, b"c", b"")], durable=False)):
        with pytest.raises(StoreUnavailableError, match="open the store again"):
            use()
    assert [state[STATE, b"a"] for state in store.legal_states()] == [b"2", b"1"]
    store.crash(lambda _label, options: options - 1, Outage.POWER)
    assert store.reopened().get(STATE, b"a") == b"1"
