"""The tape: which step ran when, by name; and its compact token.

A tape lists every step of a run in order, forced ones too, each as the name of the task and of the place
where it went on. Because nothing in it is a position, it survives edits:

- steps of tasks, or at places, that the tape does not know (they were added since) run when nothing else can;
- a step that it names and that is not there any more refuses the replay, expected against got.

What it does not survive: a new task of the same function made before an old one (they are numbered), or an
old ``await`` line that was reworded. Other decisions (faults, data) are recorded by label and position.

Token: ``lp1-`` + base64url of zlib of JSON ``{"v": 1, "f": fingerprint, "n": [names], "s": [[name, place,
times] …], "p": [[name, place] …], "d": [[label, chosen] …], "o": {options}}``. Version 1 is the first. The
fingerprint names interpreter, library and the scenario's code; it explains a refusal, and does not cause one.
"""

from __future__ import annotations

import base64
import binascii
import json
import sys
import zlib
from collections import Counter, deque
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import groupby
from typing import Any

from liveproof_sim.errors import ReplayError, TapeError
from liveproof_sim.kernel.choices import Choices, Entry, Kind
from liveproof_sim.kernel.naming import Labels
from liveproof_sim.kernel.recorder import name_of
from liveproof_sim.trace.events import Trace

__all__ = ["PREFIX", "Named", "Replay", "Tape", "fingerprint", "read_token", "summary"]

PREFIX = "lp1-"
CLOCK = ("clock", "")


def fingerprint(scenario: Any) -> str:
    """What a token was made with: interpreter, version of the tape, code of the scenario."""
    code = getattr(scenario, "__code__", None)
    digest = blake2b(getattr(code, "co_code", b""), digest_size=4).hexdigest()
    return f"{sys.implementation.name}-{sys.version_info.major}.{sys.version_info.minor}/1/{digest}"


@dataclass(frozen=True, slots=True)
class Tape:
    """The steps of a run by name, and its other decisions by label."""

    steps: tuple[tuple[str, str], ...]
    draws: tuple[tuple[str, int], ...] = ()
    made_with: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    """fidelity, timers and the like: what the run needs to be the same run"""
    pending: tuple[tuple[str, str], ...] = ()
    """where tasks were that had not ended: places that are no news"""

    @classmethod
    def of(cls, trace: Trace, made_with: str, options: dict[str, Any]) -> Tape:
        """What a recorded run decided."""
        steps = tuple((e.who, e.place) for e in trace.events if e.kind != "draw")
        draws = tuple((e.who, e.chosen) for e in trace.events if e.kind == "draw")
        return cls(steps, draws, made_with, options, tuple(trace.pending))

    def token(self) -> str:
        """One string; :func:`read_token` reads it."""
        names: dict[str, int] = {}
        runs = [(*key, len(list(group))) for key, group in groupby(self.steps)]

        def number(name: str) -> int:
            return names.setdefault(name, len(names))

        rows = [[number(who), number(place), times] for who, place, times in runs]
        rest = [[number(who), number(place)] for who, place in self.pending]
        body = {
            "v": 1,
            "f": self.made_with,
            "n": list(names),
            "s": rows,
            "p": rest,
            "d": self.draws,
            "o": self.options,
        }
        packed = zlib.compress(json.dumps(body, separators=(",", ":")).encode(), 9)
        return PREFIX + base64.urlsafe_b64encode(packed).decode().rstrip("=")


def read_token(token: str) -> Tape:
    """The tape of a token.

    Raises:
        TapeError: it is no token, damaged, or of another version.
    """
    if not token.startswith(PREFIX):
        if token.startswith("lp"):
            raise TapeError(
                f"this token has version {token.partition('-')[0]}, and this one reads lp1: explore again"
            )
        raise TapeError(f"this is no liveproof token: it should begin with {PREFIX!r}")
    text = token[len(PREFIX) :]
    try:
        packed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        body = json.loads(zlib.decompress(packed))
        names = body["n"]
        steps = tuple((names[a], names[b]) for a, b, times in body["s"] for _ in range(times))
        pending = tuple((names[a], names[b]) for a, b in body["p"])
        return Tape(steps, tuple((label, n) for label, n in body["d"]), body["f"], body["o"], pending)
    except (ValueError, KeyError, IndexError, TypeError, zlib.error, binascii.Error) as error:
        raise TapeError(f"this token is damaged or incomplete: {error}") from None


class Named:
    """A strategy that knows tasks by name: who makes the loop tells it the names and every step, forced ones
    too."""

    name = "named"
    labels: Labels | None = None

    def ran(self, who: str, place: str) -> None:
        """A step is about to run."""

    def begin(self, choices: Choices, /) -> None:
        """As in the protocol."""

    def pick(self, ready: list[Entry], clock: bool, /) -> int:
        """As in the protocol."""
        raise NotImplementedError

    def offered(self, entry: Entry, /) -> None:
        """As in the protocol."""

    def draw(self, kind: Kind, label: str, options: int, /) -> int:
        """As in the protocol."""
        raise NotImplementedError


class Replay(Named):
    """A strategy that follows a tape by name, tolerates what was added, and refuses what is missing."""

    name = "replay"

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self._known = dict.fromkeys([*tape.steps, *tape.pending])
        self._tasks = dict.fromkeys(who for who, _ in tape.steps)
        self._last = ""
        self.position = 0

    def begin(self, choices: Choices, /) -> None:
        self.position = 0
        self._draws = deque(self._tape.draws)

    def ran(self, who: str, place: str) -> None:
        """Every step reports itself, also those without a choice."""
        steps = self._tape.steps
        self._last = who
        if self.position == len(steps):
            return
        if steps[self.position] == (who, place):
            self.position += 1
        elif (who, place) in self._known and (who, place) != CLOCK:
            raise ReplayError(self.position, _words(steps[self.position]), [_words((who, place))])

    def pick(self, ready: list[Entry], clock: bool, /) -> int:
        steps, position = self._tape.steps, self.position
        if position == len(steps):
            return 0
        assert self.labels is not None
        options = [name_of(entry, self.labels) for entry in ready]
        there = [*options, *([CLOCK] * clock)]
        wanted = steps[position]
        strangers = [n for n, each in enumerate(there) if each not in self._known and each != CLOCK]
        # A new await in the task that ran last: what follows it belonged to that step, and runs with it.
        for at in strangers:
            if there[at][0] == self._last and self._last in self._tasks:
                return at
        if wanted in there:
            return there.index(wanted)
        if strangers:
            # The wanted one's own first; else of whoever ran last, who was to make the wanted one ready.
            for who in (wanted[0], *(who for who, _ in reversed(steps[:position]))):
                for at in strangers:
                    if there[at][0] == who:
                        return at
            return strangers[0]
        if clock:  # what was added may wait for time
            return len(ready)
        raise ReplayError(position, _words(wanted), [_words(each) for each in there])

    def draw(self, kind: Kind, label: str, options: int, /) -> int:
        """By label; draws that the tape does not know are ordinary ones."""
        for at, (known, chosen) in enumerate(self._draws):
            if known == label:
                del self._draws[at]
                return min(chosen, options - 1)
        return 0

    def left(self) -> str | None:
        """The first step that was never reached, for an execution that has ended."""
        steps = self._tape.steps
        return _words(steps[self.position]) if self.position < len(steps) else None


def _words(step: tuple[str, str]) -> str:
    return f"{step[0]} at {step[1]!r}" if step[1] else step[0]


def summary(tape: Tape) -> str:
    """One line for people."""
    counts = Counter(who for who, _ in tape.steps)
    return f"{len(tape.steps)} steps of {len(counts)} tasks"
