"""ruff, as configured here, minds what the lints of this folder leave to it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.tidy.source import ROOT


def _codes(path: str, text: str) -> str:
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "--output-format=concise"]
    done = subprocess.run(
        [*command, f"--stdin-filename={path}", "-"],
        cwd=ROOT,
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("RUF022", '"""Doc."""\n\n__all__ = ["b", "a"]\na = b = 1\n'),
        ("A001", '"""Doc."""\n\nid = 1\n'),
        ("TID251", '"""Doc."""\n\nimport runtime.liveproof\n\nprint(runtime.liveproof)\n'),
        ("TID252", '"""Doc."""\n\nfrom . import app\n\nprint(app)\n'),
        ("D100", "a = 1\n"),
        ("D103", '"""Doc."""\n\n\ndef public() -> None:\n    pass\n'),
        ("ANN201", '"""Doc."""\n\n\ndef public():\n    """Doc."""\n'),
        ("BLE001", '"""Doc."""\n\ntry:\n    a = 1\nexcept Exception:\n    a = 2\n'),
    ],
)
def test_a_planted_violation_is_found(code: str, text: str) -> None:
    assert f" {code} " in _codes("runtime/liveproof/core/planted.py", text)


def test_clean_text_passes() -> None:
    assert "All checks passed!" in _codes("runtime/liveproof/core/planted.py", '"""Doc."""\n\nA = 1\n')
