"""The same scenario on asyncio: wall-clock time, real files, one execution in an order of its own.

What a simulator knows exactly is approximated here. Monitors are looked at every :data:`LOOK_SECONDS` and at
the end, so that what holds or breaks for a moment may be missed; ``quiet()`` returns when for
:data:`QUIET_SECONDS` no file and no count of an app has changed; draws are the first of their options, or
with a seed other than 0 chance. A scenario that passes here shows little, one that passes in the simulator
and fails here shows that a fake is wrong.
"""

from __future__ import annotations

import asyncio
import dataclasses
import tempfile
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar, cast

import liveproof
from liveproof.testing import MemoryStore
from liveproof_sim.errors import DeadlockError, LeakError, ScenarioError
from liveproof_sim.explore.execution import takes_world
from liveproof_sim.explore.real_files import RealFiles
from liveproof_sim.explore.runs import Run
from liveproof_sim.explore.scenario import Scenario
from liveproof_sim.kernel.choices import Choices
from liveproof_sim.kernel.loop import SimLoop
from liveproof_sim.properties import Monitors, Reached, drawn

__all__ = ["LOOK_SECONDS", "QUIET_SECONDS", "RealWorld", "run_really"]

T = TypeVar("T")
LOOK_SECONDS = 0.01
QUIET_SECONDS = 0.4
SECONDS_MAX = 60.0  # for one scenario


class _Time:
    """What monitors ask of a loop."""

    def __init__(self) -> None:
        self._began_ns = time.monotonic_ns()
        self.after_step: Callable[[], None] | None = None
        self.accesses = None
        self.choices = SimpleNamespace(calm=False)
        self._ready: list[Any] = []
        self._lane: list[Any] = []
        self.steps = 0

    @property
    def now_ns(self) -> int:
        """Since the run began."""
        return time.monotonic_ns() - self._began_ns

    def call_at_ns(self, when_ns: int, callback: Any, *args: Any) -> None:
        """Somebody looks often enough anyway."""

    def create_future(self) -> asyncio.Future[Any]:
        """Of the loop that runs."""
        return asyncio.get_running_loop().create_future()

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        await asyncio.sleep(seconds)


class _NoFaults:
    """``world.faults``, where nothing can be made to go wrong."""

    def enable(self, *faults: Any, **budgets: Any) -> None:
        """It is left to the real world."""


class RealWorld:
    """What a scenario is given instead of a ``World``. What it lacks says so."""

    def __init__(self, root: Path, seed: int) -> None:
        self.clock = _Time()
        self.monitors = Monitors(cast("SimLoop", self.clock), Reached())
        self.fs = RealFiles(root)
        self.faults = _NoFaults()
        self.store = MemoryStore()
        self._stream = Choices(seed=seed).stream
        self._seed = seed
        self._runs: list[Run] = []

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_") and hasattr(Monitors, name):
            return getattr(self.monitors, name)
        raise AttributeError(f"world.{name} is the simulator's alone: run this scenario without --real")

    def spawn(self, coro: Coroutine[Any, Any, T], *, name: str | None = None) -> asyncio.Task[T]:
        """Start a task."""
        return asyncio.get_running_loop().create_task(coro, name=name)

    def draw(self, options: Any, /, *, label: str = "draw") -> Any:
        """The first option, or with a seed other than 0 any."""
        chance = self._stream(label)
        return drawn(lambda count: chance.randrange(count) if self._seed else 0, options, label)

    def calm(self) -> None:
        """There is no trouble of ours to stop."""
        self.clock.choices.calm = True

    async def quiet(self) -> None:
        """Wait until nothing has changed for a while."""
        seen, since = self._seen(), time.monotonic()
        while time.monotonic() - since < QUIET_SECONDS:
            await asyncio.sleep(LOOK_SECONDS * 2)
            now = self._seen()
            if now != seen:
                seen, since = now, time.monotonic()

    def _seen(self) -> tuple[Any, ...]:
        return (*self.fs.seen(), *(str(run._handle.stats()) for run in self._runs))

    def start(
        self, app: liveproof.App[Any, Any], *, live: bool = False, full_reprocess: bool = False
    ) -> Run:
        """Run the app here, with the world's store."""
        environment = liveproof.Environment(name="real", store=self.store)
        config = dataclasses.replace(app.config, environment=environment)
        here: liveproof.App[Any, Any] = liveproof.App(config, app._main_fn, *app._args, **app._kwargs)
        run = Run(here.update(live=live, full_reprocess=full_reprocess))
        self._runs.append(run)
        return run

    def look(self) -> None:
        """At all monitors.

        Raises:
            MonitorError: one does not hold.
        """
        if self.clock.after_step is not None:
            self.clock.after_step()

    async def end(self) -> None:
        """Stop what the scenario started, and judge."""
        for run in self._runs:
            if run._handle.phase != "ended":
                await run.stop()
        self.monitors.end()


def run_really(
    scenario: Scenario, *, seed: int = 0, seconds: float | None = None, leaks: bool = True
) -> None:
    """Run it once; whatever it raises leaves here.

    Raises:
        DeadlockError: it has not ended in ``seconds`` (60, if None).
        LeakError: tasks were still running when it had returned.
        MonitorError: a property of the world did not hold.
        ScenarioError: an event loop is running here.
    """
    if asyncio._get_running_loop() is not None:
        raise ScenarioError("an event loop is running in this thread: run from synchronous code")
    with tempfile.TemporaryDirectory(prefix="liveproof-") as root:
        asyncio.run(_main(scenario, RealWorld(Path(root).resolve(), seed), seconds or SECONDS_MAX, leaks=leaks))


async def _main(scenario: Scenario, world: RealWorld, seconds: float, *, leaks: bool) -> None:
    coro = _in_world(scenario, world) if takes_world(scenario) else scenario()
    task = asyncio.create_task(coro, name="main")
    deadline = time.monotonic() + seconds
    try:
        while not task.done():
            await asyncio.wait([task], timeout=LOOK_SECONDS)
            world.look()
            if time.monotonic() > deadline:
                raise DeadlockError(f"it has not ended in {seconds:g} s on asyncio")
        await task
        left = [each for each in asyncio.all_tasks() if each is not asyncio.current_task()]
        if left and leaks:
            names = ", ".join(sorted(getattr(each.get_coro(), "__qualname__", each.get_name()) for each in left))
            raise LeakError(f"still running when the scenario returned: {names}")
    finally:
        task.cancel()
        await asyncio.wait([task], timeout=1)


async def _in_world(scenario: Scenario, world: RealWorld) -> None:
    await scenario(world)
    await world.end()
