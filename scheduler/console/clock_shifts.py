"""The changes of the clocks of zones within a span, for an axis of time."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from typing import NamedTuple

from quartzcron.zones.lookup import zone_of

from ..core.zone_names import zone
from ..errors import TimerError
from .moments import offset


class ClockShift(NamedTuple):
    """A change of a zone's clock, with the offsets from UTC before and after it."""

    at: datetime
    tz: str
    before: timedelta
    after: timedelta

    @property
    def offsets(self) -> tuple[str, str]:
        """Both offsets as text."""
        before, after = (offset(self.at.astimezone(timezone(of))) for of in (self.before, self.after))
        return before, after


def clock_shifts(zones: Iterable[str], start: datetime, end: datetime) -> list[ClockShift]:
    """The changes from `start` to `end`, in order; an unknown zone has none.

    >>> from datetime import UTC
    >>> (shift,) = clock_shifts(["Europe/Berlin"], datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC))
    >>> str(shift.at.astimezone(UTC)), str(shift.before), str(shift.after)
    ('2026-10-25 01:00:00+00:00', '2:00:00', '1:00:00')
    """
    return sorted(shift for tz in sorted(set(zones)) for shift in _of_zone(tz, start, end))


def _of_zone(tz: str, start: datetime, end: datetime) -> Iterable[ClockShift]:
    try:
        of_zone = zone_of(zone(tz))
    except TimerError:
        return
    for year in range(start.year, end.year + 1):
        for instant, before, after in of_zone.transitions(year):
            at = of_zone.at(instant)
            if start <= at <= end:
                yield ClockShift(at, tz, timedelta(seconds=before), timedelta(seconds=after))
