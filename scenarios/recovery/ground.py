"""What the scenarios of recovery stand on: a target with a cache before its platter, an app that wants what a
source says, and the judgement of what is left.

Physics of the target: a tree of folders and leaves. A sink call carries out its actions one by one, with a
pause before each, and the power may fail before each. What was done is seen at once, and is on the platter
once it is settled; a power cut keeps or loses what is not, all of it or one place of it. Nothing can be put
into a folder that is not there; a folder that goes takes along what is inside.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import liveproof as coco
from liveproof.abc.store import Table
from liveproof.core.paths import decode_path
from liveproof.core.records import ComponentRecord, decode_record
from liveproof_sim import World
from liveproof_sim.fakes.store import SimStore
from liveproof_sim.kernel.power import Draw, Outage

Place: TypeAlias = tuple[str, ...]


class Action(NamedTuple):
    """What a place is to hold: ``None`` for nothing."""

    place: Place
    text: str | None
    rebuilt: bool = False
    """of a folder: what is inside goes"""


Source: TypeAlias = Mapping[str, Mapping[str, str]]
"""Component → what it wants: leaf → text, or folder → "/" and its schema. A leaf in a folder: ``"folder/leaf"``."""


class Ground:
    """See the module."""

    def __init__(self) -> None:
        self.nodes: dict[Place, str] = {}
        self.settled: dict[Place, str] = {}
        self.acts: list[tuple[Place, str | None]] = []
        """Everything that was done, in order."""
        self.calls = 0
        self.refusals = 0
        """How many more actions fail."""
        self._world: World | None = None

    def reset(self, world: World) -> None:
        """A new world: nothing is there."""
        self.__init__()  # type: ignore[misc]
        self._world = world
        world.power.devices.append(self._fall_back)

    async def apply(self, _context: object, actions: Sequence[Action], /) -> None:
        self.calls += 1
        for place, text, rebuilt in actions:
            await asyncio.sleep(0)
            self._before("apply", place)
            if self.refusals:
                self.refusals -= 1
                raise OSError(f"the ground refuses {'/'.join(place)}")
            self._do(place, text, rebuilt=rebuilt)

    def settle(self, _context: object, actions: Sequence[Action], /) -> None:
        for place, _, _ in actions:
            self._before("settle", place)
            for known in [known for known in (*self.nodes, *self.settled) if known[: len(place)] == place]:
                if known in self.nodes:
                    self.settled[known] = self.nodes[known]
                else:
                    self.settled.pop(known, None)

    def _before(self, operation: str, place: Place) -> None:
        assert self._world is not None
        self._world.power.before_call(operation, "/".join(place))

    def _do(self, place: Place, text: str | None, *, rebuilt: bool) -> None:
        self.acts.append((place, text))
        if text is None or rebuilt:
            for gone in [node for node in self.nodes if node[: len(place)] == place]:
                del self.nodes[gone]
        if text is None:
            return
        if len(place) > 1 and place[:-1] not in self.nodes:
            raise FileNotFoundError(f"no folder for {'/'.join(place)}")
        self.nodes[place] = text

    def _fall_back(self, draw: Draw, outage: Outage) -> None:
        if outage is Outage.PROCESS:
            return
        unsure = [
            place
            for place in dict.fromkeys((*self.nodes, *self.settled))
            if self.nodes.get(place) != self.settled.get(place)
        ]
        lost = draw("ground: what is lost", 1 + len(unsure) + (len(unsure) > 1)) if unsure else 0
        for place in unsure if lost > len(unsure) else unsure[lost - 1 : lost] if lost else ():
            if place in self.settled:
                self.nodes[place] = self.settled[place]
            else:
                self.nodes.pop(place, None)
        for place in sorted(self.nodes):
            if len(place) > 1 and place[:-1] not in self.nodes:  # there is no leaf without its folder
                del self.nodes[place]
        self.settled = dict(self.nodes)

    def texts(self) -> dict[str, str]:
        """What is there."""
        return {"/".join(place): text for place, text in self.nodes.items()}


GROUND = Ground()


async def _apply(context: object, actions: Sequence[Action], /) -> None:
    await GROUND.apply(context, actions)


def _settle(context: object, actions: Sequence[Action], /) -> None:
    GROUND.settle(context, actions)


SINK: coco.TargetActionSink[Action, Any] = coco.TargetActionSink.from_async_fn(_apply, settle=_settle)


class Nodes:
    """Handler of what is in a folder, or in the ground itself."""

    def __init__(self, place: Place = ()) -> None:
        self._place = place

    def reconcile(
        self, key: Any, desired: Any, prev: Collection[str], may_be_missing: bool, /
    ) -> coco.TargetReconcileOutput[Action, str, Any] | None:
        place = (*self._place, key)
        if coco.is_non_existence(desired):
            return coco.TargetReconcileOutput(Action(place, None), SINK, coco.NON_EXISTENCE)
        if not may_be_missing and all(each == desired for each in prev):
            return None
        rebuilt = desired[0] == "/" and any(each != desired for each in prev)
        invalidation: Literal["destructive"] | None = "destructive" if rebuilt else None
        return coco.TargetReconcileOutput(Action(place, desired, rebuilt), SINK, desired, invalidation)

    def child_handler(self, _context: object, key: Any) -> Nodes:
        return Nodes((*self._place, key))


NODES: coco.TargetStateProvider[Any, Any] = coco.register_root_target_states_provider("recovery/ground", Nodes())


# ---- the app


async def want(wanted: Mapping[str, str]) -> None:
    """Be a component that wants this."""
    await asyncio.sleep(0)
    folders: dict[str, Any] = {}
    for name, text in wanted.items():
        folder, _, leaf = name.rpartition("/")
        if text[0] == "/":
            folders[name] = coco.declare_target_state_with_child(NODES.target_state(name, text))
        else:
            inside = folders[folder] if folder else NODES
            coco.declare_target_state(inside.target_state(leaf, text))


@coco.fn(memo=True)
async def want_remembered(wanted: Mapping[str, str]) -> None:
    """The same, remembered."""
    await want(wanted)


def app_of(source: Source, *, memo: bool = False) -> coco.App[[], None]:
    """An app that wants what the source says."""

    async def main() -> None:
        for name, wanted in source.items():
            await coco.mount(coco.component_subpath(name), want_remembered if memo else want, dict(wanted))

    return coco.App("recovery", main)


# ---- the judgement


def wanted(source: Source) -> dict[str, str]:
    """The source function."""
    return {name: text for each in source.values() for name, text in each.items()}


def components(store: SimStore) -> dict[tuple[Any, ...], ComponentRecord]:
    """What the store knows, by path."""
    return {decode_path(key): decode_record(row) for key, row in store.scan(Table.COMPONENT, b"")}


def wrong_with(store: SimStore, paths: Collection[tuple[Any, ...]]) -> list[str]:
    """What is orphaned or in doubt, if these are the components that there should be."""
    found: list[str] = []
    known = components(store)
    found += [f"no row for {path}" for path in paths if path not in known]
    found += [f"a row for {path}" for path in known if path not in paths]
    owners = {decode_path(key): decode_path(owner) for key, owner in store.scan(Table.OWNER, b"")}
    for path, record in known.items():
        for key, entry in record.targets.items():
            state = (path[0], *decode_path(key))
            if entry.maybe_missing or len(entry.possible) != 1:
                found.append(f"{state} of {path} is in doubt")
            if owners.pop(state, None) != path:
                found.append(f"{state} of {path} is owned by another one")
    found += [f"{state} is owned by {path}, which does not list it" for state, path in owners.items()]
    return found


async def recover(world: World, source: Source, *, memo: bool = False) -> None:
    """One catch-up run from what is durable, and one that finds nothing to do; then nothing is wrong."""
    world.power.stay()
    await world.restart(app_of(source, memo=memo))
    await judge(world, source, app_of(source, memo=memo), ("recovery",))


async def judge(world: World, source: Source, app: coco.App[[], None], *above: Place) -> None:
    """After a catch-up run: the target is what the source says, nothing is wrong in the store, and another run
    finds nothing to do. ``above``: the paths of components above those of the source."""
    store = world.store
    assert isinstance(store, SimStore)
    paths = [*above, *((*above[-1], name) for name in source)]
    assert GROUND.texts() == wanted(source), f"{GROUND.texts()}, not {wanted(source)}"
    assert (wrong := wrong_with(store, paths)) == [], wrong
    before = GROUND.calls
    await world.restart(app)
    store = world.store
    assert isinstance(store, SimStore)
    assert GROUND.calls == before, "an idle run called a sink"
    assert GROUND.texts() == wanted(source)
    assert (wrong := wrong_with(store, paths)) == [], wrong


