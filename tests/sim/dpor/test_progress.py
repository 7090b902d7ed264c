"""How far a search is, and what it keeps while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from liveproof_sim.explore.execution import Settings, exploring
from liveproof_sim.explore.explorer import Explorer, quiet_collector
from liveproof_sim.explore.strategies import Standing, make
from liveproof_sim.report.progress import line
from tests.sim.dpor import classics
from tests.sim.dpor.oracle import TIMERS


def watched(scenario: Callable[..., Any], look: Callable[[Any], None], every: int = 1) -> None:
    """Explore to the end, and look at the search between executions."""
    settings = Settings(timers=TIMERS, reduced=True, leaks=False)
    search: Any = make("dpor")
    explorer = Explorer(scenario, search, settings)
    ran = 0
    with exploring(scenario, settings), quiet_collector():
        while not search.exhausted():
            search.learn(explorer.once(search), new=True)
            ran += 1
            if ran % every == 0 or search.exhausted():
                look(search)


@pytest.mark.parametrize(
    "program", [classics.readers(5), classics.lastzero(4), classics.philosophers(3), classics.chosen]
)
def test_the_share_of_what_was_run_ends_at_one(program: Any) -> None:
    seen: list[Standing] = []
    watched(program, lambda search: seen.append(search.standing()))
    assert all(0 < each.share < 1 for each in seen[:-1])
    assert seen[-1].share == 1
    assert seen[-1].depth == 0
    assert [each.classes for each in seen] == list(range(1, len(seen) + 1))


def test_the_share_is_exact_where_parts_are_equal_and_known() -> None:
    """One value is drawn in a step, and how many there are is known at once: after n of 27, n / 27 were run."""

    async def main(world: Any) -> None:
        for _ in range(3):
            world.draw(3)
            await asyncio.sleep(0)

    seen: list[Standing] = []
    watched(main, lambda search: seen.append(search.standing()))
    assert len(seen) == 27
    assert [round(each.share * 27, 6) for each in seen if each.classes % 9 == 0] == [9, 18, 27]


def test_what_is_kept_is_linear_in_depth() -> None:
    """Thousands of classes, and never more than a few events for each step of the stack."""
    most: dict[int, float] = {}
    for steps in (3, 6):
        held: list[float] = []

        def look(search: Any, held: list[float] = held) -> None:
            data = search.as_data()
            frames = data["frames"]
            events = sum(
                len(frame.get("sleep", [])) + nodes(frame.get("tree", [])) + ("event" in frame) for frame in frames
            )
            held.append(events / max(1, len(frames)))

        watched(classics.conflicting(2, steps), look, every=7)
        most[steps] = max(held)
    assert most[6] <= 4, most
    assert most[6] <= most[3] + 1, most


def nodes(tree: list[Any]) -> int:
    """Of a wakeup tree, as data."""
    return sum(1 + nodes(branch[3]) for branch in tree)


def test_the_line_says_what_is_left() -> None:
    assert line("it", 500, None, 480, 2.0, Standing(480, 9, 0.25)) == (
        "it: 500 executions, 250/s, 480 classes, 9 deep, about 1 500 left"
    )
    assert line("it", 500, None, 480, 2.0) == "it: 500 executions, 250/s, 480 behaviours"
    assert "left" not in line("it", 0, None, 0, 0.0, Standing(0, 0, 0.0))
