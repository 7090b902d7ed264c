"""The command, as a process of its own: exit codes, messages, signals, and what goes where."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runtime.cli_site import APP, DEADLINE_S, Site, Terminal, ended, lines_until, until


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    site.source(a="alpha", b="beta")
    return site


@pytest.fixture
def processes() -> Iterator[list[subprocess.Popen[str]]]:
    begun: list[subprocess.Popen[str]] = []
    ending = ended(begun)
    next(ending)
    yield begun
    next(ending, None)


def _live(site: Site, processes: list[subprocess.Popen[str]]) -> subprocess.Popen[str]:
    """An update that has caught up and goes on."""
    process = site.start("update", "app.py", "--live", "--json", "--interval", "0.01")
    processes.append(process)
    lines_until(process, '"phase": "live"')
    return process


# --- 0 and 1 ---


def test_update_writes_the_targets_and_a_summary(site: Site) -> None:
    done = site.run("update", "app.py")
    assert site.targets == {"a": "ALPHA", "b": "BETA"}
    *_, summary = done.stdout.splitlines()
    assert summary.startswith("docs: updated after ")
    assert done.stderr == ""
    assert "unchanged" in site.run("update", "app.py").stdout.splitlines()[-1]


def test_quiet_says_nothing_of_its_own(site: Site) -> None:
    done = site.run("update", "app.py", "--quiet")
    assert sorted(done.stdout.splitlines()) == ["processing a", "processing b"]
    assert done.stderr == ""


def test_failed_components_are_counted_and_their_targets_stay(site: Site) -> None:
    site.run("update", "app.py")
    site.source(b="bad")
    done = site.run("update", "app.py", code=1)
    assert site.targets == {"a": "ALPHA", "b": "BETA"}
    assert "error: 1 failure of components in app 'docs'; their previous target states stay" in done.stderr
    assert "ValueError: bad is bad" in done.stderr  # the log's traceback
    assert "1 error" in done.stdout


def test_quiet_still_tells_errors(site: Site) -> None:
    site.source(b="bad")
    assert "error: 1 failure" in site.run("update", "app.py", "--quiet", code=1).stderr


def test_full_reprocess_uses_no_memo(site: Site) -> None:
    site.run("update", "app.py", "-q")
    assert "processing" not in site.run("update", "app.py", "-q").stdout
    assert "processing a" in site.run("update", "app.py", "-q", "--full-reprocess").stdout


def test_reset_drops_first(site: Site) -> None:
    site.run("update", "app.py")
    (site.folder / "src" / "b").unlink()
    (site.folder / "refuse").touch()  # so that what the drop removes shows
    assert "may not go" in site.run("update", "app.py", "--reset", "--force", code=1).stderr
    (site.folder / "refuse").unlink()
    assert "dropped" in site.run("update", "app.py", "--reset", "--force").stdout
    assert site.targets == {"a": "ALPHA"}


# --- 2 ---


LOADING = {
    "missing": ("nothing.py", None, "there is no such file"),
    "directory": ("src/", None, "it is a directory"),
    "syntax": ("app.py", "x = = 1", "SyntaxError in app.py, line 1"),
    "raises": ("app.py", "\n1 / 0", "ZeroDivisionError: division by zero (app.py, line 2, in <module>)"),
    "import": ("app.py", "import no_such_module", "imports 'no_such_module', which is not there"),
    "relative": ("app.py", "from . import x", "name it as a module, package.app"),
    "exits": ("app.py", "raise SystemExit(3)", "called sys.exit(3)"),
    "none": ("app.py", "x = 1", "app.py has no app"),
    "two": ("app.py", APP + "\nother = coco.App('more', main)", "app (app 'docs'), other (app 'more')"),
    "name": ("app.py:nobody", APP, "has no app 'nobody'; it has app (app 'docs')"),
    "module": ("no_such_app", None, "there is no module 'no_such_app'"),
    "empty": ("app.py:", None, "names no app"),
}


@pytest.mark.parametrize(("target", "text", "said"), LOADING.values(), ids=LOADING)
def test_an_app_that_cannot_be_loaded(site: Site, target: str, text: str | None, said: str) -> None:
    if text is not None:
        (site.folder / "app.py").write_text(text)
    done = site.run("update", target, code=2)
    assert said in done.stderr
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    assert not site.store.exists()


def test_debug_shows_the_traceback_of_a_load(site: Site) -> None:
    (site.folder / "app.py").write_text("1 / 0")
    assert "Traceback" in site.run("update", "app.py", "--debug", code=2).stderr


def test_wrong_usage(site: Site) -> None:
    assert "No such command" in site.run("upgrade", code=2).stderr
    assert "No such option" in site.run("update", "app.py", "--fast", code=2).stderr


@pytest.mark.parametrize("target", ["app.py", "app.py:app", "app.py:docs", "app", "app:app", "./app.py"])
def test_ways_to_name_an_app(site: Site, target: str) -> None:
    site.run("update", target)
    assert site.targets == {"a": "ALPHA", "b": "BETA"}


def test_an_app_beside_its_modules_and_with_a_taken_name(site: Site) -> None:
    (site.folder / "deep").mkdir()
    (site.folder / "app.py").rename(site.folder / "real.py")
    (site.folder / "deep" / "beside.py").write_text("NAME = 'beside'")
    (site.folder / "deep" / "logging.py").write_text(
        "import dataclasses, beside, liveproof\n"
        "@dataclasses.dataclass\nclass D:\n    x: 'int' = 1\n"
        "def main(): return D()\n"
        "app = liveproof.App(beside.NAME, main)\n"
    )
    assert "beside: updated" in site.run("update", "deep/logging.py").stdout


# --- 3 ---


def test_a_busy_store(site: Site, processes: list[subprocess.Popen[str]]) -> None:
    process = _live(site, processes)
    done = site.run("update", "app.py", code=3)
    assert f"is already open in process {process.pid}" in done.stderr
    assert "Traceback" not in done.stderr
    (result,) = [line for line in site.json("update", "app.py", code=3) if line["type"] == "result"]
    assert result["error"]["type"] == "StoreBusyError"
    site.run("drop", "app.py", "--force", code=3)


def test_a_damaged_store(site: Site) -> None:
    site.run("update", "app.py")
    site.store.write_bytes(b"not a database, and longer than a header would be" * 10)
    for args in (("update", "app.py"), ("show", "app.py"), ("ls",), ("drop", "app.py", "--force")):
        assert "move it away" in site.run(*args, code=3).stderr


# --- 4 ---


def test_the_main_function_raises(site: Site) -> None:
    (site.folder / "raise").touch()
    done = site.run("update", "app.py", code=4)
    assert "the main function of app 'docs' raised ValueError: boom (app.py, line " in done.stderr
    assert "Traceback" not in done.stderr
    assert "Traceback" in site.run("update", "app.py", "--debug", code=4).stderr
    *_, result = site.json("update", "app.py", code=4)
    assert result["error"] == {"type": "ValueError", "message": "boom"}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("    1 / 0\n    yield", "the lifespan of app 'docs' raised ZeroDivisionError"),
        ("    yield\n    1 / 0", "the end of the lifespan of app 'docs' raised ZeroDivisionError"),
    ],
)
def test_the_lifespan_raises(site: Site, body: str, said: str) -> None:
    lifespan = f"\n@coco.lifespan\ndef life(builder):\n{body}\n"
    (site.folder / "app.py").write_text(APP + lifespan)
    assert said in site.run("update", "app.py", code=4).stderr


def test_the_main_function_exits(site: Site) -> None:
    (site.folder / "app.py").write_text(APP.replace('raise ValueError("boom")', "sys.exit(7)"))
    (site.folder / "raise").touch()
    assert "called sys.exit(7)" in site.run("update", "app.py", code=4).stderr


# --- 130 and 143 ---


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_in_order(
    site: Site, processes: list[subprocess.Popen[str]], number: signal.Signals, code: int
) -> None:
    process = _live(site, processes)
    process.send_signal(number)
    out, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == code
    assert "stopped; nothing is half-done" in err
    assert "Traceback" not in err
    result = json.loads(out.splitlines()[-1])
    assert result["exit_code"] == code
    assert result["total"]["num_adds"] >= 2
    (app,) = [line for line in site.json("ls") if line["type"] == "app"]
    assert app["in_doubt"] == 0
    assert not site.store.with_name("state.db-wal").exists()  # closed in order


def test_a_second_signal_ends_at_once(site: Site, processes: list[subprocess.Popen[str]]) -> None:
    (site.folder / "hang").touch()
    process = site.start("update", "app.py")
    processes.append(process)
    until((site.folder / "hanging").exists, "a sink hangs")
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    assert "stopping" in process.stderr.readline()
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(DEADLINE_S) == 130
    assert "ended at once" in process.stderr.read()


def test_a_signal_while_the_app_is_loaded(site: Site, processes: list[subprocess.Popen[str]]) -> None:
    text = "import pathlib, time\npathlib.Path('loading').touch()\ntime.sleep(3600)\n"
    (site.folder / "app.py").write_text(text)
    process = site.start("update", "app.py")
    processes.append(process)
    until((site.folder / "loading").exists, "the app is being loaded")
    process.send_signal(signal.SIGINT)
    assert process.wait(DEADLINE_S) == 130


def test_a_signal_during_the_lifespan(site: Site, processes: list[subprocess.Popen[str]]) -> None:
    lifespan = (
        "\nimport asyncio\n@coco.lifespan\nasync def life(builder):\n"
        "    (HERE / 'begun').touch()\n    await asyncio.sleep(3600)\n    yield\n"
    )
    (site.folder / "app.py").write_text(APP + lifespan)
    process = site.start("update", "app.py")
    processes.append(process)
    until((site.folder / "begun").exists, "the lifespan has begun")
    process.send_signal(signal.SIGTERM)
    assert process.wait(DEADLINE_S) == 143


# --- drop ---


def test_drop_asks_for_force_where_nobody_can_be_asked(site: Site) -> None:
    site.run("update", "app.py")
    done = site.run("drop", "app.py", code=2)
    assert "stdin is not a terminal: add --force" in done.stderr
    assert site.targets == {"a": "ALPHA", "b": "BETA"}


def test_drop_removes_everything(site: Site) -> None:
    site.run("update", "app.py")
    assert "docs: dropped after" in site.run("drop", "app.py", "--force").stdout
    assert site.targets == {}
    assert site.json("ls")[:-1] == []
    assert "nothing to drop" in site.run("drop", "app.py", "-f").stdout


def test_drop_of_what_was_never_there_makes_no_store(site: Site) -> None:
    assert "nothing to drop" in site.run("drop", "app.py", "--force").stdout
    assert not site.store.parent.exists()


def test_an_incomplete_drop_says_what_is_left(site: Site) -> None:
    site.run("update", "app.py")
    (site.folder / "refuse").touch()
    done = site.run("drop", "app.py", "--force", code=1)
    assert "OSError: " in done.stderr
    assert "drop again" in done.stderr
    (site.folder / "refuse").unlink()
    site.run("drop", "app.py", "--force")
    assert site.targets == {}


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 2), ("\x04", 2), ("\x03", 130)])
def test_drop_asks_on_a_terminal(site: Site, answer: str, code: int) -> None:
    site.run("update", "app.py")
    terminal = Terminal(site, "drop", "app.py")
    terminal.until("its 2 target states and all that is known of it? [y/N]")
    terminal.type(answer)
    while answer == "\x03" and terminal.read():
        # Again: Python does not see a signal that comes just before it begins to wait for input.
        time.sleep(0.05)
        terminal.type(answer)
    assert terminal.end() == code, terminal.text
    assert site.targets == ({} if code == 0 else {"a": "ALPHA", "b": "BETA"})


# --- stdout ---


def test_json_is_alone_on_stdout(site: Site) -> None:
    text = APP.replace('print("processing"', 'import os; os.system("echo child"); print("processing"')
    (site.folder / "app.py").write_text(text)
    done = site.run("update", "app.py", "--json", "--interval", "0")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert {line["type"] for line in lines[:-1]} == {"progress"}
    result = lines[-1]
    assert (result["type"], result["exit_code"], result["outcome"]) == ("result", 0, "success")
    assert result["error"] is None
    assert result["components"]["process"]["num_adds"] >= 2
    assert result["total"]["num_in_progress"] == 0
    assert result["elapsed_s"] > 0
    assert "child" in done.stderr
    assert "processing a" in done.stderr


def test_json_has_a_result_when_nothing_began(site: Site) -> None:
    (result,) = site.json("update", "nothing.py", code=2)
    assert result["outcome"] == "usage"
    assert result["error"]["type"] == "AppLoadError"


@pytest.mark.parametrize("args", [("show", "app.py"), ("update", "app.py", "--interval", "0")])
def test_a_reader_that_leaves_is_no_error(site: Site, args: tuple[str, ...]) -> None:
    site.run("update", "app.py")
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            site.command(args),
            cwd=site.folder,
            env=site.env(),
            stdin=subprocess.DEVNULL,
            stdout=writing,
            stderr=subprocess.PIPE,
            timeout=DEADLINE_S,
            check=False,
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


def test_help_documents_the_exit_codes(site: Site) -> None:
    for command in ("update", "drop", "ls", "show"):
        assert "130  interrupted by Ctrl-C" in site.run(command, "--help").stdout


def test_other_packages_add_commands(site: Site) -> None:
    (site.folder / "plug.py").write_text(
        "import click\n\n@click.command()\ndef hello():\n    'Say hello.'\n    click.echo('hello')\n"
    )
    info = site.folder / "plug-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plug\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[liveproof.commands]\nhello = plug:hello\n")
    assert site.run("hello").stdout == "hello\n"
    assert "Say hello." in site.run("--help").stdout
