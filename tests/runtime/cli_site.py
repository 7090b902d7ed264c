"""An app to run the command on, in a directory of its own, and processes that are not waited for blindly."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import liveproof

DEADLINE_S = 60.0
"""Only reached when something is wrong: the machine may be busy."""

APP = """
import pathlib, sys, time
import liveproof as coco
from liveproof.connectors import localfs

HERE = pathlib.Path(__file__).parent


class Handler:
    def reconcile(self, key, desired, prev, may_be_missing, /):
        if coco.is_non_existence(desired):
            return coco.TargetReconcileOutput((key, None), SINK, coco.NON_EXISTENCE)
        if not may_be_missing and list(prev) == [desired]:
            return None
        return coco.TargetReconcileOutput((key, desired), SINK, desired)


def apply(context, actions):
    for key, text in actions:
        if (HERE / "hang").exists():
            (HERE / "hanging").touch()
            time.sleep(3600)
        if text is None:
            if (HERE / "refuse").exists():
                raise OSError(f"{key} may not go")
            (HERE / "out" / key).unlink(missing_ok=True)
        else:
            (HERE / "out" / key).write_text(text)


SINK = coco.TargetActionSink.from_fn(apply)
FILES = coco.register_root_target_states_provider("test/file", Handler())


@coco.fn(memo=True)
async def process(file):
    text = await file.read_text()
    print("processing", file.file_path.path.name)
    if "bad" in text:
        raise ValueError(f"{text} is bad")
    coco.declare_target_state(FILES.target_state(file.file_path.path.name, text.upper()))


async def main():
    (HERE / "out").mkdir(exist_ok=True)
    if (HERE / "raise").exists():
        raise ValueError("boom")
    await coco.mount_each(process, localfs.walk_dir(HERE / "src", live=True).items())


app = coco.App("docs", main)
"""


class Site:
    """A directory with an app, its sources and its targets."""

    def __init__(self, folder: Path, app: str = APP) -> None:
        self.folder = folder
        (folder / "src").mkdir()
        (folder / "app.py").write_text(app)
        self.store = folder / ".liveproof" / "state.db"

    def source(self, **files: str) -> None:
        for name, text in files.items():
            (self.folder / "src" / name).write_text(text)

    @property
    def targets(self) -> dict[str, str]:
        return {path.name: path.read_text() for path in sorted((self.folder / "out").iterdir())}

    def run(self, *args: str, code: int = 0, **more: Any) -> subprocess.CompletedProcess[str]:
        """Run the command to its end, which must have this exit code. Stdin is no terminal."""
        done = subprocess.run(
            self.command(args),
            cwd=self.folder,
            env=self.env(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
            **more,
        )
        assert done.returncode == code, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def json(self, *args: str, code: int = 0) -> list[dict[str, Any]]:
        """The objects that ``--json`` writes: every line of stdout is one."""
        return [json.loads(line) for line in self.run(*args, "--json", code=code).stdout.splitlines()]

    def start(self, *args: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(args),
            cwd=self.folder,
            env=self.env(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def command(self, args: tuple[str, ...]) -> list[str]:
        return [sys.executable, "-m", "liveproof.cli", *args]

    def env(self) -> dict[str, str]:
        unset = ("LIVEPROOF_DB", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "TTY_COMPATIBLE")
        kept = {name: value for name, value in os.environ.items() if name not in unset}
        path = str(Path(liveproof.__file__).parents[1])
        return {**kept, "PYTHONPATH": path, "TERM": "xterm-256color", "PYTHONDONTWRITEBYTECODE": "1"}


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait, looking often, for something that is bound to happen."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.01)


def lines_until(process: subprocess.Popen[str], wanted: str) -> list[str]:
    """What a process writes to stdout, up to the first line with this text."""
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if wanted in line:
            return lines
    process.wait(DEADLINE_S)
    assert process.stderr is not None
    raise AssertionError(f"{wanted!r} never came: {lines} {process.stderr.read()}")


class Terminal:
    """A command on a pseudo-terminal: Ctrl-C comes from its line discipline, as from a keyboard."""

    def __init__(self, site: Site, *args: str) -> None:
        self.text = ""
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.chdir(site.folder)
            command = site.command(args)
            os.execve(command[0], command, site.env())

    def type(self, text: str) -> None:
        with contextlib.suppress(OSError):  # it may have ended
            os.write(self._fd, text.encode())

    def read(self) -> bool:
        """Take in what is there; False at the end."""
        ready, _, _ = select.select([self._fd], [], [], 0.05)
        if ready:
            try:
                data = os.read(self._fd, 65536)
            except OSError:  # Linux's way to say that the other end is closed
                return False
            self.text += data.decode()
            return bool(data)
        return True

    def until(self, wanted: str) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while wanted not in self.text:
            open_ = self.read()
            assert open_ or wanted in self.text, f"{wanted!r} never came: {self.text}"
            assert time.monotonic() < deadline, f"{wanted!r} did not come in time: {self.text}"

    def end(self) -> int:
        """The exit code."""
        deadline = time.monotonic() + DEADLINE_S
        while self.read():
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
                break
        os.close(self._fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def ended(processes: list[subprocess.Popen[str]]) -> Iterator[None]:
    """A fixture's body: none of these outlives its test."""
    yield
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()
