"""What is true of a power cut, of the death of a process: on a store that survives that and no more. Such a store
waits for nothing, so that components are recorded and applied without a task between (``Submission._at_once``), and
the last batches are in a journal that only the next process reads."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps

from liveproof_sim import World
from liveproof_sim.fakes.store import SimStore
from scenarios.recovery import catch_up, folder, live_again, live_moves

__all__ = ["again", "any_versions", "containers", "followed", "moves", "refused", "taken_over", "walked"]

Scenario = Callable[[World], Awaitable[None]]


def on_such_a_store(scenario: Scenario) -> Scenario:
    """The scenario; its journal holds nothing, a batch or two, or everything."""

    @wraps(scenario)
    async def run(world: World) -> None:
        journal_bytes = world.draw([0, 200, 1 << 20], label="journal")
        world.store = SimStore(durability="process", journal_bytes=journal_bytes)
        await scenario(world)

    return run


any_versions = on_such_a_store(catch_up.any_versions)
refused = on_such_a_store(catch_up.retried_delete)
taken_over = on_such_a_store(catch_up.taken_over)
containers = on_such_a_store(catch_up.containers)
walked = on_such_a_store(folder.catch_up)
followed = on_such_a_store(folder.live)
moves = on_such_a_store(live_moves.moves)
again = on_such_a_store(live_again.again)
