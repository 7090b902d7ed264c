"""Turn measurements into the page ``reports/benchmarks.md``."""

from __future__ import annotations

import statistics
from typing import Any

import programs

__all__ = ["missed", "render", "unmeasured"]

OURS, REFERENCE = "liveproof", "cocoindex"
MEMORY_MAX_BYTES = 1_000_000_000
"""The demand: less than 1 GB at 100 000 components."""

Measurement = dict[str, Any]


def _of(report: Measurement, row: str, module: str) -> list[Measurement]:
    """The measurements of one row, in the order of the rounds."""
    return [m for m in report["measurements"] if m["row"] == row and m["module"] == module]


def _good(measurements: list[Measurement]) -> list[Measurement]:
    return [m for m in measurements if "ns" in m]


def _median_ns(measurements: list[Measurement]) -> float | None:
    good = _good(measurements)
    return statistics.median(m["ns"] for m in good) if good else None


def _ratio(report: Measurement, row: str) -> float | None:
    reference, ours = (_median_ns(_of(report, row, module)) for module in (REFERENCE, OURS))
    return reference / ours if reference and ours else None


def _round_ratios(report: Measurement, row: str) -> list[float]:
    by_round: dict[int, dict[str, float]] = {}
    for module in (REFERENCE, OURS):
        for m in _good(_of(report, row, module)):
            by_round.setdefault(m["round"], {})[module] = m["ns"]
    return [both[REFERENCE] / both[OURS] for both in by_round.values() if len(both) == 2]


def missed(report: Measurement) -> list[str]:
    """What was demanded and is not so, in sentences."""
    found = []
    for row, spec in programs.ROWS.items():
        ratio = _ratio(report, row)
        if spec.wanted and ratio is not None and ratio < spec.wanted:
            found.append(f"{spec.title}: {ratio:.2f} times less, wanted {spec.wanted:g}")
        for m in _of(report, row, OURS):
            if "ns" not in m:
                found.append(f"{spec.title}, round {m['round']}: {m['error']}")
            elif m["late"] or m["lost"] or m.get("needless_actions"):
                found.append(f"{spec.title}, round {m['round']}: target was wrong: {_work(m)}")
    for m in _good(_of(report, "scale", OURS)):
        if m["peak_bytes"] >= MEMORY_MAX_BYTES:
            found.append(f"{m['operations']} components took {m['peak_bytes'] / 1e6:.0f} MB")
    return found


def unmeasured(report: Measurement) -> list[str]:
    """What was demanded and cannot be judged, because it was not measured."""
    found = [
        spec.title for row, spec in programs.ROWS.items() if spec.wanted is not None and _ratio(report, row) is None
    ]
    if not any(m["operations"] >= 100_000 for m in _good(_of(report, "scale", OURS))):
        found.append("memory at 100 000 components")
    return found


def _work(m: Measurement) -> str:
    parts = [f"late {m['late']}"] if m["late"] else []
    parts += [f"lost {m['lost']}"] if m["lost"] else []
    parts += [f"needless {m['needless_actions']:.0f}"] if m.get("needless_actions") else []
    return ", ".join(parts)


def _number(x: float) -> str:
    return f"{x:,.0f}".replace(",", " ")


def _cost(measurements: list[Measurement]) -> str:
    """``4 244 ms (424 µs each)``, and what went wrong, if anything did."""
    median = _median_ns(measurements)
    bad = [m["error"] for m in measurements if "ns" not in m]
    if median is None:
        return f"**{bad[0]}**" if bad else "not measured"
    operations = _good(measurements)[0]["operations"]
    each = median / operations / 1000
    text = f"{_number(median / 1e6)} ms ({each:.{0 if each >= 10 else 1}f} µs each)"
    worst = max(_good(measurements), key=lambda m: (m["lost"], m["late"]))
    if work := _work(worst):
        text += f" **{work}**"
    return text + (f" **{len(bad)} failed: {bad[0]}**" if bad else "")


def _cpu(measurements: list[Measurement]) -> str:
    """Median processor time of one operation, all threads."""
    good = _good(measurements)
    if not good:
        return "–"
    each = statistics.median(m["cpu_ns"] / m["operations"] for m in good) / 1000
    return f"{each:.0f} µs"


