"""One execution: a scenario, choices, and what came out."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import traceback
from asyncio import events
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from liveproof.abc.points import watch
from liveproof_sim.errors import (
    ContractError,
    DeadlockError,
    LeakError,
    LivelockError,
    LostByDesign,
    MonitorError,
    NondeterminismError,
    ReplayError,
    ScenarioError,
    SimulatorBug,
    UnretrievedError,
)
from liveproof_sim.explore.history import Follower, Watcher
from liveproof_sim.explore.scenario import Bound, Scenario, require_async
from liveproof_sim.explore.world import World
from liveproof_sim.kernel.choices import Choices
from liveproof_sim.kernel.fence import fence, installed
from liveproof_sim.kernel.holders import track_holders
from liveproof_sim.kernel.instrument import instrumented
from liveproof_sim.kernel.loop import Fidelity, Limits, SimLoop, Timers
from liveproof_sim.kernel.modes import Abandoned, Attached
from liveproof_sim.kernel.naming import Labels, site_of
from liveproof_sim.kernel.power import Outages, Points
from liveproof_sim.kernel.recorder import Recorder
from liveproof_sim.kernel.tape import Named
from liveproof_sim.kernel.traced import traced
from liveproof_sim.kernel.waits import explain, explain_ring, places_of, waits_of
from liveproof_sim.properties import Reached
from liveproof_sim.trace.events import Trace

__all__ = ["Outcome", "Scenario", "Settings", "execute", "exploring", "takes_world"]


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
    reduced: bool = False
    """whether steps note what they touch, and what has to wait is no step: see kernel/accesses.py"""
    cuts: bool = False
    """of a reduced search: whether what has to wait is no step even if the power may fail after any step"""
    instrument: tuple[str, ...] = ()
    """modules to instrument besides the scenario's own"""
    hot: dict[str, None] = field(default_factory=dict)
    """of a reduced search: what it has seen to be written by more than one step; it grows"""
    opaque: dict[str, None] = field(default_factory=dict)
    """of a reduced search: code that ran and is not instrumented; it grows"""

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Settings:
        """From what :meth:`as_options` gave, perhaps of an older token.

        Raises:
            ValueError: a value that it cannot have.
        """
        ordinary = Limits()
        return cls(
            Fidelity(options.get("fidelity", "any-order")),
            Timers(options.get("timers", "late")),
            Limits(
                steps=int(options.get("steps", ordinary.steps)),
                lateness_ns=int(options.get("lateness_ns", ordinary.lateness_ns)),
            ),
            int(options.get("seed", 0)),
            bool(options.get("leaks", True)),
            Outages(Points(options.get("crash_points", "none")), int(options.get("crashes", 1))),
            reduced=bool(options.get("reduced", False)),
            cuts=bool(options.get("cuts", False)),
            instrument=tuple(options.get("instrument", ())),
            hot=dict.fromkeys(options.get("hot", ())),
        )

    def as_options(self) -> dict[str, Any]:
        """For a token."""
        return {
            "fidelity": self.fidelity.value,
            "timers": self.timers.value,
            "lateness_ns": self.limits.lateness_ns,
            "seed": self.seed,
            "leaks": self.leaks,
            "steps": self.limits.steps,
            **self._outage_options(),
            **(
                {"reduced": True, "instrument": list(self.instrument), "hot": list(self.hot)}
                if self.reduced
                else {}
            ),
            **({"cuts": True} if self.cuts else {}),
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
    cut: bool = False
    """the search gave it up half-way: it says nothing"""
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
    if isinstance(scenario, Bound):
        return scenario.world is not None
    require_async(scenario)
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
def exploring(scenario: Scenario | None = None, settings: Settings | None = None) -> Iterator[None]:
    """What all executions need around them, once; more of it if the settings are those of a reduced search.

    Raises:
        ScenarioError: an event loop is running here.
        OptionError: a module can not be instrumented.
    """
    if events._get_running_loop() is not None:
        raise ScenarioError("an event loop is running in this thread: explore from synchronous code")
    with contextlib.ExitStack() as stack:
        stack.enter_context(installed())
        stack.enter_context(track_holders())
        if scenario is not None and settings is not None and settings.reduced:
            stack.enter_context(traced())
            stack.enter_context(instrumented(scenario, settings.instrument))
        yield


def _loop_of(choices: Choices, settings: Settings, *, record: bool) -> tuple[SimLoop, Recorder | None]:
    """A loop, and all that watches it."""
    loop = SimLoop(
        choices,
        fidelity=settings.fidelity,
        timers=settings.timers,
        limits=settings.limits,
        reduced=settings.reduced,
        hot=settings.hot,
    )
    recorder = Recorder(loop) if record else None
    if loop.accesses is not None:
        loop.accesses.unknown = settings.opaque
        loop.accesses.deadly = settings.outages.points is Points.ALL and not settings.cuts
    if isinstance(choices.strategy, Attached):
        choices.strategy.attach(loop)
    elif settings.reduced:
        Watcher(loop, Follower(), loop.observer, relating=False)
    if isinstance(choices.strategy, Named):
        assert recorder is not None, "this strategy needs names"
        _follow(choices.strategy, recorder)
    return loop, recorder


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
    loop, recorder = _loop_of(choices, settings, record=record)
    attached = choices.strategy if isinstance(choices.strategy, Attached) else None
    cut = False
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
        except Abandoned:
            cut = True
        except (ReplayError, SimulatorBug, NondeterminismError, KeyboardInterrupt, SystemExit):
            _tear_down(loop)
            raise
        except BaseException as raised:  # noqa: BLE001 - whatever a scenario raises is its outcome
            error = raised
        signature = _signature(error, loop, labels)
        if attached is not None:
            cut = attached.over(cut=cut)
        taken, sizes, steps = list(choices.taken), list(choices.sizes), loop.steps
        trace = recorder.finish() if recorder else None
        stubborn = _tear_down(loop)
        _close(stubborn)
        for task in loop.tasks:
            task._log_traceback = False
            task._log_destroy_pending = False  # type: ignore[attr-defined]
        if stubborn and error is None and settings.leaks and not cut:
            names = ", ".join(labels.of(task) for task in stubborn)
            error = LeakError(f"cancelled at the end, and still running: {names}")
            signature = "LeakError: stubborn"
        loop.close()
        if world is not None:
            world.power.bury()
            world.close()
            _count(world, points, reached)
    lost = _lost(error, world)
    if lost:
        error, signature = None, ""
    if trace is not None:
        trace.outcome = f"lost by design: {lost}" if lost else signature or "passed"
    return Outcome(error, signature, steps, taken, sizes, trace, cut, lost)


def _tear_down(loop: SimLoop) -> list[asyncio.Task[Any]]:
    """Cancel what is left. What it logs then is no news: it was cut off in the middle."""
    if all(task.done() for task in loop.tasks):
        return loop.tear_down()
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        return loop.tear_down()
    finally:
        logging.disable(before)


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
    try:
        result = await coro
        await world.end()
        world.monitors.end()
        return result
    finally:
        world.close()


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
    if isinstance(error, ContractError):
        return f"ContractError: {error.code}"
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
