"""Targets inside targets, targets that fail at any point, and what is left of an app in its store.

The physics of the tree: a node is a folder or a leaf, named by its path. Nothing can be put into a folder
that is not there. A folder that goes takes along what is inside; one that is rebuilt (``"destructive"``)
loses what is inside; one that is altered (``"lossy"``) spoils the leaves inside. Every action is logged in
order, and every sink call with its actions.
"""

from __future__ import annotations

import contextlib
import dataclasses
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias, cast

import liveproof as coco
from tests.contract.oracle import read_key
from tests.contract.world import WORLD, Action, Chance, World, at

Place: TypeAlias = tuple[str, ...]
Style: TypeAlias = Literal["definition", "factory", "method"]
"""Who makes the handler of what is inside: the sink's result, the sink's factory, or the outer handler."""

STYLES: tuple[Style, ...] = ("definition", "factory", "method")

SPOILED = "?"


class Folder(NamedTuple):
    """A folder that is wanted."""

    schema: str = "1"
    change: Literal["destructive", "lossy"] | None = None
    """What a change of the schema does to what is inside."""


class Act(NamedTuple):
    """One change of the tree. ``text`` is ``None`` for a removal."""

    place: Place
    text: str | None
    change: Literal["destructive", "lossy"] | None = None


class Forest(World):
    """A world with trees in it."""

    def __init__(self) -> None:
        super().__init__()
        self.nodes: dict[Place, str] = {}
        """What is there: folders with ``"F:" + schema``, leaves with ``"L:" + text``."""
        self.acts: list[tuple[Place, str | None]] = []
        self.batches: list[list[Act]] = []
        self.refused: dict[Place, int] = {}
        """Place → how many more times its change fails."""
        self.crash: tuple[Path, Path] | None = None
        """Store, and where to keep what a crash in the middle of the next sink call leaves of it."""
        self.crash_after = 0
        """How many actions of that call are still carried out."""
        self.left: dict[Place, str] = {}
        """What the crash leaves of the trees."""

    def change(self, actions: Sequence[Act]) -> None:
        self.batches.append(list(actions))
        if self.crash is not None:
            copy_store(*self.crash)
            self.crash = None
            self._crash(actions[: self.crash_after])
        for place, text, change in actions:
            left = self.refused.get(place, 0)
            if left:
                self.refused[place] = left - 1
                raise OSError(f"the forest refuses {place}")
            self._change_one(place, text, change)

    def _crash(self, actions: Sequence[Act]) -> None:
        whole = Forest()
        whole.nodes = dict(self.nodes)
        with contextlib.suppress(OSError):
            whole.change(actions)
        self.left = whole.nodes

    def _change_one(
        self, place: Place, text: str | None, change: Literal["destructive", "lossy"] | None
    ) -> None:
        self.acts.append((place, text))
        inside = [other for other in self.nodes if other[: len(place)] == place and other != place]
        if text is None:
            for gone in [*inside, place]:
                self.nodes.pop(gone, None)
            return
        if len(place) > 2 and place[-2][0] != "@" and place[:-1] not in self.nodes:
            raise FileNotFoundError(f"no folder for {place}")
        if change == "destructive":
            for gone in inside:
                del self.nodes[gone]
        elif change == "lossy":
            for spoiled in inside:
                if self.nodes[spoiled][0] == "L":
                    self.nodes[spoiled] = SPOILED
        self.nodes[place] = text

    def texts(self) -> dict[str, str]:
        """The tree, without what the paths begin with."""
        return {"/".join(place[1:]): text for place, text in sorted(self.nodes.items())}

    def order(self) -> list[str]:
        """What was done, in order: ``+`` and ``-`` with the path."""
        return [("-" if text is None else "+") + "/".join(place[1:]) for place, text in self.acts]

    def fresh(self) -> None:
        super().fresh()
        self.acts.clear()
        self.batches.clear()


def forest() -> Forest:
    """The forest of the running component."""
    return cast("Forest", coco.use_context(WORLD))


def _change(context: coco.ContextProvider, actions: Sequence[Act]) -> None:
    cast("Forest", context.get(WORLD)).change(actions)


async def _change_leaves(context: coco.ContextProvider, actions: Sequence[Act]) -> None:
    _change(context, actions)


def _define(
    context: coco.ContextProvider, actions: Sequence[Act]
) -> list[coco.ChildTargetDef[Any] | None]:
    _change(context, actions)
    return [
        None if act.text is None or act.text[0] == "L" else coco.ChildTargetDef(Nodes("definition", act.place))
        for act in actions
    ]


