"""What an observer may see of the runtime."""

from __future__ import annotations

from typing import Any, Protocol

__all__ = ["NULL_PROBE", "NullProbe", "Probe"]


class Probe(Protocol):
    """Told of what the runtime does, as it does it: by recorders, monitors and progress displays.

    Called on the loop, synchronously, and often: an implementation must be quick and must not raise.
    """

    def event(self, kind: str, path: tuple[Any, ...], /, **facts: object) -> None:
        """``kind`` is one of ``"cycle.start"``, ``"cycle.end"``, ``"submit.record"``,
        ``"submit.apply"``, ``"submit.commit"``, ``"collect"``, ``"ready"``, ``"operation"``,
        ``"failure"``; ``path`` is the component's."""


class NullProbe:
    """Sees nothing."""

    __slots__ = ()

    def event(self, kind: str, path: tuple[Any, ...], /, **facts: object) -> None:
        """Do nothing."""


NULL_PROBE: Probe = NullProbe()
