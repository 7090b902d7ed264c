"""What is stored comes back, or is refused by name."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import pathlib
import pickle
import subprocess
import uuid
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Optional, Union

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveproof.core.absence import NON_EXISTENCE, NonExistenceType, is_non_existence
from liveproof.core.values import (
    decode,
    decoder,
    element_type,
    encode,
    parameter_type,
    return_type,
    serialize_by_pickle,
    strip_non_existence,
    unpickle_safe,
)
from liveproof.errors import MemoError

if TYPE_CHECKING:
    from nowhere import Missing  # type: ignore[import-not-found]

int64 = st.integers(-(2**63), 2**64 - 1)
utf8 = st.text(st.characters(exclude_categories=["Cs"]))


class Colour(enum.Enum):
    RED = 1


@dataclasses.dataclass(frozen=True)
class Chunk:
    text: str
    span: tuple[int, int]
    where: pathlib.Path
    tags: frozenset[str] = frozenset()
    next: Chunk | None = None


class Point(NamedTuple):
    x: float
    y: complex


class Node(msgspec.Struct):
    name: str
    chunks: dict[str, Chunk]


@serialize_by_pickle
class Opaque:
    def __init__(self, inside: object) -> None:
        self.inside = inside

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Opaque) and other.inside == self.inside

    def __hash__(self) -> int:
        return 1


class Model:
    """What pydantic's models look like from outside."""

    __pydantic_fields__ = {"x": None}  # noqa: RUF012

    def __init__(self, x: int) -> None:
        self.x = x

    def model_dump(self) -> dict[str, object]:
        return vars(self)

    @classmethod
    def model_validate(cls, data: Any) -> Model:
        return cls(**data)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Model) and self.x == other.x

    def __hash__(self) -> int:
        return self.x


paths = st.lists(st.text("abcé", min_size=1), min_size=1).map(lambda parts: pathlib.Path(*parts))
chunks: st.SearchStrategy[Chunk] = st.recursive(
    st.builds(Chunk, utf8, st.tuples(int64, int64), paths, st.frozensets(utf8)),
    lambda inner: st.builds(Chunk, utf8, st.tuples(int64, int64), paths, st.frozensets(utf8), inner),
    max_leaves=3,
)


@pytest.mark.parametrize(
    ("hint", "values"),
    [
        (Any, st.none() | st.booleans() | int64 | st.floats(allow_nan=False) | utf8 | st.binary()),
        (bytes, st.binary()),
        (list[bytes], st.lists(st.binary())),
        (set[int], st.sets(int64)),
        (dict[int, str], st.dictionaries(int64, utf8)),
        (tuple[int, ...], st.lists(int64).map(tuple)),
        (Chunk, chunks),
        (Chunk | None, st.none() | chunks),
        (Point, st.builds(Point, st.floats(allow_nan=False), st.complex_numbers(allow_nan=False))),
        (Node, st.builds(Node, utf8, st.dictionaries(utf8, chunks, max_size=2))),
        (datetime.datetime, st.datetimes()),
        (datetime.datetime, st.datetimes(timezones=st.just(datetime.UTC))),
        (datetime.date, st.dates()),
        (datetime.timedelta, st.timedeltas(datetime.timedelta(-1000), datetime.timedelta(1000))),
        (decimal.Decimal, st.decimals(allow_nan=False)),
        (uuid.UUID, st.uuids()),
        (pathlib.Path, paths),
        (complex, st.complex_numbers(allow_nan=False)),
        (Opaque, st.builds(Opaque, st.sets(st.integers()))),
        (list[Opaque], st.lists(st.builds(Opaque, st.integers()))),
        (Any, st.lists(st.builds(Opaque, st.integers()) | paths)),
        (dict[str, Model], st.dictionaries(utf8, st.builds(Model, int64))),
        (Colour, st.just(Colour.RED)),
    ],
    ids=str,
)
def test_round_trip(hint: Any, values: st.SearchStrategy[Any]) -> None:
    @given(values)
    def check(value: Any) -> None:
        found = decode(encode(value), hint)
        assert found == value
        assert type(found) is type(value)

    check()


def test_pure_paths_keep_their_flavour() -> None:
    for path in (pathlib.PurePosixPath("a\\b"), pathlib.PureWindowsPath("C:\\a"), pathlib.Path("a")):
        assert decode(encode(path)) == path


def test_without_annotation_the_basic_form() -> None:
    assert decode(encode(Point(1.0, 2j))) == [1.0, 2j]
    assert decode(encode(Node("n", {}))) == {"name": "n", "chunks": {}}


