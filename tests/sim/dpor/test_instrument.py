"""Instrumented code does what it did before, and what it touches is noted."""

from __future__ import annotations

import ast
import asyncio
import sys
from collections import Counter, OrderedDict, defaultdict, deque
from types import ModuleType
from typing import Any
from unittest import mock

import pytest

from liveproof_sim import OptionError, Status, check
from liveproof_sim.kernel import watching
from liveproof_sim.kernel.accesses import ADD, PART, READ, WRITE, Accesses, entered
from liveproof_sim.kernel.rewriting import HOOKS, rewrite

PROGRAM = """
import dataclasses

class Point:
    kinds = ["a", "b"]
    def __init__(self, x):
        self.x = x
        self.seen = []
    @property
    def double(self):
        return self.x * 2
    def __enter__(self):
        self.seen.append("in")
        return self
    def __exit__(self, *_):
        self.seen += ["out"]

@dataclasses.dataclass
class Pair:
    left: int = 1
    right: list = dataclasses.field(default_factory=list)

total = 0

def count(by):
    global total
    total += by
    return total

def closures():
    number = 0
    def more(*, by=1):
        nonlocal number
        number += by
        number, other = number + 1, number
        return other
    return [more(), more(by=5), number]

def containers():
    d = {"a": 1, **{"b": 2}}
    d["c"] = d.pop("a") + d.setdefault("e", 4)
    d["c"] += 1
    del d["b"]
    items = [*d.items(), *[(k, v) for k, v in d.items() if v > 1]]
    items[0:1] = [("z", 0)]
    items[-1], (first, *rest) = ("last", 9), items[:2]
    (walrus := len(items)) and items.append(walrus)
    odd = {n for n in range(5) if n % 2}
    return d, items, first, rest, sorted(odd), "z" in d, 3 not in odd, not items, items == list(items), f"{d!r:>40}"

def matching(value):
    match value:
        case {"kind": "point", "at": [x, y]}:
            return x + y
        case Pair(left=1, right=[]):
            return "pair"
        case str() | None if not value:
            return "empty"
        case _:
            return value

def generator(n):
    for i in range(n):
        got = yield i * 2
        if got:
            yield from [got, got]

def loops():
    p = Point(1)
    for p.x in (3, 4):
        pass
    while p.x:
        p.x -= 1
        if p.x == 2:
            continue
    else:
        p.seen.append("done")
    with Point(5) as q:
        q.x, p.y = q.double, Point.kinds[1]
    try:
        q.nothing
    except AttributeError as error:
        message = str(error)
    g = generator(3)
    values = [next(g), g.send("x"), *g]
    lam = lambda a, *b, k=2: (a, b, k)
    return p.x, p.seen, q.x, q.seen, p.y, message, values, lam(1, *[2, 3], **{"k": 4}), max([3, 1], key=lambda v: -v)

result = [count(2), count(3), closures(), containers(), loops(), Pair(), Pair().right,
          matching({"kind": "point", "at": [1, 2]}), matching(Pair()), matching(""), matching(7)]
"""


def run(tree: ast.Module, accesses: Accesses | None) -> Any:
    module = ModuleType("program")
    module.__dict__[HOOKS] = watching
    monkey = {**sys.modules, "program": module}
    with mock.patch.dict(sys.modules, monkey), entered(accesses):
        exec(compile(tree, "program.py", "exec"), module.__dict__)
    return module.__dict__["result"]


@pytest.mark.parametrize("noting", [False, True])
def test_the_program_does_what_it_did(noting: bool) -> None:
    accesses = Accesses() if noting else None
    plain = run(ast.parse(PROGRAM), None)
    assert repr(run(rewrite(ast.parse(PROGRAM), "program", counters=False), accesses)) == repr(plain)
    if accesses is not None:
        assert accesses.step[("global", "program", "total")] == READ | WRITE
        assert accesses.step[("variable", "program", "closures", "number")] == READ | WRITE


