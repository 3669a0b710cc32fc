"""Windows: a schedule that is limited to [starts_at, ends_at), and the instants that bound it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from ..errors import TimerError
from .triggers import FireTimes
from .zones import at_wall_time

_MICROSECOND = timedelta(microseconds=1)
#: The years of cron expressions.
_FIRST, _END = datetime(1970, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Windowed:
    """Fire when another schedule does, in [starts_at, ends_at) only; None on either side is no bound.

    >>> from scheduler.core.triggers import Every
    >>> start = datetime(2026, 1, 1, tzinfo=UTC)
    >>> window = Windowed(Every(60, anchor=start), starts_at=None, ends_at=start + timedelta(seconds=61))
    >>> window.next_fire(start).isoformat(), window.next_fire(start + timedelta(seconds=60))
    ('2026-01-01T00:01:00+00:00', None)
    """

    schedule: FireTimes
    starts_at: datetime | None
    ends_at: datetime | None

    def next_fire(self, after: datetime) -> datetime | None:
        if self.starts_at is not None and after < self.starts_at:
            after = self.starts_at - _MICROSECOND
        fire = self.schedule.next_fire(after)
        return None if fire is None or (self.ends_at is not None and fire >= self.ends_at) else fire

    def prev_fire(self, before: datetime) -> datetime | None:
        if self.ends_at is not None and before > self.ends_at:
            before = self.ends_at
        fire = self.schedule.prev_fire(before)
        return None if fire is None or (self.starts_at is not None and fire < self.starts_at) else fire

    def count(self, start: datetime, end: datetime) -> int:
        start = start if self.starts_at is None else max(start, self.starts_at)
        end = end if self.ends_at is None else min(end, self.ends_at)
        return self.schedule.count(start, end) if start < end else 0

    @property
    def anchor(self) -> datetime | None:
        return self.schedule.anchor

    def __str__(self) -> str:
        bounds = (("from", self.starts_at), ("until", self.ends_at))
        said = [f"{word} {_short(instant)}" for word, instant in bounds if instant is not None]
        return f"{self.schedule}, {' '.join(said)}"


def windowed(schedule: FireTimes, starts_at: datetime | None, ends_at: datetime | None) -> FireTimes:
    """A schedule that fires in [starts_at, ends_at) only; the same one where there is no bound."""
    return schedule if starts_at is None and ends_at is None else Windowed(schedule, starts_at, ends_at)


def read_instant(value: Any) -> datetime | None:
    """An instant in ISO 8601, aware where the text has an offset; None for an empty text. ValueError for no instant."""
    if isinstance(value, datetime):
        return value
    if value == "":
        return None
    try:
        return datetime.fromisoformat(value.strip())
    except (AttributeError, ValueError):
        raise ValueError(f"expected an instant as in 2026-01-05T08:00:00+08:00, got {value!r:.60}") from None


def check_instant(name: str, given: Any) -> datetime | None:
    """An instant as it is, or the one of a text; TimerError for anything else, and outside 1970 to 2099."""
    try:
        instant = None if given is None else read_instant(given)
    except ValueError as error:
        raise TimerError(f"{name}: {error}", field=name) from None
    if instant is None:
        return None
    if not _FIRST.year <= instant.year <= _END.year:
        raise TimerError(f"{name}: {instant.isoformat()} is outside the years 1970 to 2099", field=name)
    return instant


def in_utc(name: str, instant: datetime | None, tz: tzinfo | None) -> datetime | None:
    """An instant in UTC; one without an offset is a wall time of the zone, and TimerError where there is no zone."""
    if instant is None:
        return None
    if instant.tzinfo is None:
        if tz is None:
            raise TimerError(
                f"{name}: {instant.isoformat()} needs an offset, as in {instant.isoformat()}+08:00; an interval has no "
                "time zone",
                field=name,
            )
        instant = at_wall_time(instant, tz)
    return instant.astimezone(UTC)


def check_window(starts_at: datetime | None, ends_at: datetime | None) -> None:
    """TimerError for a window in which no instant lies."""
    if starts_at is not None and ends_at is not None and not starts_at < ends_at:
        raise TimerError(
            f"the window from {_short(starts_at)} until {_short(ends_at)} is empty: it must end after it starts",
            field="ends_at",
        )


def _short(instant: datetime) -> str:
    return instant.isoformat(sep=" ", timespec="auto").replace("+00:00", "Z")