def _comparison(report: Measurement) -> list[str]:
    lines = [
        "| row | n | cocoindex | liveproof | times less | over the rounds | wanted | CPU each |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row, spec in programs.ROWS.items():
        ours, reference = _of(report, row, OURS), _of(report, row, REFERENCE)
        if row == "scale" or not (ours or reference):
            continue
        ratio, ratios = _ratio(report, row), _round_ratios(report, row)
        times = over = "–"
        if ratio is not None:
            short = spec.wanted is not None and ratio < spec.wanted
            times = f"{ratio:.1f} (missed)" if short else f"**{ratio:.1f}**"
            over = f"{min(ratios):.1f} – {max(ratios):.1f}" if ratios else "–"
        wanted = "–" if spec.wanted is None else f"≥ {spec.wanted:g}"
        n = next(m["operations"] for m in _good(ours + reference)) if _good(ours + reference) else spec.n
        lines.append(
            f"| {spec.title} | {_number(n)} | {_cost(reference)} | {_cost(ours)} "
            f"| {times} | {over} | {wanted} | {_cpu(reference)} : {_cpu(ours)} |"
        )
    return lines


def _scale(report: Measurement) -> list[str]:
    lines: list[str] = []
    for module in (OURS, REFERENCE):
        measurements = sorted(_good(_of(report, "scale", module)), key=lambda m: m["operations"])
        if not measurements:
            continue
        lines += [
            "",
            f"{module}, components mounted by one app, one entry each; a fresh process per line:",
            "",
            "| components | first scan | µs each | re-scan | µs each | peak memory | of it, imports |",
            "|--:|--:|--:|--:|--:|--:|--:|",
        ]
        for m in measurements:
            n, ns, again = m["operations"], m["ns"], m["rescan_ns"]
            lines.append(
                f"| {_number(n)} | {ns / 1e9:.2f} s | {ns / n / 1000:.0f} | {again / 1e9:.2f} s "
                f"| {again / n / 1000:.0f} | {m['peak_bytes'] / 1e6:.0f} MB "
                f"| {m['imported_bytes'] / 1e6:.0f} MB |"
            )
    return lines


def _flushes(report: Measurement) -> str:
    counted = {k: v for k, v in report["flushes"].items() if v is not None}
    if not counted:
        return "Flushes per sequential update were not counted (no strace here)."
    listed = ", ".join(f"{module} {count:.1f}" for module, count in counted.items())
    return (
        f"Waits for the device per sequential update, counted with strace (syncs, and writes to files "
        f"opened with `O_DSYNC`): {listed}."
    )


def render(report: Measurement) -> str:
    """The whole page."""
    versions = ", ".join(f"{module} {version}" for module, version in report["versions"].items())
    lines = [
        "# Benchmarks",
        "",
        f"Measured on {report['date']} with {versions}, medians of {report['rounds']} rounds in one run. "
        "Written by `tests/benchmarks/compare.py`; do not edit.",
        "",
    ]
    if REFERENCE not in report["versions"]:
        lines += ["**cocoindex was not measured, so there is nothing to compare with.** "
                  "Install the `bench` extra.", ""]  # fmt: skip
    lines += _comparison(report)
    wrong = [m for m in _good(report["measurements"]) if _work(m)]
    lines += ["", f"Targets were wrong in {len(wrong)} of {len(report['measurements'])} measurements."]
    shortfalls, unknown = missed(report), unmeasured(report)
    if shortfalls:
        lines += ["", "Not met:", "", *(f"- {sentence}" for sentence in shortfalls)]
    if unknown:
        lines += ["", f"Not judged, because not measured in this run: {'; '.join(unknown)}."]
    if not shortfalls and not unknown:
        lines += ["", "Every demand was met."]
    lines += ["", "## Scale", *_scale(report), "", "## Machine", "", "| fact | value |", "|---|---|"]
    lines += [f"| {fact} | {text} |" for fact, text in report["machine"].items()]
    lines += [
        f"| load average | {report['load'][0]:.1f} at the start, {report['load'][1]:.1f} at the end |",
        "",
        _flushes(report),
        "",
        "## How",
        "",
        "```console",
        '$ pip install -e ".[bench]"',
        f"$ {report['command']}",
        "```",
        "",
        "- **Same program.** `tests/benchmarks/programs.py` is run against either module, passed in as an "
        "argument; in-flight limits and everything else are each library's defaults.",
        "- **Same durability.** Both make an update durable before `ready()` returns, on the same disk. "
        "`durability='process'` (survives a crash of the process, not a power cut) is a setting of "
        "liveproof; its row has the reference at its own default beside it, since it has no such setting.",
        "- **Fresh.** Each measurement has its own process and its own store; the two libraries take turns; "
        "file systems are synced before each. The clock runs round the work alone: imports, opening "
        "the store and preparing children are outside of it.",
        "- **Checked.** The target is a dictionary behind an asynchronous sink. Its contents are compared "
        "with what they should be when the last `ready()` has returned (*late*: entries wrong then) and "
        "after the app has ended (*lost*: entries wrong for good). A re-scan must call no sink (*needless*: "
        "actions that it asked for).",
        "- **Ratios** are of the medians; *over the rounds* has the smallest and largest ratio of one round. "
        "*CPU each* is processor time of all threads per operation, cocoindex : liveproof: other load on the "
        "machine disturbs it less than the clock, though it does.",
        "",
        "## To keep in mind",
        "",
        "- The components do nothing but declare one entry, so this is the cost of the library itself. With "
        "real work in the components the difference shrinks accordingly.",
        "- liveproof runs on the event loop's one thread; the reference uses several, and so suffers "
        "more on a machine with few cores or other load.",
        "- While it runs, liveproof has Python's cyclic garbage collector look less often, for the whole process, "
        "unless the application has set thresholds of its own; that is its default, so it is in these numbers.",
        "- Peak memory includes the target itself, some 25 MB at 100 000 entries.",
        "- A component's sink calls are batched as each library sees fit. The sequential row is bound "
        "by disk flushes, and another disk gives another ratio.",
    ]
    return "\n".join(lines) + "\n"
