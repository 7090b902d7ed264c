"""A folder of Markdown, kept as HTML, live: the first example of the page on live components.

``FolderWatcher`` and ``app_main`` are the page's; below them is what the page leaves to its reader, and a
demonstration, which copies this repository's own Markdown into ``demo/`` and then changes it; ``make demo``
goes on from there in the simulator (``demonstration.py``)::

    python scenarios/folder_watcher.py                       the demonstration
    liveproof update scenarios/folder_watcher.py --live      the same app, for you to change demo/source

The watch is by ``watchfiles``, as a reader of the page would do it. A source that has to notice whatever the
kernel's queue could not hold is ``localfs.walk_dir(..., live=True)``.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import pathlib
import shutil
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import NamedTuple

from markdown_it import MarkdownIt
from rich.console import Console
from rich.text import Text
from watchfiles._rust_notify import RustNotify  # documented; watch() itself arms too late, when first asked

import liveproof as coco
from liveproof.connectors import localfs
from liveproof.errors import StoppedError, StoreBusyError

ROOT = pathlib.Path(__file__).resolve().parents[1]
DEMO = ROOT / "demo"


# ---- the page


class FolderWatcher:
    def __init__(self, folder: pathlib.Path, target: localfs.DirTarget) -> None:
        self.folder = folder
        self.target = target

    async def process(self) -> None:
        """Full scan — mount a child for every file in the folder."""
        for path in self.folder.iterdir():
            if path.is_file():
                await coco.mount(
                    coco.component_subpath(path.name),
                    process_file,
                    path,
                    self.target,
                )

    async def process_live(self, operator: coco.LiveComponentOperator) -> None:
        # 1. Set up the file watcher before the full scan so no events are missed.
        watcher = setup_watchdog(self.folder)

        # 2. Full scan.
        await operator.update_full()

        # 3. Signal readiness — parent can proceed.
        await operator.mark_ready()

        # 4. React to changes.
        async for event in watcher.events():
            subpath = coco.component_subpath(event.filename)
            if event.is_update:
                await operator.update(subpath, process_file, event.path, self.target)
            elif event.is_delete:
                await operator.delete(subpath)


@coco.fn
async def app_main(folder: pathlib.Path, outdir: pathlib.Path) -> None:
    # Set up the target in the parent (use_mount is not allowed inside process()).
    target = await localfs.mount_dir_target(outdir)
    # Mount the live component.
    await coco.mount(FolderWatcher, folder, target)


# ---- what the page leaves open: the watchdog, and what is made of a file


class Event(NamedTuple):
    """Something has happened to a file of the folder."""

    path: pathlib.Path
    is_update: bool

    @property
    def filename(self) -> str:
        return self.path.name

    @property
    def is_delete(self) -> bool:
        return not self.is_update


class Watchdog:
    """Watches a folder from the moment it is made."""

    def __init__(self, folder: pathlib.Path) -> None:
        self._notify = RustNotify([str(folder)], False, False, 0, False, False)
        self._stop = threading.Event()

    async def events(self) -> AsyncIterator[Event]:
        """What happens, for ever. A burst is gathered for up to 50 ms; then the folder itself says whether a
        name is there, because the order of events within a burst is not told."""
        try:
            while True:
                changes = await asyncio.to_thread(self._notify.watch, 50, 10, 0, self._stop)
                assert not isinstance(changes, str), "no timeout was asked for, and nobody else stops it"
                for path in sorted({pathlib.Path(name) for _, name in changes}):
                    yield Event(path, is_update=path.is_file())
        finally:
            self._stop.set()  # or the thread would wait for ever


def setup_watchdog(folder: pathlib.Path) -> Watchdog:
    """Watch a folder, which is made if there is none."""
    folder.mkdir(parents=True, exist_ok=True)
    return Watchdog(folder)


MARKDOWN = MarkdownIt("commonmark").enable("table")


@coco.fn(memo=True)
def render(title: str, text: str) -> str:
    """A page of HTML; remembered, so that an unchanged text is not rendered again."""
    return f"<!doctype html>\n<title>{title}</title>\n{MARKDOWN.render(text)}"


@coco.fn
async def process_file(path: pathlib.Path, target: localfs.DirTarget) -> None:
    """One Markdown file becomes one page. What is no Markdown, or gone already, becomes none."""
    if path.suffix != ".md":
        return
    try:
        text = await localfs.File(path).read_text()
    except FileNotFoundError:
        return
    target.declare_file(page_name(path), render(path.stem, text))


def page_name(path: pathlib.Path) -> str:
    return path.with_suffix(".html").name


def text_of(path: pathlib.Path) -> str | None:
    """What a file holds; ``None`` if it is not there."""
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        return None


def page_of(path: pathlib.Path) -> str | None:
    """The page that a Markdown file should have; ``None`` if it is not there."""
    text = text_of(path)
    return None if text is None else render(path.stem, text)


class Place(NamedTuple):
    """Where a folder, its pages and the state between them are."""

    base: pathlib.Path

    @property
    def source(self) -> pathlib.Path:
        return self.base / "source"

    @property
    def target(self) -> pathlib.Path:
        return self.base / "target"

    @property
    def store(self) -> pathlib.Path:
        return self.base / "state.db"

    def environment(self, handler: coco.ExceptionHandler | None = None) -> coco.Environment:
        """One with its store here. Nothing is made before it is needed."""
        settings = coco.Settings(db_path=self.store)
        return coco.Environment(settings, name="folder_watcher", exception_handler=handler)

    def app(self, environment: coco.Environment) -> coco.App[[pathlib.Path, pathlib.Path], None]:
        """The app on this place."""
        config = coco.AppConfig("folder_watcher", environment)
        return coco.App(config, app_main, self.source, self.target)

    def wanted(self) -> dict[str, str | None]:
        """The source function: what the target has to be."""
        return {page_name(path): page_of(path) for path in self.source.glob("*.md")}

    def found(self) -> dict[str, str | None]:
        """The target as it is."""
        return {path.name: text_of(path) for path in self.target.iterdir()}


app = Place(DEMO).app(Place(DEMO).environment())


# ---- the demonstration

LEFT = ("failure.jsonl", "report.html", "report.txt")
"""what the simulator leaves beside it"""
DEADLINE_S = 10.0
FILES_MIN = 4
MORE = {
    "scanning.md": "# Scanning\n\n`process()` mounts a child for every file.\n",
    "watching.md": "# Watching\n\nThe watch is armed *before* the scan, so nothing falls between the two.\n",
    "reacting.md": "# Reacting\n\n1. update\n2. delete\n",
    "resting.md": "# Resting\n\nA second run on an unchanged folder writes nothing.\n",
}


class DemonstrationError(Exception):
    """Something was not as it should be."""


def markdown_files(root: pathlib.Path) -> Iterator[pathlib.Path]:
    """The Markdown below a directory, without what is hidden or made."""
    for folder, inner, names in os.walk(root):
        inner[:] = sorted(name for name in inner if name[0] != "." and name not in ("build", "demo", "dist"))
        yield from (pathlib.Path(folder, name) for name in sorted(names) if name.endswith(".md"))


def copy_markdown(source: pathlib.Path) -> list[str]:
    """Fill the source with the repository's own Markdown; returns the names."""
    source.mkdir(parents=True)
    paths = sorted(markdown_files(ROOT), key=lambda path: (path.name != "README.md", path))
    texts = {"-".join(path.relative_to(ROOT).parts): path.read_text("utf-8") for path in paths}
    for name, text in MORE.items():
        if len(texts) < FILES_MIN:
            texts[name] = text
    for name, text in texts.items():
        (source / name).write_text(text, "utf-8")
    return list(texts)


