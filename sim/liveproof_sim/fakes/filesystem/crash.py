"""Power cuts: every state that may be on the platter, or one of them by choices.

A legal state is the platter with a set of pending operations applied, in order, such that with each operation
those that it needs are in the set. ``disk.py`` says what needs what. All such sets are enumerated, as ALICE
does (Pillai et al., OSDI 2014); sets that look the same from the root count once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from liveproof_sim.fakes.filesystem.disk import Disk, Image, Pending, Platter

__all__ = ["Draw", "choose", "legal_states"]

Draw = Callable[[str, int], int]
"""Asked with a label and a number of options; 0 is the ordinary one."""

ENUMERATED_MAX = 8
"""So many pending operations, and the choice is between all distinct states; beyond, it is made operation
by operation."""


def survivors(pending: list[Pending]) -> Iterator[tuple[Pending, ...]]:
    """Every set that is closed under needs, each once; that of all operations first."""
    kept: list[Pending] = []
    lost: dict[int, None] = {}

    def decide(position: int) -> Iterator[tuple[Pending, ...]]:
        if position == len(pending):
            yield tuple(kept)
            return
        each = pending[position]
        if not any(need in lost for need in each.needs):
            kept.append(each)
            yield from decide(position + 1)
            kept.pop()
        lost[each.number] = None
        yield from decide(position + 1)
        del lost[each.number]

    return decide(0)


def legal_states(disk: Disk) -> dict[Image, Platter]:
    """All states after a power cut now, the one that has lost nothing first. Exponential in the number of
    pending operations."""
    states: dict[Image, Platter] = {}
    for kept in survivors(disk.pending):
        platter = disk.platter.copy()
        for each in kept:
            platter.apply(each.operation)
        states.setdefault(platter.image(disk.root, disk.inodes), platter)
    return states


def choose(disk: Disk, draw: Draw) -> Platter:
    """One legal state; with only zeros drawn, the one that has lost nothing."""
    if len(disk.pending) <= ENUMERATED_MAX:
        states = list(legal_states(disk).values())
        return states[draw("what survives", len(states))]
    platter = disk.platter.copy()
    # First how: with a coin for each operation alone, "all" and "nothing" would never be seen.
    how = draw("how much survives", 4)
    if how == 0:
        survive = len(disk.pending)
    elif how == 1:
        survive = 0
    elif how == 2:
        survive = len(disk.pending) - 1 - draw("how much is lost", len(disk.pending))
    else:
        survive = -1
    lost: dict[int, None] = {}
    for position, each in enumerate(disk.pending):
        keep = not any(need in lost for need in each.needs) and (
            position < survive
            if survive >= 0
            else draw(f"lose {type(each.operation).__name__.lower()} {each.number}", 2) == 0
        )
        if keep:
            platter.apply(each.operation)
        else:
            lost[each.number] = None
    return platter
