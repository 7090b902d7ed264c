"""Functions off the loop, and calls that gather."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Callable
from typing import Any

import pytest

from liveproof.backends.asyncio_scheduler import AsyncioScheduler, run
from liveproof.core.context import current, enter, leave
from liveproof.core.decorator import fn
from tests.runtime.function_site import LOG, Site, context_at, declare, uses


@pytest.fixture(autouse=True)
def _clear_log() -> None:
    LOG.clear()


@fn
def helper(a: int) -> int:
    return a * 2


@fn(memo=True)
def work(a: int) -> tuple[int, str]:
    LOG.append(a)
    declare(b"target %d" % a)
    return (helper(a), "done")


class Holder:
    def __init__(self, n: int) -> None:
        self.n = n

    @fn.as_async(batching=True)
    def batched(self, items: list[int]) -> list[int]:
        LOG.append(list(items))
        return [self.n + item for item in items]


# --- off the loop, and in batches ---


@fn.as_async(memo=True)
def compute(a: int) -> tuple[int, ...]:
    LOG.append(a)
    return (helper(a),)


def in_component(main: Callable[[Site], Any]) -> Site:
    """Run ``main`` inside a component, under asyncio."""
    sites: list[Site] = []

    async def body() -> None:
        site = Site(AsyncioScheduler())
        sites.append(site)
        token = enter(context_at(site))
        try:
            await main(site)
        finally:
            leave(token)

    run(body)
    return sites[0]


def test_adapted_functions_are_remembered_too() -> None:
    async def main(site: Site) -> None:
        assert await compute(1) == await compute(1) == (2,)
        assert uses() == [compute.logic, helper.logic]
        assert await helper.as_async(3) == 6
        assert await work.as_async(4) == (8, "done")
        assert current().frame.outer is None

    in_component(main)
    assert LOG == [1, 4]


@fn.as_async(batching=True, max_batch_size=3, memo=True)
def embed(texts: list[str]) -> list[str]:
    LOG.append(list(texts))
    helper(1)
    if "bad" in texts:
        raise ValueError("bad text")
    return [text.upper() for text in texts if text != "lost"]


def test_concurrent_calls_gather() -> None:
    async def main(site: Site) -> None:
        found = await asyncio.gather(*(embed(text) for text in "abcde"))
        assert found == list("ABCDE")
        assert uses() == [embed.logic, helper.logic]
        assert await embed("a") == "A"  # Remembered one by one.

    in_component(main)
    assert LOG == [["a", "b", "c"], ["d", "e"]]
    assert embed._batchers == []


def test_a_failed_batch_fails_all_its_calls() -> None:
    async def main(site: Site) -> None:
        texts = ("a", "bad", "c", "d")
        found = await asyncio.gather(*map(embed, texts), return_exceptions=True)
        assert [type(result) for result in found] == [ValueError] * 3 + [str]
        with pytest.raises(ValueError, match="1 items and returned 0"):
            await embed("lost")

    in_component(main)


def test_cancelled_callers_do_not_hold_up_the_others() -> None:
    async def main(site: Site) -> None:
        tasks = [asyncio.ensure_future(embed(text)) for text in "abcdef"]
        await asyncio.sleep(0)
        tasks[0].cancel()  # The leader.
        tasks[2].cancel()
        tasks[5].cancel()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert [result for result in found if isinstance(result, str)] == ["B", "D", "E"]

    in_component(main)
    assert LOG == [["b", "d", "e"]]
    assert embed._batchers == []


def test_each_instance_has_its_own_batches() -> None:
    async def main(site: Site) -> None:
        one, two = Holder(10), Holder(20)
        assert list(await asyncio.gather(one.batched(1), two.batched(1), one.batched(2))) == [11, 21, 12]

    in_component(main)
    assert sorted(LOG) == [[1], [1, 2]]


def test_batches_outside_a_component() -> None:
    assert asyncio.run(embed("a")) == "A"
    assert asyncio.run(Holder(1).batched(2)) == 3
    with pytest.raises(TypeError, match="one positional argument"):
        asyncio.run(embed(texts="a"))  # type: ignore[call-arg]


def test_a_runner_runs_the_function() -> None:
    class Recorder:
        async def run(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
            LOG.append((function.__name__, args))
            return function(*args, **kwargs)

    @fn.as_async(runner=Recorder())
    def on_gpu(a: int) -> int:
        return a

    assert asyncio.run(on_gpu(7)) == 7
    assert LOG == [("on_gpu", (7,))]
    assert isinstance(on_gpu.__wrapped__, types.FunctionType)
