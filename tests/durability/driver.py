"""What the tests of durability do to a worker and its files, and how they judge what is left."""

from __future__ import annotations

import contextlib
import json
import select
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from liveproof.core.drawer import MARK
from liveproof.core.paths import Symbol, decode_path
from liveproof.core.records import ComponentRecord, decode_record
from tests.durability import sites
from tests.tidy.source import ROOT

DEADLINE_S = 60.0
"""A worker that takes longer hangs."""
MOUNT_TARGET = Symbol("liveproof/mount_target")
SCAFFOLDING = ("the main function", "what watches", "the target directory")
"""The components that no file has made."""


class Worker:
    """One order under way."""

    def __init__(self, forge: Forge) -> None:
        self._forge = forge
        self.status: int | None = None

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, unless it has ended."""
        if self.status is None:
            self._forge.send({"signal": int(number)})

    def ended(self, within_s: float = 0.0) -> bool:
        """Whether it has ended, now or within this time."""
        if self.status is None:
            answer = self._forge.answer(within_s)
            self.status = None if answer is None else answer["status"]
        return self.status is not None

    def end(self) -> int:
        """Wait for its end; returns the exit code, negative for a signal."""
        if not self.ended(DEADLINE_S):
            self.signal(signal.SIGABRT)  # the traceback goes to the log
            self.ended(DEADLINE_S)
            raise AssertionError(f"a worker hangs: see {self._forge.base / 'worker.log'}")
        assert self.status is not None, "asked for above"
        return self.status


class Forge:
    """Workers, one after another, on one site."""

    def __init__(self, base: Path, kind: sites.Kind, durability: Literal["power", "process"]) -> None:
        self.base = base
        self.kind: sites.Kind = kind
        self.source = base / "source"
        self.target = base / "target"
        self._durability = durability
        self._aside = base.with_name(f"{base.name}-aside")
        self.source.mkdir(parents=True)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.durability.worker"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def close(self) -> None:
        """End the process that forks, and the worker, if there is one."""
        self._process.communicate(timeout=DEADLINE_S)

    def send(self, order: dict[str, Any]) -> None:
        assert self._process.stdin is not None, "a pipe"
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()

    def answer(self, within_s: float) -> dict[str, Any] | None:
        """The next answer, if it comes in time."""
        stdout = self._process.stdout
        assert stdout is not None, "a pipe"
        if not select.select([stdout], [], [], within_s)[0]:
            return None
        line = stdout.readline()
        assert line, "the process that forks has ended"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def start(self, what: str, deadly: int | None = None) -> Worker:
        """Begin an order; ``deadly`` is the step at which the worker kills itself."""
        for name in ("last-words", "report.json"):
            (self.base / name).unlink(missing_ok=True)
        self.send(
            {
                "what": what,
                "kind": self.kind,
                "base": str(self.base),
                "durability": self._durability,
                "deadly": deadly,
            }
        )
        assert self.answer(DEADLINE_S) is not None, "the process that forks hangs"
        return Worker(self)

    def carry_out(self, what: str) -> dict[str, Any]:
        """Carry an order out to its end; returns the worker's report."""
        code = self.start(what).end()
        assert code == 0, f"{what} ended with {code}: see {self.base / 'worker.log'}"
        report: dict[str, Any] = json.loads((self.base / "report.json").read_text())
        assert report["failures"] == [], report
        return report

    def remember(self) -> None:
        """Put a copy of everything aside. No worker may be running."""
        shutil.rmtree(self._aside, ignore_errors=True)
        shutil.copytree(self.base, self._aside)

    def keep(self) -> Path:
        """Save everything from pytest, which clears up, as it is and as it was put aside; returns where."""
        kept = ROOT / "build" / "killed" / f"{self.kind}-{self._durability}"
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(self.base, kept / "now")
        if self._aside.exists():
            shutil.copytree(self._aside, kept / "before")
        return kept

    # -- judging

    def check(self) -> None:
        """The target is what the source asks for, and the store knows of nothing else."""
        found, want = sites.files_below(self.target), sites.wanted(self.kind, self.base)
        assert found == want, differences(found, want)
        rows = Rows(self.base / "state.db")
        rows.check()
        keys = sorted(key for key in sites.files_below(self.source) if not key.endswith("/"))
        assert rows.files == keys, "a component too many or too few"
        assert rows.targets == 1 + len(want), "a target state too many or too few"

    def check_idle(self) -> None:
        """Another run finds nothing to do."""
        before = stamps(self.target)
        report = self.carry_out("update")
        assert report["changes"] == 0, report
        assert report["runs"] == [], report
        assert stamps(self.target) == before, "an idle run wrote"


