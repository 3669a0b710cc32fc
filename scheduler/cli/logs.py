"""scheduler logs: what runs printed, and what they print now."""

from __future__ import annotations

import time
from datetime import tzinfo

import click

from ..errors import StoreError
from ..history import History
from ..run import Line
from . import show
from .place import here, json_option, store_option
from .runs import check_timer

#: How often a following reader looks for new lines.
_LOOK_EVERY_S = 0.3
_COLOURS = {"error": "red", "critical": "red", "warning": "yellow", "debug": "bright_black"}


@click.command("logs")
@click.option("-f", "--follow", is_flag=True, help="Go on with what is printed from now on; Ctrl-C ends it.")
@click.option("--timer", metavar="NAME", help="Lines of one timer only.")
@click.option("--run", "run_id", type=int, metavar="ID", help="Lines of one run only.")
@click.option(
    "-n", "--limit", default=100, type=click.IntRange(1, 100_000), help="The last so many; 100 unless set."
)
@store_option
@json_option
def command(
    *, follow: bool, timer: str | None, run_id: int | None, limit: int, store: str | None, as_json: bool
) -> None:
    """Show the lines that runs printed, oldest first; with --json, each line is an object of its own."""
    place = here(store=store)
    tz = show.zone(place.config.tz)
    with place.store() as opened:
        history = History(opened)
        if run_id is not None:
            _print_run(history, run_id, limit, tz, as_json=as_json)
            return
        if timer is not None:
            check_timer(opened, timer)
        found = history.tail(timer=timer, limit=limit)
        for _, name, line in found:
            print_line(name, line, tz, as_json=as_json)
        if follow:
            _follow(history, found[-1][0] if found else 0, timer, tz, as_json=as_json)


def _print_run(history: History, run_id: int, limit: int, tz: tzinfo, *, as_json: bool) -> None:
    run = history.run(run_id)
    if run is None:
        raise StoreError(f"there is no run {run_id}; scheduler runs shows which there are")
    for line in history.lines(run_id)[-limit:]:
        print_line(run.timer, line, tz, as_json=as_json)


def _follow(history: History, after: int, timer: str | None, tz: tzinfo, *, as_json: bool) -> None:
    try:
        while True:
            time.sleep(_LOOK_EVERY_S)
            for line_id, name, line in history.tail(after=after, timer=timer):
                print_line(name, line, tz, as_json=as_json)
                after = line_id
    except KeyboardInterrupt:
        return


def print_line(timer: str, line: Line, tz: tzinfo, *, as_json: bool = False) -> None:
    """One line: when, which timer, and what it said; in its level's colour on a terminal."""
    if as_json:
        show.print_json_line(show.line_json(timer, line, tz))
        return
    text = click.style(show.plain(line.text), fg=_COLOURS.get(line.level))
    click.echo(f"{show.instant(line.at, tz)}  {timer}  {text}")
