"""A target in memory: what a sink call does, step by step, and what it did.

Its physics: a dictionary, in which a container is a dictionary again. A sink call applies its actions one by
one, and other tasks may run before each of them and before the answer. With faults switched on, a call may be
refused before the first action, break in the middle (what was applied stays), fail after the last one, be
applied and its answer lost, or be slow. Removing a container removes what is inside; writing into a container
that is not there fails, and never makes it. With several ``lanes`` the keys are spread over as many sinks, so
that answers come in any order. Nothing is lost, or applied twice, by the target itself.

Handlers are registered once per name and process; the target of a world is found through the environment
that :meth:`World.start` makes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple, TypeAlias

import liveproof as coco
from liveproof_sim.fakes.faults import Faults

__all__ = ["CONTAINER", "TARGETS", "Action", "Applied", "Keys", "Target"]

Keys: TypeAlias = tuple[Any, ...]
"""Where in a target: the keys of the containers, then the key itself."""


class _Container:
    """The value of a container."""

    def __repr__(self) -> str:
        return "CONTAINER"


CONTAINER = _Container()


class Action(NamedTuple):
    """What a sink is asked to do. ``value`` is ``NON_EXISTENCE`` for a removal."""

    keys: Keys
    value: Any


class Applied(NamedTuple):
    """What a sink has done, and when."""

    at_ns: int
    keys: Keys
    value: Any

    @property
    def removed(self) -> bool:
        """Whether it was a removal."""
        return coco.is_non_existence(self.value)


class Target:
    """One target of a world: made by :meth:`World.target`."""

    def __init__(self, name: str, *, lanes: int = 1, faults: Faults | None = None) -> None:
        self.name = name
        self.lanes = lanes
        self.entries: dict[Any, Any] = {}
        """what is there now"""
        self.history: list[Applied] = []
        """every action applied, in order"""
        self.calls = 0
        """of the sinks"""
        self.faults = faults
        self.watchers: list[Callable[[Target, Applied], None]] = []
        """told of every action, when it has been applied"""
        self.slow_s = 0.05
        """how long a slow answer takes, in virtual seconds"""
        self._kind = _kind(name, lanes)

    @property
    def root(self) -> str:
        """The name under which its states are known to the runtime and in the store."""
        return self._kind.provider.path[0]  # type: ignore[return-value]

    def state(self, key: Any, value: Any) -> coco.TargetState[Any]:
        """The wish that ``key`` holds ``value``, to be declared."""
        return self._kind.provider.target_state(key, value)

    def container(self, key: Any) -> coco.TargetState[Any]:
        """The wish that ``key`` is a container, to be declared or mounted."""
        return self._kind.provider.target_state(key, CONTAINER)

    def declare(self, key: Any, value: Any) -> None:
        """Let the running component own ``key``, with this value."""
        coco.declare_target_state(self.state(key, value))

    def at(self, keys: Keys) -> Any:
        """What is there, or ``NON_EXISTENCE``; ``CONTAINER`` for a container."""
        found: Any = self.entries
        for key in keys:
            if not isinstance(found, dict) or key not in found:
                return coco.NON_EXISTENCE
            found = found[key]
        return CONTAINER if isinstance(found, dict) else found

    def flat(self) -> dict[Keys, Any]:
        """Everything that is there, containers and their contents, by place."""
        return dict(_flat(self.entries, ()))

    def of(self, *keys: Any) -> list[Any]:
        """What was written to a place, in order; ``NON_EXISTENCE`` for a removal."""
        return [each.value for each in self.history if each.keys == keys]

    async def apply(self, actions: Sequence[Action]) -> None:
        """Apply a batch, action by action.

        Raises:
            OSError: a fault has struck, or a container is not there.
            TimeoutError: everything was applied, and the answer was lost.
        """
        self.calls += 1
        middle = len(actions) // 2
        if self._strikes("refuse", "before"):
            raise OSError(f"target {self.name!r} refused the batch")
        for number, action in enumerate(actions):
            await asyncio.sleep(0)
            if number == middle and len(actions) > 1 and self._strikes("break", "middle"):
                raise OSError(f"target {self.name!r} broke off in the middle of the batch")
            self._do(action)
        if self._strikes("slow", "after"):
            await asyncio.sleep(self.slow_s)
        else:
            await asyncio.sleep(0)
        if self._strikes("fail", "after"):
            raise OSError(f"target {self.name!r} failed after the batch")
        if self._strikes("silence", "after"):
            raise TimeoutError(f"target {self.name!r} did not answer")

    def _strikes(self, family: str, phase: str) -> bool:
        faults = self.faults
        return faults is not None and faults.strike(f"target.{family}", "apply", phase, about=self.name)

    def _do(self, action: Action) -> None:
        inside: Any = self.entries
        for key in action.keys[:-1]:
            inside = inside.get(key) if isinstance(inside, dict) else None
        key = action.keys[-1]
        if not isinstance(inside, dict):
            if not coco.is_non_existence(action.value):
                raise FileNotFoundError(f"target {self.name!r} has no container for {action.keys!r}")
        elif coco.is_non_existence(action.value):
            inside.pop(key, None)
        elif action.value is CONTAINER:
            if not isinstance(inside.get(key), dict):
                inside[key] = {}
        else:
            inside[key] = action.value
        applied = Applied(round(asyncio.get_running_loop().time() * 1e9), action.keys, action.value)
        self.history.append(applied)
        for tell in self.watchers:
            tell(self, applied)

    def __repr__(self) -> str:
        return f"<target {self.name!r}: {self.entries!r}>"


def _flat(entries: dict[Any, Any], above: Keys) -> list[tuple[Keys, Any]]:
    found: list[tuple[Keys, Any]] = []
    for key, value in entries.items():
        if isinstance(value, dict):
            found += [((*above, key), CONTAINER), *_flat(value, (*above, key))]
        else:
            found.append(((*above, key), value))
    return found


# What the runtime talks to -------------------------------------------------------------------------------

TARGETS: coco.ContextKey[dict[str, Target]] = coco.ContextKey("liveproof_sim/targets")
"""The targets of a world by name, as the environments of the world provide them."""


class _Kind:
    """What all worlds' targets of one name share: handler, provider, sinks."""

    def __init__(self, name: str, lanes: int) -> None:
        self.name = name
        self.lanes = [coco.TargetActionSink.from_async_fn(_Lane(self)) for _ in range(lanes)]
        self.provider: coco.TargetStateProvider[Any, Any] = coco.register_root_target_states_provider(
            f"liveproof_sim.target/{name}", _Cells(self, ())
        )

    def sink(self, key: Any) -> coco.TargetActionSink[Action, Any]:
        """The same one for a key in every run."""
        return self.lanes[sum(repr(key).encode()) % len(self.lanes)]


