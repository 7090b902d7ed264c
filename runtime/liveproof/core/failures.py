"""Where failures go: to the innermost handler, exactly once, or to the log (FAIL-2)."""

from __future__ import annotations

import inspect
import logging
from typing import TYPE_CHECKING

from liveproof.core.context import ExceptionContext, HandlerChain, MountKind
from liveproof.core.paths import format_path

if TYPE_CHECKING:
    from liveproof.core.paths import Path

__all__ = ["log", "report_failure"]

log = logging.getLogger("liveproof")


async def report_failure(
    exc: BaseException,
    handlers: HandlerChain | None,
    *,
    env_name: str,
    path: Path,
    processor: str | None,
    kind: MountKind,
    parent: Path | None,
) -> BaseException | None:
    """Tell the handlers, innermost first, of a failure in the background.

    A handler that returns ends it. One that raises passes *its* exception to the next outer one. The
    exception that leaves the outermost is logged and returned, for ``ready()`` to raise. With no handler
    at all the failure is logged and ``None`` returned.
    """
    where = format_path(path)
    if handlers is None:
        log.error(
            "%s failed in component %s%s",
            kind,
            where,
            f" ({processor})" if processor else "",
            exc_info=(type(exc), exc, exc.__traceback__),
        )
        return None
    current: BaseException = exc
    handler_raised = False
    link: HandlerChain | None = handlers
    while link is not None:
        context = ExceptionContext(
            env_name=env_name,
            stable_path=where,
            processor_name=processor,
            mount_kind=kind,
            parent_stable_path=None if parent is None else format_path(parent),
            is_background=True,
            source="handler" if handler_raised else "component",
            original_exception=exc if handler_raised else None,
        )
        try:
            outcome = link.handler(current, context)
            if inspect.isawaitable(outcome):
                await outcome
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as raised:  # noqa: BLE001 - passed outward, as the contract says
            current = raised
            handler_raised = True
            link = link.outer
        else:
            return None
    log.error(
        "every exception handler raised for component %s%s",
        where,
        f" ({processor})" if processor else "",
        exc_info=(type(current), current, current.__traceback__),
    )
    return current
