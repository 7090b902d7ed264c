"""What random orders show of the small programs, the proofs have seen as well: told per path, and what the target was
told in which order. The reduction is checked here on the runtime itself, where no brute force ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from liveproof.core.paths import Path
from liveproof_sim import Status, World, check
from liveproof_sim.properties.contract.contract import Contract
from scenarios.proofs import INSTRUMENTED, PROOFS

Seen = dict[str, None]

PROGRAMS = [
    "operators: full; full",
    "operators: full ‖ update a",
    "operators: update a; delete a ‖ update a",
    "operators: full; delete a ‖ update a",
    "operators, flushed: full ‖ update a",
    "operators, flushed: update b ‖ update a",
    "collection: update; delete; full of it",
    "folder: a.md: edit, then remove",
]


@contextmanager
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[Any, list[Any]]]:
    """What the contract's monitors are told, by path; calls of operators, and what the target applies, apart."""
    log: dict[Any, list[Any]] = {}
    plain = Contract.tell

    def tell(self: Contract, kind: str, path: Path, facts: dict[str, Any]) -> None:
        if kind == "operation":
            log.setdefault(("calls", *path), []).append((facts["seq"], facts["kind"], facts["sub"]))
        else:
            where = (*path, *self._sub(kind, path, facts))
            log.setdefault(where, []).append((kind, facts.get("seq")))
        if kind == "applied":
            log.setdefault("applied", []).append((path, repr(facts["value"])))
        plain(self, kind, path, facts)

    with monkeypatch.context() as patch:
        patch.setattr(Contract, "tell", tell)
        yield log


def behaviours(name: str, monkeypatch: pytest.MonkeyPatch, **how: Any) -> Seen:
    """All that was told, of each execution."""
    family, program = PROOFS[name]
    inner = family.scenario_of(program)
    seen: Seen = {}
    with told(monkeypatch) as log:

        async def scenario(world: World) -> None:
            log.clear()
            await inner(world)
            seen[repr(sorted(log.items(), key=repr))] = None

        verdict = check(scenario, timers="discrete", **{**family.options, **how})
    assert verdict.status in (Status.PROVED, Status.SAMPLED), str(verdict)
    return seen


@pytest.mark.parametrize("name", PROGRAMS)
def test_nothing_that_random_orders_show_is_missing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    proved = behaviours(name, monkeypatch, strategy="dpor", executions=None, instrument=INSTRUMENTED)
    sampled = behaviours(name, monkeypatch, strategy="portfolio", executions=300)
    assert sampled
    missing = [each for each in sampled if each not in proved]
    assert not missing, f"{len(missing)} of {len(sampled)}, as {missing[0]}"
