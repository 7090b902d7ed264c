"""Fingerprints are the same everywhere, and differ where values differ."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import functools
import os
import pathlib
import re
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveproof.connectorkits import fingerprint_bytes, fingerprint_object, fingerprint_str
from liveproof.core.absence import NON_EXISTENCE, NonExistenceType
from liveproof.core.fingerprint import (
    MemoStateOutcome,
    NotMemoKeyable,
    StateFn,
    fingerprint,
    fingerprint_call,
    register_memo_key_function,
    register_not_memo_keyable,
    unregister_memo_key_function,
)
from liveproof.errors import MemoError


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Bits(enum.Flag):
    A = 1
    B = 2


class Point(NamedTuple):
    x: int
    y: int


class Pair(msgspec.Struct):
    x: int
    y: int


@dataclasses.dataclass
class Data:
    x: int
    y: object


class Plain:
    def __init__(self, **attributes: object) -> None:
        vars(self).update(attributes)


class Slotted:
    __slots__ = ("x",)

    def __init__(self, x: object) -> None:
        self.x = x


class Tags(set[str]):
    pass


# Written so that two of them are equal only if they are one value.
DIFFERENT: list[Any] = [
    *(None, True, False, 0, 1, 1.0, "1", b"1", 1j, ..., -1, 10**5000, "", b"", float("inf"), float("nan")),
    *(
        (),
        [],
        {},
        set(),
        frozenset(),
        (1,),
        [1],
        {1},
        frozenset([1]),
        {1: 1},
        ((1,),),
        (1, 1),
        ([], 1),
        ([1],),
    ),
    *(bytearray(b"1"), memoryview(b"1"), range(1), slice(1), "s1;1", ("a", "b"), ("ab",), ("a", "b", ())),
    *(
        Colour.RED,
        Colour.BLUE,
        Bits.A,
        Bits.A | Bits.B,
        Point(1, 2),
        (1, 2),
        Pair(1, 2),
        Data(1, 2),
        Data(1, [2]),
    ),
    *(Plain(), Plain(x=1), Plain(x=2), Slotted(1), Slotted(2), Tags("a"), {"a"}, Plain, Point, len, print),
    *(
        uuid.UUID(int=1),
        decimal.Decimal(1),
        decimal.Decimal("1.0"),
        re.compile("a"),
        pathlib.PurePath("a"),
        "a",
    ),
    *(datetime.date(2020, 1, 1), datetime.datetime(2020, 1, 1), datetime.timedelta(1), datetime.time(1)),  # noqa: DTZ001
    datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC),
    *(collections.OrderedDict(a=1, b=2), collections.OrderedDict(b=2, a=1), collections.Counter("ab")),
    *(collections.deque([1]), {"a": {"b": 1}}, {"a": 1, "b": 2}, functools.partial(len, ()), [].append),
    *(lambda: 1, lambda: 2, lambda x: x, lambda x=1: x, NON_EXISTENCE, NonExistenceType),
]


def test_different_values_differ() -> None:
    seen: dict[bytes, Any] = {}
    for value in DIFFERENT:
        found = fingerprint(value)
        assert found not in seen, (value, seen[found])
        seen[found] = value
        assert len(found) == 16


def test_the_same_in_every_process(tmp_path: pathlib.Path) -> None:
    """Whatever the hash seed, and whatever number of processes."""
    program = tmp_path / "show.py"
    program.write_text(
        "import sys; sys.path[:0] = sys.argv[1:]\n"
        "import collections, test_fingerprint as t\n"
        "print([t.fingerprint(v).hex() for v in t.DIFFERENT])\n"
        "print(t.fingerprint({'a', 'b', 'c', 'd', frozenset('xyz')}).hex())\n"
        "print(t.fingerprint(t.Tags('abcdef')).hex())\n"
        "print(t.fingerprint(collections.Counter('hello')).hex())\n"
    )
    here = pathlib.Path(__file__)
    roots = [str(here.parent), str(here.parents[2] / "runtime")]
    outputs = [
        subprocess.run(
            [sys.executable, str(program), *roots],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "77")
    ]
    assert outputs[0]
    assert len(dict.fromkeys(outputs)) == 1


def test_a_form_is_pinned() -> None:
    """A change of the form makes every memo run again: not by accident."""
    assert fingerprint((1, "a", b"b", [None, True, 1.5], {"k": {2, 3}})).hex() == PINNED


PINNED = "4ff41ead5d4fdf807508afbd9d074555"

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.binary(), st.uuids()
)
hashables = st.recursive(
    scalars,
    lambda inner: st.tuples(inner, inner) | st.lists(inner).map(tuple) | st.frozensets(inner),
    max_leaves=6,
)
values = st.recursive(
    hashables,
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner)
        | st.dictionaries(hashables, inner)
        | st.builds(Data, st.integers(), inner)
    ),
    max_leaves=12,
)


def exact(value: Any) -> Any:
    """A value in which equality is strict: 1, True and 1.0 differ, and so do 0.0 and -0.0."""
    if isinstance(value, Data):
        return ("Data", exact(value.x), exact(value.y))
    if isinstance(value, dict):
        return ("dict", frozenset((exact(k), exact(v)) for k, v in value.items()))
    if isinstance(value, (list, tuple)):
        return (type(value).__name__, tuple(map(exact, value)))
    if isinstance(value, frozenset):
        return ("frozenset", frozenset(map(exact, value)))
    return (type(value).__name__, repr(value))


@given(values, values)
def test_injective(one: Any, other: Any) -> None:
    assert (fingerprint(one) == fingerprint(other)) == (exact(one) == exact(other))


@given(st.lists(st.tuples(hashables, hashables), max_size=6))
def test_order_of_dicts_and_sets_does_not_count(items: list[tuple[Any, Any]]) -> None:
    table = dict(items)
    assert fingerprint(table) == fingerprint(dict(reversed(table.items())))
    assert fingerprint(set(table)) == fingerprint(dict.fromkeys(reversed(table)).keys() | set())
    kwargs = {str(n): v for n, (_, v) in enumerate(items)}
    assert fingerprint_call("f", (), kwargs, []) == fingerprint_call(
        "f", (), dict(reversed(kwargs.items())), []
    )


@given(st.lists(values, max_size=3), st.lists(values, max_size=3), st.text(max_size=3))
def test_calls_are_injective(one: list[Any], other: list[Any], name: str) -> None:
    assert (fingerprint_call("f", one, {}, []) == fingerprint_call("f", other, {}, [])) == (
        list(map(exact, one)) == list(map(exact, other))
    )
    assert fingerprint_call("f", [*one, 1], {}, []) != fingerprint_call("f", one, {name: 1}, [])


def test_call_and_arguments_do_not_mix() -> None:
    forms = [
        fingerprint_call("f", ((1,), {"a": 2}), {}, []),
        fingerprint_call("f", (1,), {"a": 2}, []),
        fingerprint_call("f", (1, "a", 2), {}, []),
        fingerprint_call("g", (1,), {"a": 2}, []),
    ]
    assert len(dict.fromkeys(forms)) == 4


# --- keys ---


class Keyed:
    def __init__(self, key: object, noise: object = None) -> None:
        self.key = key
        self.noise = noise

    def __coco_memo_key__(self) -> object:
        return self.key


def test_memo_key_method() -> None:
    assert fingerprint(Keyed(1, "a")) == fingerprint(Keyed(1, "b")) != fingerprint(Keyed(2))
    assert fingerprint(Keyed((1,))) != fingerprint((1,))
    assert fingerprint(Keyed) != fingerprint(Keyed(1))


@pytest.fixture
def register() -> Iterator[Callable[..., None]]:
    done: list[type] = []

    def do(typ: type, *args: Any, **kwargs: Any) -> None:
        register_memo_key_function(typ, *args, **kwargs)
        done.append(typ)

    yield do
    for typ in done:
        unregister_memo_key_function(typ)


class Base:
    def __init__(self, x: int) -> None:
        self.x = x


class Derived(Base):
    pass


def test_registered_keys_follow_the_mro(register: Callable[..., None]) -> None:
    before = fingerprint(Derived(1))
    register(Base, lambda obj: "same")
    assert fingerprint(Derived(1)) == fingerprint(Derived(2)) != before
    register(Derived, lambda obj: obj.x)
    assert fingerprint(Derived(1)) != fingerprint(Derived(2))
    assert fingerprint(Base(1)) == fingerprint(Base(2))
    unregister_memo_key_function(Base)
    unregister_memo_key_function(Derived)
    assert fingerprint(Derived(1)) == before


def test_registered_keys_concern_builtin_types_too(register: Callable[..., None]) -> None:
    register(str, str.lower)
    with pytest.raises(MemoError):
        fingerprint("A")  # The key is a str again: that never ends.
    register(str, lambda text: (len(text),))
    assert fingerprint("A") == fingerprint("B")


def test_refusals() -> None:
    class Counter(NotMemoKeyable):
        pass

    register_not_memo_keyable(re.Pattern)
    try:
        for value in (Counter(), [Counter()], re.compile("a")):
            with pytest.raises(MemoError, match="must not be a memo key"):
                fingerprint(value)
    finally:
        unregister_memo_key_function(re.Pattern)
    fingerprint(re.compile("a"))


def test_what_has_no_fingerprint_is_named() -> None:
    with pytest.raises(MemoError, match=r"generator has no stable.*__coco_memo_key__"):
        fingerprint(_ for _ in range(1))
    with (pathlib.Path(os.devnull)).open() as file, pytest.raises(MemoError, match="TextIOWrapper"):
        fingerprint(Plain(file=file))


@pytest.mark.parametrize(
    "make", [lambda x: [x], lambda x: {1: x}, lambda x: Plain(x=x), lambda x: Data(1, x)]
)
def test_cycles_are_memo_errors(make: Callable[[object], Any]) -> None:
    inner: list[object] = []
    value = make(inner)
    inner.append(value)
    with pytest.raises(MemoError, match="contains itself"):
        fingerprint(value)
    with pytest.raises(MemoError, match="contains itself"):
        fingerprint_call("f", (1, value), {}, [])


def test_local_functions_are_told_apart_by_what_they_capture() -> None:
    def make(captured: object) -> Callable[[], object]:
        return lambda: captured

    assert fingerprint(make(1)) == fingerprint(make(1)) != fingerprint(make(2))
    assert fingerprint(make(make(1))) != fingerprint(make(make(2)))

    def recursive(n: int) -> int:
        return recursive(n - 1) if n else 0

    assert len(fingerprint(recursive)) == 16


class Model:
    """What pydantic's models look like from outside."""

    __pydantic_fields__ = {"x": None}  # noqa: RUF012

    def __init__(self, x: object, extra: object = None) -> None:
        self.x = x
        self.__pydantic_extra__ = extra


