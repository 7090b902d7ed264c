"""Where apps run: settings, lifespans, provided values, loops, threads, and the small tools of a component."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import functools
import gc
import threading
import uuid
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import pytest

import liveproof as coco
from liveproof.environment import LazyEnvironment
from tests.contract.oracle import Symbol, read_store
from tests.contract.world import Machine, World, at, declare, ends, run, running_live, ticks, until, world

KEY: coco.ContextKey[str] = coco.ContextKey("tests.contract/environment")
OTHER: coco.ContextKey[list[str]] = coco.ContextKey("tests.contract/environment/other")

Main = Callable[..., Any]


def machine_of(tmp_path: Path, **options: Any) -> Machine:
    return Machine(tmp_path / "s.db", World(), **options)


def app_in(env: coco.Environment | LazyEnvironment, main: Main, name: str = "app") -> coco.App[[], Any]:
    return coco.App(coco.AppConfig(name, environment=env), main)


async def idle() -> str:
    await ticks(1)
    return "done"


async def leaf(key: str, value: object = 1) -> None:
    declare(key, value)


@pytest.fixture(autouse=True)
def _no_store_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LIVEPROOF_DB", raising=False)


# Where the store is --------------------------------------------------------------------------------------------


def test_settings_name_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVEPROOF_DB", str(tmp_path / "no.db"))
    for given in (tmp_path / "a.db", str(tmp_path / "b.db")):
        env = coco.Environment(coco.Settings(given))
        run(lambda: app_in(env, idle).update().result())  # noqa: B023
        env.close()
        assert Path(given).exists()
    assert not (tmp_path / "no.db").exists()


def test_the_variable_names_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVEPROOF_DB", str(tmp_path / "deep" / "env.db"))
    for settings in (None, coco.Settings(), coco.Settings.from_env()):
        env = coco.Environment(settings)
        run(lambda: app_in(env, idle).update().result())  # noqa: B023
        env.close()
        assert (tmp_path / "deep" / "env.db").exists()
        (tmp_path / "deep" / "env.db").unlink()
    assert coco.Settings.from_env(tmp_path / "x").db_path == tmp_path / "x"


def test_by_default_the_store_is_beside_the_file_of_the_app(tmp_path: Path) -> None:
    file = tmp_path / "app" / "main.py"
    file.parent.mkdir()
    file.write_text("async def main() -> str:\n    return 'done'\n")
    names: dict[str, Any] = {}
    exec(compile(file.read_text(), str(file), "exec"), names)
    env = coco.Environment(coco.Settings())
    assert run(lambda: app_in(env, names["main"]).update().result()) == "done"
    env.close()
    assert (tmp_path / "app" / ".liveproof" / "state.db").exists()


def test_a_relative_path_is_made_absolute_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    env = coco.Environment(coco.Settings("s.db"))

    async def main() -> None:
        monkeypatch.chdir("/")

    run(lambda: app_in(env, main).update().result())
    env.close()
    assert (tmp_path / "s.db").exists()


def test_a_store_that_can_not_be_opened_is_an_error_of_the_update(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    env = coco.Environment(coco.Settings(tmp_path / "file" / "s.db"))

    async def go() -> None:
        with pytest.raises(Exception, match="file") as caught:
            await app_in(env, idle).update()
        assert type(caught.value).__name__ == "StoreUnavailableError"

    run(go)


# Lifespans -----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def noting(log: list[str], name: str) -> Iterator[str]:
    log.append(f"+{name}")
    try:
        yield name
    finally:
        log.append(f"-{name}")


@contextlib.asynccontextmanager
async def noting_async(log: list[str], name: str) -> AsyncIterator[str]:
    await ticks(1)
    with noting(log, name) as value:
        yield value
    await ticks(1)


def lazy(tmp_path: Path, log: list[str], *, is_async: bool) -> LazyEnvironment:
    env = LazyEnvironment("lazy")
    first: coco.ContextKey[str] = coco.ContextKey("first")
    second: coco.ContextKey[str] = coco.ContextKey("second")

    def setup(builder: coco.EnvironmentBuilder) -> None:
        builder.settings.db_path = tmp_path / "s.db"
        log.append("setup")
        assert builder.provide(KEY, "provided") == "provided"
        assert builder.provide_with(first, noting(log, "first")) == "first"

    async def of_async(builder: coco.EnvironmentBuilder) -> AsyncIterator[None]:
        setup(builder)
        assert await builder.provide_async_with(second, noting_async(log, "second")) == "second"
        async with noting_async(log, "own"):
            yield

    def of_sync(builder: coco.EnvironmentBuilder) -> Iterator[None]:
        setup(builder)
        builder.provide_with(second, noting(log, "second"))
        with noting(log, "own"):
            yield

    env.lifespan(of_async if is_async else of_sync)
    return env


@pytest.mark.parametrize("is_async", [False, True])
def test_a_lifespan_surrounds_the_updates(tmp_path: Path, is_async: bool) -> None:
    log: list[str] = []
    env = lazy(tmp_path, log, is_async=is_async)

    async def main() -> str:
        log.append("main")
        return coco.use_context(KEY)

    async def go() -> None:
        app = app_in(env, main)
        assert log == [], "not before it is needed"
        for _ in range(2):
            assert await app.update() == "provided"
        assert (await env.start()).get_context(KEY) == "provided"
        await env.stop()
        await env.stop()

    run(go)
    assert log == [
        "setup", "+first", "+second", "+own", "main", "main", "-own", "-second", "-first",
    ]  # fmt: skip
    log.clear()
    run(go)
    assert log[0] == "setup", "it can be started again"


@pytest.mark.parametrize("is_async", [False, True])
def test_a_lifespan_is_entered_once_by_updates_that_start_together(tmp_path: Path, is_async: bool) -> None:
    log: list[str] = []
    env = lazy(tmp_path, log, is_async=is_async)

    async def go() -> None:
        apps = [app_in(env, idle, name) for name in "abc"]
        assert await asyncio.gather(*(app.update().result() for app in apps)) == ["done"] * 3
        await env.stop()

    run(go)
    assert log.count("setup") == 1


@pytest.mark.parametrize("place", ["before", "after"])
@pytest.mark.parametrize("is_async", [False, True])
def test_an_error_in_a_lifespan(tmp_path: Path, place: str, is_async: bool) -> None:
    """What had been entered is left; the error is the update's, or the stop's."""
    log: list[str] = []
    env = LazyEnvironment()
    first: coco.ContextKey[str] = coco.ContextKey("first")

    def sync(builder: coco.EnvironmentBuilder) -> Iterator[None]:
        builder.settings.db_path = tmp_path / "s.db"
        builder.provide_with(first, noting(log, "first"))
        if place == "before":
            raise KeyError("broken")
        yield
        raise KeyError("broken")

    async def asynchronous(builder: coco.EnvironmentBuilder) -> AsyncIterator[None]:
        with contextlib.contextmanager(sync)(builder):
            yield

    env.lifespan(asynchronous if is_async else sync)

    async def go() -> None:
        app = app_in(env, idle)
        if place == "before":
            for _ in range(2):
                with pytest.raises(KeyError, match="broken"):
                    await app.update()
        else:
            assert await app.update() == "done"
            with pytest.raises(KeyError, match="broken"):
                await env.stop()

    run(go)
    times = 2 if place == "before" else 1
    assert log == ["+first", "-first"] * times


def test_what_is_no_lifespan(tmp_path: Path) -> None:
    def no_generator(builder: coco.EnvironmentBuilder) -> None: ...

    wrong: Any = coco.lifespan
    with pytest.raises(TypeError, match="yields once"):
        wrong(no_generator)
    log: list[str] = []
    env = lazy(tmp_path, log, is_async=False)

    async def go() -> None:
        await app_in(env, idle).update()
        with pytest.raises(RuntimeError, match="has started"):
            env.lifespan(lambda _builder: iter([None]))
        await env.stop()

    run(go)


def test_the_default_environment(tmp_path: Path) -> None:
    log: list[str] = []

    @coco.lifespan
    def setup(builder: coco.EnvironmentBuilder) -> Iterator[None]:
        builder.settings.db_path = tmp_path / "s.db"
        builder.provide(KEY, "default")
        with noting(log, "lifespan"):
            yield

    assert callable(setup)

    async def main() -> str:
        return coco.use_context(KEY)

    async def go() -> None:
        app: coco.App[[], str] = coco.App("app", main)
        assert await app.update() == "default"
        assert (await coco.default_env()).get_context(KEY) == "default"
        await coco.stop()
        assert log == ["+lifespan", "-lifespan"]
        async with coco.runtime():
            assert await app.update() == "default"
            await app.update()
        assert log == ["+lifespan", "-lifespan"] * 2
        env = await coco.start()
        assert env.name == "default"
        await coco.stop()

    run(go)
    app: coco.App[[], str] = coco.App("app", main)
    log.clear()
    with coco.runtime():
        assert app.update_blocking() == "default"
        assert app.update_blocking() == "default"
    assert log == ["+lifespan", "-lifespan"], "once for the whole block"
    coco.start_blocking()
    coco.start_blocking()
    assert app.update_blocking() == "default"
    coco.stop_blocking()
    coco.stop_blocking()
    assert log == ["+lifespan", "-lifespan"] * 2
    log.clear()
    for _ in range(2):
        assert app.update_blocking() == "default"
    assert log == ["+lifespan", "-lifespan"] * 2, "each call for itself"
    app.drop_blocking()


def test_a_blocking_start_that_fails_leaves_no_loop(tmp_path: Path) -> None:
    env = LazyEnvironment()
    broken = [1]

    def setup(builder: coco.EnvironmentBuilder) -> Iterator[None]:
        if broken:
            raise KeyError("broken")
        builder.settings.db_path = tmp_path / "s.db"
        yield

    env.lifespan(setup)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(KeyError, match="broken"):
            env.start_blocking()
        assert env.runner is None
        gc.collect()
    broken.clear()
    env.start_blocking()
    assert app_in(env, idle).update_blocking() == "done"
    env.stop_blocking()


def test_blocking_calls_inside_a_loop_are_refused(tmp_path: Path) -> None:
    machine = machine_of(tmp_path)
    app = machine.app(idle)

    async def go() -> None:
        for call in (app.update_blocking, app.drop_blocking, coco.start_blocking, coco.stop_blocking):
            with pytest.raises(RuntimeError, match=r"event loop is running.*await"):
                call()
        assert await app.update() == "done"

    run(go)
    assert app.update_blocking() == "done"
    assert app.update_blocking() == "done"
    app.drop_blocking()
    machine.close()


# Explicit environments --------------------------------------------------------------------------------------------


def test_an_explicit_environment(tmp_path: Path) -> None:
    provider = coco.ContextProvider()
    provider.provide(KEY, "explicit")
    settings = coco.Settings(tmp_path / "s.db")
    env = coco.Environment(settings, name="mine", context_provider=provider)
    assert (env.name, env.settings, env.context_provider) == ("mine", settings, provider)
    assert env.get_context(KEY) == "explicit"
    with pytest.raises(KeyError, match=OTHER.key):
        env.get_context(OTHER)

    async def main() -> str:
        return coco.use_context(KEY)

    app = app_in(env, main)
    assert env.apps() == [app]
    assert run(lambda: app.update().result()) == "explicit"
    env.close()
    env.close()

    async def go() -> None:
        with pytest.raises(RuntimeError, match="'mine' is closed"):
            await app.update()

    run(go)


def test_a_provider_takes_a_key_once() -> None:
    provider = coco.ContextProvider()
    provider.provide(KEY, "first")
    with pytest.raises(ValueError, match=KEY.key):
        provider.provide(KEY, "second")
    assert provider.get(KEY) == provider.get(KEY.key) == provider.get(KEY.key, str) == "first"
    with pytest.raises(TypeError, match="str, not a int"):
        provider.get(KEY.key, int)
    with pytest.raises(TypeError, match="ContextKey"):
        provider.provide("key", 1)  # type: ignore[arg-type]


def test_an_environment_can_not_be_closed_while_it_is_in_use(tmp_path: Path) -> None:
    machine = machine_of(tmp_path)

    async def main() -> None:
        with pytest.raises(RuntimeError, match="running updates"):
            machine.env.close()
        declare("k", 1)

    run(lambda: machine.update(main))
    assert machine.world.target == {"k": "1"}
    machine.close()


def test_a_lazy_environment_can_not_be_stopped_while_it_is_in_use(tmp_path: Path) -> None:
    log: list[str] = []
    env = lazy(tmp_path, log, is_async=True)

    async def main() -> str:
        with pytest.raises(RuntimeError, match="running updates"):
            await env.stop()
        return coco.use_context(KEY)

    async def go() -> None:
        assert await app_in(env, main).update() == "provided"
        await env.stop()

    run(go)
    assert log[-1] == "-first"


def test_one_environment_on_two_loops_at_once_is_refused(tmp_path: Path) -> None:
    machine = machine_of(tmp_path)
    errors: list[BaseException] = []

    def elsewhere() -> None:
        async def go() -> None:
            await machine.app(idle, name="other").update()

        try:
            asyncio.run(go())
        except RuntimeError as error:
            errors.append(error)

    async def main() -> None:
        thread = threading.Thread(target=elsewhere)
        thread.start()
        await until(lambda: not thread.is_alive())
        declare("k", 1)

    run(lambda: machine.update(main))
    assert len(errors) == 1
    assert "another event loop" in str(errors[0])
    assert machine.world.target == {"k": "1"}
    errors.clear()
    elsewhere()
    assert errors == []
    machine.close()


# Updates beside each other ----------------------------------------------------------------------------------------


def test_an_update_waits_for_the_one_before(tmp_path: Path) -> None:
    machine = machine_of(tmp_path)
    inside: list[int] = []
    most: list[int] = []

    async def main() -> int:
        inside.append(1)
        most.append(len(inside))
        await ticks(10)
        inside.pop()
        return len(most)

    async def go() -> None:
        app = machine.app(main)
        assert await asyncio.gather(*(app.update().result() for _ in range(4))) == [1, 2, 3, 4]
        again = machine.app(main)
        assert sorted(await asyncio.gather(app.update().result(), again.update().result())) == [5, 6]

    run(go)
    assert max(most) == 1
    machine.close()


def test_an_update_beside_a_live_one_is_refused(tmp_path: Path) -> None:
    machine = machine_of(tmp_path)
    ready: list[int] = []

    class Live:
        async def process(self) -> None: ...

        async def process_live(self, operator: coco.LiveComponentOperator) -> None:
            await operator.mark_ready()
            ready.append(1)
            await asyncio.Event().wait()

    async def main() -> None:
        await coco.mount(Live)

    async def go() -> None:
        async with running_live(machine, main):
            await until(lambda: ready)
            for live in (False, True):
                with pytest.raises(RuntimeError, match="'app' is being updated live"):
                    await machine.app(idle).update(live=live)
            assert await machine.app(idle, name="other").update() == "done"
        assert await machine.app(idle).update() == "done"

    run(go)
    machine.close()


def test_a_waiting_update_can_be_cancelled(tmp_path: Path) -> None:
    machine = machine_of(tmp_path)

    async def go() -> None:
        gate = asyncio.Event()

        async def main() -> str:
            await gate.wait()
            return "first"

        first = machine.app(main).update()
        second = asyncio.ensure_future(machine.app(idle).update().result())
        await ticks(10)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await ends(second)
        gate.set()
        assert await first == "first"
        assert await machine.app(idle).update() == "done"

    run(go)
    machine.close()


# Apps ---------------------------------------------------------------------------------------------------------


class Program:
    """Main functions that are methods."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def plain(self, value: int) -> tuple[str, int]:
        return self.name, value

    @coco.fn
    async def decorated(self, value: int) -> tuple[str, int]:
        return self.name, value

    @coco.fn
    def decorated_sync(self, value: int) -> tuple[str, int]:
        return self.name, value


