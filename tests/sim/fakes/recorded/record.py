"""Record what this machine's watches tell of a table of operations::

    python tests/sim/fakes/recorded/record.py     rewrites watch.json beside it (Linux)

``cases.py`` is the table. For each case: the paths that inotify told (``inotify``), whether it told that
something was lost (``lost``), and the paths that the package watchfiles told (``watchfiles``).
"""

# ruff: noqa: ASYNC240 - nothing else runs
from __future__ import annotations

import asyncio
import json
import platform
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import watchfiles

from liveproof.abc.filesystem import Watch
from liveproof.backends.os_watch import InotifyWatch, WatchfilesWatch
from tests.sim.fakes.recorded.cases import CASES, Case, perform, shown

QUIET_S = 0.4
HERE = Path(__file__).parent


async def told(case: Case, make: Callable[[str], Watch]) -> tuple[list[str], bool]:
    """What a watch tells of the case."""
    with tempfile.TemporaryDirectory() as temporary:
        top = Path(temporary).resolve()
        root = top / "root"
        root.mkdir()
        perform(case.setup, root)
        await asyncio.sleep(QUIET_S)  # watchfiles tells of what happened just before
        watch = make(str(root))
        for name in case.added:
            watch.add(str(root / name))
        perform(case.does, root)
        paths: dict[str, None] = {}
        lost = False
        try:
            while True:
                changes = await asyncio.wait_for(watch.changes(), QUIET_S)
                paths |= dict.fromkeys(changes.paths)
                lost = lost or changes.lost
        except (TimeoutError, OSError):
            pass
        watch.close()
        return shown(paths, str(top)), lost


async def record() -> None:
    cases = {}
    for case in CASES:
        inotify, lost = await told(case, InotifyWatch)
        package, _ = await told(case, partial(WatchfilesWatch, recursive=bool(case.added)))
        cases[case.name] = {"inotify": inotify, "lost": lost, "watchfiles": package}
        print(case.name, cases[case.name])
    about = {
        "kernel": platform.release(),
        "python": platform.python_version(),
        "watchfiles": watchfiles.__version__,
    }
    text = json.dumps({"recorded on": about, "cases": cases}, indent=1, sort_keys=True)
    (HERE / "watch.json").write_text(f"{text}\n")


if __name__ == "__main__":
    if sys.platform != "linux":
        sys.exit("inotify is Linux's: record there")
    asyncio.run(record())
