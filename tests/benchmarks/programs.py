"""The measured programs: one source, run against either implementation.

Every program gets the module to drive as an argument (``coco``: liveproof, or the reference
implementation, whose names liveproof follows), so that both run the same lines. The target is a
dictionary behind an asynchronous sink: it costs next to nothing, and afterwards it can be compared
with what it should hold, so that no row is fast by losing work.

A row has two numbers of wrongness. *late*: entries that were wrong in the target at the moment the row's
last ``ready()`` (or ``app.update()``) had returned. *lost*: entries still wrong after the app has ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import cProfile
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["ROWS", "Bench", "Outcome", "Row", "run_row"]


@dataclass
class Outcome:
    """What one measurement of one row found."""

    ns: int
    cpu_ns: int
    operations: int
    late: int
    lost: int
    extra: dict[str, float] = field(default_factory=dict)


class DictTarget:
    """A target that is a dictionary; its tracking record is the value itself."""

    def __init__(self, coco: Any) -> None:
        self.coco = coco
        self.entries: dict[str, str] = {}
        self.calls = 0
        self.actions = 0
        self._sink = coco.TargetActionSink.from_async_fn(self._apply)

    async def _apply(self, _context: object, actions: Sequence[tuple[str, str | None]], /) -> None:
        self.calls += 1
        self.actions += len(actions)
        for key, value in actions:
            if value is None:
                self.entries.pop(key, None)
            else:
                self.entries[key] = value

    def reconcile(
        self,
        key: Any,
        desired: Any,
        prev_possible_records: Collection[str],
        prev_may_be_missing: bool,
        /,
    ) -> Any:
        coco = self.coco
        if coco.is_non_existence(desired):
            if not prev_possible_records and not prev_may_be_missing:
                return None
            return coco.TargetReconcileOutput(action=(key, None), sink=self._sink, tracking_record=coco.NON_EXISTENCE)
        if not prev_may_be_missing and all(prev == desired for prev in prev_possible_records):
            return None
        return coco.TargetReconcileOutput(action=(key, desired), sink=self._sink, tracking_record=desired)

    def wrong(self, expected: dict[str, str]) -> int:
        """How many entries are missing, stale, or should not be there."""
        stale = sum(1 for key, value in expected.items() if self.entries.get(key) != value)
        return stale + sum(1 for key in self.entries if key not in expected)


def name(i: int) -> str:
    return f"row-{i:06d}"


def value(i: int, version: int = 0) -> str:
    return f"the value of row {i}, version {version}"


def contents(n: int, version: int = 0) -> dict[str, str]:
    return {name(i): value(i, version) for i in range(n)}


class Bench:
    """One environment on one store, with the functions that all rows use."""

    def __init__(
        self,
        coco: Any,
        store: Path,
        settings: dict[str, Any] | None = None,
        profile: cProfile.Profile | None = None,
    ) -> None:
        self.coco = coco
        self.profile = profile
        self.target = DictTarget(coco)
        self.environment = coco.Environment(coco.Settings(db_path=store, **(settings or {})), name="bench")
        self.ns = self.cpu_ns = 0
        provider = coco.register_root_target_states_provider("bench/dict", self.target)

        async def put(key: str, text: str) -> None:
            coco.declare_target_state(provider.target_state(key, text))

        async def put_memo(key: str, text: str) -> None:
            coco.declare_target_state(provider.target_state(key, text))

        self.put = coco.fn(put)
        self.put_memo = coco.fn(memo=True)(put_memo)

    @contextlib.contextmanager
    def clock(self) -> Iterator[None]:
        """The measured part: everything else is preparation or checking."""
        if self.profile is not None:
            self.profile.enable()
        start, cpu = time.perf_counter_ns(), time.process_time_ns()
        yield
        self.ns, self.cpu_ns = time.perf_counter_ns() - start, time.process_time_ns() - cpu
        if self.profile is not None:
            self.profile.disable()

    def app(self, title: str, main: Callable[..., Awaitable[None]], *args: Any) -> Any:
        config = self.coco.AppConfig(name=title, environment=self.environment)
        return self.coco.App(config, self.coco.fn(main), *args)

    async def warm_up(self) -> None:
        """Open the store and start the library's threads, outside of the clock."""

        async def nothing() -> None:
            pass

        await self.app("warm-up", nothing).update()

    def scan_app(self, put: Any, n: int) -> Any:
        """An app that mounts ``n`` components, one entry each."""
        coco = self.coco

        async def scan(n: int) -> None:
            for i in range(n):
                await coco.mount(coco.component_subpath(name(i)), put, name(i), value(i))

        return self.app("scan", scan, n)

    def outcome(self, operations: int, late: int, expected: dict[str, str]) -> Outcome:
        return Outcome(self.ns, self.cpu_ns, operations, late, self.target.wrong(expected))

    async def live(
        self,
        children: int,
        drive: Callable[[Any], Awaitable[None]],
        expected: dict[str, str],
        operations: int,
    ) -> Outcome:
        """Mount a live component with ``children`` children, then let ``drive`` use its operator."""
        bench, coco = self, self.coco
        late = -1

        class Driven:
            async def process(self) -> None:
                for i in range(children):
                    await coco.mount(coco.component_subpath(name(i)), bench.put, name(i), value(i))

            async def process_live(self, operator: Any) -> None:
                nonlocal late
                await operator.update_full()
                unprepared = bench.target.wrong(contents(children))
                assert unprepared == 0, f"{unprepared} entries wrong after update_full()"
                with bench.clock():
                    await drive(operator)
                late = bench.target.wrong(expected)

        async def main() -> None:
            await coco.mount(coco.component_subpath("live"), Driven)

        await self.app("live", main).update(live=True)
        assert late >= 0, "process_live() was not run to its end"
        return self.outcome(operations, late, expected)


