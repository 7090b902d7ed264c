"""Which of two concurrent operations was invoked later, where they claim one target state.

Operations on different sub-paths run at the same time (ORD-3), and yet the outcome is that of running them
one after the other (ORD-1). That matters where a target state moves from one sub-path to another: the claim
of the operation that was invoked later has to win, whichever ends later.
"""

from __future__ import annotations

from typing import TypeAlias

__all__ = ["Rank", "Ranks"]

Rank: TypeAlias = tuple[tuple[bytes, int], ...]
"""The operations that a component runs under, outermost first: key of the live component, and sequence
number. Empty for what the app itself mounted."""


class Ranks:
    """The rank at which components last claimed target states, as far as that can still matter."""

    def __init__(self) -> None:
        self._by_component: dict[bytes, Rank] = {}

    def __bool__(self) -> bool:
        return bool(self._by_component)

    def note(self, component: bytes, rank: Rank) -> None:
        """This component has claimed its target states under this operation."""
        if rank:
            self._by_component[component] = rank

    def is_later(self, component: bytes, rank: Rank) -> bool:
        """Whether that component's claims are of a later operation than ``rank``."""
        other = self._by_component.get(component)
        if other is None:
            return False
        for (theirs, their_seq), (ours, our_seq) in zip(other, rank, strict=False):
            if theirs != ours:
                return False
            if their_seq != our_seq:
                return their_seq > our_seq
        return False

    def forget(self, controller: bytes) -> None:
        """This live component has no operation left: whatever comes is later than all that was."""
        self._by_component = {
            component: rank
            for component, rank in self._by_component.items()
            if all(key != controller for key, _ in rank)
        }
