"""Bad input: one line, that says what to do."""

from __future__ import annotations

import pytest

from tests.sim.plugin.suites import ARGUMENTS, LOST, prepare, run, token_of

pytest_plugins = ["pytester"]


def lines(result: pytest.RunResult) -> list[str]:
    return [line for line in result.stderr.lines if line.strip()]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--sim-strategy", "nope"], "no strategy is called 'nope': there are "),
        (["--sim-strategy", "pct:deep=2"], "strategy 'pct' has no option 'deep': it has depth"),
        (["--sim-executions", "0"], "--sim-executions must be at least 1, not 0"),
        (["--sim-seconds", "-1"], "--sim-seconds must be above 0, not -1"),
        (["--sim-workers", "0"], "--sim-workers must be at least 1, not 0"),
        (["--sim-all", "--sim-workers", "2"], "--sim-all explores in one process"),
        (["--sim-replay", "lp9-abc"], "this token has version lp9, and this one reads lp1"),
        (["--sim-replay", "lp1-abc"], "this token is damaged or incomplete"),
        (["--sim-replay", "nothing.jsonl"], "there is no file 'nothing.jsonl'"),
        (["--sim-replay", "old.jsonl"], "this trace has version 99, and this liveproof reads version 1"),
        (["--sim-replay", "short.jsonl"], "this trace was cut off: its last line is missing"),
        (["--sim-replay", "test_it.py"], "this trace is damaged or cut off"),
        (["--real", "--sim-replay", "short.jsonl"], "--real has no tape to replay"),
        (["--real", "--sim-resume", "here"], "--sim-resume is for explorations"),
    ],
)
def test_an_option_that_cannot_be(pytester: pytest.Pytester, options: list[str], words: str) -> None:
    prepare(pytester, LOST)
    prepare(pytester, '{"format":"liveproof-trace","version":99}\n{"end":true,"events":0}\n', "old.jsonl")
    prepare(pytester, '{"format":"liveproof-trace","version":1}\n{"step":1}\n', "short.jsonl")
    result = run(pytester, *options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert len(lines(result)) == 1, result.stderr.str()
    assert words in lines(result)[0]


def test_a_replay_is_for_one_test(pytester: pytest.Pytester) -> None:
    prepare(pytester, LOST)
    token = token_of(run(pytester))
    prepare(pytester, ARGUMENTS, "test_two.py")
    result = run(pytester, "--sim-replay", token)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "--sim-replay is for one test, and this selects 3 explored tests" in lines(result)[-1]


def test_a_replay_that_does_not_fit(pytester: pytest.Pytester) -> None:
    prepare(pytester, LOST)
    token = token_of(run(pytester))
    prepare(pytester, LOST.replace("worker", "toiler"))
    result = run(pytester, "--sim-replay", token)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E       ReplayError: the tape no longer fits at its step *: expected worker#*"])
    assert "conductor.py" not in result.stdout.str()


@pytest.mark.parametrize(
    ("decorated", "words"),
    [
        ("@explore()\ndef test_it(): pass", "a scenario is an async function of no argument or of a World, not <"),
        ("@explore()\nasync def test_it():\n    yield", "not an async generator"),
        ("@explore()\n@given(st.none())\nasync def test_it(n): pass", "; put @given above @explore"),
        ("@explore(strateg='dfs')\nasync def test_it(): pass", "explore has no option 'strateg': there are str"),
    ],
)
def test_what_is_no_scenario(pytester: pytest.Pytester, decorated: str, words: str) -> None:
    head = "from hypothesis import given, strategies as st\nfrom liveproof_sim import explore\n\n"
    prepare(pytester, f"{head}{decorated}\n")
    result = run(pytester)
    result.assert_outcomes(errors=1)
    assert words in result.stdout.str()


def test_what_the_simulator_does_not_control(pytester: pytest.Pytester) -> None:
    prepare(
        pytester,
        "import asyncio\nfrom liveproof_sim import explore\n\nruns = []\n\n@explore()\nasync def test_it():\n"
        "    runs.append(1)\n    for _ in runs:\n        await asyncio.sleep(1)\n",
    )
    result = run(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E       NondeterminismError: the same choices gave two different runs: *"])
