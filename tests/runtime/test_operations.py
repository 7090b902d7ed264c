"""The order of operations: every short program under every schedule, long ones by chance, planted bugs."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable, Iterator
from math import comb
from types import FrameType
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from liveproof.core import operations
from liveproof.core.operations import (
    TRANSITIONS,
    Dropped,
    Event,
    Kind,
    Operation,
    Operations,
    Outcome,
    Replaced,
    Start,
    State,
)
from liveproof.core.paths import Path
from tests.runtime.operations_model import Universe, ViolationError, Witness, count, search, step

APART = Universe(("a",), ("c",), interchangeable=True)
NESTED = Universe(("a",), ("a", "b"))
UPDATE, DELETE, FULL = Kind.UPDATE, Kind.DELETE, Kind.FULL


def catalan(n: int) -> int:
    return comb(2 * n, n) // (n + 1)


# -- exhaustive --------------------------------------------------------------------------------------------
#
# A program hands n calls to tasks, and the tasks' calls interleave. The machine does not see tasks, only
# the order of the calls, so "all programs of n calls by two tasks (or any number), in all interleavings" are
# the 5 ** n sequences of calls: FULL, and UPDATE and DELETE on either subpath. A schedule mixes them with
# the ends of what runs, in every possible way. All schedules of up to five calls are judged, after every
# single step; the model says on what. A task that awaits a handle first only leaves schedules out.


def test_ORD_1_to_4_exhaustive_on_separate_subpaths() -> None:  # noqa: N802
    found = search(APART, 5)
    # Up to renaming "a" and "c": every schedule stands for two, but those of n FULLs alone (a Catalan number,
    # because one runs at a time: calls and ends are a Dyck word).
    assert found.schedules == {1: 3, 2: 30, 3: 459, 4: 8_282, 5: 160_182}
    both_names = {n: 2 * schedules - catalan(n) for n, schedules in found.schedules.items()}
    assert both_names == {1: 5, 2: 58, 3: 913, 4: 16_550, 5: 320_322}
    assert both_names == {n: count(APART, n) for n in range(1, 6)}


def test_ORD_1_to_4_exhaustive_on_nested_subpaths() -> None:  # noqa: N802
    found = search(NESTED, 5)
    assert found.schedules == {1: 5, 2: 50, 3: 625, 4: 8_550, 5: 122_050}
    assert found.schedules == {n: count(NESTED, n) for n in range(1, 6)}


@pytest.mark.parametrize(
    ("subpaths", "schedules"),
    [
        pytest.param([("a",), ("a", "b"), ("c",)], {1: 7, 2: 114, 3: 2_531}, id="nested and apart"),
        pytest.param([("a",), ("a", "b"), ("a", "b", "d")], {1: 7, 2: 98, 3: 1_715}, id="chain"),
        pytest.param([("a",), ("a", "b"), ("a", "e")], {1: 7, 2: 106, 3: 2_099}, id="fork"),
        pytest.param([("a", "b"), ("a", "e"), (1,)], {1: 7, 2: 122, 3: 3_059}, id="siblings and apart"),
    ],
)
def test_ORD_1_to_4_exhaustive_on_three_subpaths(  # noqa: N802
    subpaths: list[Path], schedules: dict[int, int]
) -> None:
    universe = Universe(*subpaths)
    assert search(universe, 3).schedules == schedules
    assert schedules == {n: count(universe, n) for n in (1, 2, 3)}


@pytest.mark.parametrize("universe", [APART, NESTED], ids=["apart", "nested"])
def test_merging_situations_leaves_out_no_schedule(universe: Universe) -> None:
    every, merged = search(universe, 3, merge=False), search(universe, 3)
    assert every.schedules == merged.schedules
    assert every.situations > merged.situations
    assert every.situations == every.steps + 1, "every step its own"


# -- the tester, tested ------------------------------------------------------------------------------------


class NoBarrierForEarlier(Operations):
    """A FULL does not wait for what was invoked before it."""

    def _starts(self) -> tuple[Start, ...]:
        head = self._epochs[0]
        if head.full is None and len(self._epochs) > 1:
            self._epochs.popleft()
            full = self._epochs[0].full
            assert full is not None
            self._move(full, Event.START)
            return (Start(full),)
        return super()._starts()


class NoBarrierForLater(Operations):
    """What is invoked while a FULL runs does not wait for it."""

    def _starts(self) -> tuple[Start, ...]:
        head = self._epochs[0]
        if head.full is not None and head.full.state is State.RUNNING:
            full, head.full = head.full, None
            starts = super()._starts() if head.ready else ()
            head.full = full
            return starts
        return super()._starts()


class ReplacesRunning(Operations):
    """A later operation replaces even what runs."""

    def invoke(
        self, kind: Kind, subpath: Path | None = None, payload: object = None
    ) -> tuple[Operation, tuple[Outcome, ...]]:
        alike = [op for op in self.live() if op.kind is not FULL and op.subpath == subpath]
        running = [op for op in alike if op.state is State.RUNNING]
        for op in running:
            self._remove(op)
            del self._live[op._first]
            self._running -= 1
        op, outcomes = super().invoke(kind, subpath, payload)
        for older in running:
            older.state, older.replaced_by = State.REPLACED, op
        return op, (*(Replaced(older, op) for older in running), *outcomes)


class OlderWins(Operations):
    """The later operation gives way to the queued one: same outcome in name, the older call runs."""

    def _replace(self, older: Operation, by: Operation) -> None:
        super()._replace(older, by)
        self._live[older._first] = older
        older.state, by.state, by.replaced_by, older.replaced_by = by.state, State.REPLACED, older, None

    def _insert(self, op: Operation, epoch: operations._Epoch) -> None:
        older = op.replaced_by
        super()._insert(op if older is None else older, epoch)

    def invoke(
        self, kind: Kind, subpath: Path | None = None, payload: object = None
    ) -> tuple[Operation, tuple[Outcome, ...]]:
        op, outcomes = super().invoke(kind, subpath, payload)
        return op, tuple(Replaced(o.by, o.op) if isinstance(o, Replaced) else o for o in outcomes)


class ForgetsTheDelete(Operations):
    """An UPDATE that stands in for a DELETE removes nothing."""

    def _replace(self, older: Operation, by: Operation) -> None:
        super()._replace(older, by)
        by.absorbed_delete = None


class DeleteTooMuch(Operations):
    """An UPDATE that stands in for a DELETE removes also what was written after the DELETE was invoked."""

    def _replace(self, older: Operation, by: Operation) -> None:
        super()._replace(older, by)
        if by.absorbed_delete is not None:
            by.absorbed_delete = by.seq


class PrefixIgnored(Operations):
    """Only equal subpaths exclude each other."""

    def invoke(
        self, kind: Kind, subpath: Path | None = None, payload: object = None
    ) -> tuple[Operation, tuple[Outcome, ...]]:
        return super().invoke(kind, None if subpath is None else (subpath,), payload)


class BelowIgnored(Operations):
    """An operation does not wait for those below it."""

    def _insert(self, op: Operation, epoch: operations._Epoch) -> None:
        super()._insert(op, epoch)
        assert op._node is not None
        op._blockers -= op._node.below
        op._node.below = 0
        if op._blockers == 0:
            epoch.ready[op.seq] = op


class TakesThePlace(Operations):
    """A replacement runs where the replaced operation stood: before a FULL that was invoked before it."""

    def _replace(self, older: Operation, by: Operation) -> None:
        by._epoch = older._epoch
        super()._replace(older, by)

    def _insert(self, op: Operation, epoch: operations._Epoch) -> None:
        super()._insert(op, op._epoch or epoch)


class LostAcrossFull(Operations):
    """A replacement across a FULL takes the queued operation out, and goes nowhere."""

    def _replace(self, older: Operation, by: Operation) -> None:
        if older._epoch is not self._epochs[-1]:
            by._epoch = older._epoch
        super()._replace(older, by)

    def _insert(self, op: Operation, epoch: operations._Epoch) -> None:
        if op._epoch is None:
            super()._insert(op, epoch)


class ReplacedIsFinished(Operations):
    """The watermark counts a replaced operation as finished at once."""

    @property
    def watermark(self) -> int:
        return min((op.seq for op in self._live.values()), default=self._seq + 1) - 1


class HidesReplaced(Operations):
    """Nobody is told what was replaced."""

    def invoke(
        self, kind: Kind, subpath: Path | None = None, payload: object = None
    ) -> tuple[Operation, tuple[Outcome, ...]]:
        op, outcomes = super().invoke(kind, subpath, payload)
        return op, tuple(o for o in outcomes if not isinstance(o, Replaced))


class LatestFirst(Operations):
    """What can start at once starts in the wrong order."""

    def _starts(self) -> tuple[Start, ...]:
        return super()._starts()[::-1]


class OneAtATime(Operations):
    """Everything excludes everything: linear, but against ORD-3."""

    def invoke(
        self, kind: Kind, subpath: Path | None = None, payload: object = None
    ) -> tuple[Operation, tuple[Outcome, ...]]:
        if subpath is not None and self._running and kind is UPDATE:
            return super().invoke(FULL, None, payload)
        return super().invoke(kind, subpath, payload)


class LostWakeUp(Operations):
    """The end of an operation does not let go who waits for it."""

    def _let_go(self, op: Operation) -> None:
        pass


BUGS: list[tuple[type[Operations], Universe, str]] = [
    (NoBarrierForEarlier, APART, "ORD-2, ORD-3: overlap"),
    (NoBarrierForLater, APART, "ORD-2, ORD-3: overlap"),
    (ReplacesRunning, APART, "ORD-4: the queued operation on this subpath is replaced, and no other"),
    (OlderWins, APART, "ORD-4: the queued operation on this subpath is replaced, and no other"),
    (ForgetsTheDelete, APART, "ORD-1: sequential meaning"),
    (DeleteTooMuch, NESTED, "ORD-1: sequential meaning"),
    (PrefixIgnored, NESTED, "ORD-2, ORD-3: overlap"),
    (BelowIgnored, NESTED, "ORD-2, ORD-3: overlap"),
    (TakesThePlace, APART, "ORD-2, ORD-3: over"),
    (LostAcrossFull, APART, "ORD-2, ORD-3: an operation runs unless"),
    (ReplacedIsFinished, APART, "RDY-2: the watermark"),
    (HidesReplaced, APART, "ORD-4: the queued operation on this subpath is replaced, and no other"),
    (LatestFirst, APART, "starts come in invocation order"),
    (OneAtATime, APART, "ORD-2, ORD-3: an operation runs unless"),
    (LostWakeUp, APART, "ORD-2, ORD-3: an operation runs unless"),
]


@pytest.mark.parametrize(("bug", "universe", "message"), BUGS, ids=[bug.__name__ for bug, _, _ in BUGS])
def test_planted_bugs_are_seen_from_outside(bug: type[Operations], universe: Universe, message: str) -> None:
    # Without the machine's own invariants: a caller's view is enough.
    with pytest.raises(ViolationError) as caught:
        search(universe, 4, bug, check=False)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("blind", ["worlds", "rules"])
def test_worlds_and_rules_each_see_a_forgotten_barrier(blind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rules and worlds do not lean on each other: either finds the bug while the other is looking away."""
    from tests.runtime import operations_model  # noqa: PLC0415

    honest = operations_model.require

    def deaf(condition: bool, message: str) -> None:
        if message.startswith("ORD-1") == (blind == "rules"):
            honest(condition, message)

    monkeypatch.setattr(operations_model, "require", deaf)
    with pytest.raises(ViolationError):
        search(APART, 4, NoBarrierForLater, check=False)


