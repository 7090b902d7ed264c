"""All monitors of the contract, and those who tell them: the probe, the targets, the log, the scenario."""

from __future__ import annotations

import contextlib
import inspect
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any

from liveproof.abc.store import Store
from liveproof_sim.errors import ContractError, OptionError
from liveproof_sim.properties.contract import (
    collection,
    durability,
    failures,
    modes,
    offsets,
    ordering,
    readiness,
)
from liveproof_sim.properties.contract.monitor import Monitor
from liveproof_sim.properties.contract.reading import Path, read_rows
from liveproof_sim.properties.contract.scene import Effect, Logged, Offset, Scene, Watched

__all__ = ["MONITORS", "Contract"]

MONITORS: tuple[type[Monitor], ...] = (
    ordering.Ord1Linear,
    ordering.Ord2Barrier,
    ordering.Ord3Concurrent,
    ordering.Ord4LatestWins,
    ordering.Ord5Handles,
    ordering.Ord6OneAtATime,
    collection.Gc1Complete,
    collection.Gc2Sound,
    collection.Gc3AfterSuccess,
    collection.Gc4Moves,
    collection.Gc5Retried,
    readiness.Rdy1NeverHangs,
    readiness.Rdy2Applied,
    readiness.Rdy3Automatic,
    readiness.Rdy4Once,
    readiness.Rdy5NotEarly,
    modes.Mode1CatchUp,
    modes.Mode2Agree,
    modes.Mode3Stop,
    modes.Feed1NoLostChange,
    modes.Feed2Overflow,
    offsets.Feed3CommittedIsDone,
    modes.Feed4OneWatcher,
    failures.Fail1Isolated,
    failures.Fail2ReportedOnce,
    failures.Fail3CriticalPath,
    durability.Dur2RecordedFirst,
    durability.Dur3Idle,
)
"""One for each id that can be watched from outside, in the order of the contract."""


def _takers(monitor: type[Monitor]) -> list[tuple[str, str]]:
    return [
        (name.removeprefix("on_").replace("_", "."), name)
        for name in dir(monitor)
        if name.startswith("on_")
    ]


_TAKERS = {monitor: _takers(monitor) for monitor in MONITORS}
"""Which events each monitor takes: kind, and name of the method."""


def _chosen(only: Sequence[str]) -> list[type[Monitor]]:
    known = [monitor.code for monitor in MONITORS]
    for code in only:
        if code not in known:
            raise OptionError(f"no monitor watches {code!r}: use one of {', '.join(known)}")
    return [monitor for monitor in MONITORS if not only or monitor.code in only]


