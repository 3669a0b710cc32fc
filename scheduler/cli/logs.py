"""scheduler logs: what functions printed, and what they print now."""

from __future__ import annotations

import time
from datetime import tzinfo

import click

from ..errors import StoreError
from ..formats import display
from ..formats.lines import line_of_run, print_line
from ..project.project import current_project
from ..store.log_lines import Choice, LogLines, Mark
from ..store.runs import RunHistory
from .options import environment_filter, json_option, store_option
from .runs import check_timer

#: How often a following reader looks for new lines.
_LOOK_EVERY_S = 0.3


@click.command("logs")
@click.option("-f", "--follow", is_flag=True, help="Go on with what is printed from now on; Ctrl-C ends it.")
@click.option("--timer", metavar="NAME", help="Lines of one timer only.")
@click.option("--function", metavar="NAME", help="Lines of one function only, by whomever it is called.")
@click.option("--run", "run_id", type=int, metavar="ID", help="Lines of one run only.")
@click.option("--request", "request_id", metavar="ID", help="Lines of one request id only: of a fire, or of a client.")
@click.option("-n", "--limit", default=100, type=click.IntRange(1, 100_000), help="The last so many; 100 unless set.")
@environment_filter
@store_option
@json_option
def command(
    *,
    follow: bool,
    run_id: int | None,
    limit: int,
    store: str | None,
    as_json: bool,
    timer: str | None,
    function: str | None,
    environment: str | None,
    request_id: str | None,
) -> None:
    """Show the lines that functions printed, oldest first; with --json, each line is an object of its own.

    A function prints when a timer runs it, or when a client calls it over HTTP under `scheduler up`.
    """
    project = current_project(store=store)
    tz = display.zone(project.settings.tz)
    with project.open_store() as opened:
        if run_id is not None:
            _print_run(RunHistory(opened), run_id, limit, tz, as_json=as_json)
            return
        if timer is not None:
            check_timer(opened, timer)
        choice = Choice(timer, function, environment, request_id)
        found, mark = LogLines(opened).last(choice, limit)
        for line in found:
            print_line(line, tz, as_json=as_json)
        if not (found or follow or as_json):
            click.echo("no lines", err=True)
        if follow:
            _follow(LogLines(opened), mark, choice, tz, as_json=as_json)


def _print_run(history: RunHistory, run_id: int, limit: int, tz: tzinfo, *, as_json: bool) -> None:
    run = history.run(run_id)
    if run is None:
        raise StoreError(f"there is no run {run_id}; scheduler runs shows which there are")
    for line in history.lines(run_id)[-limit:]:
        print_line(line_of_run(line, run), tz, as_json=as_json)


def _follow(logged: LogLines, mark: Mark, choice: Choice, tz: tzinfo, *, as_json: bool) -> None:
    try:
        while True:
            time.sleep(_LOOK_EVERY_S)
            found, mark = logged.after(mark, choice)
            for line in found:
                print_line(line, tz, as_json=as_json)
    except KeyboardInterrupt:
        return
