"""The exceptions drawn in the docstring of ``errors.py`` are the exceptions defined there."""

from __future__ import annotations

import ast
import builtins
import re

import pytest

from tests.tidy.source import PACKAGES, Finding, Source, read, report

DRAWN = re.compile(r"^(?P<stem>[ │]*)(?P<branch>[├└]── )?(?P<name>[A-Z]\w*)(?=\s\s|$)")


def _drawn(docstring: str) -> dict[str, str | None]:
    """The tree of the docstring: each class with the one it hangs on."""
    parents: dict[str, str | None] = {}
    above: list[tuple[int, str]] = []
    for line in docstring.split("\n"):
        match = DRAWN.match(line)
        if match is None or (match["branch"] is None and above):
            continue
        column = len(match["stem"])
        while above and match["branch"] is not None and above[-1][0] >= column + len(match["branch"]):
            above.pop()
        parents[match["name"]] = above[-1][1] if above else None
        above.append((column + len(match["branch"] or ""), match["name"]))
    return parents


def undrawn_errors(source: Source) -> list[Finding]:
    """Classes that are not drawn, hang on the wrong branch, or are drawn without being there."""
    drawn = _drawn(ast.get_docstring(source.tree) or "")
    classes = {node.name: node for node in source.tree.body if isinstance(node, ast.ClassDef)}
    findings: list[Finding] = []
    for name, node in classes.items():
        base = ast.unparse(node.bases[0]) if node.bases else "object"
        if name not in drawn:
            findings.append(Finding(source.path, node.lineno, f"{name} is not in the docstring's tree"))
        elif drawn[name] != base:
            findings.append(Finding(source.path, node.lineno, f"{name} hangs on {drawn[name]}, not {base}"))
    findings += [
        Finding(source.path, 1, f"{name} is drawn, but not defined")
        for name, parent in drawn.items()
        if parent is not None and name not in classes and not hasattr(builtins, name)
    ]
    return findings


def test_every_error_is_drawn() -> None:
    sources = [source for source in read(*PACKAGES) if source.path.endswith("/errors.py")]
    assert sources != []
    report([finding for source in sources for finding in undrawn_errors(source)])


TREE = '''"""Errors.

::

    Exception
    └── Root                said here
        ├── A               said here
        │   ├── A1          said here
        │   └── A2
        └── B               said here

Some words.
"""
class Root(Exception): ...
class A(Root): ...
class A1(A): ...
class A2(A): ...
class B(Root, TypeError): ...
'''


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("├── A1 ", "├── A3 ", "A1 is not in the docstring's tree;A3 is drawn, but not defined"),
        ("class A2(A)", "class A2(Root)", "A2 hangs on A, not Root"),
        ("class B(Root, TypeError): ...\n", "", "B is drawn, but not defined"),
        ("class B", "class C(B): ...\nclass B", "C is not in the docstring's tree"),
    ],
)
def test_a_planted_error_is_found(old: str, new: str, message: str) -> None:
    assert undrawn_errors(Source("errors.py", TREE)) == []
    planted = TREE.replace(old, new)
    assert planted != TREE
    findings = undrawn_errors(Source("errors.py", planted))
    assert ";".join(finding.message for finding in findings) == message
