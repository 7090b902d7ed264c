"""Ctrl-C and SIGTERM end a live run in order: nothing is half-done, and the next run goes on from there."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from scenarios.folder_watcher import Place
from tests.durability.driver import Rows, forge
from tests.durability.mischief import Mischief
from tests.durability.sites import files_below
from tests.tidy.source import ROOT

DEADLINE_S = 60.0

APP = """
import pathlib
from scenarios.folder_watcher import Place
place = Place(pathlib.Path(__file__).parent)
app = place.app(place.environment())
"""


def test_ctrl_c_at_random(tmp_path: Path) -> None:
    with forge(tmp_path / "site", "tree", "power") as site:
        mischief = Mischief(site.source, flat=False, swaps=True)
        site.carry_out("update")
        for number in range(12):
            rng = random.Random(f"Ctrl-C {number}")
            worker = site.start("live")
            for _ in range(rng.randint(0, 20)):
                mischief.do(rng)
                assert not worker.ended(rng.random() * 0.01), "it ended by itself"
            worker.signal(signal.SIGINT)
            assert worker.end() == 130, site.keep()
            assert [name for name in files_below(site.target) if name.endswith(".liveproof-tmp")] == []
            assert [wrong for wrong in Rows(site.base / "state.db").wrong() if "in doubt" in wrong] == []
            site.carry_out("update")
            site.check()


def wait_for(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.01)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_command_ends_in_order(number: signal.Signals, code: int, tmp_path: Path) -> None:
    place = Place(tmp_path)
    (tmp_path / "app.py").write_text(APP)
    place.source.mkdir()
    (place.source / "a.md").write_text("# A\n")
    command = [sys.executable, "-m", "liveproof.cli", "update", str(tmp_path / "app.py"), "--live"]
    environ = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])}
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            wait_for(lambda: (place.target / "a.html").exists() or process.poll() is not None)
            (place.source / "b.md").write_text("# B\n")
            wait_for(lambda: (place.target / "b.html").exists() or process.poll() is not None)
            process.send_signal(number)
            said = process.communicate(timeout=DEADLINE_S)
        finally:
            process.kill()
    assert process.returncode == code, said
    assert place.found() == place.wanted()
    assert list(Rows(place.store).wrong()) == []
