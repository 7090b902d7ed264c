"""Power: what runs on the machine between two cuts, and how it ends at one.

Everything that an app starts (tasks, calls, timers, threads) inherits one context variable, :data:`BOOT`. At a
cut whatever carries it vanishes: it is taken out of the loop's queues, its tasks are over, its scheduler
answers nothing. No ``finally`` runs: the coroutines are kept in a graveyard until the loop is closed, and
are closed only then, when nothing is left that they could change. What does not carry it, the scenario,
survives; where it waits for the dead it sees :class:`PowerCut`.

A cut may come in the middle of a step or of a thread's body, at a call that changes something durable. That
call then raises ``PowerCut``, and the code above it unwinds; every call that it makes on its way is refused
in the same way, so that nothing durable sees it. What such code does to plain Python objects that the
scenario also holds can be seen: a machine without power does not do that.

Where a cut may come (``points``): *calls*, before every call that changes something durable, and *all*,
besides after every step. Two moments with no such call between them leave the same machine behind, so that
*calls* misses an outcome only if the scenario itself looks at the app's plain objects.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import logging
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass
from typing import Any, NoReturn, TypeAlias, TypeVar

from liveproof_sim.errors import PowerCut
from liveproof_sim.kernel.accesses import WORLD
from liveproof_sim.kernel.choices import Entry, Kind
from liveproof_sim.kernel.loop import SimLoop
from liveproof_sim.kernel.modes import SimTimer
from liveproof_sim.kernel.scheduler import SimScheduler

__all__ = ["AFTER_STEP", "BOOT", "Boot", "Device", "Draw", "Outage", "Outages", "Points", "Power", "is_outage"]

T = TypeVar("T")
_LOG = logging.getLogger("liveproof")
AFTER_STEP = "power"
"""the label of the choice whether it fails after a step; before a call: that word, and the call"""
CLOSES_MAX = 100  # how often a coroutine that goes on after it was closed is closed again


def is_outage(label: str) -> bool:
    """Whether the choice of this label is whether the power fails."""
    return label == AFTER_STEP or label.startswith(f"{AFTER_STEP} ")


class Points(enum.StrEnum):
    """Where the power may fail by itself."""

    NONE = "none"
    CALLS = "calls"
    ALL = "all"


class Outage(enum.StrEnum):
    """What ends."""

    POWER = "power"
    """the machine: what no device has is lost"""
    PROCESS = "process"
    """the process (kill -9): what it has told the kernel is kept"""


@dataclass(frozen=True, slots=True)
class Outages:
    """What may happen by itself in one run."""

    points: Points = Points.NONE
    cuts_max: int = 1
    points_max: int = 10_000
    """after so many moments at which the power might have failed, it stays"""


Draw: TypeAlias = Callable[[str, int], int]
"""Chooses one of so many outcomes of a cut, by label; 0 is the one that loses nothing."""

Device: TypeAlias = Callable[[Draw, Outage], None]
"""What outlives a cut, or some of it: falls back to one of the states that are legal now."""


class Boot:
    """One life of the machine."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.dead = False
        self.tasks: list[asyncio.Task[Any]] = []
        self.schedulers: list[SimScheduler] = []
        self.visitors: dict[asyncio.Task[Any], None] = {}
        """tasks of the scenario that are inside one of its calls now"""
        self.at_death: list[Callable[[], None]] = []
        self.generators: list[Any] = []

    @contextlib.contextmanager
    def visited(self) -> Iterator[None]:
        """The running task of the scenario waits for something of this boot.

        Raises:
            PowerCut: there is no power, or none any more.
        """
        if self.dead:
            raise PowerCut("the power has failed: what is awaited will never happen")
        task = asyncio.current_task()
        if task is None or BOOT.get() is self:
            yield
            return
        known = task in self.visitors
        self.visitors[task] = None
        try:
            yield
        finally:
            if not known:
                self.visitors.pop(task, None)


BOOT: ContextVar[Boot | None] = ContextVar("liveproof_sim.boot", default=None)


class _NoPower:
    """In the place of a dead scheduler's loop."""

    def __getattr__(self, name: str) -> NoReturn:
        raise PowerCut("the power has failed")


