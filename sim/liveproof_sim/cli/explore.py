"""``liveproof explore path.py::scenario``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from liveproof_sim.check import check
from liveproof_sim.cli.endings import EXIT_CODES, one_line_errors
from liveproof_sim.explore.scenario import find
from liveproof_sim.report import as_json, page
from liveproof_sim.trace import dump

__all__ = ["explore"]


@click.command(epilog=EXIT_CODES)
@click.argument("scenario")
@click.option("--strategy", metavar="NAME", help="Such as portfolio (the default), dfs or pct:depth=3.")
@click.option("--executions", type=click.IntRange(min=1), metavar="N", help="How many at most.")
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), metavar="S", help="How long at most.")
@click.option("--seed", type=int, metavar="N", help="Where the search starts.")
@click.option("--fidelity", metavar="NAME", help="any-order (the default) or fifo.")
@click.option("--timers", metavar="NAME", help="late (the default) or discrete.")
@click.option("--workers", type=click.IntRange(min=1), metavar="N", help="How many processes (1).")
@click.option("--resume", type=click.Path(dir_okay=False, path_type=Path), help="Go on from there, and stop there.")
@click.option("--why", is_flag=True, default=None, help="Say what made dpor run what it ran.")
@click.option("--trace", "trace_file", type=click.Path(path_type=Path), help="Write a failure's trace there.")
@click.option("--html", "html_file", type=click.Path(path_type=Path), help="Write the report there.")
@click.option("--json", "json_too", is_flag=True, help="Write the verdict as JSON, and nothing else.")
def explore(
    scenario: str,
    trace_file: Path | None,
    html_file: Path | None,
    json_too: bool,
    **options: Any,
) -> int:
    """Run SCENARIO in many orders: path/to/file.py::name or module:name.

    It is an async function of no argument or of a World; of a test made with @explore, its own options hold
    where none are given here.

    On a terminal a line shows how far it is. Of a search that has an end (dpor) it also says how many executions are
    left, as far as is known: what is to be run from a step is taken to have equal parts, and more may be found.
    """
    with one_line_errors():
        found = find(scenario)
        given = {name: value for name, value in options.items() if value is not None}
        if "seconds" in given:
            given.setdefault("executions", None)
        verdict = check(found.scenario, **{"progress": True, **found.options, **given})
    failure = verdict.failure
    command = ""
    if failure is not None and failure.trace is not None and trace_file is not None:
        trace_file.write_text(dump(failure.trace), encoding="utf-8")
        command = f"liveproof replay {trace_file}"
    elif failure is not None:
        command = f"liveproof replay {failure.token} {scenario}"
    if html_file is not None:
        html_file.write_text(page(verdict, scenario, command=command), encoding="utf-8")
    if json_too:
        click.echo(as_json(verdict, scenario))
        return verdict.exit_code
    click.echo(f"{scenario}: {verdict}")
    if verdict.why:
        click.echo(f"\n{verdict.why}")
    if failure is not None:
        click.echo(f"\n{failure.report.rpartition(chr(10) + 'again: ')[0]}\nagain: {command}")
    return verdict.exit_code
