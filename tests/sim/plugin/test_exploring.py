"""Exploring under pytest: what is shown, what is kept, and what replays it."""

from __future__ import annotations

import pytest

from tests.sim.plugin.suites import ARGUMENTS, LOST, RARE, prepare, run, token_of

pytest_plugins = ["pytester"]


def kept(pytester: pytest.Pytester) -> list[str]:
    return sorted(str(path) for path in pytester.path.glob(".liveproof/sim/*/*.jsonl"))


def test_a_failure_shows_its_report_and_no_frame_of_ours(pytester: pytest.Pytester) -> None:
    prepare(pytester, LOST)
    result = run(pytester, "--sim-seed", "3")
    result.assert_outcomes(failed=1)
    text = result.stdout.str()
    result.stdout.fnmatch_lines(
        [
            "liveproof: seed 3",
            ">*assert total == 2 * ROUNDS",
            "test_it.py:19: AssertionError",
            "*- liveproof -*",
            "test_lost failed: AssertionError: *",
            "*time  main*worker#1*worker#2*",
            "*<- before worker#*",
            "1 preemption (none with fewer fails so; no single removal leaves a smaller one). *",
            "again: pytest test_it.py::test_lost --sim-replay lp1-*",
            "*= liveproof =*",
            "1 explored (seed 3): 1 failed",
        ]
    )
    assert "explorer.py" not in text
    assert "conductor.py" not in text


def test_a_failure_without_a_line_of_the_test_is_shown_at_the_test(pytester: pytest.Pytester) -> None:
    prepare(
        pytester,
        "import asyncio\nfrom liveproof_sim import explore\n\n@explore(executions=5)\nasync def test_dead():\n"
        "    lock = asyncio.Lock()\n    async with lock, lock:\n        pass\n",
    )
    result = run(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "E       DeadlockError: nothing can run any more*",
            "*test_it.py:4: DeadlockError*",
            "FAILED test_it.py::test_dead - DeadlockError: *",
        ]
    )
    assert "hidden" not in result.stdout.str()


def test_fixtures_parameters_and_classes(pytester: pytest.Pytester) -> None:
    prepare(pytester, ARGUMENTS)
    result = run(pytester, "-v")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        [
            "2 explored (seed 0): 2 sampled",
            "test_it.py::TestIt::test_arguments[[]1[]]: sampled 20 executions (portfolio): *; never reached: three",
            "test_it.py::TestIt::test_arguments[[]2[]]: sampled *",
        ]
    )
    short = run(pytester)
    short.stdout.fnmatch_lines(["test_it.py::TestIt::test_arguments[[]1[]]: never reached: three"])
    assert "sampled 20 executions" not in short.stdout.str()


def test_options_go_before_the_decorator(pytester: pytest.Pytester) -> None:
    prepare(pytester, ARGUMENTS)
    options = ["--sim-strategy", "pct:depth=2", "--sim-executions", "7", "--sim-seed", "4"]
    result = run(pytester, "-v", *options)
    result.stdout.fnmatch_lines(
        ["liveproof: seed 4, strategy pct:depth=2, executions 7", "*: sampled 7 executions (pct*): *"]
    )


def test_seconds_alone_take_the_limit_of_executions_away(pytester: pytest.Pytester) -> None:
    prepare(pytester, LOST.replace("explore()", "explore(executions=2)").replace("total == 2 * ROUNDS", "total"))
    options = ["-v", "--sim-strategy", "dfs"]
    run(pytester, *options).stdout.fnmatch_lines(["*: inconclusive after 2 executions (dfs): *"])
    run(pytester, *options, "--sim-seconds", "60").stdout.fnmatch_lines(["*: proved in * executions (dfs), *"])


def test_a_kept_tape_runs_first_and_is_dropped_when_it_passes(pytester: pytest.Pytester) -> None:
    prepare(pytester, RARE)
    run(pytester, "--sim-strategy", "fifo").assert_outcomes(passed=1)
    first = run(pytester)
    assert len(kept(pytester)) == 1
    again = run(pytester, "--sim-strategy", "fifo")
    again.assert_outcomes(failed=1)
    again.stdout.fnmatch_lines(
        ["? preemption* (none with fewer*", "test_it.py::test_lost: a kept tape failed again"]
    )
    assert token_of(again) == token_of(first)
    prepare(pytester, RARE.replace("            await asyncio.sleep(0)\n", ""))
    repaired = run(pytester)
    repaired.assert_outcomes(passed=1)
    repaired.stdout.fnmatch_lines(["test_it.py::test_lost: a kept tape was dropped: *"])
    assert not kept(pytester)


def test_a_kept_tape_that_passes_or_is_damaged_is_dropped(pytester: pytest.Pytester) -> None:
    prepare(pytester, LOST)
    run(pytester)
    prepare(pytester, LOST.replace("total == 2 * ROUNDS", "total"))
    run(pytester).stdout.fnmatch_lines(["test_it.py::test_lost: a kept tape was dropped: it passes now"])
    assert not kept(pytester)
    prepare(pytester, LOST)
    run(pytester)
    path = pytester.path / kept(pytester)[0]
    path.write_text(path.read_text()[:-20])
    result = run(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["test_it.py::test_lost: a kept tape was dropped: this trace *"])


def test_token_file_and_seed_replay_one_failure(pytester: pytest.Pytester) -> None:
    prepare(pytester, RARE)
    found = run(pytester, "--sim-seed", "11")
    found.assert_outcomes(failed=1)
    token, file = token_of(found), kept(pytester)[0]
    for given in (token, file):
        replayed = run(pytester, "test_it.py::test_lost", "--sim-replay", given)
        replayed.assert_outcomes(failed=1)
        assert token_of(replayed) == token
        replayed.stdout.fnmatch_lines(["*AssertionError: assert*"])
    pytester.path.joinpath(file).unlink()
    seeded = run(pytester, "--sim-seed", "11")
    seeded.assert_outcomes(failed=1)
    assert token_of(seeded) == token


def test_a_replay_that_passes_says_so(pytester: pytest.Pytester) -> None:
    prepare(pytester, LOST)
    token = token_of(run(pytester))
    prepare(pytester, LOST.replace("total == 2 * ROUNDS", "total"))
    result = run(pytester, "--sim-replay", token)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["test_it.py::test_lost: the tape that was given passes now"])


def test_a_proof_goes_on_where_it_was(pytester: pytest.Pytester) -> None:
    prepare(
        pytester,
        "import asyncio\nfrom liveproof_sim import explore\n\n@explore(strategy='dpor', timers='discrete')\n"
        "async def test_it():\n    seen = []\n    async def work(me):\n        seen.append(me)\n"
        "    await asyncio.gather(*(work(me) for me in range(4)))\n",
    )
    seen = []
    for _ in range(3):
        result = run(pytester, "-v", "--sim-executions", "10", "--sim-resume", "stopped")
        seen.append(next(line for line in result.stdout.lines if line.startswith("test_it.py::test_it: ")))
    assert seen[0].startswith("test_it.py::test_it: inconclusive after 10 executions")
    assert seen[1].startswith("test_it.py::test_it: inconclusive after 20 executions")
    assert seen[2].startswith("test_it.py::test_it: proved in 24 executions")
    assert [path.suffix for path in pytester.path.glob("stopped/*")] == [".json"]
