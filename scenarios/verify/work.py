"""Runs one piece of the plan, in whatever process."""

from __future__ import annotations

import importlib
import logging
import re
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from liveproof_sim import Status, Verdict, check, replay
from liveproof_sim.explore.execution import Scenario
from liveproof_sim.explore.scenario import place_of
from liveproof_sim.explore.verdict import StopReason
from liveproof_sim.report import page
from liveproof_sim.trace import dump
from scenarios.live import Entry
from scenarios.proofs import PROOFS, prove
from scenarios.verify.plan import ENDLESS, ENTRIES, PROGRAMS, Piece, Programs
from tests.mutants.catalogue import BY_NAME
from tests.mutants.tool import judge
from tests.sim.dpor.counts import LARGE
from tests.sim.dpor.oracle import TooManyError, brute, disagreement, naive, reduced
from tests.sim.dpor.random_programs import Program, generate, interleavings_min, scenario_of

__all__ = ["FOUND_WITHIN", "PROVED_WITHIN", "REACHED_WITHIN", "Result", "run", "too_seldom"]

PLAIN_TIMES = 5
"""so many more interleavings there may be where who waits for a lock is a step, before a program is given up"""
FOUND_WITHIN = 1_000
PROVED_WITHIN = 20_000
"""executions: of a bug of the zoo by the default portfolio, of its twin by partial-order reduction"""
REACHED_WITHIN = 200
"""executions, after which a scenario has to have reached what it is to reach"""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a piece."""

    key: str
    wanted: int
    """executions that were asked for"""
    ok: bool
    text: str
    """the verdict in words"""
    seconds: float
    """of the wall"""
    executions: int = 0
    behaviours: int = 0
    status: str = ""
    unseen: float = 1.0
    excluded_above: float = 1.0
    missed: tuple[str, ...] = ()
    points: dict[str, int] = field(default_factory=dict)
    """executions that got to each point in the runtime's seldom paths"""
    faults: list[tuple[str, str, str, int, int]] = field(default_factory=list)
    """family, operation and phase; how often it might have struck, and how often it did"""
    cut: bool = False
    """whether the time was up before all was run"""
    token: str = ""
    left: tuple[str, ...] = ()
    """files with the report of a failure"""
    counts: dict[str, Any] = field(default_factory=dict)
    """of the zoo and of random programs: what there is to tell"""


def run(piece: Piece, seconds: float | None, folder: Path) -> Result:
    """The piece, in at most so many seconds if that can be helped. Files of a failure go to the folder."""
    began = time.perf_counter()
    logger = logging.getLogger("liveproof")
    if not logger.handlers:  # what fails in a scenario fails on purpose, a few times in each execution
        logger.addHandler(logging.NullHandler())
    try:
        if piece.part == "zoo":
            return _zoo(piece, folder)
        if piece.part == "count":
            return _count(piece)
        if piece.part == "mutant":
            return _mutant(piece)
        if piece.part == "proof":
            return _proof(piece, seconds, folder)
        if piece.part in PROGRAMS:
            return _programs(piece, seconds)
        return _scenario(piece, seconds, folder)
    except Exception as error:  # noqa: BLE001 - whatever it was, it is told, and the other pieces are run
        (folder / f"{slug(piece)}.txt").write_text(traceback.format_exc(), "utf-8")
        text = f"{type(error).__name__}: {error}"
        spent = time.perf_counter() - began
        return Result(piece.key, piece.executions, ok=False, text=text, seconds=spent, status="error")


def slug(piece: Piece) -> str:
    """A name for files."""
    return re.sub(r"[^a-z0-9]+", "-", piece.key.lower()).strip("-")


