"""What a clean sample says about what was not seen."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

__all__ = ["excluded_above", "unseen_estimate", "unseen_max"]

CONFIDENCE = 0.95


def unseen_estimate(counts: Iterable[int]) -> float:
    """Good and Turing's estimate of the chance that the next execution shows a new behaviour: the share of
    executions whose behaviour was seen exactly once (Good, Biometrika 1953)."""
    ones = total = 0
    for count in counts:
        total += count
        ones += count == 1
    return ones / total if total else 1.0


def unseen_max(counts: Iterable[int]) -> float:
    """An upper bound on that chance that holds with 95 % confidence (McAllester and Schapire, COLT 2000,
    theorem 9): the estimate plus (2 sqrt 2 + sqrt 3) sqrt(ln(3/delta) / n). It assumes independent executions
    of one distribution, which a portfolio that shifts its weights is only nearly."""
    tally = Counter(counts)
    total = sum(count * times for count, times in tally.items())
    if total == 0:
        return 1.0
    slack = (2 * math.sqrt(2) + math.sqrt(3)) * math.sqrt(math.log(3 / (1 - CONFIDENCE)) / total)
    return min(1.0, tally[1] / total + slack)


def excluded_above(executions: int) -> float:
    """A failure that strikes with a higher chance per execution than this would have been seen, with 95 %
    confidence."""
    return 1.0 if executions == 0 else float(1 - (1 - CONFIDENCE) ** (1 / executions))