@pytest.mark.parametrize("value", [object(), [object()], {"a": lambda: 1}, (_ for _ in range(1)), type])
def test_not_storable_is_named(value: object) -> None:
    with pytest.raises(MemoError, match=r"of type .* cannot be stored: .*@serialize_by_pickle"):
        encode(value)


def test_other_refusals() -> None:
    with pytest.raises(MemoError, match="64 bits"):
        encode([2**64])
    cycle: list[object] = []
    cycle.append(cycle)
    with pytest.raises(MemoError, match="contains itself"):
        encode(cycle)
    with pytest.raises(MemoError, match="tag=True"):
        decoder(Chunk | Node)
    with pytest.raises(MemoError, match="does not fit"):
        decode(encode("text"), int)
    with pytest.raises(MemoError, match="does not fit"):
        decode(encode([1])[:-1], list[int])
    with pytest.raises(MemoError, match="not a stored value"):
        decode(b"?", int)
    for register in (serialize_by_pickle, unpickle_safe):
        with pytest.raises(TypeError):
            register(1)  # type: ignore[type-var]


class Old:
    pass


def test_only_marked_classes_are_unpickled() -> None:
    # What an attacker, or a forgotten mark, may have left in the store.
    evil = type("Evil", (), {"__reduce__": lambda _: (subprocess.call, (["false"],))})()
    for stored in (pickle.dumps(evil), pickle.dumps(Old())):
        with pytest.raises(MemoError, match="may not be read"):
            decode(b"P" + stored)
    unpickle_safe(Old)
    assert isinstance(decode(b"P" + pickle.dumps(Old())), Old)
    with pytest.raises(MemoError, match="cannot be stored"):
        encode(Old())


def test_subclasses_of_marked_classes() -> None:
    assert isinstance(decode(encode(Special(1)), Special), Special)


class Special(Opaque):
    pass


# --- annotations ---


def annotated(a: int, b: tuple[int, str] | NonExistenceType) -> list[Chunk]:
    raise NotImplementedError


def unresolved() -> Missing:
    raise NotImplementedError


def test_annotations_are_resolved() -> None:
    assert return_type(annotated) == list[Chunk]
    assert parameter_type(annotated, 0) is int
    assert strip_non_existence(parameter_type(annotated, 1)) == tuple[int, str]
    assert parameter_type(annotated, 7) is Any
    assert return_type(lambda: 1) is Any
    with pytest.raises(MemoError, match=r"Missing.*cannot be resolved"):
        return_type(unresolved)


def test_names_that_a_function_captured_are_resolved() -> None:
    @dataclasses.dataclass
    class Local:
        x: int

    def make() -> Local:
        return Local(1)

    def nothing() -> None:
        return None

    assert return_type(make) is Local
    assert return_type(nothing) is type(None)


def test_methods_count_self() -> None:
    class Holder:
        def method(self, prev: int) -> str:
            raise NotImplementedError

    assert parameter_type(Holder.method, 1) is int
    assert return_type(Holder().method) is str


@pytest.mark.parametrize(
    ("hint", "stripped"),
    [
        (int | NonExistenceType, int),
        (Union[NonExistenceType, int, None], Optional[int]),  # noqa: UP007, UP045 - both notations
        (int, int),
        (NonExistenceType, Any),
        (Any, Any),
    ],
)
def test_strip_non_existence(hint: Any, stripped: Any) -> None:
    assert strip_non_existence(hint) == stripped


@pytest.mark.parametrize(
    ("hint", "element"),
    [
        (Collection[int], int),
        (Sequence[str], str),
        (list[Chunk], Chunk),
        (tuple[int, ...], int),
        (tuple[int, str], Any),
        (dict[int, str], Any),
        (int, Any),
        (list, Any),
        (Callable[[], int], Any),
    ],
)
def test_element_type(hint: Any, element: Any) -> None:
    assert element_type(hint) == element


def test_unhashable_annotations_have_decoders() -> None:
    assert decode(encode(1), Annotated[int, []]) == 1


def test_absence() -> None:
    assert is_non_existence(NON_EXISTENCE)
    assert not is_non_existence(None)
    assert not NON_EXISTENCE
    assert NonExistenceType() is NON_EXISTENCE
    assert pickle.loads(pickle.dumps(NON_EXISTENCE)) is NON_EXISTENCE
    assert repr(NON_EXISTENCE) == "NON_EXISTENCE"
