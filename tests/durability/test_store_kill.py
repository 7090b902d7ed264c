"""The simulator's store promises no more than SQLite keeps: after a cut at any call, what the file holds is one
of the states that SimStore calls legal there.

Killed: a process carries out a workload and is killed at a system call; then at another one. Power: what the
device may hold is made from a log of the calls of one run (``platters.py``), at every one of them.
``LIVEPROOF_EVERY=1`` kills at every call, and looks at more of the states after a power cut.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import pytest

from liveproof.abc.store import Table
from liveproof.backends.sqlite_store import SqliteStore
from liveproof_sim.fakes.store import Contents, SimStore
from liveproof_sim.kernel.power import Outage
from tests.durability.platters import Call, Device, calls_of
from tests.durability.store_workload import WORKLOAD, carry_out
from tests.tidy.source import ROOT

EVERY = int(os.environ.get("LIVEPROOF_EVERY", "11"))
STATES = 2 if EVERY > 1 else 40
"""After each call, how many states of the device are looked at."""
CALLS_MAX = 300
STRACE = ("strace", "-f", "-qq", "-o", "/dev/null", "-e")
pytestmark = pytest.mark.skipif(
    shutil.which("strace") is None or not sys.platform.startswith("linux"), reason="watches calls with strace"
)
Durability = Literal["power", "process"]


def legal_at(done: int, durability: Durability, outage: Outage) -> list[Contents]:
    """What may be there when ``done`` operations have returned, and the next one may be under way."""
    store = SimStore(durability=durability)
    for operation in WORKLOAD[:done]:
        carry_out(store, operation)
    states = list(store.legal_states(outage))
    if done == len(WORKLOAD):
        return states  # it is being closed, and that changes nothing of what is there
    following = WORKLOAD[done]
    if following.kind == "durable":
        store.write(following.batch, durable=False)
        states += store.legal_states(outage)
        store.flush()
    else:
        carry_out(store, following)
    return [*states, *store.legal_states(outage)]


def contents_of(path: Path, durability: Durability) -> Contents:
    """What a new process finds."""
    store = SqliteStore(path, durability=durability)
    try:
        return {(table, key): value for table in Table for key, value in store.scan(table, b"")}
    finally:
        store.close()


def names(contents: Contents) -> str:
    return str({f"{table.name} {key!r}": value[:8] for (table, key), value in contents.items()})


def judge(found: Contents, legal: Iterable[Contents], where: str) -> None:
    states = list(legal)
    assert found in states, f"{where}: {names(found)} is none of {[names(each) for each in states]}"


@pytest.mark.parametrize("durability", ["power", "process"])
def test_killed_at_a_call_it_holds_a_legal_state(durability: Durability, tmp_path: Path) -> None:
    died: list[int] = []
    for moment in range(1, CALLS_MAX, EVERY):
        path = tmp_path / str(moment) / "store"
        inject = f"inject=pwrite64,fdatasync,ftruncate,unlink:signal=KILL:when={moment}"
        ran = subprocess.run(
            [*STRACE, inject, sys.executable, "-m", "tests.durability.store_workload", str(path), durability],
            cwd=ROOT,
            capture_output=True,
            check=False,
        )
        said = ran.stdout.split(b"\n")[:-1]
        if ran.returncode == 0:
            break
        assert ran.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL), ran.stderr
        if said:
            done = len(said) - 1
            legal = legal_at(done, durability, Outage.PROCESS)
            judge(contents_of(path, durability), legal, f"killed at call {moment}, after {done} operations")
            died.append(done)
    else:
        pytest.fail(f"the workload makes {CALLS_MAX} calls or more")
    assert len(died) >= 40 // EVERY, "killed too seldom"
    assert died == sorted(died)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Call]]:
    """Where a store was, and all the calls of its life."""
    base = tmp_path_factory.mktemp("power")
    root = base / "site"
    root.mkdir()
    command = ["-m", "tests.durability.store_workload", str(root / "store"), "power"]
    return root, calls_of(command, base / "log")


def cut_at_each(device: Device, calls: list[Call], place: Path, *, most: int) -> int:
    """Cut the power after each call; returns how many states were looked at."""
    done = -1
    looked = 0
    chance = random.Random(1)
    for number, call in enumerate(calls):
        done += call.kind == "said"
        device.note(call)
        if done < 0:
            continue
        legal = legal_at(done, "power", Outage.POWER)
        for after in (device.all_of_it(), *device.after_cuts(chance, most=most)):
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir()
            for name, data in after.items():
                (place / Path(name).name).write_bytes(data)
            where = f"after call {number} ({call.kind} {Path(call.path).name}) and {done} operations"
            judge(contents_of(place / "store", "process"), legal, where)
            looked += 1
    assert done == len(WORKLOAD)
    return looked


def test_after_a_power_cut_at_any_call_it_holds_a_legal_state(
    site: tuple[Path, list[Call]], tmp_path: Path
) -> None:
    root, calls = site
    looked = cut_at_each(Device(root), calls, tmp_path / "after", most=STATES)
    assert looked > len(calls)


class Liar(Device):
    """A device that says that it has flushed."""

    def note(self, call: Call) -> None:
        if call.kind != "sync" or Path(call.path).name != "store-wal":
            super().note(call)


def test_a_device_that_lies_is_noticed(site: tuple[Path, list[Call]], tmp_path: Path) -> None:
    root, calls = site
    with pytest.raises(AssertionError, match="is none of"):
        cut_at_each(Liar(root), calls, tmp_path / "after", most=STATES)


def test_an_illegal_state_is_noticed() -> None:
    """A later batch without an earlier one, and half a batch."""
    legal = legal_at(3, "power", Outage.POWER)
    whole = max(legal, key=len)
    for missing in whole:
        less = {place: value for place, value in whole.items() if place != missing}
        if missing[1] in (b"a", b"c"):
            with pytest.raises(AssertionError, match="is none of"):
                judge(less, legal, "here")
