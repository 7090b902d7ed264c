"""The tapes that failed, kept until they pass: a folder per test, a trace file per way to fail.

Files appear and disappear in one step each, so that processes may share the folder (pytest-xdist). What is in
it is never needed: delete it whenever you like.
"""

from __future__ import annotations

import os
import re
from hashlib import blake2b
from pathlib import Path

from liveproof_sim.trace import Trace, dump

__all__ = ["FOLDER", "TAPES_MAX", "Tapes", "slug"]

FOLDER = ".liveproof/sim"
TAPES_MAX = 20  # of one test


def slug(test: str) -> str:
    """A name for files: readable, and different for different tests."""
    words = re.sub(r"[^A-Za-z0-9_]+", "-", test.rpartition("/")[2]).strip("-")
    return f"{words[:60]}-{blake2b(test.encode(), digest_size=4).hexdigest()}"


class Tapes:
    """Those of one test."""

    def __init__(self, root: Path, test: str) -> None:
        self.test = test
        self.folder = root / FOLDER / slug(test)

    def paths(self) -> list[Path]:
        """The trace files, in the same order each time."""
        return sorted(self.folder.glob("*.jsonl"))

    def keep(self, trace: Trace) -> Path | None:
        """Write the trace down; None: there are enough already, or the disk refuses."""
        path = self.folder / f"{blake2b(trace.outcome.encode(), digest_size=6).hexdigest()}.jsonl"
        if len(self.paths()) >= TAPES_MAX and not path.exists():
            return None
        trace.about["test"] = self.test
        temporary = path.with_suffix(f".{os.getpid()}")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            temporary.write_text(dump(trace), encoding="utf-8")
            temporary.replace(path)
        except OSError:  # a read-only checkout: everything works, but the next run has to search again
            return None
        return path

    def drop(self, path: Path) -> None:
        """Forget one; somebody else may have done so already."""
        path.unlink(missing_ok=True)
        if not self.paths():
            try:
                self.folder.rmdir()
            except OSError:  # gone, or somebody is writing into it
                pass
