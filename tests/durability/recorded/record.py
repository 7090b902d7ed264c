"""Record a store as this liveproof writes it, as SQL, so that later ones can show that they still read it::

    python -m tests.durability.recorded.record     writes store-N.sql beside it, N being the format

One file for each format, made once, by the last liveproof that wrote it: those of older formats stay as they are.
What is in it: two catch-up runs of ``main``, of which the second one found some of the source changed.
"""

from __future__ import annotations

import contextlib
import sqlite3
import tempfile
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

import liveproof as coco
from tests.contract.world import Machine, World, at, declare, run

__all__ = ["FIRST", "HERE", "SECOND", "main_of", "restored"]

HERE = Path(__file__).parent
FIRST = {"a": {"x": "1", "y": "1"}, "b": {"z": "1"}}
SECOND = {"a": {"x": "2", "y": "1"}, "c": {"w": "1"}}
"""Component → what it declares."""


@coco.fn(memo=True)
async def component(wanted: dict[str, str]) -> int:
    """What a component wants, by way of remembered calls."""
    for key, text in wanted.items():
        declare(key, await text_of(text))
    return len(wanted)


@coco.fn(memo=True)
async def text_of(text: str) -> str:
    return f"text {text}"


def main_of(source: Mapping[str, dict[str, str]]) -> Callable[[], Coroutine[Any, Any, None]]:
    async def main() -> None:
        for name, wanted in source.items():
            await coco.mount(at(name), component, wanted)

    return main


def dumped(path: Path) -> str:
    """The store as SQL; the two numbers that no dump has are at its head."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        pragmas = [
            f"PRAGMA {name}={connection.execute(f'PRAGMA {name}').fetchone()[0]};"
            for name in ("page_size", "application_id", "user_version")
        ]
        return "\n".join([*pragmas, *connection.iterdump(), ""])


def restored(number: int, path: Path) -> None:
    """Make the store of that format from its recording."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript((HERE / f"store-{number}.sql").read_text())
        connection.execute("PRAGMA journal_mode = WAL")  # as every store is


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store"
        machine = Machine(path, World())
        for source in (FIRST, SECOND):
            run(lambda source=source: machine.update(main_of(source)))  # type: ignore[misc]
        machine.close()
        with contextlib.closing(sqlite3.connect(path)) as connection:
            (number,) = connection.execute("PRAGMA user_version").fetchone()
        (HERE / f"store-{number}.sql").write_text(dumped(path))


if __name__ == "__main__":
    main()
