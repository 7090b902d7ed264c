"""liveproof explore, replay, trace."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from liveproof_sim.check import check
from liveproof_sim.cli import explore, replay, trace
from liveproof_sim.errors import ScenarioError
from liveproof_sim.explore.scenario import find, place_of
from liveproof_sim.trace import dump, load
from scenarios.zoo import lost_update

ZOO = Path(__file__).parents[2] / "scenarios/zoo"
BUGGY = f"{ZOO / 'lost_update.py'}::buggy"
OLD = Path(__file__).with_name("recorded") / "trace_without_about.jsonl"


def run(command: object, *arguments: str) -> Result:
    """As ``liveproof.cli.main`` does: what a command returns is the exit code."""
    return CliRunner().invoke(command, arguments, standalone_mode=False)  # type: ignore[arg-type]


def ended(result: Result) -> str:
    """The message of a refusal."""
    assert result.exception is not None, result.output
    message = str(getattr(result.exception, "message", result.exception))
    assert "\n" not in message
    return message


def test_explore_then_trace_then_replay(tmp_path: Path) -> None:
    file, html = tmp_path / "found.jsonl", tmp_path / "found.html"
    found = run(explore, BUGGY, "--trace", str(file), "--html", str(html), "--seed", "5")
    assert found.return_value == 1
    assert f"{BUGGY}: failed after " in found.output
    assert f"again: liveproof replay {file}" in found.output
    assert f"liveproof replay {file}" in html.read_text()
    shown = run(trace, str(file))
    assert shown.return_value == 0
    assert "ended as AssertionError" in shown.output
    assert "with liveproof " in shown.output
    assert "time  main" in shown.output
    again = run(replay, str(file))
    assert again.return_value == 1, again.output
    assert "1 preemption (none with fewer fails so" in again.output
    assert "It failed in the same way as recorded." in again.output
    token = load(file.read_text()).token
    assert run(replay, token, BUGGY).return_value == 1
    passes = run(replay, token, BUGGY.replace("buggy", "repaired"))
    assert passes.return_value == 3
    assert "the tape no longer fits" in passes.output


def test_explore_says_what_it_is_worth() -> None:
    proved = run(explore, BUGGY.replace("buggy", "repaired"), "--strategy", "dfs")
    assert (proved.return_value, "proved in 4 executions" in proved.output) == (0, True)
    data = json.loads(run(explore, BUGGY.replace("buggy", "repaired"), "--executions", "9", "--json").output)
    assert (data["status"], data["executions"]) == ("sampled", 9)
    cut = run(explore, BUGGY.replace("buggy", "repaired"), "--strategy", "dfs", "--executions", "2")
    assert (cut.return_value, "inconclusive" in cut.output) == (3, True)


def test_explore_takes_a_test_with_its_options(tmp_path: Path) -> None:
    path = tmp_path / "explored_site.py"
    path.write_text(
        "from liveproof_sim import explore\n\n@explore(executions=7)\nasync def test_it(world):\n"
        "    await world.clock.sleep(1)\n"
    )
    assert "sampled 7 executions" in run(explore, f"{path}::test_it").output
    assert "sampled 3 executions" in run(explore, f"{path}::test_it", "--executions", "3").output


def test_trace_shows_every_step_or_those_of_one_task(tmp_path: Path) -> None:
    file = tmp_path / "found.jsonl"
    run(explore, BUGGY, "--trace", str(file))
    steps = load(file.read_text()).events
    every = run(trace, str(file), "--all").output.splitlines()
    assert len([line for line in every if line[:6].strip().isdigit()]) == len(steps)
    one = run(trace, str(file), "--all", "--task", "worker#1").output
    assert "worker#1: worker: (start)" in one
    assert "worker#2: " not in one
    rows = [json.loads(line) for line in run(trace, str(file), "--json").output.splitlines()]
    assert rows == [event.as_dict() for event in steps]
    assert "has no task 'nobody': there are main, worker#1" in ended(run(trace, str(file), "--task", "nobody"))


def test_a_trace_of_the_first_liveproof_is_read_and_replayed() -> None:
    text = OLD.read_text()
    assert "about" not in text
    recorded = load(text)
    assert recorded.about == {}
    assert run(trace, str(OLD)).return_value == 0
    assert "this file does not say what it recorded: add path" in ended(run(replay, str(OLD)))
    again = run(replay, str(OLD), BUGGY)
    assert again.return_value == 1
    assert "It failed in the same way as recorded." in again.output


def test_what_a_trace_says_of_itself_survives_the_file() -> None:
    verdict = check(lost_update.buggy)
    assert verdict.failure is not None
    assert verdict.failure.trace is not None
    read = load(dump(verdict.failure.trace))
    assert read == verdict.failure.trace
    assert read.about["scenario"] == place_of(lost_update.buggy) == "scenarios.zoo.lost_update:buggy"
    assert read.about["shrunk"] == "1 minimal fewest"
    assert find(read.about["scenario"]).scenario is lost_update.buggy


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("nowhere", "'nowhere' names no scenario: write path/to/file.py::name or module:name"),
        ("no/such/file.py::it", "there is no such file"),
        ("no_such_module:it", "there is no module 'no_such_module'"),
        (f"{ZOO / 'lost_update.py'}::other", "has no scenario 'other'"),
        (f"{ZOO / 'lost_update.py'}::PREEMPTIONS", "a scenario is an async function"),
        ("tests/x.py::test_it[1]", "has arguments that only pytest can give"),
        ("tests/x.py::test_it.<locals>.inner", "is made inside a function"),
    ],
)
def test_what_cannot_be_found(place: str, words: str) -> None:
    with pytest.raises(ScenarioError) as refused:
        find(place)
    assert words in str(refused.value)
    assert words in ended(run(explore, place))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["lp1-abc"], "a token does not name its scenario: add path/to/file.py::name or module:name"),
        (["lp1-abc", BUGGY], "this token is damaged or incomplete"),
        (["no/file.jsonl"], "no/file.jsonl cannot be read: No such file or directory"),
        ([str(ZOO / "lost_update.py")], "this trace is damaged or cut off"),
    ],
)
def test_what_cannot_be_replayed(arguments: list[str], words: str) -> None:
    assert words in ended(run(replay, *arguments))


def test_a_test_with_arguments_names_the_command(tmp_path: Path) -> None:
    path, file = tmp_path / "argued_site.py", tmp_path / "found.jsonl"
    path.write_text("async def test_it(world, n):\n    pass\n")
    run(explore, BUGGY, "--trace", str(file))
    recorded = load(file.read_text())
    recorded.about |= {"test": "argued_site.py::test_it[1]", "scenario": f"{path}::test_it"}
    file.write_text(dump(recorded))
    message = ended(run(replay, str(file)))
    assert f"it is a test: pytest 'argued_site.py::test_it[1]' --sim-replay {file}" in message


def test_explore_goes_on_where_it_was(tmp_path: Path) -> None:
    file, scenario = tmp_path / "stopped.json", BUGGY.replace("buggy", "repaired")
    options = (scenario, "--strategy", "dpor", "--timers", "discrete", "--resume", str(file))
    first = run(explore, *options, "--executions", "1")
    assert first.return_value == 3
    assert "inconclusive after 1 execution (dpor)" in first.output
    whole = run(explore, *options)
    assert whole.return_value == 0
    alone = run(explore, *options[:-2])
    assert whole.output == alone.output
    file.write_text("{}", encoding="utf-8")
    assert ended(run(explore, *options)) == f"{file} holds no exploration: name another file"
    assert "use strategy='dpor'" in ended(run(explore, scenario, "--resume", str(file)))
