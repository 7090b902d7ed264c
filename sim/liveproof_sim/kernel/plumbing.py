"""Which callbacks are the library's own plumbing, and how C tasks ask for a step.

A callback of ``gather``, ``wait``, ``shield``, ``sleep`` or a task group only passes a result on: to make its
turn a choice of its own would multiply the schedules without showing a new order of tasks (measured on peers:
14 to 19,600 runs for a program of 6 orders). So the loop runs it right after the step that caused it. The
list is closed: whatever is not on it counts as the user's and keeps a place of its own. And it is plumbing
only if what it completes is being awaited: otherwise somebody could see that it came early. A task group's
callback after a failure cancels the siblings; when that happens is a race, and no plumbing.
"""

from __future__ import annotations

import asyncio
from asyncio import futures, taskgroups, tasks
from collections.abc import Callable, Sequence
from functools import partial
from types import CodeType
from typing import Any

from liveproof_sim.errors import SimulatorBug

__all__ = ["BUILTIN", "STEP", "WAKEUP", "completed_by", "decides", "group_of", "is_plumbing", "is_task_step",
           "looked_at_by", "passes_on", "silent"]

BUILTIN: type = type(len)
WAKEUP = "task_wakeup"


def _step_type() -> type:
    """The type of what a C task hands to ``call_soon`` for its first step."""
    seen: list[Any] = []

    class _Spy(asyncio.AbstractEventLoop):
        def call_soon(self, callback: Any, *args: Any, context: Any = None) -> Any:  # type: ignore[override]
            seen.append(callback)

        def get_debug(self) -> bool:
            return False

        def call_exception_handler(self, context: Any) -> None:
            pass

    async def nothing() -> None:
        pass

    coro = nothing()
    task = asyncio.Task(coro, loop=_Spy())  # type: ignore[abstract]
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    coro.close()
    return type(seen[0])


STEP = _step_type()


def _inner(function: Any, name: str) -> CodeType:
    """The code of a function that is defined inside another one."""
    for const in function.__code__.co_consts:
        if isinstance(const, CodeType) and const.co_name == name:
            return const
    raise SimulatorBug(f"asyncio's {function.__name__} has no {name} any more")


_GATHERED = _inner(asyncio.gather, "_done_callback")
_WAITED = _inner(tasks._wait, "_on_completion")  # type: ignore[attr-defined]
# What each of them completes: a free variable, or the first argument.
_COMPLETES: dict[CodeType, str | None] = {
    _GATHERED: "outer",
    _inner(asyncio.shield, "_inner_done_callback"): "outer",
    _WAITED: "waiter",
    futures._set_result_unless_cancelled.__code__: None,  # type: ignore[attr-defined]
    tasks._release_waiter.__code__: None,  # type: ignore[attr-defined]
}
_UNSHIELDED = _inner(asyncio.shield, "_outer_done_callback")
_SILENT: dict[CodeType, None] = {_UNSHIELDED: None}
_GROUP = taskgroups.TaskGroup._on_task_done.__code__


def silent(callback: Callable[..., Any]) -> None:
    """Declare that this callback changes nothing that a program can see."""
    _SILENT[callback.__code__] = None


def is_task_step(callback: Any) -> bool:
    """Whether calling it makes a step of the task ``callback.__self__``."""
    kind = type(callback)
    if kind is STEP or (kind is BUILTIN and callback.__name__ == WAKEUP):
        return True
    owner = getattr(callback, "__self__", None)
    return isinstance(owner, tasks._PyTask) and callback.__name__ in (  # type: ignore[attr-defined]
        "__step",
        "_Task__step",
        "__wakeup",
        "_Task__wakeup",
    )


def is_plumbing(callback: Any, args: Sequence[Any]) -> bool:
    """Whether all that the callback does is to wake somebody who waits already."""
    function = callback.func if type(callback) is partial else callback
    if getattr(function, "__code__", None) in _SILENT:
        return True
    future = completed_by(callback, args)
    return future is not None and _is_awaited(future)


def completed_by(callback: Any, args: Sequence[Any]) -> Any:
    """The future that a callback of the library completes, or does its part of completing; None if it is none
    of these, or there is no such future yet."""
    function = callback
    if type(callback) is partial:  # wait_for's
        function, args = callback.func, (*callback.args, *args)
    code = getattr(function, "__code__", None)
    if code in _COMPLETES:
        free = _COMPLETES[code]
        return args[0] if free is None else _free(function, free)
    group = group_of(callback)
    return None if group is None or _group_failed(callback, args) else group._on_completed_fut


def looked_at_by(callback: Any) -> Any:
    """The future whose end it is not to hear of any more, if a callback of the library sees to that."""
    return _free(callback, "inner") if getattr(callback, "__code__", None) is _UNSHIELDED else None


def passes_on(callback: Any, args: Sequence[Any]) -> bool:
    """Whether it is one of the library's that only pass a result on, even if nobody waits for it yet."""
    function = callback.func if type(callback) is partial else callback
    code = getattr(function, "__code__", None)
    if group_of(callback) is not None:
        return not _group_failed(callback, args)
    return code in _COMPLETES or code in _SILENT


def group_of(callback: Any) -> Any:
    """The task group whose own callback it is, if it is one."""
    function: Any = callback.func if type(callback) is partial else callback
    return function.__self__ if getattr(function, "__code__", None) is _GROUP else None


def _group_failed(callback: Any, args: Sequence[Any]) -> bool:
    group = group_of(callback)
    return bool(group._aborting or group._errors or getattr(args[0], "_exception", None) is not None)


def decides(callback: Any, args: Sequence[Any]) -> bool:
    """Whether the future might be complete with this alone, whatever else is to complete it: then it matters which
    comes first. Else it is one of many parts, which come together in any order."""
    function = callback.func if type(callback) is partial else callback
    code = getattr(function, "__code__", None)
    if code is _GATHERED:
        return not _free(function, "return_exceptions") and _failed(args[0])
    if code is _WAITED:
        until = _free(function, "return_when")
        return until == asyncio.FIRST_COMPLETED or (until == asyncio.FIRST_EXCEPTION and _failed(args[0]))
    return group_of(callback) is None


def _free(function: Any, name: str) -> Any:
    """The value of a free variable."""
    return function.__closure__[function.__code__.co_freevars.index(name)].cell_contents


def _failed(child: Any) -> bool:
    return bool(asyncio.Future.cancelled(child)) or child._exception is not None


def _is_awaited(future: Any) -> bool:
    return future.done() or bool(future._callbacks)
