"""scheduler timers: add, enable, disable, reset, edit, rm.

The other subcommands are in list.py, show.py, run.py, rename.py, apply.py, changes.py, backfill.py and transfer.py.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import click

from ..core.timer import Timer
from ..core.timer_checks import check_new_names
from ..formats import display
from ..formats.changes import described
from ..formats.json import print_json, timer_json
from ..project.function_check import check_function
from ..project.project import Project, current_project
from ..project.serving_record import outdated_services
from ..project.suggestions import did_you_mean
from ..store.change_recording import Author, Way
from ..store.statistics import has_live_daemon
from ..store.stored_timer import StoredTimer
from ..store.timer_apply import ListEffect, WantedTimer, apply_timers
from ..store.timers import TimerTable
from .apply import apply_list
from .arguments import parse_instant, parse_params
from .backfill import backfill_timer
from .changes import show_history
from .list import list_timers
from .options import (
    end_option,
    environment_option,
    json_option,
    max_timers_option,
    store_option,
    target_option,
    why_option,
)
from .rename import copy_timer, rename_timer
from .run import run_timer
from .show import show_timer
from .timer_names import store_with_hints
from .timer_options import (
    DefinitionCommand,
    allow_past_option,
    attributes,
    changed_trigger,
    definition_options,
    new_trigger,
)
from .transfer import export_timers, import_timers

#: Other programs' words for commands.
_OTHER_WORDS = {"remove": "rm", "delete": "rm", "del": "rm", "ls": "list", "create": "add", "pause": "disable"}
_OTHER_WORDS |= {"resume": "enable", "trigger": "run", "update": "edit", "mv": "rename", "cp": "copy", "sync": "apply"}


class _Commands(click.Group):
    """The group; an error about an unknown command gets a hint."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands:
            meant = _OTHER_WORDS.get(args[0])
            hint = f"did you mean {meant!r}?" if meant else did_you_mean(args[0], self.commands)
            if hint:
                ctx.fail(f"no such command {args[0]!r}; {hint}")
        return super().resolve_command(ctx, args)


@click.group("timers", cls=_Commands)
def command() -> None:
    """Add, change and run timers."""


command.add_command(list_timers)
command.add_command(show_timer)
command.add_command(show_history)
command.add_command(rename_timer)
command.add_command(copy_timer)
command.add_command(apply_list)
command.add_command(backfill_timer)
command.add_command(run_timer)
command.add_command(import_timers)
command.add_command(export_timers)


def warn_of_outdated_services(project: Project) -> None:
    """Warn that a service of this project has not loaded the sources that this command has just loaded."""
    for sentence in outdated_services(project):
        click.echo(f"Warning: {sentence}", err=True)


def _now() -> datetime:
    return datetime.now(UTC)


def by_user(why: str) -> Author:
    """The user of this command, as the author of a change."""
    return Author.of_process(Way.COMMAND_LINE, why)


