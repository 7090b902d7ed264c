"""Rows that are to be written, and who waits until they are.

What is shared here is told of to the scheduler, and by nothing else (``TOUCHES``): in which order rows come makes no
difference to others who bring some. Who fetches them finds those who wait in the order of keys, not of arrival.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import itemgetter
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from liveproof.abc.scheduler import Scheduler, Task
    from liveproof.abc.store import Table, Write

__all__ = ["Intake", "Recorded", "Rows"]

TOUCHES = True
"""To whoever watches what is read and written: not what the lines of this module say, but what they tell of."""

Recorded: TypeAlias = Callable[[BaseException | None], None]
"""Called once rows are durable, or with the error that kept them from it."""
Rows: TypeAlias = "dict[tuple[Table, bytes], bytes | None]"

_by_key = itemgetter(0)


class Intake:
    """A gate that is open while somebody waits for what has come, or it has waited long enough."""

    __slots__ = ("_due", "_resting", "_rows", "_scheduler", "_unjournaled", "_waiting", "waiters")

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._rows: Rows = {}
        self._unjournaled: Rows = {}
        """Those that came since the store's journal was last written."""
        self._waiting: list[tuple[bytes, Recorded]] = []
        self._due = False
        self._resting = False
        self.waiters: dict[Task, None] | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is a reason to fetch what has come."""
        self._scheduler.touch(self, write=False)
        return bool(self._waiting) or self._due or self._resting

    @property
    def rows(self) -> Rows:
        """What has come; not to be changed."""
        self._scheduler.touch(self, write=False)
        return self._rows

    @property
    def awaited(self) -> bool:
        """Whether somebody waits for it."""
        self._scheduler.touch(self, write=False)
        return bool(self._waiting)

    def has(self, entry: tuple[Table, bytes]) -> bool:
        """Whether a row of this key is in it. For whoever knows of all who bring one of this key."""
        return entry in self._rows

    def bring(self, writes: Iterable[Write]) -> None:
        """Rows; they replace earlier ones of their keys."""
        self._scheduler.contribute(self)
        rows, unjournaled = self._rows, self._unjournaled
        for table, key, value in writes:
            rows[table, key] = unjournaled[table, key] = value

    def wait(self, key: bytes, then: Recorded) -> None:
        """Call ``then`` once all that has come is durable. Of those who wait, keys say who is called first."""
        self._scheduler.contribute(self)
        self._waiting.append((key, then))
        self._scheduler.give(self)

    def hurry(self) -> None:
        """It has waited long enough."""
        self._scheduler.contribute(self)
        self._due = True
        self._scheduler.give(self)

    def rest(self) -> None:
        """Whoever fetches is to end."""
        self._scheduler.contribute(self)
        self._resting = True
        self._scheduler.give(self)

    def wants_rest(self) -> bool:
        """Whether that is so, and there is nothing to fetch. If so, it has been heard."""
        self._scheduler.touch(self, write=True)
        ends = self._resting and not self._waiting and not self._due
        if ends:
            self._resting = False
        return ends

    def fetch(self) -> tuple[Rows, list[Recorded]]:
        """All that has come, and those who wait for it."""
        self._scheduler.touch(self, write=True)
        rows, self._rows, self._unjournaled = self._rows, {}, {}
        waiting, self._waiting = sorted(self._waiting, key=_by_key), []
        self._due = False
        return rows, [then for _, then in waiting]

    def bring_back(self, rows: Rows) -> None:
        """Rows that could not be written, but for those that were replaced meanwhile."""
        self._scheduler.touch(self, write=True)
        for entry, value in rows.items():
            if entry not in self._rows:
                self._rows[entry] = self._unjournaled[entry] = value

    def journal(self, write: Callable[[list[Write]], bool]) -> bool:
        """Have the store's journal take what it has not; whether it did."""
        self._scheduler.touch(self, write=True)
        if not write([(table, key, value) for (table, key), value in self._unjournaled.items()]):
            return False
        self._unjournaled = {}
        return True
