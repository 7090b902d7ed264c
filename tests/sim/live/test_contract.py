"""Every monitor goes red at what breaks its id, and stays green at what does not: streams of events by hand, and
the runtime with something taken out of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import liveproof as coco
from liveproof.core.collect import collect
from liveproof.core.component import Cycle
from liveproof.core.live import LiveController
from liveproof.core.operations import Operations
from liveproof.core.plan import Planner
from liveproof.core.ranks import Ranks
from liveproof.core.records import decode_record
from liveproof.core.run import Run
from liveproof.testing import MemoryStore
from liveproof_sim import ContractError, Status, World, check
from liveproof_sim.fakes.log import Commit, Record
from liveproof_sim.properties.contract import MONITORS, Contract
from scenarios.live import deletions, log, maps, process_all, programs, stops

L = ("app", "live")
A = (*L, "a")
STATE = ("target", "k")
Event = tuple[str, tuple[Any, ...], dict[str, Any]]


class OneTarget:
    """A target that holds what a stream says."""

    root = "target"

    def __init__(self) -> None:
        self.entries: dict[tuple[Any, ...], Any] = {}

    def at(self, keys: tuple[Any, ...]) -> Any:
        return self.entries.get(keys, coco.NON_EXISTENCE)

    def flat(self) -> dict[tuple[Any, ...], Any]:
        return self.entries


def start(path: tuple[Any, ...], *, seq: int = 0, name: str = "one", remembers: bool = False) -> Event:
    facts = {"cycle": (path, name), "parent": path[:-1], "processor": "fn", "remembers": remembers}
    return ("cycle.start", path, {**facts, "controller": L if seq else None, "seq": seq})


def end(
    path: tuple[Any, ...],
    *,
    name: str = "one",
    failure: BaseException | None = None,
    critical: bool = False,
    declared: dict[tuple[Any, ...], Any] | None = None,
    mounted: tuple[tuple[Any, ...], ...] = (),
) -> Event:
    facts = {"cycle": (path, name), "stopping": False, "failure": failure, "critical": critical}
    more = {"carried": False, "declared": declared or {}, "retained": 0, "mounted": list(mounted)}
    return ("cycle.end", path, {**facts, **more})


def op(seq: int, kind: str, *sub: str) -> Event:
    return ("operation", L, {"kind": kind, "sub": sub or None, "seq": seq})


def begins(seq: int) -> Event:
    return ("operation.start", L, {"seq": seq})


def ends(seq: int, error: BaseException | None = None) -> Event:
    return ("operation.end", L, {"seq": seq, "error": error})


def applied(value: Any) -> Event:
    return ("applied", STATE, {"value": value})


class OneLog:
    """A log of three values of one target state, 1 to 3, of one key."""

    name = "log"
    partitions = ((Record(0, 0, "k", 1), Record(0, 1, "k", 2), Record(0, 2, "k", 3)),)


LOG = OneLog()


def committed(offset: int) -> Event:
    return ("committed", ("log",), {"log": LOG, "commit": Commit("group", 0, offset)})


LIVE: Event = ("live.start", L, {"live": True})
CATCH_UP: Event = ("live.start", L, {"live": False})
MARK: Event = ("mark_ready", L, {"last": 1})
READY: Event = ("ready", L, {})
OVER: Event = ("live.end", L, {"failure": None})
SETTLED: Event = ("settled", (), {"rows": {}, "whole": True})
ERROR = ValueError("as it should")
REPORTED: Event = ("reported", ("/live/a",), {"error": ERROR})

Stream = list[Event]

RED: dict[str, list[Stream]] = {
    "ORD-1": [[("means", (), {"log": [], "expected": {"a": 1}, "found": {}})]],
    "ORD-2": [
        [LIVE, op(1, "update", "a"), op(2, "update_full"), begins(1), begins(2)],
        [LIVE, op(1, "update_full"), op(2, "update", "a"), begins(2)],
        [LIVE, op(1, "update", "a"), start(A, seq=1)],
        [LIVE, op(1, "update_full"), op(2, "update_full"), begins(1), begins(2)],
    ],
    "ORD-3": [[LIVE, op(1, "update", "a"), op(2, "delete", "a", "b"), begins(1), begins(2)]],
    "ORD-4": [
        [LIVE, op(1, "update", "a"), op(2, "update", "a"), begins(1)],
        [
            LIVE,
            op(1, "update", "a"),
            op(2, "update", "a"),
            ("operation.replaced", L, {"seq": 1, "by": 2}),
            start(A, seq=1),
        ],
    ],
    "ORD-5": [
        [LIVE, op(1, "update", "a"), ends(1)],
        [LIVE, op(1, "update", "a"), begins(1), start(A, seq=1), end(A, declared={STATE: 1}), ends(1)],
        [LIVE, start(A), end(A), op(1, "delete", "a"), begins(1), ends(1)],
    ],
    "ORD-6": [[start(A), start(A, name="other")], [LIVE, LIVE]],
    "GC-1": [
        [start(L), start(A), end(A), end(L, mounted=(A,)), start(L, name="two"), end(L, name="two")],
        [applied(1), SETTLED],
    ],
    "GC-2": [
        [start(A), ("delete", A, {})],
        [start(L), start(A), end(A), ("delete", A, {}), end(L, mounted=(A,))],
        [start(A), end(A, declared={STATE: 1}), SETTLED],
    ],
    "GC-3": [
        [start(A), ("cycle.return", A, {"error": ERROR}), ("submit.record", A, {"paths": [A]})],
        [start(A), ("cycle.return", A, {"error": ERROR}), ("collect", A, {"gone": []})],
    ],
    "GC-4": [
        [
            start(A),
            ("submit", A, {"states": [STATE]}),
            end(A, declared={STATE: 1}),
            start((*L, "b")),
            ("submit", (*L, "b"), {"states": [STATE]}),
            applied(coco.NON_EXISTENCE),
            applied(1),
            end((*L, "b"), declared={STATE: 1}),
        ]
    ],
    "GC-5": [
        [start(A), end(A), ("delete.failed", A, {"error": ERROR}), start(L), end(L)],
        [("delete.failed", A, {"error": ERROR}), SETTLED],
    ],
    "RDY-1": [
        [LIVE, SETTLED],
        [LIVE, op(1, "update", "a"), READY, OVER, SETTLED],
        [start(A), SETTLED],
    ],
    "RDY-2": [[LIVE, op(1, "update", "a"), MARK, READY]],
    "RDY-3": [[LIVE, ("live.return", L, {"error": None}), OVER]],
    "RDY-4": [[LIVE, MARK, READY, READY]],
    "RDY-5": [[LIVE, READY]],
    "MODE-1": [[CATCH_UP, MARK, READY, op(1, "update", "a")]],
    "MODE-2": [[("agree", (), {"lived": {"a": 1}, "fresh": {}})]],
    "MODE-3": [[("stop", (), {}), start(A)], [("stop", (), {}), LIVE]],
    "FEED-1": [[("follows", (), {"expected": 1, "found": 2, "overflowed": False})]],
    "FEED-2": [[("follows", (), {"expected": 1, "found": 2, "overflowed": True})]],
    "FEED-3": [
        [committed(1)],
        [applied(1), committed(2)],
        [applied(1), committed(1), applied(0)],
        [applied(2), committed(2), applied(1)],
    ],
    "FEED-4": [[("watched", (), {"name": "it", "watchers": 2})]],
    "FAIL-1": [[start(L), start(A), end(A, failure=ERROR), end(L, failure=ERROR)]],
    "FAIL-2": [
        [start(A), end(A, failure=ERROR), SETTLED],
        [start(A), end(A, failure=ERROR), REPORTED, REPORTED, SETTLED],
    ],
    "FAIL-3": [
        [start(A), end(A, failure=ERROR, critical=True), REPORTED],
        [LIVE, op(1, "update", "a"), begins(1), start(A, seq=1), end(A, failure=ERROR), ends(1, ERROR)],
    ],
    "DUR-2": [[applied(1)]],
    "DUR-3": [[("idle", (), {}), applied(1)], [("idle", (), {}), start(A, remembers=True)]],
}
"""What breaks each id."""

GREEN: list[Stream] = [
    [
        LIVE,
        op(1, "update", "a"),
        begins(1),
        op(2, "update", "b"),
        begins(2),
        ends(1),
        op(3, "update_full"),
        ends(2),
        begins(3),
        ends(3),
        MARK,
        READY,
        ("live.return", L, {"error": None}),
        OVER,
    ],
    [start(L), start(A), end(A), end(L, mounted=(A,)), start(L), ("delete", A, {}), end(L)],
    [start(A), end(A, failure=ERROR), REPORTED, SETTLED],
    [CATCH_UP, MARK, READY, ("live.return", L, {"error": None}), OVER, LIVE, MARK, READY, OVER, SETTLED],
    [committed(0)],
]


GREEN_OF_A_LOG: list[Stream] = [
    [applied(0), committed(0), applied(1), committed(1)],
    [applied(1), applied(2), committed(1), applied(3), committed(2), committed(3)],
    [applied(2), committed(2), committed(1), applied(1)],
]
"""What FEED-3 alone allows: no component declares these states."""


def played(stream: Stream) -> list[ContractError]:
    """What the monitors say of a stream."""
    told: list[ContractError] = []
    target = OneTarget()
    contract = Contract(MemoryStore, {"target": target}, told.append)
    contract.means_by(LOG, lambda record: {STATE: record.value})
    try:
        for kind, path, facts in stream:
            if kind == "idle":
                contract.is_idle = True
            elif kind == "applied":
                target.entries[path[1:]] = facts["value"]
                contract.applied(path[0], path[1:], facts["value"])
            else:
                contract.tell(kind, path, facts)
    finally:
        contract.close()
    return told


CASES = [(id_, stream) for id_, streams in RED.items() for stream in streams]


@pytest.mark.parametrize(("id_", "stream"), CASES, ids=[id_ for id_, _ in CASES])
def test_red(id_: str, stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    # The monitor of this id alone: what breaks one id often breaks another first.
    ours = tuple(each for each in MONITORS if each.code == id_)
    monkeypatch.setattr("liveproof_sim.properties.contract.contract.MONITORS", ours)
    told = played(stream)
    assert [each.code for each in told] == [id_]
    assert str(told[0]).startswith(f"{id_}: ")


def test_every_monitor_has_a_red_stream() -> None:
    assert [each.code for each in MONITORS] == list(RED)


@pytest.mark.parametrize("stream", GREEN)
def test_green(stream: Stream) -> None:
    assert played(stream) == []


@pytest.mark.parametrize("stream", GREEN_OF_A_LOG)
def test_green_of_a_log(stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = tuple(each for each in MONITORS if each.code == "FEED-3")
    monkeypatch.setattr("liveproof_sim.properties.contract.contract.MONITORS", ours)
    assert played(stream) == []


# The runtime with something taken out ------------------------------------------------------------------


def found(scenario: Callable[[World], Any], *ids: str, executions: int = 300) -> None:
    """One of these ids, and nothing else, is found broken."""
    verdict = check(scenario, executions=executions, shrinking=False)
    assert verdict.status is Status.FAILED, str(verdict)
    assert verdict.failure is not None
    assert isinstance(verdict.failure.exception, ContractError), repr(verdict.failure.exception)
    assert verdict.failure.exception.code in ids


def test_without_the_barrier(monkeypatch: pytest.MonkeyPatch) -> None:
    insert = Operations._insert
    monkeypatch.setattr(Operations, "_insert", lambda self, op, _epoch: insert(self, op, self._epochs[0]))
    found(programs.simple, "ORD-1", "ORD-2")


def test_mark_ready_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    async def at_once(self: LiveController, seq: int) -> None:
        return

    monkeypatch.setattr(LiveController, "_reached", at_once)
    found(maps.feed, "RDY-1", "RDY-2")


def test_nothing_is_collected(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(_cycle: Cycle) -> bool:
        return True

    monkeypatch.setattr("liveproof.core.conclusion.collect", nothing)
    found(programs.simple, "GC-1", "ORD-1")


def test_what_a_later_operation_took_is_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ranks, "is_later", lambda _self, _state, _rank: False)
    found(programs.shared, "ORD-1", executions=2000)


def test_nothing_is_recorded_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Planner, "intent", lambda _self, _parts: ([], []))
    found(programs.simple, "DUR-2")


def test_readiness_is_told_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    def again(self: LiveController, error: BaseException | None) -> None:
        self.run.probe.event("ready", self.path)
        if self.ready.resolve(error):
            self.on_ready(self)

    monkeypatch.setattr(LiveController, "_become_ready", again)
    found(programs.simple, "RDY-4")


def test_a_stop_that_new_components_do_not_heed(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(self: Run) -> None:
        for controller in list(self.controllers.values()):
            controller.stop()

    monkeypatch.setattr(Run, "stop", stop)
    found(stops.stopped, "MODE-3")


def test_memos_that_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Cycle, "remembered", property(lambda _self: False))
    found(process_all.process_all, "DUR-3")


def test_a_failed_deletion_that_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    known = Cycle.children_known

    async def in_no_doubt(self: Cycle) -> dict[bytes, bytes]:
        """Without those of which the store says that they may be gone."""
        return {
            key: row
            for key, row in (await known(self)).items()
            if not any(entry.maybe_missing for entry in decode_record(row).targets.values())
        }

    monkeypatch.setattr(Cycle, "children_known", in_no_doubt)
    found(deletions.retried, "GC-1", "GC-5")


def test_a_failure_that_is_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nobody(self: Cycle, exc: BaseException) -> None:
        return

    monkeypatch.setattr(Cycle, "_report", nobody)
    found(programs.failing, "FAIL-2")


def test_a_failed_cycle_that_collects(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = Cycle._failed

    async def and_collects(self: Cycle, exc: BaseException) -> BaseException | None:
        await collect(self)
        return await failed(self, exc)

    monkeypatch.setattr(Cycle, "_failed", and_collects)
    found(programs.failing, "GC-3", "ORD-1")


def test_a_handle_that_is_ready_before_its_effect_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    async def at_once(_self: coco.ComponentMountHandle) -> None:
        return

    monkeypatch.setattr(coco.ComponentMountHandle, "ready", at_once)
    found(log.followed, "FEED-3")
