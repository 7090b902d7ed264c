"""Power cuts: the enumerated states against a model of its own, and what sync is good for."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from liveproof_sim.fakes.filesystem import Files, Image, SimFileSystem, crash
from liveproof_sim.fakes.filesystem.disk import Disk

BLOCK = 4
OPERATIONS_MAX = 7

Call = tuple[Any, ...]


def system_of(calls: list[Call]) -> SimFileSystem:
    system = SimFileSystem(block=BLOCK)
    Files(system).dir("/d", {"old": "OLD"})
    Files(system).dir("/e")
    for name, *arguments in calls:
        getattr(system, name)(*arguments)
    system._check()
    return system


class Model:
    """The rules of ``disk.py``, told another way: a writer in the background takes any change whose earlier
    changes of the same thing it has taken already, one at a time, and the power may fail at any moment."""

    def __init__(self, calls: list[Call]) -> None:
        self.names: dict[str, int] = {"/d/old": 0}
        self.cached: dict[int, bytes] = {0: b"OLD"}
        self.clean: dict[int, None] = {0: None}  # files of which nothing is in the cache
        self.durable_names: dict[str, int] = {"/d/old": 0}
        self.durable: dict[int, tuple[dict[int, bytes], int]] = {0: ({0: b"OLD"}, 3)}
        self.changes: list[tuple[Any, ...]] = []
        for name, *arguments in calls:
            getattr(self, name)(*arguments)

    # changes: ("block", file, position, data), ("cut", file), ("size", file, size), ("names", {path: file})

    def write(self, path: str, data: bytes) -> None:
        file = self.names.get(path)
        if file is None:
            file = len(self.cached)
            self.names[path] = file
            self.changes.append(("names", {path: file}))
        elif self.cached[file] or file not in self.clean:
            self.changes.append(("cut", file))
        self.clean.pop(file, None)
        self.cached[file] = data
        whole = range(0, len(data), BLOCK)
        self.changes += [("block", file, start // BLOCK, data[start : start + BLOCK]) for start in whole]
        self.changes += [("size", file, min(start + BLOCK, len(data))) for start in whole]

    def replace(self, source: str, destination: str) -> None:
        if source != destination:
            self.names[destination] = file = self.names.pop(source)
            self.changes.append(("names", {source: None, destination: file}))

    def remove(self, path: str) -> None:
        del self.names[path]
        self.changes.append(("names", {path: None}))

    def sync(self, path: str) -> None:
        file = self.names[path]
        self.take(lambda change: change[0] != "names" and change[1] == file)
        self.clean[file] = None

    def sync_dir(self, directory: str) -> None:
        self.take(
            lambda change: change[0] == "names" and any(path.startswith(directory) for path in change[1])
        )

    def take(self, wanted: Callable[[Any], bool]) -> None:
        """Take these changes now, and before each those that have to come earlier."""
        taken = [position for position, change in enumerate(self.changes) if wanted(change)]
        for position in reversed(range(len(self.changes))):
            if any(self.before(position, later) for later in taken):
                taken.append(position)
        state = (self.durable_names, self.durable)
        for position in sorted(set(taken)):
            state = applied(state, self.changes[position])
        self.durable_names, self.durable = state
        self.changes = [each for position, each in enumerate(self.changes) if position not in taken]

    def before(self, one: int, other: int) -> bool:
        """Whether change ``one`` has to be taken before the later ``other``."""
        if one >= other:
            return False
        a, b = self.changes[one], self.changes[other]
        if a[0] == "names" or b[0] == "names":
            return a[0] == b[0] and any(path in b[1] for path in a[1])
        if a[1] != b[1]:
            return False
        return "cut" in (a[0], b[0]) or a[:3] == b[:3] or (a[0] == b[0] == "size")

    def states(self) -> set[Image]:
        """By all orders, without shortcuts."""
        found: set[Image] = set()

        def go_on(state: Any, left: tuple[int, ...]) -> None:
            found.add(image(state))
            for position in left:
                if not any(self.before(other, position) for other in left):
                    rest = tuple(each for each in left if each != position)
                    go_on(applied(state, self.changes[position]), rest)

        go_on((self.durable_names, self.durable), tuple(range(len(self.changes))))
        return found


def applied(state: Any, change: tuple[Any, ...]) -> Any:
    names, files = state
    if change[0] == "names":
        merged = {**names, **change[1]}
        return {path: file for path, file in merged.items() if file is not None}, files
    blocks, size = files.get(change[1], ({}, 0))
    if change[0] == "cut":
        contents: tuple[dict[int, bytes], int] = ({}, 0)
    elif change[0] == "size":
        contents = (blocks, change[2])
    else:
        contents = ({**blocks, change[2]: change[3]}, size)
    return names, {**files, change[1]: contents}


def image(state: Any) -> Image:
    names, files = state
    found: list[tuple[str, bytes | str | None]] = [("/d", None), ("/e", None)]
    for path, file in names.items():
        blocks, size = files.get(file, ({}, 0))
        whole = bytearray(size)
        for position, data in blocks.items():
            for at, byte in enumerate(data, position * BLOCK):
                if at < size:
                    whole[at] = byte
        found.append((path, bytes(whole)))
    return tuple(sorted(found, key=lambda item: item[0]))


PATHS = ["/d/a", "/d/b", "/e/a", "/d/old"]


@st.composite
def programs(draw: st.DrawFn) -> list[Call]:
    """Calls that all succeed."""
    there = {"/d/old": None}
    calls: list[Call] = []
    for _ in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(["write", "write", "replace", "remove", "sync", "sync_dir"]))
        if kind == "write":
            path = draw(st.sampled_from(PATHS))
            there[path] = None
            calls.append((kind, path, draw(st.sampled_from([b"", b"x", b"1234", b"12345"]))))
        elif kind == "sync_dir":
            calls.append((kind, draw(st.sampled_from(["/d", "/e"]))))
        elif there:
            path = draw(st.sampled_from(sorted(there)))
            if kind == "replace":
                destination = draw(st.sampled_from(PATHS))
                calls.append((kind, path, destination))
                del there[path]
                there[destination] = None
            else:
                calls.append((kind, path))
                if kind == "remove":
                    del there[path]
    return calls


@settings(max_examples=150, deadline=None, derandomize=True)
@given(programs())
def test_all_states_and_no_other_are_enumerated(calls: list[Call]) -> None:
    model = Model(calls)
    assume(len(model.changes) <= OPERATIONS_MAX)
    system = system_of(calls)
    states = system.legal_states()
    assert len(states) == len(set(states))
    assert set(states) == model.states()
    assert states[0] == system.image(), "nothing lost"


@pytest.mark.parametrize(
    "calls",
    [
        [("write", "/d/old", b"12345"), ("write", "/d/old", b"x")],
        [("write", "/d/a", b""), ("replace", "/d/a", "/d/old"), ("write", "/d/a", b"x")],
    ],
)
def test_a_forgotten_need_is_noticed(calls: list[Call], monkeypatch: pytest.MonkeyPatch) -> None:
    record = Disk._record
    monkeypatch.setattr(Disk, "_record", lambda self, operation, needs: record(self, operation, ()))
    assert set(system_of(calls).legal_states()) > Model(calls).states()


@pytest.mark.parametrize("enumerated", [0, 100])
@settings(max_examples=30, deadline=None, derandomize=True)
@given(calls=programs())
def test_choices_lead_to_every_state_and_to_no_other(enumerated: int, calls: list[Call]) -> None:
    system = system_of(calls)
    assume(len(system._disk.pending) <= 5)
    expected = set(system.legal_states())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(crash, "ENUMERATED_MAX", enumerated)
        found = list(images_after_crashes(calls))
    assert set(found) == expected
    assert found[0] == system_of(calls).image(), "zeros lose nothing"


def images_after_crashes(calls: list[Call]) -> Iterator[Image]:
    """By every sequence of choices, the one of zeros first."""
    taken: list[int] = []
    while True:
        sizes: list[int] = []

        def draw(label: str, options: int, taken: list[int] = taken, sizes: list[int] = sizes) -> int:
            sizes.append(options)
            if len(sizes) > len(taken):
                taken.append(0)
            return taken[len(sizes) - 1]

        system = system_of(calls)
        states = system.legal_states()
        system.crash(draw)
        system._check()
        assert system.image() in states
        assert system.legal_states() == [system.image()], "what is left is durable"
        yield system.image()
        while taken and taken[-1] == sizes[len(taken) - 1] - 1:
            taken.pop()
        if not taken:
            return
        taken[-1] += 1


def contents(system: SimFileSystem, path: str) -> set[bytes | str | None]:
    """What may be there after a power cut; ``...`` stands for nothing at all."""
    return {dict(state).get(path, "nothing") for state in system.legal_states()}


def test_what_sync_is_good_for() -> None:
    system = system_of([("write", "/d/old", b"12345678")])
    torn = {b"OLD", b"", b"1234", b"\0\0\0\0", b"12345678", b"1234\0\0\0\0", b"\0\0\0\x005678", b"\0" * 8}
    assert contents(system, "/d/old") == torn
    system.sync("/d/old")
    assert contents(system, "/d/old") == {b"12345678"}
    system.write("/d/new", b"x")
    assert contents(system, "/d/new") == {"nothing", b"", b"\0", b"x"}
    system.sync("/d/new")
    assert contents(system, "/d/new") == {"nothing", b"x"}, "its name is not durable"
    system.sync_dir("/d")
    assert contents(system, "/d/new") == {b"x"}


def test_a_rename_is_atomic_and_needs_its_contents_synced_first() -> None:
    system = system_of([("write", "/d/t", b"new"), ("replace", "/d/t", "/d/old")])
    assert contents(system, "/d/old") == {b"OLD", b"", b"\0\0\0", b"new"}
    system = system_of([("write", "/d/t", b"new"), ("sync", "/d/t"), ("replace", "/d/t", "/d/old")])
    assert contents(system, "/d/old") == {b"OLD", b"new"}
    for state in map(dict, system.legal_states()):
        assert ("/d/t" in state) <= (state["/d/old"] == b"OLD"), "both names at once"
    system.sync_dir("/d")
    assert contents(system, "/d/old") == {b"new"}


def test_a_rename_between_directories_is_durable_with_either() -> None:
    calls: list[Call] = [("write", "/d/t", b"x"), ("sync_all", "/"), ("replace", "/d/t", "/e/t")]
    for directory in ("/d", "/e"):
        system = system_of([*calls, ("sync_dir", directory)])
        assert [path for path, _ in system.legal_states()[0]] == ["/d", "/d/old", "/e", "/e/t"]
        assert len(system.legal_states()) == 1


def test_moves_of_directories_never_make_a_ring() -> None:
    calls: list[Call] = [("replace", "/d", "/e/d"), ("replace", "/e/d", "/d"), ("replace", "/e", "/d/e")]
    for state in system_of(calls).legal_states():
        assert "/old" in "".join(path for path, _ in state), "nothing is cut off from the root"


def test_a_file_is_back_if_its_removal_was_not_durable() -> None:
    system = system_of([("remove", "/d/old")])
    assert contents(system, "/d/old") == {b"OLD", "nothing"}
    system.crash(lambda _label, options: options - 1)
    assert system.read("/d/old") == b"OLD"
    system.write("/d/old", b"again")
    system.sync_all("/")
    assert contents(system, "/d/old") == {b"again"}


def test_a_power_cut_in_the_middle_of_many_writes() -> None:
    calls: list[Call] = [("write", f"/d/{number}", b"x" * 20) for number in range(5)]
    sizes: list[int] = []

    def first_two(label: str, options: int) -> int:
        sizes.append(options)
        return {"how much survives": 2, "how much is lost": 34}[label]

    system = system_of(calls)
    pending = len(system._disk.pending)
    assert pending == 5 * 11
    system.crash(first_two)
    assert sizes == [4, pending]
    survived = [path for path, _ in system.image() if path.startswith("/d/") and path != "/d/old"]
    assert survived == ["/d/0", "/d/1"], "the first twenty operations: one name in full, one in part"


def test_times_survive_with_the_size() -> None:
    clock = itertools.count(1000)
    system = SimFileSystem(clock=lambda: next(clock), block=BLOCK)
    Files(system).dir("/d", {"f": "1"})
    before = system.stat("/d/f").mtime_ns
    system.write("/d/f", b"2")
    system.crash(lambda _label, options: options - 1)
    assert system.read("/d/f") == b"1"
    assert system.stat("/d/f").mtime_ns == before
