"""pytest explores: tests made with ``@explore``, and their failures kept, shown and replayed.

======================  ==========================================================================
hook                    what it does here
======================  ==========================================================================
addoption, configure    the options, checked before anything is collected
pycollect_makeitem      explored tests are none of pytest-asyncio's; ``--sim-all``
collection_finish       ``--sim-replay`` is for one test
pyfunc_call             a conductor around each explored test
runtest_makereport      the report of a failure, without the simulator's frames
terminal_summary        verdicts
======================  ==========================================================================

With pytest-xdist, tests run in workers and everything that is shown travels with their reports.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from liveproof_sim.decorator import conducted, explored
from liveproof_sim.pytest_plugin.conductor import Conducted
from liveproof_sim.pytest_plugin.options import Options, add_options, read_options
from liveproof_sim.pytest_plugin.showing import longrepr_of
from liveproof_sim.pytest_plugin.summary import Summary, left_alone
from liveproof_sim.pytest_plugin.tapes import Tapes
from liveproof_sim.pytest_plugin.undecorated import LEFT, Undecorated

__all__ = [
    "Explorations",
    "pytest_addoption",
    "pytest_configure",
]

CONDUCTED = pytest.StashKey[Conducted]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ours."""
    add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Read the options, and begin."""
    options = read_options(config)
    config.pluginmanager.register(Explorations(config, options), "liveproof-explorations")
    undecorated = Undecorated(everything=options.undecorated)
    config.pluginmanager.register(undecorated, "liveproof-undecorated")


class Explorations:
    """Of one run of pytest."""

    def __init__(self, config: pytest.Config, options: Options) -> None:
        self._config = config
        self._options = options
        self._summary = Summary(options)

    def pytest_report_header(self) -> str:
        """What this run is told."""
        given = {name: value for name, value in self._options.overrides.items() if value is not None}
        told = [f"{name} {value}" for name, value in given.items() if name != "seed"]
        mode = ["real: asyncio, wall-clock time"] if self._options.real else []
        return f"liveproof: {', '.join([*mode, f'seed {self._options.seed}', *told])}"

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """A tape is of one test."""
        if not self._options.replay:
            return
        there = [item.nodeid for item in session.items if explored(getattr(item, "obj", None))]
        if len(there) != 1:
            several = f"{len(there)} explored tests" if there else "no explored test"
            raise pytest.UsageError(
                f"--sim-replay is for one test, and this selects {several}: name it, as in "
                "pytest path/to/test.py::test --sim-replay ..."
            )

    @pytest.hookimpl(wrapper=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> Generator[None, Any, Any]:
        """Conduct it, if it is explored."""
        if not explored(pyfuncitem.obj):
            return (yield)
        tapes = Tapes(self._config.rootpath, pyfuncitem.nodeid)
        conductor = Conducted(pyfuncitem.nodeid, self._options, tapes)
        conductor.undecorated = getattr(pyfuncitem.obj, "undecorated", False)
        pyfuncitem.stash[CONDUCTED] = conductor
        with conducted(conductor):
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Add what the conductor has to say."""
        report = yield
        conductor = item.stash.get(CONDUCTED, None)
        if call.when != "call":
            return report
        if reason := item.stash.get(LEFT, ""):
            report.liveproof = left_alone(reason)  # type: ignore[attr-defined]
        if conductor is None:
            return report
        if report.failed and call.excinfo is not None:
            shown = longrepr_of(item, call.excinfo)
            if shown is not None:
                report.longrepr = shown
            if conductor.report:
                report.sections.append(("liveproof", conductor.report))
        report.liveproof = conductor.as_data()  # type: ignore[attr-defined]
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Also of workers' tests."""
        self._summary.add(report)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Verdicts."""
        self._summary.write(terminalreporter)