class Power:
    """The power of one machine."""

    def __init__(self, loop: SimLoop, outages: Outages | None = None) -> None:
        self._loop = loop
        self.outages = outages or Outages()
        self.boot: Boot | None = None
        self.devices: list[Device] = []
        self.outage = Outage.POWER
        """what happens when the power fails by itself"""
        self.cuts = 0
        self.points = 0
        """moments at which the power might have failed"""
        self._graves: list[Boot] = []

    # ---- life

    def on(self) -> Boot:
        """The running boot; a new one if there is none."""
        if self.boot is None:
            if not self._graves:
                self._loop.tasks.append = self._noted  # type: ignore[method-assign]
            self.boot = Boot(len(self._graves) + 1)
        return self.boot

    def run(self, boot: Boot, fn: Callable[..., T], *args: Any) -> T:
        """Call ``fn`` as part of the boot: what it starts dies with it."""
        context = copy_context()
        context.run(BOOT.set, boot)
        return context.run(fn, *args)

    def scheduler(self) -> SimScheduler:
        """A scheduler for the running boot."""
        made = SimScheduler(self._loop)
        self.on().schedulers.append(made)
        return made

    def _noted(self, task: asyncio.Task[Any]) -> None:
        list.append(self._loop.tasks, task)
        boot = BOOT.get()
        if boot is not None:
            boot.tasks.append(task)
            if boot.dead:
                _end(task)

    # ---- the moments at which it may fail

    def before_call(self, operation: str, place: str) -> None:
        """Something durable is about to be changed.

        Raises:
            PowerCut: the power fails now, or has failed before, for whoever calls.
        """
        boot = BOOT.get()
        if boot is None:
            return  # the outside world, which has power of its own
        if boot.dead:
            raise PowerCut("the power has failed")
        if self.outages.points is not Points.NONE and self._fails(f"{AFTER_STEP} {operation} {place}"):
            self.cut(self.outage)
            raise PowerCut(f"the power failed before {operation} {place}")

    def after_step(self) -> None:
        """A step has ended."""
        points = self.outages.points
        if points is Points.ALL and self.boot is not None and self._fails(AFTER_STEP):
            self.cut(self.outage)

    def stay(self) -> None:
        """From now on it does not fail by itself."""
        self.outages = Outages()

    def _fails(self, label: str) -> bool:
        if self.cuts >= self.outages.cuts_max or self.points >= self.outages.points_max:
            return False
        self.points += 1
        loop = self._loop
        fails = loop.choices.draw(Kind.CRASH, label, 2) == 1
        if fails and loop.accesses is not None and loop.causes is not None:
            loop.accesses.late = loop.causes.late = {}
        return fails

    # ---- death

    def cut(self, outage: Outage = Outage.POWER) -> None:
        """Everything that runs on the machine vanishes, and what is durable falls back to a legal state."""
        boot, self.boot = self.boot, None
        if boot is None:
            return
        self.cuts += 1
        boot.dead = True
        loop = self._loop
        if loop.accesses is not None:  # what others would have done, they have not
            loop.accesses.write(WORLD)
        with loop.accesses.mute() if loop.accesses is not None else contextlib.nullcontext():
            self._bring_down(boot)
        for device in self.devices:
            device(self._draw, outage)

    def _bring_down(self, boot: Boot) -> None:
        loop = self._loop
        if not self._graves:
            self._refuse_the_dead()
        self._graves.append(boot)
        for scheduler in boot.schedulers:
            scheduler._loop = _NoPower()  # type: ignore[assignment]
        _purge(loop)
        boot.generators += loop.abandon_asyncgens(_is_dead)
        running = asyncio.current_task(loop)
        for task in boot.tasks:
            if task is not running and not task.done():
                _end(task)
        if running in boot.tasks:
            # It is in the middle of its last step: it is over right after that.
            ending: Entry = (loop._next(), asyncio.Handle(_end, (running,), loop), (), None)
            loop._plumb.append(ending)
        for task in boot.visitors:
            waits_for = getattr(task, "_fut_waiter", None)
            # Who waits for a task sees the cut when that is over.
            if waits_for is not None and not waits_for.done() and not isinstance(waits_for, asyncio.Task):
                waits_for.set_exception(PowerCut("the power has failed"))
        for call in boot.at_death:
            call()

    def _draw(self, label: str, options: int) -> int:
        # Not a Kind.CRASH, which strategies take for rare: all outcomes are equally likely.
        return self._loop.choices.draw(Kind.DATA, label, options)

    def _refuse_the_dead(self) -> None:
        """From now on, what a dead one asks of the loop is looked for, and is not done. Before the first cut
        nobody pays for that."""
        loop = self._loop
        soon, at, external, report = (
            loop.call_soon,
            loop.call_at_ns,
            loop.add_external,
            loop.call_exception_handler,
        )

        def call_soon(callback: Any, *args: Any, context: Context | None = None) -> Any:
            if _is_dead(context):
                handle = asyncio.Handle(callback, args, loop, context)
                handle.cancel()
                return handle
            return soon(callback, *args, context=context)

        def call_at_ns(when_ns: int, callback: Any, *args: Any, context: Context | None = None) -> SimTimer:
            timer = at(when_ns, callback, *args, context=context)
            if _is_dead(context):
                timer.cancel()
            return timer

        def add_external(callback: Callable[[], None], context: Context | None = None) -> None:
            if not _is_dead(context):
                external(callback, context)

        def call_exception_handler(context: dict[str, Any]) -> None:
            # A timer of the living, who waited for the dead: it has nobody to wake.
            in_vain = "handle" in context and isinstance(context.get("exception"), PowerCut)
            if not in_vain and not _is_dead(None):
                report(context)

        _LOG.addFilter(_is_of_the_living)
        loop.call_soon = call_soon  # type: ignore[method-assign]
        loop.call_at_ns = call_at_ns  # type: ignore[method-assign]
        loop.add_external = add_external  # type: ignore[method-assign]
        loop.call_exception_handler = call_exception_handler  # type: ignore[method-assign]

    def bury(self) -> None:
        """Close what is left of the dead. The loop must be closed: nothing that they do has an effect."""
        assert self._loop.is_closed(), "the dead could still do something"
        if not self._graves:
            return
        hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
        level = logging.root.manager.disable
        logging.disable(logging.CRITICAL)
        try:
            for boot in self._graves:
                for task in boot.tasks:
                    _close(task.get_coro())
                boot.tasks.clear()
                boot.generators.clear()
            self._graves.clear()
        finally:
            _LOG.removeFilter(_is_of_the_living)
            logging.disable(level)
            sys.unraisablehook = hook


