"""Random trees of components, run again and again as they change.

A tree is a dictionary from path to node. A node may be plain, live or a ``mount_each`` on a view, and its
children may be at more than one key below it, so that one component's path can begin with another's which is
not its parent.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Literal

import liveproof as coco
from tests.contract.oracle import Keys, Tree
from tests.contract.world import Chance, at, declare

How = Literal["plain", "live", "each", "view"]


@dataclass
class Node:
    """One component and what is below it."""

    how: How = "plain"
    cells: dict[str, int] = field(default_factory=dict)
    children: dict[Keys, Node] = field(default_factory=dict)


def draw_tree(chance: Chance, depth: int, names: list[str], *, how: How = "plain") -> Node:
    """A tree that declares each of ``names`` somewhere, or not at all."""
    node = Node(how)
    mapped = how in ("each", "view")
    if not mapped:  # The map itself declares nothing.
        while names and chance.chance(40):
            node.cells[names.pop(chance.below(len(names)))] = chance.below(3)
    if depth > 0:
        subs: list[Keys] = [("a",), ("b",), ("c",)]
        if not mapped:
            subs = [("a",), ("b",), ("a", "b"), ("a", "b", "c"), ("b", "a")]
        for sub in subs:
            if chance.chance(45):
                below: How = "plain" if mapped else chance.pick(["plain", "plain", "live", "each", "view"])
                node.children[sub] = draw_tree(chance, depth - 1, names, how=below)
    return node


def flat(root: Node) -> Tree | None:
    """All components, as the oracle wants them; ``None`` if two have the same path."""
    tree: dict[Keys, tuple[int, dict[str, object]]] = {}
    count = 0

    def add(path: Keys, owner: int, node: Node) -> None:
        nonlocal count
        depth = len(path)
        if node.how == "each":
            depth = owner  # No component of its own: the parent mounts the items.
        else:
            count += 1
            tree[path] = (owner, dict(node.cells))
        for sub, child in node.children.items():
            add((*path, *sub), depth, child)

    add((), 0, root)
    return tree if len(tree) == count else None


class _View:
    """A view of a dictionary that does not change while it is watched."""

    def __init__(self, entries: dict[str, Node]) -> None:
        self._entries = entries

    async def __aiter__(self) -> AsyncIterator[tuple[str, Node]]:
        for entry in self._entries.items():
            yield entry

    async def watch(self, subscriber: Any) -> None:
        await subscriber.update_all()
        await subscriber.mark_ready()


class Grower:
    """Runs a tree."""

    def __init__(self, chance: Chance, root: Node) -> None:
        self.chance = chance
        self.root = root

    async def main(self) -> None:
        await self._body(self.root)

    async def _body(self, node: Node) -> None:
        await self.chance.ticks(2)
        names = list(node.cells)
        half = self.chance.below(len(names) + 1)
        for name in names[:half]:
            declare(name, node.cells[name])
        order = list(node.children.items())
        self.chance.rng.shuffle(order)
        for sub, child in order:
            await self._mount(sub, child)
            await self.chance.ticks(2)
        for name in names[half:]:
            declare(name, node.cells[name])

    async def _mount(self, sub: Keys, node: Node) -> None:
        if node.how == "plain":
            await coco.mount(at(*sub), self._body, node)
        elif node.how == "live":
            await coco.mount(at(*sub), self._live(node))
        else:
            entries = {keys[0]: child for keys, child in node.children.items()}
            if node.how == "view":
                await coco.mount_each(at(*sub), self._item, _View(entries))
            else:
                await coco.mount_each(at(*sub), self._item, entries.items())

    async def _item(self, node: Node) -> None:
        await self._body(node)

    def _live(self, node: Node) -> type[Any]:
        grower = self

        class Live:
            async def process(self) -> None:
                await grower._body(node)

            async def process_live(self, operator: coco.LiveComponentOperator) -> None:
                await operator.update_full()
                await operator.mark_ready()

        return Live
