"""A target that is a dict, and apps over it, for the tests of the page."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import liveproof as coco
from liveproof.errors import StoppedError

DEADLINE_S = 30.0

_numbers = itertools.count()


async def eventually(holds: Callable[[], bool], what: object = "") -> None:
    """Wait until it holds; fail when it does not for long."""
    deadline = asyncio.get_running_loop().time() + DEADLINE_S
    while not holds():
        assert asyncio.get_running_loop().time() < deadline, what
        await asyncio.sleep(0.002)


class Shelf:
    """A target that holds values by key."""

    def __init__(self) -> None:
        self.held: dict[Any, Any] = {}
        self.writes = 0
        self.sink: coco.TargetActionSink[tuple[Any, Any], None] = coco.TargetActionSink.from_fn(self._apply)
        self.target = coco.register_root_target_states_provider(f"tests/page/{next(_numbers)}", self)

    def reconcile(
        self,
        key: coco.StableKey,
        desired_target_state: str | coco.NonExistenceType,
        prev_possible_records: Collection[str],
        prev_may_be_missing: bool,
        /,
    ) -> coco.TargetReconcileOutput[tuple[Any, Any], str, None] | None:
        if not prev_may_be_missing and list(prev_possible_records) == [desired_target_state]:
            return None
        return coco.TargetReconcileOutput((key, desired_target_state), self.sink, desired_target_state)

    def _apply(self, context_provider: coco.ContextProvider, actions: Sequence[tuple[Any, Any]]) -> None:
        for key, value in actions:
            self.writes += 1
            if coco.is_non_existence(value):
                self.held.pop(key, None)
            else:
                self.held[key] = value


class Runs:
    """Runs main functions as one app over one store."""

    def __init__(self, base: Path) -> None:
        self._store = base / "state.db"
        self.failures: list[tuple[type[BaseException], str]] = []

    def _environment(self) -> coco.Environment:
        def failed(exception: BaseException, context: coco.ExceptionContext) -> None:
            self.failures.append((type(exception), str(exception)))

        settings = coco.Settings(db_path=self._store, durability="process")
        return coco.Environment(settings, exception_handler=failed)

    async def catch_up(self, main: Callable[..., Any], *args: Any) -> None:
        """One update in catch-up mode."""
        environment = self._environment()
        try:
            async with asyncio.timeout(DEADLINE_S):
                await coco.App(coco.AppConfig("page", environment), main, *args).update()
        finally:
            environment.close()

    @contextlib.asynccontextmanager
    async def live(self, main: Callable[..., Any], *args: Any) -> AsyncIterator[coco.UpdateHandle[Any]]:
        """A live update that has caught up; stopped at the end of the block."""
        environment = self._environment()
        app: coco.App[..., Any] = coco.App(coco.AppConfig("page", environment), main, *args)
        handle = app.update(live=True)
        try:
            async with asyncio.timeout(DEADLINE_S):
                async for snapshot in handle.watch():
                    if snapshot.status is coco.UpdateStatus.READY:
                        break
            yield handle
        finally:
            handle.stop()
            async with asyncio.timeout(DEADLINE_S):
                with contextlib.suppress(StoppedError):
                    await handle
            environment.close()
