"""The operations machine: order alone, no tasks. A thousand calls a round."""

from __future__ import annotations

from typing import TYPE_CHECKING

from liveproof.core.operations import Kind, Operation, Operations, Start

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

    from liveproof.core.operations import Outcome

CALLS = 1_000


def _started(outcomes: tuple[Outcome, ...]) -> list[Operation]:
    return [outcome.op for outcome in outcomes if isinstance(outcome, Start)]


def _finish(operations: Operations, running: list[Operation]) -> int:
    """End everything, in the order of starting; how many ran."""
    ran = 0
    while running:
        op = running.pop(0) if len(running) < 2 else running.pop()
        ran += 1
        running += _started(operations.done(op))
    assert operations.idle
    return ran


def test_burst_of_subpaths(benchmark: BenchmarkFixture) -> None:
    """Distinct subpaths: all run at once."""

    def burst() -> int:
        operations = Operations()
        running: list[Operation] = []
        for i in range(CALLS):
            running += _started(operations.invoke(Kind.UPDATE, (f"row-{i}",))[1])
        return _finish(operations, running)

    assert benchmark(burst) == CALLS


def test_burst_on_one_subpath(benchmark: BenchmarkFixture) -> None:
    """One subpath: the first runs, the last runs, the rest is replaced."""

    def burst() -> int:
        operations = Operations()
        running: list[Operation] = []
        for _ in range(CALLS):
            running += _started(operations.invoke(Kind.UPDATE, ("row",))[1])
        return _finish(operations, running)

    assert benchmark(burst) == 2


def test_one_after_another(benchmark: BenchmarkFixture) -> None:
    """Each ends before the next is invoked."""

    def sequence() -> int:
        operations = Operations()
        for _ in range(CALLS):
            op, _ = operations.invoke(Kind.UPDATE, ("row",))
            operations.done(op)
        return operations.watermark

    assert benchmark(sequence) == CALLS


def test_deletes_above_updates(benchmark: BenchmarkFixture) -> None:
    """The worst nesting: each delete of a parent waits for a hundred updates below it."""

    def nested() -> int:
        operations = Operations()
        running: list[Operation] = []
        for parent in range(CALLS // 100):
            for child in range(100):
                running += _started(operations.invoke(Kind.UPDATE, (parent, child))[1])
            running += _started(operations.invoke(Kind.DELETE, (parent,))[1])
        return _finish(operations, running)

    assert benchmark(nested) == CALLS + CALLS // 100
