"""Windows: schedules that are limited to [starts_at, ends_at). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from ..errors import TimerError
from .fire_times import FireTimes

_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Windowed:
    """Fires at the times of another schedule in [starts_at, ends_at); None means no bound on that side.

    >>> from datetime import UTC
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
    """A schedule limited to [starts_at, ends_at); the same one if there is no bound."""
    return schedule if starts_at is None and ends_at is None else Windowed(schedule, starts_at, ends_at)


def check_window(starts_at: datetime | None, ends_at: datetime | None) -> None:
    """TimerError for an empty window."""
    if starts_at is not None and ends_at is not None and not starts_at < ends_at:
        raise TimerError(
            f"the window from {_short(starts_at)} until {_short(ends_at)} is empty: it must end after it starts",
            field="ends_at",
        )


def _short(instant: datetime) -> str:
    return instant.isoformat(sep=" ", timespec="auto").replace("+00:00", "Z")
