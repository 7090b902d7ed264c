"""An asyncio event loop on virtual time, whose every freedom is a choice.

What asyncio promises is kept in every mode: plain ``call_soon`` callbacks run in order (they form one *lane*,
of which the head is an option), and so do the done-callbacks of one future and the timers of one deadline.
The library's plumbing is no option: it runs right after the step that caused it, and what it made ready is
put where stock asyncio would have put it, when the queue gets there (*held* entries). So which ready **task**
runs next is the choice, and choice 0, always, gives stock asyncio's order, including which steps still run
after the main task has ended.

Fidelity ``any-order``: every ready task may run next. ``fifo``: all that asyncio itself orders is one lane;
what it leaves open (the bodies and completions of threads, and timers, if they may be late) is the choice.

Timers: *discrete-event*: time moves only when nothing is ready. *late*: besides, the next timer may fire
while steps are ready, as if these were slow, up to ``lateness_ns`` beyond the instant in which they became
ready.

Roads not taken. *Subclassing BaseEventLoop*: it makes a selector and a pair of sockets per loop, which costs
more than a short execution. *Every handle an option*, as peers do: it breaks the promises above.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from asyncio import events
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from contextvars import Context, copy_context
from heapq import heapify, heappop, heappush
from typing import Any, TypeVar

from liveproof_sim.errors import DeadlockError, LivelockError, SimulatorBug
from liveproof_sim.kernel.accesses import ADD, READ, WRITE, Accesses, entered
from liveproof_sim.kernel.causes import Causes
from liveproof_sim.kernel.choices import Choices, Entry
from liveproof_sim.kernel.face import Face
from liveproof_sim.kernel.guards import Guard
from liveproof_sim.kernel.jobs import Jobs
from liveproof_sim.kernel.modes import Fidelity, Limits, Observer, SimTimer, Timers
from liveproof_sim.kernel.plumbing import (
    BUILTIN,
    STEP,
    WAKEUP,
    completed_by,
    decides,
    group_of,
    is_plumbing,
    is_task_step,
    looked_at_by,
    passes_on,
)
from liveproof_sim.kernel.traced import TracedHandle, resource_of
from liveproof_sim.kernel.waits import explain

__all__ = ["Fidelity", "Limits", "Observer", "SimLoop", "SimTimer", "Timers", "run_in"]

T = TypeVar("T")
NS = 1_000_000_000
STALE_TIMERS_MIN = 64  # below this, cancelled timers are not worth a clean-up


class SimLoop(Face):
    """See the module."""

    def __init__(
        self,
        choices: Choices | None = None,
        *,
        fidelity: Fidelity = Fidelity.ANY_ORDER,
        timers: Timers = Timers.DISCRETE,
        limits: Limits | None = None,
        reduced: bool = False,
        hot: dict[str, None] | None = None,
    ) -> None:
        super().__init__()
        self.accesses = Accesses(hot) if reduced else None
        self.causes = Causes() if reduced else None
        self.guards: list[Guard] = []
        self.choices = choices or Choices()
        self.limits = limits or Limits()
        self.observer: Observer | None = None
        self.after_step: Callable[[], None] | None = None
        self.quiescent: Callable[[], bool] | None = None  # may make something ready, and then says so
        self.now_ns = 0
        self.steps = 0
        self._late = timers is Timers.LATE
        self._eager = fidelity is Fidelity.ANY_ORDER
        self._next = itertools.count().__next__
        self._ready: list[Entry] = []  # Invariant: in order of number.
        self._lane: deque[Entry] = deque()
        self._plumb: deque[Entry] = deque()
        self._held: list[tuple[int, int, Entry]] = []  # place in the queue, hops to go, entry
        self._last_plain: asyncio.Handle | None = None  # of a reduced search: what came last to the lane
        self._held_plain = 0  # Invariant: how many of the held are callbacks; those are in no other queue.
        self._timers: list[tuple[int, int, SimTimer]] = []
        self._timers_stale = 0
        self._horizon = self.limits.lateness_ns
        self._check_at = 0
        self._batch_end = (
            -1
        )  # stock asyncio runs what was ready when an iteration began, then looks at its timers
        self._deciding = True
        self._stopping = False
        self._running = False
        self.stuck = False  # the last run ended because nothing could run any more
        self._add_task: Callable[[Entry], None] = self._ready.append if self._eager else self._lane.append
        if reduced:
            assert self._eager, "first in, first out, there is no order to reduce"
            self._add_task = self._add_noted
        self.jobs = Jobs(self)

    # ---- what becomes ready

    def call_soon(self, callback: Any, *args: Any, context: Context | None = None) -> Any:  # type: ignore[override]
        kind = type(callback)
        if kind is STEP or (kind is BUILTIN and callback.__name__ == WAKEUP):
            if self._closed:
                raise RuntimeError("Event loop is closed")
            self._add_task((self._next(), callback, args, context))
            return None
        self._check_closed()
        if is_task_step(callback):
            self._add_task((self._next(), callback, args, context or copy_context()))
            return None
        if asyncio.iscoroutine(callback) or not callable(callback):
            raise TypeError(f"a callable object was expected by call_soon(), got {callback!r}")
        kind = asyncio.Handle if self.accesses is None else TracedHandle
        handle = kind(callback, args, self, context)
        self._enqueue(handle, callback, args)
        return handle

    def _add_noted(self, entry: Entry) -> None:
        """A task's step, with who made it ready."""
        assert self.causes is not None
        self._ready.append(entry)
        self.causes.made(entry)

    def _enqueue(self, handle: asyncio.Handle, callback: Any, args: Sequence[Any]) -> None:
        """A plain callback: to the lane, or, if it is plumbing that overtakes nobody, to be run at once."""
        entry: Entry = (self._next(), handle, (), None)
        if self.causes is not None:
            assert self.accesses is not None
            if callback is _stop_loop or passes_on(callback, args):
                self._plumb.append(entry)
            else:
                if isinstance(handle, TracedHandle):
                    self.accesses.made(handle)
                self._last_plain = handle
                self.causes.made(entry)
                self.accesses.write("lane")
                self._lane.append(entry)
            return
        if self._eager and not self._lane and not self._held_plain and is_plumbing(callback, args):
            self._plumb.append(entry)
        else:
            self._lane.append(entry)

    def add_external(self, callback: Callable[[], None], context: Context | None = None) -> None:
        """Something asyncio itself does not order, such as the body of a thread: an option in every mode."""
        entry: Entry = (self._next(), callback, (), context or copy_context())
        self._ready.append(entry)
        if self.causes is not None:
            self.causes.made(entry)

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Context | None = None) -> Any:  # type: ignore[override]
        return self.call_soon(callback, *args, context=context)

    # ---- time

    def time(self) -> float:
        if self.accesses is not None and self._late:
            self.accesses.note("clock", READ)
        return self.now_ns / NS

    def call_later(self, delay: float, callback: Any, *args: Any, context: Context | None = None) -> SimTimer:  # type: ignore[override]
        if delay is None:
            raise TypeError("delay must not be None")
        return self.call_at_ns(self.now_ns + round(delay * NS), callback, *args, context=context)

    def call_at(self, when: float, callback: Any, *args: Any, context: Context | None = None) -> SimTimer:  # type: ignore[override]
        if when is None:
            raise TypeError("when cannot be None")
        return self.call_at_ns(round(when * NS), callback, *args, context=context)

    def call_at_ns(self, when_ns: int, callback: Any, *args: Any, context: Context | None = None) -> SimTimer:
        """Call back once, not before ``now_ns >= when_ns``. Ties keep their order."""
        self._check_closed()
        timer = SimTimer(when_ns / NS, callback, args, self, context)
        if self.accesses is not None:
            if when_ns <= self.now_ns:  # due at once, wherever the queue is
                self.accesses.made(timer)
                timer._scheduled = False
                self._enqueue(timer, callback, args)
                return timer
            self.accesses.made(timer)
            self._note_timer(when_ns, callback, args)
        heappush(self._timers, (when_ns, self._next(), timer))
        return timer

    def _note_timer(self, when_ns: int, callback: Any, args: Sequence[Any]) -> None:
        """What a new timer conflicts with: with those of the same instant, because these keep their order, but for
        sleeps among themselves, which end at once unless they may be late; then with each step of time, too."""
        assert self.accesses is not None
        if self._late:
            self.accesses.note("timers", ADD)
        plain = completed_by(callback, args) is None
        self.accesses.note(("timers", when_ns), WRITE if self._late or plain else ADD)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Count it; once most of the heap is stale, rebuild it (amortised constant per cancel)."""
        if self.accesses is not None:
            self.accesses.write(self.accesses.name(handle))
            if self._late:
                self.accesses.note("timers", ADD)
        if handle._scheduled:  # type: ignore[attr-defined]
            self._timers_stale += 1
            if self._timers_stale > STALE_TIMERS_MIN and self._timers_stale * 2 > len(self._timers):
                self._timers[:] = [each for each in self._timers if not each[2]._cancelled]
                heapify(self._timers)
                self._timers_stale = 0

    def next_deadline_ns(self) -> int | None:
        """When the next timer is due, if there is one."""
        timers = self._timers
        while timers and timers[0][2]._cancelled:
            heappop(timers)[2]._scheduled = False
            self._timers_stale -= 1
        return timers[0][0] if timers else None

    def _fire_due(self) -> None:
        """Queue all timers that are due, in order."""
        while (deadline := self.next_deadline_ns()) is not None and deadline <= self.now_ns:
            self._fire_next()

    def _fire_next(self) -> None:
        deadline, _, timer = heappop(self._timers)
        self.now_ns = max(self.now_ns, deadline)
        timer._scheduled = False
        if timer._cancelled:
            self._timers_stale -= 1
        elif self.causes is not None and passes_on(timer._callback, timer._args):
            self._complete_in_turn(timer)
        else:
            self._enqueue(timer, timer._callback, timer._args)

    def _complete_in_turn(self, timer: SimTimer) -> None:
        """Of a reduced search: the end of a sleep may not overtake callbacks that were due before it."""
        assert self.accesses is not None
        assert self.causes is not None
        if self._late:  # else time moves when the lane is empty
            self.accesses.note("lane", READ)
            if self._last_plain is not None:
                self.accesses.note(("turn", self.accesses.name(self._last_plain)), READ)
        entry: Entry = (self._next(), timer, (), None)
        if self._lane:
            self.causes.contributed(completed_by(timer._callback, timer._args))
            self._held.append((self._lane[-1][0], 0, entry))
        else:
            self._plumb.append(entry)

    def _fire_alone(self) -> None:
        """Of a reduced search: a timer that could have fired earlier does so when nothing else is ready. A step
        like any other: it need not come after all that came before."""
        if self.observer is not None:
            self.observer.before(None, 0, 1)
        self._fire_next()

    def _idle(self) -> bool:
        """Nothing is ready: let time pass. False if there is nothing to wait for."""
        deadline = self.next_deadline_ns()
        if deadline is None:
            return self.quiescent is not None and self.quiescent()
        self.now_ns = max(self.now_ns, deadline)
        self._horizon = self.now_ns + self.limits.lateness_ns
        self._check_at = min(self.steps + self.limits.steps_in_instant, self.limits.steps)
        if self.observer is not None:
            self.observer.tick()
        self._fire_due()
        return True

    def guard(self, guard: Guard) -> None:
        """Have a task wait until a predicate holds."""
        guard.since = 0 if self.causes is None else self.causes.barrier
        self.guards.append(guard)

    def let_go(self, guard: Guard) -> None:
        """Whoever waits can run. Nobody has made it ready: it was so far from running only because of what it waits
        for, and races with those who end that wait otherwise."""
        guard.entry = (self._next(), guard.callback, (guard,), guard.context)
        self._ready.append(guard.entry)

    def _look_at_guards(self) -> None:
        """Make ready, or no longer ready, whoever waits for a predicate."""
        self.guards = [each for each in self.guards if not each.over]
        for guard in self.guards:
            holds = guard.holds()
            if holds and guard.entry is None:
                self.let_go(guard)
            elif not holds and guard.entry is not None:
                self._ready.remove(guard.entry)
                guard.entry = None

    # ---- the loop

    def _spin(self) -> bool:
        """Run until stopped. False: nothing can run any more, and nobody has stopped the loop."""
        ready, lane, plumb, timers = self._ready, self._lane, self._plumb, self._timers
        choices = self.choices
        pick, taken, sizes = choices.strategy.pick, choices.taken, choices.sizes
        late, deciding = self._late and self._deciding, self._deciding
        head = -1  # the number of the lane's head while that is among the ready
        self._check_at = min(self.steps + self.limits.steps_in_instant, self.limits.steps)
        try:
            while True:
                if self.guards:
                    self._look_at_guards()
                clock = late and bool(timers) and self._clock_offered()
                if lane and head < 0:
                    self._drop_cancelled()
                if lane and head < 0:
                    if ready or clock:
                        head = lane[0][0]
                        insort(ready, lane[0], key=_number)
                        choices.strategy.offered(lane[0])
                    else:
                        ready.append(lane.popleft())
                options = len(ready)
                if options == 0:
                    if clock and self.causes is not None:
                        self._fire_alone()
                    elif not self._idle():
                        return False
                else:
                    chosen = 0
                    total = options + clock
                    if total > 1 and deciding:
                        chosen = pick(ready, clock)
                        assert 0 <= chosen < total
                        taken.append(chosen)
                        sizes.append(total)
                    if self.observer is not None:
                        self.observer.before(ready[chosen] if chosen < options else None, chosen, total)
                    if chosen == options:
                        self._fire_next()
                    else:
                        entry = ready.pop(chosen)
                        number, callback, args, context = entry
                        if number == head:
                            lane.popleft()
                            head = -1
                        if number >= self._batch_end:
                            self._begin_batch()
                        self.steps += 1
                        choices.last = callback
                        if context is None:
                            if not callback._cancelled:
                                callback._run()
                        else:
                            context.run(callback, *args)
                        if self._stopping:
                            break
                        if self.steps >= self._check_at:
                            self._check_limits()
                if plumb or self._held:
                    self._flush()
                    if self._stopping:  # of a reduced search: the main task has ended
                        break
                if self.after_step is not None and self._deciding:  # nobody judges what is being torn down
                    self.after_step()
        finally:
            if head >= 0:
                ready.remove(lane[0])
        self._finish_batch()
        return True

    def _drop_cancelled(self) -> None:
        """Callbacks at the head of the lane that nobody wants any more. To a reduced search their turn is a step
        that looks whether it is wanted: so it races with whoever cancelled it."""
        if self.causes is not None:
            return
        lane = self._lane
        while lane and lane[0][3] is None and lane[0][1]._cancelled:
            lane.popleft()

    def _clock_offered(self) -> bool:
        """Whether the next timer may fire before the ready steps have run."""
        deadline = self.next_deadline_ns()
        return deadline is not None and deadline <= self._horizon

    def _begin_batch(self) -> None:
        """Where stock asyncio begins an iteration: timers that are due queue up behind what is ready."""
        if self._timers and self._timers[0][0] <= self.now_ns and self.causes is None:
            self._fire_due()
        self._batch_end = self._next()

    def _flush(self) -> None:
        """Run the library's callbacks, and move what they made ready to its place, as far as that is
        reached."""
        moved = True
        while moved or self._plumb:
            if self._plumb:
                self._run_plumbing()
            moved = self._settle()

    def _run_plumbing(self) -> None:
        """Run the library's callbacks; hold what they make ready until stock asyncio would have run them."""
        if self.causes is not None:
            self._run_plumbing_at_once()
            return
        ready, lane = self._ready, self._lane
        hops = 0
        alone = not ready and not lane and not self._held  # then its place is reached already
        while self._plumb:
            for _ in range(len(self._plumb)):
                number, handle, _, _ = self._plumb.popleft()
                if alone and number >= self._batch_end:
                    self._begin_batch()
                before, lane_before = len(ready), len(lane)
                if not handle._cancelled:
                    handle._run()
                if alone:
                    continue
                made = ready[before:]
                while len(lane) > lane_before:
                    made.append(lane.pop())
                    self._held_plain += 1
                made.sort(key=_number)
                self._held += [(number, hops, entry) for entry in made]
            hops += 1
            alone = False

    def _note_completion(self, future: Any, handle: asyncio.Handle) -> None:
        """Parts come together in any order; of those that may each complete the future, the first one counts."""
        assert self.accesses is not None
        modes = WRITE if decides(handle._callback, handle._args) else ADD  # type: ignore[attr-defined]
        self.accesses.note(resource_of(future, self.accesses), modes)

    def _run_plumbing_at_once(self) -> None:
        """The same for a reduced search, to which places in the queue mean nothing."""
        assert self.accesses is not None
        assert self.causes is not None
        while self._plumb:
            _, handle, _, _ = self._plumb.popleft()
            if isinstance(handle, SimTimer):  # it fired; whether it is still wanted is looked at now
                self.accesses.note(self.accesses.name(handle), READ)
            if handle._cancelled:
                continue
            if (group := group_of(handle._callback)) is not None:
                self.accesses.add(("group", self.accesses.name(group)))
            if (inner := looked_at_by(handle._callback)) is not None:
                self.accesses.note(resource_of(inner, self.accesses), READ)
            future = completed_by(handle._callback, handle._args)
            if future is not None:
                self.causes.contributed(future)
                self._note_completion(future, handle)
            self.accesses.muted += 1
            handle._run()
            self.accesses.muted -= 1

    def _settle(self) -> bool:
        """Move what plumbing made ready to the end of the queue, once the queue has got to that plumbing."""
        if self.causes is not None:
            return self._settle_sleeps()
        held, self._held = self._held, []
        moved = False
        ready = self._ready
        moving = dict.fromkeys(entry[0] for _, _, entry in held)
        first = next((entry[0] for entry in ready if entry[0] not in moving), None)
        if self._lane and (first is None or self._lane[0][0] < first):
            first = self._lane[0][0]
        for place, hops, entry in held:
            plain = entry[3] is None
            position = 0 if plain else bisect_left(ready, entry[0], key=_number)
            if not plain and (position == len(ready) or ready[position] is not entry):
                continue  # it has run already
            if first is not None and first < place:
                self._held.append((place, hops, entry))
                continue
            if place >= self._batch_end:
                self._begin_batch()
            if hops:
                self._held.append((self._next(), hops - 1, entry))
                moved = True
            elif plain:
                self._held_plain -= 1
                self._lane.append((self._next(), *entry[1:]))
            else:
                del ready[position]
                ready.append((self._next(), *entry[1:]))
        return moved

    def _settle_sleeps(self) -> bool:
        """Of a reduced search: sleeps that are over, once the callbacks before them have had their turn."""
        held, self._held = self._held, []
        for each in held:
            if self._lane and self._lane[0][0] <= each[0]:
                self._held.append(each)
            else:
                self._plumb.append(each[2])
        return len(self._held) < len(held)

    def _settle_all(self) -> None:
        """At the end of a run: what is held belongs to later iterations, which there will not be."""
        held, self._held, self._held_plain = self._held, [], 0
        for _, _, entry in held:
            if entry[3] is None:
                self._lane.append((self._next(), *entry[1:]))
            elif entry in self._ready:
                self._ready.remove(entry)
                self._ready.append((self._next(), *entry[1:]))

    def _finish_batch(self) -> None:
        """After stop(): what stock asyncio would still run in this iteration."""
        while self._plumb:
            self._run_plumbing()
        while self._held:
            self._settle_all()
        if self.observer is not None:
            self.observer.ended()
        rest = sorted([*self._ready, *self._lane], key=_number)
        for entry in rest:
            if entry[0] >= self._batch_end and self.causes is None:
                break
            (self._ready if entry in self._ready else self._lane).remove(entry)
            _, callback, args, context = entry
            self.steps += 1
            if self.observer is not None:
                self.observer.before(entry, 0, 1)
            if context is not None:
                context.run(callback, *args)
            elif not callback._cancelled:
                callback._run()
        self._stopping = False

    def _check_limits(self) -> None:
        if not self._deciding:
            raise LivelockError("the clean-up after the run did not come to an end")
        if self.steps >= self.limits.steps:
            raise LivelockError(f"no end after {self.steps} steps and {self.time():g} s of virtual time")
        deadline = self.next_deadline_ns()
        if deadline is not None:
            if deadline - self.now_ns <= self.limits.steps_in_instant * self.limits.step_ns_max:
                self._idle()  # a busy wait for a timer: so many steps do take time
                return
        raise LivelockError(
            f"no end after {self.limits.steps_in_instant} steps in which no time passed, at {self.time():g} s"
        )

    # ---- running

    def run_forever(self) -> None:
        if self._running:
            raise RuntimeError("This event loop is already running")
        if events._get_running_loop() is not None:
            raise RuntimeError("Cannot run the event loop while another loop is running")
        self._check_closed()
        hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(firstiter=self._asyncgen_first, finalizer=self._asyncgen_final)
        events._set_running_loop(self)
        self._running = True
        try:
            with entered(self.accesses):
                self.stuck = not self._spin()
        finally:
            self._running = False
            self._stopping = False
            events._set_running_loop(None)
            sys.set_asyncgen_hooks(*hooks)

    def run_until_complete(self, future: Any) -> Any:
        self._check_closed()
        new = not asyncio.isfuture(future)
        waited = asyncio.ensure_future(future, loop=self)
        if new:
            waited._log_destroy_pending = False
        waited.add_done_callback(_stop_loop)
        try:
            self.run_forever()
        finally:
            waited.remove_done_callback(_stop_loop)
        if not waited.done():
            if self.stuck:
                raise DeadlockError(explain(self.tasks))
            raise RuntimeError("Event loop stopped before Future completed.")
        return waited.result()

    def tear_down(self, steps: int = 10_000) -> list[asyncio.Task[Any]]:
        """Cancel all tasks and let them finish, first in, first out; return those that did not end."""
        self._deciding = False
        self.observer = self.after_step = self.quiescent = None
        pending = [task for task in self.tasks if not task.done()]
        for task in pending:
            task.cancel()
        if pending or self._asyncgens:
            self.limits = Limits(self.steps + steps, steps)
            ended = (
                asyncio.gather(*pending, *(each.aclose() for each in self._asyncgens), return_exceptions=True)
                if pending
                else self.create_task(self.shutdown_asyncgens())
            )
            try:
                self.run_until_complete(ended)
            except (DeadlockError, LivelockError, RuntimeError):
                pass
        return [task for task in pending if not task.done()]

    def stop(self) -> None:
        self._stopping = True

    def is_running(self) -> bool:
        return self._running

    def close(self) -> None:
        if self._running:
            raise RuntimeError("Cannot close a running event loop")
        self._closed = True
        for queue in (self._ready, self._lane, self._plumb, self._timers, self._held):
            queue.clear()

    def _check(self) -> None:
        """Raise ``SimulatorBug`` if an invariant is broken. Linear in what is ready."""
        numbers = [entry[0] for entry in self._ready]
        if numbers != sorted(numbers):
            raise SimulatorBug("the ready entries are out of order")
        if self._timers_stale != sum(each[2]._cancelled for each in self._timers):
            raise SimulatorBug("cancelled timers were miscounted")


def _number(entry: Entry) -> int:
    return entry[0]


def _stop_loop(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        error = future.exception()
        if isinstance(error, (SystemExit, KeyboardInterrupt)):
            return  # it has left the loop by itself
    future.get_loop().stop()


def run_in(loop: SimLoop, main: Coroutine[Any, Any, T]) -> T:
    """Run ``main`` on the loop to its end, and close it: ``asyncio.run`` for tests of the loop."""
    try:
        result: T = loop.run_until_complete(main)
        return result
    finally:
        loop.tear_down()
        loop.close()