def add(left: int, right: int = 0) -> tuple[str, int]:
    return "add", left + right


@coco.fn
async def decorated_add(left: int, right: int = 0) -> tuple[str, int]:
    return "add", left + right


@pytest.mark.parametrize(
    ("main", "args", "kwargs", "result"),
    [
        (add, (1,), {"right": 2}, ("add", 3)),
        (decorated_add, (1, 2), {}, ("add", 3)),
        (functools.partial(add, 1), (2,), {}, ("add", 3)),
        (Program("p").plain, (1,), {}, ("p", 1)),
        (Program("p").decorated, (1,), {}, ("p", 1)),
        (Program("p").decorated_sync, (), {"value": 1}, ("p", 1)),
    ],
    ids=["sync", "fn", "partial", "method", "fn method", "sync fn method"],
)
def test_main_functions_and_their_arguments(
    tmp_path: Path, main: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: object
) -> None:
    env = coco.Environment(coco.Settings(tmp_path / "s.db"))
    app: coco.App[..., Any] = coco.App(coco.AppConfig("app", environment=env), main, *args, **kwargs)
    assert run(lambda: app.update().result()) == result
    for wrong in ((1, 2, 3, 4), ()):
        if wrong or not kwargs:
            with pytest.raises(TypeError, match="'app'"):
                coco.App(coco.AppConfig("app", environment=env), main, *wrong, no_such=1)
    env.close()


