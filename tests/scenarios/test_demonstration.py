"""The demonstration of ``scenarios/folder_watcher.py``, as ``make demo`` runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from scenarios.folder_watcher import DEMO, Place, app
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
]


def demonstrate(base: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "scenarios/folder_watcher.py", str(base)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


def test_the_demonstration_succeeds(tmp_path: Path) -> None:
    base = tmp_path / "demo"
    for _ in range(2):  # the second makes room first
        done = demonstrate(base)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stderr == ""
        place = Place(base)
        assert place.found() == place.wanted()
        assert {"new.html", "renamed.html", "many-0.html", "many-1.html"} <= place.found().keys()
        said = [line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ")]
        assert said == SAID


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
