"""One exploration shared by several processes: who owns what of its tree, and what is handed out next.

**Not in use.** Of 168 explorations by two to five hands in random order, one missed a class (27 of 28 of
lastzero(4)). Until that is understood, ``Dpor.shareable`` is false and workers are refused.

A unit is what begins with a prefix (see ``units.py``). The frames of all prefixes that were handed out are kept here,
each once, as the nodes of a tree; what is below is the stack of whoever runs the unit. When somebody is idle and
there is no other work, the next stack that comes back is split at its shallowest frame with something left to run:
that frame and those above become nodes, and each branch that is left in the node's tree is a unit.

Why no class should be lost. A step goes to sleep in a node only when all that begins with it was run, and all races
of that are known: a branch that is handed out later may leave to it what begins with it, and has been told how else
to begin. What is still being run does not sleep. (It must not: what its races are yet to ask of a later branch would
come when that has ended.) So each unit runs all but what had been run when it was handed out. A race whose first
step is in the prefix is told to the owner of that node, who adds what it asks for, unless a branch that was ever
handed out there stands for it. A node ends when all below it has ended and nothing was added. That is the condition
at which the search in one process leaves a prefix. A branch is handed out only when the one before has reported the
step that it turned out to be, so that races can be compared with it.

What it costs: two units that are run at the same time may run the same class. What tells classes apart is kept, 12
bytes for each, and a class that comes again is counted as ``redundant``. Which of several failures is seen first
depends on the machine; whether there is one does not.

Roads not taken. *Splitting at a fixed depth*: nothing is known of where the work is. *A common table of the classes
that were run*: units overlap, and the table grows with the classes.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from liveproof_sim.explore.history import Event
from liveproof_sim.explore.strategies.dpor.frames import Frame, Sleep, share_of
from liveproof_sim.explore.strategies.dpor.search import Dpor
from liveproof_sim.explore.strategies.dpor.tree import Branch
from liveproof_sim.explore.strategies.dpor.units import Ask, Report, Unit, UnitSearch
from liveproof_sim.explore.strategies.search import Standing

__all__ = ["Sharing", "part_of"]


def part_of(search: Dpor) -> UnitSearch:
    """What runs units of it."""
    part = UnitSearch(**search.options(), source=search.name == "dpor-source")
    part.keep_classes = True
    return part


@dataclass(slots=True, eq=False)
class _Node:
    """A prefix, and the step that leads to it from the one above."""

    frame: Frame
    above: _Node | None
    step: Event | None
    below: int = 0
    """nodes and stacks right below that have not ended"""
    going: Sleep = field(default_factory=dict)
    """steps that it was left by and that are still being run"""
    waits: bool = False
    """for what the branch that was handed out last turns out to be"""
    deferred: list[Ask] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class _Stack:
    """What is left of a unit. ``branch`` is what the node above it was left by."""

    above: _Node | None
    branch: Branch | None
    step: Event | None
    frames: list[Frame]
    fresh: int


class Sharing:
    """Of the search, from where it is now. The counts, and in the end the verdict, are the search's."""

    def __init__(self, search: Dpor, hot: dict[str, None]) -> None:
        self._search = search
        self._hot = hot
        self._numbers = 0
        self._out: dict[int, _Stack] = {}
        self._idle: list[_Stack] = []
        self._nodes: list[_Node] = []
        self._relied: dict[str, None] = {}
        self._take_over()

    def _take_over(self) -> None:
        frames, fresh, relied = self._search.hand_over()
        self._relied = dict(relied)
        self._out, self._nodes = {}, []
        self._idle = [_Stack(None, None, None, frames, fresh)] if frames else []

    @property
    def over(self) -> bool:
        """Whether everything was run."""
        return not self._out and not self._idle and not self._nodes

    def standing(self) -> Standing:
        """As of the search, which knows only what has come back."""
        share, deepest = 0.0, 0
        weights: dict[_Node | None, float] = {None: 1.0}
        for node in self._nodes:  # those above come first
            going, frame = node.below - node.waits, node.frame
            known = max(1, len(frame.explored) + node.waits + len(frame.tree))
            weight = weights[node.above]
            share += weight * (len(frame.explored) - going) / known
            weights[node] = weight / known
        for stack in (*self._idle, *self._out.values()):
            share += weights[stack.above] * share_of(stack.frames)
            deepest = max(deepest, len(_path(stack.above)) + len(stack.frames))
        return Standing(self._search.executions, deepest, 1.0 if self.over else min(share, 1.0))

    def next(self) -> Unit | None:
        """Something to run; None: nothing, until somebody reports."""
        if not self._idle:
            self._open_a_branch()
        if not self._idle:
            return None
        stack = self._idle.pop()
        self._numbers += 1
        self._out[self._numbers] = stack
        prefix = _prefix(stack)
        return Unit(
            self._numbers,
            self._search.restarts,
            [*prefix, *stack.frames],
            len(prefix),
            stack.fresh,
            list(self._hot),
        )

    def back(self, report: Report, *, wanted: bool) -> None:
        """A unit was run for a while. ``wanted``: somebody has nothing to do."""
        self._hot.update(dict.fromkeys(report.hot))
        if report.era != self._search.restarts:
            return
        self._relied.update(dict.fromkeys(report.relied))
        if any(word in self._hot for word in self._relied):
            self._search.begin_anew()
            self._take_over()
            return
        self._search.credit(report.counts, report.cut, report.classes)
        stack = self._out.pop(report.number)
        self._learn(stack, report)
        stack.frames, stack.fresh = report.frames, report.fresh
        if stack.frames:
            self._idle.append(stack)
            if wanted and len(self._idle) == 1:
                self._split(self._idle.pop())
        elif stack.above is not None:
            self._ended(stack.above, stack.step)
        if self.over:
            self._search.finish()

    def _learn(self, stack: _Stack, report: Report) -> None:
        """What the unit has found out about the nodes above it."""
        node = stack.above
        if node is None:
            return
        if stack.step is None:
            stack.step = report.event
            node.waits = False
            if report.event is not None:
                node.going[report.event.label] = report.event
                node.frame.explored.append(report.event.label)
        path = _path(node)
        for ask in report.asks:
            path[ask.at].deferred.append(ask)
        for each in path:
            if not each.waits:
                for ask in each.deferred:
                    self._include(each, ask)
                each.deferred.clear()

    def _include(self, node: _Node, ask: Ask) -> None:
        frame = replace(node.frame, sleep={**node.frame.sleep, **node.going})  # the tree is the node's own
        if ask.branches:
            known = [*frame.sleep, *(branch.label for branch in frame.tree)]
            node.frame.tree[:0] = [branch for branch in ask.branches if branch.label not in known]
        elif ask.process:
            self._search.include_one(frame, ask.process)
        else:
            self._search.include(frame, ask.sequence, ask.then)

    def _open_a_branch(self) -> None:
        """A stack for the first branch of the highest node that has one to hand out: much is below it."""
        for node in self._nodes[:]:
            frame = node.frame
            if self._settled(node) or node.waits:
                continue
            if frame.tree:
                node.waits = True
                node.below += 1
                at = len(_path(node)) - 1
                self._idle.append(_Stack(node, frame.tree.pop(0), None, [], at))
                return

    def _split(self, stack: _Stack) -> None:
        """Have nodes down to the first frame that has something to hand out."""
        frames = stack.frames
        last = next((at for at, frame in enumerate(frames) if frame.tree and not frame.again), None)
        if last is None:
            self._idle.append(stack)
            return
        above, step = stack.above, stack.step
        for frame in frames[: last + 1]:
            node = _Node(frame, above, step)
            node.below = 1
            self._nodes.append(node)
            if frame.event is not None:
                node.going[frame.event.label] = frame.event
                frame.explored.append(frame.event.label)
            above, step = node, frame.event
            frame.branch = frame.event = None
        assert above is not None
        if last + 1 < len(frames):
            self._idle.append(_Stack(above, None, step, frames[last + 1 :], stack.fresh))
        else:
            above.below = 0

    def _ended(self, node: _Node, step: Event | None) -> None:
        """All that begins with this step was run; None: it did not come to that."""
        node.below -= 1
        if step is not None:
            node.going.pop(step.label, None)  # two branches may have turned out to be the same step
            node.frame.sleep[step.label] = step
        self._settled(node)

    def _settled(self, node: _Node) -> bool:
        """Whether nothing is left to run from there; then it goes, and those above that only waited for it."""
        frame = node.frame
        known = {**frame.sleep, **node.going}
        frame.tree = [branch for branch in frame.tree if branch.label not in known]
        if node.below or frame.tree:
            return False
        self._nodes.remove(node)
        if node.above is not None:
            self._ended(node.above, node.step)
        return True


def _path(node: _Node | None) -> list[_Node]:
    """From the first one."""
    found: list[_Node] = []
    while node is not None:
        found.append(node)
        node = node.above
    return found[::-1]


def _prefix(stack: _Stack) -> list[Frame]:
    """Copies of the frames above, each left by the step that leads there."""
    path = _path(stack.above)
    steps = [node.step for node in path[1:]]
    frames = []
    for node, step in zip(path, [*steps, stack.step], strict=False):
        branch = stack.branch if step is None else Branch(step.label, step.footprint)
        frames.append(replace(node.frame.copied(), branch=branch, event=step))
    return frames
