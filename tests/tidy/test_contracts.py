"""The import contracts of ``pyproject.toml`` notice what they are there for.

They are run over stubs of the two packages: once as they should be, once with violations planted.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.tidy.source import ROOT

STUBS = {
    "liveproof/__init__.py": "from liveproof.app import A",
    "liveproof/cli.py": "import os, time, liveproof.app",
    "liveproof/app.py": "import liveproof.backends.asyncio_scheduler\nA = 1",
    "liveproof/backends/__init__.py": "",
    "liveproof/backends/asyncio_scheduler.py": "import asyncio, liveproof.core.component",
    "liveproof/connectors/__init__.py": "import os",
    "liveproof/core/__init__.py": "",
    "liveproof/core/component.py": "import liveproof.core.paths",
    "liveproof/core/fingerprint.py": "import uuid",
    "liveproof/core/paths.py": "import uuid, liveproof.abc.scheduler, liveproof.errors",
    "liveproof/abc/__init__.py": "",
    "liveproof/abc/scheduler.py": "import liveproof.errors",
    "liveproof/errors.py": "import os",
    "liveproof_sim/__init__.py": "import liveproof, liveproof_sim.kernel.choices",
    "liveproof_sim/kernel/__init__.py": "import liveproof.abc.scheduler",
    "liveproof_sim/kernel/choices.py": "import random",
    "liveproof_sim/trace/__init__.py": "",
}

PLANTED = {
    # file: (what is appended, what the report must say)
    "liveproof/cli.py": ("import liveproof_sim", "liveproof.cli -> liveproof_sim"),
    "liveproof/connectors/__init__.py": ("import asyncio", "liveproof.connectors -> asyncio"),
    "liveproof/backends/__init__.py": (
        "import liveproof.connectors",
        "liveproof.backends -> liveproof.connectors",
    ),
    "liveproof/core/component.py": ("import time", "liveproof.core.component -> time"),
    "liveproof/core/paths.py": ("import liveproof.app", "liveproof.core.paths -> liveproof.app"),
    "liveproof/abc/scheduler.py": ("import threading", "liveproof.abc.scheduler -> threading"),
    "liveproof/newcomer.py": ("", "liveproof.newcomer"),
    "liveproof_sim/trace/__init__.py": (
        "import random, liveproof_sim.kernel",
        "liveproof_sim.trace -> random",
    ),
    "liveproof_sim/kernel/__init__.py": (
        "import liveproof.core.component",
        "liveproof_sim.kernel -> liveproof.core.component",
    ),
}


def _lint(folder: Path, files: dict[str, str]) -> subprocess.CompletedProcess[str]:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text + "\n")
    shutil.copy(ROOT / "pyproject.toml", folder)
    script = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    return subprocess.run(
        [sys.executable, "-c", script, "--no-cache", "--no-logo"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_clean_stubs_pass(tmp_path: Path) -> None:
    done = _lint(tmp_path, STUBS)
    assert done.returncode == 0, done.stdout + done.stderr


def test_planted_imports_are_found(tmp_path: Path) -> None:
    files = STUBS | {name: f"{STUBS.get(name, '')}\n{text}" for name, (text, _) in PLANTED.items()}
    done = _lint(tmp_path, files)
    assert done.returncode == 1, done.stdout + done.stderr
    said = done.stdout
    assert [expected for _, expected in PLANTED.values() if expected not in said] == [], said
    assert "liveproof_sim.trace -> liveproof_sim.kernel" in said
    assert "0 kept" in said, said
