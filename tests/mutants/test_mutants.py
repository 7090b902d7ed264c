"""The catalogue fits the runtime, and a few of its mutants are killed. All of them: ``python -m tests.mutants``."""

from __future__ import annotations

import pytest

from tests.mutants.catalogue import MUTANTS, Mutant, Scenario
from tests.mutants.tool import StaleMutantError, explored, judge, mutated
from tests.tidy.source import ROOT

QUICK = ("retry of deletes", "the barrier of update_full", "outcome of replaced handles")


def test_the_catalogue_fits_the_runtime() -> None:
    for mutant in MUTANTS:
        text = (ROOT / "runtime" / "liveproof" / mutant.file).read_text()
        assert text.count(mutant.old) == 1, mutant.what
        assert mutant.new != mutant.old, mutant.what
    assert len(MUTANTS) >= 25
    assert len(dict.fromkeys(mutant.what for mutant in MUTANTS)) == len(MUTANTS)
    assert sum(mutant.named for mutant in MUTANTS) == 8


@pytest.mark.parametrize("word", QUICK)
def test_a_mutant_is_killed(word: str) -> None:
    (mutant,) = [each for each in MUTANTS if each.what.startswith(word)]
    result = judge(mutant, executions=300, seconds=20)
    assert result.killed, result


def test_the_runtime_as_it_is_survives() -> None:
    with mutated(None) as runtime:
        result = explored(runtime, Scenario("operators.full_is_a_barrier"), executions=20, seconds=20)
    assert result.status == "sampled", result


def test_a_mutant_of_nothing_is_stale() -> None:
    mutant = Mutant("nothing", Scenario("operators.programs"), "core/live.py", "no such text", "")
    with pytest.raises(StaleMutantError, match="0 places"), mutated(mutant):
        raise AssertionError("changed")
