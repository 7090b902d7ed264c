"""Apps: a name, a main function, and what happens when they are updated or dropped."""

from __future__ import annotations

import datetime
import inspect
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Generic, ParamSpec, TypeVar, overload

import msgspec

from liveproof.abc.probe import NULL_PROBE
from liveproof.abc.store import Table
from liveproof.backends.asyncio_scheduler import has_running_loop, run
from liveproof.core.collect import delete_component
from liveproof.core.component import Cycle, load_record
from liveproof.core.function import Function
from liveproof.core.paths import encode_key
from liveproof.core.recovery import recover
from liveproof.core.run import Run
from liveproof.environment import Environment, LazyEnvironment, Session, default_lazy_env
from liveproof.errors import StoppedError
from liveproof.handles import DropHandle, Handle, UpdateHandle

__all__ = ["App", "AppConfig", "DropHandle", "UpdateHandle"]

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
H = TypeVar("H", bound="Handle[Any]")

MAX_INFLIGHT_COMPONENTS = 1024
"""Components in flight at once, unless the app says otherwise."""

class AppRecord(msgspec.Struct, array_like=True):
    """What the store knows of an app itself."""

    number: int
    """Runs so far."""
    ended: bool = True
    """Whether the last of them came to its end."""


@dataclass(frozen=True)
class AppConfig:
    """An app's name and where it runs."""

    name: str
    environment: Environment | LazyEnvironment = field(default_factory=default_lazy_env)
    max_inflight_components: int | None = None
    """Components in flight at once; ``None`` for the default."""


