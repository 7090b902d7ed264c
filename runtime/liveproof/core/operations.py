"""ORD-1 … ORD-4 and the watermark behind RDY-2, as a pure state machine.

Rule 1: everything that changes the state of an operation is in this file, and goes through ``TRANSITIONS``.
Rule 2: no clock, task, I/O or callback. Calls go in; what the caller must do now comes out, as ``Outcome``
values.

What may run when
-----------------
A FULL starts a new *epoch*: an epoch is one FULL (the first has none) and the operations invoked after it,
up to the next FULL. The first epoch in ``_epochs`` is the only one that can run anything; it is *open* once
its FULL has ended, and leaves when its last operation ended (ORD-2). Inside an epoch two operations
*conflict* when one subpath is a prefix of the other, or both are the same. ``_blockers`` of an operation
counts the earlier live operations of its epoch in conflict with it; it starts when the count is 0 and the
epoch is open (ORD-3).

A trie of subpaths per epoch keeps the counts. A subpath holds at most one running and one queued operation,
because a queued one is replaced by the next (ORD-4). An operation waits

* for the one running at its own node, found at the node;
* for those above it, which keep it in ``_waiters`` (so that the end of one touches only who waited for it);
* for those below it, of which the node knows the number, and which climb to the root when they end.

So an invocation or an end costs O(keys in the subpath), plus O(1) for every operation it lets go; each
operation is let go once by each of the at most two per ancestor it waited for. Nothing is quadratic in the
operations.

Why replacing keeps the sequential meaning (ORD-1)
--------------------------------------------------
Suppose all operations succeed. What an operation writes does not depend on the target: it overwrites. So
after any program the value at each place is that of the *last* operation, in invocation order, that wrote
there, and taking an operation X out changes the result only at places where X was the last writer.
UPDATE(s) writes at ``s``; DELETE(s) writes "absent" at ``s`` and everywhere below; FULL writes everywhere.

Let Y, on the same ``s``, replace the queued X. Y is later and writes at ``s``, so X is not the last writer
there. Below ``s`` an X that is an UPDATE writes nothing (or, if a cycle collects whatever it did not mount,
so does Y), and a Y that is a DELETE writes everything. There remains X = DELETE, Y = UPDATE: what stood
below ``s`` would survive. So Y remembers it: ``absorbed_delete`` is the seq of the latest DELETE that Y
stands in for, and running Y includes the removal of everything below ``s`` that no operation with a greater
seq has written: the very places at which X would have been the last writer. (An operation whose cycle
collects all it did not mount does that anyway.)

None of this depends on what lies between X and Y. Across a FULL it holds doubly, for the FULL writes
everywhere; Y keeps its own place, behind the FULL, and X was only due before it. Everything that still runs
and could write at a common place runs in invocation order, one at a time, so the last writer is the last to
run.

Roads not taken
---------------
* *An edge to every conflicting operation*: a DELETE above n running updates costs n, so n of them cost n
  squared.
* *Y takes X's place in the queue*: not linear, Y would run before a FULL, or a DELETE above, that precedes
  it.
* *Never replacing a DELETE by an UPDATE*: linear, but a file replaced by rename would run twice, against
  ORD-4.
* *Counting a replaced operation as finished*: then ``mark_ready`` returns before its effect is there
  (ORD-5).
"""

from __future__ import annotations

import enum
from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from operator import attrgetter
from typing import Final, TypeAlias

from liveproof.core.paths import Path, encode_key, format_path

TOUCHES = True
"""To whoever watches what is read and written: not what the lines of this module say, but what the caller tells."""

__all__ = [
    "TRANSITIONS",
    "Dropped",
    "Event",
    "Kind",
    "Operation",
    "Operations",
    "Outcome",
    "Replaced",
    "Start",
    "State",
]


class Kind(enum.Enum):
    """What was called on the operator."""

    FULL = "update_full"
    UPDATE = "update"
    DELETE = "delete"


class State(enum.Enum):
    """Where an operation is. The values are the sentences shown to people."""

    QUEUED = "invoked, not started"
    RUNNING = "started, not ended"
    DONE = "ended, well or badly"
    REPLACED = "never ran: a later operation on its subpath stands in for it"
    DROPPED = "never ran: the operator stopped first"

    __hash__ = object.__hash__  # Enum's own is Python code; a tenth of the cost of an operation was there


