"""What a test calls: check, replay."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from liveproof_sim.errors import LivelockError, OptionError, ReplayError, TapeError
from liveproof_sim.explore.execution import Outcome, Scenario, Settings, execute, exploring, takes_world
from liveproof_sim.explore.explorer import Explorer, quiet_collector
from liveproof_sim.explore.history import Why
from liveproof_sim.explore.scenario import about, name_of
from liveproof_sim.explore.strategies import Positions, Search, make
from liveproof_sim.explore.strategies.dpor import Dpor
from liveproof_sim.explore.verdict import Failure, Status, StopReason, Verdict
from liveproof_sim.kernel.choices import Choices
from liveproof_sim.kernel.loop import Fidelity, Limits, Timers
from liveproof_sim.kernel.power import Outages, Points
from liveproof_sim.kernel.tape import Replay, Tape, fingerprint, read_token
from liveproof_sim.report import render
from liveproof_sim.report.progress import shown
from liveproof_sim.shrink import shrink
from liveproof_sim.trace.events import Trace

__all__ = ["check", "replay"]

STOCK = "Possible on the stock loop: its own order shows it."


def check(
    scenario: Scenario,
    *,
    strategy: str | Search = "portfolio",
    executions: int | None = 1000,
    seconds: float | None = None,
    seed: int = 0,
    fidelity: str | Fidelity = "any-order",
    timers: str | Timers = "late",
    leaks: bool = True,
    lateness: float = 0.1,
    steps: int = 20_000,
    shrinking: bool = True,
    crash_points: str | Points = "none",
    crashes: int = 1,
    processes: bool = False,
    workers: int = 1,
    progress: bool = False,
    resume: str | Path | None = None,
    instrument: Sequence[str] | None = None,
    why: bool = False,
) -> Verdict:
    """Explore the orders of a scenario: an async function of no argument, or of a World. With ``processes``,
    the first execution must be the same in another process, where strings have other hashes.

    With ``workers``, so many processes share the executions, or the orders of a proof by ``dpor``; they import the
    scenario. With ``progress``, a terminal shows how far it is. More than ``steps`` steps are a livelock.

    With ``resume``, of a search that can (``dpor``), the exploration goes on from where the file says that it
    stopped, if there is one; and where it stops, by its end, a budget or Ctrl-C, is written there.

    ``crash_points``: where the power may fail by itself, up to ``crashes`` times a run. ``"calls"``: before
    every call that changes something durable; ``"all"``: after every step, too (for a proof: with ``"dpor-cuts"``).

    ``instrument``: with ``strategy="dpor"``, modules and packages of which every access is noted, besides the
    scenario's own module; what runs and is not among them conflicts with everything. Unless told otherwise it is
    the runtime, if the scenario takes a World.

    ``why``: with ``strategy="dpor"``, ``verdict.why`` says where steps began, which pairs of lines conflicted about
    what, and at which lines of the scenario no task ever waited. That makes each execution several times slower.

    Raises:
        OptionError: an option has a value that does not exist.
        ScenarioError: this is no scenario.
        NondeterminismError: the scenario depends on something that the simulator does not control.
        ResumeError: other code wrote the file, or it is damaged.
        WorkerError: a worker died.
    """
    search = _search(strategy, fidelity)
    settings = Settings(
        _member(Fidelity, fidelity),
        _member(Timers, timers),
        Limits(steps=steps, lateness_ns=round(lateness * 1e9)),
        seed,
        leaks,
        _outages(search, crash_points, crashes),
        reduced=search.reduced,
        cuts=search.cuts,
        instrument=_instrumented(scenario, search, instrument),
    )
    reasons = _reasons(search, workers) if why else None
    explorer = Explorer(scenario, search, settings, seed=seed, processes=processes)
    with shown(name_of(scenario), executions, on=progress) as told:
        verdict = explorer.run(executions=executions, seconds=seconds, workers=workers, told=told, resume=resume)
    if reasons is not None:
        verdict.why = reasons.told(scenario)
    if verdict.failure is not None:
        with exploring(scenario, settings), quiet_collector():
            _finish(explorer, verdict.failure, shrinking=shrinking)
    return verdict


def _instrumented(scenario: Scenario, search: Search, names: Sequence[str] | None) -> tuple[str, ...]:
    """What is instrumented besides the scenario's module: as told, or the runtime, for whom there is a World."""
    if names is None:
        return ("liveproof",) if search.reduced and takes_world(scenario) else ()
    return tuple(names)


def _reasons(search: Search, workers: int) -> Why:
    """Has the search note what makes it run what it runs."""
    if not isinstance(search, Dpor):
        raise OptionError(f"{search.name} turns no conflicts round, so it has no reasons: why needs strategy='dpor'")
    if workers > 1:
        raise OptionError("several workers keep no reasons: use workers=1 with why")
    search.why = Why()
    return search.why