def test_what_is_no_app() -> None:
    wrong: Any = coco.App
    with pytest.raises(TypeError, match=r"AppConfig.*int"):
        wrong(5, idle)
    with pytest.raises(ValueError, match="name"):
        wrong("", idle)
    with pytest.raises(TypeError, match="main function"):
        wrong("app", "idle")


def test_a_sync_main_function_mounts_nothing_but_declares(tmp_path: Path) -> None:
    machine = machine_of(tmp_path)
    threads: list[bool] = []

    def main() -> str:
        threads.append(threading.current_thread() is threading.main_thread())
        declare("k", 1)
        return "sync"

    assert run(lambda: machine.update(main)) == "sync"
    assert machine.world.target == {"k": "1"}
    assert threads == [False]
    machine.close()


# Threads ------------------------------------------------------------------------------------------------------


class Heartbeat:
    """Counts how often the loop goes round."""

    def __init__(self) -> None:
        self.beats = 0
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.ensure_future(self._beat())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        assert self._task is not None
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _beat(self) -> None:
        while True:
            self.beats += 1
            await asyncio.sleep(0)

    def wait(self, count: int) -> None:
        """Block this thread until the loop has gone round so many times."""
        aim = self.beats + count
        pause = threading.Event()
        for _ in range(50_000):
            if self.beats >= aim:
                return
            pause.wait(0.0001)
        raise AssertionError("the event loop stands still")


