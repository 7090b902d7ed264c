"""GC: what goes, and what stays."""

from __future__ import annotations

from typing import Any

import liveproof
from liveproof_sim.properties.contract.book import below
from liveproof_sim.properties.contract.monitor import Monitor
from liveproof_sim.properties.contract.reading import Path, Row

__all__ = ["Gc1Complete", "Gc2Sound", "Gc3AfterSuccess", "Gc4Moves", "Gc5Retried"]


class Gc1Complete(Monitor):
    """What a cycle did not mount is gone when it has ended; nothing is left in a target or in the store."""

    code = "GC-1"

    def on_cycle_end(
        self, path: Path, *, cycle: Any, failure: object, carried: bool, mounted: list[Path], **_: Any
    ) -> None:
        began = self.book.cycles.get(path, {}).get(cycle)
        if failure is not None or carried or began is None:
            return
        kept = dict.fromkeys(mounted)
        for child in self.book.components.values():
            if child.parent != path or child.path in kept or not child.complete or child.path == path:
                continue
            if not any(at >= began for other, at in self.book.failed.items() if below(other, child.path)):
                self.breach(f"{path!r} did not mount {child.path!r}, has ended, and that is still there")

    def on_settled(self, _path: Path, *, rows: dict[Path, Row], whole: bool, **_: Any) -> None:
        for path, row in rows.items():
            if len(path) > 1 and path not in self.book.components:
                self.breach(f"the store still knows of component {path!r}, which is gone")
            elif len(path) > 1:
                self._left_over(path, path[: row.owner + 1])
        if not whole:
            return
        known = dict.fromkeys(state for row in rows.values() for state in row.targets)
        wanted = dict.fromkeys(state for each in self.book.components.values() for state in each.declared)
        wanted |= self.book.contested
        if any(each.retained for each in self.book.components.values()):
            wanted |= known
        for state in self.contract.states():
            if state not in wanted and state not in known:
                self.breach(f"target state {state!r} is still there, and belongs to nobody")
            elif state not in wanted and not self._excused(state, rows):
                self.breach(f"target state {state!r} is still there, and no component wants it")

    def _left_over(self, path: Path, above: Path) -> None:
        """Whether a component should have been collected, even one that never succeeded."""
        child, parent = self.book.components[path], self.book.components.get(above)
        if parent is None or not parent.complete or parent.at < child.began or path in parent.mounted:
            return
        if not any(below(each, path) for each in self.book.failed):
            self.breach(f"{above!r} has not mounted {path!r}, and the store still knows of that")

    def _excused(self, state: Path, rows: dict[Path, Row]) -> bool:
        """Whether what owns it has failed: then it stays, or nobody knows."""
        owners = [path for path, row in rows.items() if state in row.targets]
        return any(self.book.spoiled(path) for path in owners)


class Gc2Sound(Monitor):
    """What is mounted is never collected."""

    code = "GC-2"

    def on_delete(self, path: Path) -> None:
        for running in self.book.cycles:
            if below(running, path):
                self.breach(f"component {path!r} is deleted while {running!r} runs")

    def on_cycle_end(
        self, path: Path, *, cycle: Any, failure: object, carried: bool, mounted: list[Path], **_: Any
    ) -> None:
        began = self.book.cycles.get(path, {}).get(cycle)
        if failure is not None or carried or began is None:
            return
        for child in mounted:
            component = self.book.components.get(child)
            if component is None and self.book.deleted.get(child, 0) > began:
                self.breach(f"{path!r} mounted {child!r}, which was deleted after it had begun")

    def on_settled(self, _path: Path, *, rows: dict[Path, Row], whole: bool, **_: Any) -> None:
        if not whole:
            return
        for component in self.book.components.values():
            if component.complete and component.path not in rows:
                self.breach(f"component {component.path!r} was never deleted, and the store has forgotten it")
            for state, value in component.declared.items():
                there = self.contract.at(state)
                if there is None or there == value or state in self.book.contested:
                    continue
                if self.book.spoiled(component.path):
                    continue
                self.breach(f"{component.path!r} wants {state!r} to be {value!r}, and it is {there!r}")


class Gc3AfterSuccess(Monitor):
    """A cycle whose function raised submits nothing and collects nothing."""

    code = "GC-3"

    def __init__(self, contract: Any) -> None:
        super().__init__(contract)
        self._raised: dict[Path, BaseException] = {}

    def on_cycle_return(self, path: Path, *, error: BaseException | None) -> None:
        if error is not None:
            self._raised[path] = error

    def on_cycle_end(self, path: Path, **_: Any) -> None:
        self._raised.pop(path, None)

    def on_submit_record(self, path: Path, *, paths: list[Path]) -> None:
        for each in paths:
            if each in self._raised:
                self.breach(f"component {each!r} raised {self._raised[each]!r}, and is submitted")

    def on_collect(self, path: Path, **_: Any) -> None:
        if path in self._raised:
            self.breach(f"component {path!r} raised {self._raised[path]!r}, and collects")


class Gc4Moves(Monitor):
    """A target state that moves to a component is written at most once in its cycle, and never removed. Judged
    as long as nothing has failed, because a component that fails may have taken a state over all the same."""

    code = "GC-4"

    def on_cycle_end(
        self, path: Path, *, cycle: Any, failure: object, declared: dict[Path, Any], **_: Any
    ) -> None:
        component = self.book.components.get(path)
        began = self.book.cycles.get(path, {}).get(cycle)
        if failure is not None or component is None or began is None or self.book.troubled:
            return
        if not self.book.alone(component):
            return
        for state in declared:
            if state in component.declared:
                continue
            others = [each for each in self.book.claimants(state) if each.path != path]
            if not others or any(each.at >= began or each.path in self.book.cycles for each in others):
                continue  # it did not move, or the other one has written it as well
            done = [value for other, value in self.book.applied[component.applied :] if other == state]
            if len(done) > 1:
                self.breach(f"{state!r} moved to {path!r} and was written {len(done)} times: {done!r}")
            elif any(liveproof.is_non_existence(value) for value in done):
                self.breach(f"{state!r} moved to {path!r} and was removed")


class Gc5Retried(Monitor):
    """A deletion that failed is remembered, and tried again by the next cycle of the parent."""

    code = "GC-5"

    def on_cycle_end(
        self, path: Path, *, cycle: Any, failure: object, carried: bool, mounted: list[Path], **_: Any
    ) -> None:
        began = self.book.cycles.get(path, {}).get(cycle)
        if failure is not None or carried or began is None:
            return
        for gone, at in self.book.failed.items():
            component = self.book.components.get(gone)
            if component is not None and component.parent == path and gone not in mounted and at < began:
                self.breach(f"the deletion of {gone!r} had failed, and {path!r} did not try it again")

    def on_settled(self, _path: Path, *, rows: dict[Path, Row], **_: Any) -> None:
        for gone in self.book.failed:
            if gone not in rows:
                self.breach(f"the deletion of {gone!r} failed, and nothing remembers it")
