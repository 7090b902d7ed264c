"""What partial-order reduction costs, and what it saves, with the demands that there are."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import liveproof as coco
from duels import guarded_increments, independent
from liveproof_sim import Status, World, check
from liveproof_sim.explore.execution import Settings, exploring
from liveproof_sim.explore.explorer import Explorer, quiet_collector
from liveproof_sim.explore.strategies import FifoSearch
from liveproof_sim.explore.strategies.dpor import Dpor
from liveproof_sim.kernel.loop import Timers

__all__ = ["demands", "others", "runtime_scenario"]

HERE = Path(__file__).resolve().parent
OTHERS_MAX_S = 900
EACH = 20
"""executions in a turn of the runtime's scenario"""


class Leaf(coco.LiveComponent):
    """Updates itself, then is ready."""

    async def process(self) -> None:
        pass

    async def process_live(self, operator: coco.LiveComponentOperator) -> None:
        await operator.update_full()
        await operator.mark_ready()


async def runtime_scenario(world: World) -> None:
    """Live components of the runtime under one app: about 50 steps."""

    async def main() -> None:
        for name in "abcdefghijklmn":
            await coco.mount(coco.component_subpath(name), Leaf)

    await world.start(coco.App("reduced", main), live=True)


def _seconds(run: Callable[[], object], times: int = 1) -> float:
    began = time.process_time()
    for _ in range(times):
        run()
    return (time.process_time() - began) / times


def _once() -> float:
    """Seconds of one execution of independent tasks, which is all that there is to run."""
    settings = Settings(timers=Timers.DISCRETE, reduced=True, instrument=("duels",))
    with exploring(independent, settings), quiet_collector():
        Explorer(independent, Dpor(), settings).once(Dpor())

        def run() -> None:
            search = Dpor()
            search.learn(Explorer(independent, search, settings).once(search), new=True)
            assert search.exhausted()

        return _seconds(run, EACH)


def _runtime() -> tuple[float, float, int]:
    """Seconds of an execution of the runtime without and with instrumentation, in the same order; its steps."""
    found = []
    for reduced in (False, True):
        settings = Settings(timers=Timers.DISCRETE, reduced=reduced)
        with exploring(runtime_scenario, settings), quiet_collector():
            explorer = Explorer(runtime_scenario, FifoSearch(), settings)
            outcome = explorer.once(FifoSearch())
            assert not outcome.failed, outcome.signature
            found.append(_seconds(lambda explorer=explorer: explorer.once(FifoSearch()), EACH))  # type: ignore[misc]
    return found[0], found[1], outcome.steps


def demands(rounds: int) -> dict[str, Any]:
    """The rows that have a demand."""
    counts = {}
    for name, scenario in (("independent", independent), ("guarded", guarded_increments)):
        verdict = check(scenario, strategy="dpor", timers="discrete", instrument=["duels"])
        assert verdict.status is Status.PROVED, str(verdict)
        counts[name] = verdict.executions
    pairs = [_runtime() for _ in range(rounds)]
    return {
        "independent_executions": counts["independent"],
        "independent_s": statistics.median(_once() for _ in range(rounds)),
        "check_s": _seconds(lambda: check(independent, strategy="dpor", timers="discrete", instrument=["duels"]), 3),
        "guarded_executions": counts["guarded"],
        "runtime_steps": pairs[0][2],
        "runtime_s": [plain for plain, _, _ in pairs],
        "runtime_reduced_s": [reduced for _, reduced, _ in pairs],
    }


def _ask(python: str, words: list[str], environment: dict[str, str]) -> dict[str, Any]:
    """What a script of this folder prints."""
    script, *rest = words
    try:
        done = subprocess.run(
            [python, str(HERE / script), *rest],
            capture_output=True, text=True, check=False, timeout=OTHERS_MAX_S, env=environment,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return {"missing": f"no end after {OTHERS_MAX_S} s"}
    if done.returncode:
        return {"missing": (done.stderr.strip().splitlines() or ["no output"])[-1][:200]}
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def others(python: str, searches: list[str], rounds: int) -> dict[str, Any]:
    """Side by side with frontrun; and who exhausts what, in how many executions."""
    paths = [str(HERE.parent.parent / "runtime"), str(HERE.parent.parent / "sim")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    duel = _ask(python, ["duel.py", "--rounds", str(rounds)], environment)
    spaces = [{"name": name, **_ask(python, ["spaces.py", name], environment)} for name in searches]
    return {"duel": duel, "spaces": spaces}