@pytest.mark.parametrize("place", ["component", "fn", "sink", "main", "process", "auto_refresh"])
def test_blocking_work_does_not_stop_the_loop(tmp_path: Path, place: str) -> None:
    machine = machine_of(tmp_path)

    async def go() -> None:
        async with Heartbeat() as heart:

            def work() -> None:
                heart.wait(20)
                declare("k", 1)

            @coco.fn.as_async
            def adapted() -> None:
                work()

            def slow_sink(context: coco.ContextProvider, actions: Any) -> None:
                heart.wait(20)

            class Live:
                def process(self) -> None:
                    work()

                async def process_live(self, operator: coco.LiveComponentOperator) -> None:
                    await operator.update_full()

            async def main() -> None:
                if place == "component":
                    await coco.mount(at("c"), work)
                elif place == "fn":
                    await adapted()
                elif place == "sink":
                    sink = coco.TargetActionSink.from_fn(slow_sink)
                    coco.declare_target_state(BLOCKING.target_state("k", sink))
                    declare("k", 1)
                elif place == "process":
                    await coco.mount(at("c"), Live)
                else:
                    interval = datetime.timedelta(hours=1)
                    await coco.mount(at("c"), coco.auto_refresh(work, interval=interval))

            await machine.update(work if place == "main" else main)

    run(go)
    assert machine.world.target == {"k": "1"}
    machine.close()


