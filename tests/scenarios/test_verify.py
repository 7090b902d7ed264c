"""What ``make verify`` says of a run: no more than was run, and of a failure enough to see it again."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from liveproof.abc.points import POINTS
from liveproof_sim import replay
from scenarios import live, recovery
from scenarios.live import maps
from scenarios.recovery import catch_up
from scenarios.verify import work
from scenarios.verify.ledger import Ledger
from scenarios.verify.page import render
from scenarios.verify.plan import ENTRIES, Piece, pieces
from scenarios.verify.run import Run
from scenarios.verify.work import Result
from tests.sim.dpor.oracle import reduced
from tests.sim.dpor.random_programs import scenario_of

PLANNED = [Piece("live", entry.name, 100) for entry in live.SCENARIOS[:3]]
GOOD = Result(PLANNED[0].key, 100, True, "sampled", 1.0, 100, 90, "sampled", 0.5, 0.03)


def page_of(planned: list[Piece], *results: Result) -> str:
    found = {result.key: result for result in results}
    return render(Run(planned, found, "python -m scenarios.verify", "0", {"system": "none"}, 1.0, 1, 0))


def row(page: str, name: str) -> str:
    [line] = [line for line in page.splitlines() if line.startswith(f"| {name} |")]
    return line


def test_all_that_there_is_is_planned() -> None:
    names = [piece.key for piece in pieces()]
    assert len(dict.fromkeys(names)) == len(names)
    wanted = [f"live/{entry.name}" for entry in live.SCENARIOS]
    wanted += [f"recovery/{entry.name}" for entry in recovery.SCENARIOS]
    wanted += [f"planted/{entry.name}" for entry in (*live.PLANTED, *recovery.PLANTED)]
    assert not [name for name in wanted if name not in names]


def test_executions_are_those_of_scenarios_and_not_of_planted_bugs() -> None:
    asked = {piece.key: piece.executions for piece in pieces(7)}
    assert asked[f"live/{live.SCENARIOS[0].name}"] == 7
    assert asked[f"planted/{live.PLANTED[0].name}"] == live.PLANTED[0].executions


def test_every_id_that_has_a_scenario_lists_it() -> None:
    planned = [piece for piece in pieces() if piece.part in ("live", "recovery")]
    line = row(page_of(planned), "FEED-3")
    assert "partitioned log" in line
    assert "a partitioned log, through three crashes" in line
    assert "no scenario" not in line


def test_what_was_not_run_is_said_to_be_not_run() -> None:
    page = page_of(PLANNED, GOOD)
    assert "| not run |" in row(page, PLANNED[1].name)
    assert "sampled (1), not run (2)" in row(page, "ORD-2")
    assert f"- {PLANNED[2].key}" in page
    assert "**Not run:** 2 pieces" in page


def test_what_was_cut_is_said_to_be_cut() -> None:
    page = page_of(PLANNED[:1], dataclasses.replace(GOOD, executions=40, cut=True))
    assert "sampled, cut | 40 |" in row(page, PLANNED[0].name)
    assert "cut after 40 executions" in page


def test_a_failure_counts_for_each_of_its_ids() -> None:
    bad = dataclasses.replace(GOOD, key=PLANNED[1].key, ok=False, text="ORD-1: no", status="failed", token="lp1-x")
    page = page_of(PLANNED[:2], GOOD, bad)
    assert "Nothing failed" not in page
    assert "**failed** (1)" in row(page, "ORD-1")
    assert row(page, "ORD-1").endswith("| – |")
    assert "liveproof replay lp1-x" in page


def test_sampled_is_never_called_proved() -> None:
    page = page_of(PLANNED[:1], GOOD)
    assert "**Proved:**" not in page
    assert "| sampled |" in row(page, "ORD-1")


def test_proofs_of_a_reduction_that_misses_a_bug_are_in_doubt() -> None:
    piece = Piece("zoo", "late_timeout")
    wrong = Result(piece.key, 0, False, "wrong", 1.0, status="wrong", counts={"unsound": True})
    assert "**In doubt:**" in page_of([piece], wrong)


def test_a_failure_leaves_what_shows_it_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = live.Entry("wrong", ("FEED-1",), maps.armed_late)
    monkeypatch.setitem(ENTRIES, ("live", "wrong"), entry)
    result = work.run(Piece("live", "wrong", 300), None, tmp_path)
    assert not result.ok
    assert result.status == "failed"
    assert replay(maps.armed_late, result.token).failure is not None
    assert sorted(Path(path).suffix for path in result.left) == [".html", ".jsonl", ".txt"]
    assert all(Path(path).stat().st_size for path in result.left)


def test_a_planted_bug_that_is_not_found_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENTRIES, ("planted", "right"), live.Entry("right", ("FEED-1",), maps.view))
    assert not work.run(Piece("planted", "right", 3), None, tmp_path).ok


def test_the_power_fails_in_scenarios_of_recovery(tmp_path: Path) -> None:
    """What is asked of a scenario reaches the exploration: without crash points nothing would be cut."""
    result = work.run(Piece("recovery", "states that move", 200), None, tmp_path)
    assert result.ok, result.text
    assert result.points["submit.in-doubt"] > 20
    page = page_of([Piece("recovery", "states that move", 200)], result)
    assert "| states that move | submit.in-doubt | 20.0% |" in page


def test_a_scenario_that_seldom_gets_where_it_must_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = live.Entry("tame", ("DUR-1",), catch_up.any_versions, reaches={"submit.in-doubt": 0.1})
    monkeypatch.setitem(ENTRIES, ("recovery", "tame"), entry)
    result = work.run(Piece("recovery", "tame", work.REACHED_WITHIN), None, tmp_path)
    assert not result.ok
    assert "submit.in-doubt is reached by 0.0% of the executions, and 10.0% have to" in result.text
    assert "never reached: the power failed" in result.text
    assert work.run(Piece("recovery", "tame", 3), None, tmp_path).ok, "too few to say anything"


def test_every_point_must_be_reached_by_some_scenario() -> None:
    wanted = [point for entry in (*live.SCENARIOS, *recovery.SCENARIOS) for point in entry.reaches]
    assert sorted(dict.fromkeys(wanted)) == sorted(POINTS)


def test_a_piece_that_cannot_be_run_fails(tmp_path: Path) -> None:
    result = work.run(Piece("zoo", "unicorn"), None, tmp_path)
    assert result.status == "error"
    assert "unicorn" in result.text
    assert "Traceback" in (tmp_path / "zoo-unicorn.txt").read_text()


def test_a_disagreement_names_the_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "brute", lambda *_, **__: reduced(scenario_of([[("set", 0)]], {}), {}))
    result = work.run(Piece("small", "some", 0, 40), None, tmp_path)
    assert not result.ok
    assert "the program is [[" in result.text


def test_results_are_kept_for_the_same_code_and_as_many_executions(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    cut = dataclasses.replace(GOOD, key=PLANNED[1].key, cut=True)
    first = Ledger(path, "a")
    assert first.begin(PLANNED, resume=False) == {}
    first.add(GOOD)
    first.add(cut)
    path.write_text(path.read_text() + '{"key": "live/pro')  # cut off in the middle of a line
    assert Ledger(path, "a").begin(PLANNED, resume=True) == {GOOD.key: GOOD}
    assert Ledger(path, "a").begin(PLANNED, resume=True) == {GOOD.key: GOOD}
    more = [piece._replace(executions=200) for piece in PLANNED]
    assert Ledger(path, "a").begin(more, resume=True) == {}


def test_results_of_other_code_are_none(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "results.jsonl", "a")
    ledger.begin(PLANNED, resume=False)
    ledger.add(GOOD)
    assert Ledger(tmp_path / "results.jsonl", "b").begin(PLANNED, resume=True) == {}
