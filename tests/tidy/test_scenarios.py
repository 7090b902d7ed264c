"""Every scenario says in a docstring what it is about."""

from __future__ import annotations

import ast

from tests.tidy.source import Finding, Source, read, report


def undescribed(source: Source) -> list[Finding]:
    """The file itself, if it has no docstring."""
    if (ast.get_docstring(source.tree) or "").strip():
        return []
    return [Finding(source.path, 1, "a scenario begins with a docstring: what it shows")]


def test_scenarios_have_docstrings() -> None:
    report([finding for source in read("scenarios") for finding in undescribed(source)])


def test_a_planted_scenario_is_found() -> None:
    assert undescribed(Source("a.py", '"""Shows something."""\n')) == []
    assert undescribed(Source("a.py", "import liveproof\n")) != []
    assert undescribed(Source("a.py", '""" """\n')) != []
