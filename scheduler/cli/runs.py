"""scheduler runs: the history of runs, newest first."""

from __future__ import annotations

from datetime import tzinfo

import click

from ..core.run import Outcome, Run
from ..core.timer import Environment
from ..core.zones import zone
from ..errors import TimerError
from ..formats import display
from ..formats.json import print_json, run_json
from ..project.project import Project, current_project
from ..project.suggestions import did_you_mean
from ..store.database import Store
from ..store.runs import RunHistory
from ..store.timers import TimerTable
from .options import environment_filter, json_option, store_option

COLUMNS = ("RUN", "TIMER", "FIRE TIME", "OUTCOME", "LATE", "TOOK", "MESSAGE")


class TimerZones:
    """The time zone in which the runs of each timer are shown; the default one for a timer that was removed."""

    def __init__(self, store: Store, project: Project) -> None:
        self._default = zone(project.settings.tz)
        self._of_timers = {
            (entry.timer.environment.value, entry.timer.name): display.zone_of(entry.timer, project.settings.tz)
            for entry in TimerTable(store).list()
        }

    def of(self, run: Run) -> tzinfo:
        """The zone of one run."""
        return self._of_timers.get((run.environment, run.timer), self._default)


@click.command("runs")
@click.option("--timer", metavar="NAME", help="Runs of one timer only.")
@click.option(
    "--outcome",
    "outcomes",
    multiple=True,
    type=click.Choice([str(outcome) for outcome in Outcome]),
    help="Runs with this outcome only; may be repeated.",
)
@click.option(
    "-n", "--limit", metavar="N", default=20, type=click.IntRange(1, 100_000), help="Most runs shown (default 20)."
)
@environment_filter
@store_option
@json_option
def command(
    *,
    timer: str | None,
    outcomes: tuple[str, ...],
    limit: int,
    environment: str | None,
    store: str | None,
    as_json: bool,
) -> None:
    """Show past runs, newest first, with outcome, lateness and duration."""
    project = current_project(store=store, environment=environment)
    with project.open_store() as opened:
        runs = RunHistory(opened).runs(
            timer=timer,
            environment=Environment(environment) if environment else None,
            outcomes=[Outcome(outcome) for outcome in outcomes],
            limit=limit,
        )
        zones = TimerZones(opened, project)
        if timer is not None and not runs:
            check_timer(opened, timer)
    if as_json:
        print_json([run_json(run, zones.of(run)) for run in runs])
    elif not runs:
        which = " or ".join(outcomes)
        click.echo(" ".join(["no", *([which] if which else []), "runs", *([f"of {timer}"] if timer else [])]))
    else:
        display.print_table(COLUMNS, (row(run, zones.of(run)) for run in runs))


def check_timer(store: Store, name: str) -> None:
    """TimerError for a name that neither a timer has nor a run of a removed timer."""
    known = {entry.timer.name for entry in TimerTable(store).list()}
    if name not in known and not RunHistory(store).runs(timer=name, limit=1):
        hint = did_you_mean(name, known) or "see scheduler timers list"
        raise TimerError(f"no timer {name!r}, and no run of one; {hint}", field="timer")


def row(run: Run, tz: tzinfo) -> tuple[str, ...]:
    """A run as cells, in the order of COLUMNS."""
    fire_time = display.instant(run.fire_time, tz)
    if run.count > 1:
        fire_time += f" (and {run.count - 1} more until {display.instant(run.last_fire_time, tz)})"
    return (
        str(run.id),
        run.timer,
        fire_time,
        run.outcome or ("running" if run.started_at else "claimed" if run.is_claimed else "waiting"),
        display.seconds(run.lateness_s),
        display.seconds(run.duration_s),
        message(run, tz),
    )


def message(run: Run, tz: tzinfo) -> str:
    """The result of a run that succeeded, else its message and error, and when its next attempt is due."""
    if run.outcome is Outcome.SUCCEEDED:
        return run.result or ""
    retry = f"tried again at {display.instant(run.retry_at, tz)}" if run.retry_at else ""
    waits = f"attempt {run.attempt}, due at {display.instant(run.due_at, tz)}" if run.due_at and not run.outcome else ""
    return " · ".join(part for part in (run.message, run.error, retry, waits) if part)
