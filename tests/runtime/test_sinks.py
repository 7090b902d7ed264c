"""The queue of a sink."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import liveproof as coco
from liveproof.abc.scheduler import Scheduler
from liveproof.core.sinks import SinkQueue, Ticket


def test_a_batch_that_is_closed_is_not_applied_again() -> None:
    calls: list[list[str]] = []

    async def apply(_context: coco.ContextProvider, actions: Sequence[str]) -> None:
        calls.append(list(actions))
        await asyncio.sleep(0)

    sink: coco.TargetActionSink[Any, Any] = coco.TargetActionSink.from_async_fn(apply)
    queue = SinkQueue(cast("Scheduler", None), coco.ContextProvider(), sink)
    for together in (["a", "b"], ["a"]):
        calls.clear()
        applying = queue._apply([Ticket(sink, [action], lambda _ticket: None) for action in together])
        applying.send(None)
        applying.close()  # raises, if it goes on
        assert calls == [together]
