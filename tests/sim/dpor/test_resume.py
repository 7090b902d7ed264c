"""Explorations that are stopped and go on from a file: the same classes, the same counts, wherever that was."""

from __future__ import annotations

import asyncio
import enum
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from liveproof_sim import OptionError, Status, check
from liveproof_sim.errors import ResumeError
from liveproof_sim.explore.execution import Settings, exploring
from liveproof_sim.explore.explorer import Explorer, quiet_collector
from liveproof_sim.explore.history import Event
from liveproof_sim.explore.strategies import make
from liveproof_sim.explore.strategies.dpor import Dpor
from liveproof_sim.explore.verdict import Verdict
from tests.sim.dpor import classics, drawn_programs, random_programs
from tests.sim.dpor.oracle import TIMERS
from tests.sim.small import Nameless

MOST = 25


class Stop(KeyboardInterrupt):
    """Ctrl-C, here and now."""


def explored(scenario: Callable[..., Any], spec: str, every: int | None, *, midway: bool = False) -> list[Any]:
    """Explore; after so many executions, go on with what a file would hold. Returns classes, counts, bounds."""
    settings = Settings(timers=TIMERS, reduced=True, leaks=False)
    search: Any = make(spec)
    search.keep_classes = search.keep_begin = True
    classes: dict[bytes, None] = {}
    ran = 0
    while not search.exhausted():
        explorer = Explorer(scenario, search, settings)
        with exploring(scenario, settings), quiet_collector():
            while not search.exhausted():
                search.learn(explorer.once(search), new=True)
                ran += 1
                if every is not None and ran % every == 0:
                    break
            if midway and not search.exhausted():
                explorer.once(search)  # and what came of it is never told
        if every is not None:
            text = json.dumps(search.as_data())
            classes |= search.classes
            restarts, search = search.restarts, make(spec)
            search.keep_classes = search.keep_begin = True
            search.restore(json.loads(text))
            assert search.restarts == restarts
            settings = Settings(timers=TIMERS, reduced=True, leaks=False, hot=dict(settings.hot))
    return [classes | search.classes, search.counts(), search.bounds()]


PROGRAMS: dict[str, Any] = {
    "lastzero 2": classics.lastzero(2),
    "conflicting 2 x 2": classics.conflicting(2, 2),
    "philosophers 3": classics.philosophers(3),
    "chosen": classics.chosen,
    "overwritten": classics.overwritten,
}
SPECS = ["dpor", "dpor-source", "dpor:preemptions=1", "dpor:depth=9", "dpor:faults=1,crashes=0"]


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("midway", [False, True])
def test_it_does_not_matter_where_it_was_stopped(name: str, spec: str, midway: bool) -> None:
    whole = explored(PROGRAMS[name], spec, None)
    for every in (1,) if midway else (1, 4):
        assert explored(PROGRAMS[name], spec, every, midway=midway) == whole


@pytest.mark.parametrize("seed", range(8))
def test_random_programs_stopped_after_each_execution(seed: int) -> None:
    drawn = drawn_programs.scenario_of(drawn_programs.generate(seed), {})
    plain = random_programs.scenario_of(random_programs.generate(seed), {})
    for scenario in (drawn, plain):
        if random_programs.interleavings_min(random_programs.generate(seed)) > 500 and scenario is plain:
            continue
        assert explored(scenario, "dpor", 1, midway=True) == explored(scenario, "dpor", None)


async def several() -> None:
    cell = classics.Cell()

    async def work() -> None:
        for _ in range(2):
            cell.value += 1
            await asyncio.sleep(0)

    await asyncio.gather(work(), work(), work())


async def failing_late() -> None:
    seen: list[int] = []

    async def work(me: int) -> None:
        await asyncio.sleep(0)
        seen.append(me)

    await asyncio.gather(*(work(me) for me in range(4)))
    assert seen != [3, 2, 1, 0]


class Colour(enum.Enum):
    RED = 1


async def odd_keys() -> None:
    shared: dict[Any, int] = {}

    async def work(key: Any) -> None:
        shared[key, Colour.RED] = shared.get((key, Colour.RED), 0) + 1

    await asyncio.gather(work(b"x"), work(b"x"), work(None), work(None))


async def unwritable_keys() -> None:
    shared: dict[Any, int] = {}
    key = (Nameless(),)

    async def work() -> None:
        shared[key] = shared.get(key, 0) + 1

    await asyncio.gather(work(), work())


