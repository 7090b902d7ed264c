"""The code in README.md runs, and says what it does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import liveproof as coco
from liveproof_sim import World
from liveproof_sim.explore.strategies import NAMES
from liveproof_sim.properties import Monitors
from tests.scenarios.page_modules import module
from tests.scenarios.page_world import Runs, eventually
from tests.tidy.source import ROOT

README = (ROOT / "README.md").read_text("utf-8")
PLUGIN = "".join(path.read_text("utf-8") for path in (ROOT / "sim/liveproof_sim/pytest_plugin").glob("*.py"))
DEADLINE_S = 120.0
EXAMPLE_LINES_MAX = 25


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


NOTES, WATCHER, TEST, EXPLORED, RACE = blocks("python")


def run(*command: str, cwd: Path) -> str:
    done = subprocess.run(
        [sys.executable, *command], cwd=cwd, capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "notes.py").write_text(NOTES)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.md").write_text("1 < 2")
    (tmp_path / "notes" / "b.txt").write_text("no Markdown")
    return tmp_path


def test_the_program(folder: Path) -> None:
    run("notes.py", cwd=folder)
    page = folder / "pages" / "a.html"
    assert page.read_text() == "<pre>1 &lt; 2</pre>"
    assert [path.name for path in (folder / "pages").iterdir()] == ["a.html"]
    before = page.stat()
    run("notes.py", cwd=folder)
    assert page.stat().st_ino == before.st_ino
    (folder / "notes" / "a.md").unlink()
    run("notes.py", cwd=folder)
    assert list((folder / "pages").iterdir()) == []


def test_the_program_is_short() -> None:
    code = [line for line in NOTES.splitlines() if line.strip() and not line.startswith('"""')]
    assert len(code) <= EXAMPLE_LINES_MAX


def test_the_commands(folder: Path) -> None:
    """Those of the section on the command line, in its order."""
    (commands,) = (block for block in blocks("sh") if "liveproof update" in block)
    for line in commands.splitlines():
        command, *arguments = line.partition("#")[0].split()
        assert command == "liveproof"
        force = ["--force"] if arguments[0] == "drop" else []
        said = run("-m", "liveproof.cli", *arguments, *force, cwd=folder)
        if arguments[0] in ("ls", "show"):
            assert "notes" in said
    assert not (folder / "pages").exists()


def test_the_targets_of_make() -> None:
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    named = re.findall(r"\bmake (\w+)", "\n".join(blocks("sh")))
    assert {"demo", "test", "check", "verify", "bench"} == set(named) <= set(targets)


def test_the_places() -> None:
    places = re.findall(r"`((?:runtime|sim|scenarios|tests|reports)/[\w/.]*|[A-Z]+(?:\.md)?)`", README)
    assert len(places) > 8
    for place in places:
        assert place == "LICENSE" or "/" in place or place.endswith(".md") or place.isupper(), place
        if "/" in place or place.endswith(".md"):
            assert (ROOT / place).exists(), place


async def test_the_live_component(tmp_path: Path) -> None:
    page: Any = module(tmp_path, "readme_watcher", WATCHER)
    runs = Runs(tmp_path)
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    (source / "a").write_text("a")
    async with runs.live(page.main, source, target):
        assert (target / "a").read_text() == "A"
        (source / "b").write_text("b")
        await eventually(lambda: (target / "b").exists() and (target / "b").read_text() == "B")
        (source / "a").unlink()
        await eventually(lambda: not (target / "a").exists())
    await runs.catch_up(page.main, source, target)
    assert [path.name for path in target.iterdir()] == ["b"]
    assert runs.failures == []


def test_the_test(folder: Path) -> None:
    (folder / "test_notes.py").write_text(TEST)
    assert "1 passed" in pytest_says(folder, "test_notes.py")


def test_the_explored_test(tmp_path: Path) -> None:
    (tmp_path / "test_docs.py").write_text(EXPLORED)
    plugin = ["-p", "liveproof_sim.pytest_plugin"]
    said = pytest_says(tmp_path, *plugin, "--sim-executions=30", "test_docs.py")
    assert "1 explored (seed 0): 1 sampled" in said
    assert "1 passed" in pytest_says(tmp_path, *plugin, "--real", "test_docs.py")


def test_the_race(tmp_path: Path) -> None:
    (tmp_path / "race.py").write_text(RACE)
    assert run("race.py", cwd=tmp_path).startswith("proved in 4 executions (dpor), assuming that ")
    (tmp_path / "race.py").write_text(RACE.replace("in (1, 2)", "== 2"))
    assert run("race.py", cwd=tmp_path).startswith("failed after ")


def test_what_it_says_of_the_simulator_is_there() -> None:
    (strategies,) = re.findall(r"^\| strategy \|.*?\n\n", README, re.MULTILINE | re.DOTALL)
    rows = re.findall(r"^\| (`.*?) \|", strategies, re.MULTILINE)
    assert {*re.findall(r"`([\w-]+)`", " ".join(rows)), "dpor-source"} == set(NAMES)
    (world,) = re.findall(r"^\| of `world` \|.*?\n\n", README, re.MULTILINE | re.DOTALL)
    for row in re.findall(r"^\| (`.*?) \|", world, re.MULTILINE):
        for name in re.findall(r"`(\w+)[(`]", row):
            assert hasattr(World, name) or name in ("check", "store", "clock", *vars(Monitors)), name
    for option in re.findall(r"--(?:sim-\w+|real)", README):
        assert option in PLUGIN, option


def pytest_says(folder: Path, *arguments: str) -> str:
    environ = os.environ | {"PYTEST_ADDOPTS": "", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir=.", *arguments],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_what_it_says_of_the_operator_is_there() -> None:
    for name in re.findall(r"`(?:await )?operator\.(\w+)", README):
        assert hasattr(coco.LiveComponentOperator, name), name
    for name in re.findall(r"\bcoco\.(\w+)", README):
        assert name in coco.__all__, name
