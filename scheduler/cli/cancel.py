"""scheduler runs cancel: ends a run that is in progress or waits."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import click

from ..claims.cancellations import request_cancel
from ..core.run import Outcome, Run
from ..formats import display
from ..formats.json import print_json, run_json
from ..formats.run_zones import RunZones
from ..project.project import current_project
from ..store.database import Store
from ..store.runs import RunHistory
from ..store.statistics import has_live_daemon
from .author import by_user
from .options import json_option, store_option

#: How long to wait for the run to end, and how often to check.
_WAIT_S, _POLL_S = 5.0, 0.02


@click.command("cancel", short_help="End a run that is in progress or waits.")
@click.argument("run_id", metavar="RUN", type=click.IntRange(1, 2**63 - 1))
@click.option("--no-wait", is_flag=True, help="Do not wait until the run has ended.")
@store_option
@json_option
def cancel_run(*, run_id: int, no_wait: bool, store: str | None, as_json: bool) -> None:
    """End a run now, as cancelled; RUN is its number in `scheduler runs`.

    A function in a worker process or in a fleet is killed with the processes that it started; a call of a remote engine
    is cancelled; a function in a thread continues, and only its run ends. The breaker ignores the run. Exit status 1 if
    the run has ended in another way meanwhile, or not within 5 seconds.
    """
    project = current_project(store=store)
    with project.open_store() as opened:
        run = request_cancel(opened, run_id, now=datetime.now(UTC), by=by_user())
        if not no_wait:
            run = _wait_for_end(opened, run)
        daemon_runs = has_live_daemon(opened)
        tz = RunZones(opened, project.settings.tz).of(run)
    if as_json:
        print_json(run_json(run, tz))
    else:
        click.echo(_text(run))
    if run.outcome is None and not daemon_runs:
        click.echo(f"no daemon runs on this store; the run ends with:  {display.command('up')}", err=True)
    if not no_wait and run.outcome is not Outcome.CANCELLED:
        raise SystemExit(1)


def _wait_for_end(store: Store, run: Run) -> Run:
    history, give_up_at = RunHistory(store), time.monotonic() + _WAIT_S
    while run.outcome is None and time.monotonic() < give_up_at:
        time.sleep(_POLL_S)
        run = history.run(run.id) or run
    return run


def _text(run: Run) -> str:
    if run.outcome is Outcome.CANCELLED:
        how = "before it began" if run.started_at is None else f"after {display.seconds(run.duration_s)}"
        return f"cancelled run {run.id} of {run.timer} {how}"
    if run.outcome is not None:
        return f"run {run.id} of {run.timer} has ended in another way: {run.outcome}"
    return f"run {run.id} of {run.timer} is to be cancelled, and has not ended yet"
