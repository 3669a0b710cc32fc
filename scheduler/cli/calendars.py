"""scheduler calendars: calendars of working days in the store, by the names that timers have."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, tzinfo
from pathlib import Path
from typing import Any, TypeVar

import click

from quartzcron import CronError, CronExpression
from quartzcron.calendars import WorkingDays

from ..core.timestamps import iso_text
from ..core.zone_names import zone
from ..errors import ConfigError, TimerError
from ..formats import display
from ..formats.json import calendar_json, print_json
from ..install import install_command
from ..project.project import Project, current_project
from ..store.calendars import SOON_DAYS, CalendarTable, MovedTimer, StoredCalendar
from .author import by_user
from .options import json_option, store_option, why_option
from .subcommands import Subcommands

F = TypeVar("F", bound=Callable[..., Any])


@click.group("calendars", cls=Subcommands)
def command() -> None:
    """Add, change and show calendars of working days, by which timers leave out or move fires on days off.

    A timer uses one with --calendar NAME and --roll.
    """


def content_options(command: F) -> F:
    """The options for the contents of a calendar."""
    for option in reversed(
        (
            click.option(
                "--country", metavar="CODE", help="Working days of a country, as in CN, or of an exchange, as in XNYS."
            ),
            click.option("--subdivision", metavar="CODE", help="A part of the country, as in BY of DE."),
            click.option("--ics", metavar="FILE", help="Holidays, and worked days off, of an iCalendar file."),
            click.option("--csv", metavar="FILE", help="Dates of a CSV file, each `off` or `work`."),
            click.option("--week", metavar="DAYS", help="The working week, as in MON-FRI."),
            click.option("--off", metavar="DATE", multiple=True, help="A further day off; may be repeated."),
            click.option("--work", metavar="DATE", multiple=True, help="A further working day; may be repeated."),
            click.option("--known-until", metavar="DATE", help="Last day whose holidays are known."),
        )
    ):
        command = option(command)
    return command


@command.command("add", short_help="Add a calendar.")
@click.argument("name")
@content_options
@why_option
@store_option
@json_option
def add(*, name: str, why: str, store: str | None, as_json: bool, **given: Any) -> None:
    """Add a calendar of working days: of a country, of a file, or a working week, with --off and --work."""
    made, source = _made(given)
    if made is None:
        week = "MON-FRI" if given["week"] is None else given["week"]
        made, source = _checked({"week": week}), f"week {week}"
    working_days = _with_days(made, given)
    project = current_project(store=store)
    with project.open_or_create_store() as opened:
        table = CalendarTable(opened)
        table.add(name, working_days, now=datetime.now(UTC), source=source, by=by_user(why))
        _print(table.get(name), f"added {name}: {_described(working_days)}", as_json)


@command.command("edit", short_help="Change a calendar.")
@click.argument("name")
@content_options
@why_option
@store_option
@json_option
def edit(*, name: str, why: str, store: str | None, as_json: bool, **given: Any) -> None:
    """Change a calendar, and move the next fire times of its timers; due fire times stay due.

    --country, --ics, --csv and --week replace it; --off and --work change days of it.
    """
    project = current_project(store=store)
    with project.open_store() as opened:
        table = CalendarTable(opened)
        kept = table.get(name)
        made, source = _made(given)
        if made is None and not _changes_days(given):
            raise click.UsageError("nothing to change; give --country, --ics, --csv, --week, --off or --work")
        if made is None:
            made, source = kept.working_days, kept.source
            made = made if given["week"] is None else _checked({**made.to_json(), "week": given["week"]})
        working_days = _with_days(made, given)
        moved = table.change(name, working_days, now=datetime.now(UTC), source=source, by=by_user(why))
        stored = table.get(name)
    _print(stored, f"changed {name}: {_described(working_days)}", as_json)
    if not as_json:
        _print_moved(moved, project)


@command.command("list", short_help="List the calendars.")
@store_option
@json_option
def list_calendars(store: str | None, as_json: bool) -> None:
    """List the calendars, until when each is known, and how many timers use it."""
    project = current_project(store=store)
    with project.open_store() as opened:
        stored = CalendarTable(opened).list()
    if as_json:
        print_json([_json(calendar) for calendar in stored])
        return
    if not stored:
        click.echo("no calendars yet; add one with:  " + display.command("calendars", "add", "cn", "--country", "CN"))
        return
    columns = ("NAME", "WEEK", "HOLIDAYS", "WORKED", "KNOWN UNTIL", "TIMERS", "FROM")
    display.print_table(columns, map(_row, stored))
    for calendar in stored:
        if calendar.timers and calendar.ends_soon(_today()):
            click.echo(f"Warning: {ends_soon(calendar)}", err=True)


@command.command("show", short_help="Show a year of a calendar.")
@click.argument("name")
@click.option("--year", type=click.IntRange(1970, 2099), help="The year (default this one).")
@store_option
@json_option
def show(*, name: str, year: int | None, store: str | None, as_json: bool) -> None:
    """Show the working days of a year, and its holidays and worked days off by name; --json shows all of it."""
    project = current_project(store=store)
    with project.open_store() as opened:
        stored = CalendarTable(opened).get(name)
    if as_json:
        print_json({**_json(stored), "content": stored.working_days.to_json()})
        return
    year = year or _today().year
    click.echo(_heat_map(stored, year))
    for what, dates in (("off", stored.working_days.holidays), ("work", stored.working_days.worked)):
        for day, called in dates.items():
            if day.year == year:
                click.echo(f"{day}  {day:%a}  {what:4}  {display.plain(called or '')}".rstrip())
    known = stored.working_days.known_until
    if known is not None and known.year < year:
        click.echo(f"known until {known}; later, the working week {stored.working_days.week} is assumed", err=True)


@command.command("rm")
@click.argument("name")
@why_option
@store_option
@json_option
def remove(*, name: str, why: str, store: str | None, as_json: bool) -> None:
    """Remove a calendar that no timer uses."""
    project = current_project(store=store)
    with project.open_store() as opened:
        table = CalendarTable(opened)
        stored = table.get(name)
        table.remove(name, now=datetime.now(UTC), by=by_user(why))
    _print(stored, f"removed {name}", as_json)


# From options to a calendar


def _made(given: dict[str, Any]) -> tuple[WorkingDays | None, str]:
    """The calendar of a country or of a file, and its source; None if neither is given."""
    named = [name for name in ("country", "ics", "csv") if given[name]]
    if len(named) > 1:
        raise click.UsageError(f"give one of {' and '.join(f'--{name}' for name in named)}")
    if given["subdivision"] and named != ["country"]:
        raise click.UsageError("--subdivision goes with --country")
    if named and given["week"] and named == ["country"]:
        raise click.UsageError("--week does not go with --country, which has its own")
    if not named:
        return None, ""
    value = given[named[0]]
    try:
        if named == ["country"]:
            from quartzcron.contrib.holidays import working_days

            shown = "-".join(part for part in (value.upper(), given["subdivision"]) if part)
            return working_days(value, given["subdivision"]), f"country {shown}"
        from quartzcron.contrib.calendar_files import from_csv, from_ics

        week = "MON-FRI" if given["week"] is None else given["week"]
        return (from_ics if named == ["ics"] else from_csv)(value, week=week), f"file {Path(value).name}"
    except ModuleNotFoundError as error:
        extra = "holidays" if error.name == "holidays" else "calendars"
        raise ConfigError(
            f"--{named[0]} needs the package {error.name}; install it: {install_command(extra)}"
        ) from None
    except OSError as error:
        raise TimerError(f"{value}: cannot be read ({error.strerror or error})") from None
    except CronError as error:
        raise TimerError(str(error)) from None


def _changes_days(given: dict[str, Any]) -> bool:
    """Whether any option changes days of the existing calendar."""
    return given["week"] is not None or bool(given["off"] or given["work"] or given["known_until"])


def _with_days(made: WorkingDays, given: dict[str, Any]) -> WorkingDays:
    """The calendar with the days that --off and --work name, and --known-until."""
    if given["known_until"]:
        made = _checked({**made.to_json(), "known_until": _date(given["known_until"]).isoformat()})
    try:
        return made.less(map(_date, given["off"])).plus(map(_date, given["work"]))
    except CronError as error:
        raise TimerError(f"{error}; --known-until says otherwise") from None


def _checked(values: dict[str, Any]) -> WorkingDays:
    try:
        return WorkingDays.from_json(values)
    except CronError as error:
        raise TimerError(str(error)) from None


def _date(text: str) -> date:
    try:
        return date.fromisoformat(iso_text(text))
    except ValueError:
        raise click.BadParameter(f"expected a date as in 2026-12-31, got {text!r:.40}") from None


# Output


def ends_soon(calendar: StoredCalendar) -> str:
    """The warning about a calendar that is known for a short time only."""
    number = display.number(calendar.timers, "timer")
    return (
        f"the calendar {calendar.name!r} of {number} is known until {calendar.working_days.known_until}; later, its "
        f"working week is assumed: update it with  "
        f"{display.command('calendars', 'edit', calendar.name)} --known-until DATE"
    )


def _described(working_days: WorkingDays) -> str:
    known = "" if working_days.known_until is None else f", known until {working_days.known_until}"
    worked = f"{display.number(len(working_days.worked), 'worked day')} off"
    days = f"{display.number(len(working_days.holidays), 'holiday')}, {worked}"
    return f"{working_days.week}, {days}{known}"


def _today() -> date:
    return datetime.now(UTC).date()


def _row(calendar: StoredCalendar) -> tuple[str, ...]:
    days = calendar.working_days
    counts = (f"{len(days.holidays):,}", f"{len(days.worked):,}")
    known = "-" if days.known_until is None else days.known_until.isoformat()
    return (calendar.name, days.week, *counts, known, f"{calendar.timers:,}", calendar.source or "-")


def _json(calendar: StoredCalendar) -> dict[str, Any]:
    return calendar_json(calendar, _today(), UTC)


def _print(calendar: StoredCalendar, text: str, as_json: bool) -> None:
    if as_json:
        print_json(_json(calendar))
        return
    click.echo(text)
    if calendar.ends_soon(_today()):
        known = calendar.working_days.known_until
        click.echo(
            f"Warning: it is known until {known}, for less than {SOON_DAYS} days to come; if its days "
            "are valid for longer, give --known-until DATE",
            err=True,
        )


def _print_moved(moved: Sequence[MovedTimer], project: Project) -> None:
    tz: tzinfo = zone(project.settings.tz)
    for timer in moved:
        after = "it is finished" if timer.after is None else f"fires next at {display.instant(timer.after, tz)}"
        click.echo(f"  {timer.timer} ({timer.environment}): {after}, before {display.instant(timer.before, tz)}")


def _heat_map(stored: StoredCalendar, year: int) -> str:
    from quartzcron.cli.heatmap import Heatmap, as_text

    noon = CronExpression("0 0 12 * * ?", tz=UTC).on(stored.working_days, "skip")
    lines = as_text(Heatmap(noon, year, UTC), coloured=False).split("\n")
    count = stored.working_days.count(date(year - 1, 12, 31), date(year, 12, 31))
    return "\n".join([f"{stored.name} {year}: {count} working days", *lines[1:-2]])