# -- by chance, beyond -------------------------------------------------------------------------------------

FAMILY = Universe(("a",), ("a", "b"), ("a", "b", "c"), ("a", "d"), ("e",))
STEPS = st.tuples(
    st.sampled_from(["call"] * 10 + ["end"] * 9 + ["drop"]), st.sampled_from(FAMILY.calls), st.integers(0, 39)
)


@settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(program=st.lists(STEPS, max_size=90), drops=st.booleans())
def test_ORD_1_to_4_long_programs(  # noqa: N802
    program: list[tuple[str, tuple[Kind, int], int]], drops: bool
) -> None:
    machine, witness = Operations(), Witness(FAMILY)
    for what, call, choice in program:
        running = [c.seq for c in witness.calls if c.running]
        if what == "call" and witness.seq < 40:
            step(machine, witness, call)
        elif what == "end" and running:
            step(machine, witness, running[choice % len(running)])
        elif what == "drop" and drops:
            witness.dropped(machine.drop_queued())
            witness.look(machine)
            machine._check()
    while witness.calls:
        step(machine, witness, max(c.seq for c in witness.calls if c.running))
    assert machine.idle
    assert machine.watermark == machine.last_seq == witness.seq


# -- rows and refusals -------------------------------------------------------------------------------------


def in_state(state: State) -> tuple[Operations, Operation]:
    """A machine with an operation in that state, reached by calls alone."""
    machine = Operations()
    first, _ = machine.invoke(UPDATE, ("a",))
    if state is State.RUNNING:
        return machine, first
    if state is State.DONE:
        machine.done(first)
        return machine, first
    second, _ = machine.invoke(DELETE, ("a",))
    if state is State.REPLACED:
        machine.invoke(UPDATE, ("a",))
    elif state is State.DROPPED:
        machine.drop_queued()
    assert second.state is state
    return machine, second


