"""scheduler simulate: the fire times of the store's timers in a time span."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import click

from ..core.calendars import assumed_from
from ..core.forecast import Firing, forecast
from ..core.timer import Environment, Timer
from ..errors import TimerError
from ..formats import display
from ..formats.json import print_json_line
from ..project.project import Project, current_project
from ..project.suggestions import did_you_mean
from ..store.timers import TimerTable
from .arguments import TimeSpan, parse_time_span
from .options import environment_filter, json_option, store_option

#: The most timers that are listed with their counts.
MAX_LISTED = 50


@click.command("simulate")
@click.option(
    "--from",
    "start",
    metavar="TIME",
    help="Begin at this time, as in 2026-03-29 or 'in 2 days' (default now).",
)
@click.option("--to", "end", metavar="TIME", help="End before this instant (default a day after the beginning).")
@click.option("--timer", "names", metavar="NAME", multiple=True, help="This timer only; may be repeated.")
@click.option("--all", "with_disabled", is_flag=True, help="Also disabled timers, as if enabled at the beginning.")
@click.option(
    "-n",
    "--limit",
    metavar="N",
    default=1_000,
    type=click.IntRange(0),
    help="Most fire times shown; 0 = all (default 1000).",
)
@environment_filter
@store_option
@json_option
def command(
    *,
    start: str | None,
    end: str | None,
    names: tuple[str, ...],
    with_disabled: bool,
    limit: int,
    environment: str | None,
    store: str | None,
    as_json: bool,
) -> None:
    """Show all fire times of a time span in order, each in the zone of its timer; nothing runs.

    Instants without an offset are wall times of the default time zone. --json prints one object per line for each fire
    time, and the counts on the last line.
    """
    project = current_project(store=store, environment=environment)
    with project.open_store() as opened:
        kept = [entry.timer for entry in TimerTable(opened).list(Environment(environment) if environment else None)]
    time_span = parse_time_span(start, end, project.settings.tz)
    chosen = _chosen(kept, names)
    timers = [timer for timer in chosen if timer.enabled]
    if with_disabled:
        timers = [timer if timer.enabled else timer.anchored(time_span.start) for timer in chosen]
    fires = forecast(timers, *time_span)
    shown = fires if not limit else islice(fires, limit)
    if as_json:
        _print_json(timers, shown, time_span, project)
    else:
        _print(timers, shown, time_span, project)
    if not as_json:
        for caution in dict.fromkeys(_cautions(timers, time_span)):
            click.echo(caution, err=True)
    if (left_out := len(chosen) - len(timers)) and not as_json:
        click.echo(f"{display.number(left_out, 'disabled timer')} left out; --all shows them too", err=True)


def _chosen(timers: Sequence[Timer], names: Sequence[str]) -> list[Timer]:
    known = {timer.name for timer in timers}
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known) or "see scheduler timers list"
            raise TimerError(f"no timer {name!r}; {hint}", field="timer")
    return [timer for timer in timers if not names or timer.name in names]


def _cautions(timers: Sequence[Timer], time_span: TimeSpan) -> Iterator[str]:
    """A note on each calendar that is not known for the whole time span."""
    for timer in timers:
        if (known := assumed_from(timer.working_days, [time_span.end], timer.trigger.tz)) is not None:
            yield display.assumed(timer, known)


def _print(timers: Sequence[Timer], fires: Iterable[Firing], time_span: TimeSpan, project: Project) -> None:
    name_width = max((len(timer.name) for timer in timers), default=0)
    function_width = max((len(timer.function) for timer in timers), default=0)
    shown = 0
    for fire_time, timer in fires:
        wall = display.instant(fire_time, display.zone_of(timer, project.settings.tz))
        click.echo(f"{wall}  {timer.name:{name_width}}  {timer.function:{function_width}}  {timer.environment}")
        shown += 1
    counts = _counts(timers, time_span)
    if (more := sum(counts) - shown) > 0:
        click.echo(f"… and {more:,} more; --limit shows more of them, 0 = all")
    click.echo(
        f"{display.number(sum(counts), 'fire')} of {display.number(len(timers), 'timer')}{':' if timers else ''}"
    )
    for timer, count in list(zip(timers, counts, strict=True))[:MAX_LISTED]:
        click.echo(f"  {count:>11,}  {timer.name}  ({timer.environment}, {timer.schedule})")
    if len(timers) > MAX_LISTED:
        click.echo(f"  … and {len(timers) - MAX_LISTED:,} more timers")


def _print_json(timers: Sequence[Timer], fires: Iterable[Firing], time_span: TimeSpan, project: Project) -> None:
    shown = 0
    for fire_time, timer in fires:
        print_json_line(
            {"fire_time": display.iso(fire_time, display.zone_of(timer, project.settings.tz)), **_names(timer)}
        )
        shown += 1
    counts = _counts(timers, time_span)
    each = [{**_names(timer), "fires": count} for timer, count in zip(timers, counts, strict=True)]
    print_json_line({"fires": sum(counts), "shown": shown, "timers": each})


def _names(timer: Timer) -> dict[str, str]:
    return {"timer": timer.name, "function": timer.function, "environment": timer.environment}


def _counts(timers: Sequence[Timer], time_span: TimeSpan) -> list[int]:
    return [timer.schedule.count(*time_span) for timer in timers]
