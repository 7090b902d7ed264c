"""FAIL: whom a failure reaches, and whom it does not."""

from __future__ import annotations

from typing import Any

import liveproof
from liveproof.errors import StoppedError
from liveproof_sim.properties.contract.monitor import Monitor
from liveproof_sim.properties.contract.reading import Path

__all__ = ["Fail1Isolated", "Fail2ReportedOnce", "Fail3CriticalPath"]


class Fail1Isolated(Monitor):
    """The failure of a child is not its parent's."""

    code = "FAIL-1"

    def __init__(self, contract: Any) -> None:
        super().__init__(contract)
        self._background: list[tuple[Path, BaseException]] = []
        self._live_start = 0

    def on_cycle_end(self, path: Path, *, failure: BaseException | None, critical: bool, **_: Any) -> None:
        if failure is None:
            return
        for other, theirs in self._background:
            if theirs is failure and other != path:
                self.breach(f"{path!r} has failed by what {other!r} raised in the background: {failure!r}")
        if not critical:
            self._background.append((path, failure))


class Fail2ReportedOnce(Monitor):
    """Every failure arrives once at a handler or in the log."""

    code = "FAIL-2"

    def __init__(self, contract: Any) -> None:
        super().__init__(contract)
        self._due: list[tuple[Path, BaseException]] = []
        self._arrived: list[BaseException] = []

    def on_cycle_end(
        self, path: Path, *, failure: BaseException | None, critical: bool, stopping: bool, **_: Any
    ) -> None:
        if failure is not None and not critical and not stopping:
            self._due.append((path, failure))

    def on_live_end(self, path: Path, *, failure: BaseException | None) -> None:
        if failure is not None:
            self._due.append((path, failure))

    def on_delete_failed(self, path: Path, *, error: BaseException) -> None:
        self._due.append((path, error))

    def on_reported(self, _path: Path, *, error: BaseException) -> None:
        self._arrived.append(error)

    def on_settled(self, _path: Path, **_: Any) -> None:
        for path, error in self._due:
            times = sum(each is error for each in self._arrived)
            due = sum(each is error for _, each in self._due)
            if times < due:
                self.breach(f"{error!r} of {path!r} was reported {times or 'not even one'} times, not {due}")
            elif times > due:
                self.breach(f"{error!r} of {path!r} was reported {times} times, not {due}")
        self._due.clear()
        self._arrived.clear()


class Fail3CriticalPath(Monitor):
    """What ``use_mount`` raises in its caller is not reported for the child as well; a handle raises only
    what a handler raised, or that the update was stopped."""

    code = "FAIL-3"

    def __init__(self, contract: Any) -> None:
        super().__init__(contract)
        self._critical: list[tuple[Path, BaseException]] = []
        self._background: list[BaseException] = []

    def on_cycle_end(self, path: Path, *, failure: BaseException | None, critical: bool, **_: Any) -> None:
        if failure is not None and critical:
            self._critical.append((path, failure))
        elif failure is not None:
            self._background.append(failure)

    def on_reported(self, where: Path, *, error: BaseException) -> None:
        for path, failure in self._critical:
            if failure is error and where == (str(liveproof.StablePath(path[1:])),):
                self.breach(f"{error!r} was raised in the caller of {path!r}, and reported for it as well")

    def on_operation_end(self, path: Path, *, seq: int, error: BaseException | None) -> None:
        if error is None or self.contract.handled or isinstance(error, StoppedError):
            return
        if any(each is error for each in self._background):
            op = self.book.lives[path].ops[seq]
            self.breach(f"the handle of {op} of {path!r} raises {error!r}, which no handler raised")