@command.command("add", cls=DefinitionCommand)
@click.argument("name")
@click.argument("pairs", nargs=-1, metavar="[KEY=VALUE]...")
@definition_options
@environment_option
@click.option("--enable", is_flag=True, help="Enable the timer at once.")
@allow_past_option
@click.option("--replace", is_flag=True, help="Replace a timer of that name; its runs are kept.")
@target_option
@click.option("--no-check", is_flag=True, help="Do not check the function and its parameters.")
@max_timers_option
@why_option
@store_option
@json_option
def add(*, name: str, pairs: tuple[str, ...], enable: bool, no_check: bool, as_json: bool, **given: Any) -> None:
    """Add a timer, disabled unless --enable is given.

    Parameters of the function follow the name: key=text, or key:=JSON as in n:=3.
    """
    params = parse_params(pairs, given["params"])
    if given["function"] is None:
        raise click.UsageError("a timer needs a function: --function NAME")
    project = current_project(store=given["store"], environment=given["environment"], max_timers=given["max_timers"])
    timer = Timer(
        name=name,
        environment=project.environment,
        enabled=enable,
        trigger=new_trigger(given, project.settings.tz, now=_now(), allow_past=given["allow_past"]),
        params=params,
        **attributes(given, given["tz"] or project.settings.tz, now=_now(), limit_s=project.settings.limit_s),
    )
    check_new_names(timer.name, timer.function)
    if not no_check:
        check_function(project, timer, given["target"])
    with project.open_or_create_store() as store:
        quota, by = project.settings.max_timers, by_user(given["why"])
        if given["replace"]:
            # Whether it is enabled stays as it is, unless --enable is given.
            applied = apply_timers(store, [WantedTimer(timer, enable)], now=_now(), quota=quota, by=by)
            entry = TimerTable(store).get(name, project.environment)
            is_new = any(each.effect is ListEffect.ADDED for each in applied.differences)
        else:
            (entry,), is_new = TimerTable(store).add([timer], now=_now(), quota=quota, by=by), True
        if as_json:
            print_json(timer_json(entry, project.settings.tz))
        elif not is_new:
            texts = [described(each.change) for each in applied.differences] or ["unchanged"]
            click.echo(f"{name}: {display.plain(texts[0])}{_next_fire(entry, project)}")
        else:
            assumed = given["tz"] in (None, "")
            _print_added(entry, project, assumed=assumed, daemon_runs=has_live_daemon(store))
    warn_of_outdated_services(project)


def _with_zone(schedule: str, entry: StoredTimer, project: Project, *, assumed: bool) -> str:
    """A schedule, with the origin of its zone if none was given."""
    zone = project.settings.default_zone
    shows = assumed and zone.whose and entry.timer.trigger.tz is not None
    return schedule.replace(f"({zone.name})", f"({zone})") if shows else schedule


def _print_added(entry: StoredTimer, project: Project, *, assumed: bool, daemon_runs: bool) -> None:
    timer = entry.timer
    schedule = _with_zone(str(timer.schedule), entry, project, assumed=assumed)
    click.echo(f"added {timer.name}: calls {timer.function} in {timer.environment}, {schedule}")
    if not timer.enabled:
        click.echo(f"it is disabled; enable it with:  {_enable_command(timer, project)}")
        return
    _print_enabled(entry, project, daemon_runs=daemon_runs)


def _print_enabled(entry: StoredTimer, project: Project, *, daemon_runs: bool) -> None:
    tz = display.zone_of(entry.timer, project.settings.tz)
    click.echo(f"enabled; fires next at {display.instant(entry.next_fire, tz)}")
    if not daemon_runs:
        click.echo(f"no daemon runs on this store; start one with:  {display.command('up')}", err=True)


def _enable_command(timer: Timer, project: Project) -> str:
    """The command that enables a timer, with this command's options for store and environment."""
    options = []
    for option, value in (("store", project.settings.store), ("environment", timer.environment)):
        if project.settings.origin(option).startswith("the option"):
            options += ["--store" if option == "store" else "--env", value]
    # The name may look like an option.
    named = (*options, "--", timer.name) if timer.name.startswith("-") else (timer.name, *options)
    return display.command("timers", "enable", *named)


@command.command("enable")
@click.argument("name")
@environment_option
@why_option
@store_option
@json_option
def enable_timer(*, name: str, environment: str | None, why: str, store: str | None, as_json: bool) -> None:
    """Enable a timer from now on, and close its breaker."""
    project = current_project(store=store, environment=environment)
    with store_with_hints(project) as opened:
        entry = TimerTable(opened).enable(name, project.environment, now=_now(), by=by_user(why))
        if as_json:
            print_json(timer_json(entry, project.settings.tz))
        else:
            _print_enabled(entry, project, daemon_runs=has_live_daemon(opened))


@command.command("disable")
@click.argument("name")
@environment_option
@end_option
@why_option
@store_option
@json_option
def disable_timer(
    *, name: str, environment: str | None, until: str | None, why: str, store: str | None, as_json: bool
) -> None:
    """Disable a timer; a run in progress continues. With --until, a daemon enables it again at that time."""
    project = current_project(store=store, environment=environment)
    end = None if until is None else parse_instant(until, project.settings.tz)
    with store_with_hints(project) as opened:
        entry = TimerTable(opened).disable(name, project.environment, now=_now(), by=by_user(why), until=end)
        tz = display.zone_of(entry.timer, project.settings.tz)
        shown = "" if end is None else f" until {display.instant(end, tz)}"
        _print_timer(entry, f"disabled {name}{shown}", project, as_json)


