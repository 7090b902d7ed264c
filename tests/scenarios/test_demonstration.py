"""The demonstration, as ``make demo`` runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from liveproof_sim import replay
from liveproof_sim.trace import load
from scenarios.folder_watcher import DEMO, Place, app
from scenarios.live.folder_watcher_sim import watches_too_late
from tests.tidy.source import ROOT

DEADLINE_S = 120.0
SAID = [
    "watching",
    "writing",
    "caught",
    "edited",
    "added",
    "renamed",
    "replaced",
    "deleted",
    "rewritten",
    "added",
    "deleted",
    "stopped",
    "checked",
    "idle",
    "searching",
    "explored",
    "planting",
    "found",
    "shrunk",
    "replayed",
    "left",
]


def demonstrate(base: Path, module: str = "scenarios.demonstration") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module, str(base)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


def check_live(done: subprocess.CompletedProcess[str], base: Path, expected: list[str]) -> None:
    """The live part succeeded, and these lines were said."""
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    place = Place(base)
    assert place.found() == place.wanted()
    assert {"new.html", "renamed.html", "many-0.html", "many-1.html"} <= place.found().keys()
    assert [line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ")] == expected


def test_the_demonstration_succeeds(tmp_path: Path) -> None:
    base = tmp_path / "demo"
    check_live(demonstrate(base), base, SAID)
    trace = load((base / "failure.jsonl").read_text("utf-8"))
    again = replay(watches_too_late, trace)
    assert again.failure is not None
    text, page = ((base / name).read_text("utf-8") for name in ("report.txt", "report.html"))
    assert again.failure.stock in text
    assert f"again: liveproof replay {base / 'failure.jsonl'}" in text
    assert again.failure.stock in page
    # The live part goes by itself, too, and makes room first.
    check_live(demonstrate(base, "scenarios.folder_watcher"), base, SAID[: SAID.index("idle") + 1])
    assert not (base / "failure.jsonl").exists()


def test_it_does_not_remove_what_is_not_its_own(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("the only copy")
    done = demonstrate(tmp_path)
    assert done.returncode == 1
    assert "thesis.txt" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_it_does_not_disturb_a_running_app(tmp_path: Path) -> None:
    place = Place(tmp_path)
    environment = place.environment()
    assert environment.store.path, "opened, as an update does"
    try:
        done = demonstrate(tmp_path)
    finally:
        environment.close()
    assert done.returncode == 1
    assert "already open" in done.stderr
    assert place.store.exists()


def test_importing_it_makes_nothing() -> None:
    assert app.name == "folder_watcher"
    code = "import os, scenarios.folder_watcher as f; print(os.path.exists(f.DEMO))"
    known = DEMO.exists()
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE_S, check=True
    )
    assert done.stderr == ""
    assert done.stdout == f"{known}\n"
