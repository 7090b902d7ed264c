"""What a monitor is: named after what it watches, told of events, and it says what is broken."""

from __future__ import annotations

from typing import ClassVar

from liveproof_sim.properties.contract.scene import Scene

__all__ = ["Monitor"]


class Monitor:
    """Watches one id of the contract. A method ``on_cycle_end`` is told of every ``"cycle.end"``, and so on;
    the book is as it was before the event. Two more events come from outside of the runtime: ``"applied"``,
    when a target has applied an action, and ``"settled"``, when an update of the app has ended and everything
    is in the store.
    """

    code: ClassVar[str]
    """the id"""

    def __init__(self, contract: Scene) -> None:
        self.contract = contract
        self.book = contract.book

    def breach(self, text: str) -> None:
        """The contract is broken: the run fails with this at its next step."""
        self.contract.breach(self.code, text)
