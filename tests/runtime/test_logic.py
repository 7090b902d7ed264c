"""What counts as the logic of a function, and how long it lives."""

from __future__ import annotations

import functools
import gc
import linecache
import pathlib
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from liveproof.core.context import enter, leave
from liveproof.core.decorator import fn
from liveproof.core.function import Function
from liveproof.core.logic import is_live, logic_fingerprint, logic_of_callable
from tests.runtime.function_site import LOG, Site, context_at


@pytest.fixture(autouse=True)
def _clear_log() -> None:
    LOG.clear()


@pytest.fixture
def site() -> Iterator[Site]:
    """A component is running."""
    site = Site()
    token = enter(context_at(site))
    yield site
    leave(token)


# --- logic ---


def load(text: str, file: pathlib.Path | None = None, into: dict[str, Any] | None = None) -> dict[str, Any]:
    """Run a module's text, with or without a file that holds it."""
    scope = {"__name__": "pipeline", "fn": fn, "LOG": LOG} if into is None else into
    name = "<no source>"
    if file is not None:
        file.write_text(text)
        name = str(file)
        linecache.checkcache(name)
    exec(compile(textwrap.dedent(text), name, "exec", dont_inherit=True), scope)
    return scope


@pytest.fixture(params=["source", "bytecode"])
def file(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> pathlib.Path | None:
    return tmp_path / "pipeline.py" if request.param == "source" else None


BEFORE = """
def f(x, y=1):
    return x + y
"""


@pytest.mark.parametrize(
    "text",
    [
        '\n# New.\n\ndef f(x,\n      y = 1):\n    "What it does."\n\n    return (x + y)  # The sum.\n',
        '@fn\ndef f(x, y=1):\n    """Other."""\n    return x + y\nf = f.__wrapped__\n',
        "def g(): pass\n\ndef f(x, y=1): return x + y\n",
    ],
)
def test_layout_is_not_logic(text: str, file: pathlib.Path | None) -> None:
    before = logic_fingerprint(load(BEFORE, file)["f"])
    assert logic_fingerprint(load(text, file)["f"]) == before


@pytest.mark.parametrize(
    "text",
    [
        "def f(x, y=1):\n    return x - y",
        "def f(x, y=2):\n    return x + y",
        "def f(x, y=1):\n    return x + y + 0",
        "def f(x, y=1):\n    return x + z",
        "def f(x, y=1, *z):\n    return x + y",
        "async def f(x, y=1):\n    return x + y",
        "def f(x, y=1):\n    def g():\n        return 1\n    return x + y",
        "def g(x, y=1):\n    return x + y\nf = g",
    ],
)
def test_code_is_logic(text: str, file: pathlib.Path | None) -> None:
    before = logic_fingerprint(load(BEFORE, file)["f"])
    assert logic_fingerprint(load(text, file)["f"]) != before


def test_source_that_is_not_what_runs_is_not_believed(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "pipeline.py"
    runs = load("def f():\n    return 1\n", file)["f"]
    file.write_text("def f():\n    return 22\n")  # Edited after it was imported.
    edited = logic_fingerprint(runs)
    other = load("def f():\n    return 22\n", file)["f"]
    assert edited != logic_fingerprint(other)
    file.write_text("def f(:\n")
    assert logic_fingerprint(load("def f(): return 1\n", None)["f"]) == edited


def test_captured_data_and_functions_are_logic() -> None:
    def make(data: object, inner: Callable[[], object]) -> Callable[[], object]:
        def made() -> object:
            return data, inner()

        return made

    def one() -> int:
        return 1

    def two() -> int:
        return 2

    def same() -> None:
        same()

    made = (make(1, one), make(2, one), make(True, one), make(1, two), make((), same))
    logics = [logic_fingerprint(f) for f in made]
    assert len(dict.fromkeys(logics)) == 5
    assert logic_fingerprint(make([1], one)) == logic_fingerprint(make([2], one))  # May change: no logic.


def test_variables_that_a_function_assigns_are_state() -> None:
    def make() -> Callable[[], int]:
        count = 0

        def counter() -> int:
            nonlocal count
            count += 1
            return count

        return counter

    counter = make()
    before = logic_fingerprint(counter)
    counter()
    assert logic_fingerprint(counter) == before


def test_decorators_of_others_do_not_hide_the_code() -> None:
    def twice(f: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(f)
        def wrapper(*args: Any) -> Any:
            return f(*args), f(*args)

        return wrapper

    scope = {"__name__": "p", "twice": twice}
    one = load("@twice\ndef f(): return 1", into=dict(scope))["f"]
    two = load("@twice\ndef f(): return 2", into=dict(scope))["f"]
    assert logic_fingerprint(one) != logic_fingerprint(two)


def test_version_stands_for_the_code_and_deps_count() -> None:
    def make(text: str, **options: Any) -> bytes:
        logic: bytes = fn(**options)(load(text)["f"]).logic
        return logic

    one, two = "def f(): return 1", "def f(): return 2"
    assert make(one) != make(two)
    assert make(one, version=1) == make(two, version=1) != make(two, version=2)
    assert make(one, deps="a") == make(one, deps="a") != make(one, deps="b")
    assert make(one, deps={"a": 1, "b": 2}) == make(one, deps={"b": 2, "a": 1})
    assert make(one, version=1, deps="a") != make(one, version=1, deps="b")


PIPELINE = """
@fn
def helper(x):
    return x + {number}

@fn(memo=True)
def work(x: int) -> int:
    LOG.append(x)
    return helper(x)
"""


def test_a_changed_helper_invalidates_its_callers(site: Site, file: pathlib.Path | None) -> None:
    module = load(PIPELINE.format(number=1), file)
    assert module["work"](1) == module["work"](1) == 2
    load("# A remark.\n" + PIPELINE.format(number=1), file, module)
    assert module["work"](1) == 2
    assert LOG == [1]
    load(PIPELINE.format(number=10), file, module)
    assert module["work"](1) == 11
    assert LOG == [1, 1]
    load(PIPELINE.format(number=1), file, module)
    assert module["work"](1) == 2
    assert LOG == [1, 1, 1]


def test_logic_lives_as_long_as_its_function() -> None:
    def make() -> Function[[], int]:
        @fn
        def local() -> int:
            return 4711

        return local

    one, two = make(), make()
    logic = one.logic
    assert logic == two.logic
    del one
    assert is_live(logic)
    del two
    gc.collect()
    assert not is_live(logic)
    three = make()  # Nobody has asked for its logic yet.
    assert is_live(logic)
    del three


def test_logic_of_any_callable() -> None:
    class Component:
        def process(self) -> int:
            return 1

        @fn
        def method(self) -> int:
            return 3

        def __call__(self) -> int:
            return 2

    def plain() -> int:
        return 4

    found = logic_of_callable(Component.process)
    assert logic_of_callable(Component().process) == found
    assert logic_of_callable(functools.partial(Component.process, Component())) == found
    assert logic_of_callable(Component()) == logic_of_callable(Component) != found
    assert logic_of_callable(Component.method) == Component.method.logic
    assert logic_of_callable(Component().method) == Component.method.logic
    assert logic_of_callable(functools.lru_cache(plain)) == logic_of_callable(plain)
    assert logic_of_callable(len) != logic_of_callable(print)
    assert is_live(found)


def test_logic_of_a_class_is_that_of_its_methods() -> None:
    text = "class C:\n limit = {}\n def process(self): return {}\n @property\n def p(self): return {}\n"
    logics = [
        logic_fingerprint(load(text.format(*numbers))["C"])
        for numbers in ((1, 1, 1), (2, 1, 1), (1, 2, 1), (1, 1, 2))
    ]
    assert len(dict.fromkeys(logics)) == 4
