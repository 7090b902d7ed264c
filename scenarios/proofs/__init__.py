"""Small programs of the runtime of which every order is run: proofs, with the assumptions that verdicts name.

``FAMILIES`` is what ``make verify`` runs. A program whose orders could not all be run in time is not proved, and is
counted as not finished.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from liveproof_sim import Verdict, check
from scenarios.proofs import collection, folder, operators, readiness

__all__ = ["FAMILIES", "PROOFS", "Family", "prove"]

INSTRUMENTED = (
    "liveproof",
    "scenarios.live.programs",
    "scenarios.proofs",
    "scenarios.recovery.folder",
    "scenarios.recovery.ground",
)


@dataclass(frozen=True, slots=True)
class Family:
    """Programs of one kind."""

    name: str
    says: str
    """what is proved of each of them, as a sentence"""
    ids: tuple[str, ...]
    programs: Callable[[], Iterator[Any]]
    scenario_of: Callable[[Any], Callable[..., Any]]
    words: Callable[[Any], str] = str
    options: dict[str, Any] = field(default_factory=dict)
    """of ``check``"""
    long: bool = False
    """whether each of its programs takes longer than the long verification has for one"""


def _calls(program: Any) -> str:
    return " ‖ ".join("; ".join(task) for task in program)


mortal = partial(Family, options={"strategy": "dpor-cuts", "crash_points": "all", "crashes": 1})
"""The process may die, or the power fail, once."""

FAMILIES = (
    Family(
        "readiness",
        "One live component with two children, and one thing that goes wrong at one of its awaits, or a stop of the "
        "run at any moment: every handle is ready in the end, and so is the run.",
        ("RDY-1", "RDY-3", "RDY-5", "FAIL-1", "FAIL-2", "MODE-3"),
        readiness.troubles,
        readiness.scenario_of,
    ),
    Family(
        "collection",
        "Programs of up to three calls that mount, delete and scan: what the last of them did not mount is gone "
        "from target and store, and nothing that it did.",
        ("GC-1", "GC-2", "GC-3", "ORD-1"),
        collection.programs,
        collection.scenario_of,
        _calls,
    ),
    Family(
        "operators",
        "Programs of up to three calls of one operator on two sub-paths, by one task or by two, with children that "
        "fail; those that differ only in names are one. The target holds what the calls mean one after the other.",
        ("ORD-1", "ORD-2", "ORD-3", "ORD-4", "ORD-5", "ORD-6", "GC-1", "GC-2", "GC-3", "RDY-2", "FAIL-1"),
        operators.programs,
        operators.scenario_of,
        _calls,
    ),
    Family(
        "operators, flushed",
        "The same, of up to two calls, on a store that has to be flushed: what is recorded meanwhile shares a batch.",
        ("ORD-1", "ORD-2", "ORD-3", "ORD-4", "ORD-5", "ORD-6", "GC-1", "GC-2", "GC-3", "RDY-2", "FAIL-1"),
        lambda: operators.programs(2),
        operators.flushed,
        _calls,
    ),
    Family(
        "folder",
        "A folder of one file is followed, and changed twice at any moment: nothing is lost, and an idle run writes "
        "nothing.",
        ("FEED-1", "DUR-3"),
        lambda: folder.stories(1),
        folder.followed,
    ),
    Family(
        "folder of two",
        "The same with two files, each changed once.",
        ("FEED-1", "DUR-3"),
        lambda: folder.stories(2),
        folder.followed,
    ),
    mortal(
        "death, one file",
        "A folder is caught up, changed twice and caught up again, and the process dies after any step of any order, "
        "and in the middle of it, or not: one more run makes it good, and the next one does nothing.",
        ("DUR-1", "DUR-2", "DUR-3"),
        lambda: folder.stories(1),
        folder.caught_up,
    ),
    mortal(
        "death, two files",
        "The same with two files, each changed once.",
        ("DUR-1", "DUR-2", "DUR-3"),
        lambda: folder.stories(2),
        folder.caught_up,
    ),
    mortal(
        "death, followed",
        "The folder of two is followed, changed at any moment, and the process dies after any step of any order.",
        ("DUR-1", "DUR-3", "FEED-1"),
        lambda: folder.stories(2),
        folder.followed,
        long=True,
    ),
    mortal(
        "power cut, one file",
        "The folder of one file, caught up twice, and the power fails: the files and the store are in any of the "
        "states that they may be in after that.",
        ("DUR-1", "DUR-2", "DUR-3"),
        lambda: folder.stories(1),
        partial(folder.caught_up, durability="power"),
        long=True,
    ),
    mortal(
        "power cut, two files",
        "The same with two files.",
        ("DUR-1", "DUR-2", "DUR-3"),
        lambda: folder.stories(2),
        partial(folder.caught_up, durability="power"),
        long=True,
    ),
    mortal(
        "power cut, followed",
        "The folder of two is followed, changed at any moment, and the power fails.",
        ("DUR-1", "DUR-3", "FEED-1"),
        lambda: folder.stories(2),
        partial(folder.followed, durability="power"),
        long=True,
    ),
)

PROOFS: dict[str, tuple[Family, Any]] = {
    f"{family.name}: {family.words(program)}": (family, program)
    for family in FAMILIES
    for program in family.programs()
}
"""By a name that says what runs."""


def prove(name: str, seconds: float | None, **more: Any) -> Verdict:
    """Run every order of one program, in at most so many seconds. ``more``: for ``check``."""
    family, program = PROOFS[name]
    options = {"strategy": "dpor", **family.options, **more}
    return check(
        family.scenario_of(program),
        timers="discrete",
        executions=None,
        seconds=seconds,
        instrument=INSTRUMENTED,
        **options,
    )