def test_the_table_is_the_design() -> None:
    assert {
        (before.name, event.name, after.name)
        for before, row in TRANSITIONS.items()
        for event, after in row.items()
    } == {
        ("QUEUED", "START", "RUNNING"),
        ("QUEUED", "REPLACE", "REPLACED"),
        ("QUEUED", "DROP", "DROPPED"),
        ("RUNNING", "END", "DONE"),
    }
    assert list(TRANSITIONS) == list(State), "a row for every state, empty rows too"


@pytest.mark.parametrize("event", list(Event))
@pytest.mark.parametrize("state", list(State))
def test_every_row_of_the_table(state: State, event: Event) -> None:
    machine, op = in_state(state)
    after = TRANSITIONS[state].get(event)
    if after is not None:
        machine._move(op, event)
        assert op.state is after
        return
    before = pickle.dumps((machine, op))
    for _ in range(2):
        with pytest.raises(RuntimeError) as caught:
            machine._move(op, event)
        assert str(caught.value) == f"{op!r} cannot {event.value}: it is {state.value}"
        assert pickle.dumps((machine, op)) == before


def refused_calls() -> Iterator[tuple[str, type[Exception], Callable[[Operations], object]]]:
    def invoke(kind: Kind, subpath: Path | None = None) -> Callable[[Operations], object]:
        return lambda machine: machine.invoke(kind, subpath)

    yield "full with subpath", ValueError, invoke(FULL, ("a",))
    yield "full with empty subpath", ValueError, invoke(FULL, ())
    for kind in (UPDATE, DELETE):
        yield f"{kind.value} without subpath", ValueError, invoke(kind)
        yield f"{kind.value} of everything", ValueError, invoke(kind, ())
        yield f"{kind.value} of no key", TypeError, invoke(kind, cast("Path", ("a", 1.5)))
    yield "done of another machine's", RuntimeError, lambda machine: machine.done(in_state(State.RUNNING)[1])


