"""The design's example: no edit of a folder is lost, in any order; and the planted bugs are found."""

from __future__ import annotations

import pytest

from liveproof.testing import MemoryStore
from liveproof_sim import Status, World, check, replay
from liveproof_sim.fakes.filesystem import SimFileSystem
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


# ---- what survives


class OnDisk(MemoryStore):
    """A store for which targets are made durable: it says that it is on a disk itself."""

    @property
    def blocking(self) -> bool:
        return True


async def power_fails_when_all_is_quiet(world: World) -> None:
    world.store = OnDisk()
    await scenarios.the_page(world)
    system = world.fs.system
    assert system.legal_states() == [system.image()], "a power cut would change something"


def test_once_all_is_quiet_a_power_cut_changes_nothing() -> None:
    verdict = check(power_fails_when_all_is_quiet, executions=100)
    assert verdict.status is Status.SAMPLED, verdict.failure and verdict.failure.report


@pytest.mark.parametrize("name", ["sync", "sync_dir"])
def test_a_sync_that_does_nothing_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SimFileSystem, name, lambda _self, _path: None)
    verdict = check(power_fails_when_all_is_quiet, executions=5, shrinking=False)
    assert verdict.failure is not None
    assert "a power cut would change something" in str(verdict.failure.exception)
