"""--sim-report, the page and the verdict as data."""

from __future__ import annotations

import asyncio
import json
from html.parser import HTMLParser
from typing import Any

import pytest

from liveproof_sim import World, check
from liveproof_sim.report import as_data, as_json, index_page, page
from liveproof_sim.report.curve import curve_svg
from liveproof_sim.trace import load
from scenarios.zoo import lost_update
from tests.sim import small
from tests.sim.plugin.suites import ARGUMENTS, LOST, prepare, run, token_of

pytest_plugins = ["pytester"]

SECTIONS = ("again", "command", "token", "lanes", "waits", "draws", "thoroughness", "text", "data")
VOID = ("meta",)


class Outline(HTMLParser):
    """The elements of a page; raises if one is not closed, or loads something."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: dict[str, int] = {}
        self.ids: list[str] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        assert "src" not in given
        assert not (given.get("href") or "").startswith(("http", "//"))
        assert tag != "link"
        self.seen[tag] = self.seen.get(tag, 0) + 1
        self.ids += [value for name, value in attrs if name == "id" and value]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen[tag] = self.seen.get(tag, 0) + 1

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def carried(text: str) -> dict[str, Any]:
    """The data that the page's script draws from."""
    found = text.partition('<script type="application/json" id="data">')[2].partition("</script>")[0]
    data: dict[str, Any] = json.loads(found)
    return data


async def hostile(world: World) -> None:
    speed = world.draw(5, label="</script><b>speed")
    stuck = asyncio.get_running_loop().create_future()

    async def waiter() -> None:
        await stuck

    task = world.spawn(waiter(), name="<i>waiter")
    await world.clock.sleep(1)
    if speed >= 2:
        raise LookupError(f"</pre><script>alert({speed})</script>")
    stuck.set_result(None)
    await task


def test_the_page_of_a_failure() -> None:
    verdict = check(hostile, seed=1)
    assert verdict.failure is not None
    text = page(verdict, "tests/<it>.py::hostile", command="pytest & replay")
    outline = Outline(text)
    for each in SECTIONS:
        assert each in outline.ids
    said = "".join(outline.texts)
    for words in (
        "tests/<it>.py::hostile",
        "LookupError: </pre><script>alert(2)</script>",
        "pytest & replay",
        verdict.failure.token,
        "</script><b>speed",
        "<i>waiter",
        "no single removal still fails",
    ):
        assert words in said
    assert "alert(2)</script>" not in text.replace("&lt;", "")
    assert outline.seen["script"] == 2
    data = carried(text)
    assert "<i>waiter" in data["tasks"]
    trace = as_data(verdict, "it")["failure"]["trace"]
    assert sum(len(turn["steps"]) for turn in data["turns"]) == trace["steps"]


def test_the_page_of_a_sample_and_of_a_proof() -> None:
    program, _ = small.independent(3, 3)
    sampled = Outline(page(check(program, executions=200), "sampled"))
    assert "again" not in sampled.ids
    assert "lanes" not in sampled.ids
    assert sampled.seen["polyline"] == 1
    said = "".join(sampled.texts)
    assert "Good–Turing" in said
    assert "is excluded (95 %)" in said
    assert "portfolio" in said
    proved = "".join(Outline(page(check(program, strategy="dfs"), "proved")).texts)
    assert "proved in 20 executions" in proved
    assert "Assumed: tasks switch only where they await" in proved
    assert "Good–Turing" not in proved


def test_the_curve_begins_at_nothing_and_ends_at_what_was_seen() -> None:
    svg = curve_svg([(1, 1), (2, 2), (4, 3), (100, 50)])
    outline = Outline(svg)
    assert outline.seen == {"svg": 1, "path": 1, "polyline": 1, "circle": 4, "title": 4, "text": 4}
    assert 'points="56.0,168.0 ' in svg
    assert svg.partition('points="')[2].partition('"')[0].endswith("624.0,12.0")
    assert curve_svg([]).count("circle") == 0


def test_an_index_has_a_row_a_test() -> None:
    text = index_page([("a", "a.html", "failed", "it failed"), ("b", "b.html", "proved within", "fine")])
    outline = Outline(text)
    assert (outline.seen["a"], outline.seen["tr"]) == (2, 3)
    assert "1 failed, 1 proved within" in text
    assert 'class="pill proved-within"' in text


def test_a_verdict_as_json() -> None:
    verdict = check(lost_update.buggy)
    data = json.loads(as_json(verdict, "loser"))
    assert data == json.loads(json.dumps(as_data(verdict, "loser")))
    assert (data["format"], data["version"]) == ("liveproof-verdict", 1)
    assert (data["status"], data["exit_code"]) == ("failed", 1)
    failure = data["failure"]
    assert failure["preemptions"] == 1
    assert failure["type"] == "AssertionError"
    assert [turn["who"] for turn in failure["trace"]["turns"] if turn["overtook"]]
    passed = json.loads(as_json(check(small.independent(2, 2)[0], strategy="dfs"), "fine"))
    assert passed["failure"] is None
    assert passed["unseen_at_most"] == 0


def test_files_of_a_run(pytester: pytest.Pytester) -> None:
    prepare(pytester, LOST)
    prepare(pytester, ARGUMENTS, "test_two.py")
    result = run(pytester, "--sim-report", "out")
    result.stdout.fnmatch_lines(["reports: out/index.html"])
    out = pytester.path / "out"
    suffixes = sorted(path.suffix for path in out.iterdir())
    assert suffixes == [*[".html"] * 4, *[".json"] * 3, ".jsonl", *[".txt"] * 3]
    base = next(out.glob("*.jsonl"))
    token = token_of(result)
    assert load(base.read_text()).token == token
    assert load(base.read_text()).about["test"] == "test_it.py::test_lost"
    assert f"pytest test_it.py::test_lost --sim-replay {token}" in base.with_suffix(".html").read_text()
    assert f"again: pytest test_it.py::test_lost --sim-replay {token}" in base.with_suffix(".txt").read_text()
    links = Outline(out.joinpath("index.html").read_text())
    assert links.seen["a"] == 3
    index = out.joinpath("index.html").read_text()
    assert index.index("test_it.py::test_lost") < index.index("test_two.py")
