"""How these commands end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from liveproof_sim.errors import SimError, SimulatorBug
from liveproof_sim.trace import Trace, load

__all__ = ["EXIT_CODES", "one_line_errors", "read_trace"]

EXIT_CODES = """\b
Exit codes:
  0  nothing failed
  1  it failed
  2  wrong usage: a file, a token or a scenario that cannot be read
  3  nobody knows: the budget cut the search, or what was recorded passes or no longer fits
"""


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn refusals into messages without a traceback."""
    try:
        yield
    except SimulatorBug:
        raise
    except SimError as error:
        raise click.ClickException(str(error)) from error


def read_trace(path: str) -> Trace:
    """The trace of a file.

    Raises:
        click.ClickException: it cannot be read, or is none.
    """
    with one_line_errors():
        try:
            return load(Path(path).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is no text"
            raise click.ClickException(f"{path} cannot be read: {reason}") from error
