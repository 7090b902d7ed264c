"""``kill -9`` at the first step of a run, then at the second, and so on until the run gets to its end.

A step is the moment before, after or in the middle of a change of a file, of a write of the store, or of a
flush. The directory and the store are kept from kill to kill.
"""

from __future__ import annotations

import shutil
import signal
from pathlib import Path
from typing import Literal

import pytest

from tests.durability.driver import Forge, Rows, forge
from tests.durability.sites import files_below

LAYOUTS: tuple[dict[str, str], ...] = (
    {"same": "1\nsame", "edited": "2\nold", "renamed": "3\nmoves", "gone": "4\ngone", "a": "5\nfile", "b/c": "6\n"},
    {"same": "1\nsame", "edited": "2\nnew", "name": "3\nmoves", "new": "7\nnew", "a/d": "8\n", "b": "9\nfile"},
    {"same": "1\nsame", "edited": "10\nnew", "new": "3\nmoves", "a": "11\nfile", "b": "9\nfile", "c": "6\n"},
)
"""From one to the next, all that can happen between two runs."""

RUNS_MAX = 1000


def arrange(site: Forge, layout: dict[str, str]) -> None:
    """Make the source hold these files."""
    shutil.rmtree(site.source)
    for name, text in layout.items():
        path = site.source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def killed(site: Forge, what: str, deadly: int) -> bool:
    """Whether a run dies at this step; if not, it has come to its end."""
    status = site.start(what, deadly).end()
    assert status in (0, -signal.SIGKILL), f"it ended with {status}"
    return status != 0


@pytest.mark.parametrize(("durability", "first"), [("power", 1), ("process", 2)])
def test_killed_at_every_other_step_of_an_update(
    durability: Literal["power", "process"], first: int, tmp_path: Path
) -> None:
    with forge(tmp_path / "site", "tree", durability) as site:
        at = 0
        arrange(site, LAYOUTS[at])
        site.carry_out("update")
        site.check()
        for number, step in enumerate(range(first, RUNS_MAX, 2)):
            at = (at + 1) % len(LAYOUTS)
            arrange(site, LAYOUTS[at])
            try:
                going_on = killed(site, "update", step)
                if number % 2:  # More happens before the next run.
                    at = (at + 1) % len(LAYOUTS)
                    arrange(site, LAYOUTS[at])
                site.remember()
                site.carry_out("update")
                site.check()
                site.check_idle()
            except AssertionError as exc:
                exc.add_note(f"step {step} of an update; kept in {site.keep()}")
                raise
            if not going_on:
                break
    assert 20 < step < RUNS_MAX, "too few steps, or no end of them"


@pytest.mark.parametrize("durability", ["power", "process"])
def test_killed_at_every_step_of_a_drop(durability: Literal["power", "process"], tmp_path: Path) -> None:
    """What is left can be dropped, or updated."""
    with forge(tmp_path / "site", "tree", durability) as site:
        arrange(site, LAYOUTS[0])
        for step in range(1, RUNS_MAX):
            site.carry_out("update")
            try:
                going_on = killed(site, "drop", step)
                site.remember()
                if step % 2:
                    site.carry_out("drop")
                    assert files_below(site.target) == {}, "the target is not empty"
                    assert Rows(site.base / "state.db").total == 0, "the store is not empty"
                else:
                    site.carry_out("update")
                    site.check()
            except AssertionError as exc:
                exc.add_note(f"step {step} of a drop; kept in {site.keep()}")
                raise
            if not going_on:
                break
    assert 10 < step < RUNS_MAX, "too few steps, or no end of them"
