"""Random programs of operator calls, and what they mean when executed one at a time.

A program is a list of calls with a fixed content; which task makes which call, and all waiting, is drawn
from the seed. The meaning is computed from the order in which the calls *began*, by a plain model: a
dictionary from mounted sub-path to what was mounted there.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import liveproof as coco
from tests.contract.oracle import Keys, Tree
from tests.contract.world import Chance, World, at, declare, world

SUBPATHS: tuple[Keys, ...] = (("a",), ("a", "b"), ("b",))


@dataclass(frozen=True)
class Spec:
    """What a component does."""

    number: int
    """Of the call, and of the component inside it; unique in a program."""
    own: int | None
    nested: int | None
    fails: bool = False


@dataclass(frozen=True)
class Call:
    """One call of the operator."""

    kind: Literal["full", "update", "delete"]
    number: int
    sub: Keys = ()
    spec: Spec | None = None
    full: dict[Keys, Spec] = field(default_factory=dict)
    value: int = 0
    fails: bool = False


State = tuple[dict[Keys, Spec], int | None]
"""What is mounted where, and what ``process()`` itself declared."""


def step(state: State, call: Call) -> State:
    """The meaning of one call, run to completion."""
    mounted, value = state
    if call.kind == "delete":
        size = len(call.sub)
        return {sub: spec for sub, spec in mounted.items() if sub[:size] != call.sub}, value
    if call.kind == "update":
        assert call.spec is not None, "an update has a spec"
        return (mounted if call.spec.fails else {**mounted, call.sub: call.spec}), value
    good = {sub: spec for sub, spec in call.full.items() if not spec.fails}
    if call.fails:
        return {**mounted, **good}, value
    kept = {sub: mounted[sub] for sub, spec in call.full.items() if spec.fails and sub in mounted}
    return {**kept, **good}, call.value


def meaning(calls: list[Call], skipped: frozenset[int] = frozenset()) -> State:
    """The meaning of a program, without the calls at some places."""
    state: State = ({}, None)
    for place, call in enumerate(calls):
        if place not in skipped:
            state = step(state, call)
    return state


def meanings(calls: list[Call], ran: set[int]) -> list[State]:
    """All that a program with failures may come to (ORD-4, ORD-5).

    A call that was replaced by a failing update has not run, and its replacement left everything as it was.
    Whether an update was replaced is known; for a deletion both are possible.
    """
    later: dict[int, int] = {}
    last: dict[Keys, int] = {}
    for place in reversed(range(len(calls))):
        call = calls[place]
        if call.kind != "full":
            if call.sub in last:
                later[place] = last[call.sub]
            last[call.sub] = place
    places = list(later)

    def allowed(skipped: frozenset[int]) -> bool:
        for place in skipped:
            after = calls[later[place]]
            assert after.kind != "full", "on a sub-path"
            if later[place] in skipped:
                continue
            if after.spec is None or not after.spec.fails:
                return False
        return True

    found: list[State] = []
    for count in range(len(places) + 1):
        for chosen in itertools.combinations(places, count):
            skipped = frozenset(chosen)
            if not allowed(skipped):
                continue
            known = all(
                (call.number in ran) or _replaced_by_success(calls, later, place, skipped)
                if place not in skipped
                else call.number not in ran
                for place, call in enumerate(calls)
                if call.kind == "update"
            )
            if known:
                state = meaning(calls, skipped)
                if state not in found:
                    found.append(state)
    return found


def _replaced_by_success(calls: list[Call], later: dict[int, int], place: int, skipped: frozenset[int]) -> bool:
    """Whether an update that never ran may be counted all the same: a later one wrote over it."""
    while place in later:
        place = later[place]
        spec = calls[place].spec
        if place not in skipped and (spec is None or not spec.fails):
            return True
    return False


def tree_of(state: State, live_at: Keys = ("L",)) -> Tree:
    """The components of a state, below the root and the live component."""
    mounted, value = state
    tree: dict[Keys, tuple[int, dict[str, object]]] = {
        (): (0, {}),
        live_at: (0, {} if value is None else {"self": value}),
    }
    for sub, spec in mounted.items():
        path = (*live_at, *sub)
        name = ".".join(sub)
        tree[path] = (len(live_at), {} if spec.own is None else {name: spec.own})
        if spec.nested is not None:
            tree[(*path, "n")] = (len(path), {f"{name}.n": spec.nested})
    return tree


# Running it ---------------------------------------------------------------------------------------------


class Watch:
    """What runs now: ORD-2, ORD-3 and ORD-6, checked at every start."""

    def __init__(self) -> None:
        self.subs: dict[Keys, int] = {}
        self.full = 0
        self.most = 0
        self.faults: list[str] = []

    def enter(self, sub: Keys, *, by_full: bool) -> None:
        if not by_full:
            if self.full:
                self.faults.append(f"{sub} updated during update_full")
            for other in self.subs:
                size = min(len(sub), len(other))
                if sub[:size] == other[:size]:
                    self.faults.append(f"{sub} overlaps {other}")
        elif sub in self.subs:
            self.faults.append(f"two cycles of {sub}")
        self.subs[sub] = self.subs.get(sub, 0) + 1
        self.most = max(self.most, sum(self.subs.values()))

    def leave(self, sub: Keys) -> None:
        self.subs[sub] -= 1
        if not self.subs[sub]:
            del self.subs[sub]

    def enter_full(self) -> None:
        if self.full:
            self.faults.append("two update_full overlap")
        if self.subs:
            self.faults.append(f"update_full during {self.subs}")
        self.full += 1

    def leave_full(self) -> None:
        self.full -= 1


class Player:
    """Plays a program in a live component."""

    def __init__(self, chance: Chance, calls: list[Call], *, tasks: int) -> None:
        self.chance = chance
        self.calls = calls
        self.tasks = tasks
        self.began: list[Call] = []
        """The calls, in invocation order."""
        self.ran: set[int] = set()
        """Numbers of the specs whose component ran."""
        self.plans: deque[Call] = deque()
        """Full updates to come, in invocation order: none of them is ever replaced."""
        self.watch = Watch()
        self.handles: list[tuple[Call, coco.ComponentMountHandle]] = []

    async def node(self, sub: Keys, spec: Spec, by_full: bool) -> None:
        """A component that a call, or ``process()``, mounts."""
        self.watch.enter(sub, by_full=by_full)
        try:
            self.ran.add(spec.number)
            await self.chance.ticks(3)
            name = ".".join(sub)
            if spec.own is not None:
                declare(name, spec.own)
            if spec.fails:
                raise ValueError(f"{name} fails, as it should")
            if spec.nested is not None:
                await coco.mount(at("n"), self.leaf, f"{name}.n", spec.nested)
            await self.chance.ticks(3)
        finally:
            self.watch.leave(sub)

    async def leaf(self, name: str, value: int) -> None:
        await self.chance.ticks(2)
        declare(name, value)

    async def process(self) -> None:
        call = self.plans.popleft()
        self.watch.enter_full()
        try:
            await self.chance.ticks(2)
            declare("self", call.value)
            order = list(call.full.items())
            self.chance.rng.shuffle(order)
            for sub, spec in order:
                await coco.mount(at(*sub), self.node, sub, spec, True)
                await self.chance.ticks(2)
            if call.fails:
                raise ValueError("process() fails, as it should")
        finally:
            self.watch.leave_full()

    async def _begin(self, operator: coco.LiveComponentOperator, call: Call) -> None:
        self.began.append(call)
        if call.kind == "full":
            self.plans.append(call)
            await operator.update_full()
            return
        if call.kind == "update":
            assert call.spec is not None, "an update has a spec"
            handle = await operator.update(at(*call.sub), self.node, call.sub, call.spec, False)
        else:
            handle = await operator.delete(at(*call.sub))
        self.handles.append((call, handle))
        if self.chance.chance(25):
            await handle.ready()

    async def _task(self, operator: coco.LiveComponentOperator, calls: list[Call]) -> None:
        behind: list[asyncio.Task[None]] = []
        for call in calls:
            if self.chance.chance(60):
                await self._begin(operator, call)
            else:
                behind.append(asyncio.create_task(self._begin(operator, call)))
            await self.chance.ticks(4)
        for task in behind:
            await task

    async def process_live(self, operator: coco.LiveComponentOperator) -> None:
        shares: list[list[Call]] = [[] for _ in range(self.tasks)]
        for call in self.calls:
            self.chance.pick(shares).append(call)
        async with asyncio.TaskGroup() as group:
            for share in shares:
                group.create_task(self._task(operator, share))
        for _, handle in self.handles:
            await handle.ready()

    def component(self) -> type[Any]:
        """The live component class that plays this."""
        player = self

        class Live:
            async def process(self) -> None:
                await player.process()

            async def process_live(self, operator: coco.LiveComponentOperator) -> None:
                await player.process_live(operator)

        return Live


def draw(chance: Chance, *, failing: bool) -> list[Call]:
    """A program of up to eight calls."""
    numbers: Iterator[int] = itertools.count(1)

    def spec(number: int) -> Spec:
        return Spec(
            number,
            own=number if chance.chance(80) else None,
            nested=100 + number if chance.chance(40) else None,
            fails=failing and chance.chance(35),
        )

    calls: list[Call] = []
    for _ in range(2 + chance.below(7)):
        number = next(numbers)
        roll = chance.below(10)
        if roll < 5:
            calls.append(Call("update", number, chance.pick(SUBPATHS), spec(number)))
        elif roll < 8:
            calls.append(Call("delete", number, chance.pick(SUBPATHS)))
        else:
            full = {sub: spec(next(numbers)) for sub in SUBPATHS if chance.chance(60)}
            calls.append(Call("full", number, full=full, value=number, fails=failing and chance.chance(30)))
    return calls


def scan(state: State) -> type[Any]:
    """A live component that makes this state by one full update."""
    mounted, value = state

    async def node(sub: Keys, spec: Spec) -> None:
        name = ".".join(sub)
        if spec.own is not None:
            declare(name, spec.own)
        if spec.nested is not None:
            await coco.mount(at("n"), leaf, f"{name}.n", spec.nested)

    async def leaf(name: str, number: int) -> None:
        declare(name, number)

    class Live:
        async def process(self) -> None:
            world().ran.append("process")
            if value is not None:
                declare("self", value)
            for sub, spec in mounted.items():
                await coco.mount(at(*sub), node, sub, spec)

        async def process_live(self, operator: coco.LiveComponentOperator) -> None:
            await operator.update_full()
            await operator.mark_ready()

    return Live


def fresh_world(seed: int) -> World:
    """A world whose target takes its time."""
    return World(Chance(seed ^ 0x5EED))
