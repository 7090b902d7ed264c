"""``ls`` and ``show``: what they say, also of a store that is in use or was left by a crash, and what they
leave untouched."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from liveproof.abc.store import Table
from liveproof.backends.sqlite_store import SqliteStore
from liveproof.cli.listing import _tree
from liveproof.core.paths import StableKey, Symbol, encode_key, encode_path
from liveproof.core.records import ComponentRecord, TargetEntry, encode_record
from liveproof.errors import StoreBusyError, StoreCorruptError, StoreUnavailableError, StoreVersionError
from liveproof.inspection import AppView, TargetState, open_store, printable
from tests.runtime.cli_site import Site, ended, lines_until, until


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    site.source(a="alpha", b="beta")
    return site


@pytest.fixture
def processes() -> Iterator[list[subprocess.Popen[str]]]:
    begun: list[subprocess.Popen[str]] = []
    ending = ended(begun)
    next(ending)
    yield begun
    next(ending, None)


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


# --- the command ---


def test_ls_counts(site: Site) -> None:
    assert site.json("ls", "app.py")[0]["runs"] == 0
    assert not site.store.parent.exists()
    site.run("update", "app.py")
    site.run("update", "app.py")
    app, result = site.json("ls", "app.py")
    assert app == {
        "type": "app",
        "name": "docs",
        "store": str(site.store),
        "variables": ["app"],
        "runs": 2,
        "components": 4,
        "target_states": 2,
        "in_doubt": 0,
    }
    assert (result["type"], result["apps"]) == ("result", 1)
    assert site.run("ls").stdout.splitlines() == [
        f"store {site.store}",
        "  app   runs  components  target states  in doubt",
        "  docs     2           4              2         0",
    ]
    assert site.run("ls", "--db", str(site.store)).stdout == site.run("ls").stdout


def test_ls_lists_what_the_module_defines_and_what_the_store_has(site: Site) -> None:
    site.run("update", "app.py")
    text = (site.folder / "app.py").read_text().replace('coco.App("docs"', 'coco.App("new"')
    (site.folder / "app.py").write_text(text)
    docs, new, _ = site.json("ls", "app.py")
    assert (docs["name"], docs["variables"], docs["runs"]) == ("docs", [], 1)
    assert (new["name"], new["variables"], new["runs"]) == ("new", ["app"], 0)
    assert "(not in this module)" in site.run("ls", "app.py").stdout


def test_show_draws_the_tree(site: Site) -> None:
    site.run("update", "app.py")
    assert site.run("show", "app.py").stdout.splitlines() == [
        "docs: 4 components, 2 target states, 0 in doubt",
        "/ (main)",
        "└── @process (mount_each(process))",
        "    ├── a (process, memoized)",
        "    │       → /test/file/a  certain".replace("test/file", "'test/file'"),
        "    └── b (process, memoized)",
        "            → /'test/file'/b  certain",
    ]
    assert site.run("show", "app.py", "/@process/b", "--flat", "-l").stdout.splitlines() == [
        "docs: 1 components, 1 target states, 0 in doubt",
        "/@process/b (process, memoized, mounted by /@process)",
        "    → /'test/file'/b  certain",
    ]
    with_db = site.run("show", "--db", str(site.store), "/@process/b", "--no-target-states").stdout
    assert with_db.splitlines()[1:] == ["/@process/b (process, memoized, 1 target state)"]


def test_show_says_what_it_did_not_find(site: Site) -> None:
    assert "there is no store at" in site.run("show", "app.py", code=3).stderr
    assert not site.store.parent.exists()
    site.run("update", "app.py")
    assert "no component at /nowhere" in site.run("show", "app.py", "/nowhere", code=2).stderr
    assert "does not know app 'x'; it has 'docs'" in site.run("show", "--app-name", "x", code=2).stderr


def test_a_crash_leaves_doubt_and_show_leaves_no_trace(
    site: Site, processes: list[subprocess.Popen[str]]
) -> None:
    site.run("update", "app.py")
    site.source(b="beta 2", c="gamma")
    (site.folder / "hang").touch()
    process = site.start("update", "app.py")
    processes.append(process)
    until((site.folder / "hanging").exists, "a sink hangs")
    process.kill()
    process.wait()
    before = _contents(site.store.parent)
    *components, result = site.json("show", "app.py")
    states = [target for component in components for target in component["target_states"]]
    assert result["components"] == 5
    assert states == [
        {"path": "/'test/file'/a", "certainty": "certain", "possible": 1, "may_be_missing": False},
        {"path": "/'test/file'/b", "certainty": "uncertain", "possible": 2, "may_be_missing": False},
        {"path": "/'test/file'/c", "certainty": "may be missing", "possible": 1, "may_be_missing": True},
    ]
    shown = site.run("show", "app.py").stdout
    assert "→ /'test/file'/b  uncertain: one of 2" in shown
    assert "2 in doubt" in shown
    after = _contents(site.store.parent)
    for name in ("state.db", "state.db-wal", "state.db.lock"):
        assert after[name] == before[name]
    assert list(after) == list(before)
    (site.folder / "hang").unlink()
    site.run("update", "app.py")
    assert site.json("ls")[0]["in_doubt"] == 0
    assert site.targets == {"a": "ALPHA", "b": "BETA 2", "c": "GAMMA"}


def test_a_store_that_is_in_use_can_be_looked_at(
    site: Site, processes: list[subprocess.Popen[str]]
) -> None:
    process = site.start("update", "app.py", "--live", "--json", "--interval", "0.01")
    processes.append(process)
    lines_until(process, '"phase": "live"')
    until(lambda: site.json("ls")[0]["components"] == 4, "everything is in the store")
    assert "/'test/file'/a  certain" in site.run("show", "app.py").stdout
    assert process.poll() is None


# --- the store ---


def _row(*path: StableKey, owner: int, **fields: object) -> tuple[Table, bytes, bytes]:
    record = ComponentRecord(owner=owner, processor=f"p{len(path)}", **fields)  # type: ignore[arg-type]
    return (Table.COMPONENT, encode_key("app") + encode_path(path), encode_record(record))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "state.db"
    made = SqliteStore(path)
    target = encode_path(("files", "x\ny"))
    batch = [
        (Table.APP, encode_key("app"), msgspec.msgpack.encode([7])),
        (Table.APP, encode_key("app2"), msgspec.msgpack.encode([1])),
        _row(owner=0),
        _row("a", owner=0, memo=b"m"),
        _row("a", "b", owner=1),
        _row("a", "m", owner=0, targets={target: TargetEntry([b"1", b"2"], True)}),
        _row("a", "z", owner=1),
        _row(Symbol("a"), owner=0, targets={target: TargetEntry([], True)}),
    ]
    made.write(batch, durable=True)
    made.close()
    return path


def test_a_view_of_a_closed_store_makes_no_file(store: Path) -> None:
    before = _contents(store.parent)
    with open_store(store) as view:
        assert view.app_names() == {"app": 7, "app2": 1}
        assert view.app("app") == AppView("app", 7, components=6, targets=2, in_doubt=2)
        assert view.app("app2") == AppView("app2", 1, 0, 0, 0)
        assert view.app("app3") is None
    assert _contents(store.parent) == before


def test_the_tree_is_of_who_mounted_whom(store: Path) -> None:
    """The root mounted ``/a/m``, whose path lies between those of two children of ``/a``."""
    with open_store(store) as view:
        components = list(view.components("app"))
        below = [component.path for component in view.components("app", "/a")]
    assert list(_tree(components, targets=True, long=False)) == [
        "/ (p0)",
        "├── a (p1, memoized)",
        "│   ├── b (p2)",
        "│   └── z (p2)",
        "├── a/m (p2)",
        "│       → /files/x\\ny  uncertain: one of 2, or missing",
        "└── @a (p1)",
        "        → /files/x\\ny  may be missing",
    ]
    assert below == ["/a", "/a/b", "/a/m", "/a/z"]


def test_a_very_deep_tree_can_be_drawn(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "state.db")
    store.write([(Table.APP, encode_key("app"), msgspec.msgpack.encode([1]))], durable=False)
    store.write([_row(*range(depth), owner=max(0, depth - 1)) for depth in range(100)], durable=True)
    store.close()
    with open_store(store.path) as view:
        lines = list(_tree(list(view.components("app")), targets=True, long=False))
    assert lines[-1] == "    " * 98 + "└── 98 (p99)"


@pytest.mark.parametrize(
    ("state", "certainty", "words"),
    [
        (TargetState("/x", 1, may_be_missing=False), "certain", "certain"),
        (TargetState("/x", 1, may_be_missing=True), "may be missing", "may be missing"),
        (TargetState("/x", 0, may_be_missing=True), "may be missing", "may be missing"),
        (TargetState("/x", 3, may_be_missing=False), "uncertain", "uncertain: one of 3"),
        (TargetState("/x", 2, may_be_missing=True), "uncertain", "uncertain: one of 2, or missing"),
    ],
)
def test_words_for_doubt(state: TargetState, certainty: str, words: str) -> None:
    assert (state.certainty, state.in_words) == (certainty, words)


def test_names_stay_on_their_line_and_off_the_terminal() -> None:
    assert printable("naïve/ж.md") == "naïve/ж.md"
    assert printable("a\nb\x1b[2J\u202e") == "a\\nb\\x1b[2J\\u202e"


def test_a_store_that_is_written_meanwhile_is_told(store: Path) -> None:
    def reading() -> None:
        with open_store(store) as view:
            assert view.app_names() != {}
            with store.open("r+b") as file:
                file.seek(0, 2)
                file.write(bytes(4096))

    with pytest.raises(StoreBusyError, match="look again"):
        reading()


def test_files_that_are_no_store(tmp_path: Path, store: Path) -> None:
    def reading(path: Path) -> None:
        with open_store(path) as view:
            list(view.components("app"))

    empty = tmp_path / "empty"
    empty.touch()
    for path in (tmp_path / "missing", empty):
        with pytest.raises(StoreUnavailableError, match="there is no store at"):
            reading(path)
    assert not (tmp_path / "missing").exists()
    text = tmp_path / "text"
    text.write_text("no database" * 100)
    with pytest.raises(StoreCorruptError):
        reading(text)
    newer = tmp_path / "newer"
    data = bytearray(store.read_bytes())
    data[60:64] = (99).to_bytes(4, "big")  # user_version
    newer.write_bytes(data)
    with pytest.raises(StoreVersionError, match="use the liveproof that wrote it"):
        reading(newer)


def test_rows_that_nobody_could_have_written(tmp_path: Path) -> None:
    made = SqliteStore(tmp_path / "state.db")
    made.write([(Table.COMPONENT, encode_key("app"), b"\x91\x00")], durable=True)
    made.close()
    with pytest.raises(StoreCorruptError, match="did not write"), open_store(made.path) as view:
        list(view.components("app"))
