"""Random programs of operator calls by several tasks, against their sequential meaning.

Contract: ORD-1 to ORD-6, GC-1 to GC-4, RDY-2, FAIL-1, FAIL-2.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Literal

import liveproof as coco
from liveproof_sim import World
from liveproof_sim.fakes.store import SimStore
from liveproof_sim.fakes.targets import Target
from liveproof_sim.properties.contract import Contract
from liveproof_sim.properties.model import Call, Part, Path, meanings

SUBPATHS: tuple[Path, ...] = (("a",), ("b",), ("a", "b"), ("c",))


def at(*keys: Any) -> coco.ComponentSubpath:
    return coco.component_subpath(*keys)


class Failed(Exception):  # noqa: N818 - what a component of a program raises on purpose
    """As it should."""


class Drawing:
    """Draws programs from the tape of the world."""

    def __init__(self, world: World, *, failing: bool, nested: bool, shared: bool, live: bool) -> None:
        self.world = world
        self.live = live
        self.how: dict[int, str] = {}
        """Of the parts that are live components: by number, whether they linger until the programs have
        ended."""
        self.failing = failing
        self.nested = nested
        self.shared = shared
        self._number = 0

    def chance(self, label: str, one_in: int) -> bool:
        return self.world.draw(one_in, label=label) == one_in - 1

    def part(self, name: str, keys: list[str]) -> Part:
        """A component that declares its own key, or one of the shared ones that nobody has taken."""
        self._number += 1
        number = self._number
        cells: dict[str, Any] = {name: number}
        if self.shared and keys and self.chance("shared", 2):
            cells = {keys.pop(self.world.draw(len(keys), label="key")): number}
        below: dict[Path, Part] = {}
        fails = self.failing and self.chance("fails", 4)
        if self.nested and not fails and self.chance("nested", 3):
            self._number += 1
            child = f"{name}.n"
            below["n",] = Part(self._number, {child: self._number}, fails=self.failing and self.chance("fails", 4))
        if self.live and not fails and self.chance("live", 2):
            self.how[number] = self.world.draw(["ends", "lingers", "returns"], label="how")
        return Part(number, cells, below, fails)

    def call(self) -> Call:
        kind: Literal["update", "delete", "full"] = self.world.draw(
            ["update", "update", "delete", "full", "update", "delete"], label="kind"
        )
        keys = ["x", "y"]
        if kind == "full":
            self._number += 1
            own = Part(
                self._number,
                {"self": self._number},
                {
                    sub: self.part("/".join(sub), keys)
                    for sub in SUBPATHS
                    if self.world.draw(2, label="mounted") == 0
                },
                self.failing and self.chance("fails", 5),
            )
            return Call("full", (), own)
        sub = self.world.draw(SUBPATHS, label="sub")
        if kind == "delete":
            return Call("delete", sub)
        return Call("update", sub, self.part("/".join(sub), keys))


class Player:
    """A live component that plays programs, one per task."""

    def __init__(
        self, target: Target, programs: list[list[Call]], how: dict[int, str], patience: int | None = None
    ) -> None:
        self.target = target
        self.patience = patience
        """After how many steps the first program is cancelled; what it has called goes on."""
        self.programs = programs
        self.how = how
        self.over = asyncio.Event()
        self.log: list[Call] = []
        """the calls, in invocation order"""
        self.ran: dict[int, None] = {}
        self._fulls: list[Call] = []

    async def part(self, part: Part) -> None:
        self.ran[part.number] = None
        for key, value in part.cells.items():
            self.target.declare(key, value)
        await asyncio.sleep(0)
        if part.fails:
            raise Failed(part.number)
        for sub, child in part.below.items():
            await coco.mount(at(*sub), self.part, child)

    def runner(self, part: Part) -> tuple[Any, ...]:
        """What to mount for a part, with its arguments."""
        how = self.how.get(part.number)
        return (self.part, part) if how is None else (self.inner(part, how),)

    def inner(self, part: Part, how: str) -> type[Any]:
        """The part as a live component: its children come in its scan, or one by one after it."""
        player = self
        # What is mounted one by one is collected by the scan before, and so must not fail.
        scans = part.stumbles or part.number % 2 == 0

        class Inner:
            async def process(self) -> None:
                for key, value in part.cells.items():
                    player.target.declare(key, value)
                await asyncio.sleep(0)
                for sub, child in part.below.items():
                    if scans:
                        await coco.mount(at(*sub), player.part, child)

            async def process_live(self, operator: coco.LiveComponentOperator) -> None:
                player.ran[part.number] = None
                await operator.update_full()
                for sub, child in part.below.items():
                    if not scans:
                        await operator.update(at(*sub), player.part, child)
                if how != "returns":
                    await operator.mark_ready()
                if how == "lingers":
                    await player.over.wait()

        return Inner

    async def process(self) -> None:
        part = self._fulls.pop(0).part
        assert part is not None
        self.ran[part.number] = None
        for key, value in part.cells.items():
            self.target.declare(key, value)
        for sub, child in part.below.items():
            await coco.mount(at(*sub), *self.runner(child))
        if part.fails:
            raise Failed(part.number)

    async def program(self, operator: coco.LiveComponentOperator, calls: list[Call]) -> None:
        handles = []
        for call in calls:
            self.log.append(call)
            if call.kind == "full":
                self._fulls.append(call)
                await operator.update_full()
            elif call.part is None:
                handles.append(await operator.delete(at(*call.sub)))
            else:
                handles.append(await operator.update(at(*call.sub), *self.runner(call.part)))
        for handle in handles:
            await handle.ready()

    def judge(self, contract: Contract, *, moves: bool = False) -> None:
        """Tell the contract what the calls mean one after the other, and what the target has (ORD-1)."""
        possible = meanings(self.log, self.ran, moves=moves)
        assert possible, f"the model has no meaning for {self.log!r} with {list(self.ran)!r}"
        found = self.target.entries
        contract.means(self.log, found if found in possible else possible[0], found)

    def component(self) -> type[Any]:
        player = self

        class Live:
            async def process(self) -> None:
                await player.process()

            async def process_live(self, operator: coco.LiveComponentOperator) -> None:
                tasks = []
                async with asyncio.TaskGroup() as group:
                    for calls in player.programs:
                        tasks.append(group.create_task(player.program(operator, calls)))
                    if player.patience is not None:
                        for _ in range(player.patience):
                            await asyncio.sleep(0)
                        tasks[0].cancel()
                await operator.mark_ready()
                player.over.set()

        return Live


def scenario_of(
    *,
    tasks: int = 2,
    calls: int = 3,
    failing: bool = False,
    nested: bool = False,
    shared: bool = False,
    live: bool = False,
    impatient: bool = False,
    limit: tuple[int | None, ...] = (None,),
) -> Callable[[World], Any]:
    """A scenario whose programs are drawn: their sequential meaning is what comes out."""

    async def scenario(world: World) -> None:
        contract = world.contract()
        target = world.target("programs")
        drawing = Drawing(world, failing=failing, nested=nested, shared=shared, live=live)
        programs = [[drawing.call() for _ in range(calls)] for _ in range(tasks)]
        patience = world.draw(20, label="patience") if impatient else None
        player = Player(target, programs, drawing.how, patience)
        capacity = world.draw(limit, label="limit")
        component = player.component()

        async def main() -> None:
            await coco.mount(at("live"), component)

        config = coco.AppConfig("programs", max_inflight_components=capacity)
        await world.start(coco.App(config, main), live=True)
        player.judge(contract, moves=shared)

    return scenario


simple = scenario_of()
three_tasks = scenario_of(tasks=3, calls=2)
failing = scenario_of(failing=True)
nested = scenario_of(nested=True, failing=True)
narrow = scenario_of(nested=True, tasks=3, calls=2, limit=(1, 2))
shared = scenario_of(shared=True)
impatient = scenario_of(impatient=True, nested=True, limit=(None, 1))
lively = scenario_of(live=True, nested=True)
lively_narrow = scenario_of(live=True, nested=True, failing=True, tasks=3, calls=2, limit=(1, 2))


async def stormy_and_flushed(world: World) -> None:
    """The same, on a store that takes its time to write and to flush."""
    world.store = SimStore(durability="power", journal_bytes=0)
    await stormy(world)


async def stormy(world: World) -> None:
    """The target fails now and then while programs run; when that is over, one full update puts all right."""
    contract = world.contract()
    world.faults.enable("target", budget=3)
    world.exception_handler = lambda _error, _context: None
    target = world.target("stormy", lanes=2)
    drawing = Drawing(world, failing=True, nested=True, shared=True, live=True)
    player = Player(target, [[drawing.call() for _ in range(3)] for _ in range(2)], drawing.how)
    calm = Call("full", (), Part(1000, {"self": 0}, {("a",): Part(1001, {"x": 1}), ("d",): Part(1002, {"y": 2})}))

    async def main() -> None:
        await coco.mount(at("live"), player.component())

    config = coco.AppConfig("stormy", max_inflight_components=world.draw([None, 1, 2], label="limit"))
    app = coco.App(config, main)
    await world.start(app, live=True)
    world.faults.disable()
    player.programs = [[calm]]
    await world.start(app)
    contract.means([calm], {"self": 0, "x": 1, "y": 2}, target.entries)
    player.programs = [[calm]]
    with contract.idle():
        await world.start(app)
