"""What an observer may see of the runtime."""

from __future__ import annotations

from typing import Any, Protocol

__all__ = ["NULL_PROBE", "NullProbe", "Probe"]


class Probe(Protocol):
    """Told of what the runtime does, as it does it: by recorders, monitors and progress displays.

    Called on the loop, synchronously, and often: an implementation must be quick and must not raise.
    """

    def event(self, kind: str, path: tuple[Any, ...], /, **facts: object) -> None:
        """Something has happened to the component at ``path``. ``kind``, and its facts:

        * ``"cycle.start"`` of a ``cycle`` (opaque, compared by identity; its ``processor``, whether it
          ``remembers``, its ``parent``, ``controller`` and ``seq`` of the operation that it is part of),
          ``"cycle.return"`` (its function has ended, with ``error`` or None) and ``"cycle.end"`` (``failure``
          or None, whether ``critical``, ``carried`` over or ``stopping``, what it ``declared`` and
          ``mounted``, how many states a memo ``retained``; also of one that never started);
        * ``"submit"``: these ``states`` are wanted; ``"submit.record"``: what targets may hold is being
          recorded, for the components at ``paths``; ``"submit.commit"``: its end, in so many ``writes``;
        * ``"collect"``: what is ``gone`` will be deleted; ``"delete"`` and ``"delete.failed"`` (with
          ``error``): how that ended for one component;
        * ``"operation"``: a call of the operator, with its ``kind``, ``sub`` and ``seq``; then
          ``"operation.start"`` and ``"operation.end"`` (with ``error`` or None), or
          ``"operation.replaced"`` (``by`` another one) or ``"operation.dropped"``;
        * ``"live.start"`` (of ``process_live()``; ``live`` or to catch up), ``"mark_ready"`` (called, after
          ``last`` operations), ``"ready"``, ``"live.return"`` (with ``error`` or None) and ``"live.end"``
          (with the ``failure`` that was reported, or None).
        """


class NullProbe:
    """Sees nothing."""

    __slots__ = ()

    def event(self, kind: str, path: tuple[Any, ...], /, **facts: object) -> None:
        """Do nothing."""


NULL_PROBE: Probe = NullProbe()
