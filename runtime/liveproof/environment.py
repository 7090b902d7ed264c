"""Where apps run: the store, the provided values, the exception handler, and their lifetime."""

from __future__ import annotations

import contextlib
import inspect
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

from liveproof.abc.probe import NULL_PROBE
from liveproof.backends.asyncio_scheduler import (
    AsyncioScheduler,
    has_running_loop,
    make_lock,
    make_runner,
    running_loop,
)
from liveproof.backends.collector import relax, restore
from liveproof.backends.os_filesystem import OsFileSystem
from liveproof.backends.sqlite_store import SqliteStore
from liveproof.core.context import ContextKey, ExceptionHandler, HandlerChain
from liveproof.core.ledger import Ledger
from liveproof.core.provider import ContextProvider
from liveproof.settings import Settings

if TYPE_CHECKING:
    from liveproof.abc.filesystem import FileSystem
    from liveproof.abc.probe import Probe
    from liveproof.abc.scheduler import Scheduler
    from liveproof.abc.store import Store

__all__ = [
    "Environment",
    "EnvironmentBuilder",
    "LazyEnvironment",
    "LifespanFn",
    "default_env",
    "default_lazy_env",
    "lifespan",
    "runtime",
    "start",
    "start_blocking",
    "stop",
    "stop_blocking",
]

T = TypeVar("T")


class RegisteredApp(Protocol):
    """What an environment knows of its apps."""

    @property
    def name(self) -> str: ...


