"""The store fails: a read, a write or a flush of it, or it is full; and the power may fail besides.

A run on such a store may fail, and says so. It must not do harm: once the store works again, one catch-up run makes
everything good (DUR-1), as after a crash, in the same process or in the next one.
"""

from __future__ import annotations

from liveproof.errors import StoreError
from liveproof_sim import PowerCut, World
from liveproof_sim.fakes.store import SimStore
from scenarios.recovery import live_moves
from scenarios.recovery.catch_up import VERSIONS, A
from scenarios.recovery.ground import GROUND, Source, app_of, judge, recover, wanted

FAULTS_MAX = 2


async def attempt(world: World, source: Source, *, memo: bool) -> str:
    """A run: "good" if it came to its end and nothing failed, else what became of it."""
    told: list[BaseException] = []
    world.exception_handler = lambda error, _context: told.append(error)
    try:
        await world.start(app_of(source, memo=memo))
    except PowerCut:
        return "cut"
    except StoreError:
        return "failed"
    # A component that could not read or write failed alone; that was told, and the others went on (FAIL-1).
    assert all(isinstance(error, StoreError) for error in told), told
    return "some failed" if told else "good"


async def runs(world: World) -> None:
    """Three versions of the source; between two runs, perhaps, a new process."""
    GROUND.reset(world)
    if not world.store.blocking:
        world.store = SimStore(durability=world.draw(["power", "process"], label="durability"))
    memo = world.draw([False, True], label="memo")
    world.faults.enable("store", budget=FAULTS_MAX)
    ends: dict[str, None] = {}
    source = A
    for number in range(3):
        if number:
            source = world.draw(VERSIONS, label=f"version {number}")
        end = await attempt(world, source, memo=memo)
        ends[end] = None
        if end == "good":
            assert GROUND.texts() == wanted(source), f"nothing failed, and there is {GROUND.texts()}"
        if world.power.boot is not None and world.draw(2, label="a new process"):
            world.crash("process")
    world.faults.disable()
    world.sometimes("a run failed", "failed" in ends)
    world.sometimes("a component failed", "some failed" in ends)
    world.sometimes("nothing failed", list(ends) == ["good"])
    await recover(world, source, memo=memo)


async def live(world: World) -> None:
    """The same while a live component goes from version to version."""
    GROUND.reset(world)
    if not world.store.blocking:
        world.store = SimStore(durability=world.draw(["power", "process"], label="durability"))
    told: list[BaseException] = []
    world.exception_handler = lambda error, _context: told.append(error)
    world.faults.enable("store", budget=FAULTS_MAX)
    source: list[Source] = [A]
    versions = [world.draw(VERSIONS, label=f"version {number}") for number in range(3)]
    try:
        await world.start(live_moves.app_of(source, versions), live=True)
    except (PowerCut, StoreError) as error:
        world.sometimes("the run failed", isinstance(error, StoreError))
    else:
        assert all(isinstance(error, StoreError) for error in told), told
        if not told:
            assert GROUND.texts() == wanted(source[0]), f"nothing failed, and there is {GROUND.texts()}"
        world.sometimes("something failed", told)
    world.faults.disable()
    world.power.stay()
    await world.restart(live_moves.app_of(source, ()))
    await judge(world, source[0], live_moves.app_of(source, ()), ("recovery",), ("recovery", "live"))
