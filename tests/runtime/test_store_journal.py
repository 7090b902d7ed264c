"""The journal of ``durability="process"``: what is noted there outlives the process."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from liveproof.abc.store import Table, Write
from liveproof.backends.sqlite_store import SqliteStore
from liveproof.backends.store_journal import JOURNAL_BYTES, Journal, leftover_batches

BATCHES: list[list[Write]] = [
    [(Table.COMPONENT, b"a", b"1")],
    [(Table.COMPONENT, b"a", b"2"), (Table.OWNER, b"", None)],
    [(Table.APP, b"\xff" * 300, bytes(1000))],
]


def test_what_is_noted_is_what_is_left(tmp_path: Path) -> None:
    path = str(tmp_path / "noted")
    journal = Journal(path)
    assert all(journal.append(batch) for batch in BATCHES)
    assert list(leftover_batches(path)) == BATCHES
    journal.clear()
    assert journal.is_empty
    assert list(leftover_batches(path)) == []
    assert journal.append(BATCHES[2])
    assert list(leftover_batches(path)) == [BATCHES[2]], "nothing of what was noted before the clearing"


def test_no_file_is_no_batch(tmp_path: Path) -> None:
    assert list(leftover_batches(str(tmp_path / "none"))) == []


def test_a_full_journal_refuses_and_keeps_what_it_has(tmp_path: Path) -> None:
    path = str(tmp_path / "noted")
    journal = Journal(path)
    big: list[Write] = [(Table.COMPONENT, b"k", bytes(JOURNAL_BYTES // 3))]
    assert [journal.append(big) for _ in range(4)] == [True, True, False, False]
    assert list(leftover_batches(path)) == [big, big]


@pytest.mark.parametrize("at", range(0, 90, 7))
def test_a_torn_record_ends_the_list(tmp_path: Path, at: int) -> None:
    """Whatever byte is wrong: a prefix of the batches is left, each of them whole."""
    path = tmp_path / "noted"
    journal = Journal(str(path))
    for batch in BATCHES:
        journal.append(batch)
    journal.close()
    data = bytearray(path.read_bytes())
    data[at] ^= 0x55
    path.write_bytes(data)
    left = list(leftover_batches(str(path)))
    assert left == BATCHES[: len(left)]
    assert len(left) < len(BATCHES)


@pytest.mark.parametrize("durability", ["power", "process"])
def test_the_next_store_writes_what_was_noted(tmp_path: Path, durability: str) -> None:
    store = SqliteStore(tmp_path / "store", durability="process")
    store.write([(Table.COMPONENT, b"a", b"0"), (Table.COMPONENT, b"b", b"0")], durable=False)
    assert store.journal(BATCHES[0])
    assert store.journal(BATCHES[1])
    assert store.get(Table.COMPONENT, b"a") == b"0", "noted, not applied"
    died = tmp_path / "died"
    for suffix in ("", "-wal", "-noted"):
        shutil.copyfile(tmp_path / f"store{suffix}", f"{died}{suffix}")
    after = SqliteStore(died, durability="power" if durability == "power" else "process")
    assert list(after.scan(Table.COMPONENT, b"")) == [(b"a", b"2"), (b"b", b"0")]
    after.close()
    assert not Path(f"{died}-noted").exists()
    store.write([(Table.COMPONENT, b"a", b"3")], durable=False)
    assert list(leftover_batches(str(tmp_path / "store-noted"))) == [], "a write stands for all that was noted"
    store.close()


def test_power_has_no_journal(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "store")
    assert not store.journal(BATCHES[0])
    store.close()


DIES = """
import os, signal, sys
from liveproof.abc.store import Table
from liveproof.backends.sqlite_store import SqliteStore

store = SqliteStore(sys.argv[1], durability="process")
for n in range(int(sys.argv[2])):
    assert store.journal([(Table.STATE, b"%03d" % n, b"")])
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_loses_nothing_that_it_noted(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(name for name in sys.path if name)}
    path = tmp_path / "store"
    command = [sys.executable, "-c", DIES, str(path), "40"]
    ended = subprocess.run(command, capture_output=True, check=False, env=environment)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    store = SqliteStore(path, durability="process")
    assert [key for key, _ in store.scan(Table.STATE, b"")] == [b"%03d" % n for n in range(40)]
    store.close()