class EnvironmentBuilder:
    """What a lifespan function sets up."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings.from_env()
        self.context_provider = ContextProvider()
        self.exception_handler: ExceptionHandler | None = None

    def provide(self, key: ContextKey[T], value: T) -> T:
        """Provide a value to all components; returns it."""
        return self.context_provider.provide(key, value)

    def provide_with(self, key: ContextKey[T], cm: contextlib.AbstractContextManager[T]) -> T:
        """Enter ``cm`` until the environment stops, and provide what it yields."""
        return self.context_provider.provide_with(key, cm)

    async def provide_async_with(
        self, key: ContextKey[T], cm: contextlib.AbstractAsyncContextManager[T]
    ) -> T:
        """Enter ``cm`` until the environment stops, and provide what it yields."""
        return await self.context_provider.provide_async_with(key, cm)

    def set_exception_handler(self, handler: ExceptionHandler) -> None:
        """Let ``handler(exception, context)`` see every background failure that no inner handler ends."""
        self.exception_handler = handler


LifespanFn: TypeAlias = Callable[[EnvironmentBuilder], Iterator[None] | AsyncIterator[None]]


class Session:
    """An environment in use on one event loop: its scheduler, and the ledger over its store."""

    def __init__(self, env: Environment, loop: object) -> None:
        self.env = env
        self.loop = loop
        self.users = 0
        self._asyncio: AsyncioScheduler | None = None
        self.scheduler: Scheduler
        if env.make_scheduler is None:
            self._asyncio = AsyncioScheduler(executor=env.executor)
            self.scheduler = self._asyncio
        else:
            self.scheduler = env.make_scheduler()
        self.ledger = Ledger(env.store, self.scheduler)
        self.running: dict[str, Any] = {}
        """Runs by app name."""
        self.turns: dict[Any, None] = {}
        """Tasks that wait for such a run to end."""

    def close(self) -> None:
        """Let go of threads and timers."""
        self.ledger.close()
        if self._asyncio is not None:
            self._asyncio.close()


class Environment:
    """Settings, provided values and a store, shared by apps.

    Make one explicitly, or let the default environment be made by the :func:`lifespan`. ``executor`` runs
    sync functions; ``store``, ``filesystem``, ``make_scheduler`` and ``probe`` replace the real world.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        name: str | None = None,
        context_provider: ContextProvider | None = None,
        exception_handler: ExceptionHandler | None = None,
        executor: Executor | None = None,
        store: Store | None = None,
        filesystem: FileSystem | None = None,
        make_scheduler: Callable[[], Scheduler] | None = None,
        probe: Probe | None = None,
    ) -> None:
        self._settings = settings or Settings.from_env()
        self._name = name or "default"
        self._provider = context_provider or ContextProvider()
        self._provider.filesystem = filesystem or OsFileSystem()
        self._exception_handler = exception_handler
        self.executor = executor
        self.make_scheduler = make_scheduler
        self.probe: Probe = probe or NULL_PROBE
        self._store = store
        self._session: Session | None = None
        self._beside: str | None = None
        self._closed = False
        self._apps: weakref.WeakValueDictionary[str, RegisteredApp] = weakref.WeakValueDictionary()

    @property
    def name(self) -> str:
        return self._name

    @property
    def settings(self) -> Settings:
        return self._settings

    @property
    def context_provider(self) -> ContextProvider:
        return self._provider

    @property
    def exception_handler(self) -> ExceptionHandler | None:
        return self._exception_handler

    @property
    def handlers(self) -> HandlerChain | None:
        """The chain of handlers that the apps begin with."""
        return None if self._exception_handler is None else HandlerChain(self._exception_handler, None)

    def get_context(self, key: ContextKey[T]) -> T:
        """A provided value, for code outside components."""
        return self._provider.get(key)

    def locate(self, beside: str) -> None:
        """Tell where the first app's file is, in case the store is to be put beside it."""
        if self._beside is None:
            self._beside = beside

    @property
    def store(self) -> Store:
        """The store; opened when first asked for.

        Raises:
            StoreError: it can't be opened.
            RuntimeError: the environment is closed.
        """
        if self._closed:
            raise RuntimeError(f"environment {self._name!r} is closed")
        if self._store is None:
            self._store = SqliteStore(
                self._settings.resolve(self._beside), durability=self._settings.durability
            )
        return self._store

    def register(self, app: RegisteredApp) -> None:
        """Note an app, for listings."""
        self._apps[app.name] = app

    def apps(self) -> list[RegisteredApp]:
        """The apps that live in this environment."""
        return list(self._apps.values())

    def acquire(self) -> Session:
        """The session of the running loop. Give it back with :meth:`release`.

        Raises:
            RuntimeError: the environment is in use on another loop.
        """
        loop = running_loop()
        session = self._session
        if session is not None and session.users and session.loop is not loop:
            raise RuntimeError(
                f"environment {self._name!r} is in use on another event loop: wait until its updates have ended"
            )
        if session is None or session.loop is not loop:
            session = self._session = Session(self, loop)
        if session.users == 0:
            relax()
        session.users += 1
        return session

    async def release(self, session: Session) -> None:
        """Give a session back. The last user's leaving writes what is left."""
        try:
            if session.users == 1:
                await session.ledger.drain()
                await session.ledger.rest()
        finally:
            session.users -= 1
            if session.users == 0 and self._session is session:
                self._session = None
                restore()
                session.close()

    def close(self) -> None:
        """Release the store, so that it can be opened again. Provided values are their provider's to close.

        Raises:
            RuntimeError: an update is running.
        """
        if self._session is not None and self._session.users:
            raise RuntimeError(f"environment {self._name!r} has running updates: wait for them, then close it")
        self._closed = True
        if self._store is not None:
            self._store.close()
            self._store = None

    def __repr__(self) -> str:
        return f"<Environment {self._name!r}>"


