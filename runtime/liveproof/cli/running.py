"""``update`` and ``drop``: an app in its environment, followed to its end."""

from __future__ import annotations

import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from liveproof.backends.asyncio_scheduler import run
from liveproof.backends.sqlite_store import SqliteStore
from liveproof.cli.endings import ApplicationError, Exit, IncompleteError, Outcome, RefusedError
from liveproof.cli.interrupts import Interrupts
from liveproof.cli.output import Output
from liveproof.core.stats import UpdateStats
from liveproof.environment import Environment, LazyEnvironment
from liveproof.errors import StoppedError, StoreError, StoreUnavailableError
from liveproof.inspection import open_store, store_path
from liveproof.progress import report, stats_as_data

if TYPE_CHECKING:
    from liveproof.app import App, DropHandle, UpdateHandle

__all__ = ["Command", "in_environment", "require_confirmable"]

T = TypeVar("T")


async def _in_environment(
    app: App[Any, Any], interrupts: Interrupts, work: Callable[[Environment], Awaitable[T]]
) -> T:
    env = app.config.environment
    try:
        with interrupts.cancelling():
            try:
                started = await app.start_environment()
            except Exception as exc:
                raise ApplicationError(f"the lifespan of app {app.name!r} raised") from exc
        return await work(started)
    finally:
        with interrupts.cancelling():
            try:
                if isinstance(env, LazyEnvironment):
                    await env.stop()
                else:
                    env.close()
            except StoreError:
                raise
            except Exception as exc:
                raise ApplicationError(f"the end of the lifespan of app {app.name!r} raised") from exc


def in_environment(
    app: App[Any, Any], interrupts: Interrupts, work: Callable[[Environment], Awaitable[T]]
) -> T:
    """Run ``work(environment)`` between the beginning and the end of the app's environment."""
    try:
        return run(lambda: _in_environment(app, interrupts, work))
    except SystemExit as exc:
        raise ApplicationError(f"app {app.name!r} called sys.exit({exc.code!r}), which raises") from exc


def require_confirmable(force: bool, what: str) -> None:
    """Refuse, before anything is loaded, what nobody could confirm.

    Raises:
        RefusedError: nobody was asked, and nobody can be.
    """
    if not force and not sys.stdin.isatty():
        raise RefusedError(f"{what} has to be confirmed, and stdin is not a terminal: add --force")


@dataclass
class Command:
    """One ``update`` or ``drop``."""

    app: App[Any, Any]
    out: Output
    interrupts: Interrupts
    interval: timedelta
    data: dict[str, Any]
    """For the result of ``--json``; filled in on the way, so that a failure has it too."""

    def update(self, *, live: bool, full_reprocess: bool, reset: bool, force: bool) -> Outcome:
        """Update the app, after dropping it if it is to be ``reset``."""

        async def work(env: Environment) -> None:
            if reset and self._confirmed(env, force):
                await self._drop()
                if self.interrupts.received is not None:
                    raise StoppedError("stopped between the drop and the update")
            await self._follow(self.app.update(live=live, full_reprocess=full_reprocess), "main function")

        in_environment(self.app, self.interrupts, work)
        return self._ended()

    def drop(self, *, force: bool) -> Outcome:
        """Drop the app, once it is confirmed."""

        async def work(env: Environment) -> bool:
            if not self._confirmed(env, force):
                return False
            await self._drop()
            return True

        if not in_environment(self.app, self.interrupts, work):
            self.out.line(f"{self.app.name}: nothing to drop, it has never been updated")
        return self._ended()

    def _ended(self) -> Outcome:
        failures = self.data.get("total", {}).get("num_errors", 0)
        if not failures:
            return Outcome(data=self.data)
        times = "1 failure" if failures == 1 else f"{failures} failures"
        return Outcome(
            Exit.COMPONENT_FAILURES,
            f"{times} of components in app {self.app.name!r}; their previous target states stay. Fix the "
            "cause and update again: what succeeded is not repeated",
            data=self.data,
        )

    async def _drop(self) -> None:
        try:
            await self._follow(self.app.drop(), "drop")
        except ApplicationError as exc:
            if not isinstance(exc.__cause__, ExceptionGroup):
                raise
            for failure in exc.__cause__.exceptions:
                self.out.say(f"  {type(failure).__name__}: {failure}")
            raise IncompleteError(str(exc.__cause__.message)) from exc.__cause__

    async def _follow(self, handle: UpdateHandle[Any] | DropHandle, what: str) -> None:
        begun = time.monotonic()
        display = self.out.display(self.interval)
        if display is not None:
            report(handle, self.interval, display)
        with self.interrupts.asking(handle.stop):
            try:
                await handle
            except StoreError:
                raise
            except Exception as exc:
                raise ApplicationError(f"the {what} of app {self.app.name!r} raised") from exc
            finally:
                elapsed = {"app": self.app.name, "elapsed_s": round(time.monotonic() - begun, 3)}
                self.data |= elapsed | stats_as_data(handle.stats() or UpdateStats({}))

    def _confirmed(self, env: Environment, force: bool) -> bool:
        """Whether there is anything to drop. Returns only if it may be dropped.

        Raises:
            RefusedError: somebody said no.
        """
        path = store_path(env)
        found: str | None = "its target states"
        if env._store is None or isinstance(env._store, SqliteStore):
            found = _size_of(path, self.app.name)
        if found is None:
            return False
        if not force:
            question = f"Drop app {self.app.name!r} in {path}: remove {found} and all that is known of it?"
            if not click.confirm(question, err=True):
                raise RefusedError("not confirmed; nothing was changed")
        return True


def _size_of(path: Path, app: str) -> str | None:
    """What the store holds of an app, in words; ``None`` if nothing."""
    try:
        with open_store(path) as view:
            found = view.app(app)
    except StoreUnavailableError:
        if path.exists():
            raise
        return None
    if found is None:
        return None
    return f"its {found.targets} target state{'' if found.targets == 1 else 's'}"