@pytest.mark.parametrize(
    ("error", "call"), [pytest.param(error, call, id=name) for name, error, call in refused_calls()]
)
@pytest.mark.parametrize("state", list(State))
def test_refusal_leaves_no_trace(
    state: State, error: type[Exception], call: Callable[[Operations], object]
) -> None:
    machine, op = in_state(state)
    before = pickle.dumps((machine, op))
    for _ in range(2):
        with pytest.raises(error):
            call(machine)
        assert pickle.dumps((machine, op)) == before
        machine._check()


@pytest.mark.parametrize("state", [state for state in State if state is not State.RUNNING])
def test_done_of_what_does_not_run_leaves_no_trace(state: State) -> None:
    machine, op = in_state(state)
    before = pickle.dumps((machine, op))
    for _ in range(2):
        with pytest.raises(RuntimeError):
            machine.done(op)
        assert pickle.dumps((machine, op)) == before
        machine._check()


def test_refusals_say_what_to_do() -> None:
    machine, op = in_state(State.DONE)
    with pytest.raises(RuntimeError, match=r"<#1 update /a DONE> is not live here; call done\(\) once"):
        machine.done(op)
    with pytest.raises(ValueError, match=r"update_full has no subpath, got \('a',\); use update or delete"):
        machine.invoke(FULL, ("a",))
    with pytest.raises(ValueError, match=r"delete needs a subpath of at least one key, got \(\)"):
        machine.invoke(DELETE, ())


# -- by example --------------------------------------------------------------------------------------------


def test_equal_in_python_is_not_the_same_subpath() -> None:
    machine = Operations()
    started = [machine.invoke(UPDATE, (key,))[1] for key in (1, True, "1", b"1", (1,))]
    assert [len(outcomes) for outcomes in started] == [1] * 5


