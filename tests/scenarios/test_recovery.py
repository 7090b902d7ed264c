"""The minute of the crash verification that is among the tests: every scenario of recovery, with the power failing
where ``make verify`` has it fail. That runs them for longer, and asks where they have led."""

from __future__ import annotations

import pytest

from liveproof_sim import Status, check
from scenarios.live import Entry
from scenarios.recovery import SCENARIOS, catch_up, folder

EXECUTIONS = 100


@pytest.mark.parametrize("entry", SCENARIOS, ids=lambda entry: entry.name)
def test_it_holds(entry: Entry) -> None:
    points = "calls" if entry.crashes else "none"
    verdict = check(entry.scenario, executions=EXECUTIONS, crash_points=points, crashes=entry.crashes)
    assert verdict.status is Status.SAMPLED, verdict.failure and verdict.failure.report
    assert verdict.executions == EXECUTIONS
    assert sum(verdict.lost.values()) < EXECUTIONS // 10, "what nobody can survive is not what this is about"


@pytest.mark.parametrize("scenario", [catch_up.any_versions, folder.live])
def test_it_holds_with_a_cut_after_any_step(scenario: object) -> None:
    verdict = check(scenario, executions=EXECUTIONS // 2, crash_points="all", crashes=3)  # type: ignore[arg-type]
    assert verdict.status is Status.SAMPLED, verdict.failure and verdict.failure.report
    assert verdict.points["submit.in-doubt"] > EXECUTIONS // 20