@contextlib.contextmanager
def forge(base: Path, kind: sites.Kind, durability: Literal["power", "process"]) -> Iterator[Forge]:
    """A :class:`Forge` for the extent of a block."""
    made = Forge(base, kind, durability)
    try:
        yield made
    finally:
        made.close()


def differences(found: dict[str, str], want: dict[str, str]) -> str:
    """What is wrong with a target, in words."""
    wrong = [f"{name!r} should not be there" for name in found if name not in want]
    wrong += [f"{name!r} is missing" for name in want if name not in found]
    wrong += [f"{name!r} has old contents" for name in want if found.get(name, want[name]) != want[name]]
    return "; ".join(wrong)


def stamps(root: Path) -> dict[str, tuple[int, int, int]]:
    """What differs if a file or a directory has been written."""
    found: dict[str, tuple[int, int, int]] = {}
    for path in [root, *root.rglob("*")]:
        status = path.stat()
        found[str(path)] = (status.st_ino, status.st_mtime_ns, status.st_ctime_ns)
    return found


class Rows:
    """Everything in a store of one app, read without the runtime's help."""

    def __init__(self, path: Path) -> None:
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            rows = connection.execute("SELECT t, k, v FROM entry").fetchall()
        tables: dict[int, dict[bytes, bytes]] = {number: {} for number in range(1, 6)}
        for table, key, value in rows:
            tables[table][key] = value
        self._apps = tables[5]
        self.components: dict[bytes, ComponentRecord] = {k: decode_record(v) for k, v in tables[1].items()}
        self._owners = tables[2]
        self._belongings = [*tables[3], *tables[4]]
        self.targets = sum(len(record.targets) for record in self.components.values())
        """How many target states there are; the directory is one."""

    @property
    def total(self) -> int:
        """How many rows there are."""
        return len(self._apps) + len(self.components) + len(self._owners) + len(self._belongings)

    @property
    def files(self) -> list[str]:
        """Keys of the files that there are components of; paths are (app, who mounts them, key)."""
        paths = [decode_path(key) for key in self.components]
        return sorted(str(path[2]) for path in paths if len(path) == 3 and path[1] != MOUNT_TARGET)

    def check(self) -> None:
        """Nothing is orphaned, nothing is in doubt."""
        assert not (wrong := list(self.wrong())), "; ".join(wrong)

    def wrong(self) -> Iterator[str]:
        """What is orphaned or in doubt."""
        (app,) = self._apps
        if len(self.components) != len(SCAFFOLDING) + len(self.files):
            yield f"components of nothing: {sorted(map(decode_path, self.components))}"
        owners = dict(self._owners)
        for key, record in self.components.items():
            for target, entry in record.targets.items():
                name = f"target state {decode_path(target)} of {decode_path(key)}"
                if entry.maybe_missing or len(entry.possible) != 1:
                    yield f"{name} is in doubt"
                owner = owners.pop(app + target, None)
                if owner is None:
                    yield f"{name} has no owner"
                elif owner != key:
                    yield f"{name} has another owner: {decode_path(owner)}"
        for target, owner in owners.items():
            yield f"no component has target state {decode_path(target)}, the owner is to be {decode_path(owner)}"
        for key in self._belongings:
            if not any(key.startswith(component + MARK) for component in self.components):
                yield f"{key!r} was remembered for a component that is gone"
