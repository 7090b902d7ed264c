"""A live component that just repeats a function."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any, ParamSpec

from liveproof.core.component import call_function
from liveproof.core.context import current
from liveproof.core.function import Function
from liveproof.core.operator import LiveComponent, LiveComponentOperator

__all__ = ["auto_refresh"]

P = ParamSpec("P")


def auto_refresh(process_fn: Callable[P, Any], *, interval: datetime.timedelta) -> type[LiveComponent]:
    """A live component class that runs ``process_fn`` again and again, ``interval`` after each end.

    In catch-up mode it runs once. A failing cycle goes to the exception handlers, and the next one comes.

    Raises:
        TypeError: ``process_fn`` is not callable, or ``interval`` not a ``timedelta``.
        ValueError: ``interval`` is not positive.
    """
    if not callable(process_fn):
        raise TypeError(f"auto_refresh() takes a function, not {process_fn!r}")
    if not isinstance(interval, datetime.timedelta):
        raise TypeError(f"interval is a datetime.timedelta, not {type(interval).__name__}")
    if interval <= datetime.timedelta(0):
        raise ValueError(f"interval must be positive, not {interval}")
    interval_ns = interval // datetime.timedelta(microseconds=1) * 1000

    class AutoRefresh:
        """Runs a function at intervals."""

        __coco_subpath_name__ = getattr(process_fn, "__name__", None)

        def __init__(self, *args: P.args, **kwargs: P.kwargs) -> None:
            self._args = args
            self._kwargs = kwargs

        async def process(self) -> None:
            raw = process_fn.raw if isinstance(process_fn, Function) else process_fn
            run = current("auto_refresh()").cycle.run
            await call_function(run, raw, self._args, self._kwargs)

        async def process_live(self, operator: LiveComponentOperator) -> None:
            run = current("auto_refresh()").cycle.run
            await operator.update_full()
            await operator.mark_ready()
            while True:
                await run.sleep(interval_ns)
                await operator.update_full()

    AutoRefresh.__name__ = f"auto_refresh({AutoRefresh.__coco_subpath_name__})"
    return AutoRefresh
