"""Which of two concurrent operations was invoked later, where they claim one target state.

Operations on different sub-paths run at the same time (ORD-3), and yet the outcome is that of running them
one after the other (ORD-1). That matters where a target state moves from one sub-path to another: the claim
of the operation that was invoked later has to win, whichever ends later.

What is shared here is told of to the scheduler, and by nothing else (``TOUCHES``). That ranks are forgotten makes no
difference to anybody.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from liveproof.abc.scheduler import Scheduler

__all__ = ["Rank", "Ranks"]

TOUCHES = True
"""To whoever watches what is read and written: not what the lines of this module say, but what they tell of."""

Rank: TypeAlias = tuple[tuple[bytes, int], ...]
"""The operations that a component runs under, outermost first: key of the live component, and sequence
number. Empty for what the app itself mounted."""


class Ranks:
    """The rank of the latest claim of each target state, as far as that can still matter.

    It is kept although the claimant may have let the state go since: one after the other, an earlier operation
    would have lost the state to it, and not got it back. (A claim of the past is all that counts, so a
    component that has lost a state lets nothing go when it no longer declares it.)
    """

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._by_state: dict[bytes, Rank] = {}

    def __bool__(self) -> bool:
        return bool(self._by_state)

    def note(self, states: Iterable[bytes], rank: Rank) -> None:
        """These target states are claimed under this operation, and not by :meth:`is_later` refused to it."""
        if rank:
            for state in states:
                if not self.is_later(state, rank):
                    self._scheduler.touch(("rank", state), write=True)
                    self._by_state[state] = rank

    def is_later(self, state: bytes, rank: Rank) -> bool:
        """Whether the state was claimed by a later operation than ``rank``."""
        self._scheduler.touch(("rank", state), write=False)
        other = self._by_state.get(state)
        if other is None:
            return False
        for (theirs, their_seq), (ours, our_seq) in zip(other, rank, strict=False):
            if theirs != ours:
                return False
            if their_seq != our_seq:
                return their_seq > our_seq
        return False

    def forget(self, controller: bytes) -> None:
        """This live component has no operation left: whatever comes of it is later than all that was. What it runs
        under may have some, to which the rank still matters that far."""
        for state, rank in list(self._by_state.items()):
            cut = next((at for at, (key, _) in enumerate(rank) if key == controller), None)
            if cut == 0:
                del self._by_state[state]
            elif cut is not None:
                self._by_state[state] = rank[:cut]
