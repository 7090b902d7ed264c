"""Inside a simulation, time and chance are virtual, the real world is refused; outside nothing changed."""

# ruff: noqa: ASYNC251, DTZ001, DTZ003, DTZ005, PLW0108 - on purpose, in a simulation
from __future__ import annotations

import asyncio
import datetime
import os
import random
import secrets
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Callable
from datetime import datetime as imported_datetime
from time import monotonic as imported_monotonic
from typing import Any

import pytest

from liveproof_sim import EscapeError, NondeterminismError, Status, check
from liveproof_sim.explore.execution import exploring
from liveproof_sim.explore.explorer import Explorer
from liveproof_sim.explore.strategies import FifoSearch

SOURCES: dict[str, Callable[[], Any]] = {
    "random": random.random,
    "Random()": lambda: random.Random().random(),
    "SystemRandom": lambda: random.SystemRandom().random(),
    "urandom": lambda: os.urandom(8),
    "uuid4": uuid.uuid4,
    "uuid1": lambda: uuid.uuid1(),
    "secrets": secrets.token_hex,
    "time": lambda: time.time(),
    "time_ns": lambda: time.time_ns(),
    "monotonic": imported_monotonic,
    "perf_counter": lambda: time.perf_counter(),
    "datetime.now": lambda: datetime.datetime.now(),
    "datetime.now (alias)": lambda: imported_datetime.now(),
    "utcnow": lambda: datetime.datetime.utcnow(),
    "localtime": lambda: time.localtime(),
}


def values(source: Callable[[], Any], seed: int = 0) -> list[Any]:
    seen: list[Any] = []

    async def scenario() -> None:
        seen.append(source())
        await asyncio.sleep(90)
        seen.append(source())

    explorer = Explorer(scenario, FifoSearch(), seed=seed)
    with exploring():
        explorer.once(FifoSearch())
        explorer.once(FifoSearch())
    return seen


@pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")  # from 3.12 on
@pytest.mark.parametrize("name", list(SOURCES))
def test_every_source_gives_the_same_in_every_execution(name: str) -> None:
    # imported_monotonic is looked up late, as a module's own code would.
    source = SOURCES[name] if name != "monotonic" else lambda: imported_monotonic()
    first, second, third, fourth = values(source)
    assert (first, second) == (third, fourth)
    assert first != second
    assert source() not in (first, second)


def test_another_seed_gives_other_chance() -> None:
    assert values(random.random) != values(random.random, seed=1)


def test_the_process_gets_its_own_chance_back() -> None:
    random.seed(7)
    expected = random.random()
    random.seed(7)
    values(random.random)
    assert random.random() == expected


def test_clocks_follow_virtual_time() -> None:
    async def scenario() -> None:
        wall, mono = time.time(), time.monotonic()
        await asyncio.sleep(3600)
        assert time.time() - wall == 3600
        assert time.monotonic() - mono == 3600
        assert isinstance(imported_datetime.now(), imported_datetime)
        assert imported_datetime(2020, 1, 1) < datetime.datetime.now()
        time.sleep(5)
        assert time.monotonic() - mono == 3605
        await asyncio.to_thread(time.sleep, 10)
        assert time.monotonic() - mono == 3615

    began = time.monotonic()
    assert check(scenario, strategy="fifo").status is Status.PROVED_WITHIN
    assert time.monotonic() - began < 60


@pytest.mark.parametrize(
    "reach",
    [
        lambda: threading.Thread(target=print).start(),
        lambda: socket.socket(),
        lambda: subprocess.run(["true"], check=False),
        lambda: os.system("true"),
    ],
)
def test_the_real_world_is_refused(reach: Callable[[], Any]) -> None:
    async def scenario() -> None:
        reach()

    verdict = check(scenario, strategy="fifo")
    assert verdict.failure is not None
    assert isinstance(verdict.failure.exception, EscapeError)
    assert "test_fence.py:" in str(verdict.failure.exception)


def test_a_scenario_that_leaves_state_behind_is_named() -> None:
    calls: list[int] = []

    async def scenario() -> None:
        calls.append(1)
        for _ in range(len(calls)):
            await asyncio.sleep(0)

    with pytest.raises(NondeterminismError, match=r"event 2: .*suspects"):
        check(scenario)


def test_a_shorter_second_run_is_noticed() -> None:
    calls: list[int] = []

    async def scenario() -> None:
        calls.append(1)
        for _ in range(3 - len(calls)):
            await asyncio.sleep(0)

    with pytest.raises(NondeterminismError):
        check(scenario)


def test_another_outcome_of_the_same_steps_is_noticed() -> None:
    calls: list[int] = []

    async def scenario() -> None:
        calls.append(1)
        assert len(calls) % 2

    with pytest.raises(NondeterminismError, match="ended as"):
        check(scenario)
