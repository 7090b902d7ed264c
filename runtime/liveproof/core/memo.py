"""Remembered calls: when the outcome of an earlier call of a function stands for a new one.

A memo of a call holds the result, the logic and context values that the call was seen to use, the memo
states of its arguments, and the target states that it declared. It stands while everything used is
live and every memo state says so. Using it has the effects of the call: what it used counts as used by the
caller, and what it declared stays declared.

Memo states are asked *before* the function runs, so that a change during the run is seen the next time.
A call that raises leaves no memo. Two equal calls at the same time in one component both run; the later
memo stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from inspect import isawaitable
from typing import Any, Protocol, cast

import msgspec

from liveproof.core.absence import NON_EXISTENCE
from liveproof.core.context import CallFrame, ComponentContext
from liveproof.core.fingerprint import MemoStateOutcome, StateFn
from liveproof.core.logic import is_live
from liveproof.core.values import decode, encode
from liveproof.errors import MemoError

__all__ = ["MemoCall", "MemoEntry", "MemoSite", "call_frame", "check_states", "close_frame", "own_frame"]


class MemoEntry(msgspec.Struct, array_like=True):
    """What is remembered of a call. Values and states as ``values.encode`` writes them."""

    uses: list[bytes]
    """Logic and context fingerprints that the call depended on, in order."""
    states: list[bytes]
    """Memo states of its arguments, in the order of the fingerprint."""
    targets: list[bytes]
    """Keys of the target states that it declared."""
    result: bytes
    records: list[bytes | None] = []
    """What those held when the cycle ended, set by whoever stores this; ``None``: that was not certain."""
    inner: list[bytes] = []
    """Keys of the remembered calls inside it: they stay as long as this one is used."""


class MemoSite(Protocol):
    """Where a component keeps its memos: the running cycle."""

    def memo_get(self, key: bytes, /) -> MemoEntry | None:
        """What may be used: when everything is processed again, only what this cycle has put."""

    def memo_put(self, key: bytes, entry: MemoEntry, /) -> None: ...

    def retain_targets(self, targets: Sequence[bytes], /) -> None:
        """Keep the target states that a remembered call declared."""

    def fingerprints_live(self, fingerprints: Sequence[bytes], /) -> bool:
        """Whether this logic is live and these context values are provided."""


# --- frames ---


def own_frame(outer: CallFrame) -> CallFrame:
    """A frame that keeps what a call uses from its caller, but not what it declares."""
    frame = CallFrame(outer=outer.outer)
    frame.targets = outer.targets
    frame.memos = outer.memos
    return frame


def call_frame(outer: CallFrame) -> CallFrame:
    """The frame of a remembered call. Only such frames have an outer frame."""
    return CallFrame(outer=outer)


def close_frame(frame: CallFrame, outer: CallFrame, logic: bytes | None, *, own_only: bool) -> list[bytes]:
    """Tell the caller's frame what a call used, and return that. ``own_only`` leaves out other
    functions' logic: context values count all the same."""
    uses = dict.fromkeys(() if logic is None else (logic,))
    uses.update((used, None) for used in frame.uses if not (own_only and is_live(used)))
    outer.uses.update(uses)
    return list(uses)


# --- memo states ---


def _asked(state: StateFn, stored: bytes | None) -> Any:
    """Call a memo-state function; what it was stored as may not be readable any more."""
    previous: Any = NON_EXISTENCE
    if stored is not None:
        try:
            previous = decode(stored, state.decode_type)
        except MemoError:
            pass
    return state.call(previous)


def _checked(outcome: object, state: StateFn) -> MemoStateOutcome:
    if not isinstance(outcome, MemoStateOutcome):
        name = getattr(state.call, "__qualname__", repr(state.call))
        raise TypeError(f"{name} returned a {type(outcome).__name__}, not a MemoStateOutcome")
    return outcome


def _judge(outcomes: Iterable[MemoStateOutcome], stored: Sequence[bytes]) -> tuple[bool, list[bytes]]:
    found = list(outcomes)
    valid = len(stored) == len(found) and all(outcome.memo_valid for outcome in found)
    return valid, [encode(outcome.state) for outcome in found]


