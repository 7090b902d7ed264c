"""``liveproof trace FILE``."""

from __future__ import annotations

import json

import click

from liveproof_sim.cli.endings import read_trace
from liveproof_sim.report.text import lanes
from liveproof_sim.trace import Event, Trace

__all__ = ["trace"]


@click.command()
@click.argument("file")
@click.option("-a", "--all", "everything", is_flag=True, help="Every step and draw, one a line.")
@click.option("-t", "--task", multiple=True, metavar="NAME", help="Only this task; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="Write events as JSON Lines, and nothing else.")
def trace(file: str, everything: bool, task: tuple[str, ...], as_json: bool) -> int:
    """Show what a trace file recorded: the rows that matter, or every step."""
    recorded = read_trace(file)
    there = dict.fromkeys(event.who for event in recorded.events)
    for name in task:
        if name not in there:
            raise click.ClickException(f"{file} has no task {name!r}: there are {', '.join(there)}")
    events = [event for event in recorded.events if not task or event.who in task]
    if as_json:
        for event in events:
            click.echo(json.dumps(event.as_dict(), ensure_ascii=False))
        return 0
    about = [recorded.about.get(name, "") for name in ("scenario", "library", "interpreter")]
    click.echo(f"{file}: {len(recorded.events)} events, {len(there)} names; ended as {recorded.outcome}")
    if any(about):
        click.echo(f"of {about[0]}, with liveproof {about[1]} on {about[2]}")
    click.echo()
    if everything:
        for event in events:
            click.echo(_line(event))
    else:
        for row in lanes(Trace(events)):
            click.echo(row)
    for who, place in recorded.pending:
        if not task or who in task:
            click.echo(f"not ended: {who} at {place!r}")
    return 0


def _line(event: Event) -> str:
    choice = f"  [{event.chosen} of {event.options}]" if event.options > 1 else ""
    before = f"  <- before {event.overtook}" if event.overtook else ""
    site = f" ({event.site})" if event.site else ""
    what = f"{event.who}: {event.place or event.kind}{site}{choice}{before}"
    return f"{event.step:6} {event.time_ns / 1e9:10.3f}  {what}"
