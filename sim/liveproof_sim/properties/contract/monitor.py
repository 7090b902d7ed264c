"""What a monitor is: named after what it watches, told of events, and it says what is broken."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from liveproof_sim.properties.contract.book import Book
    from liveproof_sim.properties.contract.contract import Contract

__all__ = ["Monitor"]


class Monitor:
    """Watches one id of the contract. A method ``on_cycle_end`` is told of every ``"cycle.end"``, and so on;
    the book is as it was before the event. Two more events come from outside of the runtime: ``"applied"``,
    when a target has applied an action, and ``"settled"``, when an update of the app has ended and everything
    is in the store.
    """

    id: ClassVar[str]

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self.book: Book = contract.book

    def breach(self, text: str) -> None:
        """The contract is broken: the run fails with this at its next step."""
        self.contract.breach(self.id, text)
