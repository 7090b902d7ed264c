"""Glob patterns, matchers, paths and text: everything that needs no file."""

from __future__ import annotations

import codecs
import datetime
import os
import pathlib
from pathlib import PurePath, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

import liveproof as coco
from liveproof.connectors import localfs
from liveproof.resources._glob import Glob
from liveproof.resources.file import (
    FileLike,
    FileMetadata,
    FilePath,
    MatchAllFilePathMatcher,
    PatternFilePathMatcher,
)


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("*.py", ["a.py", ".py", ".a.py"], ["d/a.py", "a.pyc", "a.PY", ""]),
        ("**/*.py", ["a.py", "d/a.py", "d/e/a.py"], ["a.txt", "d/a.py/b"]),
        ("**", ["a", "a/b", ".x/y"], []),
        ("**/**", ["a", "a/b"], []),
        ("a/**", ["a/b", "a/b/c", "a/.b"], ["a", "ab/c", "b/a/c"]),
        ("a/**/b", ["a/b", "a/x/b", "a/x/y/b"], ["ab", "a/xb", "a/b/c"]),
        ("**/a/**", ["a/x", "b/a/x", "b/c/a/x/y"], ["a", "b/a"]),
        ("a**b", ["ab", "axxb"], ["a/b"]),
        ("?", ["a", "é", "\udce9"], ["", "ab", "/"]),
        ("a?c", ["abc"], ["a/c", "ac"]),
        ("{*.md,*.txt}", ["a.md", "a.txt"], ["a.py", "d/a.md"]),
        ("{a,b{c,d/e}}/f", ["a/f", "bc/f", "bd/e/f"], ["b/f", "d/e/f"]),
        ("{**/x,y}", ["x", "a/x", "y"], ["a/y"]),
        ("a{,b}", ["a", "ab"], ["b"]),
        ("[ab].c", ["a.c", "b.c"], ["c.c", "ab.c"]),
        ("[!ab]", ["c", "!"], ["a", "b", "/"]),
        ("[^a-c]", ["d", "^"], ["a", "c"]),
        ("[a-c0-9]", ["b", "5"], ["d", "-"]),
        ("[]-]", ["]", "-"], ["a"]),
        ("[a-]", ["a", "-"], ["b"]),
        ("[!/]", ["a"], ["/"]),
        (r"\*", ["*"], ["a"]),
        (r"\{a\}", ["{a}"], ["a"]),
        (r"[\]]", ["]"], ["\\"]),
        ("[{,}]", ["{", ",", "}"], ["a"]),
        ("a.b+c(d)|$^", ["a.b+c(d)|$^"], ["axb+c(d)|$^"]),
        ("a\nb*", ["a\nb\nc"], ["a"]),
    ],
)
def test_what_a_glob_matches(pattern: str, yes: list[str], no: list[str]) -> None:
    glob = Glob(pattern)
    assert [text for text in yes if not glob.matches(text)] == []
    assert [text for text in no if glob.matches(text)] == []


@pytest.mark.parametrize(
    "pattern", ["", "[a", "[", "[!", "{a", "a}", "{a,{b}", "a\\", "[a\\", "[z-a]", "{" + "{a,b}" * 11 + "}"]
)
def test_an_invalid_pattern_is_named(pattern: str) -> None:
    for make in (Glob, lambda text: PatternFilePathMatcher(["*", text])):
        with pytest.raises(ValueError, match="invalid glob pattern") as caught:
            make(pattern)
        assert repr(pattern) in str(caught.value)


def test_patterns_come_in_a_list() -> None:
    with pytest.raises(TypeError, match="in a list"):
        PatternFilePathMatcher("*.py")  # a str is a Sequence[str], alas
    with pytest.raises(TypeError, match="not int"):
        PatternFilePathMatcher([1])  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("pattern", "directory", "possible"),
    [
        ("**/x", "a/b", True),
        ("a/b/c", "a", True),
        ("a/b/c", "a/b", True),
        ("a/b/c", "a/b/c", False),
        ("a/*/c", "a/x", True),
        ("a/*/c", "b/x", False),
        ("a/**", "a", True),
        ("a/**", "b", False),
        ("{a,b/c}/d", "b", True),
        ("{a,b/c}/d", "a", True),
        ("*.md", "a.md", False),
    ],
)
def test_whether_a_glob_may_match_below(pattern: str, directory: str, possible: bool) -> None:
    assert Glob(pattern).may_match_below(directory) is possible


