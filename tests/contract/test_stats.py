"""What an update tells of itself: counts, snapshots, its result or its failure."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

import liveproof as coco
from tests.contract.world import Machine, World, at, declare, ends, run, ticks, until

Main = Callable[[], Awaitable[Any]]
Counts = dict[str, dict[str, int]]


def machine_of(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "s.db", World(), handler=lambda _error, _context: None)


def counts_of(stats: coco.UpdateStats | None) -> Counts:
    """What is not zero, without the starts; and the sums fit."""
    assert stats is not None
    counts: Counts = {}
    for name, component in stats.by_component.items():
        counts[name] = {
            field.removeprefix("num_"): value
            for field, value in component._asdict().items()
            if value and field != "num_execution_starts"
        }
        assert component.num_processed == (
            component.num_unchanged + component.num_adds + component.num_deletes + component.num_reprocesses
        )
        assert component.num_finished == component.num_processed + component.num_errors
        assert component.num_in_progress == component.num_execution_starts - component.num_finished
    assert stats.total == coco.ComponentStats(
        *(sum(column) for column in zip(*stats.by_component.values(), strict=True))
    )
    return counts


def update(machine: Machine, main: Main, *, live: bool = False, full: bool = False) -> Counts:
    """What an update counted. At its end nothing is in progress."""
    seen: list[coco.UpdateStats | None] = []

    async def go() -> None:
        handle = machine.app(main).update(live=live, full_reprocess=full)
        await handle
        seen.append(handle.stats())

    run(go)
    machine.close()
    assert seen[0] is not None
    for name, component in seen[0].by_component.items():
        assert component.num_in_progress == 0, name
    return counts_of(seen[0])


async def leaf(key: str, value: object = 1) -> None:
    declare(key, value)


@coco.fn(memo=True)
async def remembered(key: str, value: object = 1) -> None:
    declare(key, value)


def failing() -> None:
    raise ValueError("broken")


def test_adds_reprocesses_deletes_and_what_is_unchanged(tmp_path: Path) -> None:
    machine = machine_of(tmp_path)

    def main_of(keys: str, value: int) -> Main:
        async def main() -> None:
            await coco.mount_each(leaf, [(key, f"l{key}") for key in keys], value)
            await coco.mount_each(remembered, [(key, f"r{key}") for key in keys], value)

        return main

    assert update(machine, main_of("abc", 1)) == {
        "main": {"adds": 1}, "leaf": {"adds": 3}, "remembered": {"adds": 3},
    }  # fmt: skip
    assert update(machine, main_of("abc", 1)) == {
        "main": {"reprocesses": 1}, "leaf": {"reprocesses": 3}, "remembered": {"unchanged": 3},
    }  # fmt: skip
    assert update(machine, main_of("abd", 1)) == {
        "main": {"reprocesses": 1},
        "leaf": {"reprocesses": 2, "adds": 1, "deletes": 1},
        "remembered": {"unchanged": 2, "adds": 1, "deletes": 1},
    }
    assert update(machine, main_of("abd", 2)) == {
        "main": {"reprocesses": 1}, "leaf": {"reprocesses": 3}, "remembered": {"reprocesses": 3},
    }  # fmt: skip
    assert update(machine, main_of("ab", 2), full=True) == {
        "main": {"reprocesses": 1},
        "leaf": {"reprocesses": 2, "deletes": 1},
        "remembered": {"reprocesses": 2, "deletes": 1},
    }
    assert update(machine, main_of("", 2)) == {
        "main": {"reprocesses": 1}, "leaf": {"deletes": 2}, "remembered": {"deletes": 2},
    }  # fmt: skip


class Fresh:
    """A memo state that always stands."""

    def __coco_memo_key__(self) -> object:
        return "fresh"

    async def __coco_memo_state__(self, previous: int | coco.NonExistenceType) -> coco.MemoStateOutcome:
        await ticks(1)
        return coco.MemoStateOutcome(1, memo_valid=True)


def test_unchanged_by_a_memo_state(tmp_path: Path) -> None:
    machine = machine_of(tmp_path)

    async def main() -> None:
        await coco.mount(at("c"), remembered, "k", Fresh())

    assert update(machine, main)["remembered"] == {"adds": 1}
    assert update(machine, main)["remembered"] == {"unchanged": 1}


def test_errors(tmp_path: Path) -> None:
    machine = machine_of(tmp_path)
    gone: list[int] = []

    async def main() -> None:
        await coco.mount_each(at("bad"), coco.fn(bad), [(1, 1), (2, 2), (3, 3)])
        await coco.mount(at("sink"), leaf, "x")
        if not gone:
            await coco.mount(at("gone"), remembered, "g")
        try:
            await coco.use_mount(at("used"), failing)
        except ValueError:
            pass

    def bad(value: int) -> None:
        if value != 2:
            failing()

    machine.world.broken["x"] = 2  # In a batch with others, and then alone.
    assert update(machine, main) == {
        "main": {"adds": 1},
        "bad": {"adds": 1, "errors": 2},
        "leaf": {"errors": 1},
        "remembered": {"adds": 1},
        "failing": {"errors": 1},
    }
    gone.append(1)
    machine.world.broken.clear()
    machine.world.broken["g"] = 1
    counts = update(machine, main)
    assert counts["remembered"] == {"errors": 1}
    assert counts["leaf"] in ({"adds": 1}, {"reprocesses": 1})
    assert update(machine, main)["remembered"] == {"deletes": 1}


def test_a_component_that_failed_before_is_an_add_when_it_succeeds(tmp_path: Path) -> None:
    machine = machine_of(tmp_path)
    broken = [1]

    async def child() -> None:
        if broken:
            failing()
        declare("k", 1)

    async def main() -> None:
        await coco.mount(at("c"), child)

    assert update(machine, main)["child"] == {"errors": 1}
    broken.clear()
    assert update(machine, main)["child"] == {"adds": 1}
    broken.append(1)
    assert update(machine, main)["child"] == {"errors": 1}
    broken.clear()
    assert update(machine, main)["child"] == {"reprocesses": 1}


def test_live_components(tmp_path: Path) -> None:
    """A scan counts under the class, each operation under its function."""
    machine = machine_of(tmp_path)

    class Live:
        async def process(self) -> None:
            await coco.mount(at("a"), leaf, "a")

        async def process_live(self, operator: coco.LiveComponentOperator) -> None:
            await operator.update_full()
            await (await operator.update(at("a"), leaf, "a", 2)).ready()
            await (await operator.update(at("b"), remembered, "b")).ready()
            await (await operator.update(at("b"), remembered, "b")).ready()
            await (await operator.update(at("c"), failing)).ready()
            await (await operator.delete(at("b"))).ready()
            await (await operator.delete(at("nothing"))).ready()
            await operator.report_exception(ValueError("odd"))
            await operator.update_full()

    async def main() -> None:
        await coco.mount(Live)

    assert update(machine, main) == {
        "main": {"adds": 1},
        "Live": {"adds": 1, "reprocesses": 1, "errors": 1},
        "leaf": {"adds": 1, "reprocesses": 2},
        "remembered": {"adds": 1, "unchanged": 1, "deletes": 1},
        "failing": {"errors": 1},
    }


def test_a_live_component_that_fails(tmp_path: Path) -> None:
    machine = machine_of(tmp_path)

    class Live:
        async def process(self) -> None: ...

        async def process_live(self, operator: coco.LiveComponentOperator) -> None:
            await operator.update_full()
            failing()

    class Unborn(Live):
        def __init__(self) -> None:
            failing()

    async def main() -> None:
        await coco.mount(Live)
        await coco.mount(Unborn)

    counts = update(machine, main)
    assert counts["Live"] == {"adds": 1, "errors": 1}
    assert counts["Unborn"] == {"errors": 1}


def test_a_deleted_tree_counts_each_component(tmp_path: Path) -> None:
    machine = machine_of(tmp_path)

    async def parent(key: str) -> None:
        await coco.mount_each(leaf, [(n, f"{key}{n}") for n in range(3)])

    async def full() -> None:
        await coco.mount_each(parent, [("a", "a"), ("b", "b")])

    async def main() -> None:
        await coco.mount_each(parent, [("a", "a")])

    update(machine, full)
    counts = update(machine, main)
    assert counts["parent"] == {"reprocesses": 1, "deletes": 1}
    assert counts["leaf"] == {"reprocesses": 3, "deletes": 3}


def test_counts_while_it_runs(tmp_path: Path) -> None:
    machine = machine_of(tmp_path)

    async def child(gate: asyncio.Event) -> None:
        await gate.wait()

    async def go() -> None:
        gate = asyncio.Event()

        async def main() -> None:
            await coco.mount_each(child, [(n, gate) for n in range(3)])

        handle = machine.app(main).update()
        assert handle.stats() is None

        def running() -> int:
            stats = handle.stats() or coco.UpdateStats({})
            return stats.by_component.get("child", coco.ComponentStats()).num_in_progress

        await until(lambda: running() == 3)
        gate.set()
        await handle
        stats = handle.stats()
        assert stats is not None
        assert stats.total.num_in_progress == 0
        assert stats.total.num_adds == 4

    run(go)
    machine.close()


def test_counts_only_grow(tmp_path: Path) -> None:
    machine = machine_of(tmp_path)

    async def main() -> None:
        for number in range(10):
            await (await coco.mount(at(number), leaf, f"k{number}")).ready()

    async def go() -> None:
        handle = machine.app(main).update()
        before = coco.ComponentStats()
        done = asyncio.ensure_future(handle.result())
        while not done.done():
            stats = handle.stats()
            if stats is not None:
                assert all(new >= old for new, old in zip(stats.total, before, strict=True))
                before = stats.total
            await ticks(1)
        assert before.num_adds >= 9

    run(go)
    machine.close()


# watch() --------------------------------------------------------------------------------------------------------


def test_watch_ends_with_the_result(tmp_path: Path) -> None:
    machine = machine_of(tmp_path)

    async def main() -> str:
        await ticks(5)
        declare("k", 1)
        return "the result"

    async def go() -> None:
        handle = machine.app(main).update()
        snapshots = [snapshot async for snapshot in handle.watch()]
        assert snapshots[0].status is coco.UpdateStatus.RUNNING
        assert snapshots[0].result is None
        assert snapshots[-1].status is coco.UpdateStatus.READY
        assert snapshots[-1].result == "the result"
        assert snapshots[-1].stats == handle.stats()
        assert all(snapshot.result is None for snapshot in snapshots[:-1])
        again = [snapshot async for snapshot in handle.watch()]
        assert again == snapshots[-1:], "when it has ended there is only that"
        assert await handle == "the result"

    run(go)
    machine.close()


def test_watch_tells_when_live_components_have_caught_up(tmp_path: Path) -> None:
    machine = machine_of(tmp_path)

    async def go() -> None:
        gate = asyncio.Event()

        class Live:
            async def process(self) -> None:
                await coco.mount(at("a"), leaf, "a")

            async def process_live(self, operator: coco.LiveComponentOperator) -> None:
                await operator.update_full()
                await operator.mark_ready()
                await gate.wait()
                await (await operator.update(at("b"), leaf, "b")).ready()

        async def main() -> str:
            await coco.mount(Live)
            return "live"

        handle = machine.app(main).update(live=True)
        statuses: list[coco.UpdateStatus] = []
        async for snapshot in handle.watch():
            statuses.append(snapshot.status)
            if snapshot.status is coco.UpdateStatus.READY and not gate.is_set():
                assert snapshot.result is None
                assert machine.world.target == {"a": "1"}
                gate.set()
        assert snapshot.result == "live"
        assert statuses[0] is coco.UpdateStatus.RUNNING
        assert statuses[-1] is coco.UpdateStatus.READY
        assert statuses.count(coco.UpdateStatus.READY) == 2
        assert machine.world.target == {"a": "1", "b": "1"}

    run(go)
    machine.close()


def test_watch_raises_what_the_update_raises(tmp_path: Path) -> None:
    machine = machine_of(tmp_path)
    error = ValueError("main")

    async def main() -> None:
        await ticks(3)
        raise error

    async def go() -> None:
        handle = machine.app(main).update()

        async def watch() -> None:
            async for snapshot in handle.watch():
                assert snapshot.status is coco.UpdateStatus.RUNNING

        for _ in range(2):
            with pytest.raises(ValueError, match="main") as caught:
                await watch()
            assert caught.value is error
            with pytest.raises(ValueError, match="main") as again:
                await handle.result()
            assert again.value is error

    run(go)
    machine.close()


def test_several_watchers_and_one_that_leaves(tmp_path: Path) -> None:
    machine = machine_of(tmp_path)

    async def go() -> None:
        gate = asyncio.Event()

        async def main() -> str:
            await gate.wait()
            return "result"

        handle = machine.app(main).update()

        async def one() -> Any:
            async for snapshot in handle.watch():
                last = snapshot
            return last.result

        watchers = [asyncio.ensure_future(one()) for _ in range(3)]
        async for _ in handle.watch():
            break
        await ticks(5)
        watchers[0].cancel()
        gate.set()
        assert await ends(asyncio.gather(*watchers[1:])) == ["result", "result"]
        with pytest.raises(asyncio.CancelledError):
            await watchers[0]

    run(go)
    machine.close()


def test_stop_tells_the_watchers_and_ends_the_update(tmp_path: Path) -> None:
    machine = machine_of(tmp_path)

    async def go() -> None:
        began = asyncio.Event()

        async def main() -> None:
            began.set()
            await asyncio.Event().wait()

        handle = machine.app(main).update()
        await began.wait()
        woken: list[str] = []

        async def watcher() -> None:
            await handle.pause(10**12)
            woken.append(handle.phase)

        watching = asyncio.ensure_future(watcher())
        await ticks(2)
        handle.stop()
        await ends(watching)
        assert woken[0] in ("stopping", "ended")
        with pytest.raises(Exception, match="cancelled") as caught:
            await ends(handle.result())
        assert type(caught.value).__name__ == "StoppedError"
        assert handle.stop_asked

    run(go)
    machine.close()


def test_an_update_that_nobody_awaits_is_not_silent_when_it_fails(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    machine = machine_of(tmp_path)

    async def main() -> None:
        raise ValueError("nobody listens")

    async def go() -> None:
        handles = [machine.app(main).update()]
        await until(lambda: handles[0].phase == "ended")
        handles.clear()
        gc.collect()

    run(go)
    machine.close()
    assert "nobody listens" in caplog.text


def test_no_work_is_counted_for_a_function_that_is_only_called(tmp_path: Path) -> None:
    machine = machine_of(tmp_path)

    async def main() -> None:
        await remembered("k")
        await coco.map(remembered, ["l", "m"])

    for _ in range(2):
        assert set(update(machine, main)) == {"main"}


def test_drop_counts_what_it_deletes(tmp_path: Path) -> None:
    machine = machine_of(tmp_path)

    async def main() -> None:
        await coco.mount_each(leaf, [(key, key) for key in "abc"])

    async def go() -> None:
        await machine.app(main).update()
        handle = machine.app(main).drop()
        await handle
        assert counts_of(handle.stats()) == {"main": {"deletes": 1}, "leaf": {"deletes": 3}}

    run(go)
    machine.close()
