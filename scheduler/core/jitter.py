"""Jitter: by how many seconds a timer fires later than its trigger says, always the same number. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from .fire_times import FireTimes


@dataclass(frozen=True, slots=True)
class Shifted:
    """Fires a fixed time after a trigger, for a timer with jitter; not a kind of trigger.

    >>> from datetime import UTC
    >>> from scheduler.core.triggers import Cron
    >>> monday = Shifted(Cron("0 0 8 ? * MON", tz="Asia/Shanghai"), timedelta(seconds=17))
    >>> monday.next_fire(datetime(2026, 1, 1, tzinfo=UTC)).isoformat()
    '2026-01-05T00:00:17+00:00'
    """

    trigger: FireTimes
    offset: timedelta

    def next_fire(self, after: datetime) -> datetime | None:
        return self._later(self.trigger.next_fire(after - self.offset))

    def prev_fire(self, before: datetime) -> datetime | None:
        return self._later(self.trigger.prev_fire(before - self.offset))

    def count(self, start: datetime, end: datetime) -> int:
        return self.trigger.count(start - self.offset, end - self.offset)

    @property
    def anchor(self) -> datetime | None:
        return self._later(self.trigger.anchor)

    def _later(self, instant: datetime | None) -> datetime | None:
        return None if instant is None else instant + self.offset

    def __str__(self) -> str:
        return f"{self.trigger} + {self.offset.total_seconds():g} s"


def offset_s(environment: str, name: str, jitter_s: int) -> int:
    """The seconds by which the jitter of a timer shifts its trigger; the same on every machine and Python."""
    if jitter_s <= 1:
        return 0
    digest = sha256(f"{environment}\0{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % jitter_s


def shifted(trigger: FireTimes, seconds: int) -> FireTimes:
    """A schedule that fires `seconds` after a trigger; the trigger itself if that is 0."""
    return Shifted(trigger, timedelta(seconds=seconds)) if seconds else trigger
