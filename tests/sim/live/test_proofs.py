"""Some of the small programs of which every order is run; ``make verify`` runs them all."""

from __future__ import annotations

from collections import Counter

import pytest

from liveproof.core.ledger import Ledger
from liveproof.core.readiness import Readiness
from liveproof_sim import Status, check
from scenarios.proofs import FAMILIES, folder, prove
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


def test_a_wrong_meaning_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scenarios.live.programs.meanings", lambda *_, **__: [{"a": "nothing of the kind"}])
    verdict = check(scenario_of((("update a",),)), strategy="dpor", timers="discrete", executions=None)
    assert verdict.status is Status.FAILED


@pytest.mark.parametrize("name", [f"{family.name}: {family.words(next(family.programs()))}" for family in FAMILIES])
def test_every_family_runs(name: str) -> None:
    verdict = prove(name, 4)
    assert verdict.failure is None, verdict.failure.report
    assert verdict.executions >= 1
    assert verdict.opaque == []


def test_a_process_may_die_after_any_step_of_any_order() -> None:
    verdict = prove("death, one file: a.md: edit, then edit", None)
    assert verdict.status is Status.PROVED, verdict.failure and verdict.failure.report
    assert verdict.reduction["cuts"] > 20
    assert "the power fails by itself at most once" in verdict.assumptions


def test_a_death_that_finds_no_intent_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    record = Ledger.record_now
    monkeypatch.setattr(Ledger, "record_now", lambda self, _writes: record(self, []))
    verdict = prove("death, one file: a.md: edit, then remove", None, shrinking=False)
    assert verdict.status is Status.FAILED


def test_readiness_that_hangs_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Readiness, "resolve", lambda *_: None)
    assert prove("readiness: nowhere is wrong, live", None).status is Status.FAILED


def test_a_change_that_is_lost_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(folder.CHANGES, "remove b", lambda docs: docs.rename(docs.parent / "elsewhere"))
    verdict = prove("folder of two: a.md, b.md: edit, then remove b", None, shrinking=False)
    assert verdict.status is Status.FAILED


def test_programs_are_proved_by_name(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["proofs", "readiness", "nowhere is wrong, live"])
    assert main() == 0
    [row] = capsys.readouterr().out.splitlines()[2:]
    assert row.startswith("| readiness: nowhere is wrong, live | proved | ")
    monkeypatch.setattr("sys.argv", ["proofs", "readiness", "nowhere is wrong, live", "--seconds", "0"])
    assert main() == 3
    monkeypatch.setattr("sys.argv", ["proofs", "no such word"])
    assert main() == 2
    assert "no program has 'no such word' in its name" in capsys.readouterr().err