@pytest.mark.parametrize("make", [dict, OrderedDict, Counter, lambda: defaultdict(int)])
def test_items_of_a_mapping_are_their_own(make: Any) -> None:
    accesses = Accesses()
    with entered(accesses):
        table = watching.call(make) if isinstance(make, type) else watching.made(make())
        name = accesses.name(table)
        accesses.begin("0")
        watching.setitem(table, "a", 1)
        assert accesses.step == {(name, "[]", "a"): WRITE, name: ADD}
        accesses.begin("0")
        assert watching.item(table, "a") == 1
        assert watching.contains(table, "a")
        assert accesses.step == {(name, "[]", "a"): READ, name: PART}
        accesses.begin("0")
        assert watching.call(len, table) == 1
        assert accesses.step == {name: READ}
        accesses.begin("0")
        watching.invoke(table, "clear")
        assert accesses.step == {name: WRITE}


@pytest.mark.parametrize("make", [list, deque])
def test_items_of_a_sequence_move_when_one_goes(make: Any) -> None:
    accesses = Accesses()
    with entered(accesses):
        row = watching.call(make, "abc")
        name = accesses.name(row)
        accesses.begin("0")
        watching.setitem(row, -1, "z")
        assert accesses.step == {(name, "[]", 2): WRITE, name: ADD}
        accesses.begin("0")
        watching.delitem(row, 0)
        watching.invoke(row, "append", "y")
        assert accesses.step == {name: WRITE}


class Cell:
    value = 0


async def known() -> None:
    cell = Cell()

    async def add() -> None:
        cell.value += 1

    await asyncio.gather(add(), add())


exec("async def unknown(step):\n    step()\n")  # code that no file holds


async def calls_unknown() -> None:
    cells = [Cell(), Cell()]

    def step(at: int) -> None:
        cells[at].value += 1

    await asyncio.gather(*(globals()["unknown"](lambda at=at: step(at)) for at in range(2)))


def test_code_that_is_not_known_conflicts_with_everything_and_is_named() -> None:
    verdict = check(calls_unknown, strategy="dpor", timers="discrete")
    assert verdict.status is Status.PROVED
    assert verdict.executions == 2
    assert verdict.opaque
    assert "taken to conflict with everything" in str(verdict)
    assert not check(known, strategy="dpor", timers="discrete").opaque


def test_functions_have_their_own_code_again() -> None:
    code = known.__code__
    check(known, strategy="dpor", timers="discrete")
    assert known.__code__ is code


@pytest.mark.parametrize("name", ["no.such.module", "tabnanny"])
def test_what_can_not_be_instrumented_is_refused(name: str) -> None:
    with pytest.raises(OptionError, match=name):
        check(known, strategy="dpor", instrument=[name])


_CACHE: dict[str, list[list[int]]] = {}


@pytest.mark.parametrize("filled", ["by the first execution", "by who comes second", "each time", "never"])
def test_a_cache_that_executions_share_hides_no_order(filled: str) -> None:
    _CACHE.clear()
    seen: dict[tuple[Any, ...], None] = {}

    def fill(key: str) -> None:
        if filled == "each time":
            _CACHE.clear()
        if filled != "never" and key not in _CACHE:
            _CACHE[key] = [[] for _ in range(5)]

    async def scenario() -> None:
        if filled != "by who comes second":
            fill("at first")
        order: list[int] = []
        boxes: list[list[int]] = []

        async def one(number: int) -> None:
            await asyncio.sleep(0)
            if order and filled == "by who comes second":
                fill(f"{order} {number}")
            box = [number]
            order.append(number)
            boxes.append(box)
            await asyncio.sleep(0)
            for each in boxes:
                each.append(number)

        await asyncio.gather(one(1), one(2))
        seen[tuple(order), tuple(map(tuple, boxes))] = None

    verdict = check(scenario, strategy="dpor", timers="discrete", executions=None)
    found = dict(seen)
    seen.clear()
    every = check(scenario, strategy="dfs", timers="discrete", executions=None)
    assert verdict.status is every.status is Status.PROVED, (str(verdict), str(every))
    assert found == seen
