"""Fires by a calendar of working days, by brute force: each day is moved by walking from day to day.

It shares nothing with quartzcron but the names of the roll conventions.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, timedelta

from tests.quartzcron.oracle import WEEK, Oracle, values

ROLLS = ["skip", "following", "preceding", "modified_following", "modified_preceding", "only_off"]
DAY = timedelta(days=1)
FIRST, LAST = date(1970, 1, 1), date(2099, 12, 31)
ALL_DAYS = (FIRST, LAST)


class WorkingOracle(Oracle):
    """The fires of an expression whose days are moved to working days, from one day to another, both included."""

    def __init__(
        self,
        text: str,
        roll: str,
        *,
        week: str,
        holidays: Collection[date] = (),
        worked: Collection[date] = (),
        within: tuple[date, date] = ALL_DAYS,
        dst: str = "vixie",
    ) -> None:
        super().__init__(text, dst)
        self.week = values(week, 1, 7, WEEK)
        self.holidays, self.worked = holidays, worked
        #: A fire moves by less than this.
        self.margin = (len(holidays) + 8) * DAY
        first = FIRST if within[0] == FIRST else max(FIRST, within[0] - self.margin)
        last = LAST if within[1] == LAST else min(LAST, within[1] + self.margin)
        self.moved: set[date] = set()
        day = first
        while day <= last:
            target = self.target(day, roll) if super().is_day(day) else None
            if target is not None:
                self.moved.add(target)
            if day == LAST:
                break
            day += DAY

    def is_working(self, day: date) -> bool:
        """Whether a day is worked."""
        if day in self.holidays:
            return False
        return day in self.worked or day.isoweekday() % 7 + 1 in self.week

    def is_day(self, day: date) -> bool:
        """Whether something fires on this day, once all have been moved."""
        return day in self.moved

    def target(self, day: date, roll: str) -> date | None:
        """Where a fire on this day goes; None if it is left out, or would leave the years 1970 to 2099."""
        if self.is_working(day):
            return None if roll == "only_off" else day
        if roll in ("skip", "only_off"):
            return day if roll == "only_off" else None
        step = DAY if roll.endswith("following") else -DAY
        found = self._walk(day, step)
        if roll.startswith("modified") and (found is None or (found.year, found.month) != (day.year, day.month)):
            return self._walk(day, -step)
        return found

    def _walk(self, day: date, step: timedelta) -> date | None:
        while FIRST <= day + step <= LAST:
            day += step
            if self.is_working(day):
                return day
        return None
