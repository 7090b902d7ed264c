"""``liveproof replay FILE`` and ``liveproof replay TOKEN SCENARIO``."""

from __future__ import annotations

import click

from liveproof_sim.check import replay as run_again
from liveproof_sim.cli.endings import EXIT_CODES, one_line_errors, read_trace
from liveproof_sim.errors import ReplayError, ScenarioError
from liveproof_sim.explore.scenario import find
from liveproof_sim.explore.verdict import EXIT_CODES as CODES
from liveproof_sim.explore.verdict import Status
from liveproof_sim.kernel.tape import PREFIX
from liveproof_sim.trace import Trace

__all__ = ["replay"]


@click.command(epilog=EXIT_CODES)
@click.argument("tape", metavar="FILE|TOKEN")
@click.argument("scenario", required=False)
def replay(tape: str, scenario: str | None) -> int:
    """Run once what a trace file or a token recorded, and say whether it fails in the same way.

    A file knows its SCENARIO; a token needs it: path/to/file.py::name or module:name.
    """
    recorded, is_file = Trace(token=tape), not tape.startswith(PREFIX)
    if is_file:
        recorded = read_trace(tape)
        scenario = scenario or recorded.about.get("scenario")
        if not recorded.token:
            raise click.ClickException(f"{tape} has no token: only the trace of a failure can be replayed")
    if not scenario:
        what = "this file does not say what it recorded" if is_file else "a token does not name its scenario"
        raise click.ClickException(f"{what}: add path/to/file.py::name or module:name")
    with one_line_errors():
        try:
            verdict = run_again(find(scenario).scenario, recorded)
        except ReplayError as error:
            click.echo(f"{scenario}: {error}")
            return CODES[Status.INCONCLUSIVE]
        except ScenarioError as error:
            test = recorded.about.get("test")
            if test is None:
                raise
            message = f"{error}; it is a test: pytest '{test}' --sim-replay {tape}"
            raise click.ClickException(message) from error
    if verdict.failure is None:
        click.echo(f"{scenario}: what was recorded passes now")
        return verdict.exit_code
    click.echo(verdict.failure.report.rpartition("\nagain: ")[0])
    if not recorded.outcome:
        return verdict.exit_code
    if verdict.failure.signature == recorded.outcome:
        click.echo("It failed in the same way as recorded.")
    else:
        click.echo(f"It failed in another way than recorded, which was {recorded.outcome}.")
    return verdict.exit_code
