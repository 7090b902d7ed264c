"""The scenarios of a partitioned log through crashes, and what a connector that gets it wrong comes to."""

from __future__ import annotations

import pytest

from liveproof_sim import Status, check
from scenarios.live.log import commits_read_feed
from scenarios.recovery import log


@pytest.mark.parametrize("scenario", [log.crashes, log.crashes_unruly], ids=["quiet", "unruly"])
def test_nothing_is_lost(scenario: log.Crashing) -> None:
    verdict = check(scenario, executions=200)
    assert verdict.status is Status.SAMPLED, verdict.failure and verdict.failure.report
    assert verdict.missed == []


def test_without_the_monitor_what_is_committed_too_early_is_lost_at_a_crash() -> None:
    verdict = check(log.crashing(feed=commits_read_feed, watched=("FEED-1",)), executions=200, shrinking=False)
    assert verdict.failure is not None
    assert str(verdict.failure.exception).startswith("FEED-1: the source is quiet and means")
