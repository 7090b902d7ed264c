"""The wheel holds exactly ``liveproof/`` and ``liveproof_sim/``, whole, and its own metadata."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

from tests.tidy.source import ROOT

PACKAGE_ROOTS = {"liveproof": ROOT / "runtime", "liveproof_sim": ROOT / "sim"}


def strangers(names: list[str]) -> list[str]:
    """Names in a wheel that belong to neither package nor to its metadata."""
    tops = [*PACKAGE_ROOTS, *(f"{name.split('/')[0]}" for name in names if ".dist-info/" in name)]
    return [name for name in names if name.split("/")[0] not in tops]


def _files_of(package: str) -> list[str]:
    root = PACKAGE_ROOTS[package]
    files = (path for path in (root / package).rglob("*") if path.suffix != ".pyc" and path.is_file())
    return [path.relative_to(root).as_posix() for path in files]


def test_wheel_holds_the_two_packages(tmp_path: Path) -> None:
    before = sorted(name for package in PACKAGE_ROOTS for name in _files_of(package))
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name.startswith("liveproof-")
    names = zipfile.ZipFile(wheel).namelist()
    assert strangers(names) == []
    assert sorted(name for name in names if ".dist-info/" not in name) == before
    assert "liveproof/py.typed" in names
    assert "liveproof_sim/py.typed" in names
    assert any(name.endswith("/licenses/LICENSE") for name in names)


def test_a_stranger_in_the_wheel_is_found() -> None:
    own = ["liveproof/app.py", "liveproof_sim/__init__.py", "liveproof-1.dist-info/RECORD"]
    assert strangers(own) == []
    assert strangers([*own, "tests/test_a.py", "py.typed"]) == ["tests/test_a.py", "py.typed"]
