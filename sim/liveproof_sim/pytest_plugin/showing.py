"""How a failure looks that has no line of the test's own: a deadlock, a refusal."""

from __future__ import annotations

from typing import Any

import pytest
from _pytest._code.code import ExceptionChainRepr, ReprEntry, ReprFileLocation, ReprTraceback

from liveproof_sim.errors import SimError, SimulatorBug
from liveproof_sim.pytest_plugin.conductor import own_frames

__all__ = ["longrepr_of"]


def longrepr_of(item: pytest.Item, excinfo: pytest.ExceptionInfo[BaseException]) -> Any:
    """The message at the test's own place; None: pytest shows it well."""
    error = excinfo.value
    if not isinstance(error, SimError) or isinstance(error, SimulatorBug) or _seen(item, excinfo):
        return None
    path, line, _ = item.reportinfo()
    text = f"{type(error).__name__}: {error}"
    place = ReprFileLocation(str(path), (line or 0) + 1, text)
    lines = [f"E       {each}" for each in text.splitlines()]
    entry = ReprEntry(lines, None, None, place, "long")
    return ExceptionChainRepr([(ReprTraceback([entry], None, "long"), place, None)])


def _seen(item: pytest.Item, excinfo: pytest.ExceptionInfo[BaseException]) -> bool:
    """Whether the traceback has a line of the test's module or of what it calls."""
    frames = own_frames(excinfo.tb)
    while frames is not None:
        frame = frames.tb_frame
        if frame.f_code.co_filename == str(item.path) and not frame.f_locals.get("__tracebackhide__"):
            return True
        frames = frames.tb_next
    return False