async def first_scan(bench: Bench, n: int) -> Outcome:
    """First scan: n components, one entry each, into an empty store."""
    app = bench.scan_app(bench.put, n)
    with bench.clock():
        await app.update()
    return bench.outcome(n, bench.target.wrong(contents(n)), contents(n))


async def _again(bench: Bench, put: Any, n: int) -> Outcome:
    app = bench.scan_app(put, n)
    await app.update()
    before = bench.target.actions
    with bench.clock():
        await app.update()
    outcome = bench.outcome(n, bench.target.wrong(contents(n)), contents(n))
    outcome.extra["needless_actions"] = bench.target.actions - before
    return outcome


async def rescan(bench: Bench, n: int) -> Outcome:
    """Unchanged re-scan: the same app again; every function runs, no sink is called."""
    return await _again(bench, bench.put, n)


async def rescan_memo(bench: Bench, n: int) -> Outcome:
    """Memoized re-scan: the same with fn(memo=True); no function runs."""
    return await _again(bench, bench.put_memo, n)


async def restart(bench: Bench, n: int) -> Outcome:
    """Memoized re-scan by a process that has not seen the rows before; see ``Row.prepared_by``."""
    app = bench.scan_app(bench.put_memo, n)
    with bench.clock():
        await app.update()
    # The target died with the first process: it stays empty unless the library forgot what it wrote.
    outcome = bench.outcome(n, 0, {})
    outcome.extra["needless_actions"] = bench.target.actions
    return outcome


async def scale(bench: Bench, n: int) -> Outcome:
    """First scan, then an unchanged re-scan, for cost and memory per component."""
    app = bench.scan_app(bench.put, n)
    with bench.clock():
        await app.update()
    first_ns, first_cpu_ns = bench.ns, bench.cpu_ns
    late = bench.target.wrong(contents(n))
    with bench.clock():
        await app.update()
    outcome = bench.outcome(n, late, contents(n))
    outcome.extra["rescan_ns"] = outcome.ns
    outcome.ns, outcome.cpu_ns = first_ns, first_cpu_ns
    return outcome


async def sequential(bench: Bench, n: int) -> Outcome:
    """Sequential updates: one child, update() and ready() n times, each time another value."""
    coco = bench.coco

    async def drive(operator: Any) -> None:
        for i in range(n):
            subpath = coco.component_subpath(name(0))
            handle = await operator.update(subpath, bench.put, name(0), value(0, i + 1))
            await handle.ready()

    return await bench.live(1, drive, {name(0): value(0, n)}, n)


async def burst(bench: Bench, n: int) -> Outcome:
    """Burst of updates: n new children, then ready() of each."""
    coco = bench.coco

    async def drive(operator: Any) -> None:
        handles = [
            await operator.update(coco.component_subpath(name(i)), bench.put, name(i), value(i, 1)) for i in range(n)
        ]
        for handle in handles:
            await handle.ready()

    return await bench.live(0, drive, contents(n, 1), n)


async def burst_one(bench: Bench, n: int) -> Outcome:
    """Burst on one subpath: n updates of one child, then ready() of each."""
    coco = bench.coco

    async def drive(operator: Any) -> None:
        handles = [
            await operator.update(coco.component_subpath(name(0)), bench.put, name(0), value(0, i + 1))
            for i in range(n)
        ]
        for handle in handles:
            await handle.ready()

    return await bench.live(0, drive, {name(0): value(0, n)}, n)


async def burst_delete(bench: Bench, n: int) -> Outcome:
    """Burst of deletes: n existing children, delete() each, then ready() of each."""
    coco = bench.coco

    async def drive(operator: Any) -> None:
        handles = [await operator.delete(coco.component_subpath(name(i))) for i in range(n)]
        for handle in handles:
            await handle.ready()

    return await bench.live(n, drive, {}, n)


@dataclass(frozen=True)
class Row:
    """One row of the comparison: its program, its size, and what is asked of it."""

    title: str
    program: Callable[[Bench, int], Awaitable[Outcome]]
    n: int
    wanted: float | None
    """How many times less than the reference it must take; ``None``: no demand."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Settings of liveproof only; the reference then runs with its defaults."""
    prepared_by: str | None = None
    """A row that another process runs on the same store beforehand, outside of the clock."""


ROWS: dict[str, Row] = {
    "first_scan": Row("first scan", first_scan, 10_000, 5),
    "rescan": Row("unchanged re-scan", rescan, 10_000, 5),
    "rescan_memo": Row("memoized re-scan", rescan_memo, 10_000, 5),
    "restart": Row("the same, by a new process", restart, 10_000, None, prepared_by="rescan_memo"),
    "sequential": Row("sequential `update` + `ready()`", sequential, 500, 1.7),
    "sequential_process": Row("the same, `durability='process'`", sequential, 500, 20, {"durability": "process"}),
    "burst": Row("burst of updates", burst, 10_000, 5),
    "burst_one": Row("burst on one subpath", burst_one, 10_000, 5),
    "burst_delete": Row("burst of deletes", burst_delete, 10_000, 5),
    "scale": Row("first scan and re-scan", scale, 100_000, None),
}
"""In the order of the report."""


def run_row(
    coco: Any,
    row: Row,
    store: Path,
    *,
    n: int | None = None,
    settings: dict[str, Any] | None = None,
    profile: cProfile.Profile | None = None,
) -> tuple[Bench, Outcome]:
    """Run one row in this process."""

    async def main() -> tuple[Bench, Outcome]:
        bench = Bench(coco, store, settings, profile)
        await bench.warm_up()
        return bench, await row.program(bench, n or row.n)

    return asyncio.run(main())
