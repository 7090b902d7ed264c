"""A run of the verification, as it is told of."""

from __future__ import annotations

from dataclasses import dataclass

from scenarios.verify.plan import Piece
from scenarios.verify.proofs import number
from scenarios.verify.work import Result

__all__ = ["Run", "cell", "plural"]


@dataclass(frozen=True, slots=True)
class Run:
    """All that the page is made of."""

    planned: list[Piece]
    results: dict[str, Result]
    command: str
    revision: str
    machine: dict[str, str]
    seconds: float
    """of the wall"""
    jobs: int
    resumed: int
    """results that were kept from an earlier run"""

    def of(self, part: str) -> list[tuple[Piece, Result | None]]:
        """A part's pieces, with what came of them; None: not run."""
        return [(piece, self.results.get(piece.key)) for piece in self.planned if piece.part == part]

    def done(self, part: str) -> list[Result]:
        """A part's results."""
        return [result for _, result in self.of(part) if result is not None]


def cell(text: str) -> str:
    """As it may stand in a table."""
    return text.replace("|", "\\|").replace("\n", " ")


def plural(count: int, what: str) -> str:
    return f"{number(count)} {what}{'s' * (count != 1)}"
