"""What monitors look at: the book, the targets and the store; and whom they tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import msgspec

from liveproof.abc.store import Store
from liveproof_sim.errors import ContractError
from liveproof_sim.kernel.accesses import here
from liveproof_sim.properties.contract.book import Book
from liveproof_sim.properties.contract.reading import Path

__all__ = ["Effect", "Entry", "Logged", "Offset", "Scene", "Watched"]


class Watched(Protocol):
    """What is asked of a target."""

    @property
    def root(self) -> str: ...

    def at(self, keys: Path, /) -> Any: ...

    def flat(self) -> dict[Path, Any]: ...


class Entry(Protocol):
    """What is asked of a record of a log."""

    @property
    def offset(self) -> int: ...

    @property
    def key(self) -> Any: ...


class Offset(Protocol):
    """What is asked of a commit: all below the offset is not delivered again."""

    @property
    def group(self) -> str: ...

    @property
    def partition(self) -> int: ...

    @property
    def offset(self) -> int: ...


class Logged(Protocol):
    """What is asked of a log."""

    @property
    def name(self) -> str: ...

    @property
    def partitions(self) -> Sequence[Sequence[Entry]]: ...


Effect: TypeAlias = Callable[[Any], Mapping[Path, Any]]
"""What a record means: target states and their values. What it does not name is not there, if an earlier record of
the same key named it."""


class Scene:
    """One execution, as monitors see it. Paths begin with the name of the app."""

    def __init__(
        self,
        store: Callable[[], Store],
        targets: Mapping[str, Watched],
        fail: Callable[[ContractError], None],
    ) -> None:
        self._store = store
        self._targets = targets
        self._fail = fail
        self.broken: ContractError | None = None
        self.is_idle = False
        """Whether nothing has changed, so that nothing may be done."""
        self.apps: list[str] = []
        """All that have been started."""
        self.handled = False
        """Whether the scenario has handlers of its own: only then may a handle raise what a handler raised."""
        self.book = Book()
        self.effects: dict[str, tuple[Logged, Effect]] = {}
        """logs, and what their records mean, by name"""

    @property
    def store(self) -> Store:
        """Where the apps keep what they remember."""
        return self._store()

    def breach(self, code: str, text: str) -> None:
        """The first one counts: what follows may be its consequence."""
        if self.broken is None:
            self.broken = ContractError(code, text)
            self._fail(self.broken)

    def note(self, path: Path, *, looks_at_calls: bool = False) -> None:
        """In a reduced search: monitors see in which order things happen at one path, and at one and others below
        it, but not at others. When something is called counts for calls of the same component, and for what looks at
        them: what they are about goes on meanwhile."""
        accesses = here()
        if accesses is not None:
            accesses.write(("contract", path))
            for length in range(len(path)):
                accesses.read(("contract", path[:length]))
                if looks_at_calls:
                    accesses.read(("called", path[:length]))
            if looks_at_calls:
                accesses.read(("called", path))

    def note_invoked(self, path: Path) -> None:
        """The same, of a call of an operator: what happens to the live component itself comes before it or not."""
        accesses = here()
        if accesses is not None:
            accesses.write(("called", path))
            for length in range(len(path) + 1):
                accesses.read(("contract", path[:length]))

    def at(self, state: Path) -> Any:
        """What a target has there; None if it is no target of this world."""
        accesses = here()
        if accesses is not None:
            accesses.read(("contract", state))
        target = next((each for each in self._targets.values() if each.root == state[0]), None)
        return None if target is None else target.at(state[1:])

    def states(self) -> list[Path]:
        """All that is in the targets of this world. Asked for when all has ended."""
        return [(each.root, *keys) for each in self._targets.values() for keys in each.flat()]

    def is_record(self, record: bytes, value: Any) -> bool:
        """Whether a stored record is that of ``value`` in a target of this world."""
        return record == b"M" + msgspec.msgpack.encode(repr(value))
