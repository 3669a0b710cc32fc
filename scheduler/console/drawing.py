"""Draws strips of runs and the calendar of a year as SVG paths. Pure: no clock, no store, no words.

Successful runs are above a line, others below it, so that a failing timer is visible without colours. Each outcome is
one path, whose class names it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from math import log1p

from ..core.run import Outcome, Run

STRIP_RUNS = 24
SLOT, BAR, HALF = 6, 4, 13
STRIP_WIDTH, STRIP_HEIGHT = STRIP_RUNS * SLOT, 2 * HALF + 2
_LEAST, _CELL, _STEP = 3, 10, 13
#: Outcomes without execution, which are drawn half as high, and hollow.
_HOLLOW = {Outcome.SHORT_CIRCUITED, Outcome.MISFIRED, Outcome.SKIPPED_OVERLAP, Outcome.CANCELLED}


@dataclass(frozen=True, slots=True)
class Path:
    """One path of a drawing: its class, and its `d`."""

    name: str
    d: str


def strip(runs: Sequence[Run], *, limit_s: float) -> list[Path]:
    """The latest runs of a timer as bars, the newest on the right; heights are logarithms of durations."""
    shown = runs[-STRIP_RUNS:]
    first = STRIP_RUNS - len(shown)
    bars: dict[str, list[str]] = {}
    for place, run in enumerate(shown, first):
        bars.setdefault(run.outcome or "running", []).append(_bar(place * SLOT + 1, run, limit_s))
    return [Path(name, "".join(parts)) for name, parts in bars.items()]


def _bar(x: int, run: Run, limit_s: float) -> str:
    if run.outcome is None or run.outcome is Outcome.SUCCEEDED:
        height = _height(run.duration_s, limit_s)
        return _rectangle(x, HALF - height, BAR, height)
    if run.outcome in _HOLLOW:
        return _rectangle(x + 0.5, HALF + 2.5, BAR - 1, HALF // 2)
    return _rectangle(x, HALF + 2, BAR, HALF - 1)


def _height(duration_s: float | None, limit_s: float) -> int:
    """From the least visible height to the half of a strip, at the limit."""
    if duration_s is None or duration_s <= 0:
        return _LEAST
    share = min(1.0, log1p(duration_s * 1000) / log1p(max(limit_s, 0.001) * 1000))
    return max(_LEAST, round(share * HALF))


def _rectangle(x: float, y: float, width: float, height: float) -> str:
    return f"M{x:g} {y:g}h{width:g}v{height:g}h-{width:g}z"


@dataclass(frozen=True, slots=True)
class YearDrawing:
    """The calendar of a year: weeks are columns and begin on Monday; five shades, and the meaning of each."""

    year: int
    paths: Sequence[Path]
    #: For each month, its number and the column of its name.
    months: Sequence[tuple[int, int]]
    #: For each shade in use, the least and the greatest number of fires of a day.
    legend: Sequence[tuple[int, int, int]]
    total: int
    days: int

    width, height = 53 * _STEP + 2, 7 * _STEP + 18


def year_drawing(year: int, counts: Sequence[int]) -> YearDrawing:
    """The calendar of a year from the number of fires on each day."""
    first = date(year, 1, 1)
    most = max(counts)
    cells: dict[int, list[str]] = {}
    months = []
    for place, count in enumerate(counts):
        column, row = divmod(place + first.weekday(), 7)
        day = first + timedelta(days=place)
        if day.day == 1:
            months.append((day.month, (column + (1 if row else 0)) * _STEP))
        cells.setdefault(_shade(count, most), []).append(_rectangle(column * _STEP, 16 + row * _STEP, _CELL, _CELL))
    return YearDrawing(
        year,
        [Path(f"heat{shade}", "".join(parts)) for shade, parts in sorted(cells.items())],
        months,
        list(_legend(counts, most)),
        sum(counts),
        sum(map(bool, counts)),
    )


def _shade(count: int, most: int) -> int:
    """From 0, for no fire, to 4, for the number of the busiest day."""
    return -(-4 * count // most) if count else 0


def _legend(counts: Sequence[int], most: int) -> Iterable[tuple[int, int, int]]:
    for shade in range(1, 5):
        found = [count for count in counts if count and _shade(count, most) == shade]
        if found:
            yield shade, min(found), max(found)
