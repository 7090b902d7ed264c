"""What was found so far, a line of JSON for each piece, so that a run that was cut off can go on.

The first line says of which code: results of other code are not results. The verification itself does not
count as such code, because a page may be written anew without running anything.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from scenarios.verify.plan import Piece
from scenarios.verify.work import Result

__all__ = ["Ledger", "digest"]

CODE = ("runtime", "sim", "scenarios", "tests/mutants", "tests/sim/dpor")


def digest(root: Path) -> str:
    """Of all source that a result depends on."""
    state = hashlib.sha256()
    for folder in CODE:
        for path in sorted((root / folder).rglob("*.py")):
            name = path.relative_to(root).as_posix()
            if not name.startswith("scenarios/verify/"):
                state.update(f"{name}\0".encode() + path.read_bytes() + b"\0")
    return state.hexdigest()


class Ledger:
    """The file of results."""

    def __init__(self, path: Path, code: str) -> None:
        self._path = path
        self._code = code

    def begin(self, planned: Iterable[Piece], *, resume: bool) -> dict[str, Result]:
        """The results that hold for what is planned: none, unless it is to be resumed. The file is begun anew."""
        kept: dict[str, Result] = {}
        if resume and self._path.exists():
            wanted = {piece.key: piece.executions for piece in planned}
            kept = {each.key: each for each in self._read() if wanted.get(each.key) == each.wanted and not each.cut}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(json.dumps({"code": self._code}) + "\n", "utf-8")
        for result in kept.values():
            self.add(result)
        return kept

    def add(self, result: Result) -> None:
        """One more."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(result)) + "\n")

    def _read(self) -> list[Result]:
        """Those of this code. The last line may be half a line, if the run was cut off there."""
        head, *lines = self._path.read_text("utf-8").split("\n")
        found = []
        try:
            if json.loads(head) != {"code": self._code}:
                return []
            for line in lines:
                row = json.loads(line)
                tuples = {name: tuple(row[name]) for name in ("missed", "left")}
                faults = [tuple(each) for each in row["faults"]]
                found.append(Result(**{**row, **tuples, "faults": faults}))
        except ValueError:
            pass
        return found
