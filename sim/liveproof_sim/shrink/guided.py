"""A strategy that follows a wish: blocks of steps by task name. Where the wish cannot be had, it keeps
running the same task, and where that has to wait, the first in the queue."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from liveproof_sim.kernel.choices import Choices, Entry, Kind
from liveproof_sim.kernel.recorder import name_of
from liveproof_sim.kernel.tape import Named
from liveproof_sim.trace.events import Trace

__all__ = ["Block", "Guided", "blocks_of", "draws_of"]

FAIR_AFTER = 200  # choices beyond the wish: then first in, first out, so that nobody spins for ever

Block = tuple[str, int]
"""A task, and how many steps it runs in a row."""


def blocks_of(trace: Trace) -> list[Block]:
    """The steps of a run, as blocks."""
    names = [event.who for event in trace.events if event.kind != "draw"]
    return [(who, len(list(group))) for who, group in groupby(names)]


def draws_of(trace: Trace) -> list[int]:
    """The decisions of a run that are no steps."""
    return [event.chosen for event in trace.events if event.kind == "draw"]


class Guided(Named):
    """See the module. Counts the preemptions (switches away from a task that could go on), and the timers that
    fired although something was ready."""

    name = "guided"

    def __init__(
        self, blocks: list[Block], draws: list[int], *, first: Sequence[str] = (), last: Sequence[str] = ()
    ) -> None:
        self._blocks = blocks
        self._draws = draws
        self._first_of_all = dict.fromkeys(first)  # tasks that run whenever they can
        self._last_of_all = dict.fromkeys(last)  # tasks that run only when nobody else can

    def begin(self, choices: Choices, /) -> None:
        self._at = 0
        self._left = self._blocks[0][1] if self._blocks else 0
        self._last = ""
        self._drawn = 0
        self._beyond = 0
        self.preemptions = 0
        self.late = 0

    def ran(self, who: str, place: str) -> None:
        self._last = who
        if self._at < len(self._blocks) and who == self._blocks[self._at][0]:
            self._left -= 1
            if self._left == 0:
                self._at += 1
                self._left = self._blocks[self._at][1] if self._at < len(self._blocks) else 0

    def pick(self, ready: list[Entry], clock: bool, /) -> int:
        assert self.labels is not None
        names = [name_of(entry, self.labels)[0] for entry in ready] + ["clock"] * clock
        wanted = self._blocks[self._at][0] if self._at < len(self._blocks) else self._last
        could_go_on = self._last in names
        if self._at == len(self._blocks):
            self._beyond += 1
            if self._beyond > FAIR_AFTER:
                return 0
        chosen = names.index(wanted) if wanted in names else names.index(self._last) if could_go_on else 0
        if self._first_of_all or self._last_of_all:
            chosen = self._moved(names, chosen)
        if could_go_on and names[chosen] != self._last:
            self.preemptions += 1
        if chosen == len(ready) > 0:
            self.late += 1
        return chosen

    def _moved(self, names: list[str], chosen: int) -> int:
        """Those first of all, those last of all."""
        for at, name in enumerate(names):
            if name in self._first_of_all:
                return at
        if names[chosen] not in self._last_of_all:
            return chosen
        return next((at for at, name in enumerate(names) if name not in self._last_of_all), chosen)

    def draw(self, kind: Kind, label: str, options: int, /) -> int:
        self._drawn += 1
        return min(self._draws[self._drawn - 1], options - 1) if self._drawn <= len(self._draws) else 0
