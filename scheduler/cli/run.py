"""scheduler timers run, and scheduler runs again: runs that a user requests, now."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import click

from ..claims.requested_runs import request_again, request_run
from ..core.run import Outcome, Run
from ..core.timer import Environment
from ..errors import StoreUnavailableError
from ..formats import display
from ..formats.json import print_json, run_json
from ..project.function_check import check_function
from ..project.project import Project, current_project
from ..store.database import Store
from ..store.runs import RunHistory
from ..store.statistics import has_live_daemon
from ..store.timers import TimerTable
from .arguments import parse_params
from .author import by_user
from .options import environment_option, json_option, store_option, target_option
from .run_wait import wait_for_end, why_not_ended
from .timer_names import store_with_hints

_wait_option = click.option("--wait", is_flag=True, help="Wait for the outcome; exit status 1 unless the run succeeds.")


@click.command("run", short_help="Run a timer once, now.")
@click.argument("name")
@click.argument("pairs", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--params", metavar="JSON", help="Parameters of this run as a JSON object.")
@_wait_option
@target_option
@click.option("--no-check", is_flag=True, help="Do not check the parameters of this run.")
@environment_option
@store_option
@json_option
def run_timer(
    *, name: str, pairs: tuple[str, ...], params: str | None, wait: bool, no_check: bool, as_json: bool, **given: Any
) -> None:
    """Run a timer once, now, outside its schedule; it runs even if its breaker is open.

    Parameters after the name replace all those of the timer for this run: key=text, or key:=JSON as in n:=3. Without
    --wait, exit status 0 means that the run was requested, whatever its outcome.
    """
    project = current_project(store=given["store"], environment=given["environment"])
    own: Mapping[str, Any] | None = parse_params(pairs, params) if pairs or params is not None else None
    with store_with_hints(project) as opened:
        timer = TimerTable(opened).get(name, project.environment).timer
        if own is not None and not no_check:
            check_function(project, replace(timer, params=own), given["target"], instead="run it")

        def request(now: datetime) -> int:
            return request_run(opened, name, project.environment, now=now, params=own, by=by_user())

        _request(opened, project, request, wait=wait, as_json=as_json)


@click.command("again", short_help="Run the timer of a run again.")
@click.argument("run_id", metavar="RUN", type=click.IntRange(1, 2**63 - 1))
@_wait_option
@store_option
@json_option
def run_again(*, run_id: int, wait: bool, store: str | None, as_json: bool) -> None:
    """Run the timer of a run again, now; RUN is its number in `scheduler runs`.

    If that run had parameters of its own, this one gets the same; else it gets the timer's current ones.
    """
    project = current_project(store=store)
    with project.open_store() as opened:
        _request(
            opened,
            project,
            lambda now: request_again(opened, run_id, now=now, by=by_user()),
            wait=wait,
            as_json=as_json,
        )


def _request(store: Store, project: Project, request: Callable[[datetime], int], *, wait: bool, as_json: bool) -> None:
    """Request a run; report it, or wait for its end and end the program with status 1 unless it succeeds."""
    daemon_runs = has_live_daemon(store)
    if wait and not daemon_runs:
        raise StoreUnavailableError(
            f"no daemon runs on {store}, so the run would not begin; start one: {display.command('up')}"
        )
    history, run_id = RunHistory(store), request(datetime.now(UTC))
    requested = history.run(run_id)
    assert requested is not None
    timer = TimerTable(store).get(requested.timer, Environment(requested.environment)).timer
    try:
        run = wait_for_end(store, run_id, timer) or requested if wait else requested
    except KeyboardInterrupt:
        # Not 1, which means that the run has failed: this one is still running.
        raise SystemExit(130) from None
    if as_json:
        print_json(run_json(run, display.zone_of(timer, project.settings.tz)))
    elif wait and run.outcome is not None:
        _print_ended(run)
    else:
        # Without --wait, print no outcome, even of a run that has ended, so that scripts always get the same line.
        _print_requested(run, daemon_runs=daemon_runs)
    if wait and run.outcome is None:
        click.echo(why_not_ended(run, timer, project, daemon_runs=has_live_daemon(store)), err=True)
    if wait and run.outcome is not Outcome.SUCCEEDED:
        raise SystemExit(1)


def _print_requested(run: Run, *, daemon_runs: bool) -> None:
    click.echo(f"requested run {run.id} of {run.timer}; show it with:  {display.command('runs', '--timer', run.timer)}")
    if not daemon_runs:
        click.echo(f"no daemon runs on this store; the run waits for:  {display.command('up')}", err=True)


def _print_ended(run: Run) -> None:
    what = display.plain(" ".join(part for part in (run.message, run.error and f"({run.error})") if part))
    ended = f"run {run.id} of {run.timer} {display.coloured(run.outcome or '')} in {display.seconds(run.duration_s)}"
    click.echo(f"{ended}  {what}" if what else ended)
    if run.result is not None:
        click.echo(f"result  {display.plain(run.result)}")