class _Blocking:
    """Its value is the sink."""

    def reconcile(
        self, key: coco.StableKey, wanted: Any, before: Any, missing: bool, /
    ) -> coco.TargetReconcileOutput[Any, str] | None:
        return None if coco.is_non_existence(wanted) else coco.TargetReconcileOutput(key, wanted, "there")


BLOCKING = coco.register_root_target_states_provider("tests.contract/blocking", _Blocking())


def test_attach_in_the_threads_of_an_executor(tmp_path: Path) -> None:
    machine = machine_of(tmp_path)

    @coco.fn(memo=True)
    def computed(number: int) -> int:
        return number * 2

    def component() -> None:
        context = coco.get_component_context()

        def work(number: int) -> None:
            with context.attach():
                declare(f"k{number}", computed(number))
                with coco.component_subpath("deeper"):
                    assert str(coco.get_component_context()) == "/c/deeper"
                assert str(coco.get_component_context()) == "/c"
            with pytest.raises(RuntimeError, match="no component"):
                coco.get_component_context()

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, range(40)))

    async def main() -> None:
        await coco.mount(at("c"), component)

    for _ in range(2):
        run(lambda: machine.update(main))
        machine.close()
        assert machine.world.target == {f"k{number}": str(number * 2) for number in range(40)}
    assert len(machine.world.log) == 40
    run(lambda: machine.update(idle))
    assert machine.world.target == {}
    machine.close()


