"""scheduler timers backfill: requests runs for past fire times that have none."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from ..claims.requested_runs import DEFAULT_CAP, MAX_CAP, Backfill, backfill, cancel_backfill, plan_backfill
from ..core.timer import Timer
from ..formats import display
from ..formats.json import print_json
from ..project.project import Project, current_project
from ..store.statistics import has_live_daemon
from ..store.timers import TimerTable
from .arguments import parse_past
from .author import by_user
from .options import environment_option, json_option, store_option


@click.command("backfill", short_help="Run a timer for past fire times without a run.")
@click.argument("name")
@click.option("--from", "start", metavar="TIME", help="Beginning of the time span, as in 2026-01-05 or yesterday.")
@click.option("--to", "end", metavar="TIME", help="End of the time span, not part of it (default now).")
@click.option(
    "--limit", metavar="N", default=DEFAULT_CAP, type=click.IntRange(1, MAX_CAP), help="Most runs (default 1000)."
)
@click.option("--dry-run", is_flag=True, help="Print the fire times, and request no run.")
@click.option("--cancel", is_flag=True, help="Cancel the runs of earlier backfills that have not begun.")
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
    """Run a timer for the fire times of a past time span that have no run: missed, skipped or short-circuited ones.

    The runs are requested at once, and run one after the other while no other run of the timer is in progress. Instants
    without an offset are wall times of the default time zone.
    """
    if cancel == (start is not None):
        raise click.UsageError("give either the beginning of the time span, as in --from 2026-01-05T00:00, or --cancel")
    project = current_project(store=store, environment=environment)
    with project.open_store() as opened:
        timer = TimerTable(opened).get(name, project.environment).timer
        by = by_user()
        if start is None:
            count = cancel_backfill(opened, name, project.environment, by=by)
            _print_cancelled(timer, count, as_json=as_json)
            return
        now = datetime.now(UTC)
        time_span = (
            parse_past(start, project.settings.tz),
            parse_past(end, project.settings.tz) if end is not None else now,
        )
        where = (opened, name, project.environment, time_span)
        result = plan_backfill(*where, now=now, cap=limit) if dry_run else backfill(*where, now=now, cap=limit, by=by)
        if as_json:
            _print_json(timer, result, project, requested=not dry_run)
            return
        _print(timer, result, project, dry_run=dry_run)
        if result.fire_times and not dry_run and not has_live_daemon(opened):
            click.echo(f"no daemon runs on this store; the runs wait for:  {display.command('up')}", err=True)


def _print_cancelled(timer: Timer, count: int, *, as_json: bool) -> None:
    if as_json:
        print_json({"cancelled": count})
    else:
        click.echo(f"cancelled {display.number(count, 'backfilled run')} of {timer.name}")


def _print_json(timer: Timer, backfilled: Backfill, project: Project, *, requested: bool) -> None:
    tz = display.zone_of(timer, project.settings.tz)
    print_json(
        {
            "timer": timer.name,
            "environment": timer.environment,
            "entered": requested,
            "fire_times": [display.iso(fire_time, tz) for fire_time in backfilled.fire_times],
            "have_run": backfilled.have_run,
            "still_due": backfilled.still_due,
        }
    )


def _print(timer: Timer, backfilled: Backfill, project: Project, *, dry_run: bool) -> None:
    tz = display.zone_of(timer, project.settings.tz)
    if dry_run:
        for fire_time in backfilled.fire_times:
            click.echo(display.instant(fire_time, tz))
    count = len(backfilled.fire_times)
    what = f"{'would request' if dry_run else 'requested'} {display.number(count, 'run')} of {timer.name}"
    if count and not dry_run:
        ends = dict.fromkeys(display.instant(backfilled.fire_times[index], tz) for index in (0, -1))
        runs = display.command("runs", "--timer", timer.name)
        what += f", {' to '.join(ends)}; show {'it' if count == 1 else 'them'} with:  {runs}"
    click.echo(what)
    if backfilled.have_run:
        have = "has" if backfilled.have_run == 1 else "have"
        click.echo(
            f"{display.number(backfilled.have_run, 'fire time')} of the time span {have} run already, or will soon"
        )
    if backfilled.still_due:
        left = "is" if backfilled.still_due == 1 else "are"
        click.echo(
            f"{backfilled.still_due} {left} left to the daemon, which applies the misfire policy, {timer.misfire}"
        )
    if not (count or backfilled.have_run or backfilled.still_due):
        click.echo(f"{timer.schedule} has no fire time in the time span{_since(timer, project)}")


def _since(timer: Timer, project: Project) -> str:
    """The anchor of a trigger, before which there is no fire time; empty if it has none."""
    anchor = timer.trigger.anchor
    if anchor is None:
        return ""
    return f"; it is counted from {display.instant(anchor, display.zone_of(timer, project.settings.tz))}"
