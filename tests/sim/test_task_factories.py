"""Tasks that the program's own factory makes: the simulator orders them as stock asyncio does, and finds what
is wrong in them. From Python 3.12 on, also eager ones, which run before anybody schedules them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from liveproof_sim import Status, check, replay

Factory = Callable[..., asyncio.Task[Any]]


def own(loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, Any], **options: Any) -> asyncio.Task[Any]:
    return asyncio.Task(coro, loop=loop, **options)


FACTORIES: dict[str, Factory | None] = {"none": None, "own": own}
if hasattr(asyncio, "eager_task_factory"):
    FACTORIES["eager"] = asyncio.eager_task_factory

every_factory = pytest.mark.parametrize("factory", FACTORIES.values(), ids=list(FACTORIES))


@every_factory
def test_groups_timeouts_and_queues_go_on_as_in_stock_asyncio(factory: Factory | None) -> None:
    log: list[object] = []

    async def at_once(what: str) -> str:
        log.append(what)
        return what

    async def worker(number: int, queue: asyncio.Queue[int]) -> None:
        log.append(f"worker {number} began")
        await asyncio.sleep(0)
        await queue.put(number)
        if number == 2:
            await asyncio.sleep(1)
        log.append(f"worker {number} ends")

    async def main() -> None:
        log.clear()
        asyncio.get_running_loop().set_task_factory(factory)
        queue: asyncio.Queue[int] = asyncio.Queue()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(worker(number, queue)) for number in range(3)]
            log.append([task.done() for task in tasks])
            log.append(group.create_task(at_once("quick"), name="quick").done())
            log.append(await queue.get())
        log.append(await asyncio.gather(at_once("a"), at_once("b")))
        for limit in (asyncio.timeout(0.01), asyncio.timeout(0)):
            with pytest.raises(TimeoutError):
                async with limit:
                    await asyncio.Event().wait()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.sleep(1), 0.01)
        log.append(await asyncio.wait_for(at_once("c"), 1))

    asyncio.run(main())
    stock = list(log)
    assert check(main, strategy="fifo").status is Status.PROVED_WITHIN
    assert log == stock
    assert check(main, executions=200).status is Status.SAMPLED


@every_factory
def test_a_lost_update_is_found_shrunk_and_replayed(factory: Factory | None) -> None:
    async def scenario() -> None:
        asyncio.get_running_loop().set_task_factory(factory)
        total = 0

        async def add() -> None:
            nonlocal total
            seen = total
            await asyncio.sleep(0)
            total = seen + 1

        await asyncio.gather(add(), add())
        assert total == 2

    verdict = check(scenario)
    assert verdict.failure is not None
    assert "add#2" in verdict.failure.report
    assert replay(scenario, verdict.failure.token).status is Status.FAILED


@every_factory
def test_what_fails_before_it_is_scheduled_is_told(factory: Factory | None) -> None:
    async def broken() -> None:
        raise LookupError("at once")

    async def scenario() -> None:
        asyncio.get_running_loop().set_task_factory(factory)
        task = asyncio.create_task(broken())
        await asyncio.sleep(0)
        assert task.done()

    verdict = check(scenario, strategy="fifo")
    assert verdict.failure is not None
    assert "broken#1 failed, and nobody looked: LookupError('at once')" in str(verdict.failure.exception)