class LazyEnvironment:
    """An environment that its lifespan function makes when it is first needed."""

    def __init__(self, name: str = "default") -> None:
        self._name = name
        self._lifespan: LifespanFn | None = None
        self._env: Environment | None = None
        self._stack: contextlib.AsyncExitStack | None = None
        self._starting: tuple[object, contextlib.AbstractAsyncContextManager[Any]] | None = None
        self._runner: Any = None
        self._beside: str | None = None
        self._apps: weakref.WeakValueDictionary[str, RegisteredApp] = weakref.WeakValueDictionary()

    @property
    def name(self) -> str:
        return self._name

    @property
    def started(self) -> bool:
        return self._env is not None

    @property
    def runner(self) -> Any:
        """The loop that :meth:`start_blocking` keeps, if it was called."""
        return self._runner

    def lifespan(self, fn: LifespanFn | None) -> None:
        """Set the lifespan function.

        Raises:
            RuntimeError: the environment has started already.
        """
        if self._env is not None:
            raise RuntimeError("the environment has started: register its lifespan before, or stop() it first")
        self._lifespan = fn

    def register(self, app: RegisteredApp) -> None:
        """Note an app, for listings."""
        self._apps[app.name] = app

    def apps(self) -> list[RegisteredApp]:
        """The apps that live in this environment."""
        return list(self._apps.values())

    def locate(self, beside: str) -> None:
        """Tell where the first app's file is, in case the store is to be put beside it."""
        if self._beside is None:
            self._beside = beside

    async def start(self) -> Environment:
        """Run the lifespan up to its ``yield``, unless it has run."""
        while self._env is None:
            # One start at a time, whoever asks first on this loop.
            if self._starting is None or self._starting[0] is not running_loop():
                self._starting = (running_loop(), make_lock())
            async with self._starting[1]:
                if self._env is None:
                    await self._start()
        return self._env

    async def _start(self) -> None:
        builder = EnvironmentBuilder()
        stack = contextlib.AsyncExitStack()
        try:
            stack.push_async_callback(builder.context_provider.aclose)
            if self._lifespan is not None:
                await _enter_lifespan(stack, self._lifespan, builder)
            env = Environment(
                builder.settings,
                name=self._name,
                context_provider=builder.context_provider,
                exception_handler=builder.exception_handler,
            )
            if self._beside is not None:
                env.locate(self._beside)
        except BaseException:
            await stack.aclose()
            raise
        self._env = env
        self._stack = stack

    async def stop(self) -> None:
        """Close the store and run the lifespan to its end. No effect if it has not started."""
        env, self._env = self._env, None
        stack, self._stack = self._stack, None
        try:
            if env is not None:
                env.close()
        except BaseException:
            self._env, self._stack = env, stack
            raise
        if stack is not None:
            await stack.aclose()

    def start_blocking(self) -> Environment:
        """Start on a loop of its own, which blocking calls use until :meth:`stop_blocking`."""
        if has_running_loop():
            raise RuntimeError("an event loop is running here: await start() instead")
        runner = self._runner or make_runner()
        try:
            started: Environment = runner.run(self.start())
        except BaseException:
            if self._runner is None:
                runner.close()
            raise
        self._runner = runner
        return started

    def stop_blocking(self) -> None:
        """Undo :meth:`start_blocking`."""
        if has_running_loop():
            raise RuntimeError("an event loop is running here: await stop() instead")
        runner, self._runner = self._runner, None
        if runner is None:
            runner = make_runner()
        with runner:
            runner.run(self.stop())


async def _enter_lifespan(
    stack: contextlib.AsyncExitStack, fn: LifespanFn, builder: EnvironmentBuilder
) -> None:
    if inspect.isasyncgenfunction(fn):
        await stack.enter_async_context(contextlib.asynccontextmanager(fn)(builder))
    elif inspect.isgeneratorfunction(fn):
        stack.enter_context(contextlib.contextmanager(fn)(builder))
    else:
        raise TypeError(f"a lifespan is a generator function that yields once, sync or async, not {fn!r}")


_default = LazyEnvironment()


def default_lazy_env() -> LazyEnvironment:
    """The default environment, started or not."""
    return _default


def lifespan(fn: LifespanFn) -> LifespanFn:
    """Register the function that sets the default environment up: up to its ``yield`` before the first
    update, the rest at the stop."""
    if not inspect.isasyncgenfunction(fn) and not inspect.isgeneratorfunction(fn):
        raise TypeError(f"a lifespan is a generator function that yields once, sync or async, not {fn!r}")
    _default.lifespan(fn)
    return fn


async def start() -> Environment:
    """Start the default environment."""
    return await _default.start()


async def stop() -> None:
    """Stop the default environment."""
    await _default.stop()


def start_blocking() -> Environment:
    """Start the default environment from code without an event loop."""
    return _default.start_blocking()


def stop_blocking() -> None:
    """Stop the default environment from code without an event loop."""
    _default.stop_blocking()


async def default_env() -> Environment:
    """The default environment, started if need be."""
    return await _default.start()


class _Runtime:
    """``with`` and ``async with`` in one."""

    def __enter__(self) -> None:
        start_blocking()

    def __exit__(self, *exc_info: object) -> None:
        stop_blocking()

    async def __aenter__(self) -> None:
        await start()

    async def __aexit__(self, *exc_info: object) -> None:
        await stop()


def runtime() -> _Runtime:
    """The default environment for the extent of a block, after ``with`` or ``async with``."""
    return _Runtime()
