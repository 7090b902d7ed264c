"""Which steps run code of which nothing is known: neither instrumented nor declared."""

from __future__ import annotations

import asyncio
from typing import Any

from liveproof_sim.kernel.accesses import Accesses
from liveproof_sim.kernel.choices import Entry
from liveproof_sim.kernel.jobs import Job
from liveproof_sim.kernel.naming import frames_of
from liveproof_sim.kernel.plumbing import completed_by, group_of
from liveproof_sim.kernel.watching import declared

__all__ = ["note_unknown"]


def note_unknown(entry: Entry, accesses: Accesses) -> None:
    """The step of this entry begins: if the code that it goes on with is not known, it conflicts with all."""
    callback = entry[1]
    owner = getattr(callback, "__self__", None)
    if entry[3] is None:
        _note_callback(callback, accesses)
    elif isinstance(owner, asyncio.Task):
        for frame in frames_of(owner.get_coro()):
            if not declared(frame.f_code):
                accesses.opaque(f"{frame.f_code.co_qualname} is not instrumented")
                return
    elif isinstance(callback, Job):
        _note_function(callback.function, accesses)


def _note_callback(handle: Any, accesses: Accesses) -> None:
    name = accesses.name(handle)
    accesses.read(name)
    accesses.write(("turn", name))
    if handle._cancelled:
        return
    if (group := group_of(handle._callback)) is not None:  # somebody has failed
        accesses.write(("group", accesses.name(group)))
    elif completed_by(handle._callback, handle._args) is None:
        _note_function(handle._callback, accesses)


def _note_function(function: Any, accesses: Accesses) -> None:
    inner = getattr(function, "func", function)
    code = getattr(inner, "__code__", None)
    if code is None and isinstance(getattr(inner, "__self__", None), asyncio.Future):
        return  # set_result and the like: they tell of themselves
    if code is None or not declared(code):
        accesses.opaque(f"{getattr(inner, '__qualname__', inner)} is not instrumented")
