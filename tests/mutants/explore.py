"""Explores one scenario of ``scenarios/recovery`` and tells how that ended, as one line of JSON.

    python -m tests.mutants.explore catch_up.any_versions calls 2 EXECUTIONS SECONDS

Runs in a process of its own, with a changed runtime before the real one in its path.
"""

from __future__ import annotations

import importlib
import json
import logging
import sys

import liveproof
from liveproof_sim import NondeterminismError, check


def main(name: str, crash_points: str, crashes: str, executions: str, seconds: str) -> None:
    logging.disable(logging.CRITICAL)
    module, _, function = name.rpartition(".")
    scenario = getattr(importlib.import_module(f"scenarios.recovery.{module}"), function)
    told: dict[str, object] = {"runtime": liveproof.__file__}
    try:
        verdict = check(
            scenario,
            executions=int(executions),
            seconds=float(seconds),
            crash_points=crash_points,
            crashes=int(crashes),
            steps=20_000,
            shrinking=False,
        )
    except NondeterminismError as error:
        told |= {"status": "refused", "executions": 1, "seconds": 0.0, "how": str(error)[:200]}
    else:
        how = "" if verdict.failure is None else _words(verdict.failure.exception)
        told |= {
            "status": verdict.status.value,
            "executions": verdict.executions,
            "seconds": round(verdict.seconds, 2),
            "how": how,
        }
    print(json.dumps(told))


def _words(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}"[:160]


if __name__ == "__main__":
    main(*sys.argv[1:])
