"""SimPath: what random programs against the real one do not reach."""

from __future__ import annotations

import pathlib
import pickle
import stat

import pytest

from liveproof_sim.fakes.filesystem import Files, SimFileSystem, SimPath


@pytest.fixture
def files() -> Files:
    return Files(SimFileSystem())


def test_a_directory_with_files(files: Files) -> None:
    docs = files.dir("/docs", {"a.md": "alpha", "deep/b.md": "beta", "c": b"\xff"})
    assert docs.tree() == {"a.md": "alpha", "c": b"\xff", "deep/b.md": "beta"}
    assert [path.name for path in docs.iterdir()] == ["a.md", "c", "deep"]
    assert files.dir("/docs", {"a.md": "again"}).tree()["a.md"] == "again"


def test_what_comes_from_a_path_is_in_the_same_files(files: Files) -> None:
    path = files.path("/a/b.md")
    relatives = [
        path.parent,
        path.parents[1],
        path / "c",
        "/x" / path,
        path.joinpath("c", "d"),
        path.with_name("c"),
        path.with_stem("c"),
        path.with_suffix(".txt"),
        path.relative_to("/a"),
        path.resolve(),
        path.absolute(),
        files.path("a"),
    ]
    for each in relatives:
        assert type(each) is SimPath
        assert each.system is files.system
    assert list(map(str, path.parents)) == ["/a", "/"]
    assert (path.name, path.stem, path.suffix, path.parts) == ("b.md", "b", ".md", ("/", "a", "b.md"))


def test_it_is_a_pure_path(files: Files) -> None:
    path = files.path("/a")
    assert isinstance(path, pathlib.PurePath)
    assert path == pathlib.PurePosixPath("/a")
    assert pathlib.PurePath(path) == path
    assert pickle.loads(pickle.dumps(path)) == pathlib.PurePosixPath("/a")


def test_a_path_of_no_world_says_so() -> None:
    with pytest.raises(RuntimeError, match=r"belongs to no world: make it by world.fs.path\('/a'\)"):
        SimPath("/a").exists()


def test_moving_and_links(files: Files) -> None:
    docs = files.dir("/docs", {"a": "1"})
    moved = (docs / "a").rename("/docs/b")
    assert moved == docs / "b"
    (docs / "link").symlink_to("b")
    assert (docs / "link").readlink() == pathlib.PurePosixPath("b")
    assert (docs / "link").resolve(strict=True) == docs / "b"
    assert (docs / "link").lstat().st_size == 1
    (docs / "link").unlink()
    (docs / "link").unlink(missing_ok=True)
    with pytest.raises(FileNotFoundError):
        (docs / "link").unlink()
    with pytest.raises(FileNotFoundError):
        (docs / "link").resolve(strict=True)


def test_stat_is_like_the_operating_systems() -> None:
    clock = 1_704_067_200_000_000_007
    docs = Files(SimFileSystem(clock=lambda: clock)).dir("/docs", {"a": "123"})
    found = (docs / "a").stat()
    assert (found.st_size, found.st_mtime_ns, found.st_ctime_ns) == (3, clock, clock)
    assert found.st_mtime == clock / 1e9
    assert stat.filemode(found.st_mode) == "-rw-r--r--"
    assert stat.filemode(docs.stat().st_mode) == "drwxr-xr-x"
    assert found.st_ino != docs.stat().st_ino


def test_open_files(files: Files) -> None:
    path = files.dir("/d") / "f"
    with path.open("wb") as file:
        file.write(b"\xe9")
        assert path.read_bytes() == b""
        file.flush()
        assert path.read_bytes() == b"\xe9"
    assert path.read_text(encoding="latin-1") == "é"
    path.write_text("a\nb", newline="\r\n")
    assert path.read_bytes() == b"a\r\nb"
    with path.open() as file, pytest.raises(OSError, match="not writable"):
        file.write("x")
    with pytest.raises(ValueError, match="invalid mode: 'rw'"):
        path.open("rw")
    with pytest.raises(TypeError, match="data must be str, not bytes"):
        path.write_text(b"x")  # type: ignore[arg-type]


def test_touch(files: Files) -> None:
    path = files.dir("/d") / "f"
    path.touch()
    path.touch()
    assert path.read_bytes() == b""
    with pytest.raises(FileExistsError):
        path.touch(exist_ok=False)


def test_what_the_world_writes_is_durable(files: Files) -> None:
    files.dir("/docs", {"a": "1"})
    assert len(files.system.legal_states()) == 1
    assert files.system.legal_states()[0] == files.system.image()
