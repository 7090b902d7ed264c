"""The part of ``reports/simulator-speed.md`` that is about partial-order reduction."""

from __future__ import annotations

import statistics
from typing import Any

from races import RACES

__all__ = ["missed", "render"]

INDEPENDENT_MAX_S = 5e-3
GUARDED_MAX = 6
RUNTIME_MIN = 1 / 3
FRONTRUN_MIN = 20
RATED_MIN = 100
"""executions of both, from which on they are what takes the time, and not what an exploration does once"""


def _ratios(ones: list[float], others: list[float]) -> list[float]:
    return [one / other for one, other in zip(ones, others, strict=True)]


def _runtime(found: dict[str, Any]) -> list[float]:
    return _ratios(found["runtime_s"], found["runtime_reduced_s"])


def _times_faster(row: dict[str, Any]) -> list[float]:
    """To the end of the program."""
    return _ratios(row["their_seconds"], row["our_seconds"])


def _rates(row: dict[str, Any]) -> list[float]:
    """Executions per second, by those of frontrun."""
    return [ratio * row["ours"] / row["theirs"] for ratio in _times_faster(row)]


def _rated(row: dict[str, Any]) -> bool:
    return bool(min(row["ours"], row["theirs"]) >= RATED_MIN)


def missed(found: dict[str, Any]) -> list[str]:
    """What was demanded and is not so, in sentences."""
    wrong = []
    if found["independent_executions"] != 1:
        wrong.append(f"independent 3 × 3: {found['independent_executions']} executions, wanted 1")
    if found["independent_s"] > INDEPENDENT_MAX_S:
        wrong.append(f"independent 3 × 3: {found['independent_s'] * 1e3:.1f} ms, wanted 5")
    if found["guarded_executions"] > GUARDED_MAX:
        wrong.append(f"guarded increments: {found['guarded_executions']} executions, wanted at most {GUARDED_MAX}")
    if (ratio := statistics.median(_runtime(found))) < RUNTIME_MIN:
        wrong.append(f"the runtime, instrumented: {ratio:.2f} × as many executions, wanted {RUNTIME_MIN:.2f}")
    for name, row in found.get("duel", {}).get("rows", {}).items():
        if _rated(row) and (ratio := statistics.median(_rates(row))) < FRONTRUN_MIN:
            wrong.append(f"{name}: {ratio:.1f} × the executions per second of frontrun, wanted {FRONTRUN_MIN}")
    return wrong


def _mark(value: str, *, met: bool) -> str:
    return f"**{value}**" if met else f"{value} (missed)"


def _demands(found: dict[str, Any]) -> list[str]:
    ratios = _runtime(found)
    once, ratio = found["independent_s"], statistics.median(ratios)
    executions, guarded = found["independent_executions"], found["guarded_executions"]
    return [
        "| | measured | wanted |",
        "|---|--:|--:|",
        "| 3 tasks × 3 steps that share nothing, executions "
        f"| {_mark(str(executions), met=executions == 1)} | 1 |",
        "| that execution, and the search "
        f"| {_mark(f'{once * 1e3:.2f} ms', met=once <= INDEPENDENT_MAX_S)} | ≤ 5 ms |",
        f"| `check` of it, with all that is done once | {found['check_s'] * 1e3:.1f} ms | |",
        "| two guarded increments, executions "
        f"| {_mark(str(guarded), met=guarded <= GUARDED_MAX)} | ≤ {GUARDED_MAX} |",
        f"| the runtime, {found['runtime_steps']} steps: executions per second instrumented, of those without "
        f"| {_mark(f'{ratio:.2f}', met=ratio >= RUNTIME_MIN)} ({min(ratios):.2f} – {max(ratios):.2f}) | ≥ 1/3 |",
    ]


def _beside(duel: dict[str, Any]) -> list[str]:
    if "missing" in duel:
        return ["", f"Side by side with frontrun: not measured: {duel['missing']}"]
    lines = [
        "",
        f"Side by side with frontrun {duel['version']}, on CPython {duel['python']}: both in one process, in turn, "
        "each until it has exhausted the program, by reduction, without a bound. What an exploration does once is "
        "included: in small programs it is most of the time.",
        "",
        "| program | executions | of frontrun | ms in all | of frontrun | × faster | over the rounds "
        "| executions/s × frontrun's |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for name, row in duel["rows"].items():
        faster, rate = _times_faster(row), statistics.median(_rates(row))
        ours, theirs = (1e3 * statistics.median(row[whose]) for whose in ("our_seconds", "their_seconds"))
        lines.append(
            f"| {name} | {row['ours']} | {row['theirs']} | {ours:.1f} | {theirs:.1f} "
            f"| {statistics.median(faster):.1f} | {min(faster):.1f} – {max(faster):.1f} "
            f"| {_mark(f'{rate:.1f}', met=rate >= FRONTRUN_MIN) if _rated(row) else f'({rate:.1f})'} |"
        )
    return [
        *lines,
        "",
        f"Wanted: at least {FRONTRUN_MIN} times as many executions per second. In parentheses: one of the two has "
        f"fewer than {RATED_MIN} of them, so that no rate can be told from what is done once. frontrun runs "
        "*check, then act* once, though its result depends on the order.",
    ]


def _spaces(spaces: list[dict[str, Any]]) -> list[str]:
    lines = [
        "",
        "Executions until a program of `tests/benchmarks/races.py` is exhausted, its assertion left out; *>*: cut "
        "before that; *†*: stopped there, at a deadlock.",
        "",
        f"| search | {' | '.join(RACES)} |",
        "|---|" + "--:|" * len(RACES),
    ]
    signs = {"exhausted": "", "cut": "> ", "stopped": "† "}
    for one in spaces:
        if "missing" in one:
            lines.append(f"| {one['name']} | not measured: {one['missing']} |" + " |" * (len(RACES) - 1))
            continue
        cells = [signs[ended] + str(executions) for executions, ended in map(one["spaces"].get, RACES)]
        lines.append(f"| {one['name']} | {' | '.join(cells)} |")
    return lines


def render(found: dict[str, Any]) -> list[str]:
    """The lines of the section."""
    lines = ["", "## Partial-order reduction", "", *_demands(found)]
    if "duel" in found:
        lines += _beside(found["duel"])
        lines += _spaces(found["spaces"])
    return lines
