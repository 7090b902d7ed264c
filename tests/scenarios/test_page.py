"""The examples of the page on live components, word for word, in both modes; its restrictions; its diagram."""

from __future__ import annotations

import asyncio
import textwrap
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, cast

import pytest

import liveproof as coco
from tests.scenarios.page_modules import module, snippet
from tests.scenarios.page_world import Runs, Shelf, eventually
from tests.tidy.source import ROOT


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path)


# ---- FolderWatcher

FOLDER_WATCHER = """
from liveproof.connectors import localfs
from scenarios.folder_watcher import setup_watchdog

async def process_file(path, target):
    target.declare_file(path.name, path.read_text().upper())
"""


@pytest.fixture
def folder_watcher(tmp_path: Path) -> Any:
    parts = (FOLDER_WATCHER, snippet("folder_watcher"), snippet("app_main"))
    return module(tmp_path, "page_folder_watcher", *parts)


class Folders:
    """A folder and what is made of it."""

    def __init__(self, base: Path) -> None:
        self.source = base / "source"
        self.target = base / "target"
        self.source.mkdir()

    def agree(self) -> bool:
        def texts(folder: Path) -> dict[str, str]:
            return {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}

        return texts(self.target) == {name: text.upper() for name, text in texts(self.source).items()}


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(tmp_path)


async def test_folder_watcher_catches_up(folder_watcher: Any, runs: Runs, folders: Folders) -> None:
    source = folders.source
    (source / "a.txt").write_text("a")
    (source / "b.txt").write_text("b")
    (source / "folder").mkdir()
    await runs.catch_up(folder_watcher.app_main, source, folders.target)
    assert folders.agree()
    (source / "a.txt").write_text("a 2")
    (source / "b.txt").rename(source / "c.txt")
    await runs.catch_up(folder_watcher.app_main, source, folders.target)
    assert folders.agree()
    assert runs.failures == []


async def test_folder_watcher_follows_live(folder_watcher: Any, runs: Runs, folders: Folders) -> None:
    source = folders.source
    (source / "a.txt").write_text("a")
    async with runs.live(folder_watcher.app_main, source, folders.target):
        assert folders.agree(), "ready means applied"
        (source / "b.txt").write_text("b")
        await eventually(folders.agree)
        (source / "a.txt").write_text("a 2")
        await eventually(folders.agree)
        (source / "a.txt").rename(source / "c.txt")
        (source / "b.txt").unlink()
        await eventually(folders.agree)
    assert (folders.target / "c.txt").read_text() == "A 2"
    assert runs.failures == []


def test_the_scenario_is_the_page() -> None:
    """All of it, but for an annotation."""
    text = (ROOT / "scenarios" / "folder_watcher.py").read_text("utf-8")
    text = text.replace("target: localfs.DirTarget) -> None", "target) -> None")
    watcher = snippet("folder_watcher")
    assert watcher[watcher.index("class") :] in text
    assert snippet("app_main") in text


async def test_the_skeleton_is_a_live_component(tmp_path: Path, runs: Runs) -> None:
    glue = "from __future__ import annotations\nimport liveproof as coco\n"
    page: Any = module(tmp_path, "page_skeleton", glue, snippet("my_live_component"))
    ready: list[bool] = []

    async def main() -> None:
        handle = await coco.mount(page.MyLiveComponent, tmp_path, None)
        await handle.ready()
        ready.append(True)

    await runs.catch_up(main)
    async with runs.live(main):
        pass
    assert ready == [True, True]


# ---- the traditional component and its twin

PROCESS_ALL = "import liveproof as coco\ntarget = None"


@pytest.mark.parametrize("live", [False, True])
async def test_the_traditional_twin_does_the_same(live: bool, tmp_path: Path) -> None:
    page: Any = module(tmp_path, "page_twins", PROCESS_ALL, snippet("process_all"), snippet("process_all_live"))
    seen: list[list[dict[str, str]]] = []
    for component in (page.process_all, page.ProcessAll):
        base = tmp_path / f"twin {len(seen)}"
        base.mkdir()
        runs, shelf = Runs(base), Shelf()
        page.target = shelf.target

        async def main(data: dict[str, str], component: Any = component) -> None:
            await coco.mount(coco.component_subpath("all"), component, data)

        states: list[dict[str, str]] = []
        for data in ({"a": "1", "b": "2"}, {"b": "3", "c": "4"}, {"b": "3", "c": "4"}, {}):
            if live:
                async with runs.live(main, data):
                    states.append(dict(shelf.held))
            else:
                await runs.catch_up(main, data)
                states.append(dict(shelf.held))
            assert states[-1] == data
        assert shelf.writes == 2 + 3 + 0 + 2, "the third run changes nothing"
        assert runs.failures == []
        seen.append(states)
    assert seen[0] == seen[1]


