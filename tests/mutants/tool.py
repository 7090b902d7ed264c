"""Changes a copy of the runtime, and sees whether a scenario notices.

The copy is put first in the path of a child process; nothing in this tree is touched. A mutant is *killed* if
its scenario fails, *survives* if that spends its budget, and is *stale* if the runtime does not contain what
it changes exactly once.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.mutants.catalogue import Mutant, Scenario
from tests.tidy.source import ROOT

__all__ = ["Result", "StaleMutantError", "explored", "judge", "mutated"]

GRACE_S = 60.0
"""A child that has spent its seconds may take this much longer to end; then it hangs."""


class StaleMutantError(AssertionError):
    """The runtime no longer says what the mutant changes."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one exploration."""

    status: str
    """of the verdict, or ``refused``, ``hangs`` or ``crashed``"""
    executions: int
    seconds: float
    """in all, with the start of the process"""
    how: str

    @property
    def killed(self) -> bool:
        """Whether the scenario has failed."""
        return self.status == "failed"


@contextmanager
def mutated(mutant: Mutant | None) -> Iterator[Path]:
    """A copy of the runtime with the change in it (``None``: without any).

    Raises:
        StaleMutantError: there is not exactly one place to change.
    """
    with tempfile.TemporaryDirectory(prefix="liveproof-mutant-") as folder:
        copy = Path(folder) / "runtime"
        shutil.copytree(ROOT / "runtime", copy)
        if mutant is not None:
            file = copy / "liveproof" / mutant.file
            text = file.read_text()
            if (count := text.count(mutant.old)) != 1:
                raise StaleMutantError(f"{mutant.what}: {mutant.file} has {count} places like\n{mutant.old}")
            file.write_text(text.replace(mutant.old, mutant.new))
        yield copy


def explored(runtime: Path, scenario: Scenario, *, executions: int, seconds: float) -> Result:
    """Explore a scenario with that runtime, in a process of its own."""
    path = os.pathsep.join([str(runtime), str(ROOT / "sim"), str(ROOT)])
    budget = [str(executions), str(seconds)]
    command = [scenario.name, scenario.crash_points, str(scenario.crashes), *budget]
    began = time.monotonic()
    try:
        ran = subprocess.run(
            [sys.executable, "-m", "tests.mutants.explore", *command],
            cwd=runtime.parent,
            env={**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": "0"},
            capture_output=True,
            text=True,
            timeout=seconds + GRACE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Result("hangs", 0, time.monotonic() - began, f"no end after {seconds + GRACE_S:g} s")
    took = time.monotonic() - began
    if ran.returncode != 0:
        return Result("crashed", 0, took, ran.stderr.strip().splitlines()[-1][:160])
    told = json.loads(ran.stdout.splitlines()[-1])
    assert Path(told["runtime"]).is_relative_to(runtime), f"not the copy: {told['runtime']}"
    return Result(told["status"], told["executions"], took, told["how"])


def judge(mutant: Mutant, *, executions: int = 3000, seconds: float = 240.0) -> Result:
    """What becomes of a mutant."""
    with mutated(mutant) as runtime:
        return explored(runtime, mutant.scenario, executions=executions, seconds=seconds)