def test_models_by_their_fields() -> None:
    assert fingerprint(Model(1)) == fingerprint(Model(1)) != fingerprint(Model(2))
    assert fingerprint(Model(1, {"y": 1})) != fingerprint(Model(1))


def test_main_is_named_as_if_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    main = type(sys)("__main__")
    main.__file__ = "/somewhere/pipeline.py"
    main.__spec__ = None
    monkeypatch.setitem(sys.modules, "__main__", main)
    one = type("C", (), {"__module__": "__main__", "__qualname__": "C"})
    other = type("C", (), {"__module__": "pipeline", "__qualname__": "C"})
    assert fingerprint(one) == fingerprint(other)
    assert fingerprint(one()) == fingerprint(other())


# --- memo states ---


class Stateful(Keyed):
    def __coco_memo_state__(self, prev_state: tuple[int, str] | NonExistenceType) -> MemoStateOutcome:
        return MemoStateOutcome((self.key, prev_state))


def test_states_are_collected() -> None:
    states: list[StateFn] = []
    fingerprint_call("f", (1, [Stateful("a")]), {"k": Stateful("b")}, states)
    assert [s.decode_type for s in states] == [tuple[int, str]] * 2
    assert [s.call(NON_EXISTENCE) for s in states] == [
        MemoStateOutcome(("a", NON_EXISTENCE)),
        MemoStateOutcome(("b", NON_EXISTENCE)),
    ]
    assert MemoStateOutcome(1).memo_valid is False


def test_order_of_states_is_that_of_the_values() -> None:
    things = [Stateful(text) for text in "abcdefgh"]
    orders = []
    for pile in (things, things[::-1]):
        states: list[StateFn] = []
        fingerprint_call("f", (frozenset(pile), {t: t.key for t in pile}), {}, states)
        orders.append([s.call(None).state[0] for s in states])  # type: ignore[union-attr]
    assert orders[0] == orders[1]
    assert len(orders[0]) == 16


def test_registered_state_functions(register: Callable[..., None]) -> None:
    def state(obj: Base, prev_state: int | NonExistenceType) -> MemoStateOutcome:
        return MemoStateOutcome(obj.x, memo_valid=prev_state == obj.x)

    register(Base, lambda obj: "base", state_fn=state)
    states: list[StateFn] = []
    fingerprint_call("f", (Derived(3),), {}, states)
    assert states[0].decode_type is int
    assert states[0].call(3) == MemoStateOutcome(3, memo_valid=True)


def test_for_connectors() -> None:
    assert fingerprint_str("ä") == fingerprint_bytes("ä".encode()) != fingerprint_bytes(b"a")
    assert fingerprint_object(["a"]) == fingerprint(["a"])
