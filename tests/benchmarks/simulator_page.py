"""Turn measurements into the page ``reports/simulator-speed.md``."""

from __future__ import annotations

import statistics
from typing import Any

import reduction_page
from races import RACES

__all__ = ["missed", "render"]

SPEED_UP_MIN = 8000
SET_UP_MAX_S = 100e-6

Measurement = dict[str, Any]


def _number(x: float) -> str:
    return f"{x:,.0f}".replace(",", " ")


def missed(report: Measurement) -> list[str]:
    """What was demanded and is not so, in sentences."""
    found = []
    for row in report["ratios"]:
        ratio = statistics.median(row["ratios"])
        if ratio < row["wanted"]:
            found.append(f"{row['title']}: {ratio:.2f} × stock, wanted {row['wanted']:.2f}")
    speed_up, set_up = report["absolutes"]["speed_up"], report["absolutes"]["set_up_s"]
    if speed_up < SPEED_UP_MIN:
        found.append(f"virtual/wall: {_number(speed_up)}, wanted {_number(SPEED_UP_MIN)}")
    if set_up > SET_UP_MAX_S:
        found.append(f"set-up: {set_up * 1e6:.0f} µs, wanted {SET_UP_MAX_S * 1e6:.0f}")
    return found + reduction_page.missed(report["reduction"])


def _mark(value: str, *, met: bool) -> str:
    return f"**{value}**" if met else f"{value} (missed)"


def _demands(report: Measurement) -> list[str]:
    lines = [
        "| program | stock asyncio | simulated | × stock | over the rounds | wanted |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for row in report["ratios"]:
        ratio = statistics.median(row["ratios"])
        lines.append(
            f"| {row['title']} | {row['stock_s'] * 1e6:.0f} µs | {row['simulated_s'] * 1e6:.0f} µs "
            f"| {_mark(f'{ratio:.2f}', met=ratio >= row['wanted'])} "
            f"| {min(row['ratios']):.2f} – {max(row['ratios']):.2f} | ≥ {row['wanted']:.2f} |"
        )
    speed_up, set_up = report["absolutes"]["speed_up"], report["absolutes"]["set_up_s"]
    return [
        *lines,
        "",
        "| | measured | wanted |",
        "|---|--:|--:|",
        "| virtual time per wall time, 10 tasks × 3600 heartbeats of a second "
        f"| {_mark(_number(speed_up), met=speed_up >= SPEED_UP_MIN)} | ≥ {_number(SPEED_UP_MIN)} |",
        "| one execution of an empty scenario, all included "
        f"| {_mark(f'{set_up * 1e6:.0f} µs', met=set_up <= SET_UP_MAX_S)} | ≤ {SET_UP_MAX_S * 1e6:.0f} µs |",
    ]


def _throughput(contest: list[Measurement]) -> list[str]:
    lines = [
        "| simulator | two tasks and a lock, executions/s | 10 × 100 yields, task steps/s | virtual/wall |",
        "|---|--:|--:|--:|",
    ]
    for one in contest:
        if "missing" in one:
            lines.append(f"| {one['name']} | not measured: {one['missing']} | | |")
            continue
        speed_up = _number(one["speed_up"]) if "speed_up" in one else "1"
        steps, executions = _number(one["steps_per_s"]), _number(one["executions_per_s"])
        lines.append(f"| {one['name']} | {executions} | {steps} | {speed_up} |")
    return lines


def _found(found: list[int | None]) -> str:
    """The median, and how many of the explorations found the bug if not all did."""
    numbers = [each for each in found if each is not None]
    if not numbers:
        return f"0/{len(found)}"
    median = f"{statistics.median(numbers):g}"
    return median if len(numbers) == len(found) else f"{len(numbers)}/{len(found)}, {median}"


def _races(contest: list[Measurement]) -> list[str]:
    lines = [f"| simulator | {' | '.join(RACES)} |", "|---|" + "--:|" * len(RACES)]
    for one in contest:
        if "races" in one:
            cells = " | ".join(_found(one["races"][race]["found"]) for race in RACES)
            lines.append(f"| {one['name']} | {cells} |")
    return lines


def _comparison(contest: list[Measurement]) -> list[str]:
    if not contest:
        return []
    python = next((one["python"] for one in contest if "python" in one), "")
    versions = dict.fromkeys(f"{one['module']} {one['version']}".strip() for one in contest if one.get("version"))
    return [
        "",
        "## Beside other simulators",
        "",
        f"All on CPython {python}, a process for each, through each one's own exploring function with its "
        f"defaults, which includes what an exploration does once: {', '.join(versions)}.",
        "",
        *_throughput(contest),
        "",
        "Executions until the bug was found: the median of those explorations that found it, with how many did "
        "if not all. Those that found none within 1000 executions, or had no more time, did not.",
        "",
        *_races(contest),
    ]


def render(report: Measurement) -> str:
    """The page."""
    short = missed(report)
    return "\n".join(
        [
            "# Speed of the simulator",
            "",
            f"Measured on {report['date']} with liveproof {report['revision']}, CPython {report['python']}, medians "
            f"of {report['rounds']} rounds in one run. Written by"
            " `tests/benchmarks/simulator_speed.py`; do not edit.",
            "",
            *_demands(report),
            "",
            *(["Not met:", "", *(f"- {each}" for each in short)] if short else ["All demands are met."]),
            *reduction_page.render(report["reduction"]),
            *_comparison(report["contest"]),
            "",
            "## Machine",
            "",
            "| fact | value |",
            "|---|---|",
            *(f"| {fact} | {text} |" for fact, text in report["machine"].items()),
            f"| load average | {report['load'][0]:.1f} at the start, {report['load'][1]:.1f} at the end |",
            "",
            "## How",
            "",
            "```console",
            "$ make bench",
            "```",
            "",
            "- **Side by side.** In each round stock asyncio and the simulator take turns, in one process. Stock is "
            "`asyncio.run` as it comes, with its collector; *× stock* is the median of the rounds' ratios.",
            "- **Processor time** is what is counted, everywhere: no program here waits for anything, so on an idle "
            "machine it is the wall's time, and other load on the machine disturbs it less.",
            "- **Reordering.** Every simulated run draws its orders; nothing is measured in the ordinary order. "
            "*checked* is through an exploration's whole machinery: fence, monitors, judgement, a new loop each; "
            "the other rows are a loop and a strategy. *traced* writes down every step with its names.",
            "- **The races** are those of `tests/benchmarks/races.py`: ordinary asyncio, wrong in some orders and "
            "right in stock asyncio's. No simulator shrinks here: only the search is measured.",
            "- `asyncio.run` of the table beside others is stock asyncio, which finds no bug and checks nothing.",
        ]
    ) + "\n"
