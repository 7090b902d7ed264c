"""A verdict as data: for JSON, for the page, for other tools.

Version 1 of the format. Keys are added, never renamed; times are nanoseconds of virtual time, ``seconds`` is
wall-clock time, chances are numbers from 0 to 1.
"""

from __future__ import annotations

from itertools import groupby
from typing import Any

import msgspec

from liveproof_sim.explore.verdict import Failure, Verdict
from liveproof_sim.trace.events import Event, Trace

__all__ = ["as_data", "as_json"]

VERSION = 1


def as_data(verdict: Verdict, scenario: str) -> dict[str, Any]:
    """Plain dictionaries, lists, strings and numbers."""
    return {
        "format": "liveproof-verdict",
        "version": VERSION,
        "scenario": scenario,
        "status": verdict.status.value,
        "sentence": str(verdict),
        "reason": verdict.reason.value,
        "exit_code": verdict.exit_code,
        "strategy": verdict.strategy,
        "executions": verdict.executions,
        "behaviours": verdict.behaviours,
        "unseen_at_most": verdict.unseen,
        "unseen_estimate": verdict.unseen_estimate,
        "excluded_above": verdict.excluded_above,
        "curve": [list(point) for point in verdict.curve],
        "bounds": verdict.bounds,
        "assumptions": verdict.assumptions,
        "arms": verdict.arms,
        "never_reached": verdict.missed,
        "seconds": verdict.seconds,
        "failure": None if verdict.failure is None else _failure(verdict.failure),
    }


def as_json(verdict: Verdict, scenario: str) -> str:
    """The same as one line of JSON."""
    return msgspec.json.encode(as_data(verdict, scenario)).decode()


def _failure(failure: Failure) -> dict[str, Any]:
    return {
        "type": type(failure.exception).__name__,
        "message": str(failure.exception),
        "signature": failure.signature,
        "token": failure.token,
        "report": failure.report,
        "preemptions": failure.switches,
        "minimal": failure.minimal,
        "fewest": failure.fewest,
        "stock": failure.stock,
        "trace": None if failure.trace is None else _trace(failure.trace),
    }


def _trace(trace: Trace) -> dict[str, Any]:
    steps = [event for event in trace.events if event.kind != "draw" and event.who != "_stop_loop"]
    turns = [_turn(list(group)) for _, group in groupby(steps, key=lambda event: event.who)]
    draws = [_draw(event) for event in trace.events if event.kind == "draw"]
    return {
        "steps": len(steps),
        "ended_ns": trace.events[-1].time_ns if trace.events else 0,
        "tasks": list(dict.fromkeys(event.who for event in steps)),
        "turns": turns,
        "draws": draws,
        "pending": [{"task": task, "place": place} for task, place in trace.pending],
        "about": trace.about,
    }


def _turn(events: list[Event]) -> dict[str, Any]:
    """What one task did in a row."""
    return {
        "step": events[0].step,
        "time_ns": events[0].time_ns,
        "who": events[0].who,
        "kind": events[0].kind,
        "overtook": next((event.overtook for event in events if event.overtook), ""),
        "steps": [{"site": event.site, "place": event.place} for event in events],
    }


def _draw(event: Event) -> dict[str, Any]:
    return {
        "step": event.step,
        "time_ns": event.time_ns,
        "kind": event.place,
        "label": event.who,
        "chosen": event.chosen,
        "options": event.options,
    }
