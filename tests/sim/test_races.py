"""The programs that simulators are compared on are what the page says: right in stock asyncio's order, wrong in
another one that the default finds."""

from __future__ import annotations

import asyncio

import pytest

from liveproof_sim import Status, check
from races import RACES


@pytest.mark.parametrize("name", list(RACES))
def test_a_race_is_right_in_the_ordinary_order_and_found_in_others(name: str) -> None:
    asyncio.run(RACES[name]())
    assert check(RACES[name], strategy="fifo").failure is None
    assert check(RACES[name], shrinking=False).status is Status.FAILED
