"""What operations mean, apart from the machine that orders them; and the exhaustive search over that machine.

``Witness`` sees what an operator's caller sees (outcomes, states, the watermark) and nothing of the machine's
inside. It knows the contract's rules in their plain quadratic form, and it keeps model worlds.

The model world. For each subpath that is operated on there are two places: itself, and one below it that
no operation names. At first the target holds stale values everywhere. Each call is made because the source
changed: an UPDATE because the value at its subpath became this call's seq, a DELETE because the subtree went
away, a FULL because every place changed to this call's seq. An operation writes what it finds in the source.

Three things are left open by the contract, so every schedule is judged in all 2 x 2 x 2 ways at once:

* ``collects``: whether an UPDATE removes what is below its subpath, or leaves it;
* ``late``: whether an operation finds the source of the moment it takes effect, or that of its invocation;
* ``at_end``: whether it takes effect at the moment it starts, or at the moment it ends.

The search merges equal situations: equal pickled machines with equal witnesses have equal futures, for
neither has any other input. Schedules are counted, not merged: the number of paths to each situation is
carried along.
"""

from __future__ import annotations

import gc
import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import NamedTuple, TypeAlias

from liveproof.core.operations import Dropped, Kind, Operation, Operations, Outcome, Replaced, Start, State
from liveproof.core.paths import Path

Contents: TypeAlias = tuple[int | None, ...]  # of a source: a value for each place
World: TypeAlias = tuple[
    tuple[int, int] | None, ...
]  # of a target: value and seq of its writer, for each place

STALE = -1
VARIANTS = tuple(product((False, True), repeat=3))  # collects, late, at_end


class ViolationError(AssertionError):
    """The contract was broken, as far as a caller can see."""


def require(condition: bool, message: str) -> None:
    if not condition:
        raise ViolationError(message)


class Universe:
    """The subpaths of a program, and the places of its model world."""

    def __init__(self, *subpaths: Path, interchangeable: bool = False) -> None:
        self.subpaths = subpaths
        self.interchangeable = interchangeable  # renaming them gives the same program
        places = [*subpaths, *((*subpath, "anything below") for subpath in subpaths)]
        self.size = len(places)
        self.below = tuple(
            tuple(at for at, place in enumerate(places) if len(place) > len(s) and place[: len(s)] == s)
            for s in subpaths
        )
        self.calls = (
            (Kind.FULL, -1),
            *((kind, at) for at in range(len(subpaths)) for kind in (Kind.UPDATE, Kind.DELETE)),
        )

    def path(self, at: int) -> Path | None:
        return None if at < 0 else self.subpaths[at]

    def conflict(self, one: int, other: int) -> bool:
        """Whether operations there must not overlap; -1 is FULL."""
        if one < 0 or other < 0:
            return True
        a, b = self.subpaths[one], self.subpaths[other]
        common = min(len(a), len(b))
        return a[:common] == b[:common]


class Call(NamedTuple):
    """A live operation, as its caller remembers it."""

    seq: int
    kind: Kind
    at: int
    running: bool
    covers: tuple[int, ...]  # the seqs of those it replaced, and its own
    found: tuple[Contents, Contents]  # the source when it was invoked, for both values of ``collects``


