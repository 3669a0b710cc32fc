"""Clocks: the system's, the daemon's, which never goes back, and one that a test moves."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Two readings: instants of the wall clock for fire times, monotonic seconds for limits."""

    def now(self) -> datetime:
        """The instant, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back, from an arbitrary start."""
        ...


class SystemClock:
    """The clocks of the machine."""

    __slots__ = ()

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


#: The speed of a steady clock while it is ahead of its source: a timer of one second fires every 1.7 s.
SLEW = 0.6
#: If the system clock is set back by more than this, the daemon's clock goes back too.
MAX_LEAD_S = 2 * 3600.0


class SteadyClock:
    """A clock that never goes back, on top of a source that may be set.

    When the source is set forward, it follows at once. When the source is set back, it goes on at 0.6 of the speed
    until the source has caught up: no instant comes twice, and none is delayed for hours.

    >>> manual = ManualClock(datetime(2026, 1, 1, 12, tzinfo=UTC))
    >>> steady = SteadyClock(manual)
    >>> manual.jump(-60)
    >>> manual.advance(10)
    >>> steady.now().isoformat(), manual.now().isoformat()
    ('2026-01-01T12:00:06+00:00', '2026-01-01T11:59:10+00:00')
    >>> manual.advance(150)
    >>> steady.now() == manual.now()
    True
    """

    __slots__ = ("_clock", "_now", "_read_at")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._now = clock.now()
        self._read_at = clock.monotonic()

    def now(self) -> datetime:
        read_at = self._clock.monotonic()
        slewed = self._now + timedelta(seconds=SLEW * (read_at - self._read_at))
        self._now, self._read_at = max(self._clock.now(), slewed), read_at
        return self._now

    def monotonic(self) -> float:
        return self._clock.monotonic()

    @property
    def is_system(self) -> bool:
        """Whether the source is the machine's clock, so that the kernel can report when it is set."""
        return type(self._clock) is SystemClock

    def continue_from(self, instant: datetime) -> None:
        """Go on from an earlier reading, if that is ahead."""
        self._now = max(self.now(), instant)

    def go_back(self) -> None:
        """Set this clock to the reading of the source, even if that is earlier."""
        self._now = self._clock.now()

    def ahead_s(self) -> float:
        """Seconds by which this clock is ahead of its source; 0 unless that was set back."""
        return (self.now() - self._clock.now()).total_seconds()


class ManualClock:
    """A clock that stands still until a test moves it.

    >>> clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    >>> clock.advance(1.5)
    >>> clock.now().isoformat()
    '2026-01-01T00:00:01.500000+00:00'
    >>> clock.jump(-3600)       # as NTP or an operator does: only the wall clock moves
    >>> clock.now().hour, clock.monotonic()
    (23, 1.5)
    """

    __slots__ = ("_monotonic", "_now")

    def __init__(self, now: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._now = now.astimezone(UTC)
        self._monotonic = 0.0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Move both readings forward by `seconds`."""
        if seconds < 0:
            raise ValueError(f"advance() takes no negative seconds ({seconds}); jump() sets the wall clock back")
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds

    def advance_to(self, instant: datetime) -> None:
        """Move both readings forward until the wall clock reads `instant`."""
        self.advance((instant - self._now).total_seconds())

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward or back by `seconds`; the monotonic reading stays."""
        self._now += timedelta(seconds=seconds)
