"""Exhaust the programs of ``duels.py`` with liveproof's reduction and with frontrun's, in turn, in one process.

::

    python tests/benchmarks/duel.py [--rounds N]

Prints JSON. Both run until nothing is left to run: frontrun without its bound on preemptions and without its
watch for input and output, which these programs have none of. Processor time is what is counted.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import importlib.metadata
import json
import sys
import time
from collections.abc import Callable
from typing import Any

from duels import DUELS, Duel
from liveproof_sim import Status, check

EACH_S = 0.2  # at least so long a turn takes
PROGRAM_S = 60  # no further round of a program begins after so long


def ours(duel: Duel) -> int:
    """Executions until exhausted."""

    async def main() -> None:
        await duel.main()

    verdict = check(main, strategy="dpor", timers="discrete", instrument=["duels"])
    assert verdict.status is Status.PROVED, str(verdict)
    return int(verdict.executions)


def theirs(duel: Duel) -> int:
    """The same."""
    frontrun: Any = importlib.import_module("frontrun")

    async def explore() -> Any:
        return await frontrun.explore(
            setup=duel.setup,
            workers=list(duel.workers),
            invariant=duel.invariant,
            strategy="dpor",
            preemption_bound=None,
            detect_io=False,
            stop_on_first=False,
        )

    found = asyncio.run(explore())
    assert found.property_holds is not False, found.explanation  # None: it is not sure; it ran them all the same
    return int(found.num_explored)


def turn(explore: Callable[[Duel], int], duel: Duel) -> tuple[int, float]:
    """Executions of one exploration, and its seconds."""
    began, times = time.process_time(), 0
    while (spent := time.process_time() - began) < EACH_S:
        executions = explore(duel)
        times += 1
    return executions, spent / times


def measure(rounds: int) -> dict[str, Any]:
    """Each program: executions until exhausted, and the seconds of each round."""
    rows = {}
    first = next(iter(DUELS.values()))
    ours(first), theirs(first)  # what is imported, and compiled, is there
    for name, duel in DUELS.items():
        began = time.process_time()
        pairs: list[tuple[tuple[int, float], tuple[int, float]]] = []
        while len(pairs) < rounds and time.process_time() - began < PROGRAM_S:
            pairs.append((turn(ours, duel), turn(theirs, duel)))
        rows[name] = {
            "ours": pairs[0][0][0],
            "theirs": pairs[0][1][0],
            "our_seconds": [one[1] for one, _ in pairs],
            "their_seconds": [other[1] for _, other in pairs],
        }
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="turns of each (default 5)")
    options = parser.parse_args()
    try:
        version = importlib.metadata.version("frontrun")
        importlib.import_module("frontrun")
    except (ImportError, OSError) as error:
        print(json.dumps({"missing": f"frontrun: {error}"}))
        return
    rows = measure(options.rounds)
    print(json.dumps({"version": version, "python": sys.version.split()[0], "rows": rows}))


if __name__ == "__main__":
    main()