class Witness:
    """Judges every step; its ``key`` is all that it remembers."""

    def __init__(self, universe: Universe) -> None:
        self.universe = universe
        self.seq = 0
        self.calls: tuple[Call, ...] = ()  # live ones, in invocation order
        self.unfinished: tuple[int, ...] = ()  # seqs; a replaced one is unfinished as long as its replacement
        self.sources: tuple[Contents, ...] = ((STALE,) * universe.size,) * 2
        self.meaning: tuple[World, ...] = (((STALE, 0),) * universe.size,) * 2
        self.worlds: tuple[World, ...] = (((STALE, 0),) * universe.size,) * len(VARIANTS)
        self.named = 0  # how many interchangeable subpaths were used
        self.complete = True  # nothing was dropped, so the worlds have to agree in the end

    def key(self) -> tuple[object, ...]:
        return (
            self.seq,
            self.calls,
            self.unfinished,
            self.sources,
            self.meaning,
            self.worlds,
            self.named,
            self.complete,
        )

    def copy(self) -> Witness:
        other = object.__new__(Witness)
        other.__dict__.update(self.__dict__)
        return other

    # -- what happens --------------------------------------------------------------------------------------

    def invoked(self, kind: Kind, at: int, op: Operation, outcomes: Sequence[Outcome]) -> None:
        self.seq += 1
        if self.universe.interchangeable:
            self.named = max(self.named, at + 1)
        require(op.seq == self.seq, "seq is invocation order")
        self.sources = tuple(
            self._changed(kind, at, source, collects)
            for source, collects in zip(self.sources, (False, True), strict=True)
        )
        self.meaning = tuple(
            self._effect(kind, at, self.seq, None, source, world, collects)
            for source, world, collects in zip(self.sources, self.meaning, (False, True), strict=True)
        )
        queued = [c for c in self.calls if c.at == at and kind is not Kind.FULL and not c.running]
        found = (self.sources[0], self.sources[1])
        self.calls += (Call(self.seq, kind, at, running=False, covers=(self.seq,), found=found),)
        self.unfinished += (self.seq,)
        replaced = [outcome for outcome in outcomes if isinstance(outcome, Replaced)]
        require(
            [outcome.op.seq for outcome in replaced] == [call.seq for call in queued],
            "ORD-4: the queued operation on this subpath is replaced, and no other",
        )
        for outcome in replaced:
            self._replaced(outcome, op)
        self._started(outcomes[len(replaced) :])

    def ended(self, op: Operation) -> None:
        """Before the machine is told: its effect is there, for those who take effect at the end."""
        call = self._call(op)
        require(call.running, "ends while running")
        self._apply(call, op.absorbed_delete, at_end=True)
        self._finish(call)

    def told(self, op: Operation, outcomes: Sequence[Outcome]) -> None:
        require(op.state is State.DONE, "done")
        self._started(outcomes)

    def dropped(self, outcomes: Sequence[Outcome]) -> None:
        queued = [call.seq for call in self.calls if not call.running]
        self.complete = self.complete and not queued
        gone = [outcome.op for outcome in outcomes if isinstance(outcome, Dropped)]
        require(len(gone) == len(outcomes), "dropping starts nothing")
        require([op.seq for op in gone] == queued, "everything queued is dropped, in invocation order")
        for op in gone:
            require(op.state is State.DROPPED, "dropped")
            self._finish(self._call(op))

    def look(self, machine: Operations) -> None:
        """What holds after every call."""
        universe = self.universe
        for at, call in enumerate(self.calls):
            held = any(universe.conflict(call.at, earlier.at) for earlier in self.calls[:at])
            require(call.running != held, "ORD-2, ORD-3: an operation runs unless an earlier one holds it")
        require(machine.last_seq == self.seq, "last_seq")
        require(machine.idle == (not self.calls), "idle")
        require(machine.running == sum(call.running for call in self.calls), "running are counted")
        lowest = next(n for n in range(1, self.seq + 2) if n in self.unfinished or n > self.seq)
        require(machine.watermark == lowest - 1, "RDY-2: the watermark is below every unfinished operation")
        require(not self.calls or any(call.running for call in self.calls), "RDY-1: something can end")
        if not self.calls and self.complete:
            for (collects, late, at_end), world in zip(VARIANTS, self.worlds, strict=True):
                require(
                    values(world) == values(self.meaning[collects]),
                    f"ORD-1: sequential meaning ({collects=}, {late=}, {at_end=})",
                )
                require(
                    values(world) == self.sources[collects] or not self._scanned(), "MODE-2: as the source"
                )

    # -- how -----------------------------------------------------------------------------------------------

    def _scanned(self) -> bool:
        """Whether a FULL has brought target and source together."""
        return all(STALE not in source for source in self.sources)

    def _call(self, op: Operation) -> Call:
        for call in self.calls:
            if call.seq == op.seq:
                return call
        raise ViolationError("an operation that is replaced or has ended neither starts nor ends")

    def _replaced(self, outcome: Replaced, by: Operation) -> None:
        older, newer = self._call(outcome.op), self.calls[-1]
        require(outcome.by is by, "ORD-4: the later one wins")
        require(outcome.op.replaced_by is by, "ORD-4: and is known")
        require(outcome.op.state is State.REPLACED, "replaced")
        require(not older.running, "a running operation is never replaced")
        kept = (call for call in self.calls[:-1] if call is not older)
        self.calls = (*kept, newer._replace(covers=older.covers + newer.covers))

    def _started(self, outcomes: Iterable[Outcome]) -> None:
        last = 0
        for outcome in outcomes:
            assert isinstance(outcome, Start)
            op = outcome.op
            call = self._call(op)
            require(op.state is State.RUNNING, "running")
            require(op.seq > last, "starts come in invocation order")
            last = op.seq
            require(not call.running, "an operation starts once")
            for other in self.calls:
                if self.universe.conflict(call.at, other.at):
                    require(not other.running, "ORD-2, ORD-3: overlap")
                    require(other.seq >= call.seq, "ORD-2, ORD-3: overtakes an earlier operation")
            self.calls = tuple(c._replace(running=True) if c is call else c for c in self.calls)
            self._apply(call, op.absorbed_delete, at_end=False)

    def _finish(self, call: Call) -> None:
        self.calls = tuple(other for other in self.calls if other.seq != call.seq)
        self.unfinished = tuple(seq for seq in self.unfinished if seq not in call.covers)

    def _apply(self, call: Call, absorbed: int | None, *, at_end: bool) -> None:
        self.worlds = tuple(
            world
            if variant[2] != at_end
            else self._effect(
                call.kind,
                call.at,
                call.seq,
                absorbed,
                (self.sources if variant[1] else call.found)[variant[0]],
                world,
                variant[0],
            )
            for variant, world in zip(VARIANTS, self.worlds, strict=True)
        )

    def _changed(self, kind: Kind, at: int, source: Contents, collects: bool) -> Contents:
        if kind is Kind.FULL:
            return (self.seq,) * len(source)
        after = list(source)
        after[at] = None if kind is Kind.DELETE else self.seq
        if kind is Kind.DELETE or collects:
            for place in self.universe.below[at]:
                after[place] = None
        return tuple(after)

    def _effect(
        self,
        kind: Kind,
        at: int,
        seq: int,
        absorbed: int | None,
        source: Contents,
        world: World,
        collects: bool,
    ) -> World:
        if kind is Kind.FULL:
            return tuple(None if value is None else (value, seq) for value in source)
        after = list(world)
        value = source[at]
        after[at] = None if kind is Kind.DELETE or value is None else (value, seq)
        for place in self.universe.below[at]:
            cell = after[place]
            if kind is Kind.DELETE or collects:
                after[place] = None
            elif absorbed is not None and cell is not None and cell[1] <= absorbed:
                after[place] = None
        return tuple(after)


