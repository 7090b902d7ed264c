"""What mounting returns: something to wait for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from liveproof.core.context import current_or_none

if TYPE_CHECKING:
    from liveproof.core.readiness import Readiness

__all__ = ["ComponentMountHandle"]


class ComponentMountHandle:
    """Handle of one component, or of the many that one ``mount_each`` mounted."""

    __slots__ = ("_parts",)

    def __init__(self, parts: list[Readiness]) -> None:
        self._parts = parts

    async def ready(self) -> None:
        """Wait until everything mounted is applied and all below it is ready. May be called again.

        Raises what escaped the exception handlers, if they raised. Of several failures, the first in the
        order of mounting; all have ended by then.
        """
        context = current_or_none()
        failure: BaseException | None = None
        for part in self._parts:
            try:
                if part.is_resolved:
                    if part.error is not None:
                        raise part.error
                elif context is None:
                    await part.wait()
                else:
                    await context.cycle.wait_for(part)
            except Exception as exc:  # noqa: BLE001 - raised below, when all have ended
                failure = failure or exc
        if failure is not None:
            raise failure
