"""scheduler timers show: everything about one timer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from itertools import islice
from typing import Any

import click

from ..core.attributes import ATTRIBUTES
from ..core.calendars import assumed_from
from ..core.run import Run
from ..formats import display
from ..formats.json import print_json, run_json, timer_json
from ..project.project import current_project
from ..store.runs import RunHistory
from ..store.stored_timer import StoredTimer
from ..store.timers import TimerTable
from . import runs
from .arguments import past_or_none
from .options import environment_option, json_option, since_option, store_option, until_option

#: Attributes with lines of their own.
_APART = {
    "name",
    "environment",
    "enabled",
    "function",
    "params",
    "description",
    "tags",
    "starts_at",
    "ends_at",
    "calendar",
    "roll",
}
_INDENT = 13


@click.command("show", short_help="Show everything about one timer.")
@click.argument("name")
@click.option("-n", "count", default=5, type=click.IntRange(1, 1_000), help="Fires and runs shown (default 5).")
@since_option
@until_option
@environment_option
@store_option
@json_option
def show_timer(
    *,
    name: str,
    count: int,
    since: str | None,
    until: str | None,
    environment: str | None,
    store: str | None,
    as_json: bool,
) -> None:
    """Show a timer with its attributes, its next fire times and its last runs, or those between --since and --until."""
    project = current_project(store=store, environment=environment)
    with project.open_store() as opened:
        entry = TimerTable(opened).get(name, project.environment)
        latest = RunHistory(opened).runs(
            timer=name,
            environment=project.environment,
            since=past_or_none(since, project.settings.tz),
            until=past_or_none(until, project.settings.tz),
            limit=count,
        )
    tz = display.zone_of(entry.timer, project.settings.tz)
    fires = list(islice(entry.next_fires(datetime.now(UTC)), count))
    if as_json:
        print_json(
            {
                **timer_json(entry, project.settings.tz),
                "next_fires": [display.iso(fire, tz) for fire in fires],
                "runs": [run_json(run, tz) for run in latest],
            }
        )
        return
    for label, text in _lines(entry, fires, tz):
        click.echo(f"{click.style(label.ljust(_INDENT), bold=True)}{display.plain(text)}")
    _print_runs(latest, tz)


def _lines(entry: StoredTimer, fires: list[datetime], tz: tzinfo) -> Iterator[tuple[str, str]]:
    """The lines about a timer with their labels; an empty label continues the previous line."""
    timer = entry.timer
    yield "timer", f"{timer.name}, {timer.environment}, {entry.state}"
    for number, line in enumerate(timer.description.splitlines()):
        yield "" if number else "description", line
    if timer.tags:
        yield "tags", ", ".join(timer.tags)
    params = f" with {json.dumps(dict(timer.params), ensure_ascii=False)}" if timer.params else ""
    yield "calls", f"{timer.function}{params}"
    yield "fires", str(timer.trigger)
    if timer.calendar is not None:
        yield "calendar", f"{timer.calendar}, {timer.roll}"
    for label, bound in (("starts at", timer.starts_at), ("ends at", timer.ends_at)):
        if bound is not None:
            yield label, display.instant(bound, tz)
    for number, fire in enumerate(fires):
        late = "  overdue" if fire < datetime.now(UTC) else ""
        yield "" if number else "next fires", f"{display.instant(fire, tz)}  {fire.astimezone(tz):%a}{late}"
    if (known := assumed_from(timer.working_days, fires, timer.trigger.tz)) is not None:
        yield "", display.assumed(timer, known)
    yield "options", ", ".join(_options(timer))
    yield "breaker", _breaker(entry, tz)
    if entry.declared_in is not None:
        yield "declared in", f"the functions of {entry.declared_in}"
    yield "created at", display.instant(entry.created_at, tz)


def _options(timer: Any) -> Iterator[str]:
    for row in ATTRIBUTES:
        if row.name in _APART or (row.name == "then_on" and not timer.then):
            continue
        if text := row.cell(getattr(timer, row.name)):
            yield f"{row.name} {text}"


def _breaker(entry: StoredTimer, tz: tzinfo) -> str:
    breaker = entry.breaker
    parts = [breaker.state.value]
    if breaker.consecutive_failures:
        parts.append(display.number(breaker.consecutive_failures, "failure") + " in a row")
    if breaker.next_probe_at is not None:
        parts.append(f"next try at {display.instant(breaker.next_probe_at, tz)}")
    return ", ".join(parts) + (f": {breaker.last_error}" if breaker.last_error else "")


def _print_runs(latest: list[Run], tz: tzinfo) -> None:
    click.echo()
    if not latest:
        click.echo("no runs yet")
        return
    columns = [number for number, name in enumerate(runs.COLUMNS) if name != "TIMER"]
    rows = (runs.row(run, tz) for run in latest)
    display.print_table([runs.COLUMNS[n] for n in columns], ([row[n] for n in columns] for row in rows))
