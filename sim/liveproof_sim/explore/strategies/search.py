"""What all strategies share: they are begun, asked, and told how it went."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

from liveproof_sim.errors import NondeterminismError
from liveproof_sim.explore.execution import Outcome
from liveproof_sim.kernel.choices import Choices, Entry, Kind

__all__ = ["CLOCK", "LANE", "FifoSearch", "Positions", "Search", "Standing", "function_of", "key_of"]

LANE = "callbacks"
CLOCK = "clock"


def key_of(entry: Entry) -> Any:
    """Whose step it is: a task, a job, or the lane of plain callbacks."""
    if entry[3] is None:
        return LANE
    owner = getattr(entry[1], "__self__", None)
    return owner if isinstance(owner, asyncio.Task) else entry[1]


def function_of(key: Any) -> str:
    """The function of a task, as its name in a trace begins; of a job, nothing."""
    coro = key.get_coro() if isinstance(key, asyncio.Task) else key
    name: str = getattr(coro, "__qualname__", "")
    return name.rpartition("<locals>.")[2]


class Standing(NamedTuple):
    """How far a search is that has an end."""

    classes: int
    depth: int
    """steps from which something is left to run, and those above them"""
    share: float
    """an estimate of how much was run, from 0 to 1"""


class Search:
    """A strategy over many executions. Randomised ones take their chance from the execution's own streams. All
    are fair at last: every ready task runs in the end, so that a run without an end is a livelock."""

    name = "search"
    systematic = False
    """whether its first execution is the ordinary one, so that it needs no measuring run before"""
    reduced = False
    """whether it needs to know what steps touch"""
    cuts = False
    """whether it is told when the power might fail, which is no decision then: see dpor/cuts.py"""
    resumable = False
    """whether it can be stopped, written down, and go on in another process"""
    keep_begin = False
    """whether an execution may be interrupted, and the search is to be as before it then"""

    @property
    def arm(self) -> str:
        """Of a portfolio: which arm ran last."""
        return ""

    def begin(self, choices: Choices, /) -> None:
        """A new execution starts."""

    def pick(self, ready: list[Entry], clock: bool, /) -> int:
        """As in the protocol."""
        raise NotImplementedError

    def offered(self, entry: Entry, /) -> None:
        """As in the protocol."""

    def draw(self, kind: Kind, label: str, options: int, /) -> int:
        """As in the protocol."""
        raise NotImplementedError

    def measure(self, outcome: Outcome) -> None:
        """Told of a recorded, ordinary execution before the first one."""

    def learn(self, outcome: Outcome, *, new: bool) -> None:
        """Told of each execution; ``new``: it showed a behaviour not seen before."""

    def exhausted(self) -> bool:
        """Whether there is nothing left to run."""
        return False

    def bounds(self) -> dict[str, int]:
        """What cut the search, if it is exhausted; empty: nothing did."""
        return {}

    def counts(self) -> dict[str, int]:
        """Of a search that reduces: what it ran, by name."""
        return {}

    def standing(self) -> Standing | None:
        """Between executions, how far it is; None: nobody knows."""
        return None

    def arms(self) -> dict[str, dict[str, float]]:
        """For a portfolio: what each arm did."""
        return {}

    def options(self) -> dict[str, Any]:
        """Of a search that is resumable: what a search that goes on has to be made with."""
        return {}

    def as_data(self) -> dict[str, Any]:
        """Of a search that is resumable: where it is, before the execution that is running, if one is; for JSON.

        Raises:
            ResumeError: that cannot be written down.
        """
        raise NotImplementedError

    def restore(self, data: dict[str, Any]) -> None:
        """Be where the one was that gave this."""
        raise NotImplementedError


class FifoSearch(Search):
    """Stock asyncio's order, once: there is no second one."""

    name = "fifo"
    systematic = True

    def __init__(self) -> None:
        self._ran = False

    def begin(self, choices: Choices, /) -> None:
        self._ran = True

    def pick(self, ready: list[Entry], clock: bool, /) -> int:
        return 0

    def draw(self, kind: Kind, label: str, options: int, /) -> int:
        return 0

    def exhausted(self) -> bool:
        return self._ran

    def bounds(self) -> dict[str, int]:
        return {"orders": 1}


class Positions(Search):
    """Runs given positions again, then 0. Only good for the same code: a tape is good for more."""

    name = "positions"

    def __init__(self, taken: Sequence[int]) -> None:
        self._taken = taken
        self._choices: Choices | None = None

    def begin(self, choices: Choices, /) -> None:
        self._choices = choices

    def _next(self, options: int) -> int:
        assert self._choices is not None
        at = len(self._choices.taken)
        chosen = self._taken[at] if at < len(self._taken) else 0
        if chosen >= options:
            raise NondeterminismError(
                f"choice {at} had more than {chosen} options in one run and {options} in another of the "
                "same tape"
            )
        return chosen

    def pick(self, ready: list[Entry], clock: bool, /) -> int:
        return self._next(len(ready) + clock)

    def draw(self, kind: Kind, label: str, options: int, /) -> int:
        return self._next(options)
