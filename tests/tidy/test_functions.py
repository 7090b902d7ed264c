"""A function has at most 70 lines. Longer ones are counted here, and only may shrink."""

from __future__ import annotations

import ast

from tests.tidy.source import PACKAGES, Finding, Source, read, report

LINES_MAX = 70

COUNTED: dict[str, int] = {}
"""Longer functions, ``path::name``, with their lines today. Don't add: split."""


def function_lines(source: Source) -> dict[str, tuple[int, int]]:
    """Where each function begins and how many lines it has, by ``path::Class.name``."""
    found: dict[str, tuple[int, int]] = {}

    def visit(node: ast.AST, names: tuple[str, ...]) -> None:
        for child in ast.iter_child_nodes(node):
            inner = names
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                inner = (*names, child.name)
                if not isinstance(child, ast.ClassDef):
                    assert child.end_lineno is not None
                    lines = child.end_lineno - child.lineno + 1
                    found[f"{source.path}::{'.'.join(inner)}"] = (child.lineno, lines)
            visit(child, inner)

    visit(source.tree, ())
    return found


def long_functions(sources: list[Source], counted: dict[str, int]) -> list[Finding]:
    """Functions that crossed the line or grew, and counts that are no longer true."""
    findings: list[Finding] = []
    left = dict(counted)
    for source in sources:
        for name, (line, lines) in function_lines(source).items():
            count = left.pop(name, None)
            if lines > max(LINES_MAX, count or 0):
                findings.append(Finding(source.path, line, f"{lines} lines, more than {LINES_MAX}: split it"))
            elif count is not None and lines < count:
                findings.append(Finding(source.path, line, f"shrunk to {lines} lines: lower its count"))
    findings += [Finding(name, count, "counted as long, but is gone") for name, count in left.items()]
    return findings


def test_no_function_crosses_the_line() -> None:
    report(long_functions(read(*PACKAGES), COUNTED))


def _function(lines: int) -> Source:
    return Source("a.py", "class A:\n    def long(self):\n" + "        pass\n" * (lines - 1))


def test_a_long_function_is_found() -> None:
    assert long_functions([_function(70)], {}) == []
    (finding,) = long_functions([_function(71)], {})
    assert str(finding) == "a.py:2: 71 lines, more than 70: split it"


def test_the_ratchet_only_turns_one_way() -> None:
    counted = {"a.py::A.long": 75}
    assert long_functions([_function(75)], counted) == []
    assert [finding.message for finding in long_functions([_function(76)], counted)] == [
        "76 lines, more than 70: split it"
    ]
    assert [finding.message for finding in long_functions([_function(74)], counted)] == [
        "shrunk to 74 lines: lower its count"
    ]
    assert [finding.message for finding in long_functions([], counted)] == ["counted as long, but is gone"]