class App(Generic[P, R]):
    """A main function with its arguments, under a name that is stable across runs."""

    @overload
    def __init__(
        self: App[P, T],
        name_or_config: str | AppConfig,
        main_fn: Callable[P, Coroutine[Any, Any, T]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> None: ...
    @overload
    def __init__(
        self: App[P, T],
        name_or_config: str | AppConfig,
        main_fn: Callable[P, T],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> None: ...
    def __init__(
        self,
        name_or_config: str | AppConfig,
        main_fn: Callable[..., Any],
        /,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        config = AppConfig(name_or_config) if isinstance(name_or_config, str) else name_or_config
        if not isinstance(config, AppConfig):
            raise TypeError(f"an App takes a name or an AppConfig first, not {type(config).__name__}")
        if not config.name:
            raise ValueError("an app needs a name: it names its state in the store")
        if not callable(main_fn):
            raise TypeError(f"an App takes its main function second, not {main_fn!r}")
        self._config = config
        self._main_fn = main_fn
        self._args: tuple[Any, ...] = args
        self._kwargs: dict[str, Any] = kwargs
        try:
            raw = main_fn.raw if isinstance(main_fn, Function) else main_fn
            inspect.signature(raw).bind(*args, **kwargs)
        except TypeError as exc:
            raise TypeError(f"the arguments of app {config.name!r} do not fit its main function: {exc}") from None
        except ValueError:
            pass  # No signature to check against.
        config.environment.register(self)
        self._file = _file_of(main_fn)

    @property
    def name(self) -> str:
        return self._config.name

    @property
    def config(self) -> AppConfig:
        return self._config

    # ---- environments

    def ready_environment(self) -> Environment | None:
        """The environment, if it need not be started first."""
        env = self._config.environment
        if self._file is not None:
            env.locate(self._file)
        return env if isinstance(env, Environment) else None

    async def start_environment(self) -> Environment:
        """The environment, started."""
        env = self._config.environment
        if self._file is not None:
            env.locate(self._file)
        return env if isinstance(env, Environment) else await env.start()

    # ---- updating

    def update(
        self,
        *,
        live: bool = False,
        full_reprocess: bool = False,
        report_to_stdout: bool | datetime.timedelta = False,
    ) -> UpdateHandle[R]:
        """Run the app: process what has changed, bring the targets in line. Await the handle for the result.

        Args:
            live: go on after the catch-up, for as long as a live component runs.
            full_reprocess: use no memo, and apply every target state again.
            report_to_stdout: print progress; a ``timedelta`` says how often.

        Raises (from the handle):
            StoreError: the store can't be opened or written.
            RuntimeError: the app is running live already.
            Exception: whatever the main function raised.
        """
        interval = _interval(report_to_stdout)

        async def work(handle: Handle[R]) -> R:
            return await self._update(handle, live=live, full_reprocess=full_reprocess)

        handle: UpdateHandle[R] = UpdateHandle(self, work)
        if interval is not None:
            return _reported(handle, interval)
        return handle

    async def _update(self, handle: Handle[R], *, live: bool, full_reprocess: bool) -> R:
        session = handle.session
        await self._turn(handle)
        run, clean = self._new_run(session, live=live, full_reprocess=full_reprocess)
        session.running[self.name] = run
        try:
            if not clean:
                await recover(run)
            return await self._run_root(handle, run)
        finally:
            del session.running[self.name]
            for task in session.turns:
                session.scheduler.unpark(task)

    async def _turn(self, handle: Handle[Any]) -> None:
        """Wait until no other update of this app runs: two cycles of one path never overlap (ORD-6)."""
        session = handle.session
        task = session.scheduler.current()
        while (other := session.running.get(self.name)) is not None:
            if handle.stop_asked:
                raise StoppedError(f"the update of app {self.name!r} was cancelled before it began")
            if other.live:
                raise RuntimeError(f"app {self.name!r} is being updated live already: stop that update first")
            session.turns[task] = None
            try:
                await session.scheduler.park(f"the running update of app {self.name!r}")
            finally:
                session.turns.pop(task, None)

    def _new_run(self, session: Session, *, live: bool, full_reprocess: bool) -> tuple[Run, bool]:
        """A run, and whether the last one came to its end."""
        env = session.env
        key = encode_key(self.name)
        raw = session.ledger.get(Table.APP, key)
        record = AppRecord(0) if raw is None else msgspec.msgpack.decode(raw, type=AppRecord)
        clean = record.ended
        record.number += 1
        record.ended = False
        session.ledger.put([(Table.APP, key, msgspec.msgpack.encode(record))])
        session.ledger.serve()
        capacity = self._config.max_inflight_components
        run = Run(
            scheduler=session.scheduler,
            ledger=session.ledger,
            provider=env.context_provider,
            probe=env.probe,
            probing=env.probe is not NULL_PROBE,
            env_name=env.name,
            app_name=self.name,
            number=record.number,
            live=live,
            full_reprocess=full_reprocess,
            capacity=MAX_INFLIGHT_COMPONENTS if capacity is None else capacity,
            handlers=env.handlers,
        )
        return run, clean

    async def _run_root(self, handle: Handle[R], run: Run) -> R:
        root = Cycle(
            run,
            (),
            run.prefix,
            0,
            self._main_fn,
            self._args,
            self._kwargs,
            kind="mount",
            critical=True,
            handlers=run.handlers,
            rival={},
            record=load_record(run, run.prefix),
        )
        handle.attach(run)
        run.limiter.start(root)
        try:
            await root.ready.wait()
            handle.caught_up()
        except BaseException:
            run.stop()
            raise
        finally:
            await run.all_ended()
            await run.settler.drain()
            if run.settled:
                ended = AppRecord(run.number, ended=True)
                run.ledger.put([(Table.APP, run.prefix, msgspec.msgpack.encode(ended))])
            await run.ledger.drain()
        if run.ledger.failure is not None:
            raise run.ledger.failure
        if run.stopping:
            raise StoppedError(f"the update of app {self.name!r} was cancelled")
        result: R = root.result
        return result

    def update_blocking(
        self,
        *,
        live: bool = False,
        full_reprocess: bool = False,
        report_to_stdout: bool | datetime.timedelta = False,
    ) -> R:
        """:meth:`update`, from code without an event loop. Ctrl-C ends it in order."""

        async def main() -> R:
            return await self.update(
                live=live, full_reprocess=full_reprocess, report_to_stdout=report_to_stdout
            )

        return self._blocking(main)

    # ---- dropping

    def drop(self) -> DropHandle:
        """Remove all target states of the app, and all that the store knows of it. Await the handle.

        Raises (from the handle):
            ExceptionGroup: some could not be removed. They are remembered; drop again.
        """

        async def work(handle: Handle[None]) -> None:
            await self._drop(handle)

        return DropHandle(self, work)

    async def _drop(self, handle: Handle[None]) -> None:
        session = handle.session
        await self._turn(handle)
        run, clean = self._new_run(session, live=False, full_reprocess=False)
        session.running[self.name] = run
        handle.attach(run)
        try:
            if not clean:
                await recover(run)
            failures = await delete_component(run, run.prefix, owner=None)
            await run.settler.drain()
            if failures:
                raise ExceptionGroup(
                    f"app {self.name!r} could not be dropped completely; what is left is remembered",
                    [_exception(failure.error) for failure in failures],
                )
            run.ledger.put([(Table.APP, run.prefix, None)])
            await run.ledger.drain()
        finally:
            del session.running[self.name]
            for task in session.turns:
                session.scheduler.unpark(task)

    def drop_blocking(self, *, report_to_stdout: bool | datetime.timedelta = False) -> None:
        """:meth:`drop`, from code without an event loop."""
        interval = _interval(report_to_stdout)

        async def main() -> None:
            handle = self.drop()
            await (handle if interval is None else _reported(handle, interval))

        self._blocking(main)

    def _blocking(self, main: Callable[[], Coroutine[Any, Any, T]]) -> T:
        env = self._config.environment
        if has_running_loop():
            raise RuntimeError("an event loop is running in this thread: await app.update() or app.drop()")
        if isinstance(env, LazyEnvironment):
            if env.runner is not None:
                kept: T = env.runner.run(main())
                return kept
            if not env.started:

                async def started_for_this() -> T:
                    try:
                        return await main()
                    finally:
                        await env.stop()

                return run(started_for_this)
        return run(main)

    def __repr__(self) -> str:
        return f"<App {self.name!r}>"


def _exception(error: BaseException) -> Exception:
    return error if isinstance(error, Exception) else RuntimeError(repr(error))


def _file_of(fn: Any) -> str | None:
    code = getattr(inspect.unwrap(fn), "__code__", None)
    if code is None:
        return None
    name: str = code.co_filename
    return None if name.startswith("<") else name


def _interval(report: bool | datetime.timedelta) -> datetime.timedelta | None:
    if isinstance(report, datetime.timedelta):
        return report
    return datetime.timedelta(seconds=1) if report else None


def _reported(handle: H, interval: datetime.timedelta) -> H:
    from liveproof.progress import report  # noqa: PLC0415 - rich is slow to import, and seldom wanted

    return report(handle, interval)
