"""One exploration in several processes.

Execution ``n`` has the same seed whoever runs it, and worker ``w`` of ``k`` runs every ``k``-th one. So with a
strategy that learns nothing, several workers run exactly what one process would have run. A portfolio learns
in each worker by itself: its executions are others than those of one process, and again the same for the same
seed and number of workers.

The failure with the lowest number counts. Who finds one stops; the others go on to that number, and no
further; what they had run beyond it is not counted. Only a budget of time makes the result depend on the
machine.

Roads not taken. *Handing out numbers on demand*: it keeps all processes busy to the end, but then what a
portfolio learns depends on who was faster. *Forking this process*: scenarios made inside functions would do,
but a fork of a process with threads may hang.
"""

from __future__ import annotations

import multiprocessing
import pickle
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing import connection
from typing import Any, NamedTuple

from liveproof_sim.errors import OptionError, SimError, WorkerError
from liveproof_sim.explore.scenario import Bound, Scenario, find, place_of

__all__ = ["Errand", "Found", "Pace", "Record", "Turn", "explore_together", "send_for"]

PRELOADED = ["liveproof_sim"]  # by that process, once
TELL_EVERY_S = 0.1
UNLIMITED = 2**62


class Record(NamedTuple):
    """What is kept of an execution."""

    number: int
    behaviour: bytes
    arm: str


@dataclass(slots=True)
class Found:
    """What came of it."""

    records: list[Record] = field(default_factory=list)
    reached: dict[str, int] = field(default_factory=dict)
    points: dict[str, int] = field(default_factory=dict)
    lost: dict[str, int] = field(default_factory=dict)
    faults: dict[tuple[str, str, str], tuple[int, int]] = field(default_factory=dict)
    failure: tuple[int, str, list[int]] | None = None
    """number, signature, positions taken"""

    def add(self, other: Found) -> None:
        """What one worker has to say."""
        self.records += other.records
        for mine, theirs in (
            (self.reached, other.reached),
            (self.points, other.points),
            (self.lost, other.lost),
        ):
            for name, count in theirs.items():
                mine[name] = mine.get(name, 0) + count
        for cell, (asked, struck) in other.faults.items():
            before = self.faults.get(cell, (0, 0))
            self.faults[cell] = (before[0] + asked, before[1] + struck)
        if other.failure is not None and (self.failure is None or other.failure < self.failure):
            self.failure = other.failure

    def settle(self) -> None:
        """In the order of numbers, and nothing beyond the failure."""
        last = UNLIMITED if self.failure is None else self.failure[0]
        self.records = sorted(record for record in self.records if record.number <= last)


class Errand(NamedTuple):
    """What a worker is sent for: all that it needs to make the same explorer."""

    place: str
    line: int
    arguments: dict[str, Any] | None
    options: Any
    """for :data:`Work`"""

    def scenario(self) -> Scenario:
        """It, in the worker.

        Raises:
            OptionError: something else is found under its name.
        """
        found = find(self.place).scenario
        if getattr(getattr(found, "__code__", None), "co_firstlineno", 0) != self.line:
            raise OptionError(f"workers import {self.place} and find something else there: use workers=1")
        return found if self.arguments is None else Bound(found, self.arguments)


class Turn(NamedTuple):
    """A worker's share."""

    first: int
    step: int
    executions: int | None
    seconds: float | None


Work = Callable[[Scenario, Any, Turn, Callable[[], int], Callable[[Found], None]], None]
"""Explore: the scenario, its options, the share, the number to stop at, and whom to tell."""


def send_for(scenario: Scenario, options: Any) -> bytes:
    """The errand of exploring a scenario, ready to be sent.

    Raises:
        OptionError: no other process could import the scenario, or its arguments cannot be sent.
    """
    function = getattr(scenario, "function", scenario)
    arguments = scenario.arguments if isinstance(scenario, Bound) else None
    place = place_of(scenario)
    if "<" in place:
        raise OptionError(
            f"workers import their scenario, and {place} is made inside a function: define it at the top of a "
            "module, or use workers=1"
        )
    line = getattr(getattr(function, "__code__", None), "co_firstlineno", 0)
    try:
        return pickle.dumps(Errand(place, line, arguments, options))
    except Exception as error:
        raise OptionError(f"workers cannot be sent what {place} needs: {error}; use workers=1") from error


def explore_together(
    work: Work,
    errand: bytes,
    workers: int,
    executions: int | None,
    seconds: float | None,
    tell: Callable[[Found], None],
) -> Found:
    """Run executions 1, 2, … below ``executions``, for at most so many seconds, and wait for all workers.
    ``tell`` is told what comes in.

    Raises:
        WorkerError: a worker died.
        SimError: what a worker raised.
    """
    context = multiprocessing.get_context("forkserver")  # forks of a process that has no threads
    context.set_forkserver_preload(PRELOADED)
    limit = context.Value("q", UNLIMITED if executions is None else executions - 1)
    found = Found()
    open_ones: dict[connection.Connection, Any] = {}
    try:
        for number in range(workers):
            turn = Turn(1 + number, workers, executions, seconds)
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(target=_serve, args=(work, errand, turn, theirs, limit), daemon=True)
            process.start()
            theirs.close()  # so that ours ends when the worker does
            open_ones[ours] = process
        everyone = list(open_ones.values())
        while open_ones:
            for each in connection.wait(list(open_ones)):
                assert isinstance(each, connection.Connection)
                part = _receive(each, open_ones[each], found)
                if part is None:
                    del open_ones[each]
                    continue
                found.add(part)
                tell(part)
                if part.failure is not None:
                    with limit.get_lock():
                        limit.value = min(limit.value, part.failure[0])
        for process in everyone:
            process.join()
    finally:
        for process in open_ones.values():
            process.terminate()
            process.join()
    found.settle()
    return found


def _receive(pipe: connection.Connection, process: Any, found: Found) -> Found | None:
    """The next part; None: the worker has ended as it should."""
    try:
        received = pipe.recv()
    except EOFError:
        process.join()
        raise WorkerError(
            f"a worker died with exit code {process.exitcode} after {len(found.records)} executions of all; "
            "workers=1 shows why"
        ) from None
    if isinstance(received, BaseException):
        raise received
    assert received is None or isinstance(received, Found)
    return received


def _serve(work: Work, errand: bytes, turn: Turn, pipe: connection.Connection, limit: Any) -> None:
    """The main function of a worker."""
    try:
        began = pickle.loads(errand)  # noqa: S301 - our own process sent it
        assert isinstance(began, Errand)
        work(began.scenario(), began.options, turn, lambda: int(limit.value), pipe.send)
    except KeyboardInterrupt:
        return
    except SimError as error:
        pipe.send(error)
    except BaseException as error:  # noqa: BLE001 - it is raised in the process that waits
        pipe.send(WorkerError(f"a worker failed: {type(error).__name__}: {error}; workers=1 shows where"))
    else:
        pipe.send(None)


class Pace:
    """Whether it is time to tell."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._next = clock() + TELL_EVERY_S

    def due(self) -> bool:
        """Now, if not told for long enough."""
        now = self._clock()
        if now < self._next:
            return False
        self._next = now + TELL_EVERY_S
        return True
