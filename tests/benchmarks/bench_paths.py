"""What a path costs: it is encoded for each mount and decoded for each report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from liveproof.core.paths import Path, Symbol, decode_path, encode_path, format_path

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

PATHS: dict[str, Path] = {
    "one_str": ("row-000042",),
    "three": (Symbol("process_file"), "docs/guide.md", 42),
    "nested": (Symbol("rows"), ("tenant", 7, ("a", b"\x00\x01"))),
}


@pytest.mark.parametrize("path", PATHS.values(), ids=list(PATHS))
def test_encode_path(benchmark: BenchmarkFixture, path: Path) -> None:
    encoded: bytes = benchmark(encode_path, path)
    assert decode_path(encoded) == path


@pytest.mark.parametrize("path", PATHS.values(), ids=list(PATHS))
def test_decode_path(benchmark: BenchmarkFixture, path: Path) -> None:
    assert benchmark(decode_path, encode_path(path)) == path


def test_format_path(benchmark: BenchmarkFixture) -> None:
    text: Any = benchmark(format_path, PATHS["three"])
    assert text == "/@process_file/'docs/guide.md'/42"