NAMES = st.sampled_from(["a", "b", ".c", "a.md"])
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)
PARTS = st.sampled_from(["a", "*", "**", "?", "{a,b}", ".*", "*.md"])
PATTERNS = st.lists(PARTS, min_size=1, max_size=4).map("/".join)


@given(PATTERNS, PATHS)
def test_what_matches_may_match_below_each_of_its_directories(pattern: str, path: str) -> None:
    glob = Glob(pattern)
    if glob.matches(path):
        for parent in PurePosixPath(path).parents:
            assert not parent.name or glob.may_match_below(parent.as_posix())


# ---- matchers


def takes(matcher: PatternFilePathMatcher, path: str) -> bool:
    """As a walk asks: the directories first."""
    pure = PurePosixPath(path)
    parents = [parent for parent in pure.parents if parent.name]
    return all(map(matcher.is_dir_included, parents)) and matcher.is_file_included(pure)


def test_included_and_excluded() -> None:
    matcher = PatternFilePathMatcher(["**/*.py", "**/*.md"], ["**/.*", "**/test_*", "**/__pycache__"])
    for path in ("a.py", "d/b.md"):
        assert takes(matcher, path)
    for path in ("a.txt", ".a.py", "d/test_x.py", "__pycache__/a.py", "d/__pycache__/e/a.py", ".git/a.md"):
        assert not takes(matcher, path)
    assert not matcher.is_dir_included(PurePath("d/__pycache__"))
    assert matcher.is_dir_included(PurePath("d"))
    # A file of an excluded directory is excluded even if nobody asked about the directory.
    assert not matcher.is_file_included(PurePath("__pycache__/a.py"))


def test_an_exception_takes_back_in() -> None:
    matcher = PatternFilePathMatcher(None, ["**/.*", "!**/.github/**"])
    assert takes(matcher, ".github/workflows/ci.yml")
    assert takes(matcher, "sub/.github/x")
    assert takes(matcher, ".github/.hidden")
    for path in (".gitignore", ".git/config", ".vscode/settings.json", "a/.b/c"):
        assert not takes(matcher, path)


def test_the_last_pattern_that_matches_decides() -> None:
    matcher = PatternFilePathMatcher(None, ["!a.md", "*.md", "!b.md", "b*"])
    assert not takes(matcher, "a.md")
    assert not takes(matcher, "b.md")
    assert takes(matcher, "c.txt")
    only = PatternFilePathMatcher(None, ["*", "!keep"])
    assert takes(only, "keep/x")
    assert not takes(only, "other/x")
    assert not only.is_dir_included(PurePath("other"))


def test_an_excluded_directory_is_walked_only_for_an_exception() -> None:
    matcher = PatternFilePathMatcher(None, ["build", "!build/keep/*.txt"])
    assert matcher.is_dir_included(PurePath("build"))
    assert matcher.is_dir_included(PurePath("build/keep"))
    assert not matcher.is_dir_included(PurePath("build/other"))
    assert takes(matcher, "build/keep/a.txt")
    assert not takes(matcher, "build/keep/a.md")
    assert not takes(matcher, "build/a.txt")


def test_a_name_that_begins_with_an_exclamation_mark() -> None:
    assert not takes(PatternFilePathMatcher(None, [r"\!a"]), "!a")


def test_match_all_takes_all() -> None:
    matcher = MatchAllFilePathMatcher()
    assert matcher.is_dir_included(PurePath(".git"))
    assert matcher.is_file_included(PurePath(".git/x"))


# ---- paths


