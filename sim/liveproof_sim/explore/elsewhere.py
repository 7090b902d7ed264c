"""The first execution once more, in a process where strings have other hashes. Both ends are here.

Costs the start of a Python and the imports of the scenario's module, so it is asked for:
``check(..., processes=True)``.
"""

from __future__ import annotations

import json
import os
import pkgutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from liveproof_sim.errors import NondeterminismError, OptionError
from liveproof_sim.explore.determinism import SUSPECTS
from liveproof_sim.explore.execution import Outcome, Settings, execute, exploring, takes_world
from liveproof_sim.explore.strategies import Positions
from liveproof_sim.kernel.choices import Choices
from liveproof_sim.kernel.loop import Fidelity, Limits, Timers
from liveproof_sim.trace.codec import dump, load
from liveproof_sim.trace.diff import first_difference

__all__ = ["answer", "compare_elsewhere"]

_CODE = "from liveproof_sim.explore.elsewhere import answer; answer()"


def compare_elsewhere(scenario: Callable[..., Any], settings: Settings, outcome: Outcome) -> None:
    """Run the choices of an execution in another process, and compare.

    Raises:
        NondeterminismError: the run there is another one.
        OptionError: the scenario cannot be imported there.
    """
    module, name = scenario.__module__, scenario.__qualname__
    if module == "__main__" or "<" in name:
        raise OptionError(
            f"processes=True runs the scenario in another process, which cannot import {name}: define it at "
            "the top of a module"
        )
    request = {
        **settings.as_options(),
        "module": module,
        "name": name,
        "leaks": settings.leaks,
        "steps": settings.limits.steps,
        "taken": outcome.taken,
    }
    hashes = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    path = os.pathsep.join(dict.fromkeys([str(Path.cwd()), *filter(None, sys.path)]))
    done = subprocess.run(  # noqa: S603 - this interpreter, with code of ours
        [sys.executable, "-c", _CODE],
        input=json.dumps(request),
        env={**os.environ, "PYTHONHASHSEED": hashes, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise OptionError(f"processes=True: the other process could not run {name}: {last[0]}")
    assert outcome.trace is not None
    difference = first_difference(outcome.trace, load(done.stdout))
    if difference is not None:
        raise NondeterminismError(
            "the same choices gave two different runs in two processes, whose strings have other hashes: "
            f"{difference}; {SUSPECTS}"
        )


def answer() -> None:
    """The other end: run what standard input asks for, and write the trace to standard output."""
    request = json.load(sys.stdin)
    found: Any = pkgutil.resolve_name(f"{request['module']}:{request['name']}")
    scenario = getattr(found, "scenario", found)  # what @explore has made a test of
    limits = Limits(steps=request["steps"], lateness_ns=request["lateness_ns"])
    fidelity, timers = Fidelity(request["fidelity"]), Timers(request["timers"])
    settings = Settings(fidelity, timers, limits, request["seed"], request["leaks"])
    with exploring():
        outcome = execute(
            scenario,
            Choices(Positions(request["taken"])),
            settings,
            with_world=takes_world(scenario),
            record=True,
        )
    assert outcome.trace is not None
    sys.stdout.write(dump(outcome.trace))
