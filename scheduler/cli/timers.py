"""scheduler timers: add, enable, disable, reset, edit, rm.

The other subcommands are in list.py, show.py, run.py, rename.py, apply.py, changes.py, backfill.py and transfer.py.
"""

from __future__ import annotations

from collections.abc import Sequence
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
from ..store.statistics import has_live_daemon
from ..store.stored_timer import StoredTimer
from ..store.timer_apply import ListEffect, WantedTimer, apply_timers
from ..store.timers import TimerTable
from .apply import apply_list
from .arguments import parse_instant, parse_params
from .author import by_user
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
from .store_hints import (
    hint_at_daemon,
    opened_or_new,
    warn_of_no_effect,
    warn_of_other_zone,
    warn_of_private_pings,
    warn_of_unserved,
)
from .subcommands import Subcommands
from .timer_names import check_known, names_argument, store_with_hints
from .timer_options import (
    DefinitionCommand,
    allow_past_option,
    attributes,
    changed_trigger,
    definition_options,
    new_trigger,
)
from .transfer import export_timers, import_timers


@click.group("timers", cls=Subcommands)
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
    assumed = given["tz"] in (None, "")
    with opened_or_new(project) as store:
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
            _print_added(entry, project, assumed=assumed, daemon_runs=has_live_daemon(store))
        warn_of_private_pings(project, [entry.timer])
        warn_of_no_effect([entry.timer])
    warn_of_unserved(project, [entry.timer])
    if assumed and entry.timer.trigger.tz is not None:
        warn_of_other_zone(project)
    warn_of_outdated_services(project)


def _with_zone(schedule: str, entry: StoredTimer, project: Project, *, assumed: bool) -> str:
    """A schedule, with the origin of its zone if none was given."""
    zone = project.settings.default_zone
    shows = assumed and zone.whose and entry.timer.trigger.tz is not None
    if not shows:
        return schedule
    # Instants have an offset in place of the zone.
    is_named = f"({zone.name})" in schedule
    return schedule.replace(f"({zone.name})", f"({zone})") if is_named else f"{schedule} ({zone})"


def _print_added(entry: StoredTimer, project: Project, *, assumed: bool, daemon_runs: bool) -> None:
    timer = entry.timer
    schedule = _with_zone(str(timer.schedule), entry, project, assumed=assumed)
    click.echo(f"added {timer.name}: calls {timer.function} in {timer.environment}, {schedule}")
    if not timer.enabled:
        click.echo(f"it is disabled; enable it with:  {_enable_command(timer, project)}")
        return
    _print_fires(entry, project, "enabled")
    hint_at_daemon(is_needed=not daemon_runs)


def _print_fires(entry: StoredTimer, project: Project, done: str) -> None:
    tz = display.zone_of(entry.timer, project.settings.tz)
    click.echo(f"{done}; fires next at {display.instant(entry.next_fire, tz)}")


def _enable_command(timer: Timer, project: Project) -> str:
    """The command that enables a timer, with this command's options for store and environment."""
    options = []
    for option, value in (("store", project.settings.store), ("environment", timer.environment)):
        if project.settings.origin(option).startswith("the option"):
            options += ["--store" if option == "store" else "--env", value]
    # The name may look like an option.
    named = (*options, "--", timer.name) if timer.name.startswith("-") else (timer.name, *options)
    return display.command("timers", "enable", *named)


@command.command("enable", short_help="Enable timers.")
@names_argument
@environment_option
@why_option
@store_option
@json_option
def enable_timers(
    *, names: tuple[str, ...], environment: str | None, why: str, store: str | None, as_json: bool
) -> None:
    """Enable timers from now on, and close their breakers."""
    project = current_project(store=store, environment=environment)
    with store_with_hints(project) as opened:
        check_known(opened, names, project.environment)
        entries = [TimerTable(opened).enable(name, project.environment, now=_now(), by=by_user(why)) for name in names]
        daemon_runs = has_live_daemon(opened)
    warn_of_unserved(project, [entry.timer for entry in entries])
    if as_json:
        _print_json(entries, project)
        return
    for entry in entries:
        _print_fires(entry, project, f"enabled {entry.timer.name}" if len(names) > 1 else "enabled")
    hint_at_daemon(is_needed=not daemon_runs)


@command.command("disable", short_help="Disable timers.")
@names_argument
@environment_option
@end_option
@why_option
@store_option
@json_option
def disable_timers(
    *, names: tuple[str, ...], environment: str | None, until: str | None, why: str, store: str | None, as_json: bool
) -> None:
    """Disable timers; a run in progress continues. With --until, a daemon enables them again at that time."""
    project = current_project(store=store, environment=environment)
    end = None if until is None else parse_instant(until, project.settings.tz)
    with store_with_hints(project) as opened:
        check_known(opened, names, project.environment)
        table, by = TimerTable(opened), by_user(why)
        entries = [table.disable(name, project.environment, now=_now(), by=by, until=end) for name in names]
    if as_json:
        _print_json(entries, project)
        return
    for entry in entries:
        tz = display.zone_of(entry.timer, project.settings.tz)
        click.echo(f"disabled {entry.timer.name}{'' if end is None else f' until {display.instant(end, tz)}'}")


@command.command("reset", short_help="Close the breakers of timers.")
@names_argument
@environment_option
@why_option
@store_option
@json_option
def reset_timers(
    *, names: tuple[str, ...], environment: str | None, why: str, store: str | None, as_json: bool
) -> None:
    """Close the breakers of timers, so that they run at their next fire times."""
    project = current_project(store=store, environment=environment)
    with store_with_hints(project) as opened:
        check_known(opened, names, project.environment)
        entries = [TimerTable(opened).reset(name, project.environment, now=_now(), by=by_user(why)) for name in names]
    if as_json:
        _print_json(entries, project)
        return
    for name in names:
        click.echo(f"closed the breaker of {name}")


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
        warn_of_private_pings(project, [entry.timer] if "ping_url" in changes else [])
        warn_of_no_effect([entry.timer])


def _next_fire(entry: StoredTimer, project: Project) -> str:
    """The next fire time of a timer; empty if it is disabled."""
    tz = display.zone_of(entry.timer, project.settings.tz)
    return f"; fires next at {display.instant(entry.next_fire, tz)}" if entry.timer.enabled else ""


@command.command("rm", short_help="Remove timers.")
@names_argument
@environment_option
@why_option
@store_option
@json_option
def remove_timers(
    *, names: tuple[str, ...], environment: str | None, why: str, store: str | None, as_json: bool
) -> None:
    """Remove timers; their runs stay in the history."""
    project = current_project(store=store, environment=environment)
    with store_with_hints(project) as opened:
        entries = check_known(opened, names, project.environment)
        for name in names:
            TimerTable(opened).remove(name, project.environment, now=_now(), by=by_user(why))
    if as_json:
        _print_json(entries, project)
        return
    for name in names:
        click.echo(f"removed {name}; its runs stay in the history")


def _print_json(entries: Sequence[StoredTimer], project: Project) -> None:
    """The timer, or a list of several."""
    shown = [timer_json(entry, project.settings.tz) for entry in entries]
    print_json(shown if len(shown) > 1 else shown[0])


def _print_timer(entry: StoredTimer, text: str, project: Project, as_json: bool) -> None:
    if as_json:
        print_json(timer_json(entry, project.settings.tz))
    else:
        click.echo(text)
