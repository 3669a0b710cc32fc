"""scheduler logs: what functions printed, and what they print now."""

from __future__ import annotations

import time
from datetime import tzinfo

import click

from ..core.run import Line, Run, Task
from ..errors import StoreError
from ..formats import display
from ..project.project import environment_filter, here, json_option, store_option
from ..store.log_lines import Choice, LogLine, LogLines, Mark
from ..store.runs import History
from .runs import check_timer

#: How often a following reader looks for new lines.
_LOOK_EVERY_S = 0.3
_COLOURS = {"error": "red", "critical": "red", "warning": "yellow", "debug": "bright_black"}


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
    place = here(store=store)
    tz = display.zone(place.config.tz)
    with place.store() as opened:
        if run_id is not None:
            _print_run(History(opened), run_id, limit, tz, as_json=as_json)
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


def _print_run(history: History, run_id: int, limit: int, tz: tzinfo, *, as_json: bool) -> None:
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


def line_of_run(line: Line, run: Run | Task) -> LogLine:
    """A line of a run, with what is known of the run."""
    return LogLine(
        line.at,
        line.level,
        line.text,
        run.function,
        run.environment,
        run.request_id,
        timer=run.timer,
        run_id=line.run_id,
    )


def print_line(line: LogLine, tz: tzinfo, *, as_json: bool = False) -> None:
    """One line: when, its level, which timer or function, and what it said; in its level's colour on a terminal."""
    if as_json:
        display.print_json_line(display.line_json(line, tz))
        return
    text = click.style(display.plain(line.text), fg=_COLOURS.get(line.level))
    click.echo(f"{display.instant(line.at, tz)}  {line.level:<7}  {display.plain(line.source)}  {text}")
