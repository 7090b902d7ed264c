"""DUR-1 after a loss of power, in the simulator: what was found there, each as small as it gets."""

from __future__ import annotations

import pytest

from liveproof_sim import PowerCut, Status, World, check
from liveproof_sim.fakes.store import SimStore
from scenarios.recovery.ground import GROUND, app_of, recover

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