def test_a_file_path_behaves_like_a_pure_path() -> None:
    key: coco.ContextKey[pathlib.Path] = coco.ContextKey("src")
    path = localfs.FilePath(base_dir=key) / "config" / "settings.tar.gz"
    assert path.path == PurePath("config/settings.tar.gz")
    assert (path.name, path.stem, path.suffix) == ("settings.tar.gz", "settings.tar", ".gz")
    assert path.suffixes == [".tar", ".gz"]
    assert path.parts == ("config", "settings.tar.gz")
    assert path.parent == localfs.FilePath("config", base_dir=key)
    assert [str(parent) for parent in path.parents] == ["config", "."]
    assert path.with_name("x.md").as_posix() == "config/x.md"
    assert path.with_stem("x").as_posix() == "config/x.gz"
    assert path.with_suffix(".zip").as_posix() == "config/settings.tar.zip"
    assert path.match("*.gz")
    assert path.relative_to("config") == PurePath("settings.tar.gz")
    assert path.is_relative_to("config")
    assert not path.is_absolute()
    assert path.joinpath("..", "x").as_posix() == "config/settings.tar.gz/../x"
    assert path.base_dir is key


def test_file_paths_are_values() -> None:
    one, two = coco.ContextKey[pathlib.Path]("one"), coco.ContextKey[pathlib.Path]("two")
    paths = [localfs.FilePath("a", base_dir=one), localfs.FilePath("a", base_dir=two), localfs.FilePath("a")]
    assert len(dict.fromkeys(paths)) == 3
    assert paths[0] == localfs.FilePath("./a", base_dir=coco.ContextKey("one"))
    assert len({coco.memo_fingerprint(path) for path in paths}) == 3
    assert coco.memo_fingerprint(paths[0]) == coco.memo_fingerprint(localfs.FilePath("./a", base_dir=one))
    assert sorted(paths) == [paths[2], paths[0], paths[1]]


def test_a_file_path_resolves() -> None:
    assert localfs.FilePath("a/b").resolve() == pathlib.Path("a/b")
    assert os.fspath(localfs.FilePath("/dev/null")) == "/dev/null"
    with pytest.raises(RuntimeError, match="no component is running here"):
        localfs.FilePath("a", base_dir=coco.ContextKey("src")).resolve()


def test_bad_file_paths() -> None:
    key: coco.ContextKey[pathlib.Path] = coco.ContextKey("src")
    with pytest.raises(ValueError, match="absolute"):
        localfs.FilePath("/etc", base_dir=key)
    with pytest.raises(TypeError, match="ContextKey"):
        localfs.FilePath("a", base_dir="/src")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="not int"):
        localfs.walk_dir(3)  # type: ignore[arg-type]


# ---- files of other connectors


class Blob(FileLike[str]):
    """A file in memory."""

    def __init__(self, content: bytes) -> None:
        super().__init__(Key("blob", None))
        self.content = content

    async def _fetch_metadata(self) -> FileMetadata:
        return FileMetadata(len(self.content), datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC))

    async def _read_bytes(self, size: int) -> bytes:
        return self.content if size < 0 else self.content[:size]


class Key(FilePath[str]):
    """A path of another connector."""

    def resolve(self) -> str:
        return str(self.path)

    def _with_path(self, path: PurePath) -> Key:
        return Key(path, self.base_dir)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"caf\xc3\xa9", "café"),
        (codecs.BOM_UTF8 + b"caf\xc3\xa9", "café"),
        ("\ufeffcafé".encode("utf-16-le"), "café"),
        ("\ufeffcafé".encode("utf-16-be"), "café"),
        ("\ufeffcafé".encode("utf-32-le"), "café"),
        ("\ufeffcafé".encode("utf-32-be"), "café"),
        (b"caf\xe9", "caf\ufffd"),
        (b"", ""),
    ],
)
async def test_text_is_decoded_by_its_mark(data: bytes, text: str) -> None:
    assert await Blob(data).read_text() == text


async def test_other_ways_to_read() -> None:
    blob = Blob(b"caf\xe9")
    assert await blob.read_text("latin-1") == "café"
    with pytest.raises(UnicodeDecodeError):
        await blob.read_text(errors="strict")
    assert await blob.read(2) == b"ca"
    assert await blob.size() == 4
    assert (await blob.modified_time()).year == 2026
    assert await blob.content_fingerprint() == await Blob(b"caf\xe9").content_fingerprint()
    assert await blob.content_fingerprint() != await Blob(b"cafe").content_fingerprint()
    assert coco.memo_fingerprint(blob) == coco.memo_fingerprint(Blob(b"other contents, same file"))
