"""The runtime's own scenarios hold; their planted twins are found. ``make verify`` runs them for longer."""

from __future__ import annotations

import pytest

from liveproof_sim import Status, check, replay
from liveproof_sim.properties.contract import MONITORS
from scenarios.live import PLANTED, SCENARIOS, Entry

EXECUTIONS = 100


@pytest.mark.parametrize("entry", SCENARIOS, ids=lambda entry: entry.name)
def test_it_holds(entry: Entry) -> None:
    verdict = check(entry.scenario, executions=EXECUTIONS)
    assert verdict.status is Status.SAMPLED, verdict.failure and verdict.failure.report
    assert verdict.behaviours > EXECUTIONS // 2


@pytest.mark.parametrize("entry", PLANTED, ids=lambda entry: entry.name)
def test_a_planted_bug_is_found(entry: Entry) -> None:
    verdict = check(entry.scenario, executions=entry.executions, shrinking=False)
    assert verdict.status is Status.FAILED
    assert verdict.failure is not None
    for id_ in entry.ids:
        assert str(verdict.failure.exception).startswith(f"{id_}: ")
    again = replay(entry.scenario, verdict.failure.token)
    assert again.failure is not None
    assert again.failure.signature == verdict.failure.signature


def test_every_id_that_has_a_monitor_has_a_scenario() -> None:
    covered = {id_ for entry in SCENARIOS for id_ in entry.ids}
    assert covered >= {monitor.code for monitor in MONITORS} - {"RDY-4"}
