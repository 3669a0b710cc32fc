"""An independent calculator: slow, obvious, and written without reading the package. The tests compare with it.

It walks over days and seconds with datetime alone, and shares nothing with quartzcron but the meaning of the grammar.
"""

from __future__ import annotations

import calendar
from datetime import UTC, date, datetime, timedelta, tzinfo

MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
WEEK = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]
SECOND = timedelta(seconds=1)


def values(text: str, low: int, high: int, names: list[str] | None = None) -> set[int]:
    """The values of a field of lists, ranges and steps."""

    def number(word: str) -> int:
        return names.index(word[:3].upper()) + 1 if names and word[:1].isalpha() else int(word)

    found = set()
    for item in text.split(","):
        span, _, step = item.partition("/")
        if span in ("*", ""):
            first, last = low, high
        elif "-" in span:
            first, last = map(number, span.split("-"))
        else:
            first = number(span)
            last = high if step else first
        if last < first:
            last += high - low + 1
        found |= {(value - low) % (high - low + 1) + low for value in range(first, last + 1, int(step or 1))}
    return found


def nearest_weekday(day: date) -> date:
    """The weekday nearest to a day, in the same month."""
    near = [day + timedelta(days=n) for n in (0, -1, 1, -2, 2)]
    return next(d for d in near if d.month == day.month and d.weekday() < 5)


def is_month_day(item: str, day: date) -> bool:
    """Whether one item of the day-of-month field names this day."""
    item = item.upper()
    length = calendar.monthrange(day.year, day.month)[1]
    if "L" not in item and "W" not in item:
        return day.day in values(item, 1, 31)
    word = item.removesuffix("W")
    wanted = length - int(word[2:] or 0) if word.startswith("L") else int(word)
    if not 1 <= wanted <= length:
        return False
    named = day.replace(day=wanted)
    return day == (nearest_weekday(named) if item.endswith("W") else named)


def is_week_day(text: str, day: date) -> bool:
    """Whether the day-of-week field names this day."""
    text = text.upper()
    quartz = day.isoweekday() % 7 + 1
    if text == "L":
        return quartz == 7
    if "#" in text:
        name, n = text.split("#")
        return quartz in values(name, 1, 7, WEEK) and (day.day + 6) // 7 == int(n)
    if text.endswith("L"):
        last = day.day + 7 > calendar.monthrange(day.year, day.month)[1]
        return last and quartz in values(text[:-1], 1, 7, WEEK)
    return quartz in values(text, 1, 7, WEEK)


class Oracle:
    """The fires of an expression, by brute force."""

    def __init__(self, text: str, dst: str = "vixie") -> None:
        self.parts = text.split()
        self.dst = dst
        self.seconds = values(self.parts[0], 0, 59)
        self.minutes = values(self.parts[1], 0, 59)
        self.hours = values(self.parts[2], 0, 23)
        self.months = values(self.parts[4], 1, 12, MONTHS)
        self.years = values(self.parts[6], 1970, 2099) if len(self.parts) > 6 else set(range(1970, 2100))
        self.interval = any(char in "*-/" for part in self.parts[:3] for char in part)

    def is_day(self, day: date) -> bool:
        """Whether something fires on this day."""
        if day.year not in self.years or day.month not in self.months:
            return False
        if self.parts[3] == "?":
            return is_week_day(self.parts[5], day)
        return any(is_month_day(item, day) for item in self.parts[3].split(","))

    def is_wall(self, wall: datetime) -> bool:
        """Whether this wall time is one that the expression names."""
        return (
            wall.hour in self.hours
            and wall.minute in self.minutes
            and wall.second in self.seconds
            and self.is_day(wall.date())
        )

    def walls(self, day: date) -> list[datetime]:
        """The wall times of a day, in order."""
        if not self.is_day(day):
            return []
        midnight = datetime(day.year, day.month, day.day)
        return [
            midnight + timedelta(hours=hour, minutes=minute, seconds=second)
            for hour in sorted(self.hours)
            for minute in sorted(self.minutes)
            for second in sorted(self.seconds)
        ]

    def days(self, first: date, last: date) -> list[date]:
        """The days from one to another, both included, on which something fires."""
        return [day for n in range((last - first).days + 1) if self.is_day(day := first + timedelta(days=n))]

    def instants(self, zone: tzinfo, start: datetime, end: datetime) -> list[datetime]:
        """The fires from `start` to `end` (UTC, both included), second by second, by the definition of the policy."""
        found = []
        before = _wall(start - SECOND, zone)
        instant = start
        while instant <= end:
            wall = _wall(instant, zone)
            if self._fires(instant, wall, before, zone):
                found.append(instant)
            before, instant = wall, instant + SECOND
        return found

    def _fires(self, instant: datetime, wall: datetime, before: datetime, zone: tzinfo) -> bool:
        if self.dst == "vixie" and not self.interval and wall - before > SECOND:  # a gap ends here
            skipped = before + SECOND
            while skipped < wall:
                if self.is_wall(skipped):
                    return True
                skipped += SECOND
        if not self.is_wall(wall):
            return False
        others = [_instant(wall, zone, fold) for fold in (0, 1)]
        if others[0] >= others[1]:  # no overlap
            return True
        if self.dst == "quartz":
            return instant == others[1]
        return self.interval or instant == others[0]


def _wall(instant: datetime, zone: tzinfo) -> datetime:
    return instant.astimezone(zone).replace(tzinfo=None, fold=0)


def _instant(wall: datetime, zone: tzinfo, fold: int) -> datetime:
    return wall.replace(tzinfo=zone, fold=fold).astimezone(UTC)