def test_ORD_4_across_a_full() -> None:  # noqa: N802
    machine = Operations()
    running, _ = machine.invoke(UPDATE, ("a",))
    older, _ = machine.invoke(UPDATE, ("a",))
    full, _ = machine.invoke(FULL)
    newer, outcomes = machine.invoke(UPDATE, ("a",), "payload")
    assert outcomes == (Replaced(older, newer),)
    assert older.replaced_by is newer
    assert newer.payload == "payload"
    assert machine.done(running) == (Start(full),)
    assert machine.watermark == 1, "the older one is finished when the newer one is"
    assert machine.done(full) == (Start(newer),)
    assert machine.watermark == 1
    assert machine.done(newer) == ()
    assert machine.watermark == 4


def test_replacing_lets_go_who_waited_for_the_replaced() -> None:
    machine = Operations()
    machine.invoke(UPDATE, ("a", "b"))
    older, _ = machine.invoke(DELETE, ("a",))
    held, outcomes = machine.invoke(UPDATE, ("a", "c"))
    assert outcomes == ()
    newer, outcomes = machine.invoke(UPDATE, ("a",))
    assert outcomes == (Replaced(older, newer), Start(held))
    assert newer.absorbed_delete == older.seq
    assert newer.state is State.QUEUED


def test_drop_queued() -> None:
    machine = Operations()
    running, _ = machine.invoke(UPDATE, ("a",))
    queued, _ = machine.invoke(DELETE, ("a",))
    full, _ = machine.invoke(FULL)
    behind, _ = machine.invoke(UPDATE, ("b", "c"))
    assert machine.drop_queued() == (Dropped(queued), Dropped(full), Dropped(behind))
    assert machine.drop_queued() == ()
    assert machine.watermark == 0
    assert machine.done(running) == ()
    assert machine.idle
    assert machine.watermark == 4
    machine._check()
    _, outcomes = machine.invoke(FULL)
    assert len(outcomes) == 1, "it can go on"


# -- cost, as lines of the machine that were executed ------------------------------------------------------


def distinct(machine: Operations, n: int) -> None:
    for number in range(n):
        machine.invoke(UPDATE, (number,))


def behind_a_full(machine: Operations, n: int) -> None:
    machine.invoke(FULL)
    distinct(machine, n)


def one_subpath(machine: Operations, n: int) -> None:
    for _ in range(n):
        machine.invoke(UPDATE, ("a", "b"))


def many_fulls(machine: Operations, n: int) -> None:
    for number in range(n // 2):
        machine.invoke(FULL)
        machine.invoke(UPDATE, (number,))


def chains(machine: Operations, n: int) -> None:
    for number in range(n):
        machine.invoke(UPDATE, ("deep",) * (number % 10 + 1))


def deletes_above(machine: Operations, n: int) -> None:
    for number in range(n // 2):
        machine.invoke(UPDATE, ("d", number))
    for _ in range(n // 2):
        machine.invoke(DELETE, ("d",))


def deletes_around(machine: Operations, n: int) -> None:
    for number in range(n // 2):
        machine.invoke(DELETE, ("d",))
        machine.invoke(UPDATE, ("d", number))


def lines_executed(workload: Callable[[Operations, int], None], n: int) -> int:
    """Lines of the machine for n operations: all are invoked, then what runs ends, the latest first."""
    lines = 0

    def local(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal lines
        lines += event == "line"
        return local

    def trace(frame: FrameType, event: str, arg: Any) -> Any:
        return local if frame.f_code.co_filename == operations.__file__ else None

    machine, before = Operations(), sys.gettrace()
    sys.settrace(trace)
    try:
        workload(machine, n)
        running = [op for op in machine.live() if op.state is State.RUNNING]
        while running:
            op = running.pop()
            running += [outcome.op for outcome in machine.done(op) if isinstance(outcome, Start)]
            assert machine.watermark <= machine.last_seq
    finally:
        sys.settrace(before)
    assert machine.idle
    return lines


@pytest.mark.parametrize(
    ("workload", "lines_max"),
    [
        (distinct, 125),
        (behind_a_full, 125),
        (one_subpath, 130),
        (many_fulls, 110),
        (chains, 400),
        (deletes_above, 150),
        (deletes_around, 200),
    ],
)
def test_cost_is_linear(workload: Callable[[Operations, int], None], lines_max: int) -> None:
    few, many = lines_executed(workload, 200), lines_executed(workload, 1_600)
    assert many < 8.4 * few
    assert many < lines_max * 1_600