async def _build(context: coco.ContextProvider, actions: Sequence[Act]) -> None:
    _change(context, actions)


def _handler_for(_context: coco.ContextProvider, act: Act) -> Nodes:
    return Nodes("factory", act.place)


_LEAVES: coco.TargetActionSink[Act, Any] = coco.TargetActionSink.from_async_fn(_change_leaves)
_FOLDERS: dict[Style, coco.TargetActionSink[Act, Any]] = {
    "definition": coco.TargetActionSink.from_fn(_define),
    "factory": coco.TargetActionSink.from_async_fn(_build, child_handler=_handler_for),
    "method": _LEAVES,
}


class Nodes:
    """Handler of what is inside one folder (or of a root): folders and leaves."""

    def __init__(self, style: Style, place: Place) -> None:
        self.style = style
        self.place = place

    def reconcile(
        self,
        key: coco.StableKey,
        desired_target_state: str | Folder | coco.NonExistenceType,
        prev_possible_records: Collection[str],
        prev_may_be_missing: bool,
        /,
    ) -> coco.TargetReconcileOutput[Act, str, Any] | None:
        assert isinstance(key, str), "nodes have names"
        place = (*self.place, key)
        wanted = desired_target_state
        if coco.is_non_existence(wanted):
            was_folder = any(record[0] == "F" for record in prev_possible_records)
            sink = _FOLDERS[self.style] if was_folder else _LEAVES
            return coco.TargetReconcileOutput(Act(place, None), sink, coco.NON_EXISTENCE)
        if isinstance(wanted, Folder):
            text = f"F:{wanted.schema}"
            same = not prev_may_be_missing and all(record == text for record in prev_possible_records)
            if same and self.style == "method":
                return None
            changed = any(record != text for record in prev_possible_records)
            change = wanted.change if changed else None
            return coco.TargetReconcileOutput(Act(place, text, change), _FOLDERS[self.style], text, change)
        text = f"L:{wanted}"
        if not prev_may_be_missing and all(record == text for record in prev_possible_records):
            return None
        return coco.TargetReconcileOutput(Act(place, text), _LEAVES, text)

    def attachments(self) -> dict[str, Any]:
        return {"index": Nodes(self.style, (*self.place, "@index"))}


class NodesWithMethod(Nodes):
    """As above; it makes the handlers of the insides itself, from their keys alone."""

    def child_handler(self, _context: coco.ContextProvider, key: coco.StableKey) -> NodesWithMethod:
        assert isinstance(key, str), "nodes have names"
        return NodesWithMethod(self.style, (*self.place, key))

    def attachments(self) -> dict[str, Any]:
        return {"index": NodesWithMethod(self.style, (*self.place, "@index"))}


def _root(style: Style) -> Nodes:
    kind = NodesWithMethod if style == "method" else Nodes
    return kind(style, (style,))


ROOTS: dict[Style, coco.TargetStateProvider[Any, Any]] = {
    style: coco.register_root_target_states_provider(f"tests.contract/{style}", _root(style))
    for style in STYLES
}

Inside: TypeAlias = coco.TargetStateProvider[Any, Any]


def leaf(inside: Inside, key: str, text: object) -> None:
    """Want a leaf."""
    coco.declare_target_state(inside.target_state(key, str(text)))


def folder(inside: Inside, key: str, wanted: Folder | None = None) -> Inside:
    """Want a folder; what is inside may be declared by this component at once."""
    return coco.declare_target_state_with_child(inside.target_state(key, wanted or Folder()))


async def mounted_folder(inside: Inside, key: str, wanted: Folder | None = None) -> Inside:
    """Want a folder, and wait until it is there."""
    return await coco.mount_target(inside.target_state(key, wanted or Folder()))


# Random programs ----------------------------------------------------------------------------------------


@dataclasses.dataclass
class Plan:
    """A node that a random program wants."""

    text: str
    folder: Folder | None = None
    pending: bool = False
    """Whether it is declared together with all that is inside, and not mounted."""
    owner: str = ""
    """Of which component it is, or what is inside; empty: of the one that has the folder around it."""
    memo: bool = False
    inside: dict[str, Plan] = dataclasses.field(default_factory=dict)
    index: dict[str, Plan] = dataclasses.field(default_factory=dict)


