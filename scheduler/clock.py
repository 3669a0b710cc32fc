"""Where the time comes from: the system's clocks, or a clock that a test moves by hand."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Two readings: wall-clock instants for fire times, monotonic seconds for limits."""

    def now(self) -> datetime:
        """The instant, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back; only differences mean anything."""
        ...


class SystemClock:
    """The clocks of the machine."""

    __slots__ = ()

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


#: How fast a steady clock goes while it waits for the clock behind it: an every-second timer fires every 1.7 s.
SLEW = 0.6
#: How far the system clock may be set back before a daemon follows it.
MAX_LEAD_S = 2 * 3600.0


class SteadyClock:
    """A clock that never goes back, over one that may be set.

    When the clock behind it is set forward, it follows at once. When that is set back, it goes on at 0.6 of the speed
    until the other has caught up: no instant comes twice, and whoever waits for one is not kept waiting for hours.

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
        """Whether the clock behind this one is the machine's, of which the kernel tells when it is set."""
        return type(self._clock) is SystemClock

    def go_on_from(self, instant: datetime) -> None:
        """Go on from where an earlier clock stood, if that is ahead."""
        self._now = max(self.now(), instant)

    def give_in(self) -> None:
        """Be what the clock behind this one is, even if that is earlier."""
        self._now = self._clock.now()

    def ahead_s(self) -> float:
        """Seconds by which this clock is ahead of the one behind it; 0 nearly always."""
        return (self.now() - self._clock.now()).total_seconds()


class ManualClock:
    """A clock that stands still until it is told to go on; for tests, yours too.

    >>> clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    >>> clock.advance(1.5)
    >>> clock.now().isoformat()
    '2026-01-01T00:00:01.500000+00:00'
    >>> clock.jump(-3600)       # what NTP or an operator does: only the wall clock moves
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
        """Let `seconds` pass on both readings."""
        if seconds < 0:
            raise ValueError(f"time does not run backwards ({seconds} s); jump() moves the wall clock alone")
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds

    def advance_to(self, instant: datetime) -> None:
        """Let time pass until the wall clock reads `instant`."""
        self.advance((instant - self._now).total_seconds())

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward or back by `seconds`, as NTP does; the monotonic reading stays."""
        self._now += timedelta(seconds=seconds)
