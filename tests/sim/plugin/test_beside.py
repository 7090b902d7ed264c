"""In one suite with pytest-xdist, pytest-asyncio and Hypothesis."""

from __future__ import annotations

import sys

import pytest

from tests.sim.plugin.suites import ARGUMENTS, LOST, prepare, run, token_of

pytest_plugins = ["pytester"]

MARKED = """
import asyncio
import pytest
from liveproof_sim import explore

pytestmark = pytest.mark.asyncio

@explore(executions=5)
async def test_explored(world):
    await world.clock.sleep(3600)
    assert asyncio.get_running_loop().time() >= 3600

async def test_plain():
    await asyncio.sleep(0)
    assert asyncio.get_running_loop().time() != 0
"""

GIVEN = """
import asyncio
from hypothesis import given, settings, strategies as st
from liveproof_sim import explore

@settings(deadline=None, max_examples=15, database=None, derandomize=True)
@given(st.integers(0, 100))
@explore(executions=8)
async def test_given(world, n):
    total = 0

    async def worker():
        nonlocal total
        seen = total
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        total = seen + n

    await asyncio.gather(worker(), worker())
    assert n < 17 or total == 2 * n
"""

ALL = """
import asyncio
import pytest
import pytest_asyncio

opened = []
closed = []

@pytest.fixture
def base(tmp_path):
    return tmp_path

@pytest.fixture
async def queue(base):
    opened.append(base)
    await asyncio.sleep(0)
    yield asyncio.Queue(1)
    closed.append(base)

@pytest.fixture
async def full(queue):
    await queue.put("first")
    return queue

@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared():
    return 1

@pytest.mark.parametrize("n", [1, 2])
async def test_remade(full, n, queue):
    assert full is queue
    assert await queue.get() == "first"
    await queue.put(n)

async def test_race():
    total = 0

    async def worker():
        nonlocal total
        seen = total
        await asyncio.sleep(0)
        total = seen + 1

    await asyncio.gather(worker(), worker())
    assert total == 2

@pytest.mark.asyncio(loop_scope="module")
async def test_wide(shared):
    assert shared == 1

class TestMethods:
    async def test_method(self, queue):
        await asyncio.sleep(3600)

def test_counts():
    assert len(opened) == len(closed) > 40
"""


def test_workers_of_xdist(pytester: pytest.Pytester) -> None:
    prepare(pytester, LOST)
    prepare(pytester, ARGUMENTS, "test_two.py")
    result = pytester.runpytest_subprocess("-p", "no:benchmark", "-n", "2", "-v", "--sim-report", "out")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        [
            "again: pytest test_it.py::test_lost --sim-replay lp1-*",
            "3 explored (seed 0): 1 failed, 2 sampled",
            "test_two.py::TestIt::test_arguments[[]1[]]: sampled 20 executions *",
        ]
    )
    assert len([*pytester.path.glob(".liveproof/sim/*/*.jsonl")]) == 1
    index = pytester.path.joinpath("out/index.html").read_text()
    assert index.count("<a href") == 3


@pytest.mark.parametrize("mode", ["strict", "auto"])
def test_pytest_asyncio_in_one_module(pytester: pytest.Pytester, mode: str) -> None:
    prepare(pytester, MARKED)
    result = run(pytester, "-o", f"asyncio_mode={mode}", "-W", "error", "-v")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["1 explored (seed 0): *"])


def test_given_shrinks_its_input_and_then_the_schedule(pytester: pytest.Pytester) -> None:
    prepare(pytester, GIVEN)
    result = run(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["E*n=17,", "test_given failed: AssertionError*", "1 preemption (none with fewer fails so*"]
    )
    assert "conductor.py" not in result.stdout.str()
    assert "decorator.py" not in result.stdout.str()
    assert "--sim-replay" not in result.stdout.str()


def test_a_tape_does_not_replay_what_given_gave(pytester: pytest.Pytester) -> None:
    prepare(pytester, LOST)
    token = token_of(run(pytester))
    prepare(pytester, GIVEN)
    result = run(pytester, "--sim-replay", token)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*OptionError: a tape does not hold what @given gave: *"])


def test_tests_without_a_decorator(pytester: pytest.Pytester) -> None:
    prepare(pytester, ALL)
    result = run(pytester, "--sim-all", "--sim-executions", "20", "-W", "error")
    result.assert_outcomes(passed=5, failed=1)
    result.stdout.fnmatch_lines(
        [
            "test_race failed: AssertionError: *",
            "again: pytest test_it.py::test_race --sim-all --sim-replay lp1-*",
            "4 explored (seed 0): 1 failed, 1 not explored, 3 sampled",
            "test_it.py::test_wide: not explored: its loop is its module's",
        ]
    )
    plain = run(pytester, "--deselect", "test_it.py::TestMethods", "--deselect", "test_it.py::test_counts")
    plain.assert_outcomes(passed=3, failed=1, deselected=2)
    assert "= liveproof =" not in plain.stdout.str()


def test_without_the_extra_pytest_runs_as_if_we_were_not_there(pytester: pytest.Pytester) -> None:
    prepare(pytester, "def test_plain():\n    pass\n")
    script = """import sys, pytest
class Lacking:
    def find_spec(self, name, *_):
        if name == "liveproof_sim.pytest_plugin":
            raise ModuleNotFoundError("No module named 'networkx'", name="networkx")
sys.meta_path.insert(0, Lacking())
sys.exit(pytest.main(sys.argv[1:]))"""
    result = pytester.run(sys.executable, "-c", script, "-p", "no:benchmark")
    result.assert_outcomes(passed=1)
    assert "liveproof: seed" not in result.stdout.str()