def _is_of_the_living(_record: logging.LogRecord) -> bool:
    """The runtime's log does not tell of what its dead see while they unwind."""
    return not _is_dead(None)


def _is_dead(context: Context | None) -> bool:
    """Whether that context, or else the running one, is of a dead boot."""
    boot = BOOT.get() if context is None else context.get(BOOT)
    return boot is not None and boot.dead


def _end(task: asyncio.Task[Any]) -> None:
    """Have a task be over, without running it: whoever awaits it sees the cut."""
    if not task.done():
        asyncio.Future.set_exception(task, PowerCut("the power has failed"))
    task._log_traceback = False


def _close(coro: Any) -> None:
    for _ in range(CLOSES_MAX):
        try:
            coro.close()
        except BaseException:  # noqa: BLE001, S112 - nobody is left whom it could concern
            continue
        return


def _purge(loop: SimLoop) -> None:
    """Take the dead out of all queues. The head of the lane may be offered among the ready entries at this
    moment: it stays in its place, as a callback that does nothing."""
    lane, ready = loop._lane, loop._ready
    head = lane[0] if lane and any(entry is lane[0] for entry in ready) else None
    if head is not None and _of_the_dead(head):
        neutral: Entry = (head[0], _cancelled(loop), (), None)
        ready[ready.index(head)] = lane[0] = neutral
    ready[:] = [entry for entry in ready if not _of_the_dead(entry)]
    _keep(lane, [entry for entry in lane if not _of_the_dead(entry)])
    _keep(loop._plumb, [entry for entry in loop._plumb if not _of_the_dead(entry)])
    loop._held_plain -= sum(entry[3] is None and _of_the_dead(entry) for _, _, entry in loop._held)
    loop._held[:] = [each for each in loop._held if not _of_the_dead(each[2])]
    loop.guards = [guard for guard in loop.guards if not _is_dead(guard.context)]
    for _, _, timer in list(loop._timers):
        if _is_dead(timer._context) and not timer._cancelled:
            timer.cancel()


def _of_the_dead(entry: Entry) -> bool:
    context = entry[3] if entry[3] is not None else entry[1]._context
    return _is_dead(context)


def _cancelled(loop: SimLoop) -> asyncio.Handle:
    handle = asyncio.Handle(int, (), loop, Context())
    handle.cancel()
    return handle


def _keep(queue: deque[Entry], entries: list[Entry]) -> None:
    queue.clear()
    queue.extend(entries)