def draw_plans(chance: Chance, depth: int = 0, *, pending: bool = False) -> dict[str, Plan]:
    """What a random program wants, by name."""
    plans: dict[str, Plan] = {}
    for name in "abc" if depth == 0 else "ab":
        if chance.chance(35):
            continue
        if depth < 3 and chance.chance(55):
            wanted = Folder(chance.pick("12"), chance.pick([None, "destructive", "lossy"]))
            together = pending or chance.chance(40)
            plan = Plan(f"F:{wanted.schema}", wanted, together, chance.pick(["", "", "p", "q"]))
            plan.inside = draw_plans(chance, depth + 1, pending=together)
            if not together and chance.chance(20):
                plan.index["i"] = Plan(f"L:{chance.pick('xy')}")
            plans[f"F{name}"] = plan
        else:
            owner = "" if pending else chance.pick(["", "p", "q"])
            plans[f"L{name}"] = Plan(f"L:{chance.pick('xy')}", owner=owner, memo=chance.chance(50))
    return plans


def nodes_of(plans: Mapping[str, Plan], place: Place) -> dict[Place, str]:
    """The nodes that a program wants."""
    nodes: dict[Place, str] = {}
    for name, plan in plans.items():
        here = (*place, name)
        nodes[here] = plan.text
        nodes |= nodes_of(plan.inside, here)
        nodes |= nodes_of(plan.index, (*here, "@index"))
    return nodes


async def _one_leaf(inside: Inside, name: str, text: str) -> None:
    leaf(inside, name, text)


_one_remembered = coco.fn(memo=True)(_one_leaf)


async def build(inside: Inside, plans: Mapping[str, Plan], where: str = "") -> None:
    """Be a component that wants all this inside a folder."""
    for name, plan in plans.items():
        path = f"{where}/{name}"
        if plan.folder is None:
            if plan.owner:
                fn = _one_remembered if plan.memo else _one_leaf
                await coco.mount(at(plan.owner, path), fn, inside, name, plan.text[2:])
            else:
                leaf(inside, name, plan.text[2:])
        elif plan.pending:
            if plan.owner and "pending" not in repr(inside):
                await coco.mount(at(plan.owner, path), _build_together, inside, name, plan, path)
            else:
                await _build_together(inside, name, plan, path)
        else:
            got = await mounted_folder(inside, name, plan.folder)
            for index, entry in plan.index.items():
                leaf(got.attachment("index"), index, entry.text[2:])
            if plan.owner:
                await coco.mount(at(plan.owner, path), build, got, plan.inside, path)
            else:
                await build(got, plan.inside, path)


async def _build_together(inside: Inside, name: str, plan: Plan, path: str) -> None:
    await build(folder(inside, name, plan.folder), plan.inside, path)


# The store ----------------------------------------------------------------------------------------------


def copy_store(source: Path, to: Path) -> None:
    """What is left of a store when its process dies now."""
    files = {suffix: source.with_name(source.name + suffix) for suffix in ("", "-wal", "-noted")}
    found: dict[str, bytes] = {}
    # A sink is called off the loop, on which somebody may write to the store between two of the files.
    while found != (found := {suffix: file.read_bytes() for suffix, file in files.items() if file.exists()}):
        pass
    for suffix, content in found.items():
        to.with_name(to.name + suffix).write_bytes(content)


def rows_of(path: Path, app: str) -> list[tuple[int, bytes]]:
    """All rows of an app in a store that is closed: table and key, whatever they mean."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT t, k FROM entry ORDER BY t, k").fetchall()
    return [(table, key) for table, key in rows if read_key(key, 0)[0] == app]


def rows_below(path: Path, app: str) -> list[tuple[int, bytes]]:
    """All rows of an app, but for its own and its root component's."""
    return [(table, key) for table, key in rows_of(path, app) if read_key(key, 0)[1] < len(key)]


# Sinks that fail ------------------------------------------------------------------------------------------


class FaultyWorld(World):
    """Cells that fail: before, in the middle of, or after their application."""

    def __init__(self, phase: Literal["before", "middle", "after"] = "before") -> None:
        super().__init__()
        self.phase = phase
        self.bad: dict[str, None] = {}
        """Keys whose actions fail, for as long as they are here."""
        self.batches: list[list[str]] = []

    async def apply(self, actions: Sequence[Action]) -> None:
        self.batches.append([key for key, _ in actions])
        bad = any(key in self.bad for key, _ in actions)
        if bad and self.phase == "before":
            raise OSError("the target is away")
        if bad and self.phase == "middle":
            await super().apply(actions[: len(actions) // 2])
            raise OSError("the target went away")
        await super().apply(actions)
        if bad:
            raise OSError("the target did not answer")
