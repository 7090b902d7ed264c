"""What must hold in one execution: looked at after every step, and at its end.

``always`` and ``unreachable`` are about every step; ``eventually``, ``leads_to``, ``converges`` and ``heat``
about what must come at last; ``sometimes`` and ``reachable`` about the exploration: some run must get there,
else they are listed.
"""

from __future__ import annotations

from collections.abc import Callable

from liveproof_sim.errors import MonitorError, OptionError
from liveproof_sim.kernel.accesses import WORLD
from liveproof_sim.kernel.loop import SimLoop
from liveproof_sim.kernel.watching import call
from liveproof_sim.properties.heat import Heat, Rounds
from liveproof_sim.properties.obligations import Obligation, Predicate, Response
from liveproof_sim.properties.reached import Reached

__all__ = ["Monitors"]


class Monitors:
    """The monitors of one execution."""

    def __init__(self, loop: SimLoop, reached: Reached) -> None:
        self._loop = loop
        self._calls: list[Callable[[], None]] = []
        self._reached = reached
        self._always: list[tuple[str, Predicate]] = []
        self._owed: list[Obligation] = []
        self._responses: list[Response] = []
        self._heats: list[Heat] = []
        self._rounds = Rounds(loop)
        self._broken: MonitorError | None = None  # raised already, but the program may have swallowed it

    def after_step(self, call: Callable[[], None]) -> None:
        """Call after every step, before anything is looked at."""
        self._calls.append(call)
        self._loop.after_step = self._step

    def always(self, name: str, predicate: Predicate) -> None:
        """Must hold now and after every step."""
        self._always.append((name, predicate))
        self._watch()

    def unreachable(self, name: str) -> None:
        """Nobody may get here.

        Raises:
            MonitorError: always; the run fails even if somebody catches it.
        """
        self._broken = MonitorError(f"unreachable {name!r} was reached", f"unreachable {name}")
        self._loop.after_step = self._step
        raise self._broken

    def eventually(self, name: str, predicate: Predicate, *, within: float | None = None) -> None:
        """Must hold at some step before the end, or before ``within`` seconds have passed."""
        self._owed.append(Obligation("eventually", name, predicate, self._loop, within))
        self._watch()

    def leads_to(
        self, name: str, trigger: Predicate, goal: Predicate, *, within: float | None = None
    ) -> None:
        """Each time the trigger holds, the goal must hold then or later: before the end, or before ``within``
        seconds have passed."""
        self._responses.append(Response(name, trigger, goal, within))
        self._watch()

    async def converges(self, name: str, predicate: Predicate, *, within: float | None = None) -> None:
        """Wait until it holds. After ``calm()`` only: what does not come true then, in a fair and faultless
        world, never will.

        Raises:
            OptionError: there was no ``calm()``.
        """
        if not self._loop.choices.calm:
            raise OptionError(f"converges {name!r}: stop the trouble first, with world.calm()")
        owed = Obligation("converges", name, predicate, self._loop, within)
        if not owed.settled():
            owed.met = self._loop.create_future()
            self._owed.append(owed)
            self._watch()
            await owed.met

    def heat(self, name: str, *, rounds: int | None = None) -> Heat:
        """A monitor with ``hot()`` and ``cold()``: must be cold at the end, and never hot for more than
        ``rounds`` rounds of all ready tasks.

        Raises:
            OptionError: ``rounds`` is below 1.
        """
        if rounds is not None and rounds < 1:
            raise OptionError(f"heat {name!r}: rounds must be at least 1, not {rounds}")
        made = Heat(name, self._loop, rounds)
        self._heats.append(made)
        self._watch()
        return made

    def fail(self, error: MonitorError) -> None:
        """Let the run fail at its next step: for monitors that are told of things where they can't raise."""
        if self._broken is None:
            self._broken = error
            self._loop.after_step = self._step

    def sometimes(self, name: str, condition: object = True) -> None:
        """Note that some run got here, with a true ``condition``."""
        self._reached.note(name, hit=bool(condition))

    def reachable(self, name: str) -> None:
        """Note that some run got here. Listed as never reached if its name is written in the scenario, and
        none did."""
        self._reached.note(name, hit=True)

    def _watch(self) -> None:
        self._loop.after_step = self._step
        self._look()

    def _step(self) -> None:
        for each in self._calls:
            each()
        accesses = self._loop.accesses
        if accesses is None:
            self._look()
            return
        with accesses.aside() as seen:
            self._look()
            if self._heats:  # they count steps
                accesses.write(WORLD)
            elif any(each.within is not None for each in self._owed) or any(
                each.within is not None for each in self._responses
            ):
                accesses.read("clock")
        accesses.look(seen)

    def _look(self) -> None:
        if self._broken is not None:
            raise self._broken
        for name, predicate in self._always:
            if not call(predicate):
                raise MonitorError(f"always {name!r} does not hold", f"always {name}")
        if self._owed:
            self._owed = [each for each in self._owed if not each.settled()]
        for response in self._responses:
            response.look(self._loop)
        if self._heats and self._rounds.over():
            for heat in self._heats:
                heat.warm()

    def owed(self) -> list[str]:
        """What has not come true yet."""
        late = [*self._owed, *(each.open for each in self._responses if each.open is not None)]
        return [*map(str, late), *(str(each) for each in self._heats if each.is_hot)]

    def stuck(self) -> None:
        """Nothing is left to do, at any time: who waits for convergence waits in vain.

        Raises:
            MonitorError: somebody does.
        """
        for each in self._owed:
            if each.met is not None:
                raise each.broken("never held, and nothing is left to do")

    def end(self) -> None:
        """The run has ended well.

        Raises:
            MonitorError: something is still owed.
        """
        self._look()
        for each in self._owed:
            raise each.broken("never held")
        for response in self._responses:
            if response.open is not None:
                raise response.open.broken("never held again")
        for heat in self._heats:
            if heat.is_hot:
                raise heat.broken("was not cold at the end")