class Event(enum.Enum):
    """What can happen to an operation."""

    START = "start"
    END = "end"
    REPLACE = "replace"
    DROP = "drop"

    __hash__ = object.__hash__  # as above


TRANSITIONS: Final[dict[State, dict[Event, State]]] = {
    State.QUEUED: {
        Event.START: State.RUNNING,
        Event.REPLACE: State.REPLACED,
        Event.DROP: State.DROPPED,
    },
    State.RUNNING: {Event.END: State.DONE},
    State.DONE: {},
    State.REPLACED: {},
    State.DROPPED: {},
}

# Keys are encoded one by one: 1 == True in Python, and they are different keys.
_Keys: TypeAlias = tuple[bytes, ...]


class Operation:
    """One call. Compared by identity; everything in it is for reading, only this file writes."""

    __slots__ = (
        "_blockers",
        "_epoch",
        "_first",
        "_keys",
        "_node",
        "_waiters",
        "absorbed_delete",
        "kind",
        "payload",
        "replaced_by",
        "seq",
        "state",
        "subpath",
    )

    def __init__(self, seq: int, kind: Kind, subpath: Path | None, keys: _Keys, payload: object) -> None:
        self.seq: Final = seq  # invocation order, from 1
        self.kind: Final = kind
        self.subpath: Final = subpath  # None for FULL
        self.payload: Final = payload  # the caller's own
        self.state = State.QUEUED
        self.replaced_by: Operation | None = None
        self.absorbed_delete: int | None = None  # see the module's docstring; only ever set on an UPDATE
        self._first = seq  # seq of the oldest operation that this one stands in for
        self._keys = keys
        self._blockers = 0
        self._waiters: dict[int, Operation] | None = None  # by seq: those below that wait for this one
        self._node: _Node | None = None  # where it lives in its epoch's trie
        self._epoch: _Epoch | None = None

    @property
    def key(self) -> bytes:
        """The encoding of its subpath; empty for FULL."""
        return b"".join(self._keys)

    def __repr__(self) -> str:
        where = "" if self.subpath is None else f" {format_path(self.subpath)}"
        return f"<#{self.seq} {self.kind.value}{where} {self.state.name}>"


_seq = attrgetter("seq")


@dataclass(frozen=True, slots=True)
class Start:
    """Run ``op`` now and call ``done(op)`` when it has ended, however it ended."""

    op: Operation


@dataclass(frozen=True, slots=True)
class Replaced:
    """``op`` will never run; whoever waits for it waits for ``by`` from now on (ORD-5)."""

    op: Operation
    by: Operation


@dataclass(frozen=True, slots=True)
class Dropped:
    """``op`` will never run; whoever waits for it has to be told so."""

    op: Operation


Outcome: TypeAlias = Start | Replaced | Dropped


class _Node:
    """A subpath in an epoch's trie; it exists while an operation lives at it or below it."""

    __slots__ = ("below", "children", "key", "parent", "queued", "running")

    def __init__(self, parent: _Node | None, key: bytes) -> None:
        self.parent = parent
        self.key = key
        self.children: dict[bytes, _Node] = {}
        self.running: Operation | None = None
        self.queued: Operation | None = None
        self.below = 0  # live operations strictly below


class _Epoch:
    """A FULL and the operations invoked after it, up to the next FULL."""

    __slots__ = ("full", "ready", "root")

    def __init__(self, full: Operation | None) -> None:
        self.full = full  # None: there is none, or it has ended; the epoch is open
        self.root = _Node(None, b"")  # no operation lives at the root: ``root.below`` are all of the epoch
        self.ready: dict[int, Operation] = {}  # queued, without blockers: they wait for the epoch to open


