"""The runtime itself, in the simulator: operations by several tasks have their sequential meaning."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any

import pytest

import liveproof as coco
from liveproof_sim import Status, World, check

BASE = {"a": "base", "b": "base"}
EXECUTIONS = 150


class Target:
    """A dictionary as a target."""

    def __init__(self) -> None:
        self.entries: dict[str, str] = {}
        self.sink = coco.TargetActionSink.from_async_fn(self.apply)

    async def apply(self, _context: object, actions: Sequence[tuple[str, str | None]], /) -> None:
        await asyncio.sleep(0)
        for key, value in actions:
            if value is None:
                self.entries.pop(key, None)
            else:
                self.entries[key] = value

    def reconcile(self, key: Any, desired: Any, prev: Collection[str], may_be_missing: bool, /) -> Any:
        if coco.is_non_existence(desired):
            if not prev and not may_be_missing:
                return None
            return coco.TargetReconcileOutput(
                action=(key, None), sink=self.sink, tracking_record=coco.NON_EXISTENCE
            )
        if not may_be_missing and all(each == desired for each in prev):
            return None
        return coco.TargetReconcileOutput(action=(key, desired), sink=self.sink, tracking_record=desired)


target = Target()
provider = coco.register_root_target_states_provider("tests/sim/operators", target)


@coco.fn
async def put(key: str, text: str) -> None:
    await asyncio.sleep(0)
    coco.declare_target_state(provider.target_state(key, text))


Operation = tuple[str, str]


def meaning(log: list[Operation]) -> dict[str, str]:
    """One after the other, each to its end."""
    state: dict[str, str] = {}
    for number, (kind, key) in enumerate(log):
        if kind == "full":
            state = dict(BASE)
        elif kind == "update":
            state[key] = f"{key}{number}"
        else:
            state.pop(key, None)
    return state


def scenario_of(
    programs: list[list[Operation]], *, broken: bool = False
) -> Callable[[World], Awaitable[None]]:
    async def scenario(world: World) -> None:
        target.entries.clear()
        log: list[Operation] = []

        class Driven:
            async def process(self) -> None:
                for key, value in BASE.items():
                    await coco.mount(coco.component_subpath(key), put, key, value)

            async def process_live(self, operator: Any) -> None:
                async def one(program: list[Operation]) -> None:
                    handles = []
                    for kind, key in program:
                        log.append((kind, key))
                        if kind == "full":
                            await operator.update_full()
                        elif kind == "update":
                            text = f"{key}{len(log) - 1}"
                            handles.append(await operator.update(coco.component_subpath(key), put, key, text))
                        else:
                            handles.append(await operator.delete(coco.component_subpath(key)))
                    for handle in handles:
                        await handle.ready()

                await asyncio.gather(*(one(program) for program in programs))
                if broken:
                    log.append(("delete", "a"))

        async def main() -> None:
            await coco.mount(coco.component_subpath("live"), Driven)

        await world.start(coco.App("operators", main), live=True)
        assert target.entries == meaning(log), log

    return scenario


def generate(seed: int) -> list[list[Operation]]:
    chance = random.Random(seed)
    kinds = ["update", "update", "update", "delete", "delete", "full"]
    return [[(chance.choice(kinds), chance.choice("abc")) for _ in range(3)] for _ in range(2)]


@pytest.mark.parametrize("seed", range(6))
def test_operations_have_their_sequential_meaning(seed: int) -> None:
    verdict = check(scenario_of(generate(seed)), executions=EXECUTIONS, seed=seed)
    assert verdict.status is Status.SAMPLED, verdict.failure and verdict.failure.report
    assert verdict.behaviours > EXECUTIONS // 2


def test_a_wrong_meaning_is_noticed() -> None:
    verdict = check(scenario_of([[("update", "a")]], broken=True), executions=5, shrinking=False)
    assert verdict.status is Status.FAILED
