"""A small world to run components in: a target in memory, a store on disk, an event loop that never hangs.

The physics of the target: a dictionary. A sink call applies its actions one by one and may wait before,
between and after them; it may raise before the first or between any two, and then what it did stays done.
Every action is logged in order. Nothing is lost and nothing is applied twice by the target itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import random
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import liveproof as coco

T = TypeVar("T")

HANG_S = 5.0
"""Wall time, in seconds, after which something that should have ended is a hang."""


class Chance:
    """Seeded decisions, and the waits that come of them."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)

    def below(self, bound: int) -> int:
        return self.rng.randrange(bound)

    def chance(self, percent: int) -> bool:
        return self.rng.randrange(100) < percent

    def pick(self, of: Sequence[T]) -> T:
        return of[self.rng.randrange(len(of))]

    async def ticks(self, most: int) -> None:
        """Let the others run, up to ``most`` times."""
        await ticks(self.rng.randrange(most + 1))


async def ticks(count: int) -> None:
    """Let the others run ``count`` times."""
    for _ in range(count):
        await asyncio.sleep(0)


Action = tuple[str, Any]
"""Key and wanted value, ``None`` for its removal."""


class World:
    """A target, what happened to it, and what else a test wants to count."""

    def __init__(self, chance: Chance | None = None) -> None:
        self.target: dict[str, Any] = {}
        self.log: list[Action] = []
        """Every action applied."""
        self.calls = 0
        """Of the sink."""
        self.ran: list[str] = []
        """Names that components note as they run."""
        self.before: Callable[[Sequence[Action]], Awaitable[None] | None] | None = None
        """Called at each sink call; it may wait, or raise."""
        self.broken: dict[str, int] = {}
        """Key → how many more times its action fails."""
        self.chance = chance

    async def apply(self, actions: Sequence[Action]) -> None:
        self.calls += 1
        if self.before is not None:
            outcome = self.before(actions)
            if outcome is not None:
                await outcome
        for key, value in actions:
            if self.chance is not None:
                await self.chance.ticks(2)
            left = self.broken.get(key, 0)
            if left:
                self.broken[key] = left - 1
                raise OSError(f"the target refuses {key}")
            self.log.append((key, value))
            if value is None:
                self.target.pop(key, None)
            else:
                self.target[key] = value
        if self.chance is not None:
            await self.chance.ticks(2)

    def settle(self, actions: Sequence[Action]) -> None:
        """Called off the loop, under "power" only; here the target survives everything anyway."""

    def writes(self, key: str) -> list[Any]:
        """What was applied to a key, in order; ``None`` for a removal."""
        return [value for other, value in self.log if other == key]

    def fresh(self) -> None:
        """Forget what happened; the target stays."""
        self.log.clear()
        self.ran.clear()
        self.calls = 0


WORLD: coco.ContextKey[World] = coco.ContextKey("tests.contract/world")


async def _apply(context: coco.ContextProvider, actions: Sequence[Action]) -> None:
    await context.get(WORLD).apply(actions)


def _settle(context: coco.ContextProvider, actions: Sequence[Action]) -> None:
    context.get(WORLD).settle(actions)


_SINK = coco.TargetActionSink.from_async_fn(_apply, settle=_settle)


class _Cells:
    """A cell of the target holds one value; its record is that value."""

    def reconcile(
        self,
        key: coco.StableKey,
        desired_target_state: Any | coco.NonExistenceType,
        prev_possible_records: Collection[str],
        prev_may_be_missing: bool,
        /,
    ) -> coco.TargetReconcileOutput[Action, str] | None:
        assert isinstance(key, str), "cells have names"
        if coco.is_non_existence(desired_target_state):
            return coco.TargetReconcileOutput((key, None), _SINK, coco.NON_EXISTENCE)
        wanted = str(desired_target_state)
        if not prev_may_be_missing and all(record == wanted for record in prev_possible_records):
            return None
        return coco.TargetReconcileOutput((key, wanted), _SINK, wanted)


CELLS: coco.TargetStateProvider[Any, None] = coco.register_root_target_states_provider(
    "tests.contract/cell", _Cells()
)


def declare(key: str, value: object) -> None:
    """Want a cell of the target to hold ``str(value)``."""
    coco.declare_target_state(CELLS.target_state(key, value))


