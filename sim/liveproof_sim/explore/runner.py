"""Runs a scenario, and keeps the collector quiet meanwhile.

The garbage collector is frozen once and off during executions, so that it can neither slow them down nor run
finalizers where a schedule did not ask for them. It is run between them, each time for what is young: that is faster
than now and then (measured: a quarter, with an app as the scenario), because the garbage is still in the
processor's cache, and its memory is used again.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

from liveproof_sim.errors import NondeterminismError
from liveproof_sim.explore.determinism import SUSPECTS
from liveproof_sim.explore.execution import Outcome, Scenario, Settings, execute, takes_world
from liveproof_sim.kernel.choices import Choices, Strategy, derive_seed
from liveproof_sim.properties import Reached, points_of

__all__ = ["Runner", "behaviour_of", "quiet_collector"]

COLLECT_MORE_EVERY = 25  # executions: also what outlived one, as the last one does that a reduced search ran


@contextlib.contextmanager
def quiet_collector() -> Iterator[None]:
    """Freeze what is there; no collection inside but our own."""
    enabled = gc.isenabled()
    gc.disable()
    gc.freeze()
    try:
        yield
    finally:
        gc.collect()  # of what was made since: else it would grow old with the rest, and stay
        gc.unfreeze()
        if enabled:
            gc.enable()


class Runner:
    """Of one scenario."""

    def __init__(self, scenario: Scenario, settings: Settings) -> None:
        self.scenario = scenario
        self.settings = settings
        self.reached = Reached(points_of(scenario))
        self.with_world = takes_world(scenario)
        self._executions = 0

    def once(
        self, search: Strategy, *, record: bool = False, seed: int = 0, counted: bool = True
    ) -> Outcome:
        """One execution. Call inside :func:`exploring`. ``counted``: whether what it reaches is noted."""
        return execute(
            self.scenario,
            Choices(search, seed=seed),
            self.settings,
            with_world=self.with_world,
            reached=self.reached if counted else None,
            record=record,
        )

    def require_same(self, search: Strategy, ordinary: str) -> Outcome:
        """Run what the one who sent this worker has run, and return it. Call inside :func:`exploring`.

        Raises:
            NondeterminismError: it is not the same here.
        """
        outcome = self.once(search, record=True)
        if outcome.trace is None or outcome.trace.digest() != ordinary:
            raise NondeterminismError(f"the ordinary run differs from process to process; {SUSPECTS}")
        return outcome

    def collect(self) -> None:
        """Between executions."""
        self._executions += 1
        gc.collect(self._executions % COLLECT_MORE_EVERY == 0)


def behaviour_of(outcome: Outcome) -> bytes:
    """What tells two schedules apart: all positions taken, or a digest of many."""
    text = repr(outcome.taken)
    return text.encode() if len(outcome.taken) < 64 else derive_seed(0, text).to_bytes(8, "big")
