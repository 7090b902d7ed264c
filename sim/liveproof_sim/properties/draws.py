"""What a scenario may draw from."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from liveproof_sim.errors import OptionError

__all__ = ["drawn"]


def drawn(draw: Callable[[int], int], options: Any, label: str) -> Any:
    """A number below ``options``, one of a sequence, or a value of a Hypothesis strategy.

    Raises:
        OptionError: it is none of these, or has nothing to draw.
    """
    if isinstance(options, int):
        return draw(options)
    if isinstance(options, Sequence):
        return options[draw(len(options))]
    if "hypothesis" in sys.modules:  # who has a strategy has imported it
        from hypothesis.strategies import SearchStrategy  # noqa: PLC0415 - as said

        from liveproof_sim.properties.hypothesis_draws import draw_value  # noqa: PLC0415 - as said

        if isinstance(options, SearchStrategy):
            return draw_value(options, draw, label)
    raise OptionError(f"draw from a number, a sequence or a Hypothesis strategy, not from {options!r}")