class Operations:
    """The operations of one operator. Refused calls raise and change nothing."""

    __slots__ = ("_epochs", "_live", "_queued", "_running", "_seq")

    def __init__(self) -> None:
        self._seq = 0
        self._running = 0
        self._epochs: deque[_Epoch] = deque([_Epoch(None)])
        # Queued updates and deletes, of every epoch: at most one for a subpath, because the next replaces it.
        self._queued: dict[_Keys, Operation] = {}
        # Queued and running, by the oldest seq each stands in for, ascending. Not a dict: next(iter(dict))
        # steps over all that was deleted in front, and the oldest is deleted first.
        self._live: OrderedDict[int, Operation] = OrderedDict()

    # -- what the caller may ask ---------------------------------------------------------------------------

    @property
    def last_seq(self) -> int:
        """Seq of the latest operation invoked; 0 before the first."""
        return self._seq

    @property
    def watermark(self) -> int:
        """The greatest seq such that it and every one before it has ended. It never falls. O(1).

        A replaced operation has ended when the one that replaced it has. ``mark_ready`` waits until the
        watermark reaches the ``last_seq`` of the moment it was called (RDY-2).
        """
        for first in self._live:
            return first - 1
        return self._seq

    @property
    def somebody_waits(self) -> bool:
        """Whether something is queued: if not, the end of an operation lets nobody go."""
        return bool(self._queued) or len(self._epochs) > 1

    @property
    def idle(self) -> bool:
        """Whether nothing is queued or running."""
        return not self._live

    @property
    def running(self) -> int:
        """How many operations are running."""
        return self._running

    def live(self) -> Iterator[Operation]:
        """The queued and running operations, for reports; in order of the oldest that each stands in for."""
        return iter(self._live.values())

    # -- the three calls -----------------------------------------------------------------------------------

    def invoke(
        self, kind: Kind, subpath: Path | None = None, payload: object = None
    ) -> tuple[Operation, tuple[Outcome, ...]]:
        """Add an operation. What follows: at most one ``Replaced``, then ``Start`` in invocation order.

        Others than the new one can start: those that waited only for what was replaced.
        """
        if kind is Kind.FULL:
            if subpath is not None:
                raise ValueError(f"update_full has no subpath, got {subpath!r}; use update or delete")
            return self._invoke_full(payload)
        if not subpath:
            raise ValueError(f"{kind.value} needs a subpath of at least one key, got {subpath!r}")
        keys = tuple(map(encode_key, subpath))  # Raises TypeError: nothing has changed so far.

        self._seq += 1
        op = Operation(self._seq, kind, subpath, keys, payload)
        older = self._queued.get(keys)
        if older is None:
            self._live[op.seq] = op
        else:
            self._replace(older, op)
        self._insert(op, self._epochs[-1])
        starts = self._starts()
        return op, starts if older is None else (Replaced(older, op), *starts)

    def done(self, op: Operation) -> tuple[Outcome, ...]:
        """``op`` has ended, well or badly: order is the same. What starts now, in invocation order."""
        if self._live.get(op._first) is not op:
            raise RuntimeError(f"{op!r} is not live here; call done() once, on the machine that started it")
        self._move(op, Event.END)
        del self._live[op._first]
        if op.kind is Kind.FULL:
            assert self._epochs[0].full is op, "only the first epoch runs"
            self._epochs[0].full = None
        else:
            self._remove(op)
        return self._starts()

    def drop_queued(self) -> tuple[Outcome, ...]:
        """Nothing that is queued now will start. What runs goes on; ``done`` is called for it as always."""
        dropped = sorted(self._queued.values(), key=_seq)
        for op in dropped:
            self._remove(op)
        dropped += [e.full for e in self._epochs if e.full is not None and e.full.state is State.QUEUED]
        dropped.sort(key=_seq)
        for op in dropped:
            self._move(op, Event.DROP)
            del self._live[op._first]
        while len(self._epochs) > 1:
            assert self._epochs[-1].root.below == 0, "a closed epoch runs nothing"
            self._epochs.pop()
        self._epochs[0].ready.clear()
        assert not self._queued, "everything queued was dropped"
        assert len(self._live) == self._running, "only what runs is left"
        return tuple(map(Dropped, dropped))

    # -- how -----------------------------------------------------------------------------------------------

    def _move(self, op: Operation, event: Event) -> None:
        """The only place where the state of an operation changes."""
        after = TRANSITIONS[op.state].get(event)
        if after is None:
            raise RuntimeError(f"{op!r} cannot {event.value}: it is {op.state.value}")
        if after is State.RUNNING:
            self._running += 1
        elif after is State.DONE:
            self._running -= 1
            assert self._running >= 0, "more ended than started"
        op.state = after

    def _invoke_full(self, payload: object) -> tuple[Operation, tuple[Outcome, ...]]:
        self._seq += 1
        op = Operation(self._seq, Kind.FULL, None, (), payload)
        self._live[op.seq] = op
        self._epochs.append(_Epoch(op))
        return op, self._starts()

    def _replace(self, older: Operation, by: Operation) -> None:
        assert older.seq < by.seq, "only a later operation replaces"
        self._move(older, Event.REPLACE)
        older.replaced_by = by
        by._first = older._first
        if by.kind is Kind.UPDATE:
            by.absorbed_delete = older.seq if older.kind is Kind.DELETE else older.absorbed_delete
        assert self._live[by._first] is older, "what is replaced was live"
        self._live[by._first] = by  # In its place: the order of _live is the order of its keys.
        self._remove(older)

    def _insert(self, op: Operation, epoch: _Epoch) -> None:
        """Put ``op`` in the trie, behind everything there that it conflicts with."""
        node = epoch.root
        blockers = 0
        for key in op._keys:
            node.below += 1
            for other in (node.running, node.queued):
                if other is not None:
                    assert other.seq < op.seq, "invoked earlier"
                    if other._waiters is None:
                        other._waiters = {}
                    other._waiters[op.seq] = op
                    blockers += 1
            child = node.children.get(key)
            if child is None:
                child = node.children[key] = _Node(node, key)
            node = child
        assert node.queued is None, "at most one queued operation per subpath"
        op._blockers = blockers + node.below + (node.running is not None)
        op._node = node
        op._epoch = epoch
        node.queued = op
        self._queued[op._keys] = op
        if op._blockers == 0:
            epoch.ready[op.seq] = op

    def _remove(self, op: Operation) -> None:
        """Take an update or delete, which ran or never will, out of the trie; let go who waited for it."""
        node, epoch = op._node, op._epoch
        assert node is not None, "in a trie"
        assert epoch is not None, "in an epoch"
        op._node = op._epoch = None
        never_ran = node.queued is op
        if never_ran:
            node.queued = None
            epoch.ready.pop(op.seq, None)
            assert self._queued[op._keys] is op, "queued once"
            del self._queued[op._keys]
        else:
            assert node.running is op, "queued or running, nothing else"
            node.running = None
            if node.queued is not None:
                self._let_go(node.queued)
        if op._waiters is not None:
            for waiter in op._waiters.values():
                self._let_go(waiter)
            op._waiters = None
        parent = node.parent
        while parent is not None:
            parent.below -= 1
            above = parent.queued
            if above is not None and above.seq > op.seq:
                self._let_go(above)
            if never_ran:  # Otherwise it waited for nobody when it started.
                for other in (parent.running, above):
                    if other is not None and other.seq < op.seq:
                        assert other._waiters is not None, "it waited for what is above it"
                        del other._waiters[op.seq]
            if node.below == 0 and node.running is None and node.queued is None:
                del parent.children[node.key]
            node, parent = parent, parent.parent

    def _let_go(self, op: Operation) -> None:
        """One operation less for ``op`` to wait for."""
        assert op.state is State.QUEUED, "only what is queued waits"
        assert op._blockers > 0, "let go more often than it was held"
        op._blockers -= 1
        if op._blockers == 0:
            assert op._epoch is not None, "in an epoch"
            op._epoch.ready[op.seq] = op

    def _starts(self) -> tuple[Start, ...]:
        """Start everything that can start, in invocation order."""
        head = self._epochs[0]
        if head.full is None and head.root.below == 0 and len(self._epochs) > 1:
            assert self._running == 0, "a FULL overlaps nothing"
            self._epochs.popleft()
            full = self._epochs[0].full
            assert full is not None, "an epoch is open only after its FULL"
            self._move(full, Event.START)
            return (Start(full),)
        if head.full is not None or not head.ready:
            return ()
        ready = list(head.ready.values())
        head.ready.clear()
        if len(ready) > 1:
            ready.sort(key=_seq)
        for op in ready:
            node = op._node
            assert node is not None, "in a trie"
            assert node.running is None, "one at a time on a subpath"
            assert node.queued is op, "it starts from the queue"
            self._move(op, Event.START)
            node.queued = None
            node.running = op
            del self._queued[op._keys]
        return (Start(ready[0]),) if len(ready) == 1 else tuple(map(Start, ready))

    # -- invariants ----------------------------------------------------------------------------------------

    def _check(self) -> None:
        """All invariants. Cost O(n squared) in the live operations: for tests and the simulator."""
        live = list(self._live.values())
        assert list(self._live) == sorted(self._live), "_live is ordered by the oldest seq"
        for first, op in self._live.items():
            assert first == op._first, "found by the oldest seq it stands in for"
            assert first <= op.seq <= self._seq, "stands in for earlier ones"
            assert op.state in (State.QUEUED, State.RUNNING), "live"
            assert op.replaced_by is None, "what is replaced is not live"
        assert self._running == sum(op.state is State.RUNNING for op in live), "running are counted"
        found: list[Operation] = []
        for number, epoch in enumerate(self._epochs):
            found += self._check_epoch(epoch, head=number == 0)
        assert sorted(op.seq for op in found) == sorted(op.seq for op in live), "each is in one epoch"
        keyed = {op._keys: op for op in found if op.state is State.QUEUED and op.kind is not Kind.FULL}
        assert keyed == self._queued, "the queued ones are found by subpath"
        order = [[op.seq for op in found if op._epoch is e or op is e.full] for e in self._epochs]
        for before, after in pairwise(order):
            assert max(before) < min(after), "epochs are in invocation order"

    def _check_epoch(self, epoch: _Epoch, *, head: bool) -> list[Operation]:
        """The operations in it, after their invariants."""
        members: list[Operation] = []
        below = _check_node(epoch.root, epoch, (), members)
        assert below == epoch.root.below, "the root knows how many there are"
        members.sort(key=_seq)
        is_open = epoch.full is None
        if epoch.full is not None:
            assert epoch.full.kind is Kind.FULL, "a barrier"
            assert epoch.full.state is (State.RUNNING if head else State.QUEUED), "it runs once it is first"
            assert all(op.seq > epoch.full.seq for op in members), "invoked after the barrier"
        assert is_open <= head, "only the first epoch is open"
        assert not (is_open and members == [] and len(self._epochs) > 1), "an empty epoch leaves"
        for at, op in enumerate(members):
            earlier = [other for other in members[:at] if _conflict(op, other)]
            assert op._blockers == len(earlier), "blockers are the earlier ones in conflict"
            if op.state is State.RUNNING:
                assert is_open, "runs after the barrier"
                assert earlier == [], "overlaps none that conflicts"
            else:
                assert (op.seq in epoch.ready) == (earlier == []), "ready without blockers"
            for other in earlier:
                if len(other._keys) < len(op._keys):
                    assert other._waiters is not None, "known to what it waits for"
                    assert other._waiters[op.seq] is op, "known to what it waits for"
        assert not (is_open and epoch.ready), "what can start has started"
        waits = sum(len(op._waiters or ()) for op in members)
        assert waits == sum(
            len(other._keys) < len(op._keys) and _conflict(op, other)
            for at, op in enumerate(members)
            for other in members[:at]
        ), "nobody waits who is gone"
        return members if epoch.full is None else [epoch.full, *members]


def _conflict(one: Operation, other: Operation) -> bool:
    common = min(len(one._keys), len(other._keys))
    return one._keys[:common] == other._keys[:common]


def _check_node(node: _Node, epoch: _Epoch, keys: _Keys, members: list[Operation]) -> int:
    """How many live operations are strictly below; adds all that are at it or below to ``members``."""
    below = 0
    for op, state in ((node.running, State.RUNNING), (node.queued, State.QUEUED)):
        if op is not None:
            assert op.state is state, "in its place"
            assert op._keys == keys, "at its subpath"
            assert op._node is node, "knows its node"
            assert op._epoch is epoch, "knows its epoch"
            members.append(op)
    for key, child in node.children.items():
        assert child.key == key, "filed under its key"
        assert child.parent is node, "knows its parent"
        before = len(members)
        assert _check_node(child, epoch, (*keys, key), members) == child.below, "below is counted"
        assert len(members) > before, "no empty node"
        below += len(members) - before
    return below
