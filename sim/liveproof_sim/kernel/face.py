"""The part of a loop that programs talk to and that decides nothing: futures, tasks, executors, async
generators, exception handlers, signals."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any, TypeVar, cast

from liveproof_sim.kernel.accesses import Accesses
from liveproof_sim.kernel.jobs import Jobs
from liveproof_sim.kernel.naming import EAGER, function_name
from liveproof_sim.kernel.surface import Refusing
from liveproof_sim.kernel.traced import TracedFuture, TracedTask

__all__ = ["Face"]

T = TypeVar("T")


class Tasks(list[asyncio.Task[Any]]):
    """All tasks that were made, in order. A class of its own, so that ``power.py`` can be told of each."""


class Face(Refusing):
    """See the module. What decides is in :class:`liveproof_sim.kernel.loop.SimLoop`."""

    accesses: Accesses | None
    jobs: Jobs
    add_external: Callable[..., None]

    def __init__(self) -> None:
        self.tasks = Tasks()
        self.reported: list[dict[str, Any]] = []  # what reached the exception handler
        self._closed = False
        self._task_factory: Any = None
        self._exception_handler: Any = None
        self._asyncgen_refs: dict[int, tuple[weakref.ref[Any], Context]] = {}  # a set of them would have no order
        self._asyncgens_begun = 0

    def is_closed(self) -> bool:
        return self._closed

    def _check_closed(self) -> None:
        if self._closed:
            raise RuntimeError("Event loop is closed")

    # ---- futures, tasks, threads

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self) if self.accesses is None else TracedFuture(loop=self)

    def create_task(
        self, coro: Any, *, name: Any = None, context: Context | None = None, **options: Any
    ) -> asyncio.Task[Any]:
        self._check_closed()
        if self._task_factory is not None:
            task = cast(
                "asyncio.Task[Any]", self._task_factory(self, coro, **_given(context=context), **options)
            )
            if name is not None:
                task.set_name(name)
        else:
            if name is None:
                name = f"Task-{len(self.tasks) + 1}"  # asyncio's own numbers count across loops
            kind = asyncio.Task if self.accesses is None else TracedTask
            task = kind(coro, loop=self, name=name, context=context, **options)
        if task.done():  # eagerly, so that it has let go of its coroutine
            setattr(task, EAGER, function_name(coro))
        self.tasks.append(task)
        return task

    def set_task_factory(self, factory: Any) -> None:
        self._task_factory = factory

    def get_task_factory(self) -> Any:
        return self._task_factory

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:  # type: ignore[override]
        self._check_closed()
        return self.jobs.start(func, args).future

    def set_default_executor(self, executor: Any) -> None:
        pass

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - asyncio's
        pass

    # ---- async generators

    @property
    def _asyncgens(self) -> list[Any]:
        """Those that have begun and not ended, in the order of their beginnings."""
        found = (reference() for reference, _ in self._asyncgen_refs.values())
        return [agen for agen in found if agen is not None and agen.ag_frame is not None]

    def abandon_asyncgens(self, dead: Callable[[Context], bool]) -> list[Any]:
        """Forget those that began in such contexts, without closing them, and return them."""
        found: list[Any] = []
        for number, (reference, context) in list(self._asyncgen_refs.items()):
            if dead(context):
                del self._asyncgen_refs[number]
                found.append(reference())
        return [agen for agen in found if agen is not None]

    def _asyncgen_first(self, agen: Any) -> None:
        self._asyncgen_refs[self._asyncgens_begun] = (weakref.ref(agen), copy_context())
        self._asyncgens_begun += 1

    def _asyncgen_final(self, agen: Any) -> None:
        """Nobody refers to it any more: as in asyncio, a task closes it."""
        if not self._closed:
            _ = self.create_task(agen.aclose())

    async def shutdown_asyncgens(self) -> None:
        open_ones = self._asyncgens
        self._asyncgen_refs.clear()
        await asyncio.gather(*(agen.aclose() for agen in open_ones), return_exceptions=True)

    # ---- errors, debugging, signals

    def set_exception_handler(self, handler: Any) -> None:
        self._exception_handler = handler

    def get_exception_handler(self) -> Any:
        return self._exception_handler

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        self.reported.append(context)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if self._exception_handler is None:
            self.reported.append(context)
            return
        try:
            self._exception_handler(self, context)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001 - as asyncio does: a broken handler is reported
            self.reported.append({"message": "Unhandled error in exception handler", "exception": error})

    def get_debug(self) -> bool:
        return False

    def set_debug(self, enabled: bool) -> None:
        pass

    def add_signal_handler(self, sig: int, callback: Any, *args: Any) -> None:  # type: ignore[override]
        self.jobs.signals[sig] = (callback, args)

    def remove_signal_handler(self, sig: int) -> bool:
        return self.jobs.signals.pop(sig, None) is not None

    def deliver_signal(self, sig: int) -> None:
        """For the scenario: what a signal from outside would do."""
        callback, args = self.jobs.signals[sig]
        self.add_external(lambda: callback(*args))


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}