def _search(strategy: str | Search, fidelity: str | Fidelity) -> Search:
    if not __debug__:
        raise OptionError("the simulator needs its assertions: run Python without -O")
    search = make(strategy)
    if search.reduced and _member(Fidelity, fidelity) is Fidelity.FIFO:
        raise OptionError(
            f"{search.name} reduces the orders of ready tasks, and fidelity='fifo' leaves one: use 'dfs'"
        )
    return search


def _outages(search: Search, points: str | Points, crashes: int) -> Outages:
    if crashes < 0:
        raise OptionError(f"crashes must be at least 0, not {crashes}")
    if search.cuts and _member(Points, points) is not Points.ALL:
        raise OptionError(f"{search.name} has the process die at every cut: give crash_points='all' as well")
    return Outages(_member(Points, points), crashes)


def _finish(explorer: Explorer, failure: Failure, *, shrinking: bool) -> None:
    """Shrink, make the token and the report."""
    # Stock asyncio's own order may show it, too, though another one has fewer switches.
    ordinary = not any(failure.taken) or explorer.once(Positions([])).signature == failure.signature
    # A livelock of the ordinary order has nothing to take away but steps, of which there is no end.
    endless = isinstance(failure.exception, LivelockError) and not any(failure.taken)
    small = shrink(explorer, failure) if shrinking and not endless else None
    if small is not None:
        failure.trace, failure.taken = small.outcome.trace, small.outcome.taken
        failure.switches, failure.minimal, failure.fewest = small.preemptions, small.minimal, small.fewest
        assert small.outcome.error is not None
        failure.exception = small.outcome.error
        failure.noise, failure.parting = small.noise, small.parting
    assert failure.trace is not None
    failure.trace.about = {**about(explorer.scenario), "shrunk": failure.shrunk()}
    tape = Tape.of(failure.trace, fingerprint(explorer.scenario), explorer.settings.as_options())
    failure.token = failure.trace.token = tape.token()
    failure.stock = STOCK if ordinary else _stock(failure.trace, failure.noise)
    failure.report = render(failure, name_of(explorer.scenario))


def _stock(trace: Trace, noise: Sequence[str] = ()) -> str:
    """Whether stock asyncio could show it; to overtake noise does not count."""
    chosen = [event for event in trace.events if event.kind != "draw" and event.chosen]
    if not chosen:
        return STOCK
    overtaken = list(
        dict.fromkeys(event.overtook for event in chosen if event.kind == "step" and event.overtook)
    )
    if not overtaken:
        return "Possible on the stock loop, if a timer or a thread is late."
    overtaken = [each for each in overtaken if each.partition(" (")[0] not in noise] or overtaken
    real = [each for each in overtaken if "sleep(0)" not in each and "(start)" not in each]
    if len(real) == len(overtaken):
        return f"Possible only if this were slower: {'; '.join(real[:3])}."
    return "Possible only under another scheduler: stock asyncio starts and resumes these in turn."


def replay(scenario: Scenario, tape: str | Trace) -> Verdict:
    """Run what a token or a trace recorded, once. The verdict is ``failed`` with the failure, or
    ``inconclusive`` if the run passes now.

    Raises:
        TapeError: this is no token.
        ReplayError: the code no longer has a step that the tape names.
    """
    recorded = tape if isinstance(tape, Trace) else Trace(token=tape)
    made = read_token(recorded.token)
    try:
        settings = Settings.of(made.options)
    except (TypeError, ValueError) as error:
        raise TapeError(f"this token has options that do not exist here: {error}") from None
    with_world = takes_world(scenario)
    strategy = Replay(made)
    with exploring(scenario, settings), quiet_collector():
        outcome = execute(scenario, Choices(strategy), settings, with_world=with_world, record=True)
    if not outcome.failed and (left := strategy.left()) is not None:
        raise ReplayError(strategy.position, left, ["the end of the run"])
    return _replayed(outcome, recorded, scenario)


def _replayed(outcome: Outcome, recorded: Trace, scenario: Scenario) -> Verdict:
    if outcome.error is None:
        return Verdict(Status.INCONCLUSIVE, StopReason.EXHAUSTED_WITHIN, 1, "replay")
    assert outcome.trace is not None
    outcome.trace.token = recorded.token
    failure = Failure(outcome.error, outcome.signature, outcome.taken, recorded.token, trace=outcome.trace)
    if outcome.signature == recorded.outcome:
        failure.restore(recorded.about.get("shrunk", ""))
    outcome.trace.about = {**about(scenario), "shrunk": failure.shrunk()}
    failure.stock = _stock(outcome.trace)
    failure.report = render(failure, name_of(scenario))
    return Verdict(Status.FAILED, StopReason.FAILURE, 1, "replay", failure=failure)


def _member(kind: Any, value: Any) -> Any:
    try:
        return kind(value)
    except ValueError:
        names = ", ".join(repr(each.value) for each in kind)
        raise OptionError(f"{kind.__name__.lower()} is one of {names}, not {value!r}") from None
