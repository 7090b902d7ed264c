"""Calls whose result differs from run to run, and imports that the contracts cannot see.

=================================  ==============================================================
banned                             use instead
=================================  ==============================================================
``id``                             a sequence number: ``id()`` differs from run to run
``hash``                           a stable digest: hashes of strings are salted per process
``set``, ``frozenset``, ``{a, b}`` ``dict.fromkeys``: the order of a set follows salted hashes
``import_module``, ``__import__``  an import statement, which the contracts can see
=================================  ==============================================================

A line may keep one where it is harmless, and says why: ``# tidy: allow set (only asked for members)``. The
words are id, hash, set and import. Sets that a reader sees to be harmless need no comment: the right side of
``in``, and types (in annotations, ``isinstance``). That ``id`` and its like are the builtins, not somebody's
variables, is ruff's business (A001, A002).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from tests.tidy.source import PACKAGES, Finding, Source, read, report

INSTEAD = {
    "id": "id() differs from run to run: use a sequence number",
    "hash": "hash() is salted per process: use a stable digest",
    "set": "the order of a set follows salted hashes: use dict.fromkeys",
    "import": "the contracts cannot see it: use an import statement",
}

ALLOW = re.compile(r"#.*?\btidy: allow (?P<word>\w*)(?P<reason> \([^()]*(\([^()]*\)[^()]*)*\))?")
REASON_CHARACTERS_MIN = 10


def _sets_in_the_clear(tree: ast.Module) -> dict[ast.AST, None]:
    """Set displays that are only asked for members: the right side of ``in``."""
    compares = (node for node in ast.walk(tree) if isinstance(node, ast.Compare))
    pairs = (pair for node in compares for pair in zip(node.ops, node.comparators, strict=True))
    return {right: None for op, right in pairs if isinstance(op, ast.In | ast.NotIn)}


def _passed_on(call: ast.Call) -> list[ast.expr]:
    """The arguments of a call that are names: ``key=id``, ``field(default_factory=set)``."""
    if isinstance(call.func, ast.Name) and call.func.id in ("isinstance", "issubclass"):
        return []
    return [*call.args, *(keyword.value for keyword in call.keywords)]


def _banned(tree: ast.Module) -> Iterator[tuple[ast.expr, str]]:
    clear = _sets_in_the_clear(tree)
    for node in ast.walk(tree):
        match node:
            case ast.Name(id="id" | "hash" as word):
                yield node, word
            case ast.Name(id="__import__" | "import_module") | ast.Attribute(attr="import_module"):
                yield node, "import"
            case ast.Call():
                for name in [node.func, *_passed_on(node)]:
                    if isinstance(name, ast.Name) and name.id in ("set", "frozenset"):
                        yield name, "set"
            case ast.Set() | ast.SetComp() if node not in clear:
                yield node, "set"


def banned_calls(source: Source) -> list[Finding]:
    """Banned expressions on lines that don't allow them, and allowances that are malformed or of no use."""
    findings: list[Finding] = []
    allowed: dict[tuple[int, str], None] = {}
    for number, line in enumerate(source.lines, 1):
        for match in ALLOW.finditer(line):
            allowed[number, match["word"]] = None
            if match["word"] not in INSTEAD:
                findings.append(Finding(source.path, number, f"allow one of {', '.join(INSTEAD)}"))
            elif len(match["reason"] or "") < REASON_CHARACTERS_MIN:
                findings.append(Finding(source.path, number, "allowed without a reason: (because ...)"))
    used: dict[tuple[int, str], None] = {}
    for node, word in _banned(source.tree):
        lines = range(node.lineno, (node.end_lineno or node.lineno) + 1)
        excuses = [(number, word) for number in lines if (number, word) in allowed]
        used |= dict.fromkeys(excuses)
        if not excuses:
            findings.append(Finding(source.path, node.lineno, INSTEAD[word]))
    findings += [
        Finding(source.path, number, f"allows a {word} that is not on this line")
        for number, word in allowed
        if word in INSTEAD and (number, word) not in used
    ]
    return findings


def test_no_banned_calls() -> None:
    report([finding for source in read(*PACKAGES) for finding in banned_calls(source)])


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("order = id(task)", "id"),
        ("tasks.sort(key=id)", "id"),
        ("digest = hash(text)", "hash"),
        ("seen = set()", "set"),
        ("seen = frozenset(tasks)", "set"),
        ("seen = {1, 2}", "set"),
        ("seen = {task for task in tasks}", "set"),
        ("seen: set[int] = field(default_factory=set)", "set"),
        ("for task in {1, 2}: pass", "set"),
        ("module = __import__('time')", "import"),
        ("module = importlib.import_module('time')", "import"),
        ("module = import_module('time')", "import"),
    ],
)
def test_a_planted_call_is_found(text: str, word: str) -> None:
    (finding,) = banned_calls(Source("a.py", f"\n{text}\n"))
    assert finding == Finding("a.py", 2, INSTEAD[word])
    allowed = f"{text}  # tidy: allow {word} (planted by a test)"
    assert banned_calls(Source("a.py", allowed)) == []


@pytest.mark.parametrize(
    "text",
    ["x in {1, 2}", "x: set[int]", "isinstance(x, set)", "x.hash()", "x.id", "dict.fromkeys(x)", "{}"],
)
def test_the_harmless_passes(text: str) -> None:
    assert banned_calls(Source("a.py", text)) == []


@pytest.mark.parametrize(
    "text",
    [
        "set()  # tidy: allow set",
        "set()  # tidy: allow set ()",
        "set()  # tidy: allow sets (only asked for members)",
        "set()  # tidy: allow hash (only asked for members)",
        "dict()  # tidy: allow set (only asked for members)",
    ],
)
def test_an_allowance_is_checked(text: str) -> None:
    assert banned_calls(Source("a.py", text)) != []
