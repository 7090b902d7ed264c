"""What a step reads and writes, so that an explorer can tell which steps commute.

A *footprint* maps resources to modes. Four modes are enough to keep commuting steps apart:

=======  =====================================================  ================
mode     meaning                                                conflicts with
=======  =====================================================  ================
READ     looks at the whole of it                               ADD, WRITE
ADD      a change that commutes with others of its kind         READ, WRITE
WRITE    any other change                                       all
PART     looks at one part, which has a resource of its own     WRITE
=======  =====================================================  ================

A container has one resource for the whole and one per key: to set an item is WRITE of the key and ADD of the
whole; to look one up is READ of the key and PART of the whole; to iterate is READ of the whole. So items of
their own are independent, and who asks for the length depends on all who add.

Objects go by a name that is the same in all equivalent executions: the task that made them, where in the code, and
how many it had made there before. What was made unseen goes by its type alone, which is coarse and never wrong.

**Semantics, settled here.** A step is the code of one task between two suspensions; all that it touches conflicts
or commutes as a block. The ready queue is no resource: any ready task may run. An attempt that has to wait is a
step like any other, and so is going on after it; but an attempt that does *nothing else* (all that its step has
done before is to look at what never changes) and waits for a lock, for an item or a place of a queue, or in
``world.until``, is no step: the task counts as unable to run until it can. So acquisitions race with acquisitions,
not with releases. ``put`` and ``get`` of a queue conflict when they are about the same item, or when one of them
found the queue empty or full. At a gate of the runtime, those who open it commute, and going on is a step of its
own, after all of them: as if whoever waits were always held up for a moment. Whoever fetches what others give does so
in a step of its own, too; it races with those who gave, but for the first one, if all others gave after that:
without it there would have been nothing to fetch. A cancellation writes the victim, each of whose steps reads it;
the step in which the victim sees it is one that could have been another, had it run before. Parts of a future's
result, as those of ``gather``, come together in any order (ADD); where the first one
counts, as with ``FIRST_COMPLETED``, each is a WRITE. The turn of a callback reads whether it was cancelled
meanwhile. Timers of one instant fire in the order in which they were made, so their makers conflict, but for sleeps
among themselves where these end at once. Where time stands still until nothing is ready (discrete timers), a step
of time comes after all steps before it and before all after it; late timers write the clock, which whoever asks for
the time reads. What monitors look at after each step is no part of it; but steps that change something of that are
*visible*: they conflict with each other, so that monitors see each order of them.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from liveproof_sim.errors import NondeterminismError

__all__ = [
    "ADD",
    "CURRENT",
    "PART",
    "READ",
    "WORLD",
    "WRITE",
    "Accesses",
    "Footprint",
    "conflict",
    "entered",
    "here",
    "modes_conflict",
]

READ, ADD, WRITE, PART = 1, 2, 4, 8

Footprint: TypeAlias = dict[Hashable, int]
"""Resource → modes, as bits."""

WORLD = "everything"
"""Written by steps of which nothing is known."""


def modes_conflict(one: int, other: int) -> bool:
    """Whether two accesses to one resource may not change places."""
    if one & WRITE:
        return other != 0
    if other & WRITE:
        return one != 0
    return bool((one & READ and other & ADD) or (one & ADD and other & READ))


def conflict(one: Footprint, other: Footprint) -> bool:
    """Whether two steps may not change places."""
    if len(one) > len(other):
        one, other = other, one
    for resource, modes in one.items():
        if resource in other and modes_conflict(modes, other[resource]):
            return True
    return (WORLD in one and bool(other)) or (WORLD in other and bool(one))


_INNER = dict.fromkeys(str(path) for path in Path(__file__).resolve().parent.glob("*.py"))
"""Files that only make objects on behalf of others"""
_places: dict[tuple[str, int], int] = {}
"""Function and offset in its code → a number, the same in every process"""

VISIBLE = "what monitors look at"
"""Written by steps that change it."""

CURRENT: list[Accesses | None] = [None]
"""One item: what :func:`here` returns, for those who look very often"""


def here() -> Accesses | None:
    """Of the reduced simulation that is running, if there is one; blocking calls included."""
    return CURRENT[0]


@contextmanager
def entered(accesses: Accesses | None) -> Iterator[None]:
    """While a loop runs."""
    outer, CURRENT[0] = CURRENT[0], accesses
    if accesses is not None:
        accesses.muted -= 1
    try:
        yield
    finally:
        CURRENT[0] = outer
        if accesses is not None:
            accesses.muted += 1


WORDS_MAX = 100_000
_words: dict[Hashable, tuple[str, str]] = {}
"""Resource → what is said of monitors that look at it, and into it"""


def _words_of(resource: Hashable) -> tuple[str, str]:
    words = _words.get(resource)
    if words is None:
        if len(_words) >= WORDS_MAX:
            _words.clear()
        words = _words[resource] = (f"looked at: {resource!r}", f"looked into: {resource!r}")
    return words


_EVERYTHING = _words_of(WORLD)[0]


class Accesses:
    """The footprint of the running step, and the names of objects. One per execution."""

    __slots__ = (
        "_kept",
        "_made",
        "answers",
        "blind",
        "deadly",
        "draws",
        "fresh",
        "hot",
        "joins",
        "late",
        "looked",
        "lost",
        "made_here",
        "maker",
        "muted",
        "names",
        "quiet",
        "relied",
        "silent",
        "step",
        "unknown",
    )

    def __init__(self, hot: dict[str, None] | None = None) -> None:
        self.hot: dict[str, None] = {} if hot is None else hot
        """resources, in words, that are known to be written after the step that touched them first"""
        self.relied: dict[str, None] = {}
        """words that were taken not to be among those, because a step that did nothing else was none, or changed what
        no monitor looks at"""
        self.looked: dict[str, None] = {}
        """resources, in words, that monitors have looked at, or into"""
        self.fresh: Callable[[], Footprint] = dict
        """makes the footprint of a step"""
        self.step: Footprint = {}
        self.joins: list[tuple[Hashable, Hashable]] = []
        """(what this step took, what had to be given before): it races with others who took it, and comes after
        who gave without racing with that; (what this step fetched, None): it comes after who gave first without
        racing with that, if nobody else gave before it who could have been the first"""
        self.lost: list[Any] = []
        """guards whose wait this step has ended: who waited might have gone on before"""
        self.draws: list[tuple[str, int, int]] = []
        """decisions of this step that are no steps: label, chosen, options"""
        self.unknown: dict[str, None] = {}
        """why steps conflict with everything"""
        self.silent = False
        """whether what the running step does is known already, because it ran before, after the same steps. Objects
        get their names all the same"""
        self.deadly = False
        """whether the process may die after any step: then an attempt that has to wait is a step like any other"""
        self.blind = False
        """whether the running step does something unknown"""
        self.answers: list[bool] = []
        """what :meth:`alone` has answered in this step; in a silent one, what it is to answer"""
        self.muted = 1  # until the loop runs: those who explain a run look at tasks, too
        self.maker = ""
        """the label of who is running"""
        self._made: dict[tuple[str, int], int] = {}
        self.made_here = 0
        """how many objects the running step has made"""
        self.quiet: dict[type, Any] = {}
        """for those who look at classes that this execution made: what they found"""
        self.names: dict[int, Hashable] = {}
        """by address"""
        self.late: dict[Hashable, None] | None = None
        """names of objects that were made since the power failed by itself, for the last time, and what else came
        into being then"""
        self._kept: list[Any] = []  # Invariant: holds every named object, so that no address is used twice.

    def begin(self, maker: str, answers: tuple[bool, ...] | None = None) -> None:
        """A step begins; a silent one with what :meth:`alone` is to answer in it."""
        self.step = self.fresh()
        self.joins = []
        self.draws = []
        self.lost = []
        self.maker = maker
        self.made_here = 0
        self.blind = False
        self.silent = answers is not None
        self.answers = list(answers or ())

    def note(self, resource: Hashable, modes: int) -> None:
        """The running step does this to the resource."""
        if not (self.muted or self.silent):
            self.step[resource] = self.step.get(resource, 0) | modes

    def touch(self, resource: Hashable, write: bool) -> None:
        """For those who know only reads and writes."""
        self.note(resource, WRITE if write else READ)

    def read(self, resource: Hashable) -> None:
        self.note(resource, READ)

    def write(self, resource: Hashable) -> None:
        self.note(resource, WRITE)

    def add(self, resource: Hashable) -> None:
        self.note(resource, ADD)

    def take(self, taken: Hashable, given: Hashable) -> None:
        """The running step writes ``taken``, and could not have run before the last write of ``given``."""
        if not (self.muted or self.silent):
            self.note(taken, WRITE)
            self.joins.append((taken, given))

    def fetch(self, given: Hashable) -> None:
        """The running step takes all that was given, and could not have run before the first of it."""
        if not (self.muted or self.silent):
            self.note(given, WRITE)
            self.joins.append((given, None))

    def opaque(self, why: str) -> None:
        """The running step does something unknown."""
        if not (self.muted or self.silent):
            self.unknown[why] = None
            self.blind = True
            self.step[WORLD] = WRITE

    def alone(self) -> bool:
        """Whether the running step has done nothing so far but to look at what never changes."""
        if self.silent:
            if not self.answers:
                raise NondeterminismError("a step that had run before now asks for more")
            return self.answers.pop(0)
        self.answers.append(answer := not self.deadly and self.is_alone())
        return answer

    def is_alone(self) -> bool:
        """The same, asked by who only watches the step."""
        if self.draws:
            return False
        words = []
        for resource, modes in self.step.items():
            if modes & (ADD | WRITE):
                return False
            word = repr(resource)
            if word in self.hot:
                return False
            words.append(word)
        self.relied.update(dict.fromkeys(words))
        return True

    @contextmanager
    def mute(self) -> Iterator[None]:
        """What happens inside is accounted for otherwise."""
        self.muted += 1
        try:
            yield
        finally:
            self.muted -= 1

    @contextmanager
    def aside(self) -> Iterator[Footprint]:
        """What happens inside is no part of the step, but for what it changes. Yields its footprint."""
        step, joins = self.step, self.joins
        self.step, self.joins = self.fresh(), []
        try:
            yield self.step
        finally:
            seen, self.step, self.joins = self.step, step, [*joins, *self.joins]
            for resource, modes in seen.items():
                if modes & (ADD | WRITE) and resource != WORLD:
                    self.note(resource, modes)

    def look(self, seen: Footprint) -> None:
        """Monitors have looked, after the step that is about to end. If it changed what they ever look at, it is
        visible. Whether they look at something depends on what they saw before; so what counts is whether they do
        in any execution, and who relied on the contrary is to be run once more."""
        if self.silent:
            return
        looked, hot = self.looked, self.hot
        for resource, modes in seen.items():
            at, into = _words_of(resource)
            looked[at if modes & READ or resource == WORLD else into] = None
        visible = _EVERYTHING in looked or _EVERYTHING in hot
        changes = False
        for resource, modes in self.step.items():
            if not modes & (ADD | WRITE):
                continue
            changes = True
            if visible:
                break
            at, into = _words_of(resource)
            visible = at in looked or at in hot or bool(modes & WRITE and (into in looked or into in hot))
            if not visible:
                self.relied[_EVERYTHING] = self.relied[at] = None
                if modes & WRITE:
                    self.relied[into] = None
        if visible and changes:
            self.write(VISIBLE)

    # ---- names

    def made(self, thing: Any) -> Hashable:
        """Name an object that was made just now. The number is that of the place in the code, and of how many the
        task has made there: so a cache that was filled in one execution, and is there in the next, shifts no other
        name."""
        frame = sys._getframe(1)
        while frame.f_code.co_filename in _INNER and frame.f_back is not None:
            frame = frame.f_back
        where = (frame.f_code.co_qualname, frame.f_lasti)
        place = _places.get(where)
        if place is None:
            place = _places[where] = zlib.crc32(repr(where).encode()) << 32
        at = (self.maker, place)
        count = self._made[at] = self._made.get(at, place) + 1
        name = (type(thing).__qualname__, self.maker, count)
        self.made_here += 1
        if self.late is not None:
            self.late[name] = None
        self.names[id(thing)] = name  # tidy: allow id (a key of the registry, never shown or ordered by)
        self._kept.append(thing)
        return name

    def is_late(self, resource: Hashable) -> bool:
        """Whether it is about something that was made since the power failed last, by itself."""
        if self.late is None:
            return False
        if resource in self.late:
            return True
        return isinstance(resource, tuple) and any(self.is_late(each) for each in resource)

    def name(self, thing: Any) -> Hashable:
        """The name of an object; of one that was made unseen, that of its type."""
        name = self.names.get(id(thing))  # tidy: allow id (a key of the registry, never shown or ordered by)
        return (type(thing).__qualname__,) if name is None else name

    def knows(self, thing: Any) -> bool:
        """Whether the object has a name of its own."""
        return id(thing) in self.names  # tidy: allow id (a key of the registry, never shown or ordered by)
