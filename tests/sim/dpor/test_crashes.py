"""Cuts in a reduced search: the process may die after every step, in every order that makes a difference."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

import liveproof as coco
from liveproof_sim import PowerCut, Status, World, check
from liveproof_sim.kernel.power import Outage


def scenario_of(found: dict[Any, None], *, calm: bool) -> Any:
    """Two tasks of one process write files; noted is what is there when it has ended, or died."""

    async def scenario(world: World) -> None:
        folder = world.fs.dir("/data")
        world.power.outage = Outage.PROCESS

        async def work(*names: str) -> None:
            for name in names:
                await asyncio.sleep(0)
                (folder / name).write_text("x")

        async def main() -> None:
            await asyncio.gather(work("a", "b"), work("c"))

        with contextlib.suppress(PowerCut):
            await world.start(coco.App("writers", main))
        world.power.stay()
        if calm:
            world.calm()
        there = tuple(sorted(folder.tree()))

        async def later() -> None:
            await asyncio.sleep(0)
            (folder / "z").write_text("z")

        await asyncio.gather(later(), later())
        found[there, world.power.cuts] = None

    return scenario


@pytest.mark.parametrize("calm", [False, True])
def test_all_states_that_a_death_can_leave_are_found(calm: bool) -> None:
    found: dict[Any, None] = {}
    verdict = check(
        scenario_of(found, calm=calm),
        strategy="dpor",
        timers="discrete",
        crash_points="all",
        executions=20_000,
        shrinking=False,
    )
    assert verdict.status is Status.PROVED
    states = [there for there, cuts in found if cuts]
    # b comes after a; c comes whenever it likes.
    assert sorted(states) == [(), ("a",), ("a", "b"), ("a", "b", "c"), ("a", "c"), ("c",)]
    assert [there for there, cuts in found if not cuts] == [("a", "b", "c")]


def test_the_order_after_a_calm_is_one() -> None:
    found: dict[Any, None] = {}
    counts = []
    for calm in (False, True):
        verdict = check(scenario_of(found, calm=calm), strategy="dpor", timers="discrete", executions=20_000)
        assert verdict.status is Status.PROVED
        counts.append(verdict.reduction["classes"])
        assert verdict.reduction["redundant"] == 0
    assert counts[0] == 2 * counts[1], "two who write the same file later have two orders, or one"
