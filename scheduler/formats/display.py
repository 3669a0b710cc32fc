"""Formats instants, durations, numbers, outcomes and tables for a terminal."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Iterable, Sequence
from datetime import date, datetime, tzinfo
from pathlib import Path

import click

from ..core.timer import Timer
from ..core.zone_names import zone

#: Wide enough for any table, so that a program that reads a pipe gets whole names.
_PIPE_WIDTH = 1_000
#: The least width of the last column of a table, in characters, unless it needs less.
_LAST_COLUMN_WIDTH = 30
#: Units of durations from two minutes on.
_LONG = ((86_400, "d"), (3_600, "h"), (60, "min"))
_COLOURS = {
    "succeeded": "green",
    "failed": "red",
    "timed_out": "red",
    "short_circuited": "yellow",
    "misfired": "yellow",
    "skipped_overlap": "yellow",
    "abandoned": "yellow",
    "cancelled": "yellow",
}


def zone_of(timer: Timer, default: str) -> tzinfo:
    """The time zone in which to show a timer's instants: that of its trigger, or the default."""
    return zone(timer.trigger.tz or default)


def instant(at: datetime | None, tz: tzinfo) -> str:
    """An instant in a time zone, to the second and with its offset; "-" for None."""
    return "-" if at is None else at.astimezone(tz).isoformat(sep=" ", timespec="seconds")


def iso(at: datetime | None, tz: tzinfo) -> str | None:
    """An instant in ISO 8601, with the offset of a time zone."""
    return None if at is None else at.astimezone(tz).isoformat()


def seconds(value: float | None) -> str:
    """A duration: 3 ms, 1.25 s, 12 min, 5 h, 40 d; "-" for None."""
    if value is None:
        return "-"
    if abs(value) < 1:
        return f"{value * 1000:.0f} ms"
    if abs(value) < 120:
        return f"{value:.2f} s"
    unit_s, unit = next(((unit_s, unit) for unit_s, unit in _LONG if abs(value) >= 2 * unit_s), _LONG[-1])
    return f"{value / unit_s:.0f} {unit}"


def number(count: int, noun: str) -> str:
    """A number and a noun: 1 run, 2,000 runs."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def size(number: int) -> str:
    """A number of bytes: 812 B, 4.0 kB, 1.2 GB."""
    value, units = float(number), ["B", "kB", "MB", "GB", "TB"]
    while value >= 1000 and len(units) > 1:
        value /= 1000
        units.pop(0)
    return f"{value:.0f} {units[0]}" if units[0] == "B" else f"{value:.1f} {units[0]}"


def plain(text: str) -> str:
    """A text with control characters as escapes, so that they do not control the terminal."""
    return "".join(c if c.isprintable() or c == "\t" else c.encode("unicode_escape").decode() for c in text)


def coloured(outcome: str, *, width: int = 0) -> str:
    """An outcome, padded to a width, in its colour if the output is a terminal."""
    return click.style(outcome.ljust(width), fg=_COLOURS.get(outcome))


def assumed(timer: Timer, known: date) -> str:
    """A note on fire times after the last day whose holidays the timer's calendar knows."""
    week = timer.working_days.week if timer.working_days else ""
    return f"the calendar {timer.calendar} is known until {known}; later, the working week {week} is assumed"


def command(*words: str) -> str:
    """A command of this program to copy into a shell, under the name `scheduler` if that is on the PATH."""
    python, here = Path(sys.executable), Path.cwd()
    return _command(python.relative_to(here) if python.is_relative_to(here) else python, words)


def command_anywhere(*words: str) -> str:
    """The same for a shell in any folder."""
    return _command(Path(sys.executable), words)


def _command(python: Path, words: Sequence[str]) -> str:
    installed = shutil.which("scheduler")
    if installed and Path(installed).parent == Path(sys.executable).parent:
        return shlex.join(("scheduler", *words))
    here = Path.cwd()
    # Without -P, Python would run a file or folder of that name in the working folder.
    safely = ("-P",) if (here / "scheduler.py").exists() or (here / "scheduler" / "__main__.py").exists() else ()
    return shlex.join((str(python), *safely, "-m", "scheduler", *words))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table without lines; a cell that is an outcome has its colour.

    On a narrow terminal, the last column is folded. If the other columns do not fit either, the lines are wrapped, so
    that no column is missing.
    """
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns[:-1]:
        table.add_column(column, no_wrap=True)
    table.add_column(columns[-1], overflow="fold")
    texts = [[Text(plain(cell), style=_COLOURS.get(cell, "")) for cell in row] for row in rows]
    for row in texts:
        table.add_row(*row)
    console = Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH)
    if texts:
        widths = [max(map(cell_len, (name, *map(str, cells)))) for name, *cells in zip(columns, *texts, strict=True)]
        console.width = max(
            console.width, sum(widths[:-1]) + 2 * (len(widths) - 1) + min(widths[-1], _LAST_COLUMN_WIDTH)
        )
    with console.capture() as capture:
        console.print(table)
    for line in capture.get().splitlines():
        click.echo(line.rstrip())
