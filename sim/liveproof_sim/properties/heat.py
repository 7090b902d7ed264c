"""Hot and cold: liveness as a temperature (Deligiannis et al., P# and Coyote).

A monitor is *hot* while the system owes something, and *cold* when it does not. It must be cold when a run
ends. In a run that does not end it warms by one degree per *round*, and must not get hotter than its limit. A
round is over when every task that was ready at its beginning has run or is gone: a schedule that starves
somebody makes steps, and no rounds. So only fair stretches of a run count, whatever the strategy, and a replay
judges as the search did. Departs from Coyote, which counts all steps and judges under fair strategies only.
"""

from __future__ import annotations

from liveproof_sim.errors import MonitorError
from liveproof_sim.kernel.loop import SimLoop
from liveproof_sim.properties.obligations import NS

__all__ = ["Heat", "Rounds"]


class Heat:
    """One monitor, cold at first."""

    def __init__(self, name: str, loop: SimLoop, rounds: int | None) -> None:
        self.name = name
        self._loop = loop
        self._limit = rounds
        self._degrees = 0
        self._since_ns: int | None = None

    def hot(self) -> None:
        """From now on something is owed; if it was already, since then."""
        if self._since_ns is None:
            self._since_ns = self._loop.now_ns

    def cold(self) -> None:
        """Nothing is owed any more."""
        self._since_ns, self._degrees = None, 0

    @property
    def is_hot(self) -> bool:
        """Whether something is owed."""
        return self._since_ns is not None

    def warm(self) -> None:
        """A round is over.

        Raises:
            MonitorError: it was hot for too many of them.
        """
        if self.is_hot:
            self._degrees += 1
            if self._limit is not None and self._degrees > self._limit:
                raise self.broken(f"was still hot after {self._limit} rounds of all ready tasks")

    def broken(self, how: str) -> MonitorError:
        """The error."""
        return MonitorError(f"{self} {how}", f"heat {self.name}")

    def __str__(self) -> str:
        since = f", hot since {self._since_ns / NS:g} s," if self._since_ns is not None else ""
        return f"heat {self.name!r}{since}"


class Rounds:
    """Tells when a round is over."""

    def __init__(self, loop: SimLoop) -> None:
        self._loop = loop
        self._mark = -1  # Invariant: what was ready when this round began has numbers up to this.

    def over(self) -> bool:
        """Whether a round has ended with this step; if so, the next one begins. In constant time."""
        queues = [queue for queue in (self._loop._ready, self._loop._lane) if queue]
        if queues and min(queue[0][0] for queue in queues) <= self._mark:
            return False
        self._mark = max((queue[-1][0] for queue in queues), default=-1)
        return True
