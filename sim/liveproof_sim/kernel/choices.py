"""Every decision that could go either way, and the one importer of ``random``.

A run is a pure function of the scenario and its choices. Choice 0 is always what stock asyncio would have
done: first in, first out, no fault. A :class:`Strategy` decides; :class:`Choices` records positions and how
many options there were. Decisions with one option are neither asked nor recorded.

Chance comes in separate streams derived by label (blake2b of seed and label), so that a draw added in one
never shifts another.
"""

from __future__ import annotations

import enum
import random
from collections.abc import Callable
from contextvars import Context
from hashlib import blake2b
from typing import Any, Protocol, TypeAlias

from liveproof_sim.errors import OptionError

__all__ = [
    "SWARM",
    "Calming",
    "Choices",
    "Entry",
    "Fifo",
    "Kind",
    "Strategy",
    "Stream",
    "derive_seed",
    "real_random",
]

Entry: TypeAlias = tuple[int, Any, tuple[Any, ...], Context | None]
"""Something ready: its number in the order of stock asyncio, what to call, with what, and in which context
(None: a handle that runs itself). Of tasks, ``entry[1].__self__`` is the task."""

_core_seed = random.Random.__base__.seed  # type: ignore[union-attr]


class Stream(random.Random):
    """Chance. A whole number seeds it as it seeds ``random.Random``, in a fraction of the time: an execution has a
    few of them."""

    def seed(self, a: int = 0) -> None:  # type: ignore[override]
        """See ``random.Random``."""
        _core_seed(self, a)
        self.gauss_next = None


SWARM = "swarm "
"""With this the labels of those choices begin that switch something off for a whole run."""


class Kind(enum.Enum):
    """What a choice is about."""

    STEP = "step"
    """which ready step runs next"""
    CLOCK = "clock"
    """a timer fires although steps are ready"""
    FAULT = "fault"
    """which fault strikes, if any"""
    DATA = "data"
    """what a generator draws"""
    CRASH = "crash"
    """whether the power fails here"""


TROUBLE = (Kind.FAULT, Kind.CRASH)


def derive_seed(seed: int, label: str) -> int:
    """A seed for ``label``, independent of those of other labels."""
    return int.from_bytes(blake2b(f"{seed}/{label}".encode(), digest_size=8).digest(), "big")


def real_random() -> Any:
    """The module ``random``, for the fence to virtualise."""
    return random


class Strategy(Protocol):
    """Decides. One object serves many executions, one after the other."""

    @property
    def name(self) -> str:
        """For reports."""

    def begin(self, choices: Choices, /) -> None:
        """A new execution starts."""

    def pick(self, ready: list[Entry], clock: bool, /) -> int:
        """Which of the ready entries runs next; ``len(ready)`` is the clock, if it is offered. The list is
        in the order of stock asyncio; there are at least two options."""

    def offered(self, entry: Entry, /) -> None:
        """A plain callback has come to the head of its lane, and to its place among the ready: all other
        entries join at the end."""

    def draw(self, kind: Kind, label: str, options: int, /) -> int:
        """Any other decision."""


class Fifo:
    """Stock asyncio: always 0."""

    name = "fifo"

    def begin(self, choices: Choices, /) -> None:
        pass

    def pick(self, ready: list[Entry], clock: bool, /) -> int:
        return 0

    def offered(self, entry: Entry, /) -> None:
        pass

    def draw(self, kind: Kind, label: str, options: int, /) -> int:
        return 0


class Calming:
    """Asks another strategy until the world is calm; from then on the ordinary option runs, which is fair, and
    no timer is late. Draws of data are still asked for."""

    def __init__(self, inner: Strategy, choices: Choices) -> None:
        self.name = inner.name
        self._choices = choices
        self._pick = inner.pick
        self.begin = inner.begin
        self.offered = inner.offered
        self.draw = inner.draw

    def pick(self, ready: list[Entry], clock: bool, /) -> int:
        return 0 if self._choices.calm else self._pick(ready, clock)


class Choices:
    """The decisions of one execution: asked of a strategy, and recorded."""

    __slots__ = ("_streams", "calm", "last", "noted", "others", "seed", "sizes", "strategy", "taken", "told")

    def __init__(self, strategy: Strategy | None = None, *, seed: int = 0) -> None:
        self.strategy: Strategy = strategy or Fifo()
        self.calm = False  # no faults any more, and first in, first out: see Calming
        self.seed = seed
        self.taken: list[int] = []  # Invariant: as long as sizes, and each below its size.
        self.sizes: list[int] = []
        self.last: Any = None  # what ran last, for strategies that count switches
        self.others: dict[int, tuple[Kind, str]] = {}  # positions in the tape that are not steps
        self.told: Callable[[Kind, str, int, int], None] | None = None  # a recorder, if there is one
        self.noted: Callable[[Kind, str, int, int], None] | None = None  # whoever notes what steps do
        self._streams: dict[str, Stream] = {}
        self.strategy.begin(self)

    def stream(self, label: str) -> Stream:
        """The stream of chance for ``label``; the same object each time in one execution."""
        stream = self._streams.get(label)
        if stream is None:
            stream = self._streams[label] = Stream(derive_seed(self.seed, label))
        return stream

    def draw(self, kind: Kind | str, label: str, options: int) -> int:
        """Decide between ``options`` possibilities, of which 0 is the ordinary one.

        Raises:
            OptionError: there are none, or the kind does not exist.
        """
        try:
            kind = Kind(kind)
        except ValueError:
            names = ", ".join(each.value for each in Kind)
            raise OptionError(f"no kind of choice is called {kind!r}: use one of {names}") from None
        if options < 1:
            raise OptionError(f"the choice {label!r} has no options")
        if options == 1 or (self.calm and kind in TROUBLE):
            return 0
        chosen = self.strategy.draw(kind, label, options)
        assert 0 <= chosen < options, f"{self.strategy.name} chose {chosen} of {options}"
        self.others[len(self.taken)] = (kind, label)
        self.taken.append(chosen)
        self.sizes.append(options)
        if self.noted is not None:
            self.noted(kind, label, chosen, options)
        if self.told is not None:
            self.told(kind, label, chosen, options)
        return chosen

    def _check(self) -> None:
        """Raise ``AssertionError`` if an invariant is broken. Linear in the tape."""
        assert len(self.taken) == len(self.sizes)
        for chosen, options in zip(self.taken, self.sizes, strict=True):
            assert 0 <= chosen < options
