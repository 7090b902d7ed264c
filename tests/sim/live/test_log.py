"""The scenarios of a partitioned log through crashes, and what a connector that gets it wrong comes to."""

from __future__ import annotations

import pytest

from liveproof_sim import Status, check, replay
from scenarios.live.log import commits_read_feed
from scenarios.recovery import log

SCENARIOS = {"quiet": log.crashes, "unruly": log.crashes_unruly, "on a page cache": log.crashes_cached}


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
def test_nothing_is_lost(scenario: log.Crashing) -> None:
    verdict = check(scenario, executions=200)
    assert verdict.status is Status.SAMPLED, verdict.failure and verdict.failure.report
    assert verdict.missed == []


def test_what_is_committed_before_it_is_settled_is_lost() -> None:
    verdict = check(log.never_settles, executions=300, shrinking=False)
    assert verdict.failure is not None
    assert str(verdict.failure.exception).startswith("FEED-3: all is committed and means")
    again = replay(log.never_settles, verdict.failure.token)
    assert again.failure is not None
    assert again.failure.signature == verdict.failure.signature


def test_without_the_monitor_what_is_committed_too_early_is_lost_at_a_crash() -> None:
    verdict = check(log.crashing(feed=commits_read_feed, watched=("FEED-1",)), executions=200, shrinking=False)
    assert verdict.failure is not None
    assert str(verdict.failure.exception).startswith("FEED-1: the source is quiet and means")
