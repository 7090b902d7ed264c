"""The commands, their options, and what surrounds them all."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import click

from liveproof.cli.endings import EXIT_CODES, Exit, Outcome, RefusedError, ending_of
from liveproof.cli.interrupts import Interrupts
from liveproof.cli.listing import list_apps, show_components
from liveproof.cli.output import Output
from liveproof.cli.running import Command, in_environment, require_confirmable
from liveproof.environment import Environment
from liveproof.inspection import store_path
from liveproof.loading import apps_in, load_app, load_module, parse_target
from liveproof.settings import Settings

__all__ = ["cli", "main"]

PLUGINS = "liveproof.commands"
"""Entry points that add commands."""

Body = Callable[[Output, Interrupts, dict[str, Any]], Outcome]


class _Group(click.Group):
    """With the commands of other packages, which are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(dict.fromkeys([*super().list_commands(ctx), *entry_points(group=PLUGINS).names]))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        own = super().get_command(ctx, cmd_name)
        if own is None:
            for entry in entry_points(group=PLUGINS, name=cmd_name):
                loaded: click.Command = entry.load()
                return loaded
        return own


@click.group(cls=_Group, epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(None, "-V", "--version", package_name="liveproof", prog_name="liveproof")
def cli() -> None:
    """Run live components, and see what they have done.

    APP_TARGET is path/to/app.py or a module, followed by :app if there are several; app is the name of the
    variable, or of the app itself.
    """


def _carry_out(body: Body, *, as_json: bool, quiet: bool, debug: bool) -> int:
    """Run the body of a command; turn whatever happens into its exit code and last words."""
    with Output(as_json=as_json, quiet=quiet, debug=debug) as out, Interrupts(out.say) as interrupts:
        data: dict[str, Any] = {}
        try:
            outcome = body(out, interrupts, data)
        except click.Abort as exc:  # the end of input at a question, or Ctrl-C
            refused = exc if interrupts.received else RefusedError("not confirmed; nothing was changed")
            outcome = ending_of(refused, interrupts.received, data)
        except BrokenPipeError:  # whoever read our lines has seen enough
            outcome = Outcome()
        except BaseException as exc:  # noqa: BLE001 - raised again, if it means nothing to anybody
            outcome = ending_of(exc, interrupts.received, data)
        return out.end(outcome)


_TARGET = click.argument("app_target")
_QUIET = click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Write JSON Lines, and nothing else, to stdout.")
_DEBUG = click.option("--debug", is_flag=True, help="Show the traceback of an error.")
_FORCE = click.option("-f", "--force", is_flag=True, help="Do not ask.")
_DB = click.option("--db", type=click.Path(path_type=Path), help="The store's file, instead of an app's.")
_INTERVAL = click.option(
    "--interval",
    type=click.FloatRange(min=0),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="How often to report progress at most, where it is not drawn.",
)


@cli.command(epilog=EXIT_CODES)
@_TARGET
@click.option("-L", "--live", is_flag=True, help="Go on after the catch-up, until Ctrl-C.")
@click.option("--full-reprocess", is_flag=True, help="Use no memo, and apply every target state again.")
@click.option("--reset", is_flag=True, help="Drop the app first.")
@_FORCE
@_INTERVAL
@_QUIET
@_JSON
@_DEBUG
def update(
    app_target: str,
    live: bool,
    full_reprocess: bool,
    reset: bool,
    force: bool,
    interval: float,
    quiet: bool,
    as_json: bool,
    debug: bool,
) -> int:
    """Process what has changed, and bring the targets in line."""

    def body(out: Output, interrupts: Interrupts, data: dict[str, Any]) -> Outcome:
        if reset:
            require_confirmable(force, "--reset")
        app = load_app(app_target)
        out.log_to_stderr()
        command = Command(app, out, interrupts, timedelta(seconds=interval), data)
        return command.update(live=live, full_reprocess=full_reprocess, reset=reset, force=force)

    return _carry_out(body, as_json=as_json, quiet=quiet, debug=debug)


@cli.command(epilog=EXIT_CODES)
@_TARGET
@_FORCE
@_INTERVAL
@_QUIET
@_JSON
@_DEBUG
def drop(
    app_target: str, force: bool, interval: float, quiet: bool, as_json: bool, debug: bool
) -> int:
    """Remove an app's target states, and all that is known of it."""

    def body(out: Output, interrupts: Interrupts, data: dict[str, Any]) -> Outcome:
        require_confirmable(force, "drop")
        app = load_app(app_target)
        out.log_to_stderr()
        return Command(app, out, interrupts, timedelta(seconds=interval), data).drop(force=force)

    return _carry_out(body, as_json=as_json, quiet=quiet, debug=debug)


async def _its_store(env: Environment) -> Path:
    return store_path(env)


@cli.command(epilog=EXIT_CODES)
@click.argument("app_target", required=False)
@_DB
@_JSON
@_DEBUG
def ls(app_target: str | None, db: Path | None, as_json: bool, debug: bool) -> int:
    """List the apps of a store.

    That of APP_TARGET, with the apps that it defines and that were never updated (its lifespan runs, because
    it may choose the store); that of --db, which needs no app; else $LIVEPROOF_DB or .liveproof/state.db.
    """

    def body(out: Output, interrupts: Interrupts, data: dict[str, Any]) -> Outcome:
        stores: dict[Path, dict[str, list[str]]] = {}
        if app_target is None:
            stores[Settings.from_env(db).resolve(None)] = {}
        else:
            target = parse_target(app_target)
            apps = apps_in(load_module(target))
            if target.name is not None:
                chosen = load_app(app_target)
                apps = {variable: app for variable, app in apps.items() if app is chosen}
            for variable, app in apps.items():
                path = db.absolute() if db else in_environment(app, interrupts, _its_store)
                stores.setdefault(path, {}).setdefault(app.name, []).append(variable)
        data["apps"] = list_apps(out, stores, required=app_target is None)
        return Outcome(data=data)

    return _carry_out(body, as_json=as_json, quiet=False, debug=debug)


@cli.command(epilog=EXIT_CODES)
@click.argument("app_target", required=False)
@click.argument("stable_path", required=False)
@_DB
@click.option("--app-name", help="Which app of the store, with --db.")
@click.option("--tree/--flat", default=True, help="As a tree (the default), or with full paths.")
@click.option("--target-states/--no-target-states", default=True, help="With what each component owns.")
@click.option("-l", "--long", is_flag=True, help="With full paths and who mounted what.")
@_JSON
@_DEBUG
def show(
    app_target: str | None,
    stable_path: str | None,
    db: Path | None,
    app_name: str | None,
    tree: bool,
    target_states: bool,
    long: bool,
    as_json: bool,
    debug: bool,
) -> int:
    """Show an app's components and their target states, all or those below STABLE_PATH.

    With --db there is no APP_TARGET. A target state is "certain", or in doubt since an interrupted update:
    the next one settles it. The store is only read, and may be in use.
    """

    def body(out: Output, interrupts: Interrupts, data: dict[str, Any]) -> Outcome:
        store, app, below = db, app_name, stable_path
        if store is not None or app_target is None:
            below = app_target or stable_path
            if app_target is not None and stable_path is not None:
                raise RefusedError("--db takes the place of APP_TARGET: leave one of them out")
            store = Settings.from_env(store).resolve(None)
        else:
            loaded = load_app(app_target)
            app = loaded.name
            store = in_environment(loaded, interrupts, _its_store)
        shown = show_components(
            out, store, app, below or "/", tree=tree, targets=target_states, long=long
        )
        if isinstance(shown, str):
            raise RefusedError(shown)
        data |= {"app": app, "store": str(store), "components": shown}
        return Outcome(data=data)

    return _carry_out(body, as_json=as_json, quiet=False, debug=debug)


def main() -> int:
    """Run the command that ``sys.argv`` names; returns its exit code."""
    try:
        code = cli.main(standalone_mode=False)
    except click.ClickException as exc:
        exc.show()
        return int(Exit.USAGE)
    except (click.Abort, KeyboardInterrupt):
        return int(Exit.INTERRUPTED)
    return code if isinstance(code, int) else int(Exit.SUCCESS)