def test_an_executor_of_ones_own(tmp_path: Path) -> None:
    names: list[str] = []

    def main() -> None:
        names.append(threading.current_thread().name)

    with ThreadPoolExecutor(1, thread_name_prefix="mine") as pool:
        env = coco.Environment(coco.Settings(tmp_path / "s.db"), executor=pool)
        for _ in range(2):
            run(lambda: app_in(env, main).update().result())
        env.close()
        assert pool.submit(len, "abc").result() == 3, "it is not ours to shut down"
    assert [name[:4] for name in names] == ["mine", "mine"]


# map ----------------------------------------------------------------------------------------------------------


def test_map_returns_in_order_and_runs_at_the_same_time(tmp_path: Path) -> None:
    machine = machine_of(tmp_path)
    inside: list[int] = []
    most: list[int] = []

    async def work(item: int, plus: int, *, times: int) -> int:
        inside.append(item)
        most.append(len(inside))
        await ticks(10 - item)
        inside.remove(item)
        return (item + plus) * times

    async def stream() -> AsyncIterator[int]:
        for number in range(3):
            await ticks(1)
            yield number

    async def main() -> None:
        assert await coco.map(work, range(10), 1, times=2) == [2 * number + 2 for number in range(10)]
        assert max(most) == 10
        assert await coco.map(work, stream(), 0, times=1) == [0, 1, 2]
        assert await coco.map(work, [], 0, times=1) == []

    run(lambda: machine.update(main))
    machine.close()


def test_map_raises_the_first_failure_in_order_when_all_have_ended(tmp_path: Path) -> None:
    machine = machine_of(tmp_path)
    ended: list[int] = []

    async def work(item: int) -> int:
        await ticks(10 - item)
        ended.append(item)
        if item in (2, 4):
            raise KeyError(item)
        return item

    async def main() -> str:
        with pytest.raises(KeyError, match="2"):
            await coco.map(work, range(6))
        assert sorted(ended) == list(range(6))
        return "went on"

    assert run(lambda: machine.update(main)) == "went on"
    machine.close()