# ---- a view that watches itself

WATCH = """
from typing import TypeVar
import liveproof as coco
from liveproof import LiveMapSubscriber
K, V = TypeVar("K"), TypeVar("V")
"""
CHANGES = """
    async for key, value in self.changes():
        if value is None:
            await subscriber.delete(key)
        else:
            await subscriber.update(key, value)
"""


class Entries:
    """A source that can be scanned, and that tells of its changes."""

    def __init__(self) -> None:
        self.entries: dict[str, str] = {}
        self._told: asyncio.Queue[tuple[str, str | None]] = asyncio.Queue()

    async def __aiter__(self) -> AsyncIterator[tuple[str, str]]:
        for key, value in self.entries.items():
            yield key, value

    def set(self, key: str, value: str | None) -> None:
        if value is None:
            del self.entries[key]
        else:
            self.entries[key] = value
        self._told.put_nowait((key, value))

    async def changes(self) -> AsyncIterator[tuple[str, str | None]]:
        while True:
            yield await self._told.get()


def view_of(folder: Path, *, whole: bool) -> Any:
    """A view with the page's watch(); the whole one has code where the page has a comment."""
    text = snippet("watch")
    comment = "    # ... watch for changes and call subscriber.update()/delete() ...\n"
    assert comment in text
    if whole:
        text = text.replace(comment, CHANGES)
    body = textwrap.indent(text, "    ")
    inherited = f"from {Entries.__module__} import Entries\n\nclass View(Entries):\n{body}"
    return cast("Any", module(folder, "page_view", WATCH, inherited)).View()


def declaring(shelf: Shelf) -> Callable[..., Any]:
    async def declare(value: str, key: str) -> None:
        coco.declare_target_state(shelf.target.target_state(key, value))

    async def one(item: str) -> None:
        key, _, value = item.partition("=")
        await declare(value, key)

    return one


async def test_watch_in_catch_up_mode(tmp_path: Path, runs: Runs) -> None:
    shelf = Shelf()
    for entries in ({"a": "a=1", "b": "b=1"}, {"b": "b=2"}):
        view = view_of(tmp_path, whole=True)
        view.entries = entries

        async def main(view: Any = view) -> None:
            await coco.mount_each(declaring(shelf), view)

        await runs.catch_up(main)
        assert shelf.held == dict(item.split("=") for item in entries.values())
    assert runs.failures == []


@pytest.mark.parametrize("whole", [False, True])
async def test_watch_in_live_mode(whole: bool, tmp_path: Path, runs: Runs) -> None:
    shelf = Shelf()
    view = view_of(tmp_path, whole=whole)
    view.entries = {"a": "a=1", "b": "b=1"}

    async def main() -> None:
        await coco.mount_each(declaring(shelf), view)

    async with runs.live(main):
        assert shelf.held == {"a": "1", "b": "1"}, "ready means applied"
        if whole:
            view.set("c", "c=1")
            view.set("a", "a=2")
            view.set("a", "a=3")
            view.set("b", None)
            await eventually(lambda: shelf.held == {"a": "3", "c": "1"}, shelf.held)
    assert runs.failures == []


# ---- modes, readiness


