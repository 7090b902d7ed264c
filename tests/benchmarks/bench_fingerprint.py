"""What it costs to tell whether a call is the same as before: once per memoized component and run."""

from __future__ import annotations

import pathlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from liveproof.core.fingerprint import fingerprint, fingerprint_call

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

    from liveproof.core.memo_keys import StateFn


@dataclass(frozen=True)
class Document:
    name: str
    version: int
    tags: tuple[str, ...]


ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "two_str": ("row-000042", "the value of row 42, version 0"),
    "dataclass": (Document("guide.md", 3, ("a", "b", "c")), pathlib.PurePosixPath("/docs/guide.md")),
    "dict_100": ({f"field-{i}": i for i in range(100)},),
    "text_100k": ("x" * 100_000,),
}


@pytest.mark.parametrize("args", ARGUMENTS.values(), ids=list(ARGUMENTS))
def test_fingerprint_call(benchmark: BenchmarkFixture, args: tuple[Any, ...]) -> None:
    states: list[StateFn] = []
    found: bytes = benchmark(fingerprint_call, "module.fn", args, {}, states)
    assert found == fingerprint_call("module.fn", args, {}, states)
    assert not states


def test_fingerprint_bytes(benchmark: BenchmarkFixture) -> None:
    assert len(benchmark(fingerprint, b"x" * 100_000)) == 16
