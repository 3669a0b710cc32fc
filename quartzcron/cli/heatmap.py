"""A year of fire times as a calendar, shaded by the number of fires: for a terminal, and as SVG. No clock, no files.

Weeks are columns and begin on Monday. The shades have one hue and differ in density, so that they can be distinguished
without seeing colours, on a light and on a dark background.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta, tzinfo
from html import escape
from itertools import groupby, pairwise
from operator import itemgetter

from ..expression import CronExpression
from ..fields import MONTH_NAMES
from ..wall.rolls import Roll
from ..wall.times import DAY
from ..zones.lookup import zone_of
from ..zones.zone import Zone

_WEEK = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = tuple(name.title() for name in MONTH_NAMES)
_SHADES = "·░▒▓█"
_DIM, _INK, _PLAIN = "\x1b[38;5;245m", "\x1b[38;5;32m", "\x1b[0m"  # both legible on white and on black
_CELL, _STEP, _LEFT, _TOP = 11, 14, 34, 44

_STYLE = """
  text { font: 10px system-ui, sans-serif; fill: #57606a }
  .name { font-size: 12px; font-weight: 600; fill: #24292f }
  .s0 { fill: #eaeef2 } .s1 { fill: #b6d4ee } .s2 { fill: #6aaad8 } .s3 { fill: #2473b3 } .s4 { fill: #0a3d78 }
  @media (prefers-color-scheme: dark) {
    text { fill: #8d96a0 } .name { fill: #e6edf3 }
    .s0 { fill: #262c36 } .s1 { fill: #12477d } .s2 { fill: #2f7fc1 } .s3 { fill: #7db8e6 } .s4 { fill: #d3e8f9 }
  }
"""


class Heatmap:
    """The number of fires of an expression on each day of a year, in a zone."""

    def __init__(self, expression: CronExpression, year: int, zone: tzinfo) -> None:
        self.expression, self.year, self.zone = expression, year, zone
        length = (date(year + 1, 1, 1) - date(year, 1, 1)).days
        self.counts = [0] * length
        for day, first, last in _days_of(zone_of(zone), year):
            self.counts[day] += expression.count(first, last)
        self._most = max(self.counts)

    @property
    def title(self) -> str:
        """Year, expression, its calendar of working days if it has one, and zone."""
        rolls = [
            f"{layer.name}, {layer.convention}" for layer in self.expression._days.layers if isinstance(layer, Roll)
        ]
        return " · ".join([str(self.year), self.expression.text, *rolls, str(self.zone)])

    @property
    def summary(self) -> str:
        """The number of fire times, and of days with any."""
        total, days = sum(self.counts), sum(map(bool, self.counts))
        return f"{total:,} fire time{'s' * (total != 1)} on {days} day{'s' * (days != 1)}"

    def shade(self, count: int) -> int:
        """From 0, for no fire, to 4, for the number of the busiest day."""
        return -(-4 * count // self._most) if count else 0

    def legend(self) -> list[tuple[int, str]]:
        """The shades in use, and the numbers of fires a day for which each stands."""
        shades = [(0, "none")]
        for shade in range(1, 5):
            counts = [count for count in self.counts if count and self.shade(count) == shade]
            if counts:
                low, high = min(counts), max(counts)
                shades.append((shade, f"{low:,} a day" if low == high else f"{low:,}-{high:,} a day"))
        return shades

    def days(self) -> Iterator[tuple[date, int, int, int]]:
        """Each day, its column, its row, and its number of fires."""
        first = date(self.year, 1, 1)
        for place, count in enumerate(self.counts):
            column, row = divmod(place + first.weekday(), 7)
            yield first + timedelta(days=place), column, row, count


def _days_of(zone: Zone, year: int) -> Iterator[tuple[int, datetime, datetime]]:
    """The days of a year by the clock of a zone, as spans of time from after the first to the last.

    A day has several spans if another day comes between, as where the clock goes back over midnight; and none if the
    clock skips it.
    """
    start = date(year, 1, 1).toordinal()
    length = date(year + 1, 1, 1).toordinal() - start
    changes = [change for near in (year - 1, year, year + 1) for change in zone.transitions(near)]
    edges = [start * DAY - 2 * DAY, *(change[0] for change in changes), (start + length + 2) * DAY]
    spans: list[tuple[int, int, int]] = []
    for begin, end in pairwise(sorted({edge for edge in edges if edges[0] <= edge <= edges[-1]})):
        offset = zone.offset(begin)
        for day in range((begin + offset) // DAY - start, (end + offset - 1) // DAY - start + 1):
            first, last = (start + day) * DAY - offset, (start + day + 1) * DAY - offset
            spans.append((day, max(first, begin), min(last, end)))
    for day, group in groupby(sorted(spans, key=itemgetter(1)), key=itemgetter(0)):
        parts = list(group)
        if 0 <= day < length:
            yield day, zone.at(parts[0][1] - 1), zone.at(parts[-1][2] - 1)


def as_text(heatmap: Heatmap, *, coloured: bool) -> str:
    """The calendar for a terminal: 58 columns wide, with ANSI colours or without."""
    rows = [[" "] * 54 for _ in _WEEK]
    months = [" "] * 57
    for day, column, row, count in heatmap.days():
        rows[row][column] = _shaded(heatmap.shade(count), coloured=coloured)
        if day.day == 1:
            months[column : column + 3] = _MONTHS[day.month - 1]
    lines = [heatmap.title, "", f"    {''.join(months)}".rstrip()]
    lines += [f"{name} {''.join(row)}".rstrip() for name, row in zip(_WEEK, rows, strict=True)]
    legend = "  ".join(f"{_shaded(shade, coloured=coloured)} {text}" for shade, text in heatmap.legend())
    return "\n".join([*lines, "", f"    {heatmap.summary}   {legend}"])


def _shaded(shade: int, *, coloured: bool) -> str:
    ink = _INK if shade else _DIM
    return f"{ink}{_SHADES[shade]}{_PLAIN}" if coloured else _SHADES[shade]


def as_svg(heatmap: Heatmap) -> str:
    """The calendar as an SVG image, with a tooltip for each day, in the light or dark scheme of the reader."""
    width, height = _LEFT + 54 * _STEP, _TOP + 7 * _STEP + 34
    label = escape(f"{heatmap.title}: {heatmap.summary}", quote=True)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="{label}">',
        f"<style>{_STYLE}</style>",
        f'<text class="name" x="{_LEFT}" y="16">{escape(heatmap.title)}</text>',
    ]
    parts += [_svg_text(0, _TOP + row * _STEP + 9, _WEEK[row]) for row in (0, 2, 4)]
    for day, column, row, count in heatmap.days():
        x, y = _LEFT + column * _STEP, _TOP + row * _STEP
        if day.day == 1:
            parts.append(_svg_text(x + (_STEP if row else 0), _TOP - 8, _MONTHS[day.month - 1]))
        parts.append(_svg_cell(x, y, heatmap.shade(count), f"{day:%a} {day}: {count:,}"))
    return "\n".join([*parts, *_svg_legend(heatmap, _TOP + 7 * _STEP + 10), "</svg>", ""])


def _svg_legend(heatmap: Heatmap, y: int) -> Iterator[str]:
    yield _svg_text(_LEFT, y + 9, heatmap.summary)
    x = _LEFT + 250
    for shade, text in heatmap.legend():
        yield _svg_cell(x, y, shade, text)
        yield _svg_text(x + _STEP + 2, y + 9, text)
        x += _STEP + 16 + 6 * len(text)


def _svg_text(x: int, y: int, text: str) -> str:
    return f'<text x="{x}" y="{y}">{escape(text)}</text>'


def _svg_cell(x: int, y: int, shade: int, tooltip: str) -> str:
    size = f'width="{_CELL}" height="{_CELL}" rx="2"'
    return f'<rect class="s{shade}" x="{x}" y="{y}" {size}><title>{escape(tooltip)}</title></rect>'
