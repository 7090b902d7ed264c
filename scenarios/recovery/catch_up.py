"""Recovery of catch-up runs: the power fails anywhere, any time, and one more run makes it good (DUR-1, DUR-2,
DUR-3, GC-1, GC-4, GC-5)."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

import pytest

from liveproof.backends.store_schema import FORMAT
from liveproof.errors import StoreBusyError, StoreVersionError
from liveproof_sim import PowerCut, World
from liveproof_sim.fakes.store import SimStore
from scenarios.recovery.ground import GROUND, Source, app_of, components, recover, wanted

A: Source = {"a": {"x": "1", "y": "1"}, "b": {"z": "1"}}
VERSIONS: tuple[Source, ...] = (
    A,
    {"a": {"x": "2", "y": "1"}, "b": {"z": "1"}},
    {"a": {"x": "1"}, "b": {"z": "2", "y": "1"}},
    {"b": {"z": "1", "x": "1"}, "c": {"y": "2"}},
    {"c": {"x": "1", "y": "1", "z": "1"}},
    {},
)
"""From one to another: changes, moves between components, components that come and go."""


async def run(world: World, source: Source, *, memo: bool = False) -> None:
    """A run that may be cut short, or fail."""
    with contextlib.suppress(PowerCut):
        await world.start(app_of(source, memo=memo))


async def any_versions(world: World) -> None:
    """Three versions of the source, each run to its end or to a cut."""
    GROUND.reset(world)
    memo = world.draw([False, True], label="memo")
    await run(world, A, memo=memo)
    for number in range(2):
        source = world.draw(VERSIONS, label=f"version {number}")
        await run(world, source, memo=memo)
    # Asked here: the restart that comes now counts as a cut.
    world.sometimes("the power failed", world.power.cuts)
    world.sometimes("it did not", not world.power.cuts)
    await recover(world, source, memo=memo)


async def retried_delete(world: World) -> None:
    """The target refuses one or two actions of the run that has to delete: it is remembered, and done by the
    next run (GC-5), also if the power fails in between."""
    GROUND.reset(world)
    await run(world, A)
    GROUND.refusals = 1 + world.draw(2, label="refusals")
    await run(world, {"a": A["a"]})
    GROUND.refusals = 0
    await recover(world, {"a": A["a"]})


async def moved_state(world: World) -> None:
    """States move between components: none is ever absent, or written twice, in a run without a cut (GC-4)."""
    GROUND.reset(world)
    await run(world, A)
    GROUND.acts.clear()
    cuts = world.power.cuts
    moved = {"a": {"z": "1"}, "b": {"x": "1", "y": "1"}} if world.draw(2, label="both ways") else {"b": wanted(A)}
    await run(world, moved)
    if world.power.cuts == cuts == 0:
        for place in dict.fromkeys(place for place, _ in GROUND.acts):
            written = [text for other, text in GROUND.acts if other == place and text is not None]
            assert len(written) <= 1, f"{place} was written {len(written)} times"
        assert GROUND.texts() == wanted(A)
    await recover(world, moved)


async def taken_over(world: World) -> None:
    """A component that is new takes over what one that goes had, changed; another one takes it back."""
    GROUND.reset(world)
    await run(world, A)
    for number, source in enumerate(({"c": {"x": "2", "y": "1"}}, {"a": {"x": "3"}, "c": {"y": "1"}})):
        await run(world, source)
        if world.power.cuts == 0:
            assert GROUND.texts() == wanted(source), f"after takeover {number}"
    await recover(world, source)


async def taken_back(world: World) -> None:
    """Remembered components: a state moves, the power fails, and the source is again what it was. What its first
    owner remembers no longer holds."""
    GROUND.reset(world)
    await run(world, A, memo=True)
    await run(world, {"a": {"x": "1"}, "b": {"z": "1", "y": "1"}}, memo=True)
    await recover(world, A, memo=True)


FOLDERS: tuple[Mapping[str, str], ...] = (
    {"f": "/1", "f/x": "1", "f/y": "1", "g": "/1", "g/x": "1"},
    {"f": "/2", "f/x": "1", "f/y": "2"},
    {"g": "/1", "g/y": "1", "y": "1"},
    {"f": "/1", "f/y": "1", "y": "2"},
)


async def containers(world: World) -> None:
    """Folders are made, rebuilt (what was inside is lost, and is written again) and destroyed."""
    GROUND.reset(world)
    await run(world, {"a": FOLDERS[0]})
    for number in range(2):
        source = {world.draw("ab", label="owner"): world.draw(FOLDERS, label=f"folders {number}")}
        await run(world, source)
    await recover(world, source)


async def newer_format(world: World) -> None:
    """A store of another format is refused, untouched; with its own version again it goes on from there."""
    GROUND.reset(world)
    await run(world, A)
    world.crash()
    store = world.store
    assert isinstance(store, SimStore)
    store.close()
    before = dict(store.disk.base)
    store.disk.version = FORMAT + 1
    with pytest.raises(StoreVersionError, match=f"format {FORMAT + 1}"):
        store.reopened()
    assert store.disk.base == before
    store.disk.version = FORMAT
    world.store = store.reopened()
    await recover(world, A)


async def upgraded(world: World) -> None:
    """A store of an older format is brought to this one, and the power fails meanwhile, perhaps more than once: it is
    of the old format or of the new one, and has all that was in it."""
    GROUND.reset(world)
    outages = world.power.outages
    world.power.stay()
    await world.start(app_of(A))
    world.power.outages = outages
    store = world.store
    assert isinstance(store, SimStore)
    disk = store.disk
    store.flush()
    disk.version = FORMAT - 1
    source = world.draw(VERSIONS, label="version")
    before = dict(disk.base)
    formats = [disk.version]
    for _ in range(2):
        await run(world, source)
        formats.append(disk.version)
        assert disk.version == FORMAT or disk.base == before, "the upgrade was lost, and more with it"
    assert formats == sorted(formats), f"it went back to an older format: {formats}"
    world.sometimes("the upgrade was cut short", formats[1] < FORMAT)
    world.sometimes("twice", formats[2] < FORMAT)
    world.sometimes("it was not", formats[1] == FORMAT)
    await recover(world, source)
    assert disk.version == FORMAT


async def two_processes(world: World) -> None:
    """A second process on one store is told so at once; when the first is gone, the next one goes on."""
    GROUND.reset(world)
    first = world.start(app_of(A))
    store = world.store
    assert isinstance(store, SimStore)
    with pytest.raises(StoreBusyError, match="one writer"):
        store.reopened()
    with contextlib.suppress(PowerCut):
        await first
    world.crash("process")
    left = components(world.store) if isinstance(world.store, SimStore) else {}
    world.sometimes("something was left", left)
    await recover(world, A)
