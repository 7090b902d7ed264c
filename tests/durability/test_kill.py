"""``kill -9`` at random moments of live work, again and again on one directory and one store.

After each kill, a catch-up run in a fresh process has to make the target what the source asks for, with
nothing left over in the target or the store (DUR-1), and the run after that has to do nothing (DUR-3).

Half of the workers are killed from outside after a random time; the others kill themselves at a random step:
before, after or in the middle of a change of a file, of a write of the store, or of a flush. A failing case
names its seed and keeps its directory: ``LIVEPROOF_SEED=... make test ARGS="-k killed_at_random"``. More kills:
``LIVEPROOF_KILLS=5000``.
"""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path
from typing import Literal

import pytest

from tests.durability.driver import Forge, forge
from tests.durability.mischief import Mischief
from tests.durability.sites import Kind

SEED = int(os.environ.get("LIVEPROOF_SEED", "1"))
KILLS = int(os.environ.get("LIVEPROOF_KILLS", "200"))
CASES: list[tuple[Kind, Literal["power", "process"]]] = [
    ("tree", "power"),
    ("tree", "process"),
    ("page", "power"),
    ("page", "process"),
]
SWAPS = True
"""Whether a name may be a directory at one time and a file at another."""
DELAY_S_MAX = 0.12
STEPS_MAX = 150
CHANGES_MAX = 40


def kill_amid_changes(site: Forge, mischief: Mischief, rng: random.Random) -> str:
    """Start a worker, make changes, kill it; returns at which moment it died."""
    by_itself = rng.random() < 0.5
    worker = site.start("live", rng.randint(1, STEPS_MAX) if by_itself else None)
    until = time.monotonic() + rng.random() * DELAY_S_MAX
    for _ in range(CHANGES_MAX):
        # Not to wait for anything: to let some of the work happen between two changes.
        if worker.ended(rng.random() * 0.01) or (not by_itself and time.monotonic() > until):
            break
        mischief.do(rng)
    if by_itself:
        worker.ended(0.1)
    worker.signal(signal.SIGKILL)
    assert worker.end() == -signal.SIGKILL, "it ended otherwise"
    words = site.base / "last-words"
    return words.read_text() if words.exists() else "at some time"


@pytest.mark.parametrize(("kind", "durability"), CASES)
def test_killed_at_random(kind: Kind, durability: Literal["power", "process"], tmp_path: Path) -> None:
    kills = -(-KILLS // len(CASES))
    by_themselves = 0
    with forge(tmp_path / "site", kind, durability) as site:
        mischief = Mischief(site.source, flat=kind == "page", swaps=SWAPS)
        for number in range(kills):
            rng = random.Random(f"{SEED} {kind} {durability} {number}")
            moment = "before the kill"
            try:
                moment = kill_amid_changes(site, mischief, rng)
                for _ in range(rng.choice((0, 0, 1, 3))):
                    mischief.do(rng)
                site.remember()
                site.carry_out("update")
                site.check()
                site.check_idle()
            except AssertionError as exc:
                exc.add_note(f"kill {number} of seed {SEED}, {moment}; kept in {site.keep()}")
                raise
            by_themselves += moment.startswith("step")
    assert by_themselves >= kills // 5, f"only {by_themselves} of {kills} died at a step of their own"
