"""scheduler runs: the history of runs, newest first.

The commands about one run are in run_show.py, cancel.py and run.py.
"""

from __future__ import annotations

from datetime import tzinfo

import click
from click.core import ParameterSource

from ..core.run import Outcome, Run
from ..core.timer import Environment
from ..errors import TimerError
from ..formats import display
from ..formats.json import print_json, run_json
from ..formats.run_zones import RunZones
from ..project.project import current_project
from ..project.suggestions import did_you_mean
from ..store.database import Store
from ..store.runs import RunHistory
from ..store.timers import TimerTable
from .arguments import past_or_none
from .cancel import cancel_run
from .options import environment_filter, json_option, limit_option, since_option, store_option, until_option
from .run import run_again
from .run_show import show_run

COLUMNS = ("RUN", "TIMER", "FIRE TIME", "OUTCOME", "LATE", "TOOK", "MESSAGE")


class _Runs(click.Group):
    """The group; a word that is not a command is treated as the name of a timer, which needs an option."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands:
            raise click.UsageError(f"Got unexpected extra argument ({args[0]})", ctx)
        return super().resolve_command(ctx, args)


@click.group("runs", cls=_Runs, invoke_without_command=True)
@click.option("--timer", metavar="NAME", help="Runs of one timer only.")
@click.option(
    "--outcome",
    "outcomes",
    multiple=True,
    type=click.Choice([str(outcome) for outcome in Outcome]),
    help="Runs with this outcome only; may be repeated.",
)
@since_option
@until_option
@limit_option("runs")
@environment_filter
@store_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    *,
    timer: str | None,
    outcomes: tuple[str, ...],
    since: str | None,
    until: str | None,
    limit: int,
    environment: str | None,
    store: str | None,
    as_json: bool,
) -> None:
    """Show past runs, newest first, with outcome, lateness and duration; or cancel a run, or run it again."""
    if ctx.invoked_subcommand is not None:
        _refuse_options_before(ctx, ctx.invoked_subcommand)
        return
    project = current_project(store=store, environment=environment)
    with project.open_store() as opened:
        runs = RunHistory(opened).runs(
            timer=timer,
            environment=Environment(environment) if environment else None,
            outcomes=[Outcome(outcome) for outcome in outcomes],
            since=past_or_none(since, project.settings.tz),
            until=past_or_none(until, project.settings.tz),
            limit=limit,
        )
        zones = RunZones(opened, project.settings.tz)
        if timer is not None and not runs:
            check_timer(opened, timer)
    if as_json:
        print_json([run_json(run, zones.of(run)) for run in runs])
    elif not runs:
        which = " or ".join(outcomes)
        click.echo(" ".join(["no", *([which] if which else []), "runs", *([f"of {timer}"] if timer else [])]))
    else:
        display.print_table(COLUMNS, (row(run, zones.of(run)) for run in runs))


command.add_command(cancel_run)
command.add_command(run_again)
command.add_command(show_run)


def _refuse_options_before(ctx: click.Context, name: str) -> None:
    """UsageError for options of `runs` before a command about one run."""
    for param in ctx.command.params:
        if param.name and ctx.get_parameter_source(param.name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"options go after the command: scheduler runs {name} RUN {param.opts[0]} …", ctx)


def check_timer(store: Store, name: str) -> None:
    """TimerError for a name without a timer, and without runs of a removed timer."""
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
        run.outcome or _state(run),
        display.seconds(run.lateness_s),
        display.seconds(run.duration_s),
        message(run, tz),
    )


def _state(run: Run) -> str:
    """The state of a run without an outcome."""
    if run.cancel_requested_at is not None:
        return "cancelling"
    return "running" if run.started_at else "claimed" if run.is_claimed else "waiting"


def state(run: Run) -> str:
    """The outcome of a run, or its progress."""
    return run.outcome or ("running" if run.started_at else "claimed" if run.is_claimed else "waiting")


def message(run: Run, tz: tzinfo) -> str:
    """The result of a successful run, or else its message and error, and when its next attempt is due."""
    after = f"after run {run.cause_id}" if run.cause_id is not None else ""
    if run.outcome is Outcome.SUCCEEDED:
        return " · ".join(part for part in (run.result, after) if part)
    retry = f"tried again at {display.instant(run.retry_at, tz)}" if run.retry_at else ""
    waits = f"attempt {run.attempt}, due at {display.instant(run.due_at, tz)}" if run.due_at and not run.outcome else ""
    return " · ".join(part for part in (run.message, run.error, retry, waits, after) if part)