def test_map_cancels_its_calls_when_it_is_cancelled(tmp_path: Path) -> None:
    machine = machine_of(tmp_path)
    cancelled: list[int] = []
    began: list[int] = []

    async def work(item: int) -> None:
        began.append(item)
        try:
            await asyncio.Event().wait()
        finally:
            await ticks(3)
            cancelled.append(item)

    async def main() -> str:
        task = asyncio.ensure_future(coco.map(work, range(3)))
        await until(lambda: len(began) == 3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert sorted(cancelled) == [0, 1, 2], "they have ended by then"
        late = asyncio.ensure_future(coco.map(work, range(3, 6)))
        await ticks(1)
        late.cancel()
        with pytest.raises(asyncio.CancelledError):
            await late
        return "went on"

    assert run(lambda: machine.update(main)) == "went on"
    machine.close()


def test_map_leaves_nothing_behind_when_a_call_can_not_be_made(tmp_path: Path) -> None:
    machine = machine_of(tmp_path)

    async def body(item: int) -> int:
        return item

    def call(item: int) -> Any:
        if item == 2:
            raise KeyError(item)
        return body(item)

    async def main() -> None:
        with pytest.raises(KeyError, match="2"):
            await coco.map(call, [1, 2, 3])

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(lambda: machine.update(main))
        gc.collect()
    machine.close()


def test_map_declares_in_its_component(tmp_path: Path) -> None:
    machine = machine_of(tmp_path)

    async def work(key: str) -> str:
        declare(key, 1)
        return str(coco.get_component_context())

    async def child() -> None:
        assert await coco.map(work, "abc") == ["/c"] * 3

    async def main() -> None:
        await coco.mount(at("c"), child)

    run(lambda: machine.update(main))
    assert machine.world.target == {"a": "1", "b": "1", "c": "1"}
    machine.close()


# Paths --------------------------------------------------------------------------------------------------------


def paths_of(tmp_path: Path, main: Main) -> set[tuple[Any, ...]]:
    """The components that a run leaves in the store."""
    machine = machine_of(tmp_path)
    run(lambda: machine.update(main))
    machine.close()
    return {path for path, row in read_store(machine.path).components.items() if row.targets}


def test_subpaths_as_prefixes(tmp_path: Path) -> None:
    def key() -> str:
        return f"k{len(world().ran)}"

    async def child() -> None:
        world().ran.append("child")
        declare(key(), 1)

    async def main() -> None:
        with coco.component_subpath("a"):
            await coco.mount(at("x"), child)
            with coco.component_subpath("b", 1), coco.component_subpath("c"):
                await coco.mount(at("y") / "z", child)
                await coco.mount(child)
                assert str(coco.get_component_context()) == "/a/b/1/c"
                with pytest.raises(KeyError), coco.component_subpath("d"):
                    raise KeyError("left in order")
                await coco.mount(at("w"), child)
            await coco.mount_each(at("e"), child_of, [(1, 1)])
            await coco.use_mount(at("u"), child)
        await coco.mount(at("x"), child)
        assert str(coco.get_component_context()) == "/"

    async def child_of(_value: int) -> None:
        await child()

    assert paths_of(tmp_path, main) == {
        ("a", "x"), ("a", "b", 1, "c", "y", "z"), ("a", "b", 1, "c", Symbol("child")), ("a", "b", 1, "c", "w"),
        ("a", "e", 1), ("a", "u"), ("x",),
    }  # fmt: skip


def test_a_subpath_is_entered_once_at_a_time(tmp_path: Path) -> None:
    async def main() -> None:
        sub = coco.component_subpath("a")
        for _ in range(2):
            with sub:
                assert str(coco.get_component_context()) == "/a"
                with pytest.raises(RuntimeError, match="already entered"), sub:
                    pass
        assert str(coco.get_component_context()) == "/"
        declare("k", 1)

    assert paths_of(tmp_path, main) == {()}


def test_prefixes_belong_to_their_task(tmp_path: Path) -> None:
    async def one(name: str) -> None:
        with coco.component_subpath(name):
            await ticks(5)
            await coco.mount(at("c"), leaf, name)

    async def main() -> None:
        await asyncio.gather(*(one(name) for name in "abc"))

    assert paths_of(tmp_path, main) == {("a", "c"), ("b", "c"), ("c", "c")}


def test_a_prefix_in_process_live(tmp_path: Path) -> None:
    class Live:
        async def process(self) -> None: ...

        async def process_live(self, operator: coco.LiveComponentOperator) -> None:
            with coco.component_subpath("p"):
                await (await operator.update(at("c"), leaf, "k")).ready()
                await (await operator.update(at("d"), leaf, "l")).ready()
                await (await operator.delete(at("d"))).ready()

    async def main() -> None:
        await coco.mount(at("L"), Live)

    assert paths_of(tmp_path, main) == {("L", "p", "c")}


def test_names_that_collide_do_not(tmp_path: Path) -> None:
    """Symbol and str, bool and int, and keys that look alike are different components."""
    keys: list[coco.StableKey] = [
        coco.Symbol("x"), "x", "@x", b"x", True, 1, "1", False, 0, "", None, "None", ("x",), (("x",),), (),
        uuid.UUID(int=1), str(uuid.UUID(int=1)), -1, 2**80, "a/b", ("a", "b"),
    ]  # fmt: skip
    machine = machine_of(tmp_path)

    async def main() -> None:
        for number, key in enumerate(keys):
            await coco.mount(at(key), leaf, f"k{number}")

    for _ in range(2):
        run(lambda: machine.update(main))
        machine.close()
    assert len(machine.world.log) == len(machine.world.target) == len(keys)
    run(lambda: machine.update(idle))
    machine.close()
    assert machine.world.target == {}, "each was found again by its key"


def test_how_paths_are_shown() -> None:
    path = coco.ROOT_PATH / coco.Symbol("process") / "a.md" / 1 / None / "a/b" / "" / "@x" / b"\x00"
    assert str(path) == "/@process/a.md/1/None/'a/b'/''/'@x'/b'\\x00'"
    assert str(coco.ROOT_PATH) == "/"
    assert path.parts()[:2] == [coco.Symbol("process"), "a.md"]
    assert coco.StablePath((1,)) != coco.StablePath((True,))
    assert coco.StablePath((1,)) == coco.StablePath((1,))
    assert hash(coco.StablePath(("a",))) == hash(coco.StablePath(("a",)))


# auto_refresh -------------------------------------------------------------------------------------------------

SOON = datetime.timedelta(microseconds=100)


@pytest.mark.parametrize("sync", [False, True])
def test_auto_refresh_in_live_mode(tmp_path: Path, sync: bool) -> None:
    errors: list[str] = []
    machine = machine_of(tmp_path, handler=lambda error, context: errors.append(f"{context.stable_path}: {error}"))

    def body(name: str) -> None:
        world().ran.append(name)
        round_ = len(world().ran)
        if round_ == 2:
            raise ValueError("a bad day")
        declare("round", round_)
        declare(f"round {round_}", 1)

    async def asynchronous(name: str) -> None:
        await ticks(1)
        body(name)

    async def main() -> None:
        refresh = coco.auto_refresh(body if sync else asynchronous, interval=SOON)
        await (await coco.mount(at("R"), refresh, "name")).ready()
        world().ran.append("ready")

    async def go() -> None:
        async with running_live(machine, main):
            await until(lambda: "round 5" in machine.world.target)

    run(go)
    machine.close()
    assert machine.world.ran[0] == "name"
    assert "ready" in machine.world.ran[1:4]
    assert errors in (["/R: a bad day"], []), errors
    last = machine.world.target["round"]
    assert machine.world.target == {"round": last, f"round {last}": "1"}


def test_auto_refresh_in_catch_up_mode_runs_once(tmp_path: Path) -> None:
    machine = machine_of(tmp_path)

    async def body(*names: str) -> None:
        world().ran.append("body")
        await coco.mount_each(leaf, [(name, name) for name in names])

    def main_of(*names: str) -> Main:
        async def main() -> None:
            await coco.mount(coco.auto_refresh(body, interval=SOON), *names)

        return main

    run(lambda: machine.update(main_of("a", "b")))
    run(lambda: machine.update(main_of("b")))
    machine.close()
    assert machine.world.ran == ["body", "body"]
    assert machine.world.target == {"b": "1"}
    assert {path[0] for path in read_store(machine.path).components if path} == {Symbol("body")}


def test_auto_refresh_by_operator(tmp_path: Path) -> None:
    machine = machine_of(tmp_path)

    class Live:
        async def process(self) -> None: ...

        async def process_live(self, operator: coco.LiveComponentOperator) -> None:
            refresh = coco.auto_refresh(leaf, interval=SOON)
            await (await operator.update(at("r"), refresh, "k")).ready()

    async def main() -> None:
        await coco.mount(Live)

    run(lambda: machine.update(main))
    assert machine.world.target == {"k": "1"}
    machine.close()


def test_waiting_is_spelled_as_one_likes(tmp_path: Path) -> None:
    """A handle can be awaited itself, or its result; more than once, by several."""
    machine = machine_of(tmp_path)

    async def go() -> None:
        handle = machine.app(idle).update()
        waits: list[Awaitable[Any]] = [handle.result(), handle.result()]
        assert await asyncio.gather(*waits) == ["done", "done"]
        assert await handle == "done"
        dropped = machine.app(idle).drop()
        await dropped
        await dropped.result()

    run(go)
    machine.close()