class Contract(Scene):
    """The monitors of one execution, or ``only`` those of some ids. Paths begin with the name of the app.

    A breach does not raise where it is noticed, which may be inside the runtime: ``fail`` is told of the
    first one, and lets the run fail at its next step.
    """

    def __init__(
        self,
        store: Callable[[], Store],
        targets: Mapping[str, Watched],
        fail: Callable[[ContractError], None],
        only: Sequence[str] = (),
    ) -> None:
        super().__init__(store, targets, fail)
        self._runs = 0
        self._takers: dict[str, list[Callable[..., None]]] = {}
        for kind in _chosen(only):
            monitor = kind(self)
            for event, method in _TAKERS[kind]:
                self._takers.setdefault(event, []).append(getattr(monitor, method))
        self._log = _LogReader(self)
        logging.getLogger("liveproof").addHandler(self._log)

    def close(self) -> None:
        """Stop reading the log."""
        logging.getLogger("liveproof").removeHandler(self._log)

    # ---- who tells

    def probe(self, app: str) -> _AppProbe:
        """What an environment is given as its probe, for this app."""
        if app not in self.apps:
            self.apps.append(app)
        return _AppProbe(self, app)

    def tell(self, kind: str, path: Path, facts: dict[str, Any]) -> None:
        """Something has happened: the monitors first, then the book."""
        if kind == "operation":
            self.note_invoked(path)
        else:
            self.note((*path, *self._sub(kind, path, facts)), looks_at_calls=kind in ("operation.start", "ready"))
        for take in self._takers.get(kind, ()):
            take(path, **facts)
        self.book.note(kind, path, facts)

    def _sub(self, kind: str, path: Path, facts: dict[str, Any]) -> Path:
        """Of an operation, the sub-path that it is about."""
        if kind.startswith("operation."):
            return self.book.lives[path].ops[facts["seq"]].sub or ()
        return ()

    def applied(self, root: str, keys: Path, value: Any) -> None:
        """A target has applied an action."""
        state = (root, *keys)
        self.tell("applied", state, {"value": value})
        self.book.applied.append((state, value))

    def committed(self, log: Logged, commit: Offset) -> None:
        """A log has applied a commit."""
        self.tell("committed", (log.name,), {"log": log, "commit": commit})

    def heard(
        self, handler: Callable[[BaseException, Any], Awaitable[None] | None]
    ) -> Callable[[BaseException, Any], Awaitable[None]]:
        """The same exception handler, for FAIL-2 to know what reaches it."""
        self.handled = True

        async def hear(error: BaseException, context: Any) -> None:
            if context.source == "component" or context.original_exception is error:  # or passed on as it was
                self.reported(context.stable_path, error)
            outcome = handler(error, context)
            if inspect.isawaitable(outcome):
                await outcome

        return hear

    def reported(self, where: str, error: BaseException) -> None:
        """A failure has reached a handler, or the log."""
        self.tell("reported", (where,), {"error": error})

    # ---- what a scenario knows

    def begun(self) -> None:
        """An update of an app begins."""
        self._runs += 1

    def stopped(self) -> None:
        """The scenario has stopped an update."""
        if self._runs == 1:
            self.tell("stop", (), {})

    def ended(self) -> None:
        """An update has ended: everything is in the store."""
        self._runs -= 1
        if self._runs == 0:
            self.tell("settled", (), {"rows": read_rows(self.store), "whole": True})

    @contextlib.contextmanager
    def idle(self) -> Iterator[None]:
        """For the extent of the block nothing has changed, so that nothing may be done (DUR-3)."""
        self.note(())
        self.is_idle = True
        try:
            yield
        finally:
            self.is_idle = False

    def means(self, log: Any, expected: Any, found: Any) -> None:
        """The sequential meaning of a program, and what the target has (ORD-1)."""
        self.tell("means", (), {"log": log, "expected": expected, "found": found})

    def means_by(self, log: Logged, effect: Effect) -> None:
        """What the records of a log mean for the targets (FEED-3)."""
        self.effects[log.name] = (log, effect)

    def follows(self, expected: Any, found: Any, *, overflowed: bool = False) -> None:
        """What a quiet source means, and what the target has (FEED-1, FEED-2)."""
        self.tell("follows", (), {"expected": expected, "found": found, "overflowed": overflowed})

    def agree(self, lived: Any, fresh: Any) -> None:
        """What the target has after a live run, and after a fresh one to catch up (MODE-2)."""
        self.tell("agree", (), {"lived": lived, "fresh": fresh})

    def watched(self, name: str, watchers: int) -> None:
        """A feed is watched by so many (FEED-4)."""
        self.tell("watched", (), {"name": name, "watchers": watchers})


class _AppProbe:
    """Puts the name of the app before every path."""

    __slots__ = ("_app", "_contract")

    def __init__(self, contract: Contract, app: str) -> None:
        self._contract = contract
        self._app = app

    def event(self, kind: str, path: Path, /, **facts: Any) -> None:
        """Pass it on."""
        app = self._app
        for one in ("parent", "controller"):
            if facts.get(one) is not None:
                facts[one] = (app, *facts[one])
        for many in ("mounted", "gone", "paths"):
            if many in facts:
                facts[many] = [(app, *each) for each in facts[many]]
        self._contract.tell(kind, (app, *path), facts)


class _LogReader(logging.Handler):
    """Failures that no handler took are in the log."""

    def __init__(self, contract: Contract) -> None:
        super().__init__(logging.ERROR)
        self._contract = contract

    def emit(self, record: logging.LogRecord) -> None:
        """Note whose failure it is."""
        error = record.exc_info[1] if record.exc_info else None
        if error is not None and record.msg.startswith("%s failed in component"):
            assert isinstance(record.args, tuple), "as failures.py logs it"
            self._contract.reported(str(record.args[1]), error)


