"""scheduler logs: the lines that functions printed; with --follow, new lines too."""

from __future__ import annotations

import time
from datetime import datetime, tzinfo

import click

from ..core.zone_names import zone
from ..errors import StoreError
from ..formats.lines import line_of_run, print_line
from ..project.project import current_project
from ..store.log_lines import LineFilter, LinePosition, LogLines
from ..store.runs import RunHistory
from .arguments import past_or_none
from .options import environment_filter, json_option, limit_option, since_option, store_option, until_option
from .runs import check_timer

#: How often --follow reads new lines.
_POLL_S = 0.3


@click.command("logs")
@click.option("-f", "--follow", is_flag=True, help="Keep showing new lines, until Ctrl-C.")
@click.option("--timer", metavar="NAME", help="Lines of one timer only.")
@click.option("--function", metavar="NAME", help="Lines of one function only, called by a timer or a client.")
@click.option("--run", "run_id", type=int, metavar="ID", help="Lines of one run only.")
@click.option(
    "--request", "request_id", metavar="ID", help="Lines of one request id only, that of a run or of a client."
)
@since_option
@until_option
@limit_option("lines", default=100)
@environment_filter
@store_option
@json_option
def command(
    *,
    follow: bool,
    run_id: int | None,
    since: str | None,
    until: str | None,
    limit: int,
    store: str | None,
    as_json: bool,
    timer: str | None,
    function: str | None,
    environment: str | None,
    request_id: str | None,
) -> None:
    """Show the last lines that functions printed, oldest first; with --json, one object per line.

    Functions print when a timer runs them, and when a client calls them over HTTP.
    """
    if follow and until is not None:
        raise click.UsageError("--follow shows new lines, and --until ends before them; leave one of them out")
    project = current_project(store=store)
    tz = zone(project.settings.tz)
    span = (past_or_none(since, project.settings.tz), past_or_none(until, project.settings.tz))
    with project.open_store() as opened:
        if run_id is not None:
            _print_run(RunHistory(opened), run_id, span, limit, tz, as_json=as_json)
            return
        if timer is not None:
            check_timer(opened, timer)
        wanted = LineFilter(timer, function, environment, request_id, since=span[0], until=span[1])
        lines, position = LogLines(opened).latest(wanted, limit)
        for line in lines:
            print_line(line, tz, as_json=as_json)
        if not (lines or follow or as_json):
            click.echo("no lines", err=True)
        if follow:
            _follow(LogLines(opened), position, wanted, tz, as_json=as_json)


def _print_run(
    history: RunHistory,
    run_id: int,
    span: tuple[datetime | None, datetime | None],
    limit: int,
    tz: tzinfo,
    *,
    as_json: bool,
) -> None:
    run = history.run(run_id)
    if run is None:
        raise StoreError(f"there is no run {run_id}; see scheduler runs")
    since, until = span
    lines = [
        line
        for line in history.lines(run_id)
        if (since is None or line.at >= since) and (until is None or line.at < until)
    ]
    for line in lines[-limit:]:
        print_line(line_of_run(line, run), tz, as_json=as_json)


def _follow(log_lines: LogLines, position: LinePosition, wanted: LineFilter, tz: tzinfo, *, as_json: bool) -> None:
    try:
        while True:
            time.sleep(_POLL_S)
            lines, position = log_lines.after(position, wanted)
            for line in lines:
                print_line(line, tz, as_json=as_json)
    except KeyboardInterrupt:
        return
