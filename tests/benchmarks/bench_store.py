"""The store on disk, as the ledger uses it. On a real disk: under ``.benchmarks`` in the tree."""

from __future__ import annotations

import itertools
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from liveproof.abc.store import Table, Write
from liveproof.backends.sqlite_store import SqliteStore

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

ROWS = 10_000
VALUE = b"v" * 60


def _key(i: int) -> bytes:
    return b"s\x00\x00\x00\x0brow-%07d" % i


def _batches(size: int) -> Iterator[list[Write]]:
    """Batches of new values for existing rows."""
    for version in itertools.count():
        start = version * size
        yield [(Table.COMPONENT, _key((start + i) % ROWS), VALUE + version.to_bytes(4, "big")) for i in range(size)]


@pytest.fixture(params=["power", "process"])
def store(request: pytest.FixtureRequest) -> Iterator[SqliteStore]:
    durability: Literal["power", "process"] = request.param
    directory = Path(__file__).resolve().parents[2] / ".benchmarks"
    directory.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory) as scratch:
        opened = SqliteStore(str(Path(scratch) / "store"), durability=durability)
        opened.write([(Table.COMPONENT, _key(i), VALUE) for i in range(ROWS)], durable=True)
        yield opened
        opened.close()


@pytest.mark.parametrize("size", [2, 64, 1024])
def test_durable_write(benchmark: BenchmarkFixture, store: SqliteStore, size: int) -> None:
    """What one ``ready()`` waits for: with size 2 alone, with size 1024 shared by hundreds."""
    batches = _batches(size)
    benchmark(lambda: store.write(next(batches), durable=True))


@pytest.mark.parametrize("size", [2, 64, 1024])
def test_write(benchmark: BenchmarkFixture, store: SqliteStore, size: int) -> None:
    """A commit that nobody waits for."""
    batches = _batches(size)
    benchmark(lambda: store.write(next(batches), durable=False))


def test_write_beside_a_busy_loop(benchmark: BenchmarkFixture, store: SqliteStore) -> None:
    """The same from a thread, as the ledger does for large batches, while the loop's thread computes.

    Each time a write lets the interpreter lock go it waits to get it back: for the switch interval,
    5 ms, if the loop is busy. So what counts is how often it lets go.
    """
    batches = _batches(1024)

    def write() -> None:
        thread = threading.Thread(target=store.write, args=(next(batches),), kwargs={"durable": True})
        thread.start()
        while thread.is_alive():
            sum(range(100))
        thread.join()

    benchmark.pedantic(write, rounds=3)  # type: ignore[no-untyped-call]


def test_get(benchmark: BenchmarkFixture, store: SqliteStore) -> None:
    keys = itertools.cycle(map(_key, range(ROWS)))
    assert benchmark(lambda: store.get(Table.COMPONENT, next(keys))) is not None


def test_scan(benchmark: BenchmarkFixture, store: SqliteStore) -> None:
    """All rows of a component with ten thousand children."""
    rows = benchmark(lambda: list(store.scan(Table.COMPONENT, b"s")))
    assert len(rows) == ROWS
