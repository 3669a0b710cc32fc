"""scheduler timers rename and copy: renames a timer, and adds a copy of one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import click

from ..core.timer import Environment
from ..formats import display
from ..formats.json import print_json, timer_json
from ..project.project import current_project
from ..project.setting_table import ENVIRONMENTS
from ..store.timers import TimerTable
from .author import by_user
from .options import environment_option, json_option, max_timers_option, store_option, why_option
from .timer_names import store_with_hints


@click.command("rename", short_help="Give a timer another name.")
@click.argument("name")
@click.argument("new_name")
@environment_option
@why_option
@store_option
@json_option
def rename_timer(
    *, name: str, new_name: str, environment: str | None, why: str, store: str | None, as_json: bool
) -> None:
    """Give a timer another name; its runs, its breaker and its due fire times are kept.

    `runs`, `logs` and `timers history` also show its past under the old name.
    """
    project = current_project(store=store, environment=environment)
    by = by_user(why)
    with store_with_hints(project) as opened:
        entry = TimerTable(opened).rename(name, new_name, project.environment, now=datetime.now(UTC), by=by)
    if as_json:
        print_json(timer_json(entry, project.settings.tz))
    else:
        click.echo(f"renamed {name} to {entry.timer.name}")


@click.command("copy", short_help="Add a timer like another one.")
@click.argument("name")
@click.argument("new_name")
@click.option("--to", type=click.Choice(ENVIRONMENTS), help="Environment of the new timer (default: the same).")
@click.option("--enable", is_flag=True, help="Enable the new timer at once.")
@environment_option
@max_timers_option
@why_option
@store_option
@json_option
def copy_timer(
    *,
    name: str,
    new_name: str,
    to: str | None,
    enable: bool,
    environment: str | None,
    max_timers: int | None,
    why: str,
    store: str | None,
    as_json: bool,
) -> None:
    """Add a timer with the attributes of another one, disabled unless --enable is given."""
    project = current_project(store=store, environment=environment, max_timers=max_timers)
    by = by_user(why)
    with store_with_hints(project) as opened:
        timer = TimerTable(opened).get(name, project.environment).timer
        where = timer.environment if to is None else Environment(to)
        copied = replace(timer, name=new_name, environment=where, enabled=enable)
        quota = project.settings.max_timers
        (entry,) = TimerTable(opened).add([copied], now=datetime.now(UTC), quota=quota, by=by)
    if as_json:
        print_json(timer_json(entry, project.settings.tz))
        return
    tz = display.zone_of(entry.timer, project.settings.tz)
    state = f"fires next at {display.instant(entry.next_fire, tz)}" if enable else "it is disabled"
    click.echo(f"added {new_name} in {entry.timer.environment}, like {name}; {state}")
