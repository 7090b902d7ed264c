"""Small suites of tests for pytest to run in a directory of its own."""

from __future__ import annotations

import re

import pytest

INI = """
[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
"""

LOST = """
import asyncio
from liveproof_sim import explore

ROUNDS = 1

@explore()
async def test_lost(world):
    total = 0

    async def worker():
        nonlocal total
        for _ in range(ROUNDS):
            seen = total
            await asyncio.sleep(0)
            total = seen + 1

    await asyncio.gather(worker(), worker())
    assert total == 2 * ROUNDS
"""

# Stock asyncio's order ends with 2, so that only a search or a tape shows it.
RARE = LOST.replace("ROUNDS = 1", "ROUNDS = 2").replace("total == 2 * ROUNDS", "total != 3")

ARGUMENTS = """
import asyncio
import pytest
from liveproof_sim import World, explore

@pytest.fixture
def five():
    return 5

class TestIt:
    @pytest.mark.parametrize("n", [1, 2])
    @explore(executions=20)
    async def test_arguments(self, five, n, here: World, tmp_path):
        assert isinstance(here, World)
        here.sometimes("three", n == 3)
        await here.clock.sleep(n)
        assert (five, tmp_path.is_dir()) == (5, True)
        assert here.clock.now_ns >= n * 1_000_000_000
"""


def prepare(pytester: pytest.Pytester, source: str, name: str = "test_it.py") -> None:
    """Write the suite."""
    pytester.makeini(INI)
    pytester.path.joinpath(name).write_text(source)


def run(pytester: pytest.Pytester, *options: str) -> pytest.RunResult:
    """In this process."""
    return pytester.runpytest_inprocess("-p", "no:benchmark", "-p", "no:cacheprovider", *options)


def token_of(result: pytest.RunResult) -> str:
    """The one that the failure shows."""
    found = re.search(r"--sim-replay (lp1-\S+)", result.stdout.str())
    assert found is not None, result.stdout.str()
    return found.group(1)
