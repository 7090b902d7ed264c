"""How a random strategy decides what is no step: data uniformly, faults and cuts rarely.

A run has hundreds of moments at which something could strike. Were each as likely as not, all runs would end
at the first few. So in each run each kind strikes with a rate of its own, 1/2, 1/4, … 1/256, drawn from a
stream of its own: late moments are reached as well as early ones, whatever the length of the run.
"""

from __future__ import annotations

from liveproof_sim.kernel.choices import SWARM, Choices, Kind

__all__ = ["Draws"]

HALVINGS_MAX = 8
RARE = (Kind.FAULT, Kind.CRASH)


class Draws:
    """The draws of one execution."""

    __slots__ = ("_choices", "_data", "_rates")

    def __init__(self, choices: Choices) -> None:
        self._choices = choices
        self._data = choices.stream("data").randrange
        self._rates: dict[Kind, float] = {}

    def of(self, kind: Kind, label: str, options: int) -> int:
        """One of so many options."""
        if kind not in RARE:
            if label.startswith(SWARM):
                return self._choices.stream("swarm").randrange(options)
            return self._data(options)
        stream = self._choices.stream(kind.value)
        rate = self._rates.get(kind)
        if rate is None:
            rate = self._rates[kind] = float(2.0 ** -stream.randint(1, HALVINGS_MAX))
        if stream.random() >= rate:
            return 0
        return 1 + stream.randrange(options - 1)
