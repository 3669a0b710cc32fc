"""Draws strips of runs, sums by hour and the calendar of a year as SVG paths. Pure: no clock, no store, no words.

Successful runs are above a line, others below it, so that a failing timer is visible without colours. Each outcome is
one path, whose class names it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from math import log1p
from typing import Protocol

from ..core.run import Outcome
from ..core.timestamps import EPOCH

STRIP_RUNS = 24
SLOT, BAR, HALF = 6, 4, 13
STRIP_WIDTH, STRIP_HEIGHT = STRIP_RUNS * SLOT, 2 * HALF + 2
_LEAST, _CELL, _STEP = 3, 10, 13
#: Outcomes without execution, which are drawn half as high, and hollow.
_HOLLOW = {Outcome.SHORT_CIRCUITED, Outcome.MISFIRED, Outcome.SKIPPED_OVERLAP, Outcome.CANCELLED}


class Drawn(Protocol):
    """The values of a run that a drawing needs."""

    @property
    def fire_time(self) -> datetime:
        """The fire time."""

    @property
    def outcome(self) -> Outcome | None:
        """None while it is open."""

    @property
    def duration_s(self) -> float | None:
        """None if nothing was executed."""


@dataclass(frozen=True, slots=True)
class Path:
    """One path of a drawing: its class, and its `d`."""

    name: str
    d: str


def strip(runs: Sequence[Drawn], *, limit_s: float) -> list[Path]:
    """The latest runs of a timer as bars, the newest on the right; heights are logarithms of durations."""
    shown = runs[-STRIP_RUNS:]
    first = STRIP_RUNS - len(shown)
    bars: dict[str, list[str]] = {}
    for place, run in enumerate(shown, first):
        bars.setdefault(run.outcome or "running", []).append(_bar(place * SLOT + 1, run, limit_s))
    return [Path(name, "".join(parts)) for name, parts in bars.items()]


def _bar(x: int, run: Drawn, limit_s: float) -> str:
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


# Sums by hour or day

SUMS_WIDTH, SUMS_UP, SUMS_DOWN = 720, 64, 40


def sums(slots: Sequence[Mapping[Outcome, int]]) -> list[Path]:
    """The fires of several hours or days, one bar for each: succeeded above the line, the others stacked below it.

    Heights are logarithms, so that one failure is visible beside ten thousand successes.
    """
    most = max((sum(counts.values()) for counts in slots), default=0)
    width = SUMS_WIDTH / max(len(slots), 1)
    bars: dict[str, list[str]] = {}
    for place, counts in enumerate(slots):
        x, bar = round(place * width + 1, 1), round(max(width - 3, 1.5), 1)
        well = counts.get(Outcome.SUCCEEDED, 0)
        if well:
            height = _share(well, most, SUMS_UP)
            bars.setdefault(Outcome.SUCCEEDED, []).append(_rectangle(x, SUMS_UP - height, bar, height))
        y = float(SUMS_UP + 2)
        others = {outcome: count for outcome, count in counts.items() if outcome is not Outcome.SUCCEEDED and count}
        whole = _share(sum(others.values()), most, SUMS_DOWN - 2) if others else 0
        for outcome in sorted(others, key=list(Outcome).index):
            height = max(2, round(whole * others[outcome] / sum(others.values())))
            bars.setdefault(outcome, []).append(_rectangle(x, y, bar, height))
            y += height
    return [Path(name, "".join(parts)) for name, parts in bars.items()]


def _share(count: int, most: int, height: int) -> int:
    return max(_LEAST, round(height * log1p(count) / log1p(most)))


# Durations, and the past and future of a timer

CHART_RUNS, CHART_WIDTH, CHART_HEIGHT = 60, 480, 72


@dataclass(frozen=True, slots=True)
class Durations:
    """The durations of the latest runs of a timer; `limit_y` is the height of its limit, None if no run comes near."""

    paths: Sequence[Path]
    limit_y: float | None
    longest_s: float


def durations(runs: Sequence[Drawn], *, limit_s: float) -> Durations | None:
    """The durations of runs; None if nothing was executed."""
    shown = runs[-CHART_RUNS:]
    longest = max((run.duration_s or 0.0 for run in shown), default=0.0)
    if longest <= 0:
        return None
    highest = max(longest, limit_s) if longest >= limit_s / 4 else longest
    width = CHART_WIDTH / CHART_RUNS
    bars: dict[str, list[str]] = {}
    for place, run in enumerate(shown, CHART_RUNS - len(shown)):
        if run.duration_s is not None:
            height = max(2.0, round(run.duration_s / highest * CHART_HEIGHT, 1))
            part = _rectangle(place * width + 1, CHART_HEIGHT - height, width - 2, height)
            bars.setdefault(run.outcome or "running", []).append(part)
    limit_y = CHART_HEIGHT * (1 - limit_s / highest) if highest >= limit_s else None
    return Durations([Path(name, "".join(parts)) for name, parts in bars.items()], limit_y, longest)


LINE_WIDTH, LINE_UP, LINE_DOWN = 960, 26, 22
#: The spans of timelines, in hours.
_SPANS = [
    timedelta(hours=hours)
    for hours in (
        *(1 / 60, 1 / 30, 1 / 12, 1 / 6, 1 / 2, 1, 2, 4, 6, 8, 12, 24, 48, 72, 96, 168, 240, 360, 480, 960),
        *(2_400, 4_800, 9_600),
    )
]


@dataclass(frozen=True, slots=True)
class Timeline:
    """The runs of a timer left of now, and its fire times right of it."""

    start: datetime
    end: datetime
    #: None if now is not on the axis.
    now_x: float | None
    past: Sequence[Path]
    #: The `d` of the path of the coming fire times.
    coming: str
    #: Instants on the axis, and where they are.
    ticks: Sequence[tuple[float, datetime]]

    def x_of(self, at: datetime) -> float:
        """Where an instant is on the axis."""
        return round((at - self.start) / (self.end - self.start) * LINE_WIDTH, 1)


def timeline(
    runs: Sequence[Drawn],
    fires: Sequence[datetime],
    *,
    now: datetime,
    span: timedelta,
    limit_s: float,
    middle: datetime | None = None,
) -> Timeline:
    """The timeline from about `span` before `middle` to as long after it; a run is as wide as it took, from 2 px on.

    In the middle is now, if nothing else is given: it is rounded up by less than two pixels, so that the drawing stays
    the same for a while.
    """
    span = next((nice for nice in _SPANS if nice >= span), span)
    if middle is None:
        middle = now = now + (EPOCH - now) % (span / 240)
    start, end = middle - span, middle + span
    scale = LINE_WIDTH / (end - start).total_seconds()

    def x_of(at: datetime) -> float:
        return round((at - start).total_seconds() * scale, 1)

    bars: dict[str, list[str]] = {}
    for run in runs:
        if not start <= run.fire_time <= min(now, end):
            continue
        width = round(min(max(2.0, (run.duration_s or 0) * scale), LINE_WIDTH / 2), 1)
        bars.setdefault(run.outcome or "running", []).append(_on_line(x_of(run.fire_time), width, run, limit_s))
    coming = "".join(f"M{x_of(fire):g} {LINE_UP - 10}v10" for fire in fires if max(now, start) <= fire <= end)
    ticks = [(LINE_WIDTH * place / 6, start + (end - start) * place / 6) for place in range(7)]
    past = [Path(name, "".join(parts)) for name, parts in bars.items()]
    return Timeline(start, end, x_of(now) if start <= now <= end else None, past, coming, ticks)


def load(numbers: Sequence[float], *, height: int = 30) -> str:
    """The `d` of the number of coming fire times in each slot of a timeline."""
    most, width = max(numbers, default=0), LINE_WIDTH / max(len(numbers), 1)
    bars = []
    for place, number in enumerate(numbers):
        if number:
            tall = max(1.0, round(number / most * height, 1))
            bars.append(_rectangle(round(place * width, 1), height - tall, round(width - 1, 1), tall))
    return "".join(bars)


def _on_line(x: float, width: float, run: Drawn, limit_s: float) -> str:
    if run.outcome is None or run.outcome is Outcome.SUCCEEDED:
        height = _height(run.duration_s, limit_s) * 2
        return _rectangle(x, LINE_UP - height, width, height)
    height = LINE_DOWN // 2 if run.outcome in _HOLLOW else LINE_DOWN - 2
    return _rectangle(x, LINE_UP + 2, width, height)


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


@dataclass(frozen=True, slots=True)
class HeatMap:
    """Counts by weekday and hour: five shades, and the weekday and hour of the highest count."""

    paths: Sequence[Path]
    most: int
    worst: tuple[int, int]

    width, height = 24 * _STEP + 34, 7 * _STEP + 16

    def x_of(self, hour: int) -> int:
        """The left side of an hour."""
        return 34 + hour * _STEP

    def y_of(self, day: int) -> int:
        """The base line of the name of a weekday."""
        return day * _STEP + _CELL - 1


def heat_map(counts: Mapping[tuple[int, int], int]) -> HeatMap:
    """Draw counts by weekday, from Monday, and hour."""
    most = max(counts.values(), default=0)
    cells: dict[int, list[str]] = {}
    for day in range(7):
        for hour in range(24):
            shade = _shade(counts.get((day, hour), 0), most)
            cells.setdefault(shade, []).append(_rectangle(34 + hour * _STEP, day * _STEP, _CELL, _CELL))
    worst = max(counts, key=lambda place: counts[place], default=(0, 0))
    return HeatMap([Path(f"heat{shade}", "".join(parts)) for shade, parts in sorted(cells.items())], most, worst)
