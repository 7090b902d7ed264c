"""Some of the small programs of which every order is run; ``make verify`` runs them all."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from liveproof_sim import Status, check
from scenarios.proofs.__main__ import main
from scenarios.proofs.operators import Program, programs, scenario_of

SMALL: tuple[Program, ...] = (
    (("update a",),),
    (("failing a", "delete a"),),
    (("update a", "update a"),),
    (("update a",), ("delete a",)),
    (("failing a",), ("update b",)),
)


def test_all_programs_are_there() -> None:
    sizes = Counter((sum(map(len, program)), len(program)) for program in programs())
    # 7 calls, of which 3 pairs mirror each other: (7 + 1) / 2 of one, (49 + 1) / 2 of two, (343 + 1) / 2 of three.
    assert sizes[1, 1] == 4
    assert sizes[2, 1] == 25
    assert sizes[3, 1] == 172
    assert sizes[3, 2] == 172
    assert sizes[2, 2] == 16


@pytest.mark.parametrize("program", SMALL, ids=str)
def test_every_order_means_the_same(program: Program) -> None:
    verdict = check(scenario_of(program), strategy="dpor", timers="discrete", executions=None)
    assert verdict.status is Status.PROVED, verdict.failure and verdict.failure.report
    assert verdict.reduction["redundant"] == 0


def test_a_wrong_meaning_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scenarios.proofs.operators.meanings", lambda *_: [{"a": "nothing of the kind"}])
    verdict = check(scenario_of((("update a",),)), strategy="dpor", timers="discrete", executions=None)
    assert verdict.status is Status.FAILED


def test_the_page(tmp_path: Path, capsys: Any) -> None:
    report = tmp_path / "proofs.md"
    assert main(["--calls", "1", "--minutes", "2", "--jobs", "1", "--report", str(report)]) == 0
    assert "4 of 4 programs proved" in capsys.readouterr().out
    assert "| 1 | 1 | 4 | 4 |" in report.read_text("utf-8")
