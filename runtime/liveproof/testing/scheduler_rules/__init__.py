"""The rules that every scheduler keeps, one coroutine function of a scheduler each.

A rule's docstring is the rule. What it does may take some milliseconds of the scheduler's own time. The
order in which ready tasks run is part of a rule only where it says "by default": a scheduler that explores
orders is to be checked with the order that it takes when nothing else is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

from liveproof.abc.scheduler import Scheduler
from liveproof.testing.scheduler_rules.blocking import (
    blocking_calls_are_never_interrupted,
    blocking_calls_copy_context,
    blocking_calls_raise,
    blocking_calls_return,
    blocking_failure_of_a_cancelled_task,
)
from liveproof.testing.scheduler_rules.cancelling import (
    cancel_after_the_end,
    cancel_before_the_first_step,
    cancel_ends_a_park,
    cancel_meets_unpark,
    cancel_of_a_running_task,
    cancelled_is_no_exception,
    cancelled_tasks_may_clean_up,
)
from liveproof.testing.scheduler_rules.gates import (
    gates_can_be_left,
    gates_hold_until_they_are_open,
    open_gates_hold_nobody,
    what_has_come_is_fetched,
)
from liveproof.testing.scheduler_rules.tasks import (
    current_is_the_running_task,
    spawn_copies_context,
    spawn_is_deferred,
    touch_does_nothing_to_the_caller,
    unpark_is_not_kept,
    unpark_twice_wakes_once,
    unpark_wakes,
)
from liveproof.testing.scheduler_rules.timers import (
    cancelled_timers_never_call,
    time_never_goes_back,
    timers_are_never_early,
    timers_call_in_order,
)

__all__ = ["RULES", "Rule"]

Rule: TypeAlias = Callable[[Scheduler], Coroutine[Any, Any, None]]

RULES: tuple[Rule, ...] = (
    timers_are_never_early,  # first: the time limit of all others stands on it
    timers_call_in_order,
    cancelled_timers_never_call,
    time_never_goes_back,
    spawn_is_deferred,
    spawn_copies_context,
    current_is_the_running_task,
    unpark_wakes,
    unpark_twice_wakes_once,
    unpark_is_not_kept,
    gates_hold_until_they_are_open,
    open_gates_hold_nobody,
    what_has_come_is_fetched,
    cancelled_is_no_exception,
    cancel_ends_a_park,
    cancel_before_the_first_step,
    cancel_of_a_running_task,
    cancel_after_the_end,
    cancel_meets_unpark,
    cancelled_tasks_may_clean_up,
    gates_can_be_left,
    blocking_calls_return,
    blocking_calls_raise,
    blocking_calls_copy_context,
    blocking_calls_are_never_interrupted,
    blocking_failure_of_a_cancelled_task,
    touch_does_nothing_to_the_caller,
)
"""Every rule, in the order in which they are checked."""
