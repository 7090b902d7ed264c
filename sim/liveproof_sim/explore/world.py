"""What a scenario is given: time, tasks, choices, monitors, and apps to start."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, overload

import liveproof
from liveproof.abc.filesystem import FileSystem
from liveproof.abc.store import Store
from liveproof.backends.collector import restore
from liveproof.testing import MemoryStore
from liveproof_sim.explore.runs import Clock, SimRun
from liveproof_sim.fakes.faults import Faults
from liveproof_sim.fakes.feed import MapFeed, MapView
from liveproof_sim.fakes.filesystem import Files, SimFileSystem, Trouble
from liveproof_sim.fakes.log import Commit, Log
from liveproof_sim.fakes.store import SimStore
from liveproof_sim.fakes.targets import TARGETS, Applied, Target
from liveproof_sim.kernel.accesses import WORLD
from liveproof_sim.kernel.choices import SWARM, Calming, Kind
from liveproof_sim.kernel.fence import EPOCH_NS
from liveproof_sim.kernel.guards import until
from liveproof_sim.kernel.loop import SimLoop
from liveproof_sim.kernel.power import Draw, Outage, Outages, Points, Power
from liveproof_sim.properties import Monitors, Reached, drawn
from liveproof_sim.properties.contract import Contract

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

__all__ = ["World"]

T = TypeVar("T")
NS = 1_000_000_000


class World:
    """One per execution."""

    def __init__(self, loop: SimLoop, reached: Reached, outages: Outages | None = None) -> None:
        self._loop = loop
        self._quiet: list[asyncio.Future[None]] = []
        self._runs: list[SimRun] = []
        self.monitors = Monitors(loop, reached)
        self.always = self.monitors.always
        self.converges = self.monitors.converges
        self.eventually = self.monitors.eventually
        self.heat = self.monitors.heat
        self.leads_to = self.monitors.leads_to
        self.reachable = self.monitors.reachable
        self.sometimes = self.monitors.sometimes
        self.unreachable = self.monitors.unreachable
        self.clock = Clock(loop)
        self.power = Power(loop, outages)
        self.power.devices.append(self._fall_back)
        points = self.power.outages.points
        if points is Points.ALL:
            self.monitors.after_step(self.power.after_step)
        self.store: Store = SimStore(durability="process" if points is Points.NONE else "power", journal_bytes=0)
        """what apps remember; shared by all that are started in this world"""
        self.lost: list[str] = []
        """what happened that nobody claims to survive"""
        self.filesystem: FileSystem | None = None
        """what apps see of files; None: those of ``fs`` once that was used, else the real ones"""
        self._fs: Files | None = None
        self._faults: Faults | None = None
        self.exception_handler: liveproof.ExceptionHandler | None = None
        """that of the environments to come"""
        self.targets: dict[str, Target] = {}
        """made by :meth:`target`"""
        self.logs: dict[str, Log] = {}
        """made by :meth:`log`"""
        self._contract: Contract | None = None
        loop.choices.strategy = Calming(loop.choices.strategy, loop.choices)
        loop.quiescent = self._on_quiet

    def calm(self) -> None:
        """Stop the trouble: from now on no fault strikes, no timer is late, and what is ready runs first in,
        first out. For ``converges``: what must be so in the end is asked of a world that is kind."""
        if self._loop.accesses is not None:  # whoever runs later runs in another order
            self._loop.accesses.write(WORLD)
        self._loop.choices.calm = True

    @property
    def faults(self) -> Faults:
        """What may go wrong; nothing, until it is enabled."""
        if self._faults is None:
            self._faults = Faults(self._loop.choices)
        return self._faults

    def fault_counts(self) -> dict[tuple[str, str, str], tuple[int, int]]:
        """Fault family, operation, phase → how often it might have struck, and how often it did."""
        counts = {} if self._faults is None else self._faults.counts
        return {cell: (count.asked, count.struck) for cell, count in counts.items()}

    def swarm(self, operations: Sequence[T], /) -> list[T]:
        """Of the operations of a workload, those that this run uses, and at least the first: in some runs whole
        kinds of them are missing. The families of faults that are on go through the same (swarm testing:
        Groce, Zhang, Eide, Chen, Regehr, ISSTA 2012). Chance of its own stream: it shifts no other."""
        draw = self._loop.choices.draw
        kept = [each for each in operations if not draw(Kind.DATA, f"{SWARM}{each}", 2)]
        if self._faults is not None:
            for family in list(self._faults.on):
                if draw(Kind.DATA, f"{SWARM}{family}", 2):
                    self._faults.disable(family)
        return kept or list(operations[:1])

    @property
    def fs(self) -> Files:
        """The files of this world."""
        if self._fs is None:
            loop = self._loop
            trouble = Trouble(self.faults, self._take_time)
            self._fs = Files(SimFileSystem(clock=lambda: EPOCH_NS + loop.now_ns, trouble=trouble))
            self._fs.system.before_call = self.power.before_call
            if loop.accesses is not None:
                self._fs.system.touch = loop.accesses.touch
        return self._fs

    def _take_time(self, slept_ns: int) -> None:
        """What blocks takes so long: the body of a job, or, outside of one, everybody."""
        job = self._loop.jobs.running
        if job is not None:
            job.slept_ns += slept_ns
        else:
            self._loop.now_ns += slept_ns

    def spawn(self, coro: Coroutine[Any, Any, T], *, name: str | None = None) -> asyncio.Task[T]:
        """Start a task."""
        task: asyncio.Task[T] = self._loop.create_task(coro, name=name)
        return task

    @overload
    def draw(self, options: int, /, *, label: str = ...) -> int: ...

    @overload
    def draw(self, options: Sequence[T], /, *, label: str = ...) -> T: ...

    @overload
    def draw(self, options: SearchStrategy[T], /, *, label: str = ...) -> T: ...

    def draw(self, options: Any, /, *, label: str = "draw") -> Any:
        """A number below ``options``, or one of them, or a value of a Hypothesis strategy; the first, or the
        simplest, is the ordinary one."""
        return drawn(lambda count: self._loop.choices.draw(Kind.DATA, label, count), options, label)

    async def until(self, predicate: Callable[[], object]) -> None:
        """Wait until it holds, and go on in the same step: no other task runs in between."""
        await until(self._loop, predicate)

    # ---- fakes

    def target(self, name: str = "target", *, lanes: int = 1) -> Target:
        """A target in memory. One of a name in each world; ``lanes``: how many sinks it has.

        Raises:
            ValueError: another world of this process has it with other lanes.
        """
        target = self.targets.get(name)
        if target is None:
            target = self.targets[name] = Target(name, lanes=lanes, faults=self.faults)
            if self._contract is not None:
                target.watchers.append(self._applied)
        return target

    def map_view(self, entries: Mapping[Any, Any] | None = None, *, name: str = "view") -> MapView:
        """A source that can be scanned and watched."""
        return MapView(entries or {}, name=name, faults=self.faults)

    def map_feed(self, entries: Mapping[Any, Any] | None = None, *, name: str = "feed") -> MapFeed:
        """A source that can only be watched."""
        return MapFeed(entries or {}, name=name, faults=self.faults)

    def log(self, name: str = "log", *, partitions: int = 2) -> Log:
        """A partitioned log. One of a name in each world.

        Raises:
            ValueError: it has other partitions already, or is to have none.
        """
        log = self.logs.get(name)
        if log is None:
            before_call = self.power.before_call
            log = self.logs[name] = Log(name, partitions=partitions, faults=self.faults, before_call=before_call)
            if self._contract is not None:
                log.watchers.append(self._committed)
        if len(log.partitions) != partitions:
            raise ValueError(
                f"log {name!r} has {len(log.partitions)} partitions, not {partitions}: give this one another name"
            )
        return log

    def contract(self, *only: str) -> Contract:
        """Watch over the contract from now on: every app started after this, every target and every log.
        ``only`` these ids: where the power fails, those of what outlives it (FEED).

        Raises:
            OptionError: no monitor watches such an id.
        """
        if self._contract is None:
            self._contract = Contract(lambda: self.store, self.targets, self.monitors.fail, only)
            for target in self.targets.values():
                target.watchers.append(self._applied)
            for log in self.logs.values():
                log.watchers.append(self._committed)
        return self._contract

    def _applied(self, target: Target, applied: Applied) -> None:
        assert self._contract is not None, "it watches"
        self._contract.applied(target.root, applied.keys, applied.value)

    def _committed(self, log: Log, commit: Commit) -> None:
        assert self._contract is not None, "it watches"
        self._contract.committed(log, commit)

    # ---- apps

    async def quiet(self) -> None:
        """Wait until nothing is left to do, at any time in the future."""
        future = self._loop.create_future()
        self._quiet.append(future)
        await future

    def _on_quiet(self) -> bool:
        waiting, self._quiet = self._quiet, []
        open_ones = [each for each in waiting if not each.done()]
        for future in open_ones:
            future.set_result(None)
        if not open_ones:
            self.monitors.stuck()
        return bool(open_ones)

    def start(self, app: liveproof.App[Any, Any], *, live: bool = False, full_reprocess: bool = False) -> SimRun:
        """Run the app here: on the simulator's scheduler, with the world's store and file system. If the power
        was off, it is on again."""
        boot = self.power.on()
        if isinstance(self.store, SimStore):
            self.store.before_call = self.power.before_call
            self.store.strike = self.faults.strike
            self.power.outage = Outage(self.store.durability)
        handler, contract = self.exception_handler, self._contract
        if handler is not None and contract is not None:
            handler = contract.heard(handler)
        provider = liveproof.ContextProvider()
        provider.provide(TARGETS, self.targets)
        environment = liveproof.Environment(
            name="simulated",
            context_provider=provider,
            exception_handler=handler,
            store=self.store,
            filesystem=self.filesystem or (None if self._fs is None else self._fs.system),
            make_scheduler=self.power.scheduler,
            probe=None if contract is None else contract.probe(app.name),
        )
        config = dataclasses.replace(app.config, environment=environment)
        here: liveproof.App[Any, Any] = liveproof.App(config, app._main_fn, *app._args, **app._kwargs)
        handle = self.power.run(boot, partial(here.update, live=live, full_reprocess=full_reprocess))
        boot.at_death.append(partial(_forget, handle))
        run = SimRun(handle, boot, self.power, contract)
        self._runs.append(run)
        return run

    async def afresh(self, app: liveproof.App[Any, Any]) -> dict[str, dict[Any, Any]]:
        """What the targets would hold if the app caught up from nothing: an empty store, empty targets, no
        faults, nobody watching."""
        kept = self.store, self.targets, self._contract
        self.store, self._contract = MemoryStore(), None
        fresh = {name: Target(name, lanes=target.lanes) for name, target in self.targets.items()}
        self.targets = fresh
        try:
            run = self.start(app)
        finally:
            self.store, self.targets, self._contract = kept
        await run
        return {name: target.entries for name, target in fresh.items()}

    # ---- power

    def crash(self, outage: Outage | str | None = None) -> None:
        """Cut the power now: all that was started vanishes, without a ``finally``; what is not durable is
        lost, or not, by choice. ``"process"``: only the process dies, and nothing of what it wrote is lost;
        the default is what the store claims to survive."""
        kind = Outage(outage) if outage is not None else self.power.outage
        if kind is Outage.POWER and self.power.outage is Outage.PROCESS:
            self.lose("a power cut, with a store that is durable against the death of its process")
        self.power.cut(kind)

    def restart(self, app: liveproof.App[Any, Any], *, live: bool = False) -> SimRun:
        """Cut the power, if it is on, and start the app from what is durable."""
        if self.power.boot is not None:
            self.crash()
        return self.start(app, live=live)

    def _fall_back(self, draw: Draw, outage: Outage) -> None:
        if isinstance(self.store, SimStore):
            self.store.crash(draw, outage)
            self.store = self.store.reopened()
        if self._fs is not None:
            if outage is Outage.POWER:
                self._fs.system.crash(draw)
            else:
                self._fs.system.forget_watches()
        for log in self.logs.values():
            log.forget_the_dead()

    def lose(self, what: str) -> None:
        """Something has happened that the contract does not claim to survive: a failure of this run is counted
        under this name, and is none."""
        self.lost.append(what)

    def cancel_points(self, run: SimRun, *, most: int = 10_000) -> None:
        """After every step of up to ``most``, by choice, ``run`` is cancelled in order, once."""
        left = most

        def maybe() -> None:
            nonlocal left
            if left and not run.ended:
                left -= 1
                if self._loop.choices.draw(Kind.CRASH, "cancel", 2):
                    left = 0
                    run.ask_to_stop()

        self.monitors.after_step(maybe)

    async def end(self) -> None:
        """After the scenario: stop what it started."""
        self.power.stay()
        for run in self._runs:
            await run.close()

    def close(self) -> None:
        """The execution is over."""
        if self._contract is not None:
            self._contract.close()


def _forget(handle: Any) -> None:
    """Nobody will ask this handle any more, and its session never ends."""
    handle._asked = True
    if handle.session.users:
        handle.session.users = 0
        restore()
