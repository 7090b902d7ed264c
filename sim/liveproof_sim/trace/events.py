"""Events: frozen values, with what a reader needs and nothing that differs from run to run."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from typing import Any

__all__ = ["Event", "Trace"]


@dataclass(frozen=True, slots=True)
class Event:
    """One step, or one decision that is no step."""

    step: int
    time_ns: int
    kind: str
    """``step``, ``callback``, ``thread``, ``clock``, ``draw`` or ``note``"""
    who: str
    """the task, or what was called"""
    site: str
    """where it goes on, as ``file:line``"""
    place: str
    """the same in words that survive edits: function and text of the line"""
    chosen: int
    options: int
    overtook: str = ""
    """who stock asyncio would have run, if somebody else"""

    def as_dict(self) -> dict[str, Any]:
        """For the codec."""
        return asdict(self)


@dataclass(slots=True)
class Trace:
    """All events of one execution, and how it ended."""

    events: list[Event] = field(default_factory=list)
    outcome: str = ""
    token: str = ""
    pending: list[tuple[str, str]] = field(default_factory=list)
    """tasks that had not ended, and where they were"""
    about: dict[str, str] = field(default_factory=dict)
    """where it comes from: ``scenario`` (``module:name`` or ``path.py::name``), ``library``, ``interpreter``;
    ``test`` (pytest's name of it) and ``shrunk`` where they are known"""

    def digest(self) -> str:
        """Equal for equal traces, in every process. Sites are left out: they hold the path of a checkout."""
        state = blake2b(digest_size=12)
        for event in self.events:
            row = (event.step, event.time_ns, event.kind, event.who, event.place, event.chosen, event.options)
            state.update(repr(row).encode())
        state.update(self.outcome.encode())
        return state.hexdigest()
