"""One execution: a scenario, choices, and what came out."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import traceback
from asyncio import events
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from liveproof.abc.points import watch
from liveproof_sim.errors import (
    DeadlockError,
    LeakError,
    LivelockError,
    LostByDesign,
    MonitorError,
    ReplayError,
    ScenarioError,
    SimulatorBug,
    UnretrievedError,
)
from liveproof_sim.explore.world import World
from liveproof_sim.kernel.choices import Choices
from liveproof_sim.kernel.fence import fence, installed
from liveproof_sim.kernel.holders import track_holders
from liveproof_sim.kernel.loop import Fidelity, Limits, SimLoop, Timers
from liveproof_sim.kernel.naming import Labels, site_of
from liveproof_sim.kernel.power import Outages, Points
from liveproof_sim.kernel.recorder import Recorder
from liveproof_sim.kernel.tape import Named
from liveproof_sim.kernel.waits import explain, explain_ring, places_of, waits_of
from liveproof_sim.properties import Reached
from liveproof_sim.trace.events import Trace

__all__ = ["Outcome", "Scenario", "Settings", "execute", "exploring", "takes_world"]

Scenario = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Settings:
    """What all executions of an exploration share."""

    fidelity: Fidelity = Fidelity.ANY_ORDER
    timers: Timers = Timers.LATE
    limits: Limits = field(default_factory=Limits)
    seed: int = 0
    leaks: bool = True
    """whether tasks that are still running at the end are a failure"""
    outages: Outages = field(default_factory=Outages)

    def as_options(self) -> dict[str, Any]:
        """For a token."""
        return {
            "fidelity": self.fidelity.value,
            "timers": self.timers.value,
            "lateness_ns": self.limits.lateness_ns,
            "seed": self.seed,
            **self._outage_options(),
        }

    def _outage_options(self) -> dict[str, Any]:
        if self.outages.points is Points.NONE:
            return {}
        return {"crash_points": self.outages.points.value, "crashes": self.outages.cuts_max}


@dataclass(slots=True)
class Outcome:
    """How an execution ended."""

    error: BaseException | None
    signature: str
    """equal for two failures that are the same bug; empty if it passed"""
    steps: int
    taken: list[int]
    sizes: list[int]
    trace: Trace | None = None
    lost: str = ""
    """what happened that nobody claims to survive, if the run failed after it"""

    @property
    def failed(self) -> bool:
        """Whether it did."""
        return bool(self.signature)


def takes_world(scenario: Scenario) -> bool:
    """Whether the scenario wants a World.

    Raises:
        ScenarioError: it is no async function of no argument or of a World.
    """
    if not inspect.iscoroutinefunction(scenario):
        kind = "an async generator" if inspect.isasyncgenfunction(scenario) else f"{scenario!r}"
        raise ScenarioError(f"a scenario is an async function of no argument or of a World, not {kind}")
    required = [
        each
        for each in inspect.signature(scenario).parameters.values()
        if each.default is each.empty and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
    ]
    if len(required) > 1:
        names = ", ".join(each.name for each in required)
        raise ScenarioError(f"a scenario takes no argument or a World; {scenario.__qualname__} takes {names}")
    return bool(required)


@contextlib.contextmanager
def exploring() -> Iterator[None]:
    """What all executions need around them, once.

    Raises:
        ScenarioError: an event loop is running here.
    """
    if events._get_running_loop() is not None:
        raise ScenarioError("an event loop is running in this thread: explore from synchronous code")
    with installed(), track_holders():
        yield


def execute(
    scenario: Scenario,
    choices: Choices,
    settings: Settings,
    *,
    with_world: bool,
    reached: Reached | None = None,
    record: bool = False,
) -> Outcome:
    """Run the scenario once. Call inside :func:`exploring`.

    Raises:
        ReplayError: the strategy replays a tape, and that does not fit.
    """
    loop = SimLoop(choices, fidelity=settings.fidelity, timers=settings.timers, limits=settings.limits)
    recorder = Recorder(loop) if record else None
    if isinstance(choices.strategy, Named):
        assert recorder is not None, "this strategy needs names"
        _follow(choices.strategy, recorder)
    error: BaseException | None = None
    world = World(loop, reached or Reached(), settings.outages) if with_world else None
    labels = recorder.labels if recorder else Labels(loop.tasks)
    points: dict[str, None] = {}
    watch(points.setdefault)
    with fence.inside(loop, settings.seed):
        coro = scenario(world) if world is not None else scenario()
        main = loop.create_task(coro if world is None else _in_world(coro, world), name="main")
        try:
            loop.run_until_complete(main)
            error = _judge(loop, settings, labels, world)
        except DeadlockError:
            told = explain(loop.tasks, labels) if loop.stuck else explain_ring(loop.tasks, labels)
            error = DeadlockError("\n".join([told, *_owed(world)]))
        except LivelockError as raised:
            error = _explain_livelock(raised, loop, labels, _owed(world))
        except (ReplayError, SimulatorBug, KeyboardInterrupt, SystemExit):
            loop.tear_down()
            raise
        except BaseException as raised:  # noqa: BLE001 - whatever a scenario raises is its outcome
            error = raised
        signature = _signature(error, loop, labels)
        taken, sizes, steps = list(choices.taken), list(choices.sizes), loop.steps
        trace = recorder.finish() if recorder else None
        stubborn = loop.tear_down()
        _close(stubborn)
        for task in loop.tasks:
            task._log_traceback = False
            task._log_destroy_pending = False  # type: ignore[attr-defined]
        if stubborn and error is None and settings.leaks:
            names = ", ".join(labels.of(task) for task in stubborn)
            error = LeakError(f"cancelled at the end, and still running: {names}")
            signature = "LeakError: stubborn"
        loop.close()
        if world is not None:
            world.power.bury()
            _count(world, points, reached)
    lost = _lost(error, world)
    if lost:
        error, signature = None, ""
    if trace is not None:
        trace.outcome = f"lost by design: {lost}" if lost else signature or "passed"
    return Outcome(error, signature, steps, taken, sizes, trace, lost)


def _count(world: World, points: dict[str, None], reached: Reached | None) -> None:
    """What the exploration adds up over its executions."""
    watch(None)
    if reached is not None:
        reached.note_points(points)
        for cell, count in world.fault_counts().items():
            reached.note_fault(cell, *count)


def _lost(error: BaseException | None, world: World | None) -> str:
    """By which name a failure is no failure."""
    if isinstance(error, LostByDesign):
        return str(error)
    return world.lost[0] if error is not None and world is not None and world.lost else ""


async def _in_world(coro: Any, world: World) -> Any:
    result = await coro
    await world.end()
    world.monitors.end()
    return result


def _follow(replay: Named, recorder: Recorder) -> None:
    """Have the replay see every step, forced ones too."""
    replay.labels = recorder.labels
    before = recorder.before

    def seen(entry: Any, chosen: int, options: int) -> None:
        before(entry, chosen, options)
        replay.ran(*recorder.last())

    recorder.before = seen  # type: ignore[method-assign]


def _judge(loop: SimLoop, settings: Settings, labels: Labels, world: World | None) -> BaseException | None:
    """What is wrong although the scenario returned."""
    for context in loop.reported:
        error = context.get("exception")
        if error is not None:
            return UnretrievedError(f"{context.get('message')}: {error!r}").with_traceback(
                error.__traceback__
            )
    for task in loop.tasks:
        if task.done() and not task.cancelled() and getattr(task, "_log_traceback", False):
            error = task.exception()
            assert error is not None
            message = f"{labels.of(task)} failed, and nobody looked: {error!r}"
            return UnretrievedError(message).with_traceback(error.__traceback__)
    left = [task for task in loop.tasks if not task.done()]
    if left and settings.leaks:
        names = "; ".join(f"{labels.of(task)} ({site_of(task)}){_went_on(task)}" for task in left)
        return LeakError(f"still running when the scenario returned: {names}")
    return None


def _close(stubborn: list[asyncio.Task[Any]]) -> None:
    """End what does not end, while its loop can still be called; else the collector would do it, anywhere."""
    for task in stubborn:
        coro: Any = task.get_coro()
        for _ in range(3):
            with contextlib.suppress(Exception):  # it fails, or refuses to end: nobody is left to be told
                coro.close()
                break


def _went_on(task: asyncio.Task[Any]) -> str:
    return ", although it was cancelled" if task.cancelling() else ""


def _owed(world: World | None) -> list[str]:
    """What the run owes still, as lines of a report."""
    return [f"  still owed: {each}" for each in world.monitors.owed()] if world is not None else []


def _explain_livelock(
    error: LivelockError, loop: SimLoop, labels: Labels, owed: list[str]
) -> BaseException:
    if ring := explain_ring(loop.tasks, labels):  # others go on, but these never will
        return DeadlockError(ring)
    waits = waits_of(loop.tasks, labels)
    waiting = dict.fromkeys(wait.task for wait in waits)
    spinning = [
        labels.of(task) + (" (cancelled, and went on)" if task.cancelling() else "")
        for task in loop.tasks
        if not task.done() and labels.of(task) not in waiting
    ]
    lines = [str(error)]
    if spinning:
        lines.append(f"  running: {', '.join(spinning[:5])}")
    return LivelockError("\n".join([*lines, *(f"  {wait}" for wait in waits[:5]), *owed]))


def _signature(error: BaseException | None, loop: SimLoop, labels: Labels) -> str:
    """The type, and where: the innermost line that is the program's own."""
    if error is None:
        return ""
    if isinstance(error, DeadlockError):
        return f"DeadlockError: {'; '.join(places_of(loop.tasks, labels))}"
    if isinstance(error, LivelockError):
        places = sorted(dict.fromkeys(site_of(task).key for task in loop.tasks if not task.done()))
        return f"{type(error).__name__}: {'; '.join(places)}"
    if isinstance(error, LeakError):
        leaked = sorted(dict.fromkeys(site_of(task).function for task in loop.tasks if not task.done()))
        return f"LeakError: {'; '.join(leaked)}"
    if isinstance(error, MonitorError) and error.monitor:
        return f"MonitorError: {error.monitor}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "liveproof_sim" not in f.filename and "/asyncio/" not in f.filename]
    where = f"{own[-1].name}: {own[-1].line}" if own else str(error)
    inner = error.exceptions[0] if isinstance(error, BaseExceptionGroup) else None
    name = type(error).__name__ if inner is None else f"{type(error).__name__} of {type(inner).__name__}"
    return f"{name}: {where}"
