"""Random changes of a directory, of every kind that people and programs make."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

__all__ = ["Mischief"]

FLAT = ("a.md", "b.md", "c.md", "d.md", "e.md", "f.txt")
DEEP = ("a", "b", "c", "d/a", "d/b", "d/e/a", "d/e/b", "e/a")
DIRECTORIES = ("d", "e", "d/e", "f", "e/d")
SWAPPED = (*DEEP, *DIRECTORIES)
"""With these, a name is a directory at one time and a file at another."""

BODIES = ("", "short\n", "a line\n" * 10, "# Long\n\n" + "many words " * 6000)
"""Few, so that a file often gets back what it held before."""


class Mischief:
    """Changes the files below ``root``, at random. Every file begins with a number that no other file has;
    what is renamed takes it along."""

    def __init__(self, root: Path, *, flat: bool, swaps: bool = False) -> None:
        self._root = root
        self._names = FLAT if flat else SWAPPED if swaps else DEEP
        self._directories = SWAPPED if swaps else DIRECTORIES
        self._number = 0
        kinds: list[tuple[int, Callable[[random.Random], object]]] = [
            (6, self._write),
            (3, self._edit),
            (4, self._rename),
            (4, self._delete),
            (3, self._replace),
        ]
        if not flat:
            kinds += [(2, self._rename_directory), (1, self._delete_directory)]
        self._weights = [weight for weight, _ in kinds]
        self._kinds = [kind for _, kind in kinds]

    def do(self, rng: random.Random) -> None:
        """One change; sometimes there is nothing to change, and it is none."""
        (kind,) = rng.choices(self._kinds, self._weights)
        kind(rng)

    def _contents(self, rng: random.Random) -> str:
        self._number += 1
        return f"{self._number}\n{rng.choice(BODIES)}"

    def _any(self, rng: random.Random, *, directories: bool = False) -> Path | None:
        paths = sorted(path for path in self._root.rglob("*") if path.is_dir() == directories)
        return rng.choice(paths) if paths else None

    def _place(self, rng: random.Random, names: tuple[str, ...] | None = None) -> Path:
        """Where something may be put: nothing stands in the way there."""
        path = self._root / rng.choice(names or self._names)
        for above in reversed(path.parents):
            if above.is_file():
                above.unlink()
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            shutil.rmtree(path)
        return path

    def _write(self, rng: random.Random) -> None:
        self._place(rng).write_text(self._contents(rng))

    def _edit(self, rng: random.Random) -> None:
        if path := self._any(rng):
            number = path.read_text().partition("\n")[0]
            path.write_text(f"{number}\n{rng.choice(BODIES)}")

    def _rename(self, rng: random.Random) -> None:
        place = self._place(rng)
        if path := self._any(rng):
            path.rename(place)

    def _delete(self, rng: random.Random) -> None:
        if path := self._any(rng):
            path.unlink()

    def _replace(self, rng: random.Random) -> None:
        place = self._place(rng)
        draft = place.with_name(f"{place.name}.draft")
        draft.write_text(self._contents(rng))
        draft.replace(place)

    def _rename_directory(self, rng: random.Random) -> None:
        place = self._place(rng, self._directories)
        path = self._any(rng, directories=True)
        if path is not None and path not in place.parents:
            place.unlink(missing_ok=True)
            path.rename(place)

    def _delete_directory(self, rng: random.Random) -> None:
        if path := self._any(rng, directories=True):
            shutil.rmtree(path)
