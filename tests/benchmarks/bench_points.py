"""What a point in a seldom path costs when nobody watches."""

from __future__ import annotations

from typing import Any

from liveproof.abc.points import reached


def test_a_point_that_nobody_watches(benchmark: Any) -> None:
    benchmark(reached, "recovery.mended")
