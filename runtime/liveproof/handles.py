"""Handles of updates and drops: a run in a task of its own, and those who wait for it or watch it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeAlias, TypeVar

from liveproof.backends.asyncio_scheduler import current_task_or_none, has_running_loop
from liveproof.core.context import detach
from liveproof.core.failures import log
from liveproof.core.readiness import Readiness
from liveproof.core.stats import UpdateSnapshot, UpdateStats, UpdateStatus

if TYPE_CHECKING:
    from liveproof.core.run import Run
    from liveproof.environment import Environment, Session

__all__ = ["DropHandle", "Handle", "UpdateHandle", "Work"]

R = TypeVar("R")

WATCH_INTERVAL_NS = 100_000_000
"""How often, in nanoseconds, a watcher is told of new counts at most."""


class Updatable(Protocol):
    """What a handle needs of its app."""

    @property
    def name(self) -> str: ...

    def ready_environment(self) -> Environment | None:
        """The environment, if it need not be started first."""

    async def start_environment(self) -> Environment:
        """The environment, started."""


Work: TypeAlias = "Callable[[Handle[R]], Coroutine[Any, Any, R]]"
"""What a handle has to do: it is given the handle."""


class Handle(Generic[R]):
    """A run in a task of its own, and those who wait for it or watch it."""

    done_word = "done"
    """What a report calls it when it has succeeded."""

    def __init__(self, app: Updatable, work: Work[R]) -> None:
        self._app = app
        self._work = work
        self._run: Run | None = None
        self._session: Session | None = None
        self._ended: Readiness | None = None
        self._caught_up = False
        self._ready: Readiness | None = None
        """Of whoever waits until it has caught up, or ended."""
        self._stop_asked = False
        self._result: R | None = None
        self._error: BaseException | None = None
        self._watched: dict[Any, None] = {}
        self._asked = False
        """Whether anybody has asked for the outcome."""
        self._begun = False
        if has_running_loop() and current_task_or_none() is not None:
            self._begin()

    # ---- the run

    def _begin(self) -> None:
        """Start, if that has not been done; needs a running loop."""
        if self._begun:
            return
        self._begun = True
        env = self._app.ready_environment()
        if env is not None:
            self._spawn(env)

    def _spawn(self, env: Environment) -> None:
        session = self._session = env.acquire()
        self._ended = Readiness(session.scheduler, f"the update of app {self._app.name!r}")
        self._ready = Readiness(session.scheduler, "an update that catches up")
        session.scheduler.spawn(self._main(session), name=f"liveproof: {self._app.name}")

    async def _main(self, session: Session) -> None:
        detach()
        assert self._ended is not None, "made before the task"
        try:
            self._result = await self._work(self)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as exc:  # noqa: BLE001 - raised to whoever asks for the result
            self._error = exc
        finally:
            try:
                await session.env.release(session)
            except Exception as exc:  # noqa: BLE001 - as above
                self._error = self._error or exc
            self._ended.resolve()
            assert self._ready is not None, "made with the other one"
            self._ready.resolve()
            self._notify()

    def attach(self, run: Run) -> None:
        """The run that this handle reports on."""
        self._run = run
        if self._stop_asked:
            run.stop()

    @property
    def session(self) -> Session:
        """The session that the run is in."""
        assert self._session is not None, "not begun"
        return self._session

    def caught_up(self) -> None:
        """The root is ready; only live components go on."""
        self._caught_up = True
        if self._ready is not None:
            self._ready.resolve()
        self._notify()

    def _notify(self) -> None:
        if self._session is not None:
            for task in self._watched:
                self._session.scheduler.unpark(task)

    # ---- for whoever reports on it

    @property
    def app_name(self) -> str:
        """The app that it runs."""
        return self._app.name

    @property
    def phase(self) -> str:
        """What it does now, in words."""
        if self._ended is not None and self._ended.is_resolved:
            return "ended"
        if self._stop_asked:
            return "stopping"
        if self._run is None:
            return "starting"
        if not self._caught_up:
            return "catching up"
        return "live" if self._run.live else "finishing"

    def surround(self, around: Callable[[Work[R]], Work[R]]) -> None:
        """Let something run around the work, which must not have begun: no task has run since the handle
        was made."""
        self._work = around(self._work)

    async def pause(self, duration_ns: int) -> None:
        """Wait that long, or until the phase changes."""
        scheduler = self.session.scheduler
        task = scheduler.current()
        timer = scheduler.call_at(scheduler.now() + duration_ns, lambda: scheduler.unpark(task))
        self._watched[task] = None
        try:
            await scheduler.park("progress of an update")
        finally:
            self._watched.pop(task, None)
            timer.cancel()

    # ---- for the application

    def stats(self) -> UpdateStats | None:
        """The counts so far, or ``None`` before it has begun."""
        return None if self._run is None else self._run.stats.snapshot()

    def stop(self) -> None:
        """Cancel: what runs is interrupted, submissions that have begun finish, nothing new starts."""
        self._stop_asked = True
        if self._run is not None:
            self._run.stop()
        elif self._session is not None:
            for task in self._session.turns:
                self._session.scheduler.unpark(task)
        self._notify()

    @property
    def stop_asked(self) -> bool:
        """Whether somebody cancelled it."""
        return self._stop_asked

    async def _have_begun(self) -> Readiness:
        """Begin, if that has not been done; returns what tells of the end."""
        self._asked = True
        if not self._begun:
            self._begin()
        if self._ended is None:
            env = await self._app.start_environment()
            if self._ended is None:  # Nobody else has begun meanwhile.
                self._spawn(env)
        assert self._ended is not None, "spawned"
        return self._ended

    def __del__(self) -> None:
        error = self._error
        if error is not None and not self._asked:
            log.error(
                "the update of app %r failed, and nobody awaited its handle",
                self._app.name,
                exc_info=(type(error), error, error.__traceback__),
            )

    async def _until_ended(self) -> None:
        ended = await self._have_begun()
        assert self._session is not None, "spawned"
        cancelled: BaseException | None = None
        while not ended.is_resolved:
            try:
                await ended.wait()
            except self._session.scheduler.cancelled as exc:
                # Ctrl-C, or a cancelled caller: bring it to an orderly end first (MODE-3).
                cancelled = exc
                self.stop()
        if cancelled is not None:
            raise cancelled

    async def result(self) -> R:
        """Wait for the end; return the result, or raise what made it fail. Cancelled, it stops the run and
        waits for its orderly end before it passes the cancellation on."""
        await self._until_ended()
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]

    def __await__(self) -> Generator[Any, None, R]:
        return self.result().__await__()

    async def ready(self) -> None:
        """Wait until it has caught up, or ended. An error that ended it is raised."""
        ended = await self._have_begun()
        assert self._ready is not None, "made with the other one"
        await self._ready.reached()
        if ended.is_resolved and self._error is not None:
            raise self._error

    async def watch(self) -> AsyncIterator[UpdateSnapshot[R]]:
        """Snapshots of the counts as they change, the first at once. The last one is READY and has the
        result. An error of the run is raised.

        In live mode READY means caught up; RUNNING follows while changes are processed.
        """
        ended = await self._have_begun()
        seen = -1
        told_ready = False
        while not ended.is_resolved:
            version = 0 if self._run is None else self._run.stats.version
            if version != seen or (self._caught_up and not told_ready):
                seen = version
                status = UpdateStatus.RUNNING
                if self._caught_up and not told_ready:
                    told_ready = True
                    status = UpdateStatus.READY
                yield UpdateSnapshot(self.stats() or UpdateStats({}), status, None)
                if ended.is_resolved:
                    break
            await self.pause(WATCH_INTERVAL_NS)
        if self._error is not None:
            raise self._error
        yield UpdateSnapshot(self.stats() or UpdateStats({}), UpdateStatus.READY, self._result)


class UpdateHandle(Handle[R]):
    """A running or ended update: await it, ask for its counts, watch it."""

    done_word = "updated"


class DropHandle(Handle[None]):
    """A running or ended drop."""

    done_word = "dropped"