class _Lane:
    """The function of one sink."""

    def __init__(self, kind: _Kind) -> None:
        self._kind = kind

    async def __call__(
        self, context: coco.ContextProvider, actions: Sequence[Action]
    ) -> list[coco.ChildTargetDef[Any] | None]:
        target = context.get(TARGETS)[self._kind.name]
        await target.apply(actions)
        return [
            coco.ChildTargetDef(_Cells(self._kind, action.keys)) if action.value is CONTAINER else None
            for action in actions
        ]


class _Cells:
    """The handler of what is in a target, or in one of its containers."""

    def __init__(self, kind: _Kind, above: Keys) -> None:
        self._kind = kind
        self._above = above

    def reconcile(
        self,
        key: Any,
        desired_target_state: Any,
        prev_possible_records: Collection[str],
        prev_may_be_missing: bool,
        /,
    ) -> coco.TargetReconcileOutput[Action, str, Any] | None:
        """Write unless it is certain that the same is there already."""
        keys = (*self._above, key)
        sink = self._kind.sink(self._above[0] if self._above else key)
        if coco.is_non_existence(desired_target_state):
            if not prev_possible_records and not prev_may_be_missing:
                return None
            return coco.TargetReconcileOutput(Action(keys, coco.NON_EXISTENCE), sink, coco.NON_EXISTENCE)
        record = repr(desired_target_state)
        if not prev_may_be_missing and prev_possible_records:
            if all(each == record for each in prev_possible_records):
                return None
        was_container = any(each == repr(CONTAINER) for each in prev_possible_records)
        destroys = was_container and desired_target_state is not CONTAINER
        return coco.TargetReconcileOutput(
            Action(keys, desired_target_state), sink, record, "destructive" if destroys else None
        )

    def child_handler(self, _context: coco.ContextProvider, key: Any) -> _Cells:
        """The handler of what is inside a container."""
        return _Cells(self._kind, (*self._above, key))


_kinds: dict[str, _Kind] = {}


def _kind(name: str, lanes: int) -> _Kind:
    """The kind of a name, registered when it is first asked for."""
    known = _kinds.get(name)
    if known is None:
        known = _kinds[name] = _Kind(name, lanes)
    if len(known.lanes) != lanes:
        raise ValueError(
            f"target {name!r} has {len(known.lanes)} lanes elsewhere, and {lanes} here: give it another name"
        )
    return known