def values(world: World) -> Contents:
    return tuple(None if cell is None else cell[0] for cell in world)


@dataclass(frozen=True, slots=True)
class Found:
    """What a search covered."""

    schedules: dict[int, int]  # by number of operations: complete schedules, all of them judged
    situations: int  # different ones
    steps: int  # calls made to a machine


def count(universe: Universe, operations: int) -> int:
    """Complete schedules of exactly so many operations, by the plain rules alone: no machine, no search.

    The rules: a call replaces the queued one on its subpath; whatever no earlier live operation holds, runs.
    """

    @cache
    def paths(live: tuple[tuple[int, bool], ...], left: int) -> int:
        def settled(ops: Sequence[tuple[int, bool]], left: int) -> int:
            held = [
                any(universe.conflict(at, other) for other, _ in ops[:n]) for n, (at, _) in enumerate(ops)
            ]
            return paths(tuple((at, not h) for (at, _), h in zip(ops, held, strict=True)), left)

        if not live and not left:
            return 1
        total = sum(settled(live[:n] + live[n + 1 :], left) for n, (_, running) in enumerate(live) if running)
        for _, at in universe.calls if left else ():
            kept = [(other, running) for other, running in live if running or other != at or at < 0]
            total += settled([*kept, (at, False)], left - 1)
        return total

    return paths((), operations)


def step(machine: Operations, witness: Witness, event: tuple[Kind, int] | int, *, check: bool = True) -> None:
    """One event: a call, or (a number) the end of that running operation."""
    if isinstance(event, int):
        op = next(op for op in machine.live() if op.seq == event)
        witness.ended(op)
        witness.told(op, machine.done(op))
    else:
        kind, at = event
        op, outcomes = machine.invoke(kind, witness.universe.path(at))
        witness.invoked(kind, at, op, outcomes)
    witness.look(machine)
    if check:
        machine._check()


def events(witness: Witness, operations_max: int) -> list[tuple[Kind, int] | int]:
    """All that can happen next. Interchangeable subpaths get their names in the order of their first use."""
    universe = witness.universe
    ends: list[tuple[Kind, int] | int] = [call.seq for call in witness.calls if call.running]
    if witness.seq == operations_max:
        return ends
    return [*ends, *(c for c in universe.calls if c[1] <= witness.named or not universe.interchangeable)]


@contextmanager
def no_collector() -> Iterator[None]:
    """A search keeps what it makes: looking for garbage there costs a sixth of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@no_collector()
def search(
    universe: Universe,
    operations_max: int,
    factory: Callable[[], Operations] = Operations,
    *,
    merge: bool = True,
    check: bool = True,
) -> Found:
    """Every program of up to ``operations_max`` calls, under every order of calls and ends.

    Breadth first, by number of events. Without ``merge`` every schedule is a path of its own.
    """
    start = pickle.dumps(factory())
    layer: dict[object, tuple[bytes, Witness, int]] = {0: (start, Witness(universe), 1)}
    schedules: dict[int, int] = {}
    situations = steps = 0
    while layer:
        situations += len(layer)
        following: dict[object, tuple[bytes, Witness, int]] = {}
        for frozen, before, paths in layer.values():
            for event in events(before, operations_max):
                machine: Operations = pickle.loads(frozen)
                witness = before.copy()
                step(machine, witness, event, check=check)
                steps += 1
                if not witness.calls:
                    schedules[witness.seq] = schedules.get(witness.seq, 0) + paths
                after = pickle.dumps(machine)
                key: object = (after, witness.key()) if merge else steps
                known = following.get(key)
                following[key] = (after, witness, paths + (known[2] if known else 0))
        layer = following
    return Found(schedules, situations, steps)
