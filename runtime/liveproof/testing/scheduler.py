"""What every scheduler must do: :func:`check_scheduler` runs one through all rules."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from liveproof.abc.scheduler import Scheduler
from liveproof.testing.scheduler_rules import RULES, Rule

__all__ = ["check_scheduler"]

MS = 1_000_000
LIMIT_NS = 5_000 * MS  # of the scheduler's own time, for one rule


def check_scheduler(
    make_scheduler: Callable[[], Scheduler],
    run: Callable[[Callable[[], Coroutine[Any, Any, None]]], object],
) -> None:
    """Check a scheduler against every rule. Raises ``AssertionError`` that names the rule it breaks.

    ``run(main)`` starts a fresh world, runs ``main()`` in it to its end, and raises what that raises.
    ``make_scheduler()`` is called inside, once per rule, and returns that world's scheduler. For asyncio::

        check_scheduler(AsyncioScheduler, asyncio_scheduler.run)

    A rule whose tasks come to a halt is found by a timer that unparks the watcher: a scheduler on which not
    even that works hangs.
    """
    for rule in RULES:
        failures: list[str] = []

        async def main(rule: Rule = rule, failures: list[str] = failures) -> None:
            await _watch(make_scheduler(), rule, failures)

        run(main)
        if failures:
            about = " ".join((rule.__doc__ or "").split())
            raise AssertionError(
                f"the scheduler breaks the rule {rule.__name__}: {about} Here: {failures[0]}"
            )


async def _watch(s: Scheduler, rule: Rule, failures: list[str]) -> None:
    """Run the rule in a task of its own, against a time limit."""
    watcher = s.current()
    ended: list[bool] = []

    async def body() -> None:
        try:
            await rule(s)
        except s.cancelled:
            failures.append("its task was cancelled, and nobody asked for that")
            raise
        except Exception as error:  # noqa: BLE001 - whatever a broken scheduler leads to
            failures.append(str(error) if type(error) is AssertionError else repr(error))
        finally:
            ended.append(True)
            s.unpark(watcher)

    deadline = s.now() + LIMIT_NS
    task = s.spawn(body(), name=f"rule {rule.__name__}")
    # Woken at intervals too: the scheduler under test may lose the wake-up above.
    while not ended and s.now() < deadline:
        timer = s.call_at(s.now() + 100 * MS, lambda: s.unpark(watcher))
        if not ended:
            await s.park(rule)
        timer.cancel()
    if not ended:
        failures.append("nothing moves: it did not come to an end: a wake-up, a timer or a result was lost")
        s.cancel(task)
