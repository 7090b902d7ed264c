"""Values of Hypothesis' strategies from the tape."""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from liveproof_sim import OptionError, Status, World, check, replay
from liveproof_sim.properties.hypothesis_draws import _from_order, _nth_integer, _order, draw_value

SIMPLEST: list[tuple[SearchStrategy[Any], object]] = [
    (st.integers(), 0),
    (st.integers(3, 10), 3),
    (st.integers(max_value=-7), -7),
    (st.booleans(), False),
    (st.floats(), 0.0),
    (st.floats(0.5, 3), 1.0),
    (st.floats(0.1, 0.3), 0.1),
    (st.floats(min_value=0, exclude_min=True), 1.0),
    (st.text(), ""),
    (st.text("abc", min_size=3), "aaa"),
    (st.binary(min_size=2), b"\0\0"),
    (st.lists(st.integers()), []),
    (st.lists(st.integers(), unique=True, min_size=4), [0, 1, -1, 2]),
    (st.sets(st.integers(0, 5), min_size=3), {0, 1, 2}),
    (st.integers().filter(lambda n: n > 2), 3),
    (st.one_of(st.none(), st.integers()), None),
    (st.sampled_from("abc"), "a"),
    (st.dictionaries(st.text(), st.none()), {}),
    (st.permutations(range(4)), [0, 1, 2, 3]),
    (st.builds(complex, st.integers(), st.integers()), 0j),
    (st.integers().flatmap(lambda n: st.just((n, n))), (0, 0)),
]

BOUNDS: list[tuple[SearchStrategy[Any], Callable[[Any], bool]]] = [
    (st.integers(-5, 10**6), lambda n: -5 <= n <= 10**6),
    (st.integers(10**30, 10**30 + 3), lambda n: 0 <= n - 10**30 <= 3),
    (st.floats(0.1, 0.3), lambda x: 0.1 <= x <= 0.3),
    (st.floats(-1, 1, exclude_min=True, exclude_max=True), lambda x: -1 < x < 1),
    (st.floats(allow_nan=False, allow_infinity=False), math.isfinite),
    (st.floats(allow_subnormal=False), lambda x: not 0 < abs(x) < sys.float_info.min),
    (st.floats(width=16), lambda x: math.isnan(x) or math.isinf(x) or abs(x) <= 65504),
    (st.text("abc", max_size=4), lambda text: len(text) <= 4 and not text.strip("abc")),
    (st.binary(min_size=1, max_size=3), lambda data: 1 <= len(data) <= 3),
    (st.lists(st.integers(0, 3), max_size=5), lambda found: len(found) <= 5 and all(0 <= n <= 3 for n in found)),
    (st.from_regex(r"[a-z]{3}-[0-9]+", fullmatch=True), lambda text: text[3] == "-" and text[4:].isdecimal()),
    (st.recursive(st.integers(), st.lists, max_leaves=3), lambda found: isinstance(found, int | list)),
]


@pytest.mark.parametrize(("strategy", "simplest"), SIMPLEST, ids=[repr(each)[:40] for each, _ in SIMPLEST])
def test_an_empty_tape_draws_the_simplest(strategy: SearchStrategy[Any], simplest: object) -> None:
    found = draw_value(strategy, lambda options: 0, "it")
    assert found == simplest
    assert type(found) is type(simplest)


@pytest.mark.parametrize(("strategy", "holds"), BOUNDS, ids=[repr(each)[:40] for each, _ in BOUNDS])
def test_every_tape_draws_what_the_strategy_allows(
    strategy: SearchStrategy[Any], holds: Callable[[Any], bool]
) -> None:
    chance = random.Random(1)
    drawn = []
    for _ in range(100):
        tape: list[int] = []

        def draw(options: int, tape: list[int] = tape) -> int:
            assert options >= 1
            tape.append(chance.randrange(options))
            return tape[-1]

        value = draw_value(strategy, draw, "it")
        assert holds(value), value
        left = iter(tape)
        again = draw_value(strategy, lambda options, left=left: next(left), "it")  # type: ignore[misc]
        assert repr(again) == repr(value)
        assert next(left, None) is None
        drawn.append(repr(value))
    assert len(dict.fromkeys(drawn)) >= 3


@given(st.integers(-20, 20), st.integers(0, 20), st.integers(0, 20))
def test_integers_are_counted_once_each_nearest_first(centre: int, below: int, above: int) -> None:
    low, high = centre - below, centre + above
    found = [_nth_integer(n, low, centre, high) for n in range(high - low + 1)]
    assert sorted(found) == list(range(low, high + 1))
    distances = [abs(n - centre) for n in found]
    assert distances == sorted(distances)


@given(st.floats(allow_nan=False), st.floats(allow_nan=False))
def test_floats_are_ordered(one: float, other: float) -> None:
    assert math.copysign(1, _from_order(_order(one))) == math.copysign(1, one)
    assert _from_order(_order(one)) == one
    if one < other:
        assert _order(one) < _order(other)


def test_a_strategy_that_rejects_everything_is_an_error() -> None:
    with pytest.raises(OptionError, match="the strategy of 'it' rejects what it is offered"):
        draw_value(st.integers().filter(lambda n: False), lambda options: 0, "it")


def test_a_scenario_draws_shrinks_and_replays() -> None:
    async def scenario(world: World) -> None:
        size = world.draw(st.integers(0, 1000), label="size")
        await world.clock.sleep(0)
        if size > 17:
            raise LookupError(f"size {size}")

    verdict = check(scenario)
    assert verdict.failure is not None
    assert str(verdict.failure.exception) == "size 18"
    again = replay(scenario, verdict.failure.token)
    assert again.failure is not None
    assert str(again.failure.exception) == "size 18"


def test_what_is_nothing_to_draw_from() -> None:
    async def scenario(world: World) -> None:
        world.draw(3.5)  # type: ignore[call-overload]

    verdict = check(scenario, executions=2)
    assert verdict.status is Status.FAILED
    assert verdict.failure is not None
    assert "draw from a number, a sequence or a Hypothesis strategy, not from 3.5" in str(verdict.failure.exception)
