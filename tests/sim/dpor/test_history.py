"""Which executions are the same up to what commutes: names of relations against swaps of neighbours."""

from __future__ import annotations

import itertools
import random

import pytest

from liveproof_sim.explore.history import Event, History
from liveproof_sim.kernel.accesses import ADD, PART, READ, WORLD, WRITE, Footprint, conflict, modes_conflict

Step = tuple[str, Footprint]
MODES = (READ, ADD, WRITE, PART)


def history_of(steps: list[Step]) -> History:
    history = History()
    for process, footprint in steps:
        event = Event(process, (), (), footprint, [], 0)
        history.relate(event)
        history.append(event)
    return history


def interleavings(programs: list[list[Step]]) -> list[list[Step]]:
    """All of them, by choosing places."""
    order = [n for n, program in enumerate(programs) for _ in program]
    found = []
    for picked in dict.fromkeys(itertools.permutations(order)):
        positions = [0] * len(programs)
        steps = []
        for n in picked:
            steps.append(programs[n][positions[n]])
            positions[n] += 1
        found.append(steps)
    return found


def classes_by_swaps(every: list[list[Step]]) -> int:
    """How many there are if neighbours that do not conflict may be swapped: by union and find."""
    key = {str(steps): n for n, steps in enumerate(every)}
    parent = list(range(len(every)))

    def root(n: int) -> int:
        while parent[n] != n:
            n = parent[n]
        return n

    for n, steps in enumerate(every):
        for at in range(len(steps) - 1):
            one, other = steps[at], steps[at + 1]
            if one[0] != other[0] and not conflict(one[1], other[1]):
                swapped = [*steps[:at], other, one, *steps[at + 2 :]]
                parent[root(n)] = root(key[str(swapped)])
    return len({root(n) for n in range(len(every))})


@pytest.mark.parametrize("seed", range(60))
def test_digests_are_equal_just_for_what_swaps_lead_to(seed: int) -> None:
    chance = random.Random(seed)
    modes = [READ, READ, WRITE, ADD, PART]

    def step(process: str, number: int) -> Step:
        resources = chance.sample(["x", "y", "z"], chance.randrange(3))
        footprint: Footprint = {each: chance.choice(modes) for each in resources}
        if chance.random() < 0.1:
            footprint[WORLD] = WRITE
        return process, {("mark", process, number): READ, **footprint} if footprint else {}

    programs = [[step(name, n) for n in range(chance.randrange(1, 3))] for name in "abc"]
    every = interleavings(programs)
    digests = {history_of(steps).digest() for steps in every}
    assert len(digests) == classes_by_swaps(every)


def test_foata_levels() -> None:
    x: Footprint = {"x": WRITE}
    history = history_of([("a", x), ("b", {"y": WRITE}), ("b", x), ("c", {})])
    assert history.foata() == [[("a", ()), ("b", ()), ("c", ())], [("b", ())]]
    assert history.events[2].races == [0]


def test_modes() -> None:
    pairs = {
        (one, other)
        for one, other in itertools.product((READ, ADD, WRITE, PART), repeat=2)
        if modes_conflict(one, other)
    }
    assert pairs == {
        *((WRITE, each) for each in (READ, ADD, WRITE, PART)),
        *((each, WRITE) for each in (READ, ADD, WRITE, PART)),
        (READ, ADD),
        (ADD, READ),
    }


def test_what_is_given_orders_without_a_race() -> None:
    history = history_of([("a", {"taken": WRITE}), ("a", {"given": WRITE})])
    event = Event("b", (), (), {"taken": WRITE}, [("taken", "given")], 0)
    history.relate(event)
    assert event.races == [0]
    assert event.before == 0b11


@pytest.mark.parametrize("seed", range(60))
def test_a_history_cut_short_goes_on_as_if_the_rest_had_not_been(seed: int) -> None:
    chance = random.Random(seed)
    resources = ["a", "b", "c", WORLD]

    def steps(number: int) -> list[Step]:
        return [
            (chance.choice("PQR"), {each: chance.choice(MODES) for each in resources[: chance.randrange(5)]})
            for _ in range(number)
        ]

    first, lost, then = steps(chance.randrange(6)), steps(chance.randrange(6)), steps(6)
    cut, plain = history_of([*first, *lost]), history_of(first)
    cut.truncate(len(first))
    for process, footprint in then:
        for history in (cut, plain):
            event = Event(process, (), (), footprint, [], 0)
            history.relate(event)
            history.append(event)
    assert cut.events == plain.events
    assert cut.digest() == plain.digest()
    assert sorted(cut.written_again(0)) == sorted(plain.written_again(0))
    later = dict.fromkeys([*plain.written_again(len(first)), *history_of(first).written_again(0)])
    assert sorted(later) == sorted(plain.written_again(0))
