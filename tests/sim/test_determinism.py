"""DET-1 and DET-2: what the simulator does not control is the same in every run, or it is reported."""

# ruff: noqa: DTZ001, DTZ011, PLW0108 - on purpose, in a simulation
from __future__ import annotations

import _thread
import asyncio
import multiprocessing
import os
import random
import resource
import socket
import subprocess
import sys
import time
import weakref
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from liveproof_sim import EscapeError, NondeterminismError, OptionError, Status, check, explore
from liveproof_sim.explore.determinism import reruns
from liveproof_sim.explore.execution import Scenario

TRIES = 60


async def steps(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


SAME: dict[str, Callable[[], Any]] = {
    "process_time": lambda: time.process_time(),
    "thread_time_ns": lambda: time.thread_time_ns(),
    "clock_gettime": lambda: time.clock_gettime(time.CLOCK_MONOTONIC),
    "clock_gettime_ns": lambda: time.clock_gettime_ns(time.CLOCK_REALTIME),
    "strftime": lambda: time.strftime("%Y-%m-%d %H:%M:%S"),
    "ctime": lambda: time.ctime(),
    "date.today": lambda: date.today(),
    "choice": lambda: random.choice(range(10**9)),
}


@pytest.mark.parametrize("name", list(SAME))
def test_clocks_and_chance_are_the_same_in_every_run(name: str) -> None:
    seen: list[Any] = []

    async def scenario() -> None:
        seen.append(SAME[name]())

    assert check(scenario, executions=3, strategy="random").status is Status.SAMPLED
    assert len(dict.fromkeys(seen)) == 1
    assert str(SAME[name]()) != str(seen[0])


@pytest.mark.parametrize(
    "reach",
    [
        lambda: _thread.start_new_thread(print, ()),
        lambda: socket.socketpair(),
        lambda: socket.getaddrinfo("localhost", 80),
        lambda: socket.gethostbyname("localhost"),
        lambda: os.popen("true"),
        lambda: os.posix_spawn("/bin/true", ["true"], {}),
        lambda: multiprocessing.get_context("fork").Process(target=print).start(),
    ],
)
def test_the_real_world_is_refused_by_its_call_site(reach: Callable[[], Any]) -> None:
    async def scenario() -> None:
        reach()

    verdict = check(scenario, strategy="fifo")
    assert verdict.failure is not None
    assert isinstance(verdict.failure.exception, EscapeError)
    assert "test_determinism.py:" in str(verdict.failure.exception)


class Plain:
    """Hashed by its address."""


def from_set(size: int) -> Scenario:
    async def scenario() -> None:
        things = {Plain(): count for count in range(size)}
        for each in {*things}:
            await asyncio.create_task(steps(things[each]))

    return scenario


def by_id() -> Scenario:
    async def scenario() -> None:
        things = {Plain(): count for count in range(3)}
        for each in sorted(things, key=lambda each: id(each)):
            await asyncio.create_task(steps(things[each]))

    return scenario


def from_weak_set() -> Scenario:
    async def scenario() -> None:
        things = {Plain(): count for count in range(4)}
        for each in weakref.WeakSet(things):
            await asyncio.create_task(steps(things[each]))

    return scenario


def from_tasks() -> Scenario:
    async def scenario() -> None:
        tasks = {asyncio.create_task(steps(0)): count for count in range(4)}
        done, _ = await asyncio.wait(tasks)
        for each in done:
            await asyncio.create_task(steps(tasks[each]))

    return scenario


@pytest.mark.parametrize(
    "scenario",
    [from_set(2), from_set(3), by_id(), from_weak_set(), from_tasks()],
    ids=["two objects", "three objects", "id()", "WeakSet", "tasks"],
)
def test_an_order_that_hangs_on_addresses_is_caught(scenario: Scenario) -> None:
    caught = 0
    for _ in range(TRIES):
        try:
            check(scenario, strategy="fifo", executions=1)
        except NondeterminismError as error:
            caught += 1
            assert "the order of a set of plain objects" in str(error)  # noqa: PT017 - in a loop
            assert "event " in str(error)  # noqa: PT017
    assert caught >= 0.95 * TRIES


@pytest.mark.parametrize(
    "read",
    [
        lambda: int(resource.getrusage(resource.RUSAGE_SELF).ru_utime * 1e6),
        lambda: type(datetime(2020, 1, 1)).now().microsecond,  # the real class: its now() is C code
    ],
    ids=["getrusage", "the real datetime.now"],
)
def test_a_clock_that_c_code_reads_is_caught_by_what_follows(read: Callable[[], int]) -> None:
    async def scenario() -> None:
        await steps(read() % 97)

    with pytest.raises(NondeterminismError, match=r"event \d+: one has .* suspects"):
        check(scenario, executions=1)


def test_an_order_that_does_not_is_let_pass() -> None:
    async def scenario() -> None:
        things = {Plain(): count for count in range(4)}
        done, _ = await asyncio.wait([asyncio.create_task(steps(count)) for count in things.values()])
        assert len({*things}) == len(done)

    for _ in range(20):
        assert check(scenario, strategy="fifo", executions=1).failure is None


def test_long_executions_run_again_once() -> None:
    assert [reruns(count) for count in (0, 10, 1000, 2000, 10**6)] == [8, 8, 5, 2, 1]


async def strings_in_a_set() -> None:
    for each in frozenset(("one", "two and", "three", "four or", "five", "six", "seven")):
        await asyncio.create_task(steps(len(each)))


async def sorted_strings() -> None:
    for each in sorted({"one", "two and", "three"}):
        await asyncio.create_task(steps(len(each)))


@explore(processes=True, executions=3)
async def decorated() -> None:
    await sorted_strings()


def test_the_order_of_strings_is_caught_in_another_process() -> None:
    assert check(strings_in_a_set, executions=1, strategy="fifo").failure is None
    with pytest.raises(NondeterminismError, match="in two processes, whose strings have other hashes: event"):
        check(strings_in_a_set, executions=1, processes=True)
    assert check(sorted_strings, executions=3, processes=True).status is Status.SAMPLED
    assert decorated().status is Status.SAMPLED


def test_what_cannot_be_imported_there_is_refused() -> None:
    with pytest.raises(OptionError, match="define it at the top of a module"):
        check(from_set(1), processes=True)


REPLAYS = """
from liveproof_sim import check, replay
from scenarios.zoo.lost_update import buggy
token = {token!r}
if not token:
    print(check(buggy, strategy="random", seed=3).failure.token)
else:
    print(*{{replay(buggy, token).failure.trace.digest() for _ in range(34)}})
"""


def test_a_tape_gives_one_trace_in_every_process() -> None:
    def run(token: str, hashes: str) -> str:
        path = os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, sys.path)])
        done = subprocess.run(
            [sys.executable, "-c", REPLAYS.format(token=token)],
            env={**os.environ, "PYTHONHASHSEED": hashes, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    token = run("", "0")
    digests = [run(token, hashes) for hashes in ("0", "1", "12345")]
    assert digests == [digests[0]] * 3
    assert len(digests[0]) == 24  # one digest