def _scenario(piece: Piece, seconds: float | None, folder: Path) -> Result:
    entry = ENTRIES[piece.part, piece.name]
    planted = piece.part == "planted"
    verdict = check(
        entry.scenario,
        executions=piece.executions,
        seconds=seconds,
        crash_points="calls" if entry.crashes else "none",
        crashes=entry.crashes,
    )
    failure = verdict.failure
    if planted:
        ok = failure is not None and all(str(failure.exception).startswith(f"{id_}: ") for id_ in entry.ids)
        ok = ok and _replays(entry.scenario, verdict)
    else:
        ok = verdict.exit_code == 0
    text = str(verdict)
    seldom = [] if planted or not ok else too_seldom(entry, verdict)
    if seldom:
        ok, text = False, "; ".join(seldom)
    if failure is not None:
        text = str(failure.exception).partition("\n")[0] or type(failure.exception).__name__
    return Result(
        piece.key,
        piece.executions,
        ok,
        text,
        verdict.seconds,
        verdict.executions,
        verdict.behaviours,
        verdict.status.value,
        verdict.unseen,
        verdict.excluded_above,
        tuple(verdict.missed),
        points=dict(verdict.points),
        faults=[(*cell, *count) for cell, count in verdict.faults.items()],
        cut=verdict.reason is StopReason.SECONDS,
        token="" if ok or failure is None else failure.token,
        left=() if ok else leave(verdict, entry.scenario, folder, slug(piece)),
    )


def too_seldom(entry: Entry, verdict: Verdict) -> list[str]:
    """What of it proves nothing: points that fewer executions got to than have to, or that none got to."""
    if verdict.executions < REACHED_WITHIN:
        return []
    found = [f"never reached: {point}" for point in verdict.missed]
    for point, share in entry.reaches.items():
        got = verdict.points.get(point, 0) / verdict.executions
        if got < share:
            found.append(f"{point} is reached by {got:.1%} of the executions, and {share:.1%} have to")
    return found


def _replays(scenario: Scenario, verdict: Verdict) -> bool:
    """Whether the token of the failure shows it again."""
    assert verdict.failure is not None, "it was found"
    again = replay(scenario, verdict.failure.token).failure
    return again is not None and again.signature == verdict.failure.signature


def leave(verdict: Verdict, scenario: Scenario, folder: Path, name: str) -> tuple[str, ...]:
    """The report of a failure as a page and as text, and its trace."""
    failure = verdict.failure
    if failure is None or failure.trace is None:
        return ()
    paths = [folder / f"{name}.{kind}" for kind in ("html", "txt", "jsonl")]
    command = f"liveproof replay {paths[2]}"
    paths[0].write_text(page(verdict, place_of(scenario), command=command), "utf-8")
    paths[1].write_text(f"{failure.report}\n", "utf-8")
    paths[2].write_text(dump(failure.trace), "utf-8")
    return tuple(path.as_posix() for path in paths)


def _zoo(piece: Piece, folder: Path) -> Result:
    """The bug has to be found by the portfolio and by reduction; of the twin, every order is right, up to the
    order of independent steps and, because that rests on the reduction, all of them as well."""
    began = time.perf_counter()
    module = importlib.import_module(f"scenarios.zoo.{piece.name}")
    endless = piece.name in ENDLESS
    found = {"portfolio": check(module.buggy, executions=FOUND_WITHIN)}
    twins = {}
    if endless:
        twins["portfolio"] = check(module.repaired, executions=FOUND_WITHIN)
    else:
        found["dpor"] = check(module.buggy, strategy="dpor", executions=PROVED_WITHIN)
        for timers in ("discrete", "late"):
            twins[timers] = check(module.repaired, strategy="dpor", timers=timers, executions=PROVED_WITHIN)
        twins["dfs"] = check(module.repaired, strategy="dfs", executions=PROVED_WITHIN)
    wanted = Status.SAMPLED if endless else Status.PROVED
    wrong = [
        f"the bug, by {how}, is {verdict.status.value} after {verdict.executions}"
        for how, verdict in found.items()
        if not _replayed(module.buggy, verdict)
    ]
    left: list[str] = []
    for how, verdict in twins.items():
        if verdict.status is not wanted:
            wrong.append(f"the repaired twin, {how}, is {verdict.status.value} after {verdict.executions}")
            left += leave(verdict, module.repaired, folder, f"{slug(piece)}-{how}")
    return Result(
        piece.key,
        0,
        not wrong,
        "; ".join(wrong) or "found, and its twin holds",
        time.perf_counter() - began,
        sum(verdict.executions for verdict in (*found.values(), *twins.values())),
        status="wrong" if wrong else wanted.value,
        left=tuple(left),
        counts={
            "found": {how: verdict.executions for how, verdict in found.items()},
            "twins": {how: [verdict.status.value, verdict.executions] for how, verdict in twins.items()},
            "assumptions": {how: verdict.assumptions for how, verdict in twins.items()},
            "unsound": any(verdict.status is Status.PROVED for verdict in found.values()),
            "opaque": next(iter(twins.values())).opaque,
        },
    )