def test_a_budget_at_a_time(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "file.json"
    whole = check(several, strategy="dpor", timers="discrete")
    assert whole.status is Status.PROVED
    verdicts: list[Verdict] = []
    while not verdicts or verdicts[-1].status is Status.INCONCLUSIVE:
        verdicts.append(check(several, strategy="dpor", timers="discrete", executions=MOST, resume=file))
    last = verdicts[-1]
    assert len(verdicts) == -(-whole.executions // MOST)
    assert [each.executions for each in verdicts[:3]] == [MOST, 2 * MOST, 3 * MOST]
    whole.seconds = last.seconds
    assert last == whole
    again = check(several, strategy="dpor", timers="discrete", resume=file)
    whole.seconds = again.seconds
    assert again == whole


def test_a_failure_is_found_again(tmp_path: Path) -> None:
    file = tmp_path / "file.json"
    alone = check(failing_late, strategy="dpor", timers="discrete")
    assert alone.failure is not None
    check(failing_late, strategy="dpor", timers="discrete", executions=5, resume=file)
    for _ in range(2):
        verdict = check(failing_late, strategy="dpor", timers="discrete", resume=file)
        assert verdict.failure is not None
        assert (verdict.executions, verdict.failure.taken) == (alone.executions, alone.failure.taken)


def test_control_c_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file.json"
    whole = check(several, strategy="dpor", timers="discrete")
    steps = 0
    ordinary = Dpor.happened

    def interrupted(self: Dpor, event: Event) -> None:
        nonlocal steps
        steps += 1
        if steps == 400:
            raise Stop
        ordinary(self, event)

    monkeypatch.setattr(Dpor, "happened", interrupted)
    with pytest.raises(KeyboardInterrupt):
        check(several, strategy="dpor", timers="discrete", resume=file)
    saved = json.loads(file.read_text(encoding="utf-8"))["state"]["tally"]["executions"]
    assert 10 < saved < whole.executions
    verdict = check(several, strategy="dpor", timers="discrete", resume=file)
    verdict.seconds = whole.seconds
    assert verdict == whole


def test_keys_of_all_kinds_are_written_down(tmp_path: Path) -> None:
    whole = check(odd_keys, strategy="dpor", timers="discrete")
    file = tmp_path / "file.json"
    verdict = check(odd_keys, strategy="dpor", timers="discrete", executions=1, resume=file)
    assert verdict.status is Status.INCONCLUSIVE
    verdict = check(odd_keys, strategy="dpor", timers="discrete", resume=file)
    assert verdict.reduction == whole.reduction
    with pytest.raises(ResumeError, match="of type Nameless"):
        check(unwritable_keys, strategy="dpor", timers="discrete", executions=1, resume=file.with_name("other"))


def test_other_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file.json"
    check(several, strategy="dpor", timers="discrete", executions=2, resume=file)
    with pytest.raises(ResumeError, match=r"the strategy was \['dpor', {'depth': 2000}\] and is"):
        check(several, strategy="dpor:depth=5", timers="discrete", resume=file)
    with pytest.raises(ResumeError, match="timers was 'discrete' and is 'late'; delete it to start anew"):
        check(several, strategy="dpor", resume=file)
    with pytest.raises(ResumeError, match="the scenario was"):
        check(odd_keys, strategy="dpor", timers="discrete", resume=file)
    monkeypatch.setattr(sys, "version", "3.99.1 (other)")
    with pytest.raises(ResumeError, match="the interpreter was"):
        check(several, strategy="dpor", timers="discrete", resume=file)


def test_an_edit_is_other_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    source = "import asyncio\nasync def scenario():\n    await asyncio.gather(asyncio.sleep(0), asyncio.sleep(0))\n"
    module = tmp_path / "edited_scenario.py"
    module.write_text(source, encoding="utf-8")
    import edited_scenario  # type: ignore[import-not-found]  # noqa: PLC0415

    file = tmp_path / "file.json"
    check(edited_scenario.scenario, strategy="dpor", timers="discrete", executions=1, resume=file)
    module.write_text(f"{source}\n# edited\n", encoding="utf-8")
    with pytest.raises(ResumeError, match="its code was"):
        check(edited_scenario.scenario, strategy="dpor", timers="discrete", resume=file)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "it is no JSON"),
        ("[]", "holds no exploration"),
        ('{"version": 7, "made_with": {}, "state": {}}', "is of version 7, and this is 1"),
    ],
)
def test_what_is_no_such_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "file.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ResumeError, match=message):
        check(several, strategy="dpor", timers="discrete", resume=file)
    assert file.read_text(encoding="utf-8") == text


def test_a_damaged_state_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file.json"
    check(several, strategy="dpor", timers="discrete", executions=2, resume=file)
    data = json.loads(file.read_text(encoding="utf-8"))
    del data["state"]["search"]["frames"]
    file.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(ResumeError, match="is damaged"):
        check(several, strategy="dpor", timers="discrete", resume=file)


def test_what_keeps_nothing_is_not_resumed(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="use strategy='dpor'"):
        check(several, resume=tmp_path / "file.json")
    with pytest.raises(ResumeError, match="cannot be read"):
        check(several, strategy="dpor", resume=tmp_path)
