"""What an exploration tells of faults, swarms, points, and of what is lost by design."""

from __future__ import annotations

import contextlib

from liveproof_sim import Status, World, check
from liveproof_sim.fakes.store import SimStore
from liveproof_sim.report.coverage import Coverage
from scenarios.recovery.catch_up import any_versions, containers, retried_delete
from scenarios.recovery.ground import GROUND, app_of


def test_crashes_lead_to_the_points_of_recovery() -> None:
    verdicts = [check(each, executions=60, crash_points="calls", crashes=2) for each in (any_versions, containers)]
    coverage = Coverage(verdicts)
    assert coverage.executions >= 120
    assert coverage.points["submit.in-doubt"] > 12
    assert coverage.points["submit.taken-over"] > 12
    assert "settle.failed" in coverage.below(0.01), "nothing fails here"
    assert "| submit.in-doubt: " in coverage.markdown()


def test_an_execution_that_is_run_again_to_compare_counts_once() -> None:
    verdict = check(retried_delete, executions=1)
    assert verdict.points["collect.kept"] == 1


def test_cells_of_the_table_of_faults() -> None:
    async def scenario(world: World) -> None:
        GROUND.reset(world)
        world.store = SimStore()
        world.faults.enable("store.eio", "store.enospc", budget=1)
        # What becomes of the run is not the question here.
        with contextlib.suppress(Exception):
            await world.start(app_of({"a": {"x": "1"}}))

    coverage = Coverage([check(scenario, executions=80)])
    assert coverage.faults["store.eio", "write", "before"][1] > 0
    assert coverage.faults["store.enospc", "write", "before"][1] > 0
    nothing = Coverage([check(scenario, executions=1, strategy="fifo")])
    assert "store.eio write before" in nothing.empty()
    assert "Never struck: " in nothing.markdown()


def test_a_swarm_leaves_out_operations_and_faults() -> None:
    seen: dict[tuple[str, ...], None] = {}
    on: dict[tuple[str, ...], None] = {}

    async def scenario(world: World) -> None:
        world.faults.enable("disk.eio", "disk.slow")
        seen[tuple(world.swarm(["update", "delete", "full"]))] = None
        on[tuple(world.faults.on)] = None

    check(scenario, executions=100)
    assert len(seen) == 7, "every set of operations but the empty one"
    assert len(on) == 4


def test_a_swarm_shifts_no_other_chance() -> None:
    drawn: list[list[int]] = []

    def scenario_of(*, swarm: bool) -> object:
        async def scenario(world: World) -> None:
            if swarm:
                world.swarm("abc")
            drawn.append([world.draw(1000) for _ in range(5)])

        return scenario

    for swarm in (False, True):
        check(scenario_of(swarm=swarm), executions=10, strategy="random", seed=3)  # type: ignore[arg-type]
    half = len(drawn) // 2
    assert drawn[:half] == drawn[half:]
    assert len(dict.fromkeys(map(tuple, drawn))) > 5


def test_lost_by_design_is_counted_and_is_no_failure() -> None:
    async def scenario(world: World) -> None:
        if world.draw(2, label="rot"):
            world.lose("bit rot of the only copy")
            raise AssertionError("nothing is right any more")

    verdict = check(scenario, executions=40)
    assert verdict.status is Status.SAMPLED
    assert verdict.lost["bit rot of the only copy"] > 5
    assert "lost by design" in str(verdict)


def test_a_power_cut_under_a_store_that_does_not_claim_to_survive_it_is_named() -> None:
    async def scenario(world: World) -> None:
        GROUND.reset(world)
        await world.start(app_of({"a": {"x": "1"}}))
        world.crash("power")
        raise AssertionError

    verdict = check(scenario, executions=3)
    assert verdict.status is Status.SAMPLED
    assert list(verdict.lost) == ["a power cut, with a store that is durable against the death of its process"]
