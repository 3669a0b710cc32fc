"""scheduler timers list: the timers, each with its state, its next fire time and its last run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from ..core.misfire import GRACE
from ..core.run import Run
from ..core.timer import Environment
from ..core.zone_names import zone
from ..formats import display
from ..formats.json import print_json, run_json, timer_json
from ..formats.pause_text import pause_text
from ..project.project import current_project
from ..store.pages import MAX_LOOKED_AT
from ..store.pause_table import PauseTable
from ..store.pauses import Pause
from ..store.runs import LatestRuns
from ..store.statistics import has_live_daemon
from ..store.stored_timer import StoredTimer
from ..store.timers import TimerTable
from . import runs
from .options import environment_filter, json_option, store_option, tag_filter
from .store_hints import hint_at_daemon
from .timer_names import store_with_hints

_EXAMPLE = ("timers", "add", "NAME", "--function", "FUNCTION", "--cron", "0 0 8 ? * MON")


@click.command("list", short_help="List the timers.")
@environment_filter
@tag_filter
@store_option
@json_option
def list_timers(environment: str | None, tag: str | None, store: str | None, as_json: bool) -> None:
    """List the timers with state, next fire time, function and schedule."""
    project = current_project(store=store, environment=environment)
    with store_with_hints(project) as opened:
        entries = TimerTable(opened).list(Environment(environment) if environment else None, tag=tag)
        latest, pauses = LatestRuns(opened), PauseTable(opened).list()
        is_late = not as_json and any(_is_overdue(entry, datetime.now(UTC)) for entry in entries)
        needs_daemon = is_late and not has_live_daemon(opened)
    if as_json:
        print_json([_with_latest(entry, latest.of(entry), project.settings.tz) for entry in entries])
    elif not entries and tag is not None:
        click.echo(f"no timer has the tag {tag!r}")
    elif not entries:
        click.echo("no timers yet; add one with:  " + display.command(*_EXAMPLE))
    else:
        columns = ("NAME", "ENVIRONMENT", "STATE", "BREAKER", "NEXT FIRE", "LAST RUN", "OUTCOME", "FUNCTION", "FIRES")
        display.print_table(columns, (_row(entry, latest.of(entry), project.settings.tz) for entry in entries))
        for line in _pause_lines(entries, pauses, project.settings.tz):
            click.echo(line)
        if latest.is_partial:
            click.echo(f"last runs are those among the latest {MAX_LOOKED_AT:,} runs of all timers", err=True)
        hint_at_daemon(is_needed=needs_daemon)


def _is_overdue(entry: StoredTimer, now: datetime) -> bool:
    """Whether an enabled timer, which no pause holds, should have fired longer than the misfire grace ago."""
    return entry.next_fire is not None and not entry.is_held and entry.next_fire < now - GRACE


def _pause_lines(entries: Sequence[StoredTimer], pauses: Sequence[Pause], default_tz: str) -> Iterator[str]:
    """A line for each pause that covers any of these timers, and for each of them that is disabled until some time."""
    by_id = {entry.id: entry.timer for entry in entries}
    for pause in pauses:
        if pause.timer_id is None and any(pause.covers(timer.environment, timer.tags) for timer in by_id.values()):
            yield pause_text(pause, zone(default_tz))
        elif (timer := by_id.get(pause.timer_id or 0)) is not None:
            yield pause_text(pause, display.zone_of(timer, default_tz), what=f"{timer.name} is disabled")


def _with_latest(entry: StoredTimer, latest: Run | None, default_tz: str) -> dict[str, Any]:
    """A timer as JSON, with its latest run in short."""
    run = None if latest is None else run_json(latest, display.zone_of(entry.timer, default_tz))
    shown = None if run is None else {key: run[key] for key in ("id", "fire_time", "outcome")}
    return {**timer_json(entry, default_tz), "last_run": shown}


def _row(entry: StoredTimer, latest: Run | None, default_tz: str) -> tuple[str, ...]:
    timer = entry.timer
    tz = display.zone_of(timer, default_tz)
    return (
        timer.name,
        timer.environment,
        entry.state,
        entry.breaker.state,
        display.instant(entry.next_fire, tz),
        display.instant(None if latest is None else latest.fire_time, tz),
        "-" if latest is None else runs.state(latest),
        timer.function,
        str(timer.schedule),
    )
