"""Every planted bug is found, shrunk to the known minimum and replayed; nothing in the repaired twins."""

from __future__ import annotations

import importlib
import statistics
from pathlib import Path
from types import ModuleType

import pytest

from liveproof_sim import Status, check, replay

ZOO = sorted(path.stem for path in Path(__file__).parents[2].joinpath("scenarios/zoo").glob("*.py"))
SEEDS = 20
ENDLESS = ["consumer_starves"]  # its space has no end: a poller may be run for ever


def load(name: str) -> ModuleType:
    return importlib.import_module(f"scenarios.zoo.{name}")


def test_the_zoo_is_there() -> None:
    assert len(ZOO) >= 15


@pytest.mark.parametrize("name", ZOO)
def test_the_default_finds_the_bug_and_shrinks_it(name: str) -> None:
    module = load(name)
    executions, fewest = [], 0
    for seed in range(SEEDS):
        verdict = check(module.buggy, seed=seed, executions=1000, shrinking=seed % 4 == 0)
        assert verdict.status is Status.FAILED, f"seed {seed}: {verdict}"
        failure = verdict.failure
        assert failure is not None
        executions.append(verdict.executions)
        if seed % 4 == 0:
            fewest += failure.switches == module.PREEMPTIONS
            rows = failure.report.count("\n    ")
            assert rows <= 16, failure.report
        again = replay(module.buggy, failure.token)
        assert again.failure is not None
        assert again.failure.signature == failure.signature
    assert statistics.median(executions) <= 300
    assert fewest == SEEDS // 4


@pytest.mark.parametrize("name", ZOO)
def test_nothing_is_found_in_the_repaired_twin(name: str) -> None:
    module = load(name)
    verdict = check(module.repaired, executions=500)
    assert verdict.status is Status.SAMPLED, verdict.failure and verdict.failure.report
    if name not in ENDLESS:
        assert check(module.repaired, strategy="dfs", executions=5000).status is Status.PROVED
