"""scheduler changes, and scheduler timers history: who changed what, when, through which interface, and why."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo

import click

from ..core.zone_names import zone
from ..errors import TimerError
from ..formats import display
from ..formats.changes import change_text
from ..formats.json import change_json, print_json
from ..project.project import Project, current_project
from ..project.suggestions import did_you_mean
from ..store.change_pages import ChangeFilter, ChangeHistory, ChangeRecord
from ..store.change_recording import Way
from ..store.database import Store
from ..store.timers import TimerTable
from .arguments import past_or_none
from .options import (
    environment_filter,
    environment_option,
    json_option,
    limit_option,
    since_option,
    store_option,
    until_option,
)

_COLUMNS = ("CHANGE", "AT", "BY", "WAY", "NAME", "WHAT")


@click.command("changes")
@click.option("--timer", metavar="NAME", help="Changes of one timer only.")
@click.option("--by", "author", metavar="TEXT", help="Changes whose author has this text in the name.")
@click.option("--way", type=click.Choice([str(way) for way in Way]), help="Changes through this interface only.")
@since_option
@until_option
@limit_option("changes")
@environment_filter
@store_option
@json_option
def command(
    *,
    timer: str | None,
    author: str | None,
    way: str | None,
    since: str | None,
    until: str | None,
    limit: int,
    environment: str | None,
    store: str | None,
    as_json: bool,
) -> None:
    """Show changes of timers, newest first: who, when, through which interface, what and why.

    Changes are kept as long as runs. Instants without an offset are wall times of the default time zone.
    """
    project = current_project(store=store, environment=environment)
    tz = project.settings.tz
    wanted = ChangeFilter(
        name=timer,
        environment=environment,
        author=author,
        way=None if way is None else Way(way),
        since=past_or_none(since, tz),
        until=past_or_none(until, tz),
    )
    with project.open_store() as opened:
        records = latest_changes(ChangeHistory(opened), wanted, limit)
    _print(records, project, "no changes", as_json=as_json)


@click.command("history", short_help="Show who changed a timer.")
@click.argument("name")
@limit_option("changes")
@environment_option
@store_option
@json_option
def show_history(*, name: str, limit: int, environment: str | None, store: str | None, as_json: bool) -> None:
    """Show who changed a timer, newest first, including under its former names; also a removed timer."""
    project = current_project(store=store, environment=environment)
    with project.open_store() as opened:
        wanted = ChangeFilter(name=name, environment=project.environment)
        records = latest_changes(ChangeHistory(opened), wanted, limit)
        if not records:
            _check_timer(opened, name, project)
    _print(records, project, f"no changes of {name}", as_json=as_json)


def latest_changes(history: ChangeHistory, wanted: ChangeFilter, limit: int) -> list[ChangeRecord]:
    """The latest changes, however old."""
    page = history.page(wanted, limit=limit)
    records = [*page.items]
    while page.next is not None and len(records) < limit:
        page = history.page(wanted, before=page.next, limit=limit - len(records))
        records += page.items
    return records


def _check_timer(store: Store, name: str, project: Project) -> None:
    """TimerError for a name without a timer and without recorded changes."""
    known = [entry.timer.name for entry in TimerTable(store).list(project.environment)]
    if name not in known:
        hint = did_you_mean(name, known) or "see scheduler timers list"
        raise TimerError(f"no timer {name!r} in {project.environment}, and no change of one; {hint}", field="name")


def _print(records: Sequence[ChangeRecord], project: Project, nothing: str, *, as_json: bool) -> None:
    tz = zone(project.settings.tz)
    if as_json:
        print_json([change_json(record, tz) for record in records])
    elif not records:
        click.echo(nothing)
    else:
        display.print_table(_COLUMNS, (_row(record, tz) for record in records))


def _row(record: ChangeRecord, tz: tzinfo) -> tuple[str, ...]:
    """A change as cells, in the order of _COLUMNS."""
    where = record.name if record.environment in (None, "production") else f"{record.name} ({record.environment})"
    return (
        str(record.id),
        display.instant(record.at, tz),
        record.author,
        record.way.replace("_", " "),
        where,
        change_text(record),
    )
