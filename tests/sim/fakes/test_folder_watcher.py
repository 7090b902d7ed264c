"""The design's example: no edit of a folder is lost, in any order; and the planted bugs are found."""

from __future__ import annotations

import pytest

from liveproof_sim import Status, check, replay
from scenarios.live import folder_watcher_sim as scenarios

EXECUTIONS = 300


@pytest.mark.parametrize("scenario", [scenarios.the_page, scenarios.minds_overflow, scenarios.walk_dir])
def test_no_edit_is_lost(scenario: scenarios.Scenario) -> None:
    verdict = check(scenario, executions=EXECUTIONS)
    assert verdict.status is Status.SAMPLED, verdict.failure and verdict.failure.report
    assert verdict.executions == EXECUTIONS


@pytest.mark.parametrize("scenario", [scenarios.watches_too_late, scenarios.ignores_overflow])
def test_a_planted_bug_is_found(scenario: scenarios.Scenario) -> None:
    verdict = check(scenario, executions=EXECUTIONS, shrinking=False)
    assert verdict.status is Status.FAILED
    assert verdict.failure is not None
    assert replay(scenario, verdict.failure.token).failure is not None
