"""A line that a function printed, as `scheduler logs` and `scheduler up` print it."""

from __future__ import annotations

from datetime import tzinfo
from typing import TextIO

import click

from ..core.log_line import LogLine
from ..core.run import Line, Run, Task
from . import display
from .json import line_json, print_json_line

_COLOURS = {"error": "red", "critical": "red", "warning": "yellow", "debug": "bright_black"}


def line_of_run(line: Line, run: Run | Task) -> LogLine:
    """A line of a run, with the timer, function and request id of the run."""
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


def print_line(line: LogLine, tz: tzinfo, *, as_json: bool = False, file: TextIO | None = None) -> None:
    """Print one line: instant, level, timer or function, and text; on a terminal, in the colour of its level."""
    if as_json:
        print_json_line(line_json(line, tz), file=file)
        return
    text = click.style(display.plain(line.text), fg=_COLOURS.get(line.level))
    click.echo(f"{display.instant(line.at, tz)}  {line.level:<7}  {display.plain(line.source)}  {text}", file=file)
