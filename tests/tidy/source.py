"""A source file and what can be found wrong with it: shared by the lints of this folder.

A lint is a function from a :class:`Source` to findings. Its test runs it over the tree, and over a planted
violation, so that a lint that sees nothing is noticed.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import pytest

__all__ = ["PACKAGES", "ROOT", "Finding", "Source", "read", "report"]

ROOT = Path(__file__).resolve().parents[2]

PACKAGES = ("runtime", "sim")
"""The source roots: what ships."""


@dataclass(frozen=True)
class Source:
    """A Python file: its path from the root of the repository, and its text."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    @cached_property
    def lines(self) -> list[str]:
        return self.text.split("\n")


class Finding(NamedTuple):
    path: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


def read(*folders: str) -> list[Source]:
    """The Python files under the folders, in order."""
    paths = (path for folder in folders for path in sorted((ROOT / folder).rglob("*.py")))
    return [Source(path.relative_to(ROOT).as_posix(), path.read_text("utf-8")) for path in paths]


def report(findings: list[Finding]) -> None:
    """Fail, naming every place, if there are findings."""
    if findings:
        pytest.fail("\n".join(map(str, findings)), pytrace=False)