class Diagram:
    """The page's sequence diagram, with a note of each arrow."""

    def __init__(self, notes: list[str], shelf: Shelf) -> None:
        self.notes = notes
        self.shelf = shelf

    async def child(self, name: str, value: str) -> None:
        self.notes.append(f"run {name}")
        coco.declare_target_state(self.shelf.target.target_state(name, value))

    async def process(self) -> None:
        self.notes.append("process()")
        await coco.mount(coco.component_subpath("A"), self.child, "A", "1")
        await coco.mount(coco.component_subpath("B"), self.child, "B", "1")

    async def process_live(self, operator: coco.LiveComponentOperator) -> None:
        self.notes.append("process_live(operator)")
        await operator.update_full()
        self.notes.append(f"done, {self.shelf.held}")
        await operator.mark_ready()
        await (await operator.update(coco.component_subpath("A"), self.child, "A", "2")).ready()
        await (await operator.delete(coco.component_subpath("B"))).ready()
        self.notes.append(f"continues, {self.shelf.held}")
        await asyncio.Event().wait()


FIRST_NOTES = [
    "mount()",
    "process_live(operator)",
    "process()",
    "run A",
    "run B",
    "done, {'A': '1', 'B': '1'}",
]


async def diagram_main(notes: list[str], shelf: Shelf) -> None:
    notes.append("mount()")
    handle = await coco.mount(Diagram, notes, shelf)
    await handle.ready()
    notes.append("readiness resolved")


async def test_the_diagram_in_live_mode(runs: Runs) -> None:
    notes: list[str] = []
    shelf = Shelf()
    async with runs.live(diagram_main, notes, shelf):
        await eventually(lambda: notes[-1].startswith("continues"), notes)
    assert shelf.held == {"A": "2"}
    resolved = notes.index("readiness resolved")
    assert notes[:6] == FIRST_NOTES
    assert resolved >= 6, "readiness is not resolved before mark_ready()"
    assert [note for note in notes[6:] if note != "readiness resolved"] == ["run A", "continues, {'A': '2'}"]


async def test_the_diagram_in_catch_up_mode(runs: Runs) -> None:
    notes: list[str] = []
    shelf = Shelf()
    await runs.catch_up(diagram_main, notes, shelf)
    assert notes == [*FIRST_NOTES, "readiness resolved"]
    assert shelf.held == {"A": "1", "B": "1"}


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("ends", ["returns", "raises"])
async def test_the_parent_does_not_hang_without_mark_ready(live: bool, ends: str, runs: Runs) -> None:
    class Ends:
        async def process(self) -> None:
            pass

        async def process_live(self, operator: coco.LiveComponentOperator) -> None:
            if ends == "raises":
                raise LookupError("on purpose")

    async def main() -> None:
        handle = await coco.mount(Ends)
        await handle.ready()

    if live:
        async with runs.live(main):
            pass
    else:
        await runs.catch_up(main)
    assert runs.failures == ([(LookupError, "on purpose")] if ends == "raises" else [])


# ---- restrictions


async def nothing() -> None:
    pass


class Still:
    """A live component that has nothing to do."""

    async def process(self) -> None:
        pass

    async def process_live(self, operator: coco.LiveComponentOperator) -> None:
        await operator.update_full()


async def test_a_live_component_is_not_for_use_mount(runs: Runs) -> None:
    async def main() -> None:
        await coco.use_mount(cast("Any", Still))

    with pytest.raises(TypeError, match="use_mount") as raised:
        await runs.catch_up(main)
    assert "mount" in str(raised.value)
    assert "operator.update" in str(raised.value)


async def test_a_live_component_is_not_for_mount_each(runs: Runs) -> None:
    async def main() -> None:
        await coco.mount_each(cast("Any", Still), [("a", 1)])

    with pytest.raises(TypeError, match="LiveMapFeed") as raised:
        await runs.catch_up(main)
    assert "operator.update" in str(raised.value)


async def test_a_live_component_may_be_given_to_update(runs: Runs) -> None:
    class Outer:
        async def process(self) -> None:
            pass

        async def process_live(self, operator: coco.LiveComponentOperator) -> None:
            await operator.update_full()
            await (await operator.update(coco.component_subpath("inner"), Still)).ready()

    async def main() -> None:
        await coco.mount(Outer)

    await runs.catch_up(main)
    assert runs.failures == []


async def test_no_use_mount_inside_process(runs: Runs) -> None:
    class Uses(Still):
        async def process(self) -> None:
            await coco.use_mount(nothing)

    async def main() -> None:
        await coco.mount(Uses)

    await runs.catch_up(main)
    ((kind, message),) = runs.failures
    assert kind is RuntimeError
    assert "parent" in message
