"""The options of the command line, checked before anything is collected."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from liveproof_sim.check import check
from liveproof_sim.errors import OptionError, SimError
from liveproof_sim.explore.strategies import make
from liveproof_sim.kernel.tape import PREFIX, read_token
from liveproof_sim.trace import Trace, load

__all__ = ["Options", "add_options", "read_options"]


def add_options(parser: pytest.Parser) -> None:
    """What ``pytest --help`` says of us."""
    group = parser.getgroup("liveproof", "exploration of tests that are made with @explore")
    group.addoption("--sim-strategy", metavar="NAME", help="instead of the tests' own, such as pct:depth=3")
    group.addoption("--sim-executions", metavar="N", type=int, help="how many executions per test at most")
    group.addoption(
        "--sim-seconds", metavar="S", type=float, help="how long per test at most; alone: as many as fit"
    )
    group.addoption("--sim-seed", metavar="N", type=int, help="where the search starts")
    group.addoption("--sim-workers", metavar="N", type=int, default=1, help="explore each test in N processes")
    group.addoption(
        "--sim-resume", metavar="DIR", help="a file per test: searches go on from there, and stop there (dpor)"
    )
    group.addoption(
        "--sim-replay", metavar="TOKEN|FILE", help="run what it recorded, once, in the one test that is named"
    )
    group.addoption("--sim-report", metavar="DIR", help="write each test's report: .html, .txt and .jsonl")
    group.addoption("--sim-all", action="store_true", help="explore async tests without a decorator, too")
    group.addoption(
        "--real", action="store_true", help="once on asyncio, with wall-clock time and a temporary directory"
    )


@dataclass(frozen=True, slots=True)
class Options:
    """Of one run of pytest."""

    overrides: dict[str, Any]
    """keyword arguments of ``check`` that go before the tests' own"""
    replay: Trace | None
    """what is replayed, or only its token; None: explore"""
    report: Path | None
    resume: Path | None
    """where each test's search goes on, and stops"""
    real: bool
    undecorated: bool
    """whether async tests without a decorator are explored, too"""

    @property
    def seed(self) -> int:
        """Where searches start, unless a test says otherwise."""
        return int(self.overrides.get("seed", 0))


def read_options(config: pytest.Config) -> Options:
    """Read and check.

    Raises:
        pytest.UsageError: a value that cannot be.
    """
    try:
        return _read(config)
    except (SimError, OSError) as error:
        raise pytest.UsageError(str(error)) from error


def _read(config: pytest.Config) -> Options:
    overrides: dict[str, Any] = {}
    strategy, executions = config.getoption("--sim-strategy"), config.getoption("--sim-executions")
    seconds, seed = config.getoption("--sim-seconds"), config.getoption("--sim-seed")
    if strategy is not None:
        make(strategy)
        overrides["strategy"] = strategy
    if executions is not None:
        if executions < 1:
            raise OptionError(f"--sim-executions must be at least 1, not {executions}")
        overrides["executions"] = executions
    if seconds is not None:
        if seconds <= 0:
            raise OptionError(f"--sim-seconds must be above 0, not {seconds:g}")
        overrides |= {"seconds": seconds, "executions": executions}
    if seed is not None:
        overrides["seed"] = seed
    if config.getoption("--sim-all") and config.getoption("--sim-workers") > 1:
        raise OptionError("--sim-all explores in one process, with fixtures of its own: leave --sim-workers out")
    overrides |= _workers(config.getoption("--sim-workers"))
    report, replay, real = (config.getoption(name) for name in ("--sim-report", "--sim-replay", "--real"))
    if real and replay is not None:
        raise OptionError("--real has no tape to replay: leave --real or --sim-replay out")
    tape = None if replay is None else _tape(replay)
    resume = config.getoption("--sim-resume")
    if resume and (real or replay is not None):
        raise OptionError("--sim-resume is for explorations: leave it out, or --real and --sim-replay")
    report, resume = (Path(each) if each else None for each in (report, resume))
    return Options(overrides, tape, report, resume, real, config.getoption("--sim-all"))


def _workers(workers: int) -> dict[str, int]:
    if workers < 1:
        raise OptionError(f"--sim-workers must be at least 1, not {workers}")
    if workers == 1:
        return {}
    if "workers" not in inspect.signature(check).parameters:
        raise OptionError(f"this liveproof explores in one process: --sim-workers {workers} needs a later one")
    return {"workers": workers}


def _tape(replay: str) -> Trace:
    """What is meant: a trace file, or a token."""
    if replay.startswith("lp") and not replay.endswith(".jsonl"):
        trace = Trace(token=replay)
    elif Path(replay).is_file():
        trace = load(Path(replay).read_text(encoding="utf-8"))
        if not trace.token:
            raise OptionError(f"{replay} has no token: only the trace of a failure can be replayed")
    else:
        raise OptionError(f"--sim-replay: there is no file {replay!r}, and a token begins with {PREFIX!r}")
    read_token(trace.token)
    return trace
