"""The wall times that an expression names: the next one, the previous one, and their number up to another.

A wall time is an int here: seconds since the day before 0001-01-01, that is `toordinal() * 86400 + second of the day`.
No zones, no clock, no text.
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import date
from itertools import pairwise

from ..fields import FIRST_YEAR, LAST_YEAR
from .days import FIRST_DAYS, DayRule
from .times import DAY, TimeRule, members

FIRST_WALL = FIRST_DAYS[FIRST_YEAR] * DAY
END_WALL = FIRST_DAYS[LAST_YEAR + 1] * DAY


class WallPattern:
    """All wall times that an expression names: its days and its times of day."""

    __slots__ = ("_ranks", "days", "times")

    def __init__(self, days: DayRule, times: TimeRule) -> None:
        self.days, self.times = days, times
        self._ranks: list[int] | None = None

    def fires(self, wall: int) -> bool:
        """Whether this wall time is one of them."""
        if not FIRST_WALL <= wall < END_WALL:
            return False
        day, time = divmod(wall, DAY)
        year = date.fromordinal(day).year
        return bool(self.days.mask(year) >> (day - FIRST_DAYS[year]) & 1) and self.times.fires(time)

    def at_or_after(self, wall: int) -> int | None:
        """The first of them that is not before this wall time."""
        day, time = divmod(max(wall, FIRST_WALL), DAY)
        firing = self.days.day_at_or_after(day)
        if firing == day:
            later = self.times.at_or_after(time)
            if later is not None:
                return day * DAY + later
            firing = self.days.day_at_or_after(day + 1)
        return None if firing is None else firing * DAY + self.times.first

    def at_or_before(self, wall: int) -> int | None:
        """The last of them that is not after this wall time."""
        day, time = divmod(min(wall, END_WALL - 1), DAY)
        firing = self.days.day_at_or_before(day)
        if firing == day:
            earlier = self.times.at_or_before(time)
            if earlier is not None:
                return day * DAY + earlier
            firing = self.days.day_at_or_before(day - 1)
        return None if firing is None else firing * DAY + self.times.last

    def before(self, wall: int) -> int:
        """The number of them before this wall time."""
        wall = min(max(wall, FIRST_WALL), END_WALL)
        if wall == END_WALL:
            return self._year_ranks()[-1]
        day, time = divmod(wall, DAY)
        year = date.fromordinal(day).year
        index = day - FIRST_DAYS[year]
        mask = self.days.mask(year)
        rank = self._year_ranks()[year - FIRST_YEAR] + (mask & ((1 << index) - 1)).bit_count() * self.times.count
        return rank + self.times.before(time) if mask >> index & 1 else rank

    def nth(self, n: int) -> tuple[int, int, int, int, int]:
        """The n-th of them, n from 0: year, day of the year from 0, hour, minute and second."""
        ranks = self._ranks or self._year_ranks()
        place = bisect_right(ranks, n) - 1
        year = FIRST_YEAR + place
        times = self.times
        day, n = divmod(n - ranks[place], times.count)
        a_minute = times.seconds.bit_count()
        hour, n = divmod(n, times.minutes.bit_count() * a_minute)
        minute, second = divmod(n, a_minute)
        time = members(times.hours)[hour], members(times.minutes)[minute], members(times.seconds)[second]
        return year, members(self.days.mask(year))[day], *time

    def _year_ranks(self) -> list[int]:
        """The number of them before 1 January of each year, and last their total."""
        if self._ranks is None:
            ranks = [0]
            for year in range(FIRST_YEAR, LAST_YEAR + 1):
                ranks.append(ranks[-1] + self.days.mask(year).bit_count() * self.times.count)
            self._ranks = ranks
        return self._ranks


def wall_gaps(pattern: WallPattern) -> tuple[int, int] | None:
    """The shortest and the longest time between two successive wall times; None if there are fewer than two."""
    gaps = [gap for gap in (pattern.times.gaps(), _day_gaps(pattern)) if gap is not None]
    if not gaps or not pattern.days.firing_years:
        return None
    return min(shortest for shortest, _ in gaps), max(longest for _, longest in gaps)


def _day_gaps(pattern: WallPattern) -> tuple[int, int] | None:
    """The shortest and the longest time from the last wall time of a day to the first of the next day that fires."""
    spans: dict[int, tuple[int, int, int, int]] = {}
    distances: set[int] = set()
    latest = None
    for year in range(FIRST_YEAR, LAST_YEAR + 1):
        mask = pattern.days.mask(year)
        if not mask:
            continue
        if mask not in spans:
            days = members(mask)
            steps = [later - earlier for earlier, later in pairwise(days)]
            spans[mask] = days[0], days[-1], min(steps, default=0), max(steps, default=0)
        first, last, shortest, longest = spans[mask]
        distances |= {shortest, longest} - {0}
        if latest is not None:
            distances.add(FIRST_DAYS[year] + first - latest)
        latest = FIRST_DAYS[year] + last
    if not distances:
        return None
    overnight = pattern.times.first - pattern.times.last
    return min(distances) * DAY + overnight, max(distances) * DAY + overnight