class Demonstration:
    """Changes a folder while the app runs, and says what came of it."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._console = Console(highlight=False, soft_wrap=True)
        self._failures: list[str] = []

    def say(self, what: str, details: str = "", since: float | None = None) -> None:
        """A line; ``since`` is when it began to happen."""
        self._console.print(said(what, details, since))

    def _check(self, holds: bool, otherwise: str) -> None:
        if not holds:
            raise DemonstrationError("; ".join([otherwise, *self._failures]))

    def _note(self, exception: BaseException, context: coco.ExceptionContext) -> None:
        self._failures.append(f"{context.stable_path} failed with {exception!r}")

    @contextlib.asynccontextmanager
    async def _live(self) -> AsyncIterator[None]:
        """The app, live and caught up; stopped in the end."""
        environment = self._place.environment(self._note)
        handle = self._place.app(environment).update(live=True)
        try:
            async for snapshot in handle.watch():
                if snapshot.status is coco.UpdateStatus.READY:
                    break
            yield
        finally:
            handle.stop()
            with contextlib.suppress(StoppedError):
                await handle
            environment.close()

    async def _see(self, what: str, details: str, change: Callable[[], object], *names: str) -> None:
        """Change something; wait until the pages of these files are what they should be, and say so."""
        since = time.perf_counter()
        change()
        paths = [self._place.source / name for name in names]
        wanted = {self._place.target / page_name(path): page_of(path) for path in paths}
        while any(text_of(page) != text for page, text in wanted.items()):
            self._check(not self._failures, "components failed")
            late = time.perf_counter() - since > DEADLINE_S
            self._check(not late, f"{what} {details}: not in the target after {DEADLINE_S:g} s")
            await asyncio.sleep(0.001)
        self.say(what, details, since)

    async def _change_everything(self, names: list[str]) -> None:
        """What people and programs do to a folder."""
        source = self._place.source
        edited, renamed, replaced, deleted = (source / name for name in names[:FILES_MIN])
        new, moved = source / "new.md", source / "renamed.md"
        many = [source / f"many-{number}.md" for number in range(100)]
        names_of_many = [path.name for path in many]

        def write_anew() -> None:
            for turn in range(100):
                new.unlink()
                new.write_text(f"# Written anew\n\nfor the {turn + 1}. time\n", "utf-8")

        def replace() -> None:
            draft = source / "draft.tmp"
            draft.write_text("# Replaced\n\nin one step, as editors do.\n", "utf-8")
            draft.replace(replaced)

        def add_many() -> None:
            for path in many:
                append(path, f"# {path.stem}\n")

        def delete_most() -> None:
            for path in many[2:]:
                path.unlink()

        see = self._see
        await see("edited", edited.name, lambda: append(edited, "\nOne more line.\n"), edited.name)
        await see("added", new.name, lambda: append(new, "# New\n"), new.name)
        both = (renamed.name, moved.name)
        await see("renamed", f"{renamed.name}, now {moved.name}", lambda: renamed.rename(moved), *both)
        await see("replaced", replaced.name, replace, replaced.name)
        await see("deleted", deleted.name, deleted.unlink, deleted.name)
        await see("rewritten", f"{new.name}, deleted and added 100 times", write_anew, new.name)
        await see("added", "100 files", add_many, *names_of_many)
        await see("deleted", "98 of them", delete_most, *names_of_many)

    async def run(self) -> None:
        """The demonstration. Raises :class:`DemonstrationError` if anything is not as it should be."""
        place = self._place
        names = copy_markdown(place.source)
        self.say("watching", shown(place.source))
        self.say("writing", shown(place.target))
        since = time.perf_counter()
        async with self._live():
            self.say("caught up", f"{len(names)} Markdown files", since)
            self._check(place.found() == place.wanted(), "caught up, but the target is wrong")
            await self._change_everything(names)
        self.say("stopped")
        self._check(place.found() == place.wanted(), "stopped, and the target is not what the source asks for")
        self.say("checked", f"{len(place.found())} pages are what the source asks for")
        before = stamps(place.target)
        since = time.perf_counter()
        environment = place.environment(self._note)
        await place.app(environment).update()
        environment.close()
        self._check(stamps(place.target) == before, "a second run wrote what was there already")
        self.say("idle run", "nothing written", since)
        self._check(not self._failures, "components failed")


def said(what: str, details: str = "", since: float | None = None) -> Text:
    """A line of the demonstration; ``since`` is when it began to happen."""
    line = Text.assemble((f"  {what:<10}", "bold"), f"{details:<52}")
    if since is not None:
        line.append(f"{1000 * (time.perf_counter() - since):6.0f} ms", "green")
    line.rstrip()
    return line


def append(path: pathlib.Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


def stamps(folder: pathlib.Path) -> dict[str, tuple[int, int]]:
    """What differs if a file has been written: its inode and time."""
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.iterdir()}


def shown(path: pathlib.Path) -> str:
    """A path as a reader would type it here."""
    with contextlib.suppress(ValueError):
        return str(path.relative_to(pathlib.Path.cwd()))
    return str(path)


def clear(place: Place) -> None:
    """Make room for a new demonstration.

    Raises:
        StoreBusyError: the app is running there.
        DemonstrationError: there is something that no demonstration has left.
    """
    if not place.base.exists():
        return
    own = (place.source.name, place.target.name, place.store.name, *LEFT)
    strangers = [path.name for path in place.base.iterdir() if not path.name.startswith(own)]
    if strangers:
        raise DemonstrationError(f"{shown(place.base)} holds {', '.join(strangers)}: name another directory")
    if place.store.exists():
        environment = place.environment()
        assert environment.store.path, "opened: so nobody else has it open"
        environment.close()
    shutil.rmtree(place.base)


def place_of(description: str) -> Place:
    """Where the command line asks for it."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("base", nargs="?", type=pathlib.Path, default=DEMO, help="where (default: demo/)")
    return Place(parser.parse_args().base.resolve())


def ending(show: Callable[[Place], None], place: Place) -> int:
    """Show something there; the exit code."""
    try:
        show(place)
    except (DemonstrationError, StoreBusyError) as exc:
        print(f"failed: {exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def show_live(place: Place) -> None:
    """The demonstration, with what was there before cleared away."""
    clear(place)
    asyncio.run(Demonstration(place).run())


def invite(place: Place) -> None:
    """What the reader may do now."""
    print(f"\nLook at {shown(place.source)} and {shown(place.target)}.")
    if place.base == DEMO:
        command, script = pathlib.Path(sys.prefix) / "bin" / "liveproof", pathlib.Path(__file__).resolve()
        print(f"Change the one and see the other follow:\n  {shown(command)} update {shown(script)} --live")


def main() -> int:
    place = place_of("A folder of Markdown, kept as HTML, live.")
    code = ending(show_live, place)
    if code == 0:
        invite(place)
    return code


if __name__ == "__main__":
    sys.exit(main())
