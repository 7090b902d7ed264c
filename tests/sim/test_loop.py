"""The loop does what stock asyncio does when nothing else is asked for, and keeps its promises when it is."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

from liveproof_sim import check
from liveproof_sim.errors import DeadlockError, EscapeError, LivelockError
from liveproof_sim.kernel.choices import Choices, Entry, Fifo, Kind
from liveproof_sim.kernel.loop import Fidelity, Limits, SimLoop, Timers, run_in
from tests.sim import programs


class Random(Fifo):
    """Uniform."""

    name = "random"

    def begin(self, choices: Choices, /) -> None:
        self.draw_one = choices.stream("test").randrange

    def pick(self, ready: list[Entry], clock: bool, /) -> int:
        return self.draw_one(len(ready) + clock)

    def draw(self, kind: Kind, label: str, options: int, /) -> int:
        return self.draw_one(options)


class Last(Fifo):
    """Always the last option that is no clock."""

    name = "last"

    def begin(self, choices: Choices, /) -> None:
        pass

    def pick(self, ready: list[Entry], clock: bool, /) -> int:
        return len(ready) - 1

    def draw(self, kind: Kind, label: str, options: int, /) -> int:
        return options - 1


@pytest.mark.parametrize("fidelity", list(Fidelity))
def test_generated_programs_agree_with_stock_asyncio(fidelity: Fidelity) -> None:
    for seed in range(1000):
        program = programs.generate(seed)
        loop = SimLoop(fidelity=fidelity, timers=Timers.LATE)
        assert run_in(loop, programs.run(program)) == programs.run_stock(programs.run(program)), program
        loop._check()


def test_generated_programs_end_under_any_order() -> None:
    for seed in range(150):
        for timers in Timers:
            loop = SimLoop(Choices(Random(), seed=seed), timers=timers)
            log = run_in(loop, programs.run(programs.generate(seed)))
            loop.choices._check()
            again = SimLoop(Choices(Random(), seed=seed), timers=timers)
            assert run_in(again, programs.run(programs.generate(seed))) == log


def test_promises_are_kept_in_any_order() -> None:
    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        log: list[str] = []
        future: asyncio.Future[None] = loop.create_future()
        for n in range(5):
            loop.call_soon(log.append, f"soon {n}")
            loop.call_later(1, log.append, f"timer {n}")
            future.add_done_callback(lambda _, n=n: log.append(f"done {n}"))  # type: ignore[misc]

        async def noise() -> None:
            for _ in range(3):
                await asyncio.sleep(0)

        future.set_result(None)
        await asyncio.gather(*(noise() for _ in range(3)))
        await asyncio.sleep(2)
        return log

    for seed in range(100):
        log = run_in(SimLoop(Choices(Random(), seed=seed), timers=Timers.LATE), main())
        for kind in ("soon", "timer", "done"):
            assert [x for x in log if x.startswith(kind)] == [f"{kind} {n}" for n in range(5)]


def test_every_task_order_is_reachable_and_plumbing_is_no_choice() -> None:
    async def main() -> str:
        log: list[str] = []

        async def worker(name: str) -> None:
            log.append(name)
            await asyncio.sleep(0)
            log.append(name.upper())

        await asyncio.gather(worker("a"), worker("b"))
        return "".join(log)

    orders = {run_in(SimLoop(Choices(Random(), seed=seed)), main()) for seed in range(200)}
    assert orders == {"aAbB", "abAB", "abBA", "baAB", "baBA", "bBaA"}


def test_a_waiter_behind_plumbing_may_overtake() -> None:
    # Stock asyncio runs the noise before main, which waits behind callbacks of gather; any-order need not.
    async def main() -> bool:
        seen = []

        async def noise() -> None:
            seen.append(1)

        async def nothing() -> None:
            pass

        task = asyncio.create_task(noise())
        await asyncio.gather(nothing(), nothing())
        early = not seen
        await task
        return early

    assert run_in(SimLoop(), main()) is False
    assert {run_in(SimLoop(Choices(Random(), seed=seed)), main()) for seed in range(50)} == {True, False}


def test_virtual_time_and_heartbeats() -> None:
    async def main() -> float:
        async def beat() -> None:
            for _ in range(100):
                await asyncio.sleep(1)

        await asyncio.gather(*(beat() for _ in range(10)))
        return asyncio.get_running_loop().time()

    assert run_in(SimLoop(), main()) == 100.0
    assert run_in(SimLoop(Choices(Random()), timers=Timers.LATE), main()) == 100.0


def test_a_late_timer_may_fire_before_a_ready_step() -> None:
    async def main() -> bool:
        try:
            async with asyncio.timeout(0.05):
                for _ in range(3):
                    await asyncio.sleep(0)
        except TimeoutError:
            return True
        return False

    def outcomes(timers: Timers, lateness_ns: int = 100_000_000) -> set[bool]:
        limits = Limits(lateness_ns=lateness_ns)
        return {
            run_in(SimLoop(Choices(Random(), seed=seed), timers=timers, limits=limits), main())
            for seed in range(60)
        }

    assert outcomes(Timers.DISCRETE) == {False}
    assert outcomes(Timers.LATE) == {False, True}
    assert outcomes(Timers.LATE, 49_000_000) == {False}


def test_threads_are_steps_and_their_completion_is_a_choice() -> None:
    def body(log: list[str], name: str) -> str:
        with pytest.raises(RuntimeError):
            asyncio.get_running_loop()
        log.append(name)
        return name

    async def main() -> str:
        log: list[str] = []

        async def worker(name: str) -> None:
            assert await asyncio.to_thread(body, log, name) == name
            log.append(name.upper())

        await asyncio.gather(worker("a"), worker("b"))
        return "".join(log)

    assert run_in(SimLoop(), main()) == "abAB"
    for fidelity in Fidelity:
        orders = {run_in(SimLoop(Choices(Random(), seed=s), fidelity=fidelity), main()) for s in range(300)}
        assert orders == {"aAbB", "abAB", "abBA", "baAB", "baBA", "bBaA"}


def test_the_real_world_is_refused_with_the_call_site() -> None:
    async def main() -> None:
        await asyncio.open_connection("localhost", 1)

    async def process() -> None:
        await asyncio.create_subprocess_exec("true")

    for scenario in (main, process):
        with pytest.raises(EscapeError, match=r"test_loop.py:\d+ in " + scenario.__name__):
            run_in(SimLoop(), scenario())


def test_deadlock_says_who_waits_for_what() -> None:
    async def main() -> None:
        gate = asyncio.Event()
        await gate.wait()

    with pytest.raises(DeadlockError, match=r"main#1 waits for Event 'gate' \(test_loop.py:\d+\)"):
        run_in(SimLoop(), main())


def test_livelock_is_told() -> None:
    async def main() -> None:
        while True:  # noqa: ASYNC110 - on purpose
            await asyncio.sleep(0)

    async def ticking() -> None:
        while True:  # noqa: ASYNC110 - on purpose
            await asyncio.sleep(1)

    with pytest.raises(LivelockError, match="no time passed"):
        run_in(SimLoop(), main())
    with pytest.raises(LivelockError, match="no end after 50000 steps"):
        run_in(SimLoop(), ticking())


def test_a_busy_wait_for_a_timer_is_no_livelock() -> None:
    async def main(delay: float) -> float:
        loop = asyncio.get_running_loop()
        rung: list[int] = []
        loop.call_later(delay, rung.append, 1)
        while not rung:  # noqa: ASYNC110 - on purpose
            await asyncio.sleep(0)
        return loop.time()

    assert run_in(SimLoop(), main(2)) == 2
    with pytest.raises(LivelockError):  # 10 000 steps do not take an hour
        run_in(SimLoop(), main(3600))


def test_async_generators_are_closed() -> None:
    log: list[str] = []

    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(0)
            log.append("closed")

    async def main() -> None:
        async for _ in numbers():
            break
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    run_in(SimLoop(), main())
    assert log == ["closed"]


def test_exceptions_reach_the_handler() -> None:
    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        seen: list[str] = []
        loop.set_exception_handler(lambda _, context: seen.append(str(context["exception"])))
        loop.call_soon(lambda: 1 / 0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return seen

    assert run_in(SimLoop(), main()) == ["division by zero"]
    loop = SimLoop()
    loop.call_soon(lambda: 1 / 0)

    async def nothing() -> None:
        await asyncio.sleep(0)

    run_in(loop, nothing())
    assert [type(each["exception"]) for each in loop.reported] == [ZeroDivisionError]


def test_a_runner_and_signals() -> None:
    async def main() -> list[int]:
        loop = asyncio.get_running_loop()
        got: list[int] = []
        assert isinstance(loop, SimLoop)
        loop.add_signal_handler(15, got.append, 15)
        loop.deliver_signal(15)
        await asyncio.sleep(1)
        return got

    with asyncio.Runner(loop_factory=SimLoop) as runner:
        assert runner.run(main()) == [15]


def test_names_of_tasks_are_the_same_in_each_execution() -> None:
    async def main() -> list[str]:
        async def nothing() -> None:
            pass

        tasks = [asyncio.create_task(nothing()) for _ in range(2)]
        await asyncio.gather(*tasks)
        return [task.get_name() for task in tasks]

    assert run_in(SimLoop(), main()) == run_in(SimLoop(), main()) == ["Task-2", "Task-3"]


def test_last_always_first_is_legal() -> None:
    for seed in range(50):
        run_in(SimLoop(Choices(Last())), programs.run(programs.generate(seed)))


def test_no_thread_was_made() -> None:
    async def main() -> Any:
        return await asyncio.to_thread(threading.active_count)

    assert run_in(SimLoop(), main()) == threading.active_count()


def test_an_abandoned_async_generator_is_closed_at_once_as_in_stock_asyncio() -> None:
    log: list[str] = []

    async def numbers() -> AsyncIterator[int]:
        try:
            for number in range(3):
                yield number
        finally:
            await asyncio.sleep(0)
            log.append("closed")

    async def main() -> None:
        log.clear()
        async for number in numbers():
            log.append(f"number {number}")
            break
        for _ in range(3):
            await asyncio.sleep(0)
        log.append("end")

    asyncio.run(main())
    stock = list(log)
    assert stock == ["number 0", "closed", "end"]
    assert check(main, strategy="fifo").failure is None
    assert log == stock
