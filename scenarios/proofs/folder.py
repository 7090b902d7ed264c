"""A folder kept in upper case: two changes at any moment, and the process dies, or the power fails, after any step.

Contract: FEED-1, DUR-1, DUR-2, DUR-3. Where the process dies, what it has told the kernel is kept; where the power
fails, the files and the store fall back to any of the states that they may be in then, each of which is a case of its
own. The run that makes it good is run in one order.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Literal, NamedTuple

from liveproof_sim import PowerCut, World
from liveproof_sim.fakes.filesystem import SimPath
from liveproof_sim.fakes.store import SimStore
from scenarios.recovery.folder import FILES, app_of, recovered, wanted

__all__ = ["Story", "caught_up", "followed", "stories"]

Change = Callable[[SimPath], object]

CHANGES: dict[str, Change] = {
    "edit": lambda docs: (docs / "a.md").write_text("alpha 2"),
    "remove": lambda docs: (docs / "a.md").unlink(),
    "make": lambda docs: (docs / "a.md").write_text("alpha 3"),
    "edit b": lambda docs: (docs / "b.md").write_text("beta 2"),
    "remove b": lambda docs: (docs / "b.md").unlink(),
}


class Story(NamedTuple):
    """What happens to the folder."""

    files: dict[str, str]
    changes: tuple[str, ...]

    def __str__(self) -> str:
        return f"{', '.join(self.files)}: {', then '.join(self.changes)}"


def stories(files: int) -> Iterator[Story]:
    """Two changes of one file, or one of each of two."""
    if files == 1:
        for pair in (("edit", "edit"), ("edit", "remove"), ("remove", "make")):
            yield Story({"a.md": FILES["a.md"]}, pair)
    else:
        for pair in (("edit", "remove b"), ("remove", "edit b"), ("edit", "edit b")):
            yield Story(FILES, pair)


def followed(
    story: Story, durability: Literal["process", "power"] = "process"
) -> Callable[[World], Coroutine[Any, Any, None]]:
    """Live: the changes fall anywhere, between any two steps, before it is ready or after. ``durability``: what the
    store survives, which is what happens."""

    async def scenario(world: World) -> None:
        docs, out = world.fs.dir("/docs", story.files), world.fs.dir("/out")
        world.store = SimStore(durability=durability)

        async def changes() -> None:
            for name in story.changes:
                await asyncio.sleep(0)
                CHANGES[name](docs)

        with contextlib.suppress(PowerCut):
            run = world.start(app_of(docs, out), live=True)
            await asyncio.gather(changes(), run.ready())
            await world.clock.sleep(1)
            world.calm()
            if not world.power.cuts:
                assert out.tree() == wanted(docs), f"{out.tree()}, not {wanted(docs)}"
        world.calm()
        await recovered(world, docs, out)

    return scenario


def caught_up(
    story: Story, durability: Literal["process", "power"] = "process"
) -> Callable[[World], Coroutine[Any, Any, None]]:
    """A run, the changes, and another run; each of them may die."""

    async def scenario(world: World) -> None:
        docs, out = world.fs.dir("/docs", story.files), world.fs.dir("/out")
        world.store = SimStore(durability=durability)
        with contextlib.suppress(PowerCut):
            await world.start(app_of(docs, out))
        for name in story.changes:
            CHANGES[name](docs)
        with contextlib.suppress(PowerCut):
            await world.start(app_of(docs, out))
        world.calm()
        await recovered(world, docs, out)

    return scenario
