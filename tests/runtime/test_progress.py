"""Progress: on a real terminal, as lines, and through the API."""

from __future__ import annotations

import io
import re
from datetime import timedelta
from pathlib import Path

import pytest

from liveproof.app import App, AppConfig
from liveproof.core.stats import ComponentStats, UpdateStats
from liveproof.environment import Environment
from liveproof.progress import JsonLines, Lines, Progress, in_words, report, took
from liveproof.settings import Settings
from tests.runtime.cli_site import Site, Terminal

SHOW_CURSOR = "\x1b[?25h"
HIDE_CURSOR = "\x1b[?25l"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    site.source(a="alpha", b="beta")
    return site


def _plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


# --- a terminal ---


def test_a_table_on_a_terminal(site: Site) -> None:
    terminal = Terminal(site, "update", "app.py")
    assert terminal.end() == 0, terminal.text
    text = _plain(terminal.text)
    assert "docs: updated, " in text
    assert re.search(r"component +running +added +reprocessed +unchanged +deleted +errors", text)
    assert re.search(r"\n +process +· +2 ", text)
    assert "processing a\r\n" in text  # what the app prints stands above the table
    assert terminal.text.rindex(SHOW_CURSOR) > terminal.text.rindex(HIDE_CURSOR)


def test_logs_stand_above_the_table(site: Site) -> None:
    site.source(b="bad")
    terminal = Terminal(site, "update", "app.py")
    assert terminal.end() == 1, terminal.text
    text = _plain(terminal.text)
    assert "ValueError: bad is bad\r\n" in text
    assert text.rindex("docs: updated") > text.rindex("bad is bad\r\n")
    assert "error: 1 failure of components" in text


def test_ctrl_c_on_a_terminal_ends_a_live_update(site: Site) -> None:
    terminal = Terminal(site, "update", "app.py", "--live")
    terminal.until(": \x1b[32mlive")
    site.source(c="gamma")
    while not (site.folder / "out" / "c").exists():
        assert terminal.read()
    terminal.type("\x03")
    assert terminal.end() == 130, terminal.text
    text = _plain(terminal.text)
    assert "stopping: what has begun is brought to its end" in text
    assert "docs: stopped" in text
    assert text.rstrip().endswith("stopped; nothing is half-done, and the next update goes on from here")
    assert terminal.text.rindex(SHOW_CURSOR) > terminal.text.rindex(HIDE_CURSOR)


def test_two_ctrl_c_leave_the_cursor_visible(site: Site) -> None:
    (site.folder / "hang").touch()
    terminal = Terminal(site, "update", "app.py")
    while not (site.folder / "hanging").exists():
        assert terminal.read()
    terminal.until("catching up")
    terminal.type("\x03")
    terminal.until("stopping")
    terminal.type("\x03")
    assert terminal.end() == 130, terminal.text
    assert "ended at once" in terminal.text
    assert terminal.text.rindex(SHOW_CURSOR) > terminal.text.rindex(HIDE_CURSOR)


# --- through the API ---


async def _main() -> str:
    return "done"


def _app(folder: Path, name: str = "small") -> App[[], str]:
    env = Environment(Settings(folder / "state.db"))
    return App(AppConfig(name, env), _main)


async def test_a_reported_handle_is_the_handle(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    app = _app(tmp_path)
    handle = app.update(report_to_stdout=True)
    assert type(handle).__name__ == "UpdateHandle"
    assert await handle == "done"
    assert handle.phase == "ended"
    assert re.fullmatch(r"small: updated after [\d.]+ s: 1 added\n", capsys.readouterr().out)
    app.config.environment.close()  # type: ignore[union-attr]


def test_blocking_calls_report_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    app = _app(tmp_path)
    assert app.update_blocking(report_to_stdout=timedelta(seconds=5)) == "done"
    app.drop_blocking(report_to_stdout=True)
    first, second = capsys.readouterr().out.splitlines()[-2:]
    assert first.startswith("small: updated after ")
    assert second.startswith("small: dropped after ")
    app.config.environment.close()  # type: ignore[union-attr]


class _Broken(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


async def test_a_display_that_breaks_ends_no_update(tmp_path: Path) -> None:
    app = _app(tmp_path)
    interval = timedelta(milliseconds=1)
    handle = report(app.update(), interval, JsonLines(_Broken(), interval))
    assert await handle == "done"
    app.config.environment.close()  # type: ignore[union-attr]


async def test_a_failure_is_reported_as_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def fails() -> None:
        raise ValueError("boom")

    env = Environment(Settings(tmp_path / "state.db"))
    with pytest.raises(ValueError, match="boom"):
        await App(AppConfig("small", env), fails).update(report_to_stdout=True)
    assert "small: failed after " in capsys.readouterr().out
    env.close()


# --- words ---


def _progress(phase: str, elapsed_s: float = 1.0, **counts: int) -> Progress:
    stats = UpdateStats({"work": ComponentStats(**counts)} if counts else {})
    return Progress("docs", phase, int(elapsed_s * 1e9), stats)


def test_a_line_only_when_something_has_changed() -> None:
    out = io.StringIO()
    lines = Lines(out, timedelta(seconds=1))
    lines.show(_progress("starting"))
    lines.show(_progress("catching up", 0.9, num_execution_starts=1))
    lines.show(_progress("catching up", num_execution_starts=3, num_adds=2))
    lines.show(_progress("catching up", 2.0, num_execution_starts=3, num_adds=2))
    lines.show(_progress("live", 1.5, num_execution_starts=3, num_adds=3))
    lines.end(_progress("live", 61.0, num_execution_starts=3, num_adds=3, num_errors=2), "stopped")
    assert out.getvalue().splitlines() == [
        "docs: catching up, 1.00 s: 1 running, 2 added",
        "docs: live, 1.50 s: 3 added",
        "docs: stopped after 1 min 01 s: 3 added, 2 errors",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.3, "0.30 s"), (12.34, "12.3 s"), (184, "3 min 04 s"), (7500, "2 h 05 min")],
)
def test_times_for_people(seconds: float, text: str) -> None:
    assert took(int(seconds * 1e9)) == text


def test_counts_for_people() -> None:
    assert in_words(ComponentStats(), running=True) == "nothing yet"
    assert in_words(ComponentStats(num_errors=1), running=True) == "1 error"
