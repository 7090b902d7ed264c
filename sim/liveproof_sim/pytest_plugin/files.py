"""``--sim-report DIR``: each test's report as ``.html``, ``.txt``, ``.json`` and, of a failure, ``.jsonl``; and
an index of all that are there.

The index is made of the files, so that many processes may write and the last one is right.
"""

from __future__ import annotations

import json
from pathlib import Path

from liveproof_sim.explore.verdict import Verdict
from liveproof_sim.pytest_plugin.tapes import slug
from liveproof_sim.report import as_data, index_page, page
from liveproof_sim.trace import dump

__all__ = ["write_index", "write_reports"]


def write_reports(folder: Path, test: str, verdict: Verdict, report: str, command: str) -> None:
    """Write those of one test. ``report``, ``command``: of the failure, if there is one."""
    folder.mkdir(parents=True, exist_ok=True)
    base = folder / slug(test)
    text = f"{test}: {verdict}\n\n{report}".rstrip() + "\n"
    data = as_data(verdict, test)
    files = {".txt": text, ".json": json.dumps(data) + "\n", ".html": page(verdict, test, command=command)}
    if verdict.failure is not None and verdict.failure.trace is not None:
        files[".jsonl"] = dump(verdict.failure.trace)
    else:
        base.with_suffix(".jsonl").unlink(missing_ok=True)
    for suffix, content in files.items():
        base.with_suffix(suffix).write_text(content, encoding="utf-8")


def write_index(folder: Path) -> Path:
    """Of all reports in the folder, failures first."""
    rows = []
    for path in sorted(folder.glob("*.json")):
        data = json.loads(path.read_text(encoding="utf-8"))
        link = path.with_suffix(".html").name
        rows.append((data["scenario"], link, data["status"], data["sentence"]))
    rows.sort(key=lambda row: (row[2] != "failed", row[0]))
    index = folder / "index.html"
    index.write_text(index_page(rows), encoding="utf-8")
    return index
