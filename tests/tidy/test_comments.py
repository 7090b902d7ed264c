"""Every ``# Reached by test_x`` names a test that exists."""

from __future__ import annotations

import re

from tests.tidy.source import PACKAGES, Finding, Source, read, report

# Several may be named, and on more than one line: "# Reached by test_a, test_b\n# and test_c."
REACHED = re.compile(r"#[^\n]*?\bReached by(?P<names>(?:(?:[\s#,`]|and\b|or\b)*test_\w+)*)")
TEST = re.compile(r"^\s*(?:async )?def (test_\w+)\(", re.MULTILINE)


def unknown_tests(source: Source, tests: dict[str, None]) -> list[Finding]:
    """Comments that name a test which is not there, or none."""
    findings: list[Finding] = []
    for match in REACHED.finditer(source.text):
        line = source.text.count("\n", 0, match.start()) + 1
        names = re.findall(r"test_\w+", match["names"])
        if not names:
            findings.append(Finding(source.path, line, "reached by which test?"))
        findings += [Finding(source.path, line, f"no test is called {n}") for n in names if n not in tests]
    return findings


def test_lines_are_reached_by_tests_that_exist() -> None:
    tests = dict.fromkeys(name for source in read("tests") for name in TEST.findall(source.text))
    report([finding for source in read(*PACKAGES) for finding in unknown_tests(source, tests)])


def test_a_planted_comment_is_found() -> None:
    tests = dict.fromkeys(TEST.findall("def test_a(x):\n    ...\nclass A:\n    async def test_b(self): ..."))
    assert list(tests) == ["test_a", "test_b"]
    good = "x = 1  # Reached by test_a.\n# Reached by test_b,\n# test_a and `test_b`. More.\n"
    assert unknown_tests(Source("a.py", good), tests) == []
    bad = "\nx = 1  # Reached by test_a and test_c.\n\n# Reached by\n# test_d\n# Reached by chance.\n"
    assert list(map(str, unknown_tests(Source("a.py", bad), tests))) == [
        "a.py:2: no test is called test_c",
        "a.py:4: no test is called test_d",
        "a.py:6: reached by which test?",
    ]
