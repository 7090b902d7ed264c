"""Runs apps in processes of their own, and lets them be killed, or has them kill themselves.

A process that has imported everything, and has no event loop and no thread, forks one worker after another:
a start costs milliseconds. It reads orders from stdin, one JSON object a line, and answers on stdout:
``{"pid": 1}`` when a worker has started, ``{"status": -9}`` when it has ended. ``{"signal": 9}`` sends a
signal to the worker, if there still is one.
"""

from __future__ import annotations

import faulthandler
import gc
import json
import os
import select
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Literal

import liveproof as coco
from liveproof.abc.store import Write
from liveproof.backends.os_filesystem import OsFileSystem
from liveproof.backends.sqlite_store import SqliteStore
from tests.durability import sites

POLL_S = 0.002


class Steps:
    """Counts the steps of what can be cut short; at one of them, the process dies."""

    def __init__(self, deadly: int | None, last_words: Path) -> None:
        self._deadly = deadly
        self._last_words = last_words
        self._lock = threading.Lock()
        self.taken = 0
        self.changes = 0
        """How many were changes of files."""

    def take(self, what: str, *, change: bool = False) -> None:
        """One step."""
        with self._lock:
            self.taken += 1
            self.changes += change
            if self.taken == self._deadly:
                self._last_words.write_text(f"step {self.taken}: {what}")
                os.kill(os.getpid(), signal.SIGKILL)

    @property
    def is_next(self) -> bool:
        """Whether the next step is the deadly one."""
        return self.taken + 1 == self._deadly


class MortalFileSystem(OsFileSystem):
    """A process may die before, after and in the middle of every change."""

    __slots__ = ("_steps",)

    def __init__(self, steps: Steps) -> None:
        self._steps = steps

    def write(self, path: str, data: bytes, /, *, mode: int | None = None) -> None:
        self._steps.take(f"before write {path}", change=True)
        if self._steps.is_next:
            super().write(path, data[: len(data) // 2], mode=mode)
        self._steps.take(f"amid write {path}")
        super().write(path, data, mode=mode)
        self._steps.take(f"after write {path}")

    def replace(self, source: str, destination: str, /) -> None:
        self._steps.take(f"before replace {destination}", change=True)
        super().replace(source, destination)
        self._steps.take(f"after replace {destination}")

    def remove(self, path: str, /) -> None:
        self._steps.take(f"before remove {path}")
        super().remove(path)
        self._steps.take(f"after remove {path}", change=True)

    def make_dir(self, path: str, /) -> None:
        self._steps.take(f"before make_dir {path}")
        super().make_dir(path)
        self._steps.take(f"after make_dir {path}", change=True)

    def remove_dir(self, path: str, /) -> None:
        self._steps.take(f"before remove_dir {path}")
        super().remove_dir(path)
        self._steps.take(f"after remove_dir {path}", change=True)

    def sync(self, path: str, /) -> None:
        self._steps.take(f"before sync {path}")
        super().sync(path)

    def sync_dir(self, directory: str, /) -> None:
        self._steps.take(f"before sync_dir {directory}")
        super().sync_dir(directory)


class MortalStore(SqliteStore):
    """The same for the store."""

    def __init__(self, path: Path, steps: Steps, durability: Literal["power", "process"]) -> None:
        self._steps = steps
        super().__init__(path, durability=durability)
        steps.take("store opened")

    def write(self, batch: Sequence[Write], /, *, durable: bool) -> None:
        self._steps.take("before store write")
        super().write(batch, durable=durable)
        self._steps.take("after store write")

    def flush(self) -> None:
        self._steps.take("before store flush")
        super().flush()
        self._steps.take("after store flush")

    def maintain(self) -> bool:
        self._steps.take("before store maintain")
        return super().maintain()

    def close(self) -> None:
        self._steps.take("before store close")
        super().close()
        self._steps.take("after store close")


def carry_out(order: dict[str, Any]) -> None:
    """Do what the order says."""
    base = Path(order["base"])
    steps = Steps(order.get("deadly"), base / "last-words")
    failures: list[str] = []

    def failed(exception: BaseException, context: coco.ExceptionContext) -> None:
        failures.append(f"{context.stable_path}: {exception!r}")
        traceback.print_exception(exception)

    environment = coco.Environment(
        store=MortalStore(base / "state.db", steps, order["durability"]),
        filesystem=MortalFileSystem(steps),
        exception_handler=failed,
    )
    app = sites.app_of(order["kind"], base, environment)
    try:
        if order["what"] == "drop":
            app.drop_blocking()
        else:
            app.update_blocking(live=order["what"] == "live")
    finally:
        environment.close()
    report = {"runs": sites.runs, "changes": steps.changes, "steps": steps.taken, "failures": failures}
    (base / "report.json").write_text(json.dumps(report))


def be_worker(order: dict[str, Any]) -> int:
    """What the forked process does; returns its exit code."""
    log = os.open(Path(order["base"]) / "worker.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    faulthandler.enable()
    print(f"--- {json.dumps(order)}", flush=True)
    try:
        carry_out(order)
    except KeyboardInterrupt:
        traceback.print_exc()
        return 130
    except BaseException:  # noqa: BLE001 - it is the end of the process
        traceback.print_exc()
        return 70
    else:
        return 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def serve(orders: IO[bytes]) -> None:
    """One worker after another, until stdin ends."""
    while line := orders.readline():
        order = json.loads(line)
        if "signal" in order:
            continue  # The worker had ended already.
        pid = os.fork()
        if pid == 0:
            os._exit(be_worker(order))
        print(json.dumps({"pid": pid}), flush=True)
        while not (ended := os.waitpid(pid, os.WNOHANG))[0]:
            if select.select([orders], [], [], POLL_S)[0]:
                line = orders.readline()
                with suppress(ProcessLookupError):
                    os.kill(pid, json.loads(line)["signal"] if line else signal.SIGKILL)
        print(json.dumps({"status": os.waitstatus_to_exitcode(ended[1])}), flush=True)


if __name__ == "__main__":
    gc.collect()
    gc.freeze()
    with open(0, "rb", buffering=0) as stdin:
        serve(stdin)