def _pairs(states: Sequence[StateFn], stored: Sequence[bytes]) -> Iterator[tuple[StateFn, bytes | None]]:
    known = stored if len(stored) == len(states) else [None] * len(states)
    return zip(states, known, strict=True)


async def check_states(states: Sequence[StateFn], stored: Sequence[bytes]) -> tuple[bool, list[bytes]]:
    """Ask memo-state functions whether what was ``stored`` is still good, and what to store now.

    ``stored`` is empty if there is nothing to compare with; then nothing is valid.
    """
    outcomes = []
    for state, previous in _pairs(states, stored):
        outcome = _asked(state, previous)
        outcomes.append(_checked(await outcome if isawaitable(outcome) else outcome, state))
    return _judge(outcomes, stored)


def check_states_sync(states: Sequence[StateFn], stored: Sequence[bytes]) -> tuple[bool, list[bytes]]:
    """As :func:`check_states`, for a sync function, which cannot wait."""
    outcomes = []
    for state, previous in _pairs(states, stored):
        outcome = _asked(state, previous)
        if isawaitable(outcome):
            if (close := getattr(outcome, "close", None)) is not None:
                close()  # A coroutine that nobody will run.
            raise RuntimeError(
                "an argument's __coco_memo_state__ is async and the function that it was passed to is "
                "not: make the function async, or decorate it with @fn.as_async"
            )
        outcomes.append(_checked(outcome, state))
    return _judge(outcomes, stored)


# --- one call ---


class MemoCall:
    """One call of a memoized function in a component, from looking up to storing."""

    __slots__ = (
        "_context",
        "_entry",
        "_key",
        "_logic",
        "_own_only",
        "_result_type",
        "_site",
        "states",
    )

    def __init__(
        self,
        context: ComponentContext,
        key: bytes,
        states: list[StateFn],
        *,
        logic: bytes | None,
        own_only: bool,
        result_type: Any,
    ) -> None:
        self._context = context
        self._site = cast(MemoSite, context.cycle)
        self._key = key
        self._logic = logic
        self._own_only = own_only
        self._result_type = result_type
        self.states = states
        entry = self._site.memo_get(key)
        if entry is not None and not (
            len(entry.states) == len(states) and self._site.fingerprints_live(entry.uses)
        ):
            entry = None
        self._entry = entry

    @property
    def stored(self) -> list[bytes]:
        """The memo states to compare with; empty if there is no memo that could be used."""
        return [] if self._entry is None else self._entry.states

    def recall(self, valid: bool, states: list[bytes]) -> tuple[Any] | None:
        """The remembered result, if it stands, with the effects of the call."""
        entry = self._entry
        if entry is None or not valid:
            return None
        try:
            result = decode(entry.result, self._result_type)
        except MemoError:  # The type has changed since. Reached by test_changed_result_type_runs_again.
            return None
        if entry.states != states:
            self._site.memo_put(
                self._key, MemoEntry(entry.uses, states, entry.targets, entry.result, inner=entry.inner)
            )
        frame = self._context.frame
        frame.uses.update(dict.fromkeys(entry.uses))
        if frame.outer is not None:
            frame.memos += [self._key, *entry.inner]
        if entry.targets:
            self._site.retain_targets(entry.targets)
            if frame.outer is not None:
                frame.targets.extend(entry.targets)
        return (result,)

    def begin(self) -> ComponentContext:
        """The context to run the function in."""
        return self._context.replace(frame=call_frame(self._context.frame))

    def end(self, inside: ComponentContext) -> list[bytes]:
        """The function has returned or raised: its caller depends on it. Returns what it used."""
        outer = self._context.frame
        if outer.outer is not None:
            outer.targets.extend(inside.frame.targets)
        return close_frame(inside.frame, outer, self._logic, own_only=self._own_only)

    def remember(
        self, inside: ComponentContext, uses: list[bytes], states: list[bytes], result: object
    ) -> None:
        """Store the outcome of a call that returned."""
        targets = list(dict.fromkeys(inside.frame.targets))
        inner = list(dict.fromkeys(inside.frame.memos))
        self._site.memo_put(self._key, MemoEntry(uses, states, targets, encode(result), inner=inner))
        outer = self._context.frame
        if outer.outer is not None:
            outer.memos += [self._key, *inner]
