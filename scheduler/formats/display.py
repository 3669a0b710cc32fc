"""How things look on a terminal, and what --json prints. Nothing here decides anything.

The keys of the JSON objects stay as they are; instants are ISO 8601 with the offset of the zone they are shown in.
"""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime, tzinfo
from pathlib import Path

import click

from ..core.timer import Timer

#: Wide enough for any table; what reads a pipe must never find a name cut short.
_PIPE_WIDTH = 1_000
#: The last column of a table has at least so many characters, or as many as it needs.
_LAST_COLUMN_WIDTH = 30
#: Units of what takes two minutes and longer.
_LONG = ((86_400, "d"), (3_600, "h"), (60, "min"))
_COLOURS = {
    "succeeded": "green",
    "failed": "red",
    "timed_out": "red",
    "short_circuited": "yellow",
    "misfired": "yellow",
    "skipped_overlap": "yellow",
    "abandoned": "yellow",
}


def zone(name: str) -> tzinfo:
    """A time zone by name, from the database that quartzcron uses too."""
    from pytz import timezone

    return timezone(name)


def zone_of(timer: Timer, default: str) -> tzinfo:
    """The zone in which a timer's instants are shown."""
    return zone(timer.trigger.tz or default)


def instant(at: datetime | None, tz: tzinfo) -> str:
    """An instant for people: to the second, with its offset."""
    return "-" if at is None else at.astimezone(tz).isoformat(sep=" ", timespec="seconds")


def iso(at: datetime | None, tz: tzinfo) -> str | None:
    """An instant for machines."""
    return None if at is None else at.astimezone(tz).isoformat()


def seconds(value: float | None) -> str:
    """A span of time, short: 3 ms, 1.25 s, 12 min, 5 h, 40 d."""
    if value is None:
        return "-"
    if abs(value) < 1:
        return f"{value * 1000:.0f} ms"
    if abs(value) < 120:
        return f"{value:.2f} s"
    unit_s, unit = next(((unit_s, unit) for unit_s, unit in _LONG if abs(value) >= 2 * unit_s), _LONG[-1])
    return f"{value / unit_s:.0f} {unit}"


def number(count: int, noun: str) -> str:
    """How many there are: 1 run, 2,000 runs."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def size(number: int) -> str:
    """A number of bytes, short: 812 B, 4.0 kB, 1.2 GB."""
    value, units = float(number), ["B", "kB", "MB", "GB", "TB"]
    while value >= 1000 and len(units) > 1:
        value /= 1000
        units.pop(0)
    return f"{value:.0f} {units[0]}" if units[0] == "B" else f"{value:.1f} {units[0]}"


def plain(text: str) -> str:
    """A text that cannot steer the terminal: control characters are shown instead of sent."""
    return "".join(c if c.isprintable() or c == "\t" else c.encode("unicode_escape").decode() for c in text)


def coloured(outcome: str, *, width: int = 0) -> str:
    """An outcome, in its colour where the output is a terminal, and at least so wide."""
    return click.style(outcome.ljust(width), fg=_COLOURS.get(outcome))


def command(*words: str) -> str:
    """A command of this program, to be copied into a shell: by its own name where the shell finds that."""
    found = shutil.which("scheduler")
    if found and Path(found).parent == Path(sys.executable).parent:
        return shlex.join(("scheduler", *words))
    python = Path(sys.executable)
    here = Path.cwd()
    shown = python.relative_to(here) if python.is_relative_to(here) else python
    return shlex.join((str(shown), "-m", "scheduler", *words))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table without lines, its last column folded where room is short; a cell that is an outcome has its colour.

    A terminal that is too narrow for the other columns wraps the lines of the table, so that no column is missing.
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
