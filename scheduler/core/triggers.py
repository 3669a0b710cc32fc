"""Triggers: what yields the fire times of a timer. Pure: an instant goes in, an instant comes out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from typing import Protocol

from quartzcron import CronError, CronExpression

from ..errors import TimerError
from .timestamps import EPOCH

#: The specification's runtime is UTC+8, and so is the time zone of a timer that names none.
DEFAULT_TZ = "Asia/Shanghai"


MAX_INTERVAL_S = 366 * 86_400


_MICROSECOND = timedelta(microseconds=1)


class Trigger(Protocol):
    """What yields fire times."""

    def next_fire(self, after: datetime) -> datetime | None:
        """The first fire time strictly after an instant, or None."""
        ...

    def prev_fire(self, before: datetime) -> datetime | None:
        """The last fire time strictly before an instant, or None."""
        ...

    def count(self, start: datetime, end: datetime) -> int:
        """How many fire times lie in [start, end)."""
        ...


@dataclass(frozen=True, slots=True)
class Cron:
    """Fire when a Quartz expression says so, in a time zone.

    >>> from datetime import UTC
    >>> Cron("0 0 8 ? * MON").next_fire(datetime(2026, 1, 1, tzinfo=UTC)).isoformat()
    '2026-01-05T00:00:00+00:00'
    """

    expression: str
    tz: str = DEFAULT_TZ
    dst: str = "vixie"

    def __post_init__(self) -> None:
        try:
            parsed = _parsed(self.expression, self.tz, self.dst)
        except CronError as error:
            _check_options(self.tz, self.dst)
            raise TimerError(str(error), field="expression") from error
        if parsed.never_fires:
            raise TimerError(f"the expression {self.expression!r} never fires", field="expression")

    def next_fire(self, after: datetime) -> datetime | None:
        return _parsed(self.expression, self.tz, self.dst).next_fire(after)

    def prev_fire(self, before: datetime) -> datetime | None:
        return _parsed(self.expression, self.tz, self.dst).prev_fire(before)

    def count(self, start: datetime, end: datetime) -> int:
        # The calculator counts what lies in (start, end].
        return _parsed(self.expression, self.tz, self.dst).count(start - _MICROSECOND, end - _MICROSECOND)

    @property
    def gap(self) -> timedelta | None:
        """The shortest time from one fire to the next by wall clock, None where there are fewer than two."""
        return _min_gap(self.expression, self.tz, self.dst)

    def __str__(self) -> str:
        return f"{self.expression} ({self.tz})"


@dataclass(frozen=True, slots=True)
class Every:
    """Fire every `seconds` seconds, counted from `anchor` (which is itself no fire time); 1 s to 366 days.

    >>> from datetime import UTC
    >>> Every(90, anchor=datetime(2026, 1, 1, tzinfo=UTC)).next_fire(datetime(2026, 1, 1, tzinfo=UTC)).isoformat()
    '2026-01-01T00:01:30+00:00'
    """

    seconds: int
    anchor: datetime = EPOCH

    def __post_init__(self) -> None:
        if isinstance(self.seconds, bool) or not isinstance(self.seconds, int):
            raise TimerError(f"an interval is a whole number of seconds, not {self.seconds!r}", field="every")
        if not 1 <= self.seconds <= MAX_INTERVAL_S:
            raise TimerError(
                f"an interval of {self.seconds} s is out of range: 1 to {MAX_INTERVAL_S} (366 days)", field="every"
            )

    def next_fire(self, after: datetime) -> datetime | None:
        return self._at(self._rank(after) + 1)

    def prev_fire(self, before: datetime) -> datetime | None:
        rank = self._rank(before - _MICROSECOND)
        return self._at(rank) if rank >= 1 else None

    def count(self, start: datetime, end: datetime) -> int:
        return max(0, self._rank(end - _MICROSECOND) - self._rank(start - _MICROSECOND))

    @property
    def gap(self) -> timedelta:
        """The time from one fire to the next."""
        return timedelta(seconds=self.seconds)

    def _rank(self, instant: datetime) -> int:
        """The number of fire times up to and including an instant."""
        return max(0, (instant - self.anchor) // timedelta(seconds=self.seconds))

    def _at(self, rank: int) -> datetime | None:
        try:
            return self.anchor + timedelta(seconds=self.seconds * rank)
        except OverflowError:
            return None

    def __str__(self) -> str:
        return f"every {self.seconds} s"


@dataclass(frozen=True, slots=True)
class Shifted:
    """Fire when another trigger does, by always the same time later.

    >>> from datetime import UTC
    >>> monday = Shifted(Cron("0 0 8 ? * MON"), timedelta(seconds=17))
    >>> monday.next_fire(datetime(2026, 1, 1, tzinfo=UTC)).isoformat()
    '2026-01-05T00:00:17+00:00'
    """

    trigger: Cron | Every
    offset: timedelta

    def next_fire(self, after: datetime) -> datetime | None:
        return self._later(self.trigger.next_fire(after - self.offset))

    def prev_fire(self, before: datetime) -> datetime | None:
        return self._later(self.trigger.prev_fire(before - self.offset))

    def count(self, start: datetime, end: datetime) -> int:
        return self.trigger.count(start - self.offset, end - self.offset)

    def _later(self, fire: datetime | None) -> datetime | None:
        return None if fire is None else fire + self.offset

    def __str__(self) -> str:
        return f"{self.trigger} + {self.offset.total_seconds():g} s"


def offset_s(environment: str, name: str, jitter_s: int) -> int:
    """By how much the jitter of a timer shifts its trigger: the same wherever it is computed, and by what Python."""
    if jitter_s <= 1:
        return 0
    digest = sha256(f"{environment}\0{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % jitter_s


def shifted(trigger: Cron | Every, seconds: int) -> Cron | Every | Shifted:
    """A trigger that fires so many seconds later; 0 leaves it as it is."""
    return Shifted(trigger, timedelta(seconds=seconds)) if seconds else trigger


def _check_options(tz: str, dst: str) -> None:
    """Refuse a zone or a policy with which a harmless expression fails, too."""
    for name, options in (("tz", {"tz": tz}), ("dst", {"dst": dst})):
        try:
            CronExpression("0 0 0 * * ?", **options)
        except CronError as error:
            raise TimerError(str(error), field=name) from error


@lru_cache(maxsize=4096)
def _parsed(expression: str, tz: str, dst: str) -> CronExpression:
    return CronExpression(expression, tz=tz, dst=dst)


@lru_cache(maxsize=4096)
def _min_gap(expression: str, tz: str, dst: str) -> timedelta | None:
    return _parsed(expression, tz, dst).min_gap