def _proof(piece: Piece, seconds: float | None, folder: Path) -> Result:
    """Every order, if that can be done in the time."""
    verdict = prove(piece.name, piece.executions if seconds is None else min(seconds, piece.executions))
    failure = verdict.failure
    family, program = PROOFS[piece.name]
    return Result(
        piece.key,
        piece.executions,
        failure is None,
        str(verdict) if failure is None else str(failure.exception).partition("\n")[0],
        verdict.seconds,
        verdict.executions,
        verdict.behaviours,
        verdict.status.value,
        cut=verdict.status is Status.INCONCLUSIVE,
        token="" if failure is None else failure.token,
        left=leave(verdict, family.scenario_of(program), folder, slug(piece)) if failure else (),
        counts={**verdict.reduction, "assumptions": verdict.assumptions, "opaque": verdict.opaque},
    )


def _count(piece: Piece) -> Result:
    """A program of the literature: as many executions as it has partial orders, none of them twice or in vain."""
    began = time.perf_counter()
    program, count = LARGE[piece.name]
    found = reduced(program, {})
    ok = found.executions == len(found.classes) == count and found.redundant == 0
    told = f"{found.executions} executions, {len(found.classes)} classes, {found.redundant} given up"
    return Result(
        piece.key,
        0,
        ok,
        told,
        time.perf_counter() - began,
        found.executions,
        len(found.classes),
        "counted" if ok else "wrong",
        counts={"known": count},
    )


def _mutant(piece: Piece) -> Result:
    """A change of the runtime, which its scenario has to notice."""
    found = judge(BY_NAME[piece.name])
    status = "killed" if found.killed else found.status
    return Result(piece.key, 0, found.killed, found.how, found.seconds, found.executions, status=status)


def _replayed(scenario: Scenario, verdict: Verdict) -> bool:
    return verdict.failure is not None and _replays(scenario, verdict)


def _programs(piece: Piece, seconds: float | None) -> Result:
    """Random programs by reduction and by brute force: the same partial orders, each of them once."""
    began = time.perf_counter()
    programs = PROGRAMS[piece.part]
    low, high = programs.orders
    counts = dict.fromkeys(["programs", "given up", "interleavings", "classes", "reduced", "redundant"], 0)
    wrong, cut = [], False
    for seed in range(piece.executions, piece.last):
        program = generate(seed, programs.family)
        if not low < interleavings_min(program) <= high:
            continue
        if seconds is not None and time.perf_counter() - began >= seconds:
            cut = True
            break
        try:
            told = _compare(program, counts, programs)
        except TooManyError:
            counts["given up"] += 1
            continue
        counts["programs"] += 1
        if told:
            wrong.append(f"seed {seed}: {told}; the program is {program!r}")
    return Result(
        piece.key,
        piece.executions,
        not wrong,
        "; ".join(wrong) or "agreed",
        time.perf_counter() - began,
        counts["interleavings"] + counts["reduced"],
        status="wrong" if wrong else "agreed",
        cut=cut,
        counts=counts,
    )


def _compare(program: Program, counts: dict[str, int], programs: Programs) -> str:
    """What is wrong, or nothing."""
    outcomes: dict[str, None] = {}
    scenario, most, timers = scenario_of(program, outcomes), programs.interleavings_max, programs.timers
    every = brute(scenario, outcomes, most, timers=timers)
    plain = naive(scenario, outcomes, PLAIN_TIMES * most, timers=timers)
    few = reduced(scenario, outcomes, timers=timers)
    source = reduced(scenario, outcomes, source=True, timers=timers)
    counts["interleavings"] += every.executions
    counts["classes"] += len(every.classes)
    counts["reduced"] += few.executions
    counts["redundant"] += few.redundant
    if plain.endings != every.endings:
        return f"endings differ on the plain loop: {sorted(plain.endings ^ every.endings)!r}"
    told = disagreement(source, every)
    return disagreement(few, every) or (told and f"source sets: {told}")
