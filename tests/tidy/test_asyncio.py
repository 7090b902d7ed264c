"""One module of the runtime imports asyncio: nothing else may take tasks, time or waiting from it.

import-linter has the same contract; this one also names the line, and sees imports inside functions and under
``TYPE_CHECKING``.
"""

from __future__ import annotations

import ast

import pytest

from tests.tidy.source import Finding, Source, read, report

IMPORTER = "runtime/liveproof/backends/asyncio_scheduler.py"


def asyncio_imports(source: Source) -> list[Finding]:
    """Imports of asyncio or of anything inside it."""
    if source.path == IMPORTER:
        return []
    findings: list[Finding] = []
    for node in ast.walk(source.tree):
        match node:
            case ast.Import():
                modules = [alias.name for alias in node.names]
            case ast.ImportFrom(module=str(module)):
                modules = [module]
            case _:
                continue
        if any(module.partition(".")[0] == "asyncio" for module in modules):
            findings.append(Finding(source.path, node.lineno, f"only {IMPORTER} imports asyncio"))
    return findings


def test_asyncio_has_one_importer() -> None:
    report([finding for source in read("runtime") for finding in asyncio_imports(source)])


@pytest.mark.parametrize(
    "text",
    [
        "import asyncio",
        "import os, asyncio.locks as locks",
        "from asyncio import Queue",
        "def f():\n    import asyncio",
        "if TYPE_CHECKING:\n    from asyncio.events import AbstractEventLoop",
    ],
)
def test_a_planted_import_is_found(text: str) -> None:
    assert len(asyncio_imports(Source("runtime/liveproof/app.py", text))) == 1
    assert asyncio_imports(Source(IMPORTER, text)) == []
