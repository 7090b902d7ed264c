"""DUR-1 after a loss of power, in the simulator: what was found there, each as small as it gets."""

from __future__ import annotations

import contextlib

import pytest

from liveproof.core.records import ComponentRecord
from liveproof_sim import PowerCut, Status, World, check
from liveproof_sim.fakes.store import SimStore
from liveproof_sim.kernel.power import BOOT
from scenarios.recovery import live_again, live_moves
from scenarios.recovery.ground import GROUND, Source, app_of, components, judge, recover

NOTHING = ComponentRecord(0, "")
BOXES = {"f": "/1", "f/x": "1", "g": "/1", "g/x": "1"}


@pytest.mark.parametrize("lost", ["f", "g"])
def test_DUR_1_a_container_is_in_doubt_until_it_is_settled(lost: str) -> None:
    """A component declares containers and, at once, what is inside. The intent of the latter is recorded when the
    former have been applied, and not settled: it must not say that they are surely there."""

    async def scenario(world: World) -> None:
        GROUND.reset(world)
        world.store = SimStore(durability="power")
        source = {"a": BOXES}

        def no_power(operation: str, place: str) -> None:
            if operation == "settle":
                world.crash()
                GROUND.nodes = {node: text for node, text in GROUND.nodes.items() if node[0] != lost}
                GROUND.settled = dict(GROUND.nodes)
                raise PowerCut

        before_call, world.power.before_call = world.power.before_call, no_power  # type: ignore[method-assign]
        with pytest.raises(PowerCut):
            await world.start(app_of(source))
        world.power.before_call = before_call  # type: ignore[method-assign]
        assert world.power.cuts == 1
        await recover(world, source)

    verdict = check(scenario, executions=5, shrinking=False)
    assert verdict.status is not Status.FAILED, verdict.failure and verdict.failure.report


@pytest.mark.parametrize("stays", [True, False])
def test_DUR_1_a_state_that_moves_before_it_is_settled_takes_its_doubt_along(stays: bool) -> None:
    """One component has written a state, and that is not settled, when another one takes the state over. The record
    of the new owner must not say that it is surely there, whether or not the former owner is deleted."""

    async def scenario(world: World) -> None:
        GROUND.reset(world)
        world.store = SimStore(durability="power")
        source: list[Source] = [{"a": {"x": "1"}, "b": {"y": "1"}}]
        later: Source = {"a": {}, "b": {"x": "1", "y": "1"}} if stays else {"b": {"x": "1", "y": "1"}}

        def no_power(operation: str, place: str) -> None:
            boot = BOOT.get()
            if boot is not None and boot.dead:
                raise PowerCut
            if operation == "settle" and not world.power.cuts and ("x",) not in GROUND.settled:
                # The cut comes once the record of the new owner has been written.
                store = world.store
                assert isinstance(store, SimStore)
                known = components(store)
                if any(b"x" in key for key in known.get(("recovery", "live", "b"), NOTHING).targets):
                    world.crash()
                    del GROUND.nodes[("x",)]
                    GROUND.settled = dict(GROUND.nodes)
                    raise PowerCut

        world.power.before_call = no_power  # type: ignore[method-assign]
        with contextlib.suppress(PowerCut):
            await world.start(live_moves.app_of(source, [later]), live=True)
        world.sometimes("it was in the midst", world.power.cuts)
        source[0] = later
        world.power.stay()
        await world.restart(live_moves.app_of(source, ()))
        await judge(world, later, live_moves.app_of(source, ()), ("recovery",), ("recovery", "live"))

    verdict = check(scenario, executions=150, shrinking=False)
    assert verdict.status is not Status.FAILED, verdict.failure and verdict.failure.report
    assert verdict.missed == []


@pytest.mark.parametrize("cuts", [False, True])
def test_DUR_3_nothing_is_in_doubt_after_an_orderly_end(cuts: bool) -> None:
    """A component that is updated again before its writes are settled leaves no doubt, once they are."""

    async def scenario(world: World) -> None:
        if not cuts:
            world.store = SimStore(durability="power")
        await live_again.again(world)

    verdict = check(scenario, executions=150, crash_points="calls" if cuts else "none", shrinking=False)
    assert verdict.status is not Status.FAILED, verdict.failure and verdict.failure.report
    assert verdict.missed == []
