"""Values of Hypothesis' strategies, drawn from the tape.

Each primitive that a strategy asks for becomes one or two choices, of which 0 is the simplest value: an empty
tape draws what Hypothesis shrinks to, and our own shrinker, which makes choices smaller, makes values
simpler. Big ranges are asked for in two choices, how big and which, so that small numbers are not rare.

A value that a strategy rejects (``filter``, ``unique``) is drawn again with all choices shifted by one, so
that the ordinary run, where every choice is 0, gets on as well; what is drawn stays a function of the tape.

Departs from Hypothesis: no probabilities but those of the strategy that searches, no constants from the
program's source, no targets; texts and bytes are at most 15 longer than their least size. Rests on
Hypothesis' ``PrimitiveProvider``, which it documents for other engines.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias, TypeVar

from hypothesis.control import BuildContext
from hypothesis.errors import StopTest, UnsatisfiedAssumption
from hypothesis.internal.conjecture.data import ConjectureData
from hypothesis.internal.conjecture.providers import PrimitiveProvider
from hypothesis.internal.floats import float_to_int, int_to_float
from hypothesis.internal.intervalsets import IntervalSet
from hypothesis.strategies import SearchStrategy

from liveproof_sim.errors import OptionError

__all__ = ["ATTEMPTS_MAX", "draw_value"]

T = TypeVar("T")
Draw: TypeAlias = Callable[[int], int]
"""One below so many, 0 the ordinary one."""

ATTEMPTS_MAX = 100
SMALL = 256  # options that are asked for in one choice
EIGHTHS = 8
LONGER_MAX = 15
UNBOUNDED = 2**127
WHOLE_MAX = 2**53  # up to there, floats hold every whole number


def draw_value(strategy: SearchStrategy[T], draw: Draw, label: str) -> T:
    """A value of the strategy.

    Raises:
        OptionError: it rejects all that it is offered.
    """
    for attempt in range(ATTEMPTS_MAX):
        provider = _Provider(draw, attempt)
        data = ConjectureData(random=None, provider=provider)
        try:
            with BuildContext(data, wrapped_test=draw_value):
                return data.draw(strategy)
        except (StopTest, UnsatisfiedAssumption):
            continue
    raise OptionError(
        f"the strategy of {label!r} rejects what it is offered ({ATTEMPTS_MAX} times): {strategy!r}; "
        "build such values instead of filtering for them"
    )


class _Provider(PrimitiveProvider):
    """One attempt."""

    def __init__(self, draw: Draw, shift: int) -> None:
        super().__init__(None)
        self._draw = draw
        self._shift = shift

    def span_end(self, discard: bool, /) -> None:
        self._shift += discard

    def _take(self, options: int) -> int:
        return (self._draw(options) + self._shift) % options

    def _below(self, options: int) -> int:
        """The same for many options: how big, then which."""
        if options <= SMALL:
            return self._take(options)
        classes = ((options - 1).bit_length() + 7) // 8
        size = self._draw(classes)  # not shifted: an attempt is as simple as it can be
        return self._take(min(options, SMALL ** (size + 1)))

    def draw_boolean(self, p: float = 0.5) -> bool:
        if p <= 0 or p >= 1:
            return p >= 1
        # Not shifted: these end lists, and an ordinary list must end.
        if 0.3 <= p <= 0.7:
            return self._draw(2) == 1
        return self._draw(EIGHTHS) >= EIGHTHS - min(EIGHTHS - 1, max(1, round(p * EIGHTHS)))

    def draw_integer(
        self,
        min_value: int | None = None,
        max_value: int | None = None,
        *,
        weights: dict[int, float] | None = None,
        shrink_towards: int = 0,
    ) -> int:
        low = min_value if min_value is not None else min(-UNBOUNDED, (max_value or 0) - UNBOUNDED)
        high = max_value if max_value is not None else max(UNBOUNDED, (min_value or 0) + UNBOUNDED)
        centre = min(max(shrink_towards, low), high)
        return _nth_integer(self._below(high - low + 1), low, centre, high)

    def draw_float(
        self,
        *,
        min_value: float = -math.inf,
        max_value: float = math.inf,
        allow_nan: bool = True,
        smallest_nonzero_magnitude: float,
    ) -> float:
        def allowed(value: float) -> bool:
            if math.isnan(value):
                return allow_nan
            at_zero = 0 < abs(value) < smallest_nonzero_magnitude
            return _order(min_value) <= _order(value) <= _order(max_value) and not at_zero

        low, high = max(min_value, -WHOLE_MAX), min(max_value, WHOLE_MAX)
        whole = math.ceil(low), math.floor(high)
        special = [
            each for each in (min_value, max_value, math.inf, -math.inf, math.nan, 0.5, -0.0) if allowed(each)
        ]
        kind = self._draw(3)
        if kind == 0 and whole[0] <= whole[1]:
            centre = min(max(0, whole[0]), whole[1])
            value = float(_nth_integer(self._below(whole[1] - whole[0] + 1), whole[0], centre, whole[1]))
        elif kind <= 1:
            value = low + (high - low) * (self._below(2**16) / 2**16)
        else:
            first, last = _order(min_value), _order(max_value)
            value = _from_order(first + self._take(last - first + 1))
        if kind == 2 and special and self._draw(2):
            return special[self._take(len(special))]
        if allowed(value):
            return value
        least = (0.0, smallest_nonzero_magnitude, -smallest_nonzero_magnitude)
        fallback = [each for each in least if allowed(each)]
        return fallback[0] if fallback else min_value

    def draw_string(self, intervals: IntervalSet, *, min_size: int = 0, max_size: int = 10**9) -> str:
        size = self._size(min_size, max_size)
        return "".join(intervals.char_in_shrink_order(self._below(len(intervals))) for _ in range(size))

    def draw_bytes(self, min_size: int = 0, max_size: int = 10**9) -> bytes:
        return bytes(self._take(SMALL) for _ in range(self._size(min_size, max_size)))

    def _size(self, min_size: int, max_size: int) -> int:
        return min_size + self._draw(min(max_size - min_size, LONGER_MAX) + 1)


def _nth_integer(index: int, low: int, centre: int, high: int) -> int:
    """All from ``low`` to ``high``, nearest to ``centre`` first."""
    both = min(centre - low, high - centre)
    if index <= 2 * both:
        distance = (index + 1) // 2
        return centre + distance if index % 2 else centre - distance
    rest = index - both
    return centre + rest if high - centre > both else centre - rest


def _order(value: float) -> int:
    """Whole numbers in the order of floats; -0.0 comes before 0.0."""
    bits: int = float_to_int(value)
    return bits if bits < 2**63 else 2**63 - 1 - bits


def _from_order(order: int) -> float:
    value: float = int_to_float(order if order >= 0 else 2**63 - 1 - order)
    return value
