"""A tape survives edits, or is refused with the step that is gone."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from liveproof_sim import ReplayError, ScenarioError, Status, TapeError, check, replay
from liveproof_sim.kernel.tape import Tape, read_token
from liveproof_sim.trace import dump, first_difference, load

ROOT = Path(__file__).parents[2]


class Account:
    """A lost update with variants, as if the program had been edited."""

    def __init__(self, *, noise: int = 0, extra: bool = False, renamed: bool = False) -> None:
        self.noise = noise
        self.extra = extra
        self.renamed = renamed
        self.balance = 0

    async def pay(self, amount: int) -> None:
        seen = self.balance
        await asyncio.sleep(0)
        await asyncio.sleep(0.001)
        self.balance = seen + amount

    async def pay_differently(self, amount: int) -> None:
        seen = self.balance
        await asyncio.sleep(0.002)
        self.balance = seen + amount

    async def collect(self) -> None:
        for _ in range(3):
            await asyncio.sleep(0)
        if self.extra:
            await asyncio.sleep(0)  # not there before
        if self.balance == 30:
            raise LookupError("collected in between")

    async def unrelated(self) -> None:
        for _ in range(4):
            await asyncio.sleep(0)
            await asyncio.sleep(0.0005)

    async def scenario(self) -> None:
        noise = [asyncio.create_task(self.unrelated()) for _ in range(self.noise)]
        pay = self.pay_differently if self.renamed else self.pay
        await asyncio.gather(pay(30), self.collect(), pay(12))
        await asyncio.gather(*noise)


def scenario_of(**edits: object):  # type: ignore[no-untyped-def]
    async def scenario() -> None:
        await Account(**edits).scenario()  # type: ignore[arg-type]

    return scenario


def tokens(count: int) -> list[str]:
    found = []
    for seed in range(count):
        verdict = check(scenario_of(), seed=seed, executions=500, shrinking=seed % 2 == 0)
        assert verdict.failure is not None
        found.append(verdict.failure.token)
    return found


def test_twenty_of_twenty_survive_unrelated_edits() -> None:
    for token in tokens(20):
        for edits in ({}, {"noise": 1}, {"noise": 3}, {"extra": True}):
            again = replay(scenario_of(**edits), token)
            assert again.status is Status.FAILED, edits
            assert again.failure is not None
            assert str(again.failure.exception) == "collected in between"


def test_a_tape_that_no_longer_fits_is_refused() -> None:
    (token,) = tokens(1)
    with pytest.raises(ReplayError, match=r"at its step \d+: expected Account.pay#\d at .*, got ") as caught:
        replay(scenario_of(renamed=True), token)
    assert caught.value.expected.startswith("Account.pay#")


def test_tokens_round_trip_and_bad_ones_are_told_apart() -> None:
    (token,) = tokens(1)
    tape = read_token(token)
    assert tape.token() == token
    assert read_token(Tape(tape.steps, (("fault", 2),), "x", {"seed": 3}).token()).draws == (("fault", 2),)
    with pytest.raises(TapeError, match="has version lp0"):
        read_token("lp0-" + token[4:])
    with pytest.raises(TapeError, match="no liveproof token"):
        read_token("dt1-abc")
    for cut in (5, len(token) // 2, len(token) - 3):
        with pytest.raises(TapeError, match="damaged or incomplete"):
            read_token(token[:cut])


def test_replay_wants_a_scenario() -> None:
    with pytest.raises(ScenarioError, match="async function"):
        replay(lambda: None, tokens(1)[0])


def test_a_tape_gives_one_trace_in_every_process() -> None:
    script = (
        "from tests.sim.test_tape import *\n"
        "import sys\n"
        "runs = [replay(scenario_of(noise=2), sys.argv[1]) for _ in range(25)]\n"
        "print({each.failure.trace.digest() for each in runs})"
    )
    (token,) = tokens(1)
    said = []
    for salt in "0123":
        done = subprocess.run(
            [sys.executable, "-c", script, token],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": salt},
            capture_output=True,
            text=True,
            check=True,
        )
        said.append(done.stdout)
    assert len(set(said)) == 1
    assert said[0].count("'") == 2  # one digest
    other = replay(scenario_of(noise=1), token)
    assert other.failure is not None
    assert other.failure.trace is not None
    assert other.failure.trace.digest() not in said[0]


def test_traces_are_written_and_read() -> None:
    verdict = check(scenario_of(), executions=500)
    assert verdict.failure is not None
    trace = verdict.failure.trace
    assert trace is not None
    text = dump(trace)
    assert load(text) == trace
    assert first_difference(load(text), trace) is None
    lines = text.splitlines()
    for damaged in (lines[:-1], lines[:3], [], ["{}"], [*lines[:-1], lines[-1][:9]]):
        with pytest.raises(TapeError):
            load(damaged)
    with pytest.raises(TapeError, match="version 9"):
        load(text.replace('"version":1', '"version":9', 1))
    tampered = load(text)
    tampered.outcome = "passed"
    assert "ended" in str(first_difference(tampered, trace))
    del tampered.events[4:]
    assert "event 4" in str(first_difference(tampered, trace))