@command.command("reset", short_help="Close the breaker of a timer.")
@click.argument("name")
@environment_option
@why_option
@store_option
@json_option
def reset_timer(*, name: str, environment: str | None, why: str, store: str | None, as_json: bool) -> None:
    """Close the breaker of a timer, so that it runs at its next fire time."""
    project = current_project(store=store, environment=environment)
    with store_with_hints(project) as opened:
        entry = TimerTable(opened).reset(name, project.environment, now=_now(), by=by_user(why))
        _print_timer(entry, f"closed the breaker of {name}", project, as_json)


@command.command("edit", cls=DefinitionCommand, short_help="Change attributes of a timer.")
@click.argument("name")
@click.argument("pairs", nargs=-1, metavar="[KEY=VALUE]...")
@definition_options
@allow_past_option
@click.option("--rename", metavar="NAME", help="New name of the timer.")
@target_option
@click.option("--no-check", is_flag=True, help="Do not check a new function, and new parameters.")
@click.option(
    "--revision",
    type=int,
    metavar="N",
    help="Change it only if it still has this revision, as `timers show --json` says.",
)
@why_option
@environment_option
@store_option
@json_option
def edit_timer(
    *,
    name: str,
    pairs: tuple[str, ...],
    rename: str | None,
    no_check: bool,
    revision: int | None,
    why: str,
    as_json: bool,
    **given: Any,
) -> None:
    """Change the attributes of a timer that are given; parameters are replaced as a whole.

    The breaker is closed. A changed schedule counts from now on; otherwise a fire time that is due stays due.
    """
    project = current_project(store=given["store"], environment=given["environment"])
    with store_with_hints(project) as opened:
        kept = TimerTable(opened).get(name, project.environment).timer
        changes = attributes(given, given["tz"] or kept.trigger.tz or project.settings.tz, now=_now())
        new = changed_trigger(given, kept.trigger, project.settings.tz, now=_now(), allow_past=given["allow_past"])
        if new is not None:
            changes["trigger"] = new
        if pairs or given["params"] is not None:
            changes["params"] = parse_params(pairs, given["params"])
        if rename is not None:
            changes["name"] = rename
        if not changes:
            raise click.UsageError("nothing to change; give at least one option, as in --limit 30")
        if not no_check and changes.keys() & {"function", "params"}:
            named = {key: value for key, value in changes.items() if key in ("function", "params")}
            check_function(project, replace(kept, **named), given["target"], instead="change it")
        entry = TimerTable(opened).edit(
            name, project.environment, changes, now=_now(), by=by_user(why), expected=revision
        )
        _print_timer(
            entry, f"changed {entry.timer.name}: {', '.join(changes)}{_next_fire(entry, project)}", project, as_json
        )


def _next_fire(entry: StoredTimer, project: Project) -> str:
    """The next fire time of a timer; empty if it is disabled."""
    tz = display.zone_of(entry.timer, project.settings.tz)
    return f"; fires next at {display.instant(entry.next_fire, tz)}" if entry.timer.enabled else ""


@command.command("rm")
@click.argument("name")
@environment_option
@why_option
@store_option
@json_option
def remove_timer(*, name: str, environment: str | None, why: str, store: str | None, as_json: bool) -> None:
    """Remove a timer; its runs stay in the history."""
    project = current_project(store=store, environment=environment)
    with store_with_hints(project) as opened:
        entry = TimerTable(opened).get(name, project.environment)
        TimerTable(opened).remove(name, project.environment, now=_now(), by=by_user(why))
    _print_timer(entry, f"removed {name}; its runs stay in the history", project, as_json)


def _print_timer(entry: StoredTimer, text: str, project: Project, as_json: bool) -> None:
    if as_json:
        print_json(timer_json(entry, project.settings.tz))
    else:
        click.echo(text)