def world() -> World:
    """The world of the running component."""
    return coco.use_context(WORLD)


def at(*keys: coco.StableKey) -> coco.ComponentSubpath:
    """Short for ``component_subpath``."""
    return coco.component_subpath(*keys)


class Machine:
    """A store on disk and the apps in it. ``restart()`` closes and opens it, as a new process would."""

    def __init__(
        self,
        path: Path,
        world: World,
        *,
        limit: int | None = None,
        durability: Literal["power", "process"] = "process",
        handler: coco.ExceptionHandler | None = None,
    ) -> None:
        self.path = path
        self.world = world
        self.limit = limit
        self.handler = handler
        self._durability: Literal["power", "process"] = durability
        self._env: coco.Environment | None = None

    @property
    def env(self) -> coco.Environment:
        if self._env is None:
            provider = coco.ContextProvider()
            provider.provide(WORLD, self.world)
            self._env = coco.Environment(
                coco.Settings(self.path, self._durability),
                context_provider=provider,
                exception_handler=self.handler,
            )
        return self._env

    def app(self, main: Callable[[], Any], *, name: str = "app") -> coco.App[[], Any]:
        config = coco.AppConfig(name, environment=self.env, max_inflight_components=self.limit)
        return coco.App(config, main)

    async def update(self, main: Callable[[], Any], *, live: bool = False, full: bool = False) -> Any:
        """Run ``main`` as the one app of the store."""
        return await self.app(main).update(live=live, full_reprocess=full)

    def close(self) -> None:
        env, self._env = self._env, None
        if env is not None:
            env.close()


# The event loop -----------------------------------------------------------------------------------------


class HangError(AssertionError):
    """Something that should have ended did not."""


def stacks(tasks: Collection[asyncio.Task[Any]]) -> str:
    """Where tasks wait, through the coroutines that they await."""
    out = io.StringIO()
    for task in sorted(tasks, key=lambda task: task.get_name()):
        out.write(f"--- {task.get_name()}\n")
        coro: Any = task.get_coro()
        while coro is not None:
            frame = getattr(coro, "cr_frame", None) or getattr(coro, "gi_frame", None)
            if frame is not None:
                summary = traceback.StackSummary.extract([(frame, frame.f_lineno)])
                out.write("".join(summary.format()))
            coro = getattr(coro, "cr_await", None) or getattr(coro, "gi_yieldfrom", None)
    return out.getvalue()


async def ends(awaitable: Awaitable[T], *, within_s: float = HANG_S) -> T:
    """Await something that must end, whatever its outcome."""
    task = asyncio.ensure_future(awaitable)
    await asyncio.wait({task}, timeout=within_s)
    if not task.done():
        where = stacks(asyncio.all_tasks())
        raise HangError(f"not over after {within_s} s:\n{where}")
    return await task


def run(main: Callable[[], Coroutine[Any, Any, T]], *, within_s: float = HANG_S) -> T:
    """Run ``main()`` on a new loop. A hang fails with all stacks; so does a task that is left over."""
    loop = asyncio.new_event_loop()
    complaints: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _loop, context: complaints.append(context))
    try:
        result = loop.run_until_complete(ends(main(), within_s=within_s))
        loop.run_until_complete(ticks(5))
        left = asyncio.all_tasks(loop)
        assert not left, f"tasks left over:\n{stacks(left)}"
        assert not complaints, f"the event loop was told of {complaints}"
        return result
    finally:
        _abandon(loop)


def _abandon(loop: asyncio.AbstractEventLoop) -> None:
    for _ in range(3):
        left = asyncio.all_tasks(loop)
        if not left:
            break
        for task in left:
            task.cancel()
        with contextlib.suppress(Exception):
            loop.run_until_complete(asyncio.wait(left, timeout=0.05))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


async def until(condition: Callable[[], object], *, within_s: float = HANG_S) -> None:
    """Wait for something that other tasks bring about."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + within_s
    while not condition():
        if clock() > deadline:
            raise HangError(f"it did not come about in {within_s} s:\n{stacks(asyncio.all_tasks())}")
        await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def running_live(machine: Machine, main: Callable[[], Any]) -> AsyncIterator[asyncio.Task[Any]]:
    """A live update for the extent of a block, cancelled at its end."""
    task = asyncio.ensure_future(machine.update(main, live=True))
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await ends(task)
