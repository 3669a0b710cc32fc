"""scheduler timers backfill: runs for fire times that are past and have none."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from ..claims.requests import DEFAULT_CAP, MAX_CAP, Backfill, backfill, cancel_backfill, plan_backfill
from ..core.timer import Timer
from ..formats import display
from ..formats.json import print_json
from ..project.project import Project, current_project
from ..store.statistics import alive
from ..store.timers import TimerTable
from .arguments import moment
from .options import environment_option, json_option, store_option


@click.command("backfill", short_help="Run a timer for missed times of the past.")
@click.argument("name")
@click.option("--from", "start", metavar="INSTANT", help="Where the span begins, as in 2026-01-05T00:00.")
@click.option("--to", "end", metavar="INSTANT", help="The span ends before this instant; now unless set.")
@click.option("--limit", default=DEFAULT_CAP, type=click.IntRange(1, MAX_CAP), help="Most runs; 1000 unless set.")
@click.option("--dry-run", is_flag=True, help="Print the fire times, and enter nothing.")
@click.option("--cancel", is_flag=True, help="Take back what an earlier backfill entered and no daemon has begun.")
@environment_option
@store_option
@json_option
def backfill_timer(
    *,
    name: str,
    start: str | None,
    end: str | None,
    limit: int,
    dry_run: bool,
    cancel: bool,
    environment: str | None,
    store: str | None,
    as_json: bool,
) -> None:
    """Run a timer for the fire times of a past span that have no run: what was missed, skipped or short-circuited.

    The runs are entered at once, and begun one after the other while no other run of the timer goes on. Instants
    without an offset are wall times of the default zone.
    """
    if cancel == (start is not None):
        raise click.UsageError("say where the span begins, as in --from 2026-01-05T00:00, or --cancel")
    project = current_project(store=store, environment=environment)
    with project.open_store() as opened:
        timer = TimerTable(opened).get(name, project.environment).timer
        if start is None:
            _tell_cancelled(timer, cancel_backfill(opened, name, project.environment), as_json=as_json)
            return
        now = datetime.now(UTC)
        span = moment(start, project.settings.tz), moment(end, project.settings.tz) if end is not None else now
        found = (plan_backfill if dry_run else backfill)(opened, name, project.environment, span, now=now, cap=limit)
        if as_json:
            _print_json(timer, found, project, entered=not dry_run)
            return
        _tell(timer, found, project, dry_run=dry_run)
        if found.fire_times and not dry_run and not alive(opened):
            click.echo(f"no daemon runs on this store; they wait for:  {display.command('up')}", err=True)


def _tell_cancelled(timer: Timer, count: int, *, as_json: bool) -> None:
    if as_json:
        print_json({"cancelled": count})
    else:
        click.echo(f"took back {count} backfilled runs of {timer.name} that had not begun")


def _print_json(timer: Timer, found: Backfill, project: Project, *, entered: bool) -> None:
    tz = display.zone_of(timer, project.settings.tz)
    print_json(
        {
            "timer": timer.name,
            "environment": timer.environment,
            "entered": entered,
            "fire_times": [display.iso(fire_time, tz) for fire_time in found.fire_times],
            "have_run": found.have_run,
            "still_due": found.still_due,
        }
    )


def _tell(timer: Timer, found: Backfill, project: Project, *, dry_run: bool) -> None:
    tz = display.zone_of(timer, project.settings.tz)
    if dry_run:
        for fire_time in found.fire_times:
            click.echo(display.instant(fire_time, tz))
    count = len(found.fire_times)
    what = f"{'would enter' if dry_run else 'entered'} {display.number(count, 'run')} of {timer.name}"
    if count and not dry_run:
        ends = dict.fromkeys(display.instant(found.fire_times[index], tz) for index in (0, -1))
        look = display.command("runs", "--timer", timer.name)
        what += f", {' to '.join(ends)}; look at {'it' if count == 1 else 'them'} with:  {look}"
    click.echo(what)
    if found.have_run:
        have = "has" if found.have_run == 1 else "have"
        click.echo(f"{display.number(found.have_run, 'fire time')} of the span {have} run already, or will soon")
    if found.still_due:
        left = "is" if found.still_due == 1 else "are"
        click.echo(f"{found.still_due} {left} left to the daemon, which goes by the misfire policy, {timer.misfire}")
    if not (count or found.have_run or found.still_due):
        click.echo(f"{timer.schedule} has no fire time in the span{_since(timer, project)}")


def _since(timer: Timer, project: Project) -> str:
    """The anchor of a trigger that has one: before it, there is no fire time."""
    anchor = timer.trigger.anchor
    if anchor is None:
        return ""
    return f"; it is counted from {display.instant(anchor, display.zone_of(timer, project.settings.tz))}"
